"""Turns the sheets of a workbook into rows of text: sheets enter, a header and rows per book leave, or every fault.

A spreadsheet changes what is typed: a telephone becomes a number, a label a date. What may have lost something is
named with its row and column, and never put right by guessing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from console.books.cells import leaf_of
from console.books.faults import Fault, Origin
from console.books.roll_row import ROLL, is_roll
from console.books.rows import BOOKS
from console.books.shape import Shape, find_shape, letter_of, looks_like_roll
from console.books.sheets import Cell, Kind, Merged, Sheet
from console.books.titles import NOTES, SHEETS, book_of

_MOBILE = re.compile(r"1[3-9]\d{9}")
_ROLL_NEEDS = "a list of homes and people in one sheet has the columns name and room"
_AS_TEXT = "format the column as text, then type it again"
_TIME = "write a date such as 2025-11-21, or as text a time with its zone, such as 2025-11-21T08:00:00+08:00"
#: A sheet counts days; before March 1900 it counts one too many.
_FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet's day has no zone
_SERIAL = re.compile(r"\d+(\.\d+)?", re.ASCII)
_DAY_S = 86_400
_DAYS_MIN, _DAYS_MAX = 61, 100_000
#: Columns that say where something belongs: made one over several rows, what stands there is said of each.
_OF_EACH = frozenset({
    "community_id", "site_id", "household_id", "gateway_id", "building", "unit", "floor", "grid",
})  # fmt: skip
#: In a list with a line for each person, what stands there is said of the home.
_OF_EACH_LINE = frozenset({"site", "label", "room", "tenure"})
#: Columns whose digits are a name, not a count: a zero before them is part of it.
_PHONES = frozenset({"phone", "relative_phone", "other_relative_phone"})
_EXACT = frozenset({"label", "token", *_PHONES})


@dataclass(frozen=True, slots=True)
class Table:
    """One book as its sheet has it: where it stands, then cells by column and row number, as texts."""

    book: str
    shape: Shape
    rows: tuple[tuple[int, Mapping[str, str]], ...]


def read_tables(file: str, stem: str, sheets: list[Sheet], faults: list[Fault]) -> list[Table]:
    """Find the book of every sheet and take its rows; a row with a fault is left out."""
    tables = []
    before = len(faults)
    for sheet, book in _books(file, stem, sheets, faults):
        table = _read_table(file, book, sheet, faults)
        if table is not None:
            tables.append(table)
    if sheets and not tables and len(faults) == before:
        faults.append(
            Fault(Origin(file, "", 0), "", "has no row in any sheet", "write rows below the headers")
        )
    return tables


def _books(file: str, stem: str, sheets: list[Sheet], faults: list[Fault]) -> Iterator[tuple[Sheet, str]]:
    if not sheets:
        faults.append(Fault(Origin(file, "", 0), "", "has no sheet with a cell", "write at least the header"))
    own = book_of(stem)
    named = {book_of(sheet.title) for sheet in sheets} & BOOKS.keys()
    for sheet in sheets:
        book = book_of(sheet.title)
        if sheet.title.strip().lower() in NOTES:
            continue
        if looks_like_roll(_lines(sheet)):
            yield sheet, f"{ROLL} {sheet.number}"
        elif book in BOOKS:
            yield sheet, book
        elif own in BOOKS and len(sheets) == 1 and not named:
            yield sheet, own
        else:
            # Its title is not repeated: people name sheets after people.
            what = f"holds sheet {sheet.number}, which is none of the books"
            words = ", ".join(f"{name} ({title})" for name, title in SHEETS.items())
            mend = f"call it {words}, or delete it; {_ROLL_NEEDS}"
            faults.append(Fault(Origin(file, "", 0), "", what, mend))


def _read_table(file: str, book: str, sheet: Sheet, faults: list[Fault]) -> Table | None:
    before = len(faults)
    shape = find_shape(file, book, _lines(sheet), faults)
    if shape is None:
        return None
    faults += _unseen(file, book, sheet, shape)
    said = _spread(book, sheet, shape)
    rows = []
    for row in shape.rows:
        texts = _texts(Origin(file, book, row), shape, {**sheet.rows[row], **said.get(row, {})}, faults)
        if texts is not None:
            rows.append((row, texts))
    # A sheet of a template that nobody needed says nothing.
    return Table(book, shape, tuple(rows)) if shape.rows or len(faults) > before else None


def _lines(sheet: Sheet) -> dict[int, dict[int, str]]:
    return {
        row: {at: cell.text or "?" for at, cell in cells.items()} for row, cells in sorted(sheet.rows.items())
    }


def _is_of_each(book: str, area: Merged, shape: Shape) -> bool:
    """Say whether cells made one stand in one column that is said of each of their rows."""
    is_column = area.first_column == area.last_column and area.first_row in shape.rows
    of_each = _OF_EACH | _OF_EACH_LINE if is_roll(book) else _OF_EACH
    return is_column and shape.columns.get(area.first_column) in of_each


def _spread(book: str, sheet: Sheet, shape: Shape) -> dict[int, dict[int, Cell]]:
    """Return what cells made one say of the rows below their first, as the sheet shows it."""
    said: dict[int, dict[int, Cell]] = {}
    for area in sheet.merged:
        cell = sheet.rows.get(area.first_row, {}).get(area.first_column)
        if cell is not None and _is_of_each(book, area, shape):
            # Cells made one may run to the end of the sheet: only rows that are there are gone through.
            first, last = (bisect_right(shape.rows, row) for row in (area.first_row, area.last_row))
            for row in shape.rows[first:last]:
                said.setdefault(row, {})[area.first_column] = cell
    return said


def _unseen(file: str, book: str, sheet: Sheet, shape: Shape) -> Iterator[Fault]:
    for area in sheet.merged:
        mend = "take the cells apart, and write into each what belongs there"
        # A title above the header and a note below the rows may be as wide as they like.
        is_beside = area.last_row < shape.header_row or area.first_row in shape.passed_over
        if not is_beside and not _is_of_each(book, area, shape):
            yield Fault(Origin(file, book, area.first_row), "", "holds merged cells", mend)
    for row in sheet.hidden_rows & sheet.rows.keys():
        yield Fault(
            Origin(file, book, row), "", "is hidden", "show all rows (clear the filter), or delete it"
        )
    for at in sheet.hidden_columns & shape.columns.keys():
        mend = "show the column, or delete it"
        origin = Origin(file, book, shape.header_row)
        yield Fault(origin, shape.columns[at], "stands in a hidden column", mend)


def _texts(
    origin: Origin, shape: Shape, cells: Mapping[int, Cell], faults: list[Fault]
) -> Mapping[str, str] | None:
    before = len(faults)
    texts = dict.fromkeys(shape.columns.values(), "")
    for at, cell in cells.items():
        column = shape.columns.get(at)
        if column is None:
            if at not in shape.running | shape.unread:
                what = f"column {at + 1} ({letter_of(at)}) has no title"
                faults.append(Fault(origin, "", what, "write one, or empty its cells"))
            continue
        wrong = find_changed(origin.table, column, cell)
        if wrong is not None:
            faults.append(Fault(origin, column, *wrong))
        texts[column] = _text_of(origin.table, column, cell)
    return texts if len(faults) == before else None


def _text_of(book: str, column: str, cell: Cell) -> str:
    """Return what a cell says; a date as the sheet shows it, without a zone."""
    if (
        cell.kind is not Kind.DATE
        or leaf_of(book, column) is not datetime
        or not _SERIAL.fullmatch(cell.text)
    ):
        return cell.text
    at = _FIRST_DAY + timedelta(seconds=round(float(cell.text) * _DAY_S))
    return f"{at:%Y-%m-%d}" if at.time() == time() else f"{at:%Y-%m-%d %H:%M:%S}"


def find_changed(book: str, column: str, cell: Cell) -> tuple[str, str] | None:
    """Say what the sheet made of a cell that it should not have, and how to mend it; None where nothing was lost."""
    leaf = leaf_of(book, column)
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
            if leaf is datetime and cell.kind is Kind.DATE and _is_day(cell.text):
                return None
            if leaf is datetime:
                return "is a time of a day, or a date out of all years", _TIME
            return "is a date, which a spreadsheet made of a number like 3-1", _AS_TEXT
        case Kind.FLAG if leaf is not bool:
            return "is TRUE or FALSE of the sheet", _AS_TEXT
        case Kind.NUMBER | Kind.PADDED if leaf is str:
            return _find_lost_digits(column, cell)
    return None


def _find_lost_digits(column: str, cell: Cell) -> tuple[str, str] | None:
    if cell.kind is Kind.NUMBER and column in _PHONES and _MOBILE.fullmatch(cell.text):
        return None
    if not cell.text.lstrip("-").isdigit():
        return "is a number a spreadsheet rounded or pointed", _AS_TEXT
    exact = column in _EXACT or column == "id" or column.endswith("_id")
    if exact or cell.kind is Kind.PADDED:
        return "is a number, which loses the zeros before it and digits after the fifteenth", _AS_TEXT
    return None


def _is_day(text: str) -> bool:
    return not _SERIAL.fullmatch(text) or _DAYS_MIN <= float(text) < _DAYS_MAX
