"""``kaimen bench detect``: a number of households enters; how fast they are watched leaves.

Every household has one door, whose messages are taken with coverage: boot, position, counter, clock and plausibility
of each are checked, and what a door cannot vouch for is not counted. The peers keep the last opening and no coverage:
they do less, and each row says so.
"""

from __future__ import annotations

from console.benches.detect_peers import measure_peers
from console.benches.hot import bench_hot
from console.benches.measuring import Report
from console.benches.pulses import bench_pulse


def bench_detect(households: int, report: Report) -> None:
    """Measure room, pulses, messages and restart of so many watched households."""
    peers = measure_peers(households, report)
    bench_pulse(households, report, peers)
    bench_hot(households, report, peers)
