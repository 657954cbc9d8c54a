"""Who may be rung by a machine, on which number, with whose voice: people's decisions enter, rows leave.

Every function works in the caller's transaction; who may do it at all, and the audit row, are the caller's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.voice import audio
from alerts.voice.gateway import dialled
from alerts.voice.wording import LANGUAGES, RECORDABLE
from kaimen.database import Connection, queries

_SQL = queries("alerts.voice")

#: So long must a changed number have stood, once confirmed, before a key pressed on it is somebody's word.
TRUSTED_AFTER = timedelta(hours=72)
WORDS_LENGTH_MAX = 200


class PhoneRefusedError(Exception):
    """What was asked is not possible; the text says why."""


@dataclass(frozen=True, slots=True)
class NumberChange:
    """A changed number that is not settled: who was told, who confirmed, and from when it counts."""

    id: int
    person_id: str
    old_phone: str | None
    told_at: datetime | None
    confirmed_at: datetime | None
    trusted_from: datetime | None


def agree(
    connection: Connection, *, person_id: str, agreed_by: str, shown_number: str, now: datetime
) -> None:
    """Write that a person agreed to be rung by a machine, and from which number she was told we ring.

    Raises
    ------
    PhoneRefusedError
        If there is no such person, or nobody is named before whom she agreed.
    """
    agreed_by = agreed_by.strip()
    if not 0 < len(agreed_by) <= WORDS_LENGTH_MAX:
        raise PhoneRefusedError("name before whom, or on which paper, the person agreed")
    values = {"id": person_id, "by": agreed_by, "shown": shown_number.strip()[:WORDS_LENGTH_MAX], "now": now}
    if connection.execute(_SQL["agree"], values).rowcount != 1:
        raise PhoneRefusedError(f"there is no person {person_id!r}")


def withdraw(connection: Connection, *, person_id: str) -> None:
    """Write that a person is rung by no machine any more; calls that are planned for her go to nobody."""
    connection.execute(_SQL["withdraw"], {"id": person_id})
    connection.execute(_SQL["withdraw_calls"], {"person": f"person:{person_id}"})


def set_has_phone(connection: Connection, *, person_id: str, has_phone: bool) -> None:
    """Write whether a person can be spoken to by telephone at all.

    Raises
    ------
    PhoneRefusedError
        If there is no such person.
    """
    if connection.execute(_SQL["set_has_phone"], {"id": person_id, "has": has_phone}).rowcount != 1:
        raise PhoneRefusedError(f"there is no person {person_id!r}")


def set_staff_phone(connection: Connection, *, user_name: str, phone: str | None, position: int = 1) -> None:
    """Write on which number a member of staff is rung; None: on none.

    Raises
    ------
    PhoneRefusedError
        If there is nobody of that name.
    InvalidNumberError
        If it is no number.
    """
    if phone is None:
        connection.execute(_SQL["remove_staff_phone"], {"name": user_name})
        return
    values = {"name": user_name, "phone": dialled(phone), "position": position}
    if connection.execute(_SQL["set_staff_phone"], values).rowcount != 1:
        raise PhoneRefusedError(f"nobody signs in as {user_name!r}")


def load_changes(connection: Connection) -> list[NumberChange]:
    """Return the changed numbers on which no key counts yet, or not for long."""
    return [NumberChange(**row) for row in connection.execute(_SQL["changes"])]


def told_old_number(connection: Connection, *, change_id: int, user_id: int, how: str, now: datetime) -> None:
    """Write that the old number was told of the change, by whom and how.

    Raises
    ------
    PhoneRefusedError
        If there is no such change, it was told already, or nothing says how.
    """
    how = how.strip()
    if not 0 < len(how) <= WORDS_LENGTH_MAX:
        raise PhoneRefusedError("say how the old number was told")
    values = {"id": change_id, "user_id": user_id, "how": how, "now": now}
    if connection.execute(_SQL["told"], values).rowcount != 1:
        raise PhoneRefusedError("there is no such change, or the old number was told already")


def confirm_number(connection: Connection, *, change_id: int, user_id: int, now: datetime) -> datetime:
    """Confirm a changed number as a second person; return from when a key pressed on it counts.

    Raises
    ------
    PhoneRefusedError
        If the old number was not told yet, or by the same person.
    """
    values = {"id": change_id, "user_id": user_id, "now": now, "from": now + TRUSTED_AFTER}
    if connection.execute(_SQL["confirm_number"], values).rowcount != 1:
        raise PhoneRefusedError(
            "the old number has to be told first, and by somebody else than who confirms the new one"
        )
    return now + TRUSTED_AFTER


def record_segment(
    connection: Connection,
    *,
    community_id: str,
    segment: str,
    language: str,
    sound: bytes,
    spoken_by: str,
    user_id: int,
    now: datetime,
) -> float:
    """Keep a recording of a segment as 16-bit mono at 8 kHz; return its seconds.

    Raises
    ------
    PhoneRefusedError
        If the segment or language is none that can be recorded, or nobody is named as the speaker.
    SoundError
        If the sound cannot be used.
    """
    if segment not in RECORDABLE or language not in LANGUAGES:
        raise PhoneRefusedError(f"what can be recorded: {', '.join(RECORDABLE)}, in {' or '.join(LANGUAGES)}")
    if not 0 < len(spoken_by.strip()) <= WORDS_LENGTH_MAX:
        raise PhoneRefusedError("say who speaks")
    samples = audio.levelled(audio.read_upload(sound))
    values = {
        "community_id": community_id, "segment": segment, "language": language, "sound": audio.format_wav(samples),
        "spoken_by": spoken_by.strip(), "user_id": user_id, "now": now,
    }  # fmt: skip
    connection.execute(_SQL["record_segment"], values)
    return len(samples) / audio.RATE_HZ
