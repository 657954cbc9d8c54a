"""A household's arrays and an instant enter; score, line, presence and the reason of the verdict leave.

Every method measures silence by a score that never falls while nothing happens, and holds it against a line:

========  =============================  ==================================================================
HAZARD    expected active windows (Λ)    tail of the home's own Λ-silences, at a wanted rate of false alerts
CUDDIHY   hours of silence               Cuddihy et al. 2007: P97 by half-hour, with the paper's buffers
WILHELM   seconds, forgotten in part     Wilhelm & Wahl 2024: daily maxima near this clock time
FLOECK    hours of silence               Floeck & Litz 2009: polynomial over the day, shifted, 10 % margin
TAIL      hours of silence               after Moshtaghi et al. 2015: Pareto tail by hour in which silence began
========  =============================  ==================================================================
"""

from __future__ import annotations

from ingest.detector.compiled import compiled
from ingest.early.kernel.home import (
    ABSENT_AFTER,
    BASE,
    DAY,
    FIRST,
    HOUR,
    LAST,
    NEVER,
    SLOT,
    THRESHOLD,
    Home,
    expected_windows,
)
from ingest.early.kernel.inside import IN, LEFT, presumed, take_place
from ingest.early.kernel.wilhelm import forget

HAZARD, CUDDIHY, WILHELM, FLOECK, TAIL = range(5)

WARM_UP = 7 * DAY
#: No silence shorter than this is an alert of the default method, whatever the home's habit.
FLOOR = 4 * HOUR
#: Nobody who is in stays silent longer than this without an alert.
CAP = 24 * HOUR
#: Who came in and was not heard since: the door clock of the first stage.
CAME_IN_CAP = 24 * HOUR
#: Who left: the door clock of the last stage; the mandated ladder has spoken twice before.
LEFT_CAP = 72 * HOUR

#: Reasons.
NOTHING_HEARD, LEARNING, BELOW_LINE, BELOW_FLOOR, PRESUMED_OUT, OVER_LINE, OVER_CAP, OVER_DOOR_CLOCK = range(
    8
)


@compiled
def grown(home: Home, method: int, to_ms: int) -> float:
    """Return the score at ``to_ms`` if nothing happened since the last event."""
    from_ms = home.marks[LAST]
    if method == HAZARD:
        return expected_windows(home, from_ms, to_ms)
    if method == WILHELM:
        return float(home.level[BASE] + (to_ms - from_ms) / 1000.0)
    return float((to_ms - from_ms) / HOUR)


@compiled
def line_at(home: Home, method: int, now_ms: int) -> float:
    if method == HAZARD:
        return float(home.level[THRESHOLD])
    at_ms = home.marks[LAST] if method == TAIL else now_ms
    return float(home.line[(at_ms % DAY) // SLOT])


@compiled
def judge(home: Home, method: int, now_ms: int) -> tuple[float, float, int, int]:
    """Return (score, threshold, state, reason) at ``now_ms``, not before the last event."""
    if home.marks[LAST] == NEVER:
        return 0.0, 0.0, IN, NOTHING_HEARD
    last = home.marks[LAST]
    state = presumed(home, now_ms)
    score = grown(home, method, now_ms)
    if state != IN:
        clock = LEFT_CAP if state == LEFT else CAME_IN_CAP
        threshold = grown(home, method, last + clock)
        return score, threshold, state, OVER_DOOR_CLOCK if now_ms >= last + clock else PRESUMED_OUT
    highest = grown(home, method, last + CAP)
    if now_ms >= last + CAP:
        return score, highest, state, OVER_CAP
    if last - home.marks[FIRST] < WARM_UP:
        return score, highest, state, LEARNING
    line = line_at(home, method, now_ms)
    if method == HAZARD:
        lowest = grown(home, method, last + FLOOR)
        if line < lowest:
            return score, lowest, state, OVER_LINE if now_ms >= last + FLOOR else BELOW_FLOOR
    if line >= highest:
        return score, highest, state, BELOW_LINE
    return score, line, state, OVER_LINE if score >= line else BELOW_LINE


@compiled
def is_alert(reason: int) -> bool:
    return reason >= OVER_LINE


@compiled
def usual_until(home: Home, method: int, to_ms: int) -> int:
    """Return until when the silence that ends at ``to_ms`` counts as usual: until its alert, if it had one.

    Not at all if it has an absence's length. Were alerted silences learned whole, one real emergency, or one outing
    that no door told of, would teach the home's line to wait for the next.
    """
    last = home.marks[LAST]
    if last != NEVER and to_ms - last > ABSENT_AFTER:
        return int(last)
    if last == NEVER or to_ms - last < HOUR or not is_alert(judge(home, method, to_ms)[3]):
        return to_ms
    at = last + SLOT
    while at < to_ms and not is_alert(judge(home, method, at)[3]):
        at += SLOT
    return int(min(at, to_ms))


@compiled
def take(home: Home, method: int, at_ms: int, code: int, sensor: int) -> None:
    """Take one event; an event older than the last one is taken as of the last one's instant.

    ``learn`` is called apart, once a day before the day's first event: what is learned comes from closed spans alone.
    """
    at_ms = max(at_ms, home.marks[LAST])
    base = forget(home, at_ms, sensor, home.level[BASE]) if method == WILHELM else 0.0
    take_place(home, at_ms, code, usual_until(home, method, at_ms), method != WILHELM)
    home.level[BASE] = base
