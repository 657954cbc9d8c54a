"""What a home remembers enters; the line of a Pareto tail, after Moshtaghi et al. 2015, leaves."""

from __future__ import annotations

import math

from ingest.detector.compiled import compiled
from ingest.early.kernel.home import DAY, GAP_COUNT, GAPS, HOUR, Home, oldest_day
from ingest.early.kernel.order import FOREVER_HOURS

TAIL_ALPHA = 0.01
TAIL_WINDOW = 50


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
