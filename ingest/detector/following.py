"""The columns of an array and where its boot stands enter; whether each event only follows the one before leaves.

The rule of ``going_on.go_on`` over arrays; that one, event by event, is the reference in the tests. Compiled, pure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.detector.compiled import compiled
from ingest.detector.packed import OPEN_EDGE, OTHER, TAMPERED
from ingest.detector.points import NO_COUNTER
from kaimen.policy import CLONE_SPREAD_MS, FUTURE_MAX_MS, PAST_MAX_MS, STEP_DRIFT_DIVISOR, STEP_MAX_MS

Ints = NDArray[np.int64]


@compiled
def follow(
    ts: Ints,
    up: Ints,
    opens: Ints,
    received: Ints,
    kind: NDArray[np.uint8],
    first_up: int,
    base_ms: int,
    low: int,
    high: int,
    instant: int,
    counter: int,
    supervision_ms: int,
    pulse_ms: int,
) -> tuple[bool, bool, int, int, int, int, int]:
    """Say whether events (columns of shape (N,), positions without a gap, synchronised) go on from ``instant`` and
    ``counter``.

    Returns whether all do; then whether any tells of more than coverage, until when the last that does not lets the door
    count as watched (-1: there is none), the boot's least and greatest base, the newest receipt and the least receipt
    less uptime. All numbers are below ``SANE_MAX``.
    """
    tells = False
    known_until_ms = -1
    newest = received[0]
    received_base = received[0] - up[0]
    for row in range(len(ts)):
        spread = ts[row] - up[row]
        if (
            up[row] <= first_up
            or ts[row] < instant
            or ts[row] < received[row] - PAST_MAX_MS
            or ts[row] > received[row] + FUTURE_MAX_MS
            or abs(spread - base_ms) * STEP_DRIFT_DIVISOR > STEP_MAX_MS * STEP_DRIFT_DIVISOR + up[row]
            or kind[row] == TAMPERED
        ):
            return False, tells, known_until_ms, low, high, newest, received_base
        edge = 1 if kind[row] == OPEN_EDGE else 0
        if opens[row] != NO_COUNTER and counter != NO_COUNTER and opens[row] - counter != edge:
            return False, tells, known_until_ms, low, high, newest, received_base
        low, high = min(low, spread), max(high, spread)
        if high - low > CLONE_SPREAD_MS:
            return False, tells, known_until_ms, low, high, newest, received_base
        if kind[row] != OTHER or instant + supervision_ms < pulse_ms:
            tells = True
        else:
            known_until_ms = ts[row] + supervision_ms
        instant, counter = ts[row], opens[row]
        newest = max(newest, received[row])
        received_base = min(received_base, received[row] - up[row])
    return True, tells, known_until_ms, low, high, newest, received_base
