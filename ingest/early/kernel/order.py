"""A few values enter; the same in order, and their quantile, leave."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ingest.detector.compiled import compiled

#: Neighbours in a smoothing over the clock; their sum is nine.
WEIGHTS = (1.0, 2.0, 3.0, 2.0, 1.0)
#: A line that is never reached.
FOREVER_HOURS = 1e9


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
