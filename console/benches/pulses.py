"""Watched households enter; how fast a pulse passes over them where nothing is due, leaves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from console.benches.detect_peers import START_MS, Peers
from console.benches.measuring import REPEATS, Peer, Report, precise, seconds, seconds_cold
from ingest.detector import kernel
from ingest.detector.state import BLOCK, WatchState
from kaimen.policy import DAY_MS, THRESHOLDS_DEFAULT_MS

_AT_ONCE = 1 << 20
_ONE_IN = 1_000


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
    watch.known_until_ms[:] = START_MS + 10 * DAY_MS
    watch.level[:] = 0
    watch.due_s[count:] = np.iinfo(np.uint32).max
    watch.bound_s[:] = watch.due_s.reshape(len(watch.bound_s), BLOCK).min(axis=1)


def bench_pulse(households: int, report: Report, peers: Peers) -> None:
    """Measure the arrays that a pulse reads, beside peers that look at every household."""
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
    _bench_some_due(watch, households, found, report)


def _bench_some_due(watch: WatchState, households: int, found: NDArray[np.int64], report: Report) -> None:
    """One household in a thousand is looked at and armed again, its stage being what was announced."""
    who = np.random.default_rng(31).integers(0, households, max(households // _ONE_IN, 1))
    before_s = int(watch.due_s.min()) - 1
    own = watch.due_s[who]

    def come_due() -> None:
        watch.due_s[who] = before_s
        np.minimum.at(watch.bound_s, who // BLOCK, np.uint32(before_s))

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
