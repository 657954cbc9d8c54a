"""The rule over arrays, compiled: a pulse enters, the households that the plain rule must look at leave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.detector.compiled import compiled
from ingest.detector.state import (
    BLOCK,
    FOREVER,
    NEVER_S,
    PLAIN,
    PULSE_MS,
    Instants,
    Levels,
    Seconds,
    WatchState,
)

#: Households whose next instants are compared together; divides ``BLOCK``.
LOOKED_AT_ONCE = 64


@compiled
def count_stage(thresholds_ms: Instants, inactive_ms: int) -> int:
    """Return how many of the ascending thresholds (shape (T,)) are passed."""
    stage = 0
    for threshold in thresholds_ms:
        if threshold <= inactive_ms:
            stage += 1
    return stage


@compiled
def next_due(
    thresholds_ms: Instants,
    now_ms: int,
    evidence_ms: int,
    origin_ms: int,
    known_until_ms: int,
    other_due_ms: int,
) -> int:
    """Return the next instant at which a growing household may change by itself; all in milliseconds."""
    due = min(known_until_ms + 1, other_due_ms)
    for threshold in thresholds_ms:
        if threshold == FOREVER:
            break
        if origin_ms + threshold > now_ms:
            due = min(due, origin_ms + threshold)
        if evidence_ms + threshold > now_ms:
            due = min(due, evidence_ms + threshold)
    return due


@compiled
def take_due(
    pulse_s: int,
    due_s: Seconds,
    bound_s: Seconds,
    level: Levels,
    evidence_ms: Instants,
    origin_ms: Instants,
    known_until_ms: Instants,
    other_due_ms: Instants,
    policy: NDArray[np.uint16],
    thresholds_ms: Instants,
    found: NDArray[np.int64],
) -> int:
    """Write the households that changed to ``found`` (shape (H,)) and return how many; re-arm the others.

    Only blocks whose bound has passed are read. A household whose stage is what was announced, whose door is still
    known and which has no check to be made is re-armed here; every other due one is left to the plain rule.
    """
    count = 0
    now_ms = pulse_s * PULSE_MS
    for block in range(bound_s.shape[0]):
        if bound_s[block] > pulse_s:
            continue
        lowest = np.uint32(NEVER_S)
        for first in range(block * BLOCK, (block + 1) * BLOCK, LOOKED_AT_ONCE):
            # The lowest of a few without a branch: mostly nobody among them is due, and nothing else is read.
            part = due_s[first : first + LOOKED_AT_ONCE]
            least = np.uint32(NEVER_S)
            for position in range(part.shape[0]):
                least = min(least, part[position])
            if least <= pulse_s:
                least = np.uint32(NEVER_S)
                for index in range(first, first + LOOKED_AT_ONCE):
                    if due_s[index] <= pulse_s:
                        still = False
                        if (
                            level[index] != PLAIN
                            and now_ms <= known_until_ms[index]
                            and now_ms < other_due_ms[index]
                        ):
                            limits = thresholds_ms[policy[index]]
                            stage = count_stage(limits, now_ms - origin_ms[index])
                            elapsed = count_stage(limits, now_ms - evidence_ms[index])
                            still = stage == level[index] and elapsed == stage
                        if still:
                            due = next_due(
                                thresholds_ms[policy[index]],
                                now_ms,
                                evidence_ms[index],
                                origin_ms[index],
                                known_until_ms[index],
                                other_due_ms[index],
                            )
                            due_s[index] = min((due + PULSE_MS - 1) // PULSE_MS, NEVER_S)
                        else:
                            found[count] = index
                            count += 1
                    least = min(least, due_s[index])
            lowest = min(lowest, least)
        bound_s[block] = lowest
    return count


@compiled
def fold_recording(
    openings_ms: Instants, until_ms: int, thresholds_ms: Instants, stages: NDArray[np.int64], at_ms: Instants
) -> int:
    """Fold one household's ascending openings, heard throughout, into its crossings.

    ``stages`` and ``at_ms`` (shape (N * T,)) take stage number and instant of each crossing; returns their number.
    Inactivity begins with the first opening; the last span ends at ``until_ms`` (included).
    """
    count = 0
    for index in range(openings_ms.shape[0]):
        start = openings_ms[index]
        last = until_ms if index + 1 == openings_ms.shape[0] else openings_ms[index + 1] - 1
        for number in range(thresholds_ms.shape[0]):
            if start + thresholds_ms[number] <= last:
                stages[count] = number + 1
                at_ms[count] = start + thresholds_ms[number]
                count += 1
    return count


def pulse(state: WatchState, pulse_ms: int, found: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices that the plain rule must judge at ``pulse_ms``; they stay due until it arms them."""
    count = take_due(
        pulse_ms // PULSE_MS,
        state.due_s,
        state.bound_s,
        state.level,
        state.evidence_ms,
        state.origin_ms,
        state.known_until_ms,
        state.other_due_ms,
        state.policy,
        state.thresholds_ms,
        found,
    )
    return found[:count].copy()
