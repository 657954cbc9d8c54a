"""The detector's hot state: households enter; room, messages, pulses in service and restart, as rates, leave."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from console.benches.detect_peers import BATCH_MAX, START_MS, Peers
from console.benches.measuring import Peer, Report, least_mean, precise, seconds, seconds_cold
from console.benches.service import LOOKED_AT_WITHIN_S, MIX, LeftOverError, Service
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
from ingest.detector.arrays import HotState, blank_rows
from ingest.detector.columns import CLOSED, EVENT, HEARTBEAT, NTP, OPEN, RESIDENT, Columns
from ingest.detector.compiled import compiled
from kaimen.policy import DAY_MS, THRESHOLDS_DEFAULT_MS

SUPERVISION_MS = 180_000
_UP_MS = 30 * DAY_MS
_FIRST_SEQ = 1_000
#: Messages that came after the snapshot was written, and in what time ten million doors say so many.
_TAIL, _TAIL_MS = 1_000_000, 6_000
#: Seconds of service until each household was looked at, until pulses are as they stay, and those that are told.
_STARTED_FOR_S, _WARMED_UP_FOR_S, _MEASURED_FOR_S = LOOKED_AT_WITHIN_S + 5, 50, 100
_PEER_HOUSEHOLDS = 10_000_000
#: Above this many households what would need the state's room once more is left out.
WHOLE_HOUSEHOLDS_MAX = 20_000_000


def bench_hot(households: int, report: Report, peers: Peers) -> None:
    """Measure so many doors with coverage, beside peers that keep the last opening."""
    with report.preparing(f"{households:,} doors and households"):
        state = armed_state(households)
    _bench_room(state, report, peers)
    _bench_messages([state], state.households, report, peers)
    if households > WHOLE_HOUSEHOLDS_MAX:
        report.leave_out("restart", "the snapshot would fill the memory once more, as pages of its file")
        _bench_coverage_pulse(state, report)
        del state  # two more states have no room beside it
        _bench_two_threads(households, report, peers)
        return
    _bench_two_threads(households, report, peers)
    _bench_coverage_pulse(state, report)
    _bench_restart(state, report, peers)


def armed_state(households: int) -> HotState:
    """Make one door for each household, heard at the start, and ready for messages."""
    state = HotState(households, households)
    state.watch.set_thresholds(0, THRESHOLDS_DEFAULT_MS)
    state.watch.level[:households] = 0
    state.watch.due_s[:households] = (START_MS + DAY_MS) // 1000
    state.watch.make_bounds()
    state.device_of[:households] = np.arange(households, dtype=np.int32)
    state.supervision_ms[:] = SUPERVISION_MS
    state.rows[:, BOOT] = state.device_of[:households]
    state.rows[:, BOOT] += 1
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

    def advance(self, by_ms: int = 60_000) -> Columns:
        """Return the next batch."""
        columns = self.columns
        for column in (columns.up, columns.ts, columns.received):
            column += by_ms
        if self._is_event:
            columns.seq[:] += 1
            columns.opens[:] += 1
        return columns


def _bench_coverage_pulse(state: HotState, report: Report) -> None:
    """Minutes in service: what is said and what falls due in them, see ``service``."""
    with report.preparing("minutes of service, until pulses are as they stay"):
        service = Service(state, START_MS - _UP_MS)
        for _ in range(_STARTED_FOR_S):
            service.second()
        service.age()
        for _ in range(_WARMED_UP_FOR_S):
            service.second()
    left, cpu_s = service.left, service.cpu_s
    spans = [service.second() for _ in range(_MEASURED_FOR_S)]
    took, million = least_mean(spans, 2), state.households / 1e6
    limit = seconds(lambda: int(state.silence.heard.sum()))
    of = min(state.households, _PEER_HOUSEHOLDS)
    peer = Peer("numpy, the same", of / 1e6 / seconds(_pulse_in_numpy(state, of)), f"on {of:,} households")
    name = f"pulse of one second in service, coverage on, {MIX}, {state.households:,} households"
    report.add(
        name, million / took, "M households/s", million / limit, [peer], seconds=precise(took),
        longest_s=precise(max(spans)), median_s=precise(float(np.median(spans))),
        cpu_s=precise((service.cpu_s - cpu_s) / len(spans)), left_to_the_plain_rule=service.left - left,
    )  # fmt: skip


def _pulse_in_numpy(state: HotState, count: int) -> Callable[[], None]:
    """Whole-array form of a pulse in service: find who is due or silent in bare columns, and arm again who is not."""
    due_s, opened_ms = state.watch.due_s[:count].copy(), state.opened_ms[:count]
    heard_s = ((state.rows[:count, LAST] >> LAST_SHIFT) // 1000).astype(np.uint32)
    second = state.pulse_ms // 1000

    def pulse() -> None:
        nonlocal second
        second += 1
        late = np.flatnonzero(due_s <= second)
        due_s[late] = -(-(opened_ms[late] + DAY_MS) // 1000)
        # Nobody says anything while this is measured: who was heard then is heard now.
        if (heard_s < state.pulse_ms // 1000 - 10 * SUPERVISION_MS // 1000).any():
            raise LeftOverError("households in numpy")

    return pulse


def _bench_room(state: HotState, report: Report, peers: Peers) -> None:
    watch = state.watch
    whole_each = state.device_bytes() + watch.all_bytes() + state.device_of.itemsize
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


def _bench_two_threads(households: int, report: Report, peers: Peers) -> None:
    """Two threads, each over a state of its own with half of the doors."""
    if (os.cpu_count() or 1) > 1:
        halves = [armed_state(households // 2) for _ in range(2)]
        _bench_messages(halves, households, report, peers)


def _bench_messages(shares: list[HotState], households: int, report: Report, peers: Peers) -> None:
    threads = len(shares)
    size = min(shares[0].devices, BATCH_MAX // threads)
    for kind, what in ((HEARTBEAT, "heartbeats"), (EVENT, "openings")):
        streams = [Stream(share, kind, size=size, seed=17 + number) for number, share in enumerate(shares)]
        scratch = [blank_rows(min(share.devices, WHOLE_HOUSEHOLDS_MAX)) for share in shares]
        with ThreadPoolExecutor(threads) as pool:
            took = min(_time_batches(pool, shares, streams) for _ in range(5))
            devices = [
                stream.columns.device % len(rows) for stream, rows in zip(streams, scratch, strict=True)
            ]
            limit = seconds(lambda devices=devices, scratch=scratch: list(pool.map(_touch, devices, scratch)))  # type: ignore[misc]
        of = "1 thread" if threads == 1 else f"{threads} threads, a share of the doors each"
        name = f"{what} with coverage, {size * threads:,} in no order, {households:,} households, {of}"
        million = size * threads / 1e6
        report.add(name, million / took, "M messages/s", million / limit, peers.apply, seconds=precise(took))


def _time_batches(pool: ThreadPoolExecutor, shares: list[HotState], streams: list[Stream]) -> float:
    batches = [stream.advance() for stream in streams]
    left: list[Any] = []

    def work() -> None:
        left[:] = pool.map(HotState.apply, shares, batches)

    took = seconds_cold(work)
    if any(map(len, left)):
        raise LeftOverError(f"{sum(map(len, left))} messages")
    return took


def _bench_restart(state: HotState, report: Report, peers: Peers) -> None:
    with tempfile.TemporaryDirectory(prefix="kaimen-bench-") as scratch:
        path = Path(scratch) / "hot"
        with report.preparing("snapshot to a file"), path.open("wb") as file:
            for part in state.snapshot_parts():
                part.tofile(file)

        tail = Stream(state, HEARTBEAT, size=min(state.devices, _TAIL), seed=23).advance(_TAIL_MS)
        at_ms = state.pulse_ms + _TAIL_MS + 1000
        listed: list[NDArray[np.int64]] = []

        def go_on(found: HotState) -> None:
            left = len(found.apply(tail))
            if left:
                raise LeftOverError(f"{left} messages after the restart")
            listed.append(found.pulse(at_ms))

        def ready() -> None:
            mapped = np.memmap(path, dtype=np.uint8, mode="c")
            found = HotState.from_snapshot(mapped, copy=False, copy_rows=True)
            assert found.households == state.households
            go_on(found)

        took = seconds(ready, 3)
        limit = seconds(lambda: int(np.memmap(path, np.int64, mode="r").sum()), 3)
        # Some doors of the mix lost one beat after another: whoever goes on without a restart lists their homes as well.
        go_on(state)
        missed = np.setdiff1d(listed[-1], listed[0])
        if len(missed):
            raise LeftOverError(f"{len(missed)} households that a state without a restart lists")
    million = state.households / 1e6
    name = (
        f"restart from a snapshot, checked, with the {len(tail):,} messages since, to the first pulse, "
        f"{state.households:,} households"
    )
    report.add(name, million / took, "M households/s", million / limit, peers.ready, seconds=precise(took))
