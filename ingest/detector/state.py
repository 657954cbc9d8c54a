"""The hot part of the detector: one array per field, one index per household; nothing else lives here.

Shapes: ``H`` households padded to whole blocks of ``BLOCK``; ``B`` blocks padded to whole regions of ``REGION``. A
pulse reads ``due_s`` and ``level`` (5 bytes a household), of those only the blocks whose ``bound_s`` has passed, and of
the bounds only the regions whose ``region_s`` has: an opening or a heartbeat only moves a due instant later, so a bound
stays a true lower bound without being touched. The other arrays (26 bytes) are read for a household that is due.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024
#: Blocks whose bounds have a bound of their own: of a hundred million households, a hundred numbers.
REGION = 1024
PULSE_MS = 1000
FOREVER = 1 << 62
#: Seconds since 1970 fit into 32 bits until 2106; the last value means never.
NEVER_S = (1 << 32) - 1
THRESHOLDS_MAX = 8
#: Devices kept as they are, some kilobytes each; of more than that, those nobody asked for longest are packed.
AWAKE_MAX = 20_000
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
        regions = -(-blocks // REGION)
        self.count = count
        #: The first pulse at which something may change.
        self.due_s: Seconds = np.full(size, NEVER_S, np.uint32)
        #: At or before the first due instant of each block, and of each region of blocks.
        self.bound_s: Seconds = np.full(regions * REGION, NEVER_S, np.uint32)
        self.region_s: Seconds = np.full(regions, NEVER_S, np.uint32)
        #: How many stages stand announced, where the compiled kernel may judge the household (one door, watched up
        #: to now, nothing dated ahead); else ``PLAIN``.
        self.level: Levels = np.full(size, PLAIN, np.int8)
        self.evidence_ms: Instants = np.zeros(size, np.int64)
        #: Where inactivity would have begun without blind time: ``inactive(now) = now - origin_ms``.
        self.origin_ms: Instants = np.zeros(size, np.int64)
        #: The last second at which the door still is known. Pulses are whole seconds, so nothing is lost by rounding.
        self.known_until_s: Seconds = np.zeros(size, np.uint32)
        #: The first second of the next absence; 0 where there is none.
        self.other_due_s: Seconds = np.zeros(size, np.uint32)
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
            "known_until_s",
            "other_due_s",
            "policy",
        ):
            getattr(blank, name)[:size] = getattr(self, name)
            setattr(self, name, getattr(blank, name))
        self.count = count
        self.make_bounds()

    def restore_thresholds(self, rows: Instants) -> None:
        """Take over a table of thresholds, shape (P, THRESHOLDS_MAX), as ``set_thresholds`` left it."""
        self.thresholds_ms = rows
        keys = [tuple(limit for limit in row if limit != FOREVER) for row in rows.tolist()]
        self._policy_by_thresholds = {key: policy for policy, key in enumerate(keys) if key}

    def set_due(self, index: int, due_ms: int) -> None:
        """Arm one household for the first pulse at or after ``due_ms``; the bounds are lowered where needed."""
        due_s = max(0, min(-(-due_ms // PULSE_MS), NEVER_S))
        self.due_s[index] = due_s
        block = index // BLOCK
        if due_s < self.bound_s[block]:
            self.bound_s[block] = due_s
            region = block // REGION
            self.region_s[region] = min(int(self.region_s[region]), due_s)

    def set_known_until(self, index: int, until_ms: int) -> None:
        """Note the last instant at which a household's door is known."""
        self.known_until_s[index] = max(0, min(until_ms // PULSE_MS, NEVER_S - 1))

    def set_other_due(self, index: int, due_ms: int | None) -> None:
        """Note when an absence begins that is to come; None where there is none."""
        self.other_due_s[index] = 0 if due_ms is None else max(1, min(-(-due_ms // PULSE_MS), NEVER_S))

    def make_bounds(self) -> None:
        """Find the bounds anew, after many households were armed at once."""
        blocks = len(self.due_s) // BLOCK
        self.bound_s = np.full(-(-blocks // REGION) * REGION, NEVER_S, np.uint32)
        self.bound_s[:blocks] = self.due_s.reshape(blocks, BLOCK).min(axis=1)
        self.region_s = self.bound_s.reshape(-1, REGION).min(axis=1)

    def next_due_s(self) -> int:
        """Return the second before which no pulse can find anybody due."""
        return int(self.region_s.min())

    def due_pulse_ms(self, index: int) -> int:
        """Return the pulse at which a household is due; far beyond any clock where it never is."""
        due_s = int(self.due_s[index])
        return FOREVER if due_s == NEVER_S else due_s * PULSE_MS

    def hot_bytes(self) -> int:
        """Return what a pulse may have to read of a household."""
        return self.due_s.itemsize + self.level.itemsize

    def all_bytes(self) -> int:
        """Return what a household takes in all arrays together."""
        cold = (self.evidence_ms, self.origin_ms, self.known_until_s, self.other_due_s, self.policy)
        return self.hot_bytes() + sum(array.itemsize for array in cold)
