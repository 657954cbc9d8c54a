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
    FAULT,
    FORCED,
    GRANTED,
    NO_COUNTER,
    NTP,
    OPEN,
    STAFF,
    TAKEN,
    TAMPER,
    Bytes,
    Ints,
)
from ingest.detector.compiled import compiled
from ingest.detector.state import PULSE_MS
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
#: Types of events, a bit each: an edge, evidence of life, a passage; what tells of a door; what no watching survives.
EDGE = 1 << OPEN
LIFE = EDGE | 1 << TAKEN
PASSAGE = 1 << GRANTED | 1 << TAKEN
TELLING = EDGE | 1 << CLOSED | PASSAGE
ALARMING = 1 << FORCED | 1 << TAMPER | 1 << FAULT
#: Rows looked at ahead, so that the memory of the next ones is on its way while one is decided.
AHEAD = 128

assert EDGE == 1, "an edge adds its bit to the counter"
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
    heard: NDArray[np.uint64],
    fresh_from_ms: int,
    slow: Ints,
    slow_max: int,
) -> tuple[int, int]:
    """Take messages ``start`` to ``stop`` (excluded) in order; write the indices of those left over to ``slow``.

    ``boot`` is seen as int64. A device one of whose messages is left over is disarmed, so that what follows it is left
    over too. A message taken that is of ``fresh_from_ms`` or later sets its device's bit in ``heard``. Returns the index
    of the first message not looked at (``stop``, unless ``slow_max`` are left over before) and their number.
    """
    left = 0
    ahead = start
    warm = 0
    for row in range(start, stop):
        if row >= ahead:
            ahead = min(row + AHEAD, stop)
            for near in range(row, ahead):
                soon = np.uint64(device[np.uint64(near)])
                warm |= rows[soon, BASE]
                warm |= np.int64(heard[soon >> np.uint64(6)])
                # Only an event that may be an opening will write there; the others look where all look.
                warm |= opened_ms[soon * np.uint64(kind[np.uint64(near)])]
        at = np.uint64(row)  # an index that cannot be negative needs no look at the array's length
        d = np.uint64(device[at])
        base_word, last, place = rows[d, BASE], rows[d, LAST], rows[d, PLACE]
        base = base_word >> BASE_SHIFT
        instant, uptime, counter = ts[at], up[at], opens[at]
        last_ms = last >> LAST_SHIFT
        deviation = instant - uptime - base
        later = uptime - (last_ms - base - ((last & (BEAT - 1)) - DEVIATION_ZERO))
        lag = received[at] - instant
        # What it is comes as good as at random, and a branch guessed wrong costs more than reckoning: one bit for
        # the type of an event, none for a heartbeat.
        event = int(kind[at])
        said = event << int(type_[at])
        before = place & UNCOUNTED
        counted = before != UNCOUNTED
        expected = before + (said & EDGE) if counted else NO_COUNTER
        position = (place >> PLACE_SHIFT) + event
        needed = ARMED | (LIVES if said & TELLING else 0)
        by_others = (said & PASSAGE) != 0 and (cls[at] >= STAFF or remote[at])
        if (
            (base_word & needed) == needed
            and rows[d, BOOT] == boot[at]
            and seq[at] == position
            and counter == expected
            and clk[at] == NTP
            and (said & ALARMING) == 0
            and not by_others
            and -STEP_MAX_MS <= deviation <= STEP_MAX_MS
            and (later > 0 or (later == 0 and deviation >= 0 and (event == 1 or (last & BEAT) == 0)))
            and instant >= last_ms
            and -FUTURE_MAX_MS <= lag <= PAST_MAX_MS
            and (
                lag >= 0 or instant <= -(-received[at] // PULSE_MS) * PULSE_MS
            )  # the next pulse sees what is past
            and position < POSITION_MAX
            and counter < UNCOUNTED
        ):
            rows[d, LAST] = instant << LAST_SHIFT | (1 - event) * BEAT | (deviation + DEVIATION_ZERO)
            rows[d, PLACE] = position << PLACE_SHIFT | (counter & UNCOUNTED)
            heard[d >> np.uint64(6)] |= np.uint64(instant >= fresh_from_ms) << (d & np.uint64(63))
            if said & LIFE:
                opened_ms[d] = instant
        else:
            rows[d, BASE] = base_word & ~ARMED
            slow[left] = row
            left += 1
            if left == slow_max:
                return row + 1, left
    if warm == -1:  # never: keeps the looking ahead from being optimised away
        slow[0] = warm
    return stop, left
