"""One home's recorded signals enter; alerts on the real stream and latencies of simulated collapses leave.

The protocol is described in docs/replay.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.early import kernel
from ingest.early.watch import Method, Reason, home_at, learn_if_due, new_homes


@dataclass(frozen=True, slots=True)
class Walked:
    """Alerts as (instant, reason), and hours to the first alert, one per simulated collapse."""

    alerts: list[tuple[int, Reason]]
    latencies_h: list[float]


def hours_inside(signals: NDArray[np.int64], first_ms: int, last_ms: int) -> NDArray[np.uint8]:
    """Return, per full hour from that of ``first_ms`` on, whether she was in, as the whole recording tells it.

    ``signals`` (shape (N, 3)): instant, place and sensor, ascending.
    """
    origin_ms = first_ms // kernel.HOUR * kernel.HOUR
    hours = np.zeros((last_ms - origin_ms) // kernel.HOUR + 2, np.uint8)
    home = home_at(new_homes(1), 0)
    for begin, end in _days(signals):
        learn_if_due(home, Method.HAZARD, int(signals[begin, 0]))
        kernel.mark_inside(home, Method.HAZARD.number, signals, begin, end, origin_ms, hours)
    return hours


def walk_home(
    signals: NDArray[np.int64], method: Method, *, first_ms: int, last_ms: int, inside: NDArray[np.uint8]
) -> Walked:
    """Walk one home forward from its first row to its last, in ticks of a quarter of an hour."""
    home = home_at(new_homes(1), 0)
    progress = np.zeros(4, np.int64)
    alerts_ms = np.zeros(len(signals), np.int64)
    reasons = np.zeros(len(signals), np.int64)
    latencies_h = np.zeros(len(inside), np.float64)
    for begin, end in _days(signals):
        learn_if_due(home, method, int(signals[begin, 0]))
        if begin == 0:
            progress[kernel.NEXT_TICK] = -(-int(signals[0, 0]) // kernel.TICK) * kernel.TICK
        until_ms = int(signals[end, 0]) if end < len(signals) else last_ms
        kernel.walk(
            home,
            method.number,
            signals[begin:end],
            until_ms,
            first_ms,
            inside,
            progress,
            alerts_ms,
            reasons,
            latencies_h,
        )
    alerts = int(progress[kernel.ALERTS])
    found = zip(alerts_ms[:alerts].tolist(), reasons[:alerts].tolist(), strict=True)
    return Walked(
        [(at, Reason(reason)) for at, reason in found],
        latencies_h[: int(progress[kernel.LATENCIES])].tolist(),
    )


def _days(signals: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the first signal of each day that has any, and the one past its last."""
    day = signals[:, 0] // kernel.DAY
    begins = [0, *(np.flatnonzero(np.diff(day)) + 1).tolist()] if len(signals) else []
    return list(zip(begins, [*begins[1:], len(signals)], strict=False))
