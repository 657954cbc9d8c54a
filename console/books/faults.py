"""What is wrong in a book: a place in a file enters, a line that says what and how to mend it leaves.

Nothing of a cell's content is repeated: the line goes to terminals and tickets, the cell may hold anybody's name.
"""

from __future__ import annotations

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


class ImportRefusedError(Exception):
    """Nothing was written, and these are all the reasons found."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = sorted(set(faults))
