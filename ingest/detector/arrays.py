"""Batches of messages in columns and pulses enter; what needs the plain rule leaves, by index. Pure.

The hot state of devices and of the households they decide about, as arrays that one owner changes: a state is used by
one thread at a time; two threads are two states over two shares of the devices.

Per device: ``rows`` (32 bytes in one piece: 16 that name boot and base, 16 that change with each message; see
``applying``), ``opened_ms`` (8, written at openings), ``supervision_ms`` (4, read when it may be silent) and
``silence`` (4 bytes and 5 bits, of which a message sets one; see ``silence``). Per household: ``watch`` (31 bytes, of
which a pulse reads 5; see ``state``) and ``device_of`` (4).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.detector.applying import (
    ARMED,
    BASE,
    BASE_SHIFT,
    BEAT,
    BOOT,
    DEVIATION_ZERO,
    LAST,
    LAST_SHIFT,
    LIVES,
    PLACE,
    PLACE_SHIFT,
    POSITION_MAX,
    UNCOUNTED,
    WORDS,
    take_rows,
)
from ingest.detector.columns import NO_COUNTER, Columns, Ints
from ingest.detector.pulsing import pulse_doors
from ingest.detector.silence import BITS, LATE_S, SPANS, TURNS, WORDS_OF_BLOCK, Silence
from ingest.detector.state import BLOCK, PULSE_MS, Seconds, WatchState
from kaimen.policy import STEP_MAX_MS

_MAGIC = int.from_bytes(b"KAIMENH3", "little")
#: Numbers at the front of a snapshot: magic, devices, households, policies, pulse, position, words, their sum.
_HEADER_WORDS = 8
#: Numbers that fit the instant's bits of a hot row.
_INSTANT_MAX_MS = 1 << 42
#: A device that may be silent for longer is not armed.
SUPERVISION_MAX_MS = (1 << 31) - 1


#: Rows begin at a multiple of this, so that none lies across two lines of the processor's cache.
_LINE_BYTES = 64


def blank_rows(devices: int) -> Ints:
    """Return disarmed rows of so many devices, shape (D, WORDS), each within one cache line."""
    raw = np.zeros(devices * WORDS + _LINE_BYTES // 8, np.int64)
    skip = -raw.ctypes.data % _LINE_BYTES // 8
    return raw[skip : skip + devices * WORDS].reshape(devices, WORDS)


class SnapshotError(ValueError):
    """Bytes that are no snapshot of ours, or not a whole one."""


class HotState:
    """Devices and households by index; ``grow`` makes room for more without a restart."""

    def __init__(self, devices: int, households: int) -> None:
        self.rows: Ints = blank_rows(devices)
        self.opened_ms: Ints = np.zeros(devices, np.int64)
        self.supervision_ms: NDArray[np.int32] = np.zeros(devices, np.int32)
        self.silence = Silence(devices)
        self.watch = WatchState(households)
        self.device_of: NDArray[np.int32] = np.full(len(self.watch.due_s), -1, np.int32)
        #: The newest pulse, and how far the owner had read when the state was as it is (its own numbering).
        self.pulse_ms = 0
        self.position = 0
        #: When all households of a block were last looked at, in seconds; what is forgotten here costs one look more.
        self._swept_s: Seconds = np.zeros(0, np.uint32)
        self._slow = np.empty(0, np.int64)
        self._found = np.empty(0, np.int64)

    @property
    def devices(self) -> int:
        return len(self.rows)

    @property
    def households(self) -> int:
        return self.watch.count

    def grow(self, devices: int, households: int) -> None:
        """Make room for more devices and households; what is there stays as it is."""
        assert devices >= self.devices and households >= self.households, (devices, households)
        more = devices - self.devices
        rows = blank_rows(devices)
        rows[: self.devices] = self.rows
        self.rows = rows
        self.opened_ms = np.concatenate([self.opened_ms, np.zeros(more, np.int64)])
        self.supervision_ms = np.concatenate([self.supervision_ms, np.zeros(more, np.int32)])
        self.silence.grow(devices)
        self.watch.grow(households)
        size = len(self.watch.due_s) - len(self.device_of)
        self.device_of = np.concatenate([self.device_of, np.full(size, -1, np.int32)])

    def device_bytes(self) -> float:
        """Return what a device takes in all arrays together."""
        whole = (self.rows, self.opened_ms, self.supervision_ms, self.silence.household_of)
        return sum(array.nbytes for array in whole) / self.devices + BITS / 8

    # -- arming ---------------------------------------------------------------------------------------------

    def arm(
        self,
        device: int,
        *,
        boot: int,
        base_ms: int,
        instant_ms: int,
        up_ms: int,
        seq: int,
        opens: int,
        by_heartbeat: bool,
        lives: bool,
    ) -> bool:
        """Let the messages after this point be taken fast; say whether its numbers fit a hot row.

        Whoever arms vouches that the point is the last of the device, that its door was watched up to it, that the
        boot has a synchronised base and is no clone, and that no tamper and, with ``lives``, no passage of others
        or force and no second household has a say in what an opening means.
        """
        deviation = instant_ms - up_ms - base_ms
        fits = (
            0 <= base_ms < _INSTANT_MAX_MS
            and 0 <= instant_ms < _INSTANT_MAX_MS
            and abs(deviation) <= STEP_MAX_MS
            and 0 <= seq < POSITION_MAX
            and NO_COUNTER <= opens < UNCOUNTED
        )
        if not fits:
            self.disarm(device)
            return False
        self.silence.forget_heard(device, (instant_ms + int(self.supervision_ms[device])) // PULSE_MS + 1)
        self.opened_ms[device] = 0
        row = self.rows[device]
        row[BOOT] = boot - (1 << 64) if boot >> 63 else boot
        row[BASE] = base_ms << BASE_SHIFT | ARMED | (LIVES if lives else 0)
        row[LAST] = instant_ms << LAST_SHIFT | (BEAT if by_heartbeat else 0) | (deviation + DEVIATION_ZERO)
        row[PLACE] = seq << PLACE_SHIFT | (opens & UNCOUNTED)
        return True

    def disarm(self, device: int) -> None:
        """Leave every further message of a device over, until it is armed again."""
        self.rows[device, BASE] &= ~ARMED

    def is_armed(self, device: int) -> bool:
        return bool(self.rows[device, BASE] & ARMED)

    def heard_ms(self, device: int) -> int:
        """Return the last instant up to which an armed device's door was watched."""
        return int(self.rows[device, LAST] >> LAST_SHIFT)

    # -- messages and pulses --------------------------------------------------------------------------------

    def apply(self, columns: Columns) -> Ints:
        """Take a batch in order of receipt; return the indices of the messages left over, ascending."""
        if len(self._slow) < len(columns):
            self._slow = np.empty(len(columns), np.int64)
        _, left = self.take_some(columns, 0, len(columns), len(columns) + 1)
        return self._slow[:left].copy()

    def take_some(self, columns: Columns, start: int, stop: int, slow_max: int = 1) -> tuple[int, int]:
        """Take messages until ``slow_max`` are left over; return the first not looked at, and how many are left over.

        The last one looked at is the last one left over.
        """
        if len(self._slow) < min(slow_max, stop - start):
            self._slow = np.empty(max(stop - start, 1), np.int64)
        device, boot, *others = columns.arrays()
        arrays: Any = (device, boot.view(np.int64), *others)
        call: Any = take_rows
        reached, left = call(
            start, stop, *arrays, self.rows, self.opened_ms, self.silence.heard, self.pulse_ms - LATE_S * PULSE_MS,
            self._slow, slow_max,
        )  # fmt: skip
        return reached, left

    def pulse(self, pulse_ms: int) -> Ints:
        """Return the households that the plain rule must judge at ``pulse_ms``; every other due one is armed again."""
        watch = self.watch
        if len(self._found) < len(watch.due_s):
            self._found = np.empty(len(watch.due_s), np.int64)
        if len(self._swept_s) < len(watch.bound_s):
            self._swept_s = np.zeros(len(watch.bound_s), np.uint32)
        silence = self.silence
        self.pulse_ms = pulse_ms
        count = pulse_doors(
            pulse_ms // PULSE_MS, watch.due_s, watch.bound_s, watch.region_s, self._swept_s, self.device_of, self.rows,
            self.opened_ms, self.supervision_ms, silence.household_of, silence.heard, silence.heard_before,
            silence.watched, silence.spans, silence.bound_s, silence.region_s, watch.level, watch.evidence_ms,
            watch.origin_ms, watch.known_until_s, watch.other_due_s, watch.policy, watch.thresholds_ms, self._found,
        )  # fmt: skip
        return self._found[:count].copy()

    def next_due_s(self) -> int:
        """Return the second before which no pulse can find anybody, were nothing more received."""
        return min(self.watch.next_due_s(), self.silence.next_due_s())

    # -- snapshots ------------------------------------------------------------------------------------------

    def _arrays(self) -> list[NDArray[Any]]:
        """List the arrays in the order of a snapshot."""
        watch, silence = self.watch, self.silence
        return [
            self.rows, self.opened_ms, watch.evidence_ms, watch.origin_ms, watch.thresholds_ms, silence.spans,
            silence.heard, silence.heard_before, silence.watched, self.supervision_ms, silence.household_of,
            watch.known_until_s, watch.other_due_s, watch.due_s, self.device_of, watch.policy, watch.level,
        ]  # fmt: skip

    def snapshot(self) -> bytes:
        """Return the state as bytes: a header of 8 numbers, then each array as it lies in memory, 8-byte aligned.

        The numbers (int64, little-endian) are magic, devices, households, policies, ``pulse_ms``, ``position``, the
        words that follow and their sum modulo 2**64. The arrays come widest first, in the order of ``_arrays``.
        """
        return b"".join([part.tobytes() for part in self.snapshot_parts()])

    def snapshot_parts(self) -> list[NDArray[Any]]:
        """Return the snapshot in pieces, for a file to be written without holding it twice."""
        parts = [_padded(array) for array in self._arrays()]
        words = sum(part.size for part in parts)
        header = np.array(
            [
                _MAGIC, self.devices, self.households, len(self.watch.thresholds_ms), self.pulse_ms,
                self.position, words, _sum(parts),
            ],
            np.int64,
        )  # fmt: skip
        return [header, *parts]

    @classmethod
    def from_snapshot(
        cls, stored: Any, *, copy: bool = True, copy_rows: bool | None = None, verify: bool = True
    ) -> HotState:
        """Return the state of a snapshot (bytes, or anything with their buffer).

        With ``copy=False`` the arrays are views: give a private, writable buffer (``numpy.memmap(mode="c")``). The
        rows may be copied even so (``copy_rows=True``): messages in no order would have the system copy each page of
        them by itself.

        Raises
        ------
        SnapshotError
            If it is no snapshot, of another form, cut short or, with ``verify``, changed.
        """
        raw = np.frombuffer(stored, np.uint8) if not isinstance(stored, np.ndarray) else stored.view(np.uint8)
        words = raw[: len(raw) // 8 * 8].view(np.int64)
        if len(words) < _HEADER_WORDS or int(words[0]) != _MAGIC:
            raise SnapshotError("no snapshot of the detector's hot state: write one anew")
        devices, households, policies, pulse_ms, position, count, total = words[1:_HEADER_WORDS].tolist()
        body = words[_HEADER_WORDS:]
        if len(body) != count:
            raise SnapshotError(f"the snapshot has {len(body)} of {count} words: it was cut short")
        if verify and _sum([body]) != total:
            raise SnapshotError("the snapshot's sum is wrong: it was changed")
        state = cls.__new__(cls)
        state.watch = WatchState(0)
        state.watch.count = households
        state.pulse_ms, state.position = pulse_ms, position
        state._slow, state._found = np.empty(0, np.int64), np.empty(0, np.int64)
        state._swept_s = np.zeros(0, np.uint32)
        state._take_arrays(_Reader(body, copy), devices, policies, copy if copy_rows is None else copy_rows)
        return state

    def _take_arrays(self, reader: _Reader, devices: int, policies: int, copy_rows: bool) -> None:
        watch, width = self.watch, self.watch.thresholds_ms.shape[1]
        size = max(1, -(-watch.count // BLOCK)) * BLOCK
        blocks = max(1, -(-devices // BLOCK))
        self.rows = reader.take_rows(devices, copy_rows)
        self.opened_ms = reader.take(np.int64, devices)
        watch.evidence_ms, watch.origin_ms = reader.take(np.int64, size), reader.take(np.int64, size)
        watch.restore_thresholds(reader.take(np.int64, policies * width).reshape(policies, width))
        self.silence = silence = Silence(0)
        silence.devices = devices
        silence.spans = reader.take(np.int64, blocks * SPANS).reshape(blocks, SPANS)
        words = blocks * WORDS_OF_BLOCK
        silence.heard = reader.take(np.uint64, words)
        silence.heard_before = reader.take(np.uint64, TURNS * words).reshape(TURNS, words)
        if copy_rows:  # a message writes there too
            silence.heard = silence.heard.copy()
        silence.watched = reader.take(np.uint64, words)
        self.supervision_ms = reader.take(np.int32, devices)
        silence.household_of = reader.take(np.int32, devices)
        watch.known_until_s, watch.other_due_s = reader.take(np.uint32, size), reader.take(np.uint32, size)
        watch.due_s, self.device_of = reader.take(np.uint32, size), reader.take(np.int32, size)
        watch.policy, watch.level = reader.take(np.uint16, size), reader.take(np.int8, size)
        if not reader.is_done():
            raise SnapshotError("the snapshot's arrays do not fill it: it is of another form")
        watch.make_bounds()
        silence.make_bounds()


class _Reader:
    """Cuts arrays, each beginning on a word, out of a snapshot's body."""

    def __init__(self, body: Ints, copy: bool) -> None:
        self._body = body
        self._copy = copy
        self._at = 0

    def take(self, dtype: Any, count: int) -> NDArray[Any]:
        length = -(-count * np.dtype(dtype).itemsize // 8)
        if self._at + length > len(self._body):
            raise SnapshotError("the snapshot's arrays are longer than it: it is of another form")
        found: NDArray[Any] = self._body[self._at : self._at + length].view(dtype)[:count]
        self._at += length
        return found.copy() if self._copy else found

    def take_rows(self, devices: int, copy: bool) -> Ints:
        """Return the devices' rows, in a buffer that lies as it should."""
        length = devices * WORDS
        if self._at + length > len(self._body):
            raise SnapshotError("the snapshot's arrays are longer than it: it is of another form")
        found = self._body[self._at : self._at + length].reshape(devices, WORDS)
        self._at += length
        if not copy:
            return found
        rows = blank_rows(devices)
        rows[:] = found
        return rows

    def is_done(self) -> bool:
        return self._at == len(self._body)


def _padded(array: NDArray[Any]) -> Ints:
    """Return an array's memory as whole words."""
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    if len(flat) % 8:
        flat = np.concatenate([flat, np.zeros(-len(flat) % 8, np.uint8)])
    return flat.view(np.int64)


def _sum(parts: list[Ints]) -> int:
    total = np.int64(0)
    with np.errstate(over="ignore"):
        for part in parts:
            total = np.add(total, part.sum(dtype=np.int64))
    return int(total)
