"""The rule over arrays, compiled: a pulse enters, the households that the plain rule must look at leave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.detector.compiled import compiled, inlined
from ingest.detector.state import (
    BLOCK,
    FOREVER,
    NEVER_S,
    PLAIN,
    PULSE_MS,
    REGION,
    Instants,
    Levels,
    Seconds,
    WatchState,
)

#: Households whose next instants are compared together; divides ``BLOCK``.
LOOKED_AT_ONCE = 64

assert BLOCK == REGION, "what lists the due households of a block also lists the due blocks of a region"


@inlined
def settled_until(
    thresholds_ms: Instants,
    policy: int,
    now_ms: int,
    level: int,
    evidence_ms: int,
    origin_ms: int,
    known_until_ms: int,
    other_due_ms: int,
) -> int:
    """Return until when a household needs no look, were nothing more received; ``now_ms`` where it needs one now.

    It needs none where its stage is what was announced, its door is still known and no check is to be made.
    ``thresholds_ms`` (shape (P, T)) are ascending, padded with ``FOREVER``; ``policy`` is its row of them.
    """
    if level == PLAIN or now_ms > known_until_ms or now_ms >= other_due_ms:
        return now_ms
    stage, elapsed = 0, 0
    next_ms = min(known_until_ms + 1, other_due_ms)
    for number in range(thresholds_ms.shape[1]):
        # Row and column, not the row as an array: to make one costs more than to look through it.
        threshold = thresholds_ms[np.uint64(policy), np.uint64(number)]
        if threshold == FOREVER:
            break
        crossing_ms, due_ms = origin_ms + threshold, evidence_ms + threshold
        if crossing_ms <= now_ms:
            stage += 1
        else:
            next_ms = min(next_ms, crossing_ms)
        if due_ms <= now_ms:
            elapsed += 1
        else:
            next_ms = min(next_ms, due_ms)
    return next_ms if stage == level and elapsed == stage else now_ms


@compiled
def lowest_of(part: Seconds) -> np.uint32:
    """Return the lowest of some instants, without a branch."""
    least = np.uint32(NEVER_S)
    for position in range(part.shape[0]):
        least = min(least, part[position])
    return least


@compiled
def list_due(pulse_s: np.uint32, block: int, due_s: Seconds, near: NDArray[np.int64]) -> int:
    """Write the due households of a block, or blocks of a region, to ``near`` (shape (BLOCK + 1,)); return how many.

    Listed without a branch each, so that the memory of one is not waited for before the next; of a few of whom nobody
    is due only the lowest instant is looked at.
    """
    count = np.uint64(0)
    for first in range(block * BLOCK, (block + 1) * BLOCK, LOOKED_AT_ONCE):
        part = due_s[first : first + LOOKED_AT_ONCE]
        if lowest_of(part) <= pulse_s:
            for position in range(part.shape[0]):
                near[count] = first + position
                count += np.uint64(part[position] <= pulse_s)
    return int(count)


@compiled
def known_until_ms(known_until_s: np.uint32) -> int:
    """Return the last instant before the pulse at which a door is no longer known."""
    return int(np.int64(known_until_s)) * PULSE_MS + (PULSE_MS - 1)


@compiled
def other_due_ms(other_due_s: np.uint32) -> int:
    """Return the instant at which an absence begins; never is far away."""
    return FOREVER if other_due_s == 0 else int(np.int64(other_due_s)) * PULSE_MS


@compiled
def take_due(
    pulse_s: int,
    due_s: Seconds,
    bound_s: Seconds,
    region_s: Seconds,
    level: Levels,
    evidence_ms: Instants,
    origin_ms: Instants,
    known_until_s: Seconds,
    other_due_s: Seconds,
    policy: NDArray[np.uint16],
    thresholds_ms: Instants,
    found: NDArray[np.int64],
) -> int:
    """Write the households that changed to ``found`` (shape (H,)) and return how many; re-arm the others.

    Only blocks whose bound has passed are read, and bounds of the regions whose own has. A household whose stage is
    what was announced, whose door is still known and which has no check to be made is re-armed here; every other due
    one is left to the plain rule.
    """
    count = 0
    now_ms = pulse_s * PULSE_MS
    blocks, near = np.empty(REGION + 1, np.int64), np.empty(BLOCK + 1, np.int64)
    for region in range(region_s.shape[0]):
        if region_s[region] > pulse_s:
            continue
        for number in range(list_due(np.uint32(pulse_s), region, bound_s, blocks)):
            block = blocks[number]
            for position in range(list_due(np.uint32(pulse_s), block, due_s, near)):
                index = near[position]
                next_ms = settled_until(
                    thresholds_ms, policy[index], now_ms, level[index], evidence_ms[index], origin_ms[index],
                    known_until_ms(known_until_s[index]), other_due_ms(other_due_s[index]),
                )  # fmt: skip
                if next_ms > now_ms:
                    due_s[index] = min((next_ms + PULSE_MS - 1) // PULSE_MS, NEVER_S)
                else:
                    found[count] = index
                    count += 1
            bound_s[block] = lowest_of(due_s[block * BLOCK : (block + 1) * BLOCK])
        region_s[region] = lowest_of(bound_s[region * REGION : (region + 1) * REGION])
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
        state.region_s,
        state.level,
        state.evidence_ms,
        state.origin_ms,
        state.known_until_s,
        state.other_due_s,
        state.policy,
        state.thresholds_ms,
        found,
    )
    return found[:count].copy()
