"""Finds the table in what an office calls one: all cells of a sheet or a file enter, where the rows of its book stand leaves.

Titles above the header, columns of running numbers and of what no book keeps (sex, remarks), totals and notes below are
passed over and named; what could be somebody's row is never passed over. A column of citizens' numbers is refused by its title, its cells are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from console.books.faults import Fault, Origin
from console.books.roll_row import form_of, is_roll
from console.books.rows import safe_column
from console.books.titles import column_of, is_citizens_number, is_never_kept, is_running_number, may_matter

#: How far down the header may stand, and how many cells a line of a title may have: a word and what it is for.
_HEADER_WITHIN = 10
_TITLE_CELLS_MAX = 2
_NOTE = re.compile(
    r"(合\s*计|总\s*计|小\s*计|共\s*计|总数|备注|注\s*[::0-9一]|说明|填表|制表|审核|填报|打印|[Tt]otals?\b|[Nn]otes?\b)"
)
_Lines = Mapping[int, Mapping[int, str]]


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the book stands: the header's row, its columns by index (from 0), its rows, and the rows passed over."""

    header_row: int
    columns: Mapping[int, str]
    #: Columns that only number the lines, and such as no book has.
    running: frozenset[int]
    unread: frozenset[int]
    rows: tuple[int, ...]
    passed_over: tuple[int, ...]


def letter_of(index: int) -> str:
    """Return what a spreadsheet calls a column: A for 0, AA for 26."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def looks_like_roll(lines: _Lines) -> bool:
    """Say whether a table lists homes with their people and has no ids: then it is no book, whatever it is called."""
    numbers = sorted(number for number, cells in lines.items() if cells)[:_HEADER_WITHIN]
    headers = ({column_of(cell) for cell in lines[number].values()} for number in numbers)
    return any(
        "name" in titles and titles & {"room", "label"} and not titles & {"id", "household_id"}
        for titles in headers
    )


def find_shape(file: str, book: str, lines: _Lines, faults: list[Fault]) -> Shape | None:
    """Return where the book's rows stand; None, with the reasons in ``faults``, where that is not plain.

    ``lines`` are the cells by index and row number; empty ones are left out.
    """
    known = form_of(book).columns()
    numbers = sorted(number for number, cells in lines.items() if cells)
    if not numbers:
        faults.append(Fault(Origin(file, book, 1), "", "has no header", "write the titles of the columns"))
        return None
    named = (number for number in numbers[:_HEADER_WITHIN] if _titles(lines[number], known) > 1)
    header_row = next(named, numbers[0])
    before = len(faults)
    faults += _above(file, book, lines, header_row)
    origin = Origin(file, book, header_row)
    columns, running, unread = _read_header(origin, lines[header_row], faults)
    faults += _missing(origin, book, columns)
    below = [number for number in numbers if number > header_row]
    if below and _goes_on(book, columns, lines[below[0]]):
        mend = "write one title for each column into one row"
        faults.append(
            Fault(Origin(file, book, below[0]), "", "goes on with the header of the row above", mend)
        )
    if len(faults) > before:
        return None
    rows, notes = _split(
        file, book, lines, columns, [n for n in below if not _only_counts(lines[n], running)], faults
    )
    above = tuple(number for number in numbers if number < header_row)
    return Shape(header_row, columns, running, unread, rows, above + notes)


def _titles(cells: Mapping[int, str], known: Mapping[str, str]) -> int:
    return sum(column_of(cell) in known for cell in cells.values())


def _above(file: str, book: str, lines: _Lines, header_row: int) -> Iterator[Fault]:
    for number, cells in lines.items():
        if number < header_row and len(cells) > _TITLE_CELLS_MAX:
            mend = "move it below the header, or delete it; a header stands in one row"
            yield Fault(
                Origin(file, book, number), "", "stands above the header and is more than a title", mend
            )


def _read_header(
    origin: Origin, cells: Mapping[int, str], faults: list[Fault]
) -> tuple[dict[int, str], frozenset[int], frozenset[int]]:
    known = form_of(origin.table).columns()
    mend = f"the columns are {', '.join(known)}, between commas"
    columns: dict[int, str] = {}
    running, unread = set(), set()
    for index, cell in sorted(cells.items()):
        column = column_of(cell)
        where = f"column {index + 1} ({letter_of(index)})"
        if is_citizens_number(cell):
            what = f"{where} is for citizens' numbers, which Kaimen never keeps; it was not read"
            faults.append(
                Fault(origin, "", what, "delete the column from the file, save it, and import again")
            )
        elif column in columns.values():
            faults.append(Fault(origin, column, "stands in the header twice", "leave one of them away"))
        elif column in known:
            columns[index] = column
        elif is_running_number(cell):
            running.add(index)
        elif is_never_kept(cell) or (is_roll(origin.table) and not may_matter(cell)):
            # A list that an office keeps for itself has columns of its own: health, benefits, who called when.
            unread.add(index)
        else:
            # Not repeated: where the header is missing, this is somebody's row.
            faults.append(Fault(origin, safe_column(column), f"{where} is none of this book", mend))
    return columns, frozenset(running), frozenset(unread)


def _missing(origin: Origin, book: str, columns: Mapping[int, str]) -> Iterator[Fault]:
    mend = f"the columns are {', '.join(form_of(book).columns())}, between commas"
    for column in form_of(book).columns():
        if column in form_of(book).required() and column not in columns.values():
            yield Fault(origin, column, "is missing in the header", mend)


def _is_whole(book: str, columns: Mapping[int, str], cells: Mapping[int, str]) -> bool:
    return form_of(book).required() <= {columns[index] for index in cells if index in columns}


def _goes_on(book: str, columns: Mapping[int, str], cells: Mapping[int, str]) -> bool:
    return _titles(cells, form_of(book).columns()) > 0 and not _is_whole(book, columns, cells)


def _only_counts(cells: Mapping[int, str], running: frozenset[int]) -> bool:
    """Say whether a line was numbered before anybody wrote into it."""
    return cells.keys() <= running and all(cell.strip().isdigit() for cell in cells.values())


def _split(
    file: str,
    book: str,
    lines: _Lines,
    columns: Mapping[int, str],
    below: list[int],
    faults: list[Fault],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tell the rows from the totals and notes below them."""
    rows: list[int] = []
    notes: list[int] = []
    for number in below:
        cells = lines[number]
        is_note = _NOTE.match(cells[min(cells)].strip()) and not _is_whole(book, columns, cells)
        if is_note or (notes and len(cells) <= _TITLE_CELLS_MAX and not _is_whole(book, columns, cells)):
            notes.append(number)
            continue
        if notes:
            what, mend = "stands below a total or a note", "move all rows above the totals and notes"
            faults.append(Fault(Origin(file, book, number), "", what, mend))
        rows.append(number)
    return tuple(rows), tuple(notes)
