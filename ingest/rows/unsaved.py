"""Coverage that changes with every heartbeat enters; what must be written in this turn leaves.

Heartbeats are never rows: a stretch of them is two points, written when it begins and then now and again.
"""

from __future__ import annotations

from collections.abc import Hashable, ItemsView, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from ingest.detector import BootBase, CoveragePoint, Detector
from ingest.detector.engine import Passed
from ingest.store import DeviceNote, Turn
from kaimen import wire

#: Folded heartbeats older than this are written early, as long as there are few.
EARLY_FLUSH_MS = 60_000
#: Different words of devices kept at once.
SAYINGS_MAX = 10_000
#: Sleeping devices whose heartbeats one turn writes: so many, and that part of all. Turns come every second.
PASSED_PER_TURN, PASSED_PART = 200, 300
#: Devices' words that have waited their time one turn writes: the others wait for the next.
NOTED_PER_TURN, NOTED_PART = 1_000, 200

_encoder = msgspec.msgpack.Encoder()
#: What ``Told.packed`` says after the receipt.
_NOTED = ("battery", "signal", "firmware", "unsent", "first_seq", "clock", "clock_implausible", "basis")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Unsaved(Generic[K, V]):
    """Values that change often and are written seldom: at once when new, else after a while."""

    def __init__(self, flush_ms: int) -> None:
        self._flush_ms = flush_ms
        self._waiting: dict[K, tuple[int, V]] = {}  # in the order in which they began to wait
        self._urgent: dict[K, V] = {}

    def offer(self, key: K, value: V, at_ms: int, *, urgent: bool) -> None:
        """Note the newest value; ``urgent`` ones are written with the next turn."""
        since_ms, _ = self._waiting.get(key, (at_ms, value))
        self._waiting[key] = (since_ms, value)
        if urgent or key in self._urgent:
            self._urgent[key] = value

    def due(self, now_ms: int, *, within_ms: int | None = None, rows_max: int | None = None) -> list[V]:
        """Return what is to be written: what is urgent, and what has waited ``within_ms`` (default: its time)."""
        span_ms = self._flush_ms if within_ms is None else min(self._flush_ms, within_ms)
        found = dict(self._urgent)
        for key, (since_ms, value) in self._waiting.items():
            if now_ms - since_ms < span_ms or (rows_max is not None and len(found) >= rows_max):
                break
            found[key] = value
        return list(found.values())

    def waiting(self) -> ItemsView[K, tuple[int, V]]:
        """Return what waits, each with since when."""
        return self._waiting.items()

    def everything(self) -> list[V]:
        return [value for _, value in self._waiting.values()]

    def confirm(self, pairs: Iterable[tuple[K, V]]) -> None:
        """Note what is committed; what was heard since stays."""
        for key, value in pairs:
            if self._urgent.get(key) is value:
                del self._urgent[key]
            waiting = self._waiting.get(key)
            if waiting is not None and waiting[1] is value:
                del self._waiting[key]
        if not self._urgent:
            self._urgent = {}  # a start makes all urgent, and a dictionary stays as large as it was


PointKey = tuple[str, str, int, int, int]


def _point_key(point: CoveragePoint) -> PointKey:
    return (point.device_id, point.boot, point.seq_last, point.opens, point.first_up_ms)


def _boot_key(base: BootBase) -> tuple[str, str]:
    return (base.device_id, base.boot)


def _base_of(base: BootBase) -> tuple[str | int | None, ...]:
    return (
        base.boot, base.ntp_up_ms, base.ntp_ts_ms, base.ntp_base_min_ms, base.ntp_base_max_ms, base.received_base_ms,
        base.rtc_base_ms,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """The newest heartbeat of a device, for what it says of the device itself."""

    device_id: str
    heartbeat: wire.Heartbeat
    received_ms: int
    plausible: bool

    def at_once(self) -> tuple[Any, ...]:
        """Return the part whose change people should see at once; the rest may wait."""
        heartbeat = self.heartbeat
        return (heartbeat.fw, heartbeat.clk, self.plausible, heartbeat.basis, bool(heartbeat.unsent))

    def packed(self) -> bytes:
        """Return what ``note_of`` needs: of each device it waits for minutes, and an object each would be most of it."""
        heartbeat = self.heartbeat
        return _encoder.encode(
            (
                self.received_ms, heartbeat.batt, heartbeat.rssi, heartbeat.fw, heartbeat.unsent, heartbeat.first_seq,
                heartbeat.clk, not self.plausible, heartbeat.basis,
            )
        )  # fmt: skip


def note_of(device_id: str, packed: bytes) -> DeviceNote:
    """Return what a device's newest heartbeat says of the device itself."""
    received_ms, *values = msgspec.msgpack.decode(packed)
    told = {name: value for name, value in zip(_NOTED, values, strict=True) if value is not None}
    return DeviceNote(device_id, None, received_ms, told)


class Notes:
    """As ``Unsaved``, of devices' packed words: since when one waits stands in its first eight bytes."""

    def __init__(self, flush_ms: int) -> None:
        self._flush_ms = flush_ms
        self._waiting: dict[str, bytes] = {}  # in the order in which they began to wait
        self._urgent: dict[str, bytes] = {}

    def offer(self, device_id: str, packed: bytes, at_ms: int, *, urgent: bool) -> None:
        """Note the newest words; ``urgent`` ones are written with the next turn."""
        before = self._waiting.get(device_id)
        value = (at_ms.to_bytes(8, "big", signed=True) if before is None else before[:8]) + packed
        self._waiting[device_id] = value
        if urgent or device_id in self._urgent:
            self._urgent[device_id] = value

    def due(self, now_ms: int) -> list[tuple[str, bytes]]:
        """Return what is urgent, and what has waited its time."""
        found = dict(self._urgent)
        rows_max = len(found) + NOTED_PER_TURN + len(self._waiting) // NOTED_PART
        for device_id, value in self._waiting.items():
            waited_ms = now_ms - int.from_bytes(value[:8], "big", signed=True)
            if waited_ms < self._flush_ms or len(found) >= rows_max:
                break
            found[device_id] = value
        return list(found.items())

    def everything(self) -> list[tuple[str, bytes]]:
        return list(self._waiting.items())

    def confirm(self, written: Iterable[tuple[str, bytes]]) -> None:
        """Note what is committed; what was said since stays."""
        for device_id, value in written:
            if self._urgent.get(device_id) is value:
                del self._urgent[device_id]
            if self._waiting.get(device_id) is value:
                del self._waiting[device_id]
        if not self._urgent:
            self._urgent = {}


class Coverage:
    """What the detector folded and the database does not have yet; outlives a thrown-away detector."""

    def __init__(self, flush_ms: int) -> None:
        self.flush_ms = flush_ms
        self.points: Unsaved[PointKey, CoveragePoint] = Unsaved(flush_ms)
        self.boots: Unsaved[tuple[str, str], BootBase] = Unsaved(flush_ms)
        self.told = Notes(flush_ms)
        self._in_turn: list[tuple[str, bytes]] = []
        #: Of each device what was written last, as the hash of its key and of its base: whatever differs is urgent.
        self._newest_key: dict[str, int] = {}
        self._written_base: dict[str, int] = {}
        self._said: dict[str, tuple[Any, ...]] = {}
        #: Devices say the same: each saying is kept once.
        self._sayings: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def take_passed(self, passed: Passed) -> None:
        """Take over what is to be written of devices that slept: it has waited long enough."""
        points, bases = passed
        for point in points:
            self.points.offer(_point_key(point), point, point.last_received_ms, urgent=True)
        for base in bases:
            self.boots.offer(_boot_key(base), base, base.newest_received_ms, urgent=True)

    def collect(self, detector: Detector, *, since_ms: int = 0) -> None:
        """Take over what changed in the detector, and what waits of its sleeping devices since before an instant."""
        points, told = detector.take_changed_points(), detector.take_told()
        self.take_passed(detector.take_passed(since_ms, PASSED_PER_TURN + len(self._said) // PASSED_PART))
        for point in points:
            key = _point_key(point)
            # What went past a device that slept has waited long enough.
            urgent = self._newest_key.get(point.device_id) != hash(key) or point.device_id in told
            self.points.offer(key, point, point.last_received_ms, urgent=urgent)
        for base in detector.take_changed_boots():
            urgent = self._written_base.get(base.device_id) != hash(_base_of(base)) or base.device_id in told
            self.boots.offer(_boot_key(base), base, base.newest_received_ms, urgent=urgent)

    def note(self, told: Told) -> None:
        """Note what a heartbeat says of its device."""
        said = told.at_once()
        before = self._said.get(told.device_id)
        self.told.offer(told.device_id, told.packed(), told.received_ms, urgent=before != said)
        if before != said:
            if len(self._sayings) > SAYINGS_MAX:
                self._sayings.clear()
            self._said[told.device_id] = self._sayings.setdefault(said, said)

    def fill(self, turn: Turn, *, early_rows: int = 0, everything: bool = False) -> None:
        """Put into the turn what is due; with room left, what would be due soon."""
        if everything:
            turn.points, turn.boots = self.points.everything(), self.boots.everything()
            self._in_turn = self.told.everything()
        else:
            within_ms, rows_max = (EARLY_FLUSH_MS, early_rows) if early_rows else (None, None)
            turn.points = self.points.due(turn.now_ms, within_ms=within_ms, rows_max=rows_max)
            turn.boots = self.boots.due(turn.now_ms, within_ms=within_ms, rows_max=rows_max)
            self._in_turn = self.told.due(turn.now_ms)
        turn.notes = [note for note in turn.notes if note.status is not None]
        turn.notes += [note_of(device_id, value[8:]) for device_id, value in self._in_turn]

    def add(self, turn: Turn, devices: frozenset[str]) -> None:
        """Put into a turn that is filled all else that waits of some devices."""
        points = {_point_key(point) for point in turn.points}
        theirs = [(key, point) for key, (_, point) in self.points.waiting() if key[0] in devices]
        turn.points += [point for key, point in theirs if key not in points]
        boots = {_boot_key(base) for base in turn.boots}
        bases = [(key, base) for key, (_, base) in self.boots.waiting() if key[0] in devices]
        turn.boots += [base for key, base in bases if key not in boots]

    def confirm(self, turn: Turn) -> None:
        """The turn is committed."""
        self.points.confirm((_point_key(point), point) for point in turn.points)
        for point in turn.points:
            self._newest_key[point.device_id] = hash(_point_key(point))
        self.boots.confirm((_boot_key(base), base) for base in turn.boots)
        for base in turn.boots:
            self._written_base[base.device_id] = hash(_base_of(base))
        self.told.confirm(self._in_turn)
