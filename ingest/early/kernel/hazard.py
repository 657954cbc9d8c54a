"""What a home remembers enters; its usual rate by clock time, and the default line on the rescaled silence, leave."""

from __future__ import annotations

import numpy as np

from ingest.detector.compiled import compiled
from ingest.early.kernel.home import (
    DAY,
    DAYS,
    GAP_COUNT,
    GAPS,
    HOUR,
    NEVER,
    SLOT,
    SLOTS,
    THRESHOLD,
    Home,
    expected_windows,
    oldest_day,
)
from ingest.early.kernel.order import FOREVER_HOURS, WEIGHTS, ascend

#: The dial of the default method: false alerts of its own that a household shall have in a year.
FALSE_ALERTS_WANTED = 4.0
#: Days' worth of presence without which nothing is concluded from a home's habits.
IN_HOME_DAYS_MIN = 2.0


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
