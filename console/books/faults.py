"""What is wrong in a book: a place in a file enters, a line that says what and how to mend it leaves.

Nothing of a cell's content is repeated: the line goes to terminals and tickets, the cell may hold anybody's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A row of a file; ``row`` counts from 1, in CSV the header is row 1, and 0 stands for the whole file."""

    file: str
    table: str
    row: int

    def __str__(self) -> str:
        # The tables of a JSON document are parts of one file.
        name = (
            self.file if self.file.lower().endswith(".csv") or not self.table else f"{self.file}#{self.table}"
        )
        return f"{name}:{self.row}"


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that keeps the whole import from being written; ``cell`` is where a sheet shows it, such as ``H14``."""

    origin: Origin
    column: str
    what: str
    mend: str
    cell: str = field(default="", compare=False)

    def __str__(self) -> str:
        what = f"cell {self.cell} {self.what}" if self.cell else self.what
        return f"{self.origin}:{self.column or '*'}: {what}; {self.mend}"


#: So many rows of one fault are told each by itself: one that is everywhere would hide the others.
TOLD_EACH_MAX = 3
_RANGES_MAX = 200


@dataclass(frozen=True, slots=True)
class Alike:
    """A fault and the other rows in which the same is wrong with the same column."""

    fault: Fault
    others: tuple[int, ...] = ()

    @property
    def rows(self) -> str:
        """The other rows as they are counted in a sheet: ``8-3000, 3004 …``."""
        ranges: list[list[int]] = []
        for row in self.others:
            if ranges and row == ranges[-1][1] + 1:
                ranges[-1][1] = row
            else:
                ranges.append([row, row])
        said = ", ".join(
            f"{first}-{last}" if last > first else f"{first}" for first, last in ranges[:_RANGES_MAX]
        )
        return f"{said} …" if len(ranges) > _RANGES_MAX else said


def put_together(faults: Iterable[Fault]) -> list[Alike]:
    """Return faults in their order, those that are in more than a few rows once, with all their rows."""
    alike: dict[tuple[str, str, str, str, str], list[Fault]] = {}
    for fault in faults:
        key = (fault.origin.file, fault.origin.table, fault.column, fault.what, fault.mend)
        alike.setdefault(key, []).append(fault)
    told: list[Alike] = []
    for same in alike.values():
        if len(same) > TOLD_EACH_MAX:
            told.append(Alike(same[0], tuple(sorted({fault.origin.row for fault in same[1:]}))))
        else:
            told += map(Alike, same)
    return sorted(told, key=lambda one: one.fault)


class ImportRefusedError(Exception):
    """Nothing was written, and these are all the reasons found."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = sorted(set(faults))
