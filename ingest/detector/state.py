"""The hot part of the detector: one array per field, one index per household; nothing else lives here.

Shapes: ``H`` households padded to whole blocks of ``BLOCK``; ``B = H / BLOCK``. All instants are int64 UTC
milliseconds, ``FOREVER`` where there is none. ``bound_ms[b]`` is a lower bound of ``due_ms`` of block ``b``: an
opening or a heartbeat only moves a due instant later, so the bound stays true without being touched.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024
FOREVER = 1 << 62
THRESHOLDS_MAX = 8

Instants = NDArray[np.int64]


class WatchState:
    """Arrays of ``count`` households."""

    def __init__(self, count: int) -> None:
        blocks = max(1, -(-count // BLOCK))
        size = blocks * BLOCK
        self.count = count
        self.due_ms: Instants = np.full(size, FOREVER, np.int64)
        self.bound_ms: Instants = np.full(blocks, FOREVER, np.int64)
        self.evidence_ms: Instants = np.zeros(size, np.int64)
        self.base_ms: Instants = np.zeros(size, np.int64)
        self.anchor_ms: Instants = np.zeros(size, np.int64)
        self.known_until_ms: Instants = np.zeros(size, np.int64)
        self.other_due_ms: Instants = np.full(size, FOREVER, np.int64)
        self.thresholds_ms: Instants = np.full((size, THRESHOLDS_MAX), FOREVER, np.int64)
        self.level: NDArray[np.int8] = np.zeros(size, np.int8)
        #: 1: the compiled kernel may judge it (one door, watched up to now, nothing dated ahead); 0: the plain rule
        self.simple: NDArray[np.uint8] = np.zeros(size, np.uint8)

    def set_due(self, index: int, due_ms: int) -> None:
        """Arm one household; its block's bound is lowered where needed."""
        self.due_ms[index] = due_ms
        block = index // BLOCK
        if due_ms < self.bound_ms[block]:
            self.bound_ms[block] = due_ms
