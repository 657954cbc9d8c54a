"""A seed enters; openings of many households leave, the same for the same seed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from ingest.detector.compiled import compiled

YEAR_S = 365 * 86_400
#: Openings of a household in a year: about ten a day.
_PER_YEAR, _SPREAD = 3_300, 480


@dataclass(frozen=True, slots=True)
class Year:
    """Openings in seconds since the year began, each household's ascending, one after the other.

    ``instants_s`` is uint32 of shape (N,); ``offsets`` int64 of shape (H + 1,) says where each household begins.
    """

    instants_s: NDArray[np.uint32]
    offsets: NDArray[np.int64]
    until_s: int

    @property
    def households(self) -> int:
        return len(self.offsets) - 1

    def first(self, households: int) -> Year:
        """Return the year of the first households alone."""
        offsets = self.offsets[: min(households, self.households) + 1]
        return Year(self.instants_s[: offsets[-1]], offsets, self.until_s)

    def owners(self) -> NDArray[np.int32]:
        """Return whose each opening is; shape (N,)."""
        return np.repeat(np.arange(self.households, dtype=np.int32), np.diff(self.offsets))


@compiled
def _fill(
    seed: int,
    first: int,
    last: int,
    away_one_in: int,
    offsets: NDArray[np.int64],
    instants_s: NDArray[np.uint32],
) -> float:
    """Write the openings of households ``[first, last)``; return the latest of them all."""
    away = np.uint64(away_one_in)
    latest = 0.0
    for household in range(first, last):
        word = np.uint64(seed) ^ (np.uint64(household + 1) * np.uint64(0x9E3779B97F4A7C15))
        low, high = offsets[household], offsets[household + 1]
        mean_s = 0.93 * 365.0 * 86_400.0 / (high - low)
        at = 0.0
        for index in range(low, high):
            word ^= word << np.uint64(13)
            word ^= word >> np.uint64(7)
            word ^= word << np.uint64(17)
            chance = float(word >> np.uint64(11)) * (1.0 / 9007199254740992.0)
            at += 1.0 - log(1.0 - chance) * mean_s
            if word % away == np.uint64(0):
                at += 60_000.0 + 300_000.0 * chance * chance
            instants_s[index] = np.uint32(at)
        latest = max(latest, at)
    return latest


def year_of_openings(households: int, *, away_one_in: int, seed: int = 11, threads: int = 2) -> Year:
    """Make a year of about ten openings a day; after one in so many nobody opens for most of a day, or some days."""
    chance = np.random.default_rng(seed)
    counts = chance.integers(_PER_YEAR, _PER_YEAR + _SPREAD, households)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    instants_s = np.empty(int(offsets[-1]), np.uint32)
    bounds = np.linspace(0, households, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(
            lambda part: _fill(seed, bounds[part], bounds[part + 1], away_one_in, offsets, instants_s),
            range(threads),
        )
    return Year(instants_s, offsets, max(YEAR_S, int(max(parts)) + 1))
