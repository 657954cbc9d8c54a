"""The hot part of the detector: one array per field, one index per household; nothing else lives here.

Shapes: ``H`` households padded to whole blocks of ``BLOCK``; ``B = H / BLOCK``. A pulse reads ``due_s`` and ``level``
(5 bytes a household) and of those only the blocks whose ``bound_s`` has passed: an opening or a heartbeat only moves
a due instant later, so the bound stays a true lower bound without being touched. The other arrays (34 bytes) are read
for a household that is due.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024
PULSE_MS = 1000
FOREVER = 1 << 62
#: Seconds since 1970 fit into 32 bits until 2106; the last value means never.
NEVER_S = (1 << 32) - 1
THRESHOLDS_MAX = 8
#: The level of a household that only the plain rule may judge.
PLAIN = -1

Instants = NDArray[np.int64]
Seconds = NDArray[np.uint32]
Levels = NDArray[np.int8]


class WatchState:
    """Arrays of ``count`` households; instants are UTC milliseconds (int64) or whole seconds (uint32)."""

    def __init__(self, count: int) -> None:
        blocks = max(1, -(-count // BLOCK))
        size = blocks * BLOCK
        self.count = count
        #: The first pulse at which something may change.
        self.due_s: Seconds = np.full(size, NEVER_S, np.uint32)
        self.bound_s: Seconds = np.full(blocks, NEVER_S, np.uint32)
        #: How many stages stand announced, where the compiled kernel may judge the household (one door, watched up
        #: to now, nothing dated ahead); else ``PLAIN``.
        self.level: Levels = np.full(size, PLAIN, np.int8)
        self.evidence_ms: Instants = np.zeros(size, np.int64)
        #: Where inactivity would have begun without blind time: ``inactive(now) = now - origin_ms``.
        self.origin_ms: Instants = np.zeros(size, np.int64)
        self.known_until_ms: Instants = np.zeros(size, np.int64)
        self.other_due_ms: Instants = np.full(size, FOREVER, np.int64)
        self.policy: NDArray[np.uint16] = np.zeros(size, np.uint16)
        #: Thresholds by policy, ascending, padded with ``FOREVER``; shape (P, THRESHOLDS_MAX).
        self.thresholds_ms: Instants = np.full((1, THRESHOLDS_MAX), FOREVER, np.int64)
        self._policy_by_thresholds: dict[tuple[int, ...], int] = {}

    def set_thresholds(self, index: int, thresholds_ms: Sequence[int]) -> None:
        """Give a household its ascending thresholds, in milliseconds; equal ones are one row of the table."""
        key = tuple(thresholds_ms)[:THRESHOLDS_MAX]
        policy = self._policy_by_thresholds.get(key)
        if policy is None:
            policy = self._policy_by_thresholds[key] = len(self._policy_by_thresholds)
            row = np.full((1, THRESHOLDS_MAX), FOREVER, np.int64)
            row[0, : len(key)] = key
            self.thresholds_ms = row if policy == 0 else np.concatenate([self.thresholds_ms, row])
        self.policy[index] = policy

    def grow(self, count: int) -> None:
        """Make room for more households, never due until they are armed; what is there stays as it is."""
        assert count >= self.count, (count, self.count)
        blank = WatchState(count)
        size = len(self.due_s)
        for name in (
            "due_s",
            "level",
            "evidence_ms",
            "origin_ms",
            "known_until_ms",
            "other_due_ms",
            "policy",
        ):
            getattr(blank, name)[:size] = getattr(self, name)
            setattr(self, name, getattr(blank, name))
        blank.bound_s[: len(self.bound_s)] = self.bound_s
        self.bound_s, self.count = blank.bound_s, count

    def restore_thresholds(self, rows: Instants) -> None:
        """Take over a table of thresholds, shape (P, THRESHOLDS_MAX), as ``set_thresholds`` left it."""
        self.thresholds_ms = rows
        keys = [tuple(limit for limit in row if limit != FOREVER) for row in rows.tolist()]
        self._policy_by_thresholds = {key: policy for policy, key in enumerate(keys) if key}

    def set_due(self, index: int, due_ms: int) -> None:
        """Arm one household for the first pulse at or after ``due_ms``; its block's bound is lowered where needed."""
        due_s = max(0, min(-(-due_ms // PULSE_MS), NEVER_S))
        self.due_s[index] = due_s
        block = index // BLOCK
        if due_s < self.bound_s[block]:
            self.bound_s[block] = due_s

    def due_pulse_ms(self, index: int) -> int:
        """Return the pulse at which a household is due; far beyond any clock where it never is."""
        due_s = int(self.due_s[index])
        return FOREVER if due_s == NEVER_S else due_s * PULSE_MS

    def hot_bytes(self) -> int:
        """Return what a pulse may have to read of a household."""
        return self.due_s.itemsize + self.level.itemsize

    def all_bytes(self) -> int:
        """Return what a household takes in all arrays together."""
        cold = (self.evidence_ms, self.origin_ms, self.known_until_ms, self.other_due_ms, self.policy)
        return self.hot_bytes() + sum(array.itemsize for array in cold)
