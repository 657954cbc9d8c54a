"""The detector's hot state: households enter; room, messages, pulses in service and restart, as rates, leave."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from console.benches.detect_peers import BATCH_MAX, START_MS, Peers
from console.benches.measuring import Peer, Report, precise, seconds, seconds_cold
from console.benches.pulses import watching
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
)
from ingest.detector.arrays import HotState
from ingest.detector.columns import CLOSED, EVENT, HEARTBEAT, NTP, OPEN, RESIDENT, Columns
from ingest.detector.compiled import compiled
from ingest.detector.state import BLOCK
from kaimen.policy import DAY_MS

SUPERVISION_MS = 180_000
_UP_MS = 30 * DAY_MS
_FIRST_SEQ = 1_000
#: Seconds of service until pulses are as they stay, and those whose mean and longest are told.
_WARMED_UP_FOR_S, _MEASURED_FOR_S = 180, 180


class LeftOverError(AssertionError):
    """Something was left to the plain rule: then the time says nothing of the fast one."""


def bench_hot(households: int, report: Report, peers: Peers) -> None:
    """Measure so many doors with coverage, beside peers that keep the last opening."""
    with report.preparing(f"{households:,} doors and households"):
        state = armed_state(households)
    _bench_room(state, report, peers)
    _bench_apply(state, report, peers)
    _bench_coverage_pulse(state, report)
    _bench_restart(state, report, peers)


def armed_state(households: int) -> HotState:
    """Make one door for each household, heard at the start, and ready for messages."""
    state = HotState(households, households)
    watching(state.watch, households)
    index = np.arange(households, dtype=np.int64)
    state.device_of[:households] = index
    state.supervision_ms[:] = SUPERVISION_MS
    state.rows[:, BOOT] = index + 1
    state.rows[:, BASE] = (START_MS - _UP_MS) << BASE_SHIFT | ARMED | LIVES
    state.rows[:, LAST] = START_MS << LAST_SHIFT | BEAT | DEVIATION_ZERO
    state.rows[:, PLACE] = _FIRST_SEQ << PLACE_SHIFT
    return state


class Stream:
    """Batches in which each of some doors says one thing, again and again, a minute apart."""

    def __init__(self, state: HotState, kind: int, *, size: int, seed: int) -> None:
        doors = np.random.default_rng(seed).permutation(state.devices)[:size].astype(np.int32)
        place = state.rows[doors, PLACE]
        up = (state.rows[doors, LAST] >> LAST_SHIFT) - (START_MS - _UP_MS)
        whole = np.ones(size, np.uint8)
        self._is_event = kind == EVENT
        self.columns = Columns(
            device=doors,
            boot=state.rows[doors, BOOT].astype(np.uint64),
            kind=whole * kind,
            seq=place >> PLACE_SHIFT,
            up=up,
            ts=up + (START_MS - _UP_MS),
            clk=whole * NTP,
            type=whole * (OPEN if self._is_event else CLOSED),
            cls=whole * RESIDENT,
            remote=np.zeros(size, np.bool_),
            opens=place & 0xFFFFFFFF,
            received=up + (START_MS - _UP_MS) + 40,
        )

    def advance(self) -> Columns:
        """Return the next batch."""
        columns = self.columns
        for column in (columns.up, columns.ts, columns.received):
            column += 60_000
        if self._is_event:
            columns.seq[:] += 1
            columns.opens[:] += 1
        return columns


def _bench_coverage_pulse(state: HotState, report: Report) -> None:
    """Minutes in service: each door is heard once a minute, so that every household must be looked at within three."""
    _stand_in_service(state)
    watch, count = state.watch, state.households
    second_ms = state.pulse_ms
    spans: list[float] = []
    for number in range(_WARMED_UP_FOR_S + _MEASURED_FOR_S):
        second_ms += 1000
        state.rows[number % 60 :: 60, LAST] = (second_ms - 1) << LAST_SHIFT | BEAT | DEVIATION_ZERO
        start = time.perf_counter()
        left = len(state.pulse(second_ms))
        if number >= _WARMED_UP_FOR_S:
            spans.append(time.perf_counter() - start)
        if left:
            raise LeftOverError(f"{left} households")
    took = sum(spans) / len(spans)
    limit = seconds(lambda: int(watch.due_s.sum()))
    million = count / 1e6
    due_s = watch.due_s[:count]
    due_s[:] = second_ms // 1000 + np.random.default_rng(13).integers(1, SUPERVISION_MS // 1000, count)
    peer = Peer("numpy, the same", million / seconds(_pulse_in_numpy(state, second_ms)))
    name = f"pulse of one second in service, coverage on, each door heard once a minute, {count:,} households"
    report.add(
        name, million / took, "M households/s", million / limit, [peer], seconds=precise(took),
        longest_s=precise(max(spans)),
    )  # fmt: skip


def _stand_in_service(state: HotState) -> None:
    """Let each door have been heard within the last minute, and each household be due at some second of the next three."""
    chance = np.random.default_rng(13)
    watch, count = state.watch, state.households
    now_ms = int((state.rows[:, LAST] >> LAST_SHIFT).max()) // 1000 * 1000 + 1000
    watch.due_s[:count] = now_ms // 1000 + chance.integers(1, SUPERVISION_MS // 1000, count)
    watch.known_until_ms[:count] = watch.due_s[:count].astype(np.int64) * 1000 - 1
    state.rows[:, LAST] = (
        (now_ms - 1 - chance.integers(0, 60_000, count)) << LAST_SHIFT | BEAT | DEVIATION_ZERO
    )
    state.opened_ms[:] = 0
    watch.origin_ms[:count] = watch.evidence_ms[:count] = now_ms - chance.integers(0, DAY_MS // 2, count)
    watch.bound_s[:] = watch.due_s.reshape(len(watch.bound_s), BLOCK).min(axis=1)
    state.pulse_ms = now_ms


def _pulse_in_numpy(state: HotState, from_ms: int) -> Callable[[], None]:
    """Whole-array form of a pulse in service: find who is due, look when the door was heard, arm again."""
    watch, count = state.watch, state.households
    due_s, heard_ms = watch.due_s[:count], state.rows[:, LAST]
    second = from_ms

    def pulse() -> None:
        nonlocal second
        second += 1000
        late = np.flatnonzero(due_s <= second // 1000)
        watch.known_until_ms[late] = (heard_ms[late] >> LAST_SHIFT) + SUPERVISION_MS
        inactive_ms = second - watch.origin_ms[late]
        if (inactive_ms >= DAY_MS).any() or (watch.known_until_ms[late] < second).any():
            raise LeftOverError("households in numpy")
        next_ms = np.minimum(watch.known_until_ms[late] + 1, watch.origin_ms[late] + DAY_MS)
        due_s[late] = -(-next_ms // 1000)

    return pulse


def _bench_room(state: HotState, report: Report, peers: Peers) -> None:
    watch = state.watch
    whole = state.rows.nbytes + state.opened_ms.nbytes + state.supervision_ms.nbytes
    whole_each = whole / state.devices + watch.all_bytes() + state.device_of.itemsize
    report.add(
        "room, a household and its door with coverage", 1e3 / whole_each, "M households/GB",
        1e3 / 8, peers.room, bytes_per_household=round(whole_each, 1), bytes_read_by_a_pulse=watch.hot_bytes(),
    )  # fmt: skip


@compiled
def _touch(device: NDArray[np.int32], rows: NDArray[np.int64]) -> int:
    """Change one word of each door's row in the order of the batch: what no program that keeps a state can beat."""
    touched = 0
    for index in range(device.shape[0]):
        rows[device[index], 0] += 1
        touched += 1
    return touched


def _bench_apply(state: HotState, report: Report, peers: Peers) -> None:
    size = min(state.devices, BATCH_MAX)
    for kind, what in ((HEARTBEAT, "heartbeats"), (EVENT, "openings")):
        stream = Stream(state, kind, size=size, seed=17)
        took = min(_time_batch(state, stream) for _ in range(5))
        scratch = np.zeros_like(state.rows)
        limit = seconds(lambda scratch=scratch, stream=stream: _touch(stream.columns.device, scratch))  # type: ignore[misc]
        name = f"{what} with coverage, {size:,} in no order, {state.households:,} households"
        million = size / 1e6
        report.add(name, million / took, "M messages/s", million / limit, peers.apply, seconds=precise(took))


def _time_batch(state: HotState, stream: Stream) -> float:
    columns = stream.advance()
    left: Any = None

    def work() -> None:
        nonlocal left
        left = state.apply(columns)

    took = seconds_cold(work)
    if len(left):
        raise LeftOverError(f"{len(left)} of {len(columns)} messages")
    return took


def _bench_restart(state: HotState, report: Report, peers: Peers) -> None:
    with tempfile.TemporaryDirectory(prefix="kaimen-bench-") as scratch:
        path = Path(scratch) / "hot"
        with report.preparing("snapshot to a file"), path.open("wb") as file:
            for part in state.snapshot_parts():
                part.tofile(file)

        def ready() -> None:
            mapped = np.memmap(path, dtype=np.uint8, mode="c")
            found = HotState.from_snapshot(mapped, copy=False)
            assert found.households == state.households
            found.pulse(state.pulse_ms + 1000)

        took = seconds(ready, 3)
        limit = seconds(lambda: int(np.memmap(path, np.int64, mode="r").sum()), 3)
    million = state.households / 1e6
    name = f"restart from a snapshot to the first pulse, checked, {state.households:,} households"
    report.add(name, million / took, "M households/s", million / limit, peers.ready, seconds=precise(took))
