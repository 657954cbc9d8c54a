"""Messages and households as numpy arrays of the agreed layout enter; checked, contiguous columns leave. Pure.

One row per message in order of receipt. Instants and spans are Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

HEARTBEAT, EVENT = 0, 1
NTP, RTC, UNSYNCED = 0, 1, 2
OPEN, CLOSED, GRANTED, TAKEN, NOT_TAKEN, FORCED, TAMPER, FAULT, OTHER = range(9)
UNLISTED, RESIDENT, FAMILY, STAFF, GUARD, VISITOR = range(6)
NO_COUNTER = -1
#: Instants and counts beyond this would overflow sums of 64 bits; no clock and no device comes near.
NUMBER_MAX = 1 << 60

_DTYPES: dict[str, Any] = {
    "device": np.int32,
    "boot": np.uint64,
    "kind": np.uint8,
    "clk": np.uint8,
    "type": np.uint8,
    "cls": np.uint8,
    "remote": np.bool_,
}
_CODES_MAX = {"kind": EVENT, "clk": UNSYNCED, "type": OTHER, "cls": VISITOR}


class ColumnsError(ValueError):
    """Columns that are not of the layout; says which, where, and what it should be."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Messages, one row each, in order of receipt; every array has shape (N,)."""

    device: NDArray[np.int32]
    boot: NDArray[np.uint64]
    #: ``HEARTBEAT`` or ``EVENT``.
    kind: Bytes
    #: An event's ``seq``, a heartbeat's ``seq_last``.
    seq: Ints
    up: Ints
    ts: Ints
    #: ``NTP``, ``RTC``, ``UNSYNCED``.
    clk: Bytes
    #: ``OPEN`` .. ``OTHER``; a door state that is not Open is ``CLOSED``.
    type: Bytes
    #: Class of the credential, ``UNLISTED`` (or none) .. ``VISITOR``.
    cls: Bytes
    #: By method ``remote_office``.
    remote: NDArray[np.bool_]
    #: ``NO_COUNTER`` where the message carries none.
    opens: Ints
    received: Ints

    def __len__(self) -> int:
        return len(self.device)

    def part(self, start: int, stop: int) -> Columns:
        """Return rows ``start`` to ``stop`` (excluded) without copying."""
        return Columns(*(column[start:stop] for column in self.arrays()))

    def arrays(self) -> Iterator[NDArray[Any]]:
        """Yield the columns in the order of the layout, which is the order of the kernels' arguments."""
        for field in fields(self):
            yield getattr(self, field.name)

    @classmethod
    def of(cls, given: Any, *, devices: int | None = None) -> Columns:
        """Take a mapping, a structured array or any object with the layout's names; check it.

        Raises
        ------
        ColumnsError
            If a column is missing, has another length, or a value no rule has a meaning for.
        """
        columns = cls(*(_column(given, field.name) for field in fields(cls)))
        for field in fields(cls):
            if len(getattr(columns, field.name)) != len(columns.device):
                raise ColumnsError(f"column {field.name} must have {len(columns.device)} rows like device")
        _check(columns, devices)
        return columns


def _column(given: Any, name: str) -> NDArray[Any]:
    try:
        values = given[name] if isinstance(given, Mapping | np.ndarray) else getattr(given, name)
    except (KeyError, ValueError, AttributeError) as error:
        raise ColumnsError(f"column {name} is missing") from error
    return np.ascontiguousarray(values, dtype=_DTYPES.get(name, np.int64))


def _check(columns: Columns, devices: int | None) -> None:
    if not len(columns):
        return
    for name, most in _CODES_MAX.items():
        values = getattr(columns, name)
        if int(values.max()) > most:
            raise ColumnsError(f"column {name}, row {int(values.argmax())}: the codes are 0 to {most}")
    for name, least in (("seq", 0), ("up", 0), ("opens", NO_COUNTER), ("ts", None), ("received", None)):
        values = getattr(columns, name)
        low = -NUMBER_MAX if least is None else least
        if int(values.min()) < low:
            raise ColumnsError(f"column {name}, row {int(values.argmin())}: less than {low}")
        if int(values.max()) > NUMBER_MAX:
            raise ColumnsError(f"column {name}, row {int(values.argmax())}: more than {NUMBER_MAX}")
    if int(columns.device.min()) < 0 or (devices is not None and int(columns.device.max()) >= devices):
        raise ColumnsError(
            f"column device: the indices are 0 to {devices or 'the number of devices'} excluded"
        )


@dataclass(frozen=True, slots=True)
class Homes:
    """Households by index: their dwelling doors, and what is agreed with them."""

    #: Doors of household ``h``: ``doors[door_begin[h]:door_begin[h + 1]]``; shape (H + 1,).
    door_begin: Ints
    doors: NDArray[np.int32]
    #: Per device.
    supervision_ms: Ints
    #: Per household.
    watched_from: Ints
    #: Ascending, shape (H, T).
    thresholds: Ints
    absence_household: NDArray[np.int32]
    absence_from: Ints
    absence_to: Ints

    def __len__(self) -> int:
        return len(self.watched_from)

    @classmethod
    def of(cls, given: Any) -> Homes:
        """Take a mapping or an object with these names; one row of thresholds serves all households."""
        narrow = {"doors": np.int32, "absence_household": np.int32}
        found: dict[str, NDArray[Any]] = {}
        for field in fields(cls):
            values = given[field.name] if isinstance(given, Mapping) else getattr(given, field.name)
            found[field.name] = np.ascontiguousarray(values, dtype=narrow.get(field.name, np.int64))
        count = len(found["watched_from"])
        found["thresholds"] = np.ascontiguousarray(
            np.broadcast_to(found["thresholds"], (count, found["thresholds"].shape[-1]))
        )
        if len(found["door_begin"]) != count + 1:
            raise ColumnsError(f"door_begin must have {count + 1} entries for {count} households")
        if len(found["doors"]) and int(found["doors"].max()) >= len(found["supervision_ms"]):
            raise ColumnsError("doors: a household has a device that supervision_ms does not know")
        return cls(**found)
