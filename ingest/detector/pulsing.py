"""A pulse and the hot state enter; the households that the plain rule must look at leave. Compiled, pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.detector.applying import ARMED, BASE, LAST, LAST_SHIFT
from ingest.detector.columns import Ints
from ingest.detector.compiled import compiled
from ingest.detector.kernel import known_until_ms, list_due, lowest_of, other_due_ms, settled_until
from ingest.detector.silence import Bits, begin_watching, find_silent
from ingest.detector.state import BLOCK, FOREVER, NEVER_S, PULSE_MS, REGION, Levels, Seconds

#: So long after all households of a block were looked at, only those that are due are.
SWEPT_EVERY_S = 600
#: In so many pulses all blocks may be gone through whole: a pulse's share, so that none has to wait for all.
SWEPT_WITHIN_S = 1_000


@compiled
def refresh(
    count: int,
    near: Ints,
    deciding: Ints,
    device_of: NDArray[np.int32],
    rows: Ints,
    opened_ms: Ints,
    supervision_ms: NDArray[np.int32],
    evidence_ms: Ints,
    origin_ms: Ints,
    known_until_s: Seconds,
) -> None:
    """Bring what messages moved to the first ``count`` households of ``near``; write the armed device that alone decides
    about each to ``deciding``, -1 where there is none.

    As below, the loop is in here: to hand these arrays over for each household costs more than to look at it.
    """
    for position in range(count):
        index = np.uint64(near[position])
        device = np.int64(device_of[index])
        at = np.uint64(device)
        if device < 0 or (rows[at, BASE] & ARMED) == 0:
            deciding[position] = -1
            continue
        deciding[position] = device
        known_until_s[index] = ((rows[at, LAST] >> LAST_SHIFT) + supervision_ms[at]) // PULSE_MS
        if opened_ms[at] > evidence_ms[index]:
            evidence_ms[index] = opened_ms[at]
            origin_ms[index] = opened_ms[at]


@compiled
def settle(
    looked_at: int,
    near: Ints,
    deciding: Ints,
    pulse_s: int,
    household_of: NDArray[np.int32],
    level: Levels,
    evidence_ms: Ints,
    origin_ms: Ints,
    known_until_s: Seconds,
    other_due_s: Seconds,
    policy: NDArray[np.uint16],
    thresholds_ms: Ints,
    due_s: Seconds,
    found: Ints,
    count: int,
) -> tuple[int, int]:
    """Arm the settled of ``looked_at`` households again, and append whom the plain rule must look at to ``found``.

    Returns how many were found now, and how many are left to their devices' bits: those and their devices are then the
    first of ``near`` and ``deciding``.
    """
    watching = 0
    now_ms = pulse_s * PULSE_MS
    for position in range(looked_at):
        index, device = np.uint64(near[position]), deciding[position]
        left = known_until_s[index] >= pulse_s and device >= 0
        left = left and (household_of[device] < 0 or household_of[device] == near[position])
        next_ms = settled_until(
            thresholds_ms, policy[index], now_ms, level[index], evidence_ms[index], origin_ms[index],
            FOREVER if left else known_until_ms(known_until_s[index]), other_due_ms(other_due_s[index]),
        )  # fmt: skip
        if next_ms <= now_ms:
            if due_s[index] <= pulse_s:
                found[count] = near[position]
                count += 1
            continue
        due_s[index] = min((next_ms + PULSE_MS - 1) // PULSE_MS, NEVER_S)
        if left:
            # at once: the next of these households may have the same device, which watches for one
            household_of[device] = near[position]
            near[watching], deciding[watching] = near[position], device
            watching += 1
    return count, watching


@compiled
def list_or_sweep(
    block: int, pulse_s: int, sweeps_left: int, due_s: Seconds, swept_s: Seconds, near: Ints
) -> int:
    """Write whom to look at in a block to ``near`` (shape (BLOCK + 1,)); return how many.

    The first look in ``SWEPT_EVERY_S`` is at all of its households: nearly all have opened since they were armed, and
    are not due again for hours. So a block is gone through, in order, a few times a day, and not for one or another of
    its households every minute.
    """
    if sweeps_left <= 0 or pulse_s - np.int64(swept_s[block]) < SWEPT_EVERY_S:
        return list_due(np.uint32(pulse_s), block, due_s, near)
    swept_s[block] = pulse_s
    for position in range(BLOCK):
        near[position] = block * BLOCK + position
    return BLOCK


@compiled
def pulse_doors(
    pulse_s: int,
    due_s: Seconds,
    bound_s: Seconds,
    region_s: Seconds,
    swept_s: Seconds,
    device_of: NDArray[np.int32],
    rows: Ints,
    opened_ms: Ints,
    supervision_ms: NDArray[np.int32],
    household_of: NDArray[np.int32],
    heard: Bits,
    heard_before: Bits,
    watched: Bits,
    spans: Ints,
    silent_bound_s: Seconds,
    silent_region_s: Seconds,
    level: Levels,
    evidence_ms: Ints,
    origin_ms: Ints,
    known_until_s: Seconds,
    other_due_s: Seconds,
    policy: NDArray[np.uint16],
    thresholds_ms: Ints,
    found: Ints,
) -> int:
    """As ``kernel.take_due``, with what messages moved brought to the households before they are looked at.

    ``device_of`` (shape (H,)) is the one device whose messages decide about a household, -1 where it is not so simple.
    A household that is settled and whose device is armed and decides about no other leaves its silence to be watched by
    the device's bit (see ``silence``), and is armed for what else may change.
    """
    find_silent(
        pulse_s, household_of, heard, heard_before, watched, spans, silent_bound_s, silent_region_s, rows,
        supervision_ms, level, known_until_s, due_s, bound_s, region_s,
    )  # fmt: skip
    count = 0
    sweeps_left = bound_s.shape[0] // SWEPT_WITHIN_S + 1
    blocks, near = np.empty(REGION + 1, np.int64), np.empty(BLOCK + 1, np.int64)
    deciding = np.empty(BLOCK, np.int64)
    for region in range(region_s.shape[0]):
        if region_s[region] > pulse_s:
            continue
        for number in range(list_due(np.uint32(pulse_s), region, bound_s, blocks)):
            block = blocks[number]
            looked_at = list_or_sweep(block, pulse_s, sweeps_left, due_s, swept_s, near)
            sweeps_left -= looked_at // BLOCK
            refresh(
                looked_at, near, deciding, device_of, rows, opened_ms, supervision_ms, evidence_ms, origin_ms,
                known_until_s,
            )  # fmt: skip
            count, watching = settle(
                looked_at, near, deciding, pulse_s, household_of, level, evidence_ms, origin_ms, known_until_s,
                other_due_s, policy, thresholds_ms, due_s, found, count,
            )  # fmt: skip
            begin_watching(
                watching, deciding, near, pulse_s, known_until_s, supervision_ms, household_of, heard, heard_before,
                watched, spans, silent_bound_s, silent_region_s,
            )  # fmt: skip
            bound_s[block] = lowest_of(due_s[block * BLOCK : (block + 1) * BLOCK])
        region_s[region] = lowest_of(bound_s[region * REGION : (region + 1) * REGION])
    return count
