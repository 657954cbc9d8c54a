"""Batches of messages enter; which of them the plain detector must take leaves. What went past it, it gets later.

The fast lane beside ``DeviceTrack``: ``HotState`` takes what only prolongs the watching (and openings, where one quiet
household hangs on the door), by reference to the batch. When a device's track is needed it is given, at once and in
order, what went past it; whoever reads a track asks for that first (``settle``). No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingest.detector.arrays import SUPERVISION_MAX_MS, HotState
from ingest.detector.columns import EVENT, NO_COUNTER, Columns, Ints
from ingest.detector.coverage import EVENT as POINT_EVENT
from ingest.detector.coverage import HEARTBEAT as POINT_HEARTBEAT
from ingest.detector.coverage import START, Beat, BootTrack, DeviceTrack, Past, Point, beat_of
from ingest.detector.state import WatchState
from kaimen import wire
from kaimen.policy import CLONE_SPREAD_MS, STEP_MAX_MS

Message = wire.Event | wire.Heartbeat
#: Up to so many messages of a device are looked at one by one.
_FEW = 12


@dataclass
class Batch:
    """Messages in order of receipt, as columns and as they were; ``columns.device`` counts the registry's devices."""

    columns: Columns
    messages: Sequence[Message]
    #: How many were looked at, and which of those were left over.
    reached: int = 0
    left: NDArray[np.bool_] = field(init=False)
    _order: Ints | None = None
    _devices: NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        assert len(self.columns) == len(self.messages), (len(self.columns), len(self.messages))
        self.left = np.zeros(len(self.columns), np.bool_)

    def rows_of(self, device: int, first: int) -> Ints:
        """Return the messages of a device from ``first`` on that went past its track, in order."""
        if self._order is None or self._devices is None:
            self._order = np.argsort(self.columns.device, kind="stable")
            self._devices = self.columns.device[self._order]
        low, high = np.searchsorted(self._devices, [device, device + 1])
        rows: Ints = self._order[low:high]
        return rows[(rows >= first) & (rows < self.reached) & ~self.left[rows]]

    def runs(self) -> Iterator[tuple[int, Ints]]:
        """Yield each device with the messages of it that went past its track, in order."""
        went = np.flatnonzero(~self.left[: self.reached])
        if not len(went):
            return
        devices = self.columns.device[went]
        order = np.argsort(devices, kind="stable")
        went, devices = went[order], devices[order]
        starts = np.flatnonzero(np.diff(devices, prepend=-1)).tolist()
        for low, high in zip(starts, [*starts[1:], len(went)], strict=True):
            yield int(devices[low]), went[low:high]


def past_of(batch: Batch, rows: Ints) -> Past:
    """Return what rows of one device and boot, ascending, tell its track."""
    if len(rows) <= _FEW:
        return _past_of_few(batch, rows.tolist())
    columns = batch.columns
    seq, up, ts = columns.seq[rows], columns.up[rows], columns.ts[rows]
    opens, received = columns.opens[rows], columns.received[rows]
    is_event = columns.kind[rows] == EVENT
    # Of heartbeats at one position with one counter the outer two say everything: events stand between stretches.
    outer = is_event.copy()
    outer[[0, -1]] = True
    outer[1:] |= is_event[:-1]
    outer[:-1] |= is_event[1:]
    events: list[tuple[wire.Event, int]] = []
    points: list[tuple[Point, Beat | None]] = []
    for row, received_ms in zip(rows[outer].tolist(), received[outer].tolist(), strict=True):
        message = batch.messages[row]
        if isinstance(message, wire.Event):
            events.append((message, received_ms))
            counter = NO_COUNTER if message.opens is None else message.opens
            edge = message.is_open_edge
            points.append(((message.seq, POINT_EVENT, message.up, message.ts, counter, edge), None))
        else:
            beat = beat_of(message, received_ms)
            points.append(((beat[3], POINT_HEARTBEAT, beat[0], beat[1], beat[4], False), beat))

    def beats() -> Iterable[Beat]:
        told = (column[~is_event].tolist() for column in (up, ts, seq, opens, received))
        return ((a, b, "ntp", c, d, e, False) for a, b, c, d, e in zip(*told, strict=True))

    base = ts - up
    return Past(
        batch.messages[int(rows[0])].boot, events, points, beats, int(received.max()), int((received - up).min()),
        int(base.min()), int(base.max()),
    )  # fmt: skip


def _past_of_few(batch: Batch, rows: Sequence[int]) -> Past:
    """As ``past_of``, for runs too short for arrays to be worth their while."""
    events: list[tuple[wire.Event, int]] = []
    points: list[tuple[Point, Beat | None]] = []
    told: list[Beat] = []
    bases, receipts, spans = [], [], []
    last = len(rows) - 1
    for index, row in enumerate(rows):
        message, received_ms = batch.messages[row], int(batch.columns.received[row])
        bases.append(message.ts - message.up)
        receipts.append(received_ms)
        spans.append(received_ms - message.up)
        if isinstance(message, wire.Event):
            events.append((message, received_ms))
            counter = NO_COUNTER if message.opens is None else message.opens
            edge = message.is_open_edge
            points.append(((message.seq, POINT_EVENT, message.up, message.ts, counter, edge), None))
            continue
        beat = beat_of(message, received_ms)
        told.append(beat)
        between = 0 < index < last and not any(
            isinstance(batch.messages[rows[beside]], wire.Event) for beside in (index - 1, index + 1)
        )
        if not between:
            points.append(((beat[3], POINT_HEARTBEAT, beat[0], beat[1], beat[4], False), beat))

    def beats() -> Iterable[Beat]:
        return told

    return Past(
        batch.messages[rows[0]].boot, events, points, beats, max(receipts), min(spans), min(bases), max(bases)
    )


class FastLane:
    """The devices of one registry beside their tracks; thrown away when the registry changes."""

    def __init__(
        self, device_ids: Sequence[str], tracks: Mapping[str, DeviceTrack], watch: WatchState
    ) -> None:
        self._device_ids = list(device_ids)
        self._tracks = [tracks[device_id] for device_id in device_ids]
        self.index = {device_id: number for number, device_id in enumerate(device_ids)}
        self.hot = HotState(len(device_ids), 0)
        self.hot.watch = watch
        self.hot.device_of = np.full(len(watch.due_s), -1, np.int32)
        self.hot.supervision_ms[:] = [min(track.supervision_ms, SUPERVISION_MAX_MS) for track in self._tracks]
        self._batches: list[Batch] = []
        #: Per device: the batch and the row in it up to which its track knows everything.
        self._known = np.zeros((len(device_ids), 2), np.int64)
        #: The devices of which something may have gone past the track since it was last told.
        self._owing: set[int] = set()

    def take(self, batch: Batch, stop: int) -> int | None:
        """Take messages of a batch up to ``stop`` (excluded); return the first that is left over, None if none is."""
        if batch.reached >= stop:
            return None
        if not self._batches or self._batches[-1] is not batch:
            self._batches.append(batch)
        reached, left = self.hot.take_some(batch.columns, batch.reached, stop)
        batch.reached = reached
        if not left:
            return None
        batch.left[reached - 1] = True
        return reached - 1

    def settle(self, device_id: str) -> list[BootTrack]:
        """Give a device's track what went past it; return the boots that this told of."""
        device = self.index.get(device_id)
        if device not in self._owing or device is None or not self._batches:
            return []
        track = self._tracks[device]
        number, row = self._known[device].tolist()
        self._known[device] = len(self._batches) - 1, self._batches[-1].reached
        boots: list[BootTrack] = []
        for batch in self._batches[number:]:
            rows = batch.rows_of(device, row)
            row = 0
            if len(rows):
                past = past_of(batch, rows)
                track.prolong(past)
                boots.append(track.boots[past.boot])
        return boots

    def settle_all(self) -> Iterator[tuple[str, BootTrack]]:
        """Give every track what went past it and let go of the batches; yield the boots that this told of."""
        known = self._known
        for number, batch in enumerate(self._batches):
            for device, rows in batch.runs():
                known_number, known_row = known[device].tolist()
                if known_number > number:
                    continue
                fresh = rows[rows >= known_row] if known_number == number and known_row else rows
                if len(fresh):
                    past = past_of(batch, fresh)
                    track = self._tracks[device]
                    track.prolong(past)
                    yield self._device_ids[device], track.boots[past.boot]
        last = self._batches[-1:]
        if last and last[0].reached == len(last[0].columns):
            last = []  # nothing of it is to come
        self._batches = last
        known[:] = 0, (last[0].reached if last else 0)

    # -- arming ---------------------------------------------------------------------------------------------

    def leave(self, device_id: str) -> list[BootTrack]:
        """Give a device's track what went past it, and leave over what the device says next."""
        device = self.index.get(device_id)
        if device is None:
            return []
        boots = self.settle(device_id)
        self.hot.disarm(device)
        self._owing.discard(device)
        return boots

    def is_left_over(self, batch: Batch) -> bool:
        """Say whether the next message of a batch is of a device that goes past nothing now; if so it is looked at."""
        row = batch.reached
        if self.hot.is_armed(int(batch.columns.device[row])):
            return False
        batch.left[row] = True
        batch.reached = row + 1
        return True

    def disarm(self, device_id: str) -> None:
        """Leave over what the device says next."""
        device = self.index.get(device_id)
        if device is not None:
            self.hot.disarm(device)

    def arm(self, device_id: str, *, lives: bool) -> bool:
        """Let the device's next messages go past its track, if it stands so that they may; say whether they do.

        ``lives``: openings may, too, because all that hangs on them is one quiet household.
        """
        device = self.index.get(device_id)
        if device is None:
            return False
        self.hot.disarm(device)
        track = self._tracks[device]
        boot = speaking_boot(track)
        if boot is None or not may_go_on(track, boot) or track.supervision_ms > SUPERVISION_MAX_MS:
            return False
        position, kind, up_ms, instant_ms, opens, _ = boot.last_point()
        self._owing.add(device)
        return self.hot.arm(
            device,
            boot=int(boot.boot, 16),
            base_ms=boot.base_ms(),
            instant_ms=instant_ms,
            up_ms=up_ms,
            seq=position,
            opens=opens,
            by_heartbeat=kind != POINT_EVENT,
            lives=lives,
        )


def speaking_boot(track: DeviceTrack) -> BootTrack | None:
    """Return the boot whose last point is the last instant the device was watched, None where there is none."""
    watched, heard_ms = track.watched(), track.heard_ms()
    if not watched or watched[-1][1] != heard_ms:
        return None
    for boot in reversed(track.boots.values()):
        if not boot.cloned() and boot.last_point()[3] == heard_ms:
            return boot
    return None


def may_go_on(track: DeviceTrack, boot: BootTrack) -> bool:
    """Say whether a sound next message of this boot could only prolong the watching, whatever it says."""
    position, kind, up_ms, instant_ms, _, _ = boot.last_point()
    if kind == START or boot.ntp_up_ms is None or up_ms < boot.ntp_up_ms:
        return False
    if track.tampers and track.tampered_spans()[-1][1] > instant_ms:
        return False
    if boot.highest_seq() > position:  # an implausible one waits there
        return False
    assert boot.ntp_base_min_ms is not None and boot.ntp_base_max_ms is not None
    base_ms = boot.base_ms()
    above = max(boot.ntp_base_max_ms - base_ms, STEP_MAX_MS)
    below = max(base_ms - boot.ntp_base_min_ms, STEP_MAX_MS)
    return above + below <= CLONE_SPREAD_MS
