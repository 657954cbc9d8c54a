"""What a home remembers enters; the line of Floeck & Litz 2009 leaves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.detector.compiled import compiled
from ingest.early.kernel.home import DAYS, NEVER, SLOTS, Home

FLOECK_DEGREE = 4
FLOECK_MARGIN = 1.10


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
