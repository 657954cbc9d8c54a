"""Checks a list by itself before anybody imports it: files enter; what is wrong in them, row by row, leaves.

Nothing stored is read, and nothing is written: whether a row fits what is stored, the import's own dry run says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from console.books.cells import read_row
from console.books.checks import build_ledger
from console.books.faults import Fault, Origin
from console.books.files import Book, Encoding, read_sent, with_cells
from console.books.roll import take_apart
from console.books.rows import BOOKS, Entry, parse_row


@dataclass(frozen=True, slots=True)
class Trial:
    """What a list holds: right rows by book, everything wrong in it, and what was left unread (see ``Report``)."""

    rows: Mapping[str, int]
    faults: tuple[Fault, ...]
    passed_over: tuple[Origin, ...]
    unread: tuple[tuple[Origin, tuple[str, ...]], ...]


def parse_books(books: Iterable[Book], zone: ZoneInfo | None) -> tuple[dict[str, list[Entry]], list[Fault]]:
    """Turn the cells of books into typed rows; ``zone`` is where a date without one was written, if that is known."""
    entries: dict[str, list[Entry]] = {}
    faults: list[Fault] = []
    for book in books:
        found = entries.setdefault(book.name, [])
        for row, cells in book.rows:
            result = parse_row(book.name, book.origin(row), read_row(book.name, cells, zone))
            if isinstance(result, list):
                faults += result
            else:
                found.append(result)
    return entries, faults


def try_list(
    files: Iterable[tuple[str, bytes]], *, encoding: Encoding, zone: ZoneInfo, now: datetime
) -> Trial:
    """Check files, by name and content, as far as they can be without what is stored."""
    books, unread, faults = read_sent(files, encoding=encoding)
    books, apart = take_apart(books, None)
    entries, wrong = parse_books(books, zone)
    nothing: dict[str, dict[tuple[object, ...], Mapping[str, object]]] = {name: {} for name in BOOKS}
    _, twice = build_ledger(entries, nothing, named={}, policies=frozenset(), unread=unread, now=now)
    return Trial(
        {name: len(entries[name]) for name in BOOKS if entries.get(name)},
        tuple(sorted(set(with_cells(books, [*faults, *apart, *wrong, *twice])))),
        tuple(book.origin(row) for book in books for row in book.passed_over),
        tuple((book.origin(0), book.unread) for book in books if book.unread),
    )
