"""What a home remembers enters; the line of Cuddihy et al. 2007 leaves."""

from __future__ import annotations

import numpy as np

from ingest.detector.compiled import compiled
from ingest.early.kernel.home import DAYS, NEVER, Home
from ingest.early.kernel.order import WEIGHTS, ascend, quantile

CUDDIHY_QUANTILE = 0.97
CUDDIHY_OWN_BUFFER = 0.30
CUDDIHY_MEAN_BUFFER = 0.40


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
