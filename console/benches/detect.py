"""``kaimen bench detect``: a number of households enters; how fast they are watched leaves.

Every household has one door, whose messages are taken with coverage: boot, position, counter, clock and plausibility
of each are checked, and what a door cannot vouch for is not counted. The peers keep the last opening and no coverage:
they do less, and each row says so.
"""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np

from console.benches.detect_peers import START_MS, Peers, measure_peers
from console.benches.measuring import Report, precise, seconds
from ingest.detector import kernel
from ingest.detector.state import BLOCK, WatchState
from kaimen.policy import DAY_MS, THRESHOLDS_DEFAULT_MS

#: Above this many households the pulse alone is measured: doors' rows would not leave the neighbours any memory.
WHOLE_HOUSEHOLDS_MAX = 20_000_000


def bench_detect(households: int, report: Report) -> None:
    """Measure room, pulses, messages and restart of so many watched households."""
    peers = measure_peers(households, report)
    _bench_pulse(households, report, peers)
    if households > WHOLE_HOUSEHOLDS_MAX:
        report.say(f"above {WHOLE_HOUSEHOLDS_MAX:,} households the pulse alone is measured")
        return
    if importlib.util.find_spec("ingest.detector.arrays") is None:
        report.say("doors with coverage are not measured: this version has no hot state of its own for them")
        return
    importlib.import_module("console.benches.hot").bench_hot(households, report, peers)


def watching(watch: WatchState, count: int, seed: int = 7) -> None:
    """Let households stand somewhere in the first half of their first day, heard for long."""
    chance = np.random.default_rng(seed)
    watch.set_thresholds(0, THRESHOLDS_DEFAULT_MS)
    size = len(watch.due_s)
    watch.origin_ms[:] = chance.integers(0, DAY_MS // 2, size)
    watch.origin_ms += START_MS
    watch.evidence_ms[:] = watch.origin_ms
    watch.known_until_ms[:] = START_MS + 10 * DAY_MS
    watch.level[:] = 0
    watch.due_s[:] = (watch.origin_ms + DAY_MS) // 1000
    watch.due_s[count:] = np.iinfo(np.uint32).max
    watch.bound_s[:] = watch.due_s.reshape(len(watch.bound_s), BLOCK).min(axis=1)


def _bench_pulse(households: int, report: Report, peers: Peers) -> None:
    with report.preparing(f"{households:,} watched households"):
        watch = WatchState(households)
        watching(watch, households)
        found = np.empty(len(watch.due_s), np.int64)
    million = households / 1e6
    before_ms = (int(watch.due_s.min()) - 1) * 1000
    took = seconds(lambda: kernel.pulse(watch, before_ms, found))
    limit = seconds(lambda: int(watch.bound_s.sum()))
    name = f"pulse, nothing due, {households:,} households"
    report.add(name, million / took, "M households/s", million / limit, peers.pulse, seconds=precise(took))
