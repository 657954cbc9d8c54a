"""Turns the sheets of a workbook into rows of text: sheets enter, a header and rows per book leave, or every fault.

A spreadsheet changes what is typed: a telephone becomes a number, a label a date. What may have lost something is
named with its row and column, and never put right by guessing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, get_args

from console.books.faults import Fault, Origin
from console.books.rows import BOOKS, safe_column
from console.books.sheets import Cell, Kind, Sheet
from console.books.titles import SHEETS, book_of, column_of

_MOBILE = re.compile(r"1[3-9]\d{9}")
_AS_TEXT = "format the column as text, then type it again"
_TIME = "write it as text with its zone, such as 2025-11-21T08:00:00+08:00"
#: Columns whose digits are a name, not a count: a zero before them is part of it.
_EXACT = frozenset({"label", "phone", "token"})


@dataclass(frozen=True, slots=True)
class Table:
    """One book as its sheet has it: the header by position, then cells by row number, as texts."""

    book: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def read_tables(file: str, stem: str, sheets: list[Sheet], faults: list[Fault]) -> list[Table]:
    """Find the book of every sheet and take its rows; a row with a fault is left out."""
    tables = []
    for sheet, book in _books(file, stem, sheets, faults):
        table = _read_table(file, book, sheet, faults)
        if table is not None:
            tables.append(table)
    return tables


def _books(file: str, stem: str, sheets: list[Sheet], faults: list[Fault]) -> Iterator[tuple[Sheet, str]]:
    if not sheets:
        faults.append(Fault(Origin(file, "", 0), "", "has no sheet with a cell", "write at least the header"))
    own = book_of(stem)
    named = {book_of(sheet.title) for sheet in sheets} & BOOKS.keys()
    for sheet in sheets:
        book = book_of(sheet.title)
        if book in BOOKS:
            yield sheet, book
        elif own in BOOKS and len(sheets) == 1 and not named:
            yield sheet, own
        else:
            # Its title is not repeated: people name sheets after people.
            what = f"holds sheet {sheet.number}, which is none of the books"
            words = ", ".join(f"{name} ({title})" for name, title in SHEETS.items())
            faults.append(Fault(Origin(file, "", 0), "", what, f"call it {words}, or delete it"))


def _read_table(file: str, book: str, sheet: Sheet, faults: list[Fault]) -> Table | None:
    if 1 not in sheet.rows:
        what = "has nothing in its first row"
        faults.append(Fault(Origin(file, book, 1), "", what, "write the header into row 1"))
        return None
    width = 1 + max(sheet.rows[1])
    header = tuple(column_of(sheet.rows[1][at].text) if at in sheet.rows[1] else "" for at in range(width))
    faults += _unseen(file, book, sheet, header)
    rows = []
    for row, cells in sorted(sheet.rows.items()):
        texts = _texts(Origin(file, book, row), book, header, cells, faults) if row > 1 else None
        if texts is not None:
            rows.append((row, texts))
    return Table(book, header, tuple(rows))


def _unseen(file: str, book: str, sheet: Sheet, header: tuple[str, ...]) -> Iterator[Fault]:
    for row in sheet.merged_rows:
        mend = "take the cells apart, and write into each what belongs there"
        yield Fault(Origin(file, book, row), "", "holds merged cells", mend)
    for row in sheet.hidden_rows & sheet.rows.keys():
        yield Fault(
            Origin(file, book, row), "", "is hidden", "show all rows (clear the filter), or delete it"
        )
    for column in sheet.hidden_columns & sheet.rows[1].keys():
        mend = "show the column, or delete it"
        yield Fault(Origin(file, book, 1), safe_column(header[column]), "stands in a hidden column", mend)


def _texts(
    origin: Origin, book: str, header: tuple[str, ...], cells: Mapping[int, Cell], faults: list[Fault]
) -> tuple[str, ...] | None:
    before = len(faults)
    texts = [""] * len(header)
    for at, cell in cells.items():
        column = header[at] if at < len(header) else ""
        if not column:
            faults.append(Fault(origin, "", f"column {at + 1} has no title", "write one, or empty its cells"))
            continue
        wrong = find_changed(book, column, cell)
        if wrong is not None:
            faults.append(Fault(origin, safe_column(column), *wrong))
        texts[at] = cell.text
    return tuple(texts) if len(faults) == before else None


def find_changed(book: str, column: str, cell: Cell) -> tuple[str, str] | None:
    """Say what the sheet made of a cell that it should not have, and how to mend it; None where nothing was lost."""
    leaf = _leaf(book, column)
    match cell.kind:
        case Kind.ERROR:
            return "is an error of the sheet, such as #N/A", "write what belongs there"
        case Kind.UNCALCULATED:
            return (
                "is a formula without a result",
                "open the file in Excel or WPS and save it, or write the value",
            )
        case Kind.TIME if leaf is time:
            return None
        case Kind.DATE | Kind.TIME:
            if leaf is datetime:
                return "is a date of the sheet, which has no zone", _TIME
            return "is a date, which a spreadsheet made of a number like 3-1", _AS_TEXT
        case Kind.FLAG if leaf is not bool:
            return "is TRUE or FALSE of the sheet", _AS_TEXT
        case Kind.NUMBER | Kind.PADDED if leaf is str:
            return _find_lost_digits(column, cell)
    return None


def _find_lost_digits(column: str, cell: Cell) -> tuple[str, str] | None:
    if cell.kind is Kind.NUMBER and column == "phone" and _MOBILE.fullmatch(cell.text):
        return None
    if not cell.text.lstrip("-").isdigit():
        return "is a number a spreadsheet rounded or pointed", _AS_TEXT
    exact = column in _EXACT or column == "id" or column.endswith("_id")
    if exact or cell.kind is Kind.PADDED:
        return "is a number, which loses the zeros before it and digits after the fifteenth", _AS_TEXT
    return None


def _leaf(book: str, column: str) -> type | None:
    """Return what a column holds in the end: ``str``, ``int``, ``bool``, ``datetime`` or ``time``."""
    fields = BOOKS[book].model_fields.items()
    found: Any = next((field.annotation for name, field in fields if column in (name, field.alias)), None)
    while get_args(found):
        found = get_args(found)[0]
    # A choice of words ends in its first word.
    return str if isinstance(found, str) else found
