"""Watched households enter; how fast a pulse passes over them where nothing is due, leaves."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from console.benches.detect_peers import START_MS, Peers
from console.benches.measuring import REPEATS, Peer, Report, least_mean, precise, seconds, seconds_cold
from ingest.detector import kernel
from ingest.detector.arrays import HotState
from ingest.detector.state import BLOCK, WatchState
from kaimen.policy import DAY_MS, THRESHOLDS_DEFAULT_MS

_AT_ONCE = 1 << 20
_ONE_IN = 1_000
_OPENINGS_A_DAY = 10
_WARMED_UP_MINUTES, _MEASURED_FOR_S = 480, 120


def watching(watch: WatchState, count: int, seed: int = 7) -> None:
    """Let households stand somewhere in the first half of their first day, heard for long."""
    chance = np.random.default_rng(seed)
    watch.set_thresholds(0, THRESHOLDS_DEFAULT_MS)
    for low in range(
        0, len(watch.due_s), _AT_ONCE
    ):  # whole arrays on the way would take as much as the state
        part = slice(low, min(low + _AT_ONCE, len(watch.due_s)))
        since_ms = START_MS + chance.integers(0, DAY_MS // 2, part.stop - low)
        watch.origin_ms[part] = watch.evidence_ms[part] = since_ms
        watch.due_s[part] = -(-(since_ms + DAY_MS) // 1000)
    watch.known_until_s[:] = (START_MS + 10 * DAY_MS) // 1000
    watch.level[:] = 0
    watch.due_s[count:] = np.iinfo(np.uint32).max
    watch.make_bounds()


def bench_pulse(households: int, report: Report, peers: Peers) -> None:
    """Measure the arrays that a pulse reads, beside peers that look at every household."""
    with report.preparing(f"{households:,} watched households"):
        watch = WatchState(households)
        watching(watch, households)
        found = np.empty(len(watch.due_s), np.int64)
    million = households / 1e6
    before_ms = (int(watch.due_s.min()) - 1) * 1000
    took = seconds(lambda: kernel.pulse(watch, before_ms, found))
    limit = seconds(lambda: int(watch.region_s.sum()))
    name = f"pulse, nothing due, {households:,} households"
    report.add(name, million / took, "M households/s", million / limit, peers.pulse, seconds=precise(took))
    _bench_some_due(watch, households, found, report)
    _bench_openings(watch, households, report)


def _bench_some_due(watch: WatchState, households: int, found: NDArray[np.int64], report: Report) -> None:
    """One household in a thousand is looked at and armed again, its stage being what was announced."""
    who = np.random.default_rng(31).integers(0, households, max(households // _ONE_IN, 1))
    before_s = int(watch.due_s.min()) - 1
    own = watch.due_s[who]

    def come_due() -> None:
        watch.due_s[who] = before_s
        watch.bound_s[who // BLOCK] = before_s
        watch.region_s[:] = before_s

    def in_numpy() -> None:
        late = np.flatnonzero(watch.due_s <= before_s)
        watch.due_s[late] = -(-(watch.origin_ms[late] + DAY_MS) // 1000)

    spans, peer_spans = [], []
    for _ in range(REPEATS):
        come_due()
        spans.append(seconds_cold(lambda: kernel.pulse(watch, before_s * 1000, found)))
        if not np.array_equal(watch.due_s[who], own):
            raise AssertionError("the kernel armed somebody for another instant")
        come_due()
        peer_spans.append(seconds_cold(in_numpy))
    took, peer, limit = min(spans), min(peer_spans), seconds(lambda: int(watch.due_s.sum()), 3)
    million = households / 1e6
    report.add(
        f"pulse, one in {_ONE_IN:,} looked at, {households:,} households", million / took, "M households/s",
        million / limit, [Peer("numpy, the same", million / peer)], seconds=precise(took),
    )  # fmt: skip


def _bench_openings(watch: WatchState, households: int, report: Report) -> None:
    """Seconds of a day in which every household opens its door ten times, at any time: what the rule alone costs."""
    state = HotState(0, 0)
    state.watch, state.device_of = watch, np.full(len(watch.due_s), -1, np.int32)
    chance = np.random.default_rng(37)
    now_ms = START_MS + 2 * DAY_MS
    for low in range(0, households, _AT_ONCE):
        part = slice(low, min(low + _AT_ONCE, households))
        ago_ms = chance.exponential(DAY_MS / _OPENINGS_A_DAY, part.stop - low).astype(np.int64) % DAY_MS
        watch.evidence_ms[part] = watch.origin_ms[part] = now_ms - ago_ms
        watch.due_s[part] = (now_ms - ago_ms + DAY_MS) // 1000 + 1
    watch.make_bounds()

    def live(seconds_long: int) -> float:
        """Let so many seconds pass, with their openings; return how long the pulse at their end took."""
        nonlocal now_ms
        now_ms += seconds_long * 1000
        who = chance.integers(0, households, households * _OPENINGS_A_DAY * seconds_long // 86_400)
        watch.evidence_ms[who] = watch.origin_ms[who] = now_ms - 1
        start = time.perf_counter()
        found = state.pulse(now_ms)
        took = time.perf_counter() - start
        # Whoever reached a stage is left to the plain rule; here somebody opens.
        watch.evidence_ms[found] = watch.origin_ms[found] = now_ms
        watch.due_s[found] = (now_ms + DAY_MS) // 1000
        return took

    with report.preparing("hours of openings, until pulses are as they stay"):
        for _ in range(_WARMED_UP_MINUTES):
            live(60)
    spans = [live(1) for _ in range(_MEASURED_FOR_S)]
    took, million = least_mean(spans), households / 1e6
    limit = seconds(lambda: int(watch.bound_s.sum()))
    in_numpy = seconds(lambda: np.flatnonzero(watch.due_s <= now_ms // 1000), 3)
    report.add(
        f"pulse of one second, {_OPENINGS_A_DAY} openings a day of each, {households:,} households", million / took,
        "M households/s", million / limit, [Peer("numpy, who is due", million / in_numpy)], seconds=precise(took),
        longest_s=precise(max(spans)),
    )  # fmt: skip
