"""Reads the books: files or folders enter, cells with their row numbers leave, or why a file cannot be trusted.

Text is never guessed. A file is in the encoding that was named, every byte of it, or it is refused with its rows: a
name with a lost character is somebody else's name.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from console.books import letters
from console.books.faults import Fault, Origin
from console.books.roll_row import ROLL, is_roll
from console.books.rows import BOOKS, safe_column
from console.books.shape import Shape, find_shape, letter_of, looks_like_roll
from console.books.sheets import UnreadableError, read_workbook
from console.books.titles import book_of
from console.books.workbook import Table, read_tables

Encoding = Literal["utf-8", "gb18030"]
BYTES_MAX = 64 * 1024 * 1024
STDIN = "-"
#: What Excel and WPS write today, and what else a book may lie there as: read, and refused by name.
_WORKBOOKS = (".xlsx", ".xlsm")
#: What old Excel and WPS write; under these names lies also what was saved as a workbook of today.
_OLD_WORKBOOKS = (".xls", ".et")
_OTHERS = (".ods", ".numbers", ".txt", ".tsv")

_ASK_AGAIN = "export the file again from its source as UTF-8, do not mend the letters by hand"
#: How to mend a file whose encoding was not the one that was named: with the command's option, or another page's words.
SAY_GB18030 = (
    f"if the whole file was saved as GB18030 (GBK, ANSI), say --encoding gb18030; otherwise {_ASK_AGAIN}"
)
SAY_UTF8 = "leave --encoding away"
SAY_UTF8_OR_ASK = f"{SAY_UTF8}; {_ASK_AGAIN}"
_LEAVE_OUT = "leave it out of the file, save it, and import again"
_MENDS = {
    letters.CITIZENS_NUMBER: _LEAVE_OUT,
    letters.LINE_BREAK: "write one thing into a cell, and a row for each person",
}
_OTHER_MARKS = {
    b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PK\x03\x04": "a spreadsheet", b"\xd0\xcf\x11\xe0": "a spreadsheet",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """One file as it was read; ``sha256`` is of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Book:
    """The rows of one book: (row number, cells by column)."""

    name: str
    source: Source
    rows: tuple[tuple[int, Mapping[str, Any]], ...]
    #: The ids of wrong rows too: what refers to them is not wrong for that.
    named: frozenset[str]
    #: Rows that are titles, totals or notes.
    passed_over: tuple[int, ...] = ()
    #: The letters of columns that no book has, such as remarks.
    unread: tuple[str, ...] = ()
    #: Where a sheet shows each column: by its name, the letter; a JSON document shows nothing.
    letters: Mapping[str, str] = field(default_factory=dict)
    #: Where its rows stand, if that is not a table of its own.
    table: str = ""

    def origin(self, row: int) -> Origin:
        return Origin(self.source.name, self.table or self.name, row)


def read_books(paths: Sequence[str], *, encoding: Encoding) -> tuple[list[Book], frozenset[str], list[Fault]]:
    """Read every file and folder named; return the books, the names of those nobody could read, and every fault."""
    faults: list[Fault] = []
    return _gather(((path, _read_bytes(path, faults)) for path in _files_of(paths, faults)), encoding, faults)


def read_sent(
    files: Iterable[tuple[str, bytes]], *, encoding: Encoding
) -> tuple[list[Book], frozenset[str], list[Fault]]:
    """Read files that were sent, by name and content, as ``read_books`` does; nothing of them is kept."""
    faults: list[Fault] = []
    named = ((Path(Path(name).name), data) for name, data in files)
    known = ((path, data if _is_known(path, faults) else None) for path, data in named)
    return _gather(known, encoding, faults)


def _gather(
    files: Iterable[tuple[Path, bytes | None]], encoding: Encoding, faults: list[Fault]
) -> tuple[list[Book], frozenset[str], list[Fault]]:
    books: list[Book] = []
    unread: set[str] = set()
    for path, data in files:
        before = len(faults)
        found = [] if data is None else _read_file(path, data, encoding, faults)
        books += found
        if not found or (path.suffix.lower() in (*_WORKBOOKS, *_OLD_WORKBOOKS) and len(faults) > before):
            # A document nobody could read may have brought any book.
            unread |= {book_of(path.stem)} if path.suffix.lower() == ".csv" else set(BOOKS)
    faults += _twice(books)
    return books, frozenset(unread), faults


def _read_file(path: Path, data: bytes, encoding: Encoding, faults: list[Fault]) -> list[Book]:
    source = Source("stdin" if str(path) == STDIN else path.name, hashlib.sha256(data).hexdigest())
    if path.suffix.lower() in (*_WORKBOOKS, *_OLD_WORKBOOKS):
        return _read_xlsx(path.stem, source, data, faults)
    text = _decode(data, source.name, encoding, faults)
    if text is None:
        return []
    if path.suffix.lower() == ".csv":
        return _read_csv(book_of(path.stem), source, text, faults)
    return _read_json(source, text, faults)


def _whole(file: str, what: str, mend: str, *, row: int = 0) -> Fault:
    return Fault(Origin(file, "", row), "", what, mend)


def _files_of(paths: Sequence[str], faults: list[Fault]) -> Iterator[Path]:
    for path in map(Path, paths):
        if not path.is_dir():
            yield path
            continue
        # A book that lies there as something else is named too, and refused: passed over, its rows would be missing.
        found = sorted(
            item
            for item in path.iterdir()
            # A spreadsheet program that has it open keeps a file of its own beside it.
            if (
                item.suffix.lower() in (".csv", *_WORKBOOKS, *_OLD_WORKBOOKS)
                and not item.name.startswith("~$")
            )
            or (book_of(item.stem) in BOOKS and item.suffix.lower() in _OTHERS)
        )
        if not found:
            what = "is a folder without CSV files or workbooks"
            faults.append(_whole(path.name, what, f"name them {_names()}"))
        yield from found


def _names() -> str:
    return ", ".join(f"{name}.csv" for name in BOOKS)


def _is_known(path: Path, faults: list[Fault]) -> bool:
    if path.suffix.lower() in (".csv", ".json", *_WORKBOOKS, *_OLD_WORKBOOKS):
        return True
    mend = "save it as an Excel workbook (.xlsx) or as CSV UTF-8"
    faults.append(_whole(path.name, "is neither .csv, .xlsx nor .json", mend))
    return False


def _read_bytes(path: Path, faults: list[Fault]) -> bytes | None:
    if str(path) == STDIN:
        data = sys.stdin.buffer.read(BYTES_MAX + 1)
    elif not _is_known(path, faults):
        return None
    else:
        try:
            with path.open("rb") as file:
                data = file.read(BYTES_MAX + 1)
        except OSError as error:
            faults.append(
                _whole(path.name, f"cannot be read ({error.strerror})", "see its name and its rights")
            )
            return None
    if len(data) > BYTES_MAX:
        faults.append(_whole(path.name, "is longer than 64 MiB", "import one community at a time"))
        return None
    return data


# Encoding -----------------------------------------------------------------------------------------------------------


def _decode(data: bytes, file: str, encoding: Encoding, faults: list[Fault]) -> str | None:
    """Return the text if every line of it is in ``encoding``, else leave one fault for each line that is not."""
    for mark, what in _OTHER_MARKS.items():
        if data.startswith(mark):
            faults.append(_whole(file, f"is {what}, not text in UTF-8", "save it as CSV UTF-8"))
            return None
    body = data.removeprefix(b"\xef\xbb\xbf")
    if body is not data and len(body) < len(data) and encoding != "utf-8":
        faults.append(_whole(file, "says of itself that it is UTF-8", SAY_UTF8))
        return None
    # Neither encoding has a line feed inside a character.
    lines = body.split(b"\n")
    found = _damage(lines, file) if encoding == "utf-8" else _damage_gb18030(lines, file)
    if found:
        faults += found
        return None
    return letters.as_standard(body.decode(encoding))


def _reads_as(line: bytes, encoding: str) -> str | None:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return None


def _damage(lines: list[bytes], file: str) -> list[Fault]:
    bad = [(row, line) for row, line in enumerate(lines, 1) if _reads_as(line, "utf-8") is None]
    if not bad:
        return []
    others_are_utf8 = any(not line.isascii() and _reads_as(line, "utf-8") is not None for line in lines)
    if not others_are_utf8 and all(_reads_as(line, "gb18030") is not None for _, line in bad):
        mend = SAY_GB18030
        # What is wrong is wrong with the file: said of each of its rows it would hide the rest.
        bad = bad[:1]
    else:
        mend = _ASK_AGAIN
    what = "is not UTF-8, while other rows are: encodings are mixed, or bytes were lost"
    return [_whole(file, what if others_are_utf8 else "is not UTF-8", mend, row=row) for row, _ in bad]


def _damage_gb18030(lines: list[bytes], file: str) -> list[Fault]:
    found = []
    for row, line in enumerate(lines, 1):
        if line.isascii():
            continue
        as_utf8 = _reads_as(line, "utf-8")
        if _reads_as(line, "gb18030") is None:
            found.append(
                _whole(file, "is not GB18030: bytes were lost, or encodings are mixed", _ASK_AGAIN, row=row)
            )
        elif as_utf8 is not None and letters.CJK.search(as_utf8):
            found.append(_whole(file, "is UTF-8, not GB18030", SAY_UTF8_OR_ASK, row=row))
    return found


# Rows ---------------------------------------------------------------------------------------------------------------


def _check_cells(origin: Origin, cells: Iterable[tuple[str, Any]], faults: list[Fault]) -> bool:
    right = True
    for column, value in cells:
        # What stands before and behind the words goes anyway: systems put a tab before a number to keep its zeros.
        what = letters.find_lost(value.strip()) if isinstance(value, str) else None
        if not isinstance(value, str | int | float | bool | None):
            what = "is a list or an object"
        if what is not None:
            right = False
            mend = _MENDS.get(what, _ASK_AGAIN)
            faults.append(Fault(origin, safe_column(column), what, mend))
    return right


def _read_csv(name: str, source: Source, text: str, faults: list[Fault]) -> list[Book]:
    lines = _split_csv(name, source, text, faults)
    if lines is None:
        return []
    if not lines:
        faults.append(_whole(source.name, "is empty", "write at least the header"))
        return []
    filled = {
        row: {at: cell for at, cell in enumerate(cells) if cell.strip()} for row, cells in lines.items()
    }
    if looks_like_roll(filled):
        name = ROLL
    elif name not in BOOKS:
        faults.append(_whole(source.name, "is none of the books", f"name it one of {_names()}"))
        return []
    shape = find_shape(source.name, name, filled, faults)
    if shape is None:
        return []
    rows: list[tuple[int, Mapping[str, Any]]] = []
    for row in shape.rows:
        origin = Origin(source.name, name, row)
        if _has_its_cells(origin, lines[row], lines[shape.header_row], faults):
            cells = {column: filled[row].get(at, "") for at, column in shape.columns.items()}
            _take_cells(origin, cells, rows, faults)
    ids = (
        filled[row].get(at, "") for row in shape.rows for at, name in shape.columns.items() if name == "id"
    )
    return [
        Book(
            name,
            source,
            tuple(rows),
            frozenset(id_.strip() for id_ in ids),
            shape.passed_over,
            _unread(shape),
            _letters(shape),
        )
    ]


def _split_csv(name: str, source: Source, text: str, faults: list[Fault]) -> dict[int, list[str]] | None:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: dict[int, list[str]] = {}
    try:
        # A cell with a line break would shift every number after it, so it is refused as it comes.
        for row, cells in enumerate(reader, 1):
            if row != reader.line_num:
                mend = "write each row on one line; look for a quotation mark without its partner"
                faults.append(Fault(Origin(source.name, name, row), "", "holds a line break", mend))
                return None
            if any(cell.strip() for cell in cells):
                lines[row] = cells
    except csv.Error:
        mend = "look for a quotation mark without its partner"
        faults.append(Fault(Origin(source.name, name, reader.line_num), "", "is no CSV from here on", mend))
        return None
    return lines


def _has_its_cells(origin: Origin, cells: list[str], header: list[str], faults: list[Fault]) -> bool:
    """Say whether a row has a cell for each title; empty ones at the end of either were never filled."""
    width = max(at for at, title in enumerate(header, 1) if title.strip())
    if width <= len(cells) and not any(cell.strip() for cell in cells[width:]):
        untitled = [
            at for at, cell in enumerate(cells[:width], 1) if cell.strip() and not header[at - 1].strip()
        ]
        for at in untitled:
            what = f"column {at} ({letter_of(at - 1)}) has no title"
            faults.append(Fault(origin, "", what, "write one, or empty its cells"))
        return not untitled
    what = f"has {len(cells)} cells, the header has {width}"
    faults.append(Fault(origin, "", what, "put cells that hold a comma between quotation marks"))
    return False


def _read_xlsx(stem: str, source: Source, data: bytes, faults: list[Fault]) -> list[Book]:
    try:
        sheets = read_workbook(data)
    except UnreadableError as error:
        faults.append(_whole(source.name, error.what, error.mend))
        return []
    return [_read_table(source, table, faults) for table in read_tables(source.name, stem, sheets, faults)]


def _read_table(source: Source, table: Table, faults: list[Fault]) -> Book:
    rows: list[tuple[int, Mapping[str, Any]]] = []
    for row, cells in table.rows:
        texts = {column: letters.as_standard(cell) for column, cell in cells.items()}
        _take_cells(Origin(source.name, table.book, row), texts, rows, faults)
    named = frozenset(cells.get("id", "").strip() for _, cells in table.rows)
    shape = table.shape
    return Book(table.book, source, tuple(rows), named, shape.passed_over, _unread(shape), _letters(shape))


def _unread(shape: Shape) -> tuple[str, ...]:
    return tuple(map(letter_of, sorted(shape.unread)))


def _letters(shape: Shape) -> dict[str, str]:
    return {column: letter_of(at) for at, column in shape.columns.items()}


def with_cells(books: Sequence[Book], faults: Iterable[Fault]) -> list[Fault]:
    """Return the faults, each with the cell that a sheet shows it in."""
    letters_of = {(book.source.name, book.table or book.name): book.letters for book in books}
    return [
        replace(fault, cell=f"{letter}{fault.origin.row}")
        if (letter := letters_of.get((fault.origin.file, fault.origin.table), {}).get(fault.column))
        else fault
        for fault in faults
    ]


def _take_cells(
    origin: Origin,
    cells: Mapping[str, str],
    rows: list[tuple[int, Mapping[str, Any]]],
    faults: list[Fault],
) -> None:
    if _check_cells(origin, cells.items(), faults):
        rows.append((origin.row, cells))


class _NamedTwiceError(ValueError):
    pass


def _pairs_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _NamedTwiceError
    return dict(pairs)


def _read_json(source: Source, text: str, faults: list[Fault]) -> list[Book]:
    try:
        document = json.loads(text, object_pairs_hook=_pairs_once)
    except json.JSONDecodeError as error:
        faults.append(
            _whole(source.name, "is no JSON at this line", "write it with a program", row=error.lineno)
        )
        return []
    except (_NamedTwiceError, RecursionError):
        faults.append(
            _whole(source.name, "names something twice in one object, or nests too deep", "name it once")
        )
        return []
    if not isinstance(document, dict) or not document:
        faults.append(_whole(source.name, "is no object of books", 'write {"communities": [{…}], …}'))
        return []
    books = []
    for name, items in document.items():
        origin = Origin(source.name, safe_column(name), 0)
        if name not in BOOKS:
            faults.append(Fault(origin, "", "is none of the books", f"the books are {', '.join(BOOKS)}"))
        elif not isinstance(items, list):
            faults.append(Fault(origin, "", "is no list of rows", "write a list of objects"))
        else:
            books.append(_read_items(name, source, items, faults))
    return books


def _read_items(name: str, source: Source, items: list[Any], faults: list[Fault]) -> Book:
    rows: list[tuple[int, Mapping[str, Any]]] = []
    for row, item in enumerate(items, 1):
        origin = Origin(source.name, name, row)
        if not isinstance(item, dict):
            faults.append(Fault(origin, "", "is no object", "write the row as {column: value}"))
        elif _check_cells(origin, item.items(), faults):
            rows.append((row, item))
    named = frozenset(str(item.get("id", "")) for item in items if isinstance(item, dict))
    return Book(name, source, tuple(rows), named)


def _twice(books: list[Book]) -> list[Fault]:
    first: dict[str, Book] = {}
    return [
        _whole(book.source.name, f"brings {book.name} a second time", "put all its rows into one file")
        for book in books
        if not is_roll(book.name) and first.setdefault(book.name, book) is not book
    ]
