"""What is kept of a household watched early: its arrays, and how a silence and an event at home are remembered."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.detector.compiled import compiled

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


@compiled
def oldest_day(home: Home) -> int:
    oldest = 2**62
    for row in range(DAYS):
        if home.days[row] != NEVER:
            oldest = min(oldest, home.days[row])
    return oldest
