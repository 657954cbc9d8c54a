"""What one home's doors and sensors said lately enters, in any order; the newest of it is kept, at hand or packed. Pure.

Two dozen signs at hand are four kilobytes; packed they are four hundred bytes. Of a city's homes only those that somebody
asked for lately are at hand.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from kaimen.policy import MINUTE_MS

#: Signs of the door kept per home, newest ones.
SIGNS_MAX = 24
#: Minutes with activity inside kept per home, newest ones.
ACTIVE_MINUTES_MAX = 128


class Move(StrEnum):
    """What one event of a door says about who moved which way."""

    INWARD = "inward"  # with her own credential
    OUTWARD = "outward"  # with her own credential, or by the button inside
    OPENED = "opened"  # the door moved, nobody says who
    OPENED_IN = "opened_in"  # from outside, with a key
    OPENED_OUT = "opened_out"  # from inside
    OTHER = "other"  # staff, guard, visitor, family, the office, force
    NOT_TAKEN = "not_taken"  # what was granted was not used


class Sign(NamedTuple):
    """One event of a door; the order of the fields is the order of signs."""

    at_ms: int
    device_id: str
    boot: str
    seq: int
    move: Move
    granted: bool = False  # only granted: nobody passed unless the door moved

    def ground(self) -> dict[str, Any]:
        return {"device": self.device_id, "boot": self.boot, "seq": self.seq, "at_ms": self.at_ms}


@dataclass(slots=True)
class HomeSigns:
    """What is kept of one home: its newest signs, the newest minutes with activity, when sensors were heard."""

    signs: list[Sign] = field(default_factory=list)
    minutes: list[int] = field(default_factory=list)
    sensors_heard_ms: int = 0

    def add_sign(self, sign: Sign) -> bool:
        """Keep a sign if it is new and among the newest; say whether it was kept."""
        return _keep(self.signs, sign, SIGNS_MAX)

    def add_signs(self, signs: Sequence[Sign]) -> bool:
        """Keep some signs, ascending; say whether any was kept."""
        if not signs:
            return False
        if not self.signs or self.signs[-1] < signs[0]:
            self.signs = [*self.signs, *signs][-SIGNS_MAX:]
            return True
        return sum(map(self.add_sign, signs)) > 0

    def add_activity(self, at_ms: int) -> bool:
        self.sensors_heard_ms = max(self.sensors_heard_ms, at_ms)
        return _keep(self.minutes, at_ms // MINUTE_MS, ACTIVE_MINUTES_MAX)

    def hear_sensor(self, heard_ms: int) -> bool:
        newer = heard_ms > self.sensors_heard_ms
        self.sensors_heard_ms = max(self.sensors_heard_ms, heard_ms)
        return newer


def _keep(kept: list[Any], item: Any, count_max: int) -> bool:
    """Insert into a sorted list without copies, bounded to the newest: the same whatever the order of arrival."""
    index = bisect_left(kept, item)
    if (index < len(kept) and kept[index] == item) or (index == 0 and len(kept) == count_max):
        return False
    insort(kept, item)
    if len(kept) > count_max:
        del kept[0]
    return True


# -- packed -----------------------------------------------------------------------------------------------------

_MOVES = tuple(Move)
_NO_OF_MOVE = {move: number for number, move in enumerate(_MOVES)}


class _Packed(msgspec.Struct, array_like=True, gc=False):
    """Each word once; of a sign how long after the one before it was, the numbers of its words, and its own number."""

    words: list[str]
    first_ms: int
    signs: list[tuple[int, int, int, int, int, bool]]
    minutes: list[int]
    sensors_heard_ms: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode


def pack(kept: HomeSigns) -> bytes:
    """Return what is kept of a home as bytes."""
    words: dict[str, int] = {}
    first_ms = before_ms = kept.signs[0].at_ms if kept.signs else 0
    rows = []
    for at_ms, device_id, boot, seq, move, granted in kept.signs:
        device = words.setdefault(device_id, len(words))
        rows.append(
            (at_ms - before_ms, device, words.setdefault(boot, len(words)), seq, _NO_OF_MOVE[move], granted)
        )
        before_ms = at_ms
    return _encode(_Packed(list(words), first_ms, rows, kept.minutes, kept.sensors_heard_ms))


def unpack(packed: bytes) -> HomeSigns:
    """Return what ``pack`` was given."""
    body = _decode(packed)
    words, at_ms, signs = body.words, body.first_ms, []
    for after_ms, device, boot, seq, move, granted in body.signs:
        at_ms += after_ms
        signs.append(Sign(at_ms, words[device], words[boot], seq, _MOVES[move], granted))
    return HomeSigns(signs, body.minutes, body.sensors_heard_ms)


class KeptSigns(Mapping[str, HomeSigns]):
    """Homes' signs by household id; who asks for one gets it at hand. ``rest`` packs those asked for longest ago."""

    def __init__(self, awake_max: int) -> None:
        self._awake_max = awake_max
        self._entries: dict[str, HomeSigns | bytes] = {}
        #: Those at hand, the one asked for longest ago first.
        self._awake: dict[str, None] = {}

    def __getitem__(self, household_id: str) -> HomeSigns:
        entry = self._entries[household_id]
        if isinstance(entry, bytes):
            entry = self._entries[household_id] = unpack(entry)
        else:
            self._awake.pop(household_id, None)
        self._awake[household_id] = None
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def awake_count(self) -> int:
        return len(self._awake)

    def of(self, household_id: str) -> HomeSigns:
        """Return what is kept of a home, to add to."""
        if household_id not in self._entries:
            self._entries[household_id] = HomeSigns()
        return self[household_id]

    def drop(self, household_id: str) -> None:
        """Keep nothing of a home any more."""
        self._entries.pop(household_id, None)
        self._awake.pop(household_id, None)

    def rest(self) -> None:
        """Pack those asked for longest ago, where more are at hand than may be."""
        for household_id in list(islice(self._awake, max(0, len(self._awake) - self._awake_max))):
            entry = self._entries[household_id]
            assert isinstance(entry, HomeSigns), "packed ones are not at hand"
            self._entries[household_id] = pack(entry)
            del self._awake[household_id]
