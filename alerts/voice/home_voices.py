"""Prompts for one home in a voice its elder knows: an upload enters, a draft to listen to, then what is heard, leave.

A draft is what the telephone would play, so whoever spoke hears exactly that before she keeps it. Each person sees and
removes her own recordings only; which of them is heard is decided by who still belongs to the home.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from alerts.voice import audio
from alerts.voice.people import WORDS_LENGTH_MAX
from alerts.voice.wording import LANGUAGES
from kaimen.database import Connection, queries

_SQL = queries("alerts.voice")

#: What an elder hears; the codes and the words for a key that was not understood stay with the machine.
HOME_SEGMENTS = ("elder.greeting", "elder.question", "thanks.well", "thanks.help", "thanks.noted")
DIALECT_LENGTH_MAX = 40
_HEADER_BYTES = 44


@dataclass(frozen=True, slots=True)
class Place:
    """Which recording is meant: of a home, in a language, by one person."""

    household_id: str
    language: str
    user_id: int

    def values(self, segment: str) -> dict[str, object]:
        return {
            "household_id": self.household_id, "language": self.language, "user_id": self.user_id, "segment": segment,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording of one's own, kept or to be listened to first."""

    segment: str
    kept: bool
    dialect: str
    spoken_by: str
    recorded_at: datetime
    seconds: float


def is_segment(segment: str, language: str) -> bool:
    """Say whether this can be recorded for a home."""
    return segment in HOME_SEGMENTS and language in LANGUAGES


def save_draft(
    connection: Connection,
    place: Place,
    segment: str,
    *,
    sound: bytes,
    spoken_by: str,
    dialect: str,
    now: datetime,
) -> None:
    """Keep an upload as a draft, levelled as the telephone will play it.

    Raises
    ------
    SoundError
        If the sound cannot be used.
    ValueError
        If a word is missing or too long; forms look before.
    """
    if not is_segment(segment, place.language) or not 0 < len(spoken_by) <= WORDS_LENGTH_MAX:
        raise ValueError("no such segment, or nobody speaks")
    if len(dialect) > DIALECT_LENGTH_MAX:
        raise ValueError("the dialect's name is too long")
    samples = audio.levelled(audio.read_upload(sound))
    values = {"sound": audio.format_wav(samples), "spoken_by": spoken_by, "dialect": dialect, "now": now}
    connection.execute(_SQL["save_home_voice"], {**place.values(segment), **values})


def keep(connection: Connection, place: Place, segment: str, now: datetime) -> bool:
    """Let a draft be heard from the next call on; say whether there was one."""
    values = place.values(segment)
    connection.execute(_SQL["drop_kept_voice"], values)
    return connection.execute(_SQL["keep_home_voice"], {**values, "now": now}).rowcount == 1


def end(connection: Connection, place: Place, segment: str) -> bool:
    """Remove one's own recording and its draft; say whether there was one."""
    return connection.execute(_SQL["end_home_voice"], place.values(segment)).rowcount > 0


def load_own(connection: Connection, place: Place) -> list[Recorded]:
    """Return what one person recorded for a home in one language."""
    rows = connection.execute(_SQL["home_voices_of"], place.values(""))
    return [
        Recorded(
            row["segment"], row["kept"], row["dialect"], row["spoken_by"], row["recorded_at"],
            max(0, row["size"] - _HEADER_BYTES) / 2 / audio.RATE_HZ,
        )
        for row in rows
    ]  # fmt: skip


def load_sound(connection: Connection, place: Place, segment: str, *, kept: bool) -> bytes | None:
    """Return one's own recording as a WAV; None where there is none."""
    row = connection.execute(_SQL["home_voice"], {**place.values(segment), "kept": kept}).fetchone()
    return None if row is None else bytes(row["sound"])


def load_heard(connection: Connection, household_id: str) -> dict[tuple[str, str], bytes]:
    """Return by segment and language what is heard at a home instead of the community's voice."""
    rows = connection.execute(_SQL["home_voices"], {"household_id": household_id})
    return {(row["segment"], row["language"]): bytes(row["sound"]) for row in rows}
