"""Columns of messages and the hot rows of devices enter; moved rows and the few messages for the slow path leave.

A message is taken here only where nothing can follow from it but that its door was watched until now and, perhaps,
that it was opened: the next event, or a heartbeat at the same position, of the boot the device was last heard from,
with a sound clock and the counter it should have. Whoever arms a device (``HotState.arm``) vouches for the rest.
Compiled, pure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.detector.columns import (
    CLOSED,
    EVENT,
    GRANTED,
    NO_COUNTER,
    NOT_TAKEN,
    NTP,
    OPEN,
    OTHER,
    STAFF,
    TAKEN,
    Bytes,
    Ints,
)
from ingest.detector.compiled import compiled
from ingest.detector.state import BLOCK, PULSE_MS, Seconds
from kaimen.policy import FUTURE_MAX_MS, PAST_MAX_MS, STEP_MAX_MS

#: Words of a hot row, 8 bytes each: the boot; its base and what may be taken; the last instant, whether it was a
#: heartbeat's and how far it was from base + uptime; position and counter. The last two change with every message.
BOOT, BASE, LAST, PLACE = 0, 1, 2, 3
WORDS = 4
#: In ``BASE``: may be taken at all; and where the message says something of who opened.
ARMED, LIVES = 1, 2
BASE_SHIFT = 8
#: In ``LAST``: ``instant << 20 | heartbeat << 19 | deviation + 2**18``.
LAST_SHIFT = 20
BEAT = 1 << 19
DEVIATION_ZERO = 1 << 18
#: In ``PLACE``: ``position << 32 | counter``; the highest counter says that there is none.
PLACE_SHIFT = 32
UNCOUNTED = (1 << 32) - 1
POSITION_MAX = 1 << 31
#: Rows looked at ahead, so that the memory of the next ones is on its way while one is decided.
AHEAD = 32

assert STEP_MAX_MS < DEVIATION_ZERO, "a deviation must fit its bits"


@compiled
def take_rows(
    start: int,
    stop: int,
    device: NDArray[np.int32],
    boot: Ints,
    kind: Bytes,
    seq: Ints,
    up: Ints,
    ts: Ints,
    clk: Bytes,
    type_: Bytes,
    cls: Bytes,
    remote: NDArray[np.bool_],
    opens: Ints,
    received: Ints,
    rows: Ints,
    opened_ms: Ints,
    slow: Ints,
    slow_max: int,
) -> tuple[int, int]:
    """Take messages ``start`` to ``stop`` (excluded) in order; write the indices of those left over to ``slow``.

    ``boot`` is seen as int64. A device one of whose messages is left over is disarmed, so that what follows it is left over too. Returns the
    index of the first message not looked at (``stop``, unless ``slow_max`` are left over before) and their number.
    """
    left = 0
    ahead = start
    warm = 0
    for row in range(start, stop):
        if row >= ahead:
            ahead = min(row + AHEAD, stop)
            for near in range(row, ahead):
                warm |= rows[np.uint32(device[near]), BASE]
        d = np.uint32(device[row])
        base_word, last, place = rows[d, BASE], rows[d, LAST], rows[d, PLACE]
        base = base_word >> BASE_SHIFT
        last_ms = last >> LAST_SHIFT
        instant, uptime, counter, what = ts[row], up[row], opens[row], type_[row]
        deviation = instant - uptime - base
        later = uptime - (last_ms - base - ((last & (BEAT - 1)) - DEVIATION_ZERO))
        lag = received[row] - instant
        # One expression each instead of branches: what comes next is as good as random, and a wrong guess costs more.
        event = kind[row] == EVENT
        edge = event & (what == OPEN)
        life = event & ((what == OPEN) | (what == TAKEN))
        passage = (what == GRANTED) | (what == TAKEN)
        tells = event & (what != OTHER) & (what != NOT_TAKEN)
        ours = (what == OPEN) | (what == CLOSED) | (passage & (cls[row] < STAFF) & (not remote[row]))
        counted = (place & UNCOUNTED) != UNCOUNTED
        expected = (place & UNCOUNTED) + (1 if edge else 0) if counted else NO_COUNTER
        position = (place >> PLACE_SHIFT) + (1 if event else 0)
        needed = ARMED | (LIVES if tells else 0)
        fast = (
            ((base_word & needed) == needed)
            & (rows[d, BOOT] == boot[row])
            & (clk[row] == NTP)
            & ((not tells) | ours)
            & (seq[row] == position)
            & (position < POSITION_MAX)
            & (counter == expected)
            & (counter < UNCOUNTED)
            & (abs(deviation) <= STEP_MAX_MS)
            & ((later > 0) | ((later == 0) & (deviation >= 0) & (event | ((last & BEAT) == 0))))
            & (instant >= last_ms)
            & (lag >= -FUTURE_MAX_MS)
            & (lag <= PAST_MAX_MS)
        )
        if fast and lag < 0:  # only what the next pulse sees is past
            fast = instant <= -(-received[row] // PULSE_MS) * PULSE_MS
        if fast:
            beat = 0 if event else BEAT
            rows[d, LAST] = instant << LAST_SHIFT | beat | (deviation + DEVIATION_ZERO)
            rows[d, PLACE] = position << PLACE_SHIFT | (counter & UNCOUNTED)
            if life:
                opened_ms[d] = instant
        if not fast:
            rows[d, BASE] = base_word & ~ARMED
            slow[left] = row
            left += 1
            if left == slow_max:
                return row + 1, left
    if warm == -1:  # never: keeps the looking ahead from being optimised away
        slow[0] = warm
    return stop, left


@compiled
def refresh_due(
    pulse_s: int,
    due_s: Seconds,
    bound_s: Seconds,
    device_of: NDArray[np.int32],
    rows: Ints,
    opened_ms: Ints,
    supervision_ms: Ints,
    evidence_ms: Ints,
    origin_ms: Ints,
    known_until_ms: Ints,
) -> None:
    """Bring what messages moved to the households that are due, before ``kernel.take_due`` looks at them.

    ``device_of`` (shape (H,)) is the one device whose messages decide about a household, -1 where it is not so simple.
    """
    for block in range(bound_s.shape[0]):
        if bound_s[block] > pulse_s:
            continue
        for index in range(block * BLOCK, (block + 1) * BLOCK):
            if due_s[index] > pulse_s or device_of[index] < 0:
                continue
            d = device_of[index]
            if (rows[d, BASE] & ARMED) == 0:
                continue
            known_until_ms[index] = (rows[d, LAST] >> LAST_SHIFT) + supervision_ms[d]
            if opened_ms[d] > evidence_ms[index]:
                evidence_ms[index] = opened_ms[d]
                origin_ms[index] = opened_ms[d]
