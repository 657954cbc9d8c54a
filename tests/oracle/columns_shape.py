"""Nothing enters; the shapes in which whole streets of messages and their households are held leave.

One numpy array per field, one index per message or household. Instants and spans are Unix milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

EVENT, HEARTBEAT = 1, 0
NTP, RTC, UNSYNCED = 0, 1, 2
OPEN, CLOSED, GRANTED, TAKEN, NOT_TAKEN, FORCED, TAMPER, FAULT, OTHER = range(9)
NOBODY, RESIDENT, FAMILY, STAFF, GUARD, VISITOR = range(6)
NO_COUNTER = -1


@dataclass(frozen=True)
class Columns:
    """Messages in order of receipt, one row each."""

    device: NDArray[np.int32]
    boot: NDArray[np.uint64]
    kind: NDArray[np.uint8]  # HEARTBEAT, EVENT
    seq: Ints  # seq of an event, seq_last of a heartbeat
    up: Ints
    ts: Ints
    clk: NDArray[np.uint8]  # NTP, RTC, UNSYNCED
    type: NDArray[np.uint8]  # OPEN .. OTHER; OTHER for a heartbeat
    cls: NDArray[np.uint8]  # class of the credential, NOBODY .. VISITOR
    remote: Bools  # by method remote_office
    opens: Ints  # NO_COUNTER where absent
    received: Ints

    def __len__(self) -> int:
        return len(self.device)

    def take(self, rows: Any) -> Columns:
        """These rows (indices, mask or slice), in the order given."""
        return Columns(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True)
class Households:
    """Households, their dwelling doors, and what is agreed with them."""

    door_begin: Ints  # doors of household h: doors[door_begin[h]:door_begin[h + 1]]
    doors: NDArray[np.int32]
    supervision_ms: Ints  # per device
    watched_from: Ints
    thresholds: Ints  # (households, 3), ascending
    absence_household: NDArray[np.int32]
    absence_from: Ints
    absence_to: Ints

    def __len__(self) -> int:
        return len(self.watched_from)

    def doors_of(self, household: int) -> list[int]:
        return [int(door) for door in self.doors[self.door_begin[household] : self.door_begin[household + 1]]]

    def absences_of(self, household: int) -> list[tuple[int, int]]:
        mine = self.absence_household == household
        return [(int(a), int(b)) for a, b in zip(self.absence_from[mine], self.absence_to[mine], strict=True)]


def columns_of(**given: Any) -> Columns:
    """Columns with each array in the type the shape promises."""
    types = {
        "device": np.int32,
        "boot": np.uint64,
        "kind": np.uint8,
        "clk": np.uint8,
        "type": np.uint8,
        "cls": np.uint8,
        "remote": np.bool_,
    }
    return Columns(
        **{name: np.asarray(values, dtype=types.get(name, np.int64)) for name, values in given.items()}
    )
