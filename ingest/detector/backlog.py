"""Homes that nobody judged yet enter, with when each may have to be told of; who is judged next leaves. Pure.

After a start every home waits for its first judgement. To judge a million at one pulse would take minutes, and everybody
else would wait for it: some are taken at each pulse, those first of whom there may be something to say soonest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.detector.state import FOREVER, Instants


class Backlog:
    """Homes by number; ``owed_ms`` is an instant before which nothing can have to be said of one."""

    def __init__(self) -> None:
        self._numbers: NDArray[np.int64] = np.empty(0, np.int64)
        self._owed_ms: Instants = np.empty(0, np.int64)
        self._waiting: set[int] = set()
        self._taken = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, numbers: Sequence[int], owed_ms: Sequence[int]) -> None:
        """Let some homes wait that do not wait yet."""
        left = [
            at for at in range(self._taken, len(self._numbers)) if int(self._numbers[at]) in self._waiting
        ]
        every = np.concatenate([self._numbers[left], np.asarray(numbers, np.int64)])
        owed = np.concatenate([self._owed_ms[left], np.asarray(owed_ms, np.int64)])
        order = np.argsort(owed, kind="stable")
        self._numbers, self._owed_ms, self._taken = every[order], owed[order], 0
        self._waiting.update(numbers)

    def drop(self, number: int) -> None:
        """Note that a home was judged, or is gone."""
        self._waiting.discard(number)

    def take(self, count: int) -> list[int]:
        """Return who is judged next, so many at the most."""
        found: list[int] = []
        while self._taken < len(self._numbers) and len(found) < count:
            number = int(self._numbers[self._taken])
            self._taken += 1
            if number in self._waiting:
                self._waiting.remove(number)
                found.append(number)
        return found

    def owed_ms(self) -> int:
        """Return the instant before which nothing can have to be said of anybody who waits."""
        while self._taken < len(self._numbers) and int(self._numbers[self._taken]) not in self._waiting:
            self._taken += 1
        return int(self._owed_ms[self._taken]) if self._taken < len(self._numbers) else FOREVER
