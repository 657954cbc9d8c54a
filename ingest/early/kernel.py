"""Early watch, compiled: a household's arrays, its events and an instant enter, score and verdict leave.

All of it stands in one file because compiled code is kept beside the source and renewed when *its own* file changes:
a constant or a function of another file would go stale unseen. In order: what is kept of a household, what is
remembered, whether she is in, what silence is usual (five methods), the verdict, and the walk over a recording.

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

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.detector.compiled import compiled

# What is kept of a household --------------------------------------------------------------------------------

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

#: A quarter of an hour; the resolution of everything learned by clock time, and of the ticks.
SLOT = 15 * MINUTE
SLOTS = 96
#: Activity is counted once per window, so that a chattering sensor weighs no more than a calm one.
WINDOW = 5 * MINUTE
#: The last in-home days that are remembered.
DAYS = 30
#: Silences of half an hour and longer that are remembered: 48 a day is the most there can be.
GAPS = 48 * DAYS
GAP_MIN = 30 * MINUTE
SENSORS = 256

#: Columns of ``marks``.
FIRST, LAST, DOOR, PLACE, WAS, LAST_WINDOW, EVIDENCE_AT, LEARNED, ROW, GAP_COUNT = range(10)
MARKS = 10
#: Columns of ``level``: evidence of being in (presence), the score at the last event, the learned threshold.
EVIDENCE, BASE, THRESHOLD = range(3)
LEVELS = 3

NEVER = -(2**62)


class Home(NamedTuple):
    """One household's views, or, with one axis more in front, those of all households.

    ``marks`` int64 (MARKS,), ``level`` float64 (LEVELS,), ``hazard`` float64 (SLOTS + 1,): expected active windows
    from midnight to each quarter-hour, ``line`` float64 (SLOTS,): the method's own line by clock time, ``days`` int64
    (DAYS,): the day number of each row of ``active`` uint8, ``present`` float32 (minutes) and ``peak`` float32, all
    (DAYS, SLOTS), ``gaps`` int64 (GAPS, 2): start and end of silences, ``fired`` int64 (SENSORS,).
    """

    marks: NDArray[np.int64]
    level: NDArray[np.float64]
    hazard: NDArray[np.float64]
    line: NDArray[np.float64]
    days: NDArray[np.int64]
    active: NDArray[np.uint8]
    present: NDArray[np.float32]
    peak: NDArray[np.float32]
    gaps: NDArray[np.int64]
    fired: NDArray[np.int64]


# What is remembered ----------------------------------------------------------------------------------------------
#: A silence longer than this is an absence whatever the door said, and nothing is learned from it.
ABSENT_AFTER = 24 * HOUR


@compiled
def integral(hazard: NDArray[np.float64], from_ms: int, to_ms: int) -> float:
    """Return what a daily curve, given as its integral from midnight (SLOTS + 1,), adds up to between two instants."""
    if to_ms <= from_ms:
        return 0.0
    total = 0.0
    for instant, sign in ((to_ms, 1.0), (from_ms, -1.0)):
        day = instant // DAY
        within = instant - day * DAY
        slot = within // SLOT
        part = (within - slot * SLOT) / SLOT
        here = hazard[slot] + part * (hazard[slot + 1] - hazard[slot])
        total += sign * here
    return float(total + (to_ms // DAY - from_ms // DAY) * hazard[SLOTS])


@compiled
def expected_windows(home: Home, from_ms: int, to_ms: int) -> float:
    """Return how many active windows the home's usual day has between two instants."""
    return integral(home.hazard, from_ms, to_ms)


@compiled
def row_of(home: Home, day: int) -> int:
    """Return the row that remembers ``day``; the oldest in-home day makes room for a new one."""
    row = home.marks[ROW]
    if home.days[row] != day:
        if home.days[row] != NEVER:
            row = (row + 1) % DAYS
        home.marks[ROW] = row
        home.days[row] = day
        home.active[row, :] = 0
        home.present[row, :] = 0
        home.peak[row, :] = 0
    return int(row)


@compiled
def learn_silence(home: Home, from_ms: int, to_ms: int, base: float, in_hours: bool) -> None:
    """Remember one silence that was spent at home; a silence of an absence's length is not remembered.

    ``peak`` takes the largest score reached in each quarter-hour: hours of silence, or ``base`` plus seconds.
    """
    if to_ms - from_ms > ABSENT_AFTER or to_ms <= from_ms:
        return
    if to_ms - from_ms >= GAP_MIN:
        place = home.marks[GAP_COUNT] % GAPS
        home.gaps[place, 0] = from_ms
        home.gaps[place, 1] = to_ms
        home.marks[GAP_COUNT] += 1
    at = from_ms
    while at < to_ms:
        day = at // DAY
        slot = (at - day * DAY) // SLOT
        until = min(to_ms, day * DAY + (slot + 1) * SLOT)
        row = row_of(home, day)
        home.present[row, slot] += (until - at) / MINUTE
        reached = (until - from_ms) / HOUR if in_hours else base + (until - from_ms) / 1000.0
        home.peak[row, slot] = max(home.peak[row, slot], reached)
        at = until


@compiled
def learn_activity(home: Home, at_ms: int) -> None:
    """Count the window of an event at home, once."""
    window = at_ms // WINDOW
    if window == home.marks[LAST_WINDOW]:
        return
    home.marks[LAST_WINDOW] = window
    day = at_ms // DAY
    row = row_of(home, day)
    home.active[row, (at_ms - day * DAY) // SLOT] += 1


# Is she in? ------------------------------------------------------------------------------------------------------
#: What an event is.
FRONT_DOOR, INDOORS = 0, 1
#: ``PLACE`` and ``WAS``: in, or past the front door and not heard indoors since.
INSIDE, PASSED = 0, 1
#: What is presumed at an instant.
IN, LEFT, CAME_IN = 0, 1, 2

#: The sensor next to the door sees the leaf fall shut.
GUARD = 15_000
HEARD_WITHIN = 5 * MINUTE
#: An empty home is taken to stir at a twentieth of its usual rate.
STRAY_SHARE = 0.05
EVIDENCE_PER_WINDOW = -math.log(STRAY_SHARE)
#: Odds of being in, as natural logarithms: enough to say so, the least they fall to, and where they start.
EVIDENCE_ENOUGH = 1.5
EVIDENCE_LEAST = -3.0
EVIDENCE_OF_RETURN = 0.0


@compiled
def presumed(home: Home, now_ms: int) -> int:
    """Return IN, LEFT or CAME_IN at an instant not before the last event."""
    if home.marks[PLACE] == INSIDE or now_ms - home.marks[DOOR] <= HEARD_WITHIN:
        return IN
    return LEFT if home.marks[WAS] == INSIDE else CAME_IN


@compiled
def take_passage(home: Home, at_ms: int, silent_until_ms: int, in_hours: bool) -> None:
    marks = home.marks
    if marks[PLACE] == INSIDE:
        marks[WAS] = INSIDE
        if marks[LAST] != NEVER:
            learn_silence(home, marks[LAST], silent_until_ms, home.level[BASE], in_hours)
        learn_activity(home, at_ms)
    elif at_ms - marks[DOOR] > HEARD_WITHIN:
        marks[WAS] = PASSED
    marks[PLACE] = PASSED
    marks[DOOR] = at_ms
    marks[EVIDENCE_AT] = at_ms
    home.level[EVIDENCE] = 0.0 if marks[WAS] == INSIDE else EVIDENCE_OF_RETURN


@compiled
def take_indoors(home: Home, at_ms: int, silent_until_ms: int, in_hours: bool) -> None:
    marks = home.marks
    if marks[PLACE] == PASSED:
        since = at_ms - marks[DOOR]
        if since <= GUARD:
            return
        if since > HEARD_WITHIN:
            weigh_stray(home, at_ms)
            if home.level[EVIDENCE] >= EVIDENCE_ENOUGH:
                marks[PLACE] = INSIDE
                learn_activity(home, at_ms)
            return
        marks[PLACE] = INSIDE
    if marks[LAST] != NEVER:
        learn_silence(home, marks[LAST], silent_until_ms, home.level[BASE], in_hours)
    learn_activity(home, at_ms)


@compiled
def weigh_stray(home: Home, at_ms: int) -> None:
    """Weigh what is heard in a home presumed empty: a running likelihood ratio of the usual rate against strays."""
    marks = home.marks
    quiet = (1.0 - STRAY_SHARE) * expected_windows(home, marks[EVIDENCE_AT], at_ms)
    least = EVIDENCE_LEAST if marks[WAS] == INSIDE else EVIDENCE_OF_RETURN
    home.level[EVIDENCE] = max(least, home.level[EVIDENCE] - quiet)
    marks[EVIDENCE_AT] = at_ms
    window = at_ms // WINDOW
    if window != marks[LAST_WINDOW]:
        marks[LAST_WINDOW] = window
        home.level[EVIDENCE] += EVIDENCE_PER_WINDOW


@compiled
def take_place(home: Home, at_ms: int, code: int, silent_until_ms: int, in_hours: bool) -> None:
    """Take one event (FRONT_DOOR or INDOORS), not older than the last one."""
    if home.marks[FIRST] == NEVER:
        home.marks[FIRST] = at_ms
    if code == FRONT_DOOR:
        take_passage(home, at_ms, silent_until_ms, in_hours)
    else:
        take_indoors(home, at_ms, silent_until_ms, in_hours)
    home.marks[LAST] = at_ms


# What silence is usual? ------------------------------------------------------------------------------------------
HAZARD, CUDDIHY, WILHELM, FLOECK, TAIL = range(5)

#: The dial of the default method: false alerts of its own that a household shall have in a year.
FALSE_ALERTS_WANTED = 4.0
#: Days' worth of presence without which nothing is concluded from a home's habits.
IN_HOME_DAYS_MIN = 2.0
FOREVER_HOURS = 1e9
WEIGHTS = (1.0, 2.0, 3.0, 2.0, 1.0)

CUDDIHY_QUANTILE = 0.97
CUDDIHY_OWN_BUFFER = 0.30
CUDDIHY_MEAN_BUFFER = 0.40

WILHELM_CERTAINTY = 0.9
WILHELM_RECOVERY = 6 * 3600.0
WILHELM_MARGIN = 1.1
CLASS_DAYS_MIN = 3

FLOECK_DEGREE = 4
FLOECK_MARGIN = 1.10

TAIL_ALPHA = 0.01
TAIL_WINDOW = 50


@compiled
def learn_hazard_line(home: Home) -> None:
    """Learn the home's usual rate of active windows by quarter-hour; every method's presence rests on it."""
    count = np.zeros(SLOTS)
    hours = np.zeros(SLOTS)
    for row in range(DAYS):
        if home.days[row] == NEVER:
            continue
        for slot in range(SLOTS):
            count[slot] += home.active[row, slot]
            hours[slot] += home.present[row, slot] / 60.0
    total = 0.0
    home.hazard[0] = 0.0
    for slot in range(SLOTS):
        events, exposure = 0.0, 0.0
        for offset in range(-2, 3):
            near = (slot + offset) % SLOTS
            events += WEIGHTS[offset + 2] / 9.0 * count[near]
            exposure += WEIGHTS[offset + 2] / 9.0 * hours[near]
        # Quarter-hours hold a quarter of an hour per day: the unit of the pseudo-exposure is one such day.
        rate = (events + 0.25) / (exposure + 0.25)
        total += rate * SLOT / HOUR
        home.hazard[slot + 1] = total


@compiled
def oldest_day(home: Home) -> int:
    oldest = 2**62
    for row in range(DAYS):
        if home.days[row] != NEVER:
            oldest = min(oldest, home.days[row])
    return oldest


@compiled
def learn_hazard(home: Home) -> None:
    """Take the largest Λ-silences at home, one per in-home day, and extrapolate their tail to the wanted rate.

    Rescaled by the right rate silences are exponential, and so is what they exceed a high level by. With J excesses
    of mean σ the next one exceeds x with probability (1 + x / (J σ)) ** -J, which allows for J being small.
    """
    first = oldest_day(home) * DAY
    kept = min(home.marks[GAP_COUNT], GAPS)
    rescaled = np.zeros(kept)
    found = 0
    for place in range(kept):
        if home.gaps[place, 0] >= first:
            rescaled[found] = expected_windows(home, home.gaps[place, 0], home.gaps[place, 1])
            found += 1
    days = 0.0
    for row in range(DAYS):
        if home.days[row] != NEVER:
            for slot in range(SLOTS):
                days += home.present[row, slot] / 1440.0
    ascending = ascend(rescaled[:found])
    count = min(found - 1, max(3, int(days + 0.5)))
    if days < IN_HOME_DAYS_MIN:
        home.level[THRESHOLD] = FOREVER_HOURS
        return
    if count < 3:
        # A home that is never silent for GAP_MIN: the floor alone decides.
        home.level[THRESHOLD] = 0.0
        return
    level = ascending[found - 1 - count]
    excess = 0.0
    for place in range(found - count, found):
        excess += (ascending[place] - level) / count
    # A right rate leaves excesses of mean one; less is a few regular days' luck, which the first late morning ends.
    excess = max(excess, 1.0)
    yearly = 365.25 * count / max(days, 1.0)
    home.level[THRESHOLD] = level + count * excess * ((yearly / FALSE_ALERTS_WANTED) ** (1.0 / count) - 1.0)


@compiled
def learn_cuddihy(home: Home) -> None:
    """Cuddihy et al. 2007: line = max of m over five half-hours + 0.30 m + 0.40 of the weighted mean of m."""
    usual = np.zeros(48)
    for half in range(48):
        values = np.zeros(DAYS)
        found = 0
        for row in range(DAYS):
            if home.days[row] == NEVER:
                continue
            values[found] = max(home.peak[row, 2 * half], home.peak[row, 2 * half + 1])
            found += 1
        usual[half] = quantile(ascend(values[:found]), CUDDIHY_QUANTILE)
    for half in range(48):
        highest, mean = 0.0, 0.0
        for offset in range(-2, 3):
            near = usual[(half + offset) % 48]
            highest = max(highest, near)
            mean += WEIGHTS[offset + 2] / 9.0 * near
        level = highest + CUDDIHY_OWN_BUFFER * usual[half] + CUDDIHY_MEAN_BUFFER * mean
        home.line[2 * half] = level
        home.line[2 * half + 1] = level


@compiled
def ascend(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sort in place and return ``values``; they are few, and a call of numpy's sort takes seconds to compile."""
    for index in range(1, values.shape[0]):
        value = values[index]
        place = index
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value
    return values


@compiled
def quantile(ascending: NDArray[np.float64], share: float) -> float:
    """Return a quantile with linear interpolation; 0 of nothing."""
    count = ascending.shape[0]
    if count == 0:
        return 0.0
    place = share * (count - 1)
    low = math.floor(place)
    high = min(low + 1, count - 1)
    return float(ascending[low] + (place - low) * (ascending[high] - ascending[low]))


@compiled
def is_weekend(day: int) -> bool:
    # 1 January 1970 was a Thursday.
    return (day + 3) % 7 >= 5


@compiled
def learn_wilhelm(home: Home, weekend: bool) -> None:
    """Wilhelm & Wahl 2024: 1.1 times the lesser of largest and upper fence of the daily maxima within an hour."""
    alike = 0
    for row in range(DAYS):
        if home.days[row] != NEVER and is_weekend(home.days[row]) == weekend:
            alike += 1
    for slot in range(SLOTS):
        values = np.zeros(DAYS)
        found = 0
        for row in range(DAYS):
            if home.days[row] == NEVER:
                continue
            if alike >= CLASS_DAYS_MIN and is_weekend(home.days[row]) != weekend:
                continue
            highest = 0.0
            for offset in range(-4, 5):
                highest = max(highest, home.peak[row, (slot + offset) % SLOTS])
            values[found] = highest
            found += 1
        ascending = ascend(values[:found])
        lower, upper = quantile(ascending, 0.25), quantile(ascending, 0.75)
        most = ascending[found - 1] if found else 0.0
        home.line[slot] = WILHELM_MARGIN * min(most, upper + 1.5 * (upper - lower))


@compiled
def forget(home: Home, at_ms: int, sensor: int, base: float) -> float:
    """Return the Inactivity Score after an event: a sensor that spoke just now takes little away."""
    place = sensor % SENSORS
    weight = WILHELM_CERTAINTY
    if home.fired[place] != NEVER:
        silent = (at_ms - home.fired[place]) / 1000.0
        weight *= min(1.0, silent / (WILHELM_RECOVERY * (1.0 - WILHELM_CERTAINTY)))
    home.fired[place] = at_ms
    grown = base if home.marks[LAST] == NEVER else base + (at_ms - home.marks[LAST]) / 1000.0
    return (1.0 - weight) * grown


@compiled
def learn_floeck(home: Home) -> None:
    """Floeck & Litz 2009: a polynomial of degree four over the day, shifted above what was seen, with 10 % more."""
    size = FLOECK_DEGREE + 1
    matrix = np.zeros((size, size + 1))
    powers = np.zeros(size)
    for row in range(DAYS):
        if home.days[row] == NEVER:
            continue
        for slot in range(SLOTS):
            if home.present[row, slot] <= 0:
                continue
            fill_powers(slot, powers)
            for one in range(size):
                for other in range(size):
                    matrix[one, other] += powers[one] * powers[other]
                matrix[one, size] += powers[one] * home.peak[row, slot]
    for one in range(size):
        matrix[one, one] += 1e-6
    solve(matrix)
    above = 0.0
    for row in range(DAYS):
        if home.days[row] == NEVER:
            continue
        for slot in range(SLOTS):
            fill_powers(slot, powers)
            above = max(above, home.peak[row, slot] - polynomial(powers, matrix))
    for slot in range(SLOTS):
        fill_powers(slot, powers)
        home.line[slot] = FLOECK_MARGIN * (polynomial(powers, matrix) + above)


@compiled
def polynomial(powers: NDArray[np.float64], solved: NDArray[np.float64]) -> float:
    value = 0.0
    for one in range(powers.shape[0]):
        value += powers[one] * solved[one, powers.shape[0]]
    return value


@compiled
def fill_powers(slot: int, powers: NDArray[np.float64]) -> None:
    power = 1.0
    for one in range(powers.shape[0]):
        powers[one] = power
        power *= 2.0 * slot / SLOTS - 1.0


@compiled
def solve(matrix: NDArray[np.float64]) -> None:
    """Solve the equations (shape (N, N + 1), positive definite) in place; the last column is the solution."""
    size = matrix.shape[0]
    for one in range(size):
        pivot = matrix[one, one]
        for column in range(size + 1):
            matrix[one, column] /= pivot
        for other in range(size):
            share = matrix[other, one]
            if other != one:
                for column in range(size + 1):
                    matrix[other, column] -= share * matrix[one, column]


@compiled
def learn_tail(home: Home) -> None:
    """Pareto tail of the last fifty silences that began within an hour of this clock time, at α = 0.01.

    Silences below half an hour are not told apart; an hour with fewer than five has no line of its own.
    """
    first = oldest_day(home) * DAY
    count = home.marks[GAP_COUNT]
    kept = min(count, GAPS)
    for hour in range(24):
        found, logs, least = 0, 0.0, 0.5
        for back in range(kept):
            place = (count - 1 - back) % GAPS
            start = home.gaps[place, 0]
            if start < first or found == TAIL_WINDOW:
                break
            distance = abs((start // HOUR) % 24 - hour)
            if min(distance, 24 - distance) > 1:
                continue
            logs += math.log((home.gaps[place, 1] - start) / HOUR / least)
            found += 1
        level = FOREVER_HOURS
        if found >= 5 and logs > 0.0:
            level = least * TAIL_ALPHA ** (-logs / found)
        for slot in range(4 * hour, 4 * hour + 4):
            home.line[slot] = level


# The verdict -----------------------------------------------------------------------------------------------------
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


# A recording, walked forward -------------------------------------------------------------------------------------
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
