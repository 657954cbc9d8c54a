"""Early watch, compiled: a household's arrays, its events and an instant enter, score and verdict leave.

Plain functions over arrays, a file for each of: what is kept of a home, whether she is in, what silence is usual (five
methods), the verdict, and the walk over a recording.
"""

from __future__ import annotations

from ingest.early.kernel.cuddihy import learn_cuddihy
from ingest.early.kernel.floeck import learn_floeck
from ingest.early.kernel.hazard import learn_hazard, learn_hazard_line
from ingest.early.kernel.home import (
    DAY,
    DAYS,
    GAP_COUNT,
    GAPS,
    HOUR,
    LAST,
    LEARNED,
    LEVELS,
    MARKS,
    MINUTE,
    NEVER,
    PLACE,
    ROW,
    SENSORS,
    SLOTS,
    WAS,
    Home,
)
from ingest.early.kernel.inside import CAME_IN, FRONT_DOOR, IN, INDOORS, LEFT
from ingest.early.kernel.recording import ALERTS, LATENCIES, NEXT_TICK, TICK, mark_inside, walk
from ingest.early.kernel.tail import learn_tail
from ingest.early.kernel.verdict import (
    BELOW_FLOOR,
    BELOW_LINE,
    CUDDIHY,
    FLOECK,
    HAZARD,
    LEARNING,
    NOTHING_HEARD,
    OVER_CAP,
    OVER_DOOR_CLOCK,
    OVER_LINE,
    PRESUMED_OUT,
    TAIL,
    WARM_UP,
    WILHELM,
    is_alert,
    judge,
    take,
)
from ingest.early.kernel.wilhelm import is_weekend, learn_wilhelm

__all__ = [
    "ALERTS",
    "BELOW_FLOOR",
    "BELOW_LINE",
    "CAME_IN",
    "CUDDIHY",
    "DAY",
    "DAYS",
    "FLOECK",
    "FRONT_DOOR",
    "GAPS",
    "GAP_COUNT",
    "HAZARD",
    "HOUR",
    "IN",
    "INDOORS",
    "LAST",
    "LATENCIES",
    "LEARNED",
    "LEARNING",
    "LEFT",
    "LEVELS",
    "MARKS",
    "MINUTE",
    "NEVER",
    "NEXT_TICK",
    "NOTHING_HEARD",
    "OVER_CAP",
    "OVER_DOOR_CLOCK",
    "OVER_LINE",
    "PLACE",
    "PRESUMED_OUT",
    "ROW",
    "SENSORS",
    "SLOTS",
    "TAIL",
    "TICK",
    "WARM_UP",
    "WAS",
    "WILHELM",
    "Home",
    "is_alert",
    "is_weekend",
    "judge",
    "learn_cuddihy",
    "learn_floeck",
    "learn_hazard",
    "learn_hazard_line",
    "learn_tail",
    "learn_wilhelm",
    "mark_inside",
    "take",
    "walk",
]
