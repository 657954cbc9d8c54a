"""A recording of one home enters; alerts, and how long simulated collapses waited for one, leave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.detector.compiled import compiled
from ingest.early.kernel.home import ABSENT_AFTER, HOUR, PLACE, SLOT, WAS, Home
from ingest.early.kernel.inside import FRONT_DOOR, GUARD, HEARD_WITHIN, INSIDE, PASSED
from ingest.early.kernel.verdict import WARM_UP, is_alert, judge, take

TICK = SLOT
#: A collapse is followed this long; every clock has run out by then.
FOLLOWED = 80 * HOUR


@compiled
def mark_inside(
    home: Home,
    method: int,
    signals: NDArray[np.int64],
    begin: int,
    end: int,
    origin_ms: int,
    hours: NDArray[np.uint8],
) -> None:
    """Take signals ``[begin, end)`` of (N, 3) and mark in ``hours`` (one per hour from ``origin_ms``) when she was in.

    Told afterwards, by the event that follows: who came in unheard was in from the door onwards, once heard. Silences
    of an absence's length count as out.
    """
    for index in range(begin, end):
        take(home, method, signals[index, 0], signals[index, 1], signals[index, 2])
        if index + 1 == signals.shape[0]:
            return
        start, follows = signals[index, 0], signals[index + 1, 0]
        inside = home.marks[PLACE] == INSIDE
        if not inside and signals[index + 1, 1] != FRONT_DOOR:
            inside = GUARD < follows - start <= HEARD_WITHIN or home.marks[WAS] == PASSED
        if inside and follows - start <= ABSENT_AFTER:
            for hour in range((start - origin_ms) // HOUR + 1, (follows - origin_ms) // HOUR + 1):
                hours[hour] = 1


#: Columns of a walk's ``progress``.
NEXT_TICK, STANDING, ALERTS, LATENCIES = range(4)


@compiled
def walk(
    home: Home,
    method: int,
    signals: NDArray[np.int64],
    until_ms: int,
    first_ms: int,
    inside: NDArray[np.uint8],
    progress: NDArray[np.int64],
    alerts_ms: NDArray[np.int64],
    alert_reasons: NDArray[np.int64],
    latencies_h: NDArray[np.float64],
) -> None:
    """Walk from tick to tick up to ``until_ms`` (not included), taking the signals (shape (N, 3)) on the way.

    An alert stands until the next event; while it stands no collapse is simulated. The last three arrays take what
    is found, ``progress`` goes on from one day's signals to the next.
    """
    origin = first_ms // HOUR * HOUR
    index = 0
    while True:
        tick = progress[NEXT_TICK]
        last = tick >= until_ms
        while index < signals.shape[0] and (last or signals[index, 0] <= tick):
            take(home, method, signals[index, 0], signals[index, 1], signals[index, 2])
            progress[STANDING] = 0
            index += 1
        if last:
            return
        progress[NEXT_TICK] += TICK
        if not progress[STANDING]:
            reason = judge(home, method, tick)[3]
            if is_alert(reason):
                progress[STANDING] = 1
                alerts_ms[progress[ALERTS]] = tick
                alert_reasons[progress[ALERTS]] = reason
                progress[ALERTS] += 1
            elif tick % HOUR == 0 and tick - first_ms >= WARM_UP and inside[(tick - origin) // HOUR]:
                latencies_h[progress[LATENCIES]] = follow(home, method, tick) / HOUR
                progress[LATENCIES] += 1


@compiled
def follow(home: Home, method: int, from_ms: int) -> int:
    """Return the time to the first alert if nothing is heard any more from ``from_ms`` on."""
    tick = from_ms + TICK
    while tick < from_ms + FOLLOWED:
        if is_alert(judge(home, method, tick)[3]):
            return tick - from_ms
        tick += TICK
    return FOLLOWED
