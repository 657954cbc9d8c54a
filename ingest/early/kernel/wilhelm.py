"""What a home remembers enters; the line of Wilhelm & Wahl 2024, and a score that an event takes a part of, leave."""

from __future__ import annotations

import numpy as np

from ingest.detector.compiled import compiled
from ingest.early.kernel.home import DAYS, LAST, NEVER, SENSORS, SLOTS, Home
from ingest.early.kernel.order import ascend, quantile

WILHELM_CERTAINTY = 0.9
WILHELM_RECOVERY = 6 * 3600.0
WILHELM_MARGIN = 1.1
CLASS_DAYS_MIN = 3


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
