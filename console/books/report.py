"""Says what an import did or would do: books and their ledger enter; a report leaves, as lines or as JSON.

The lines are in the reader's language. Both name files, rows, columns and pseudonymous ids, never what a cell holds
about a person.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from console.books import checks, store
from console.books.checks import Key, Ledger, Line
from console.books.chinese import place_of, say_chinese, title_of
from console.books.faults import Alike, Fault, Origin, put_together
from console.books.files import Book, Source
from console.books.roll_row import is_roll
from console.books.rows import BOOKS
from console.words import Words

FAULTS_SHOWN_MAX = 10_000
#: What a person reads of it: whoever mends so many asks again.
LINES_SHOWN_MAX = 200
KEYS_SHOWN_MAX = 10
#: Columns that end something from a moment on.
_ENDS = ("to_at", "withdrawn_at", "retired_at", "revoked_at", "valid_to")


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of one book: what the import did with those of the files, and how many the files do not have."""

    new: int
    changed: int
    same: int
    missing: tuple[Key, ...]
    #: Of the changed, those that got an end they did not have.
    ended: int
    new_keys: tuple[Key, ...]
    changes: tuple[tuple[Origin, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What an import did; ``ended`` are rows whose stored end stands although the file says nothing of it.

    ``waiting`` are homes that the files would move to other hours: a second person has to agree. ``left`` are homes
    that everybody leaves: what was agreed to there ends (console/books/left.py).
    """

    sources: tuple[Source, ...]
    books: Mapping[str, Counts]
    ended: tuple[tuple[Origin, str], ...]
    not_watched: tuple[str, ...]
    waiting: tuple[str, ...]
    left: tuple[str, ...]
    #: Titles, totals and notes around the rows.
    passed_over: tuple[Origin, ...]
    #: Columns no book has, by their letters in each table (whose row is 0).
    unread: tuple[tuple[Origin, tuple[str, ...]], ...]
    #: Homes that a list of homes and people has: standing in it nobody agreed to anything.
    listed: int
    dry_run: bool


def count_changes(ledger: Ledger, name: str, missing: Sequence[Key]) -> Counts:
    """Return what the rows of a book's files do."""
    lines = list(ledger.of_files(name))
    new = [line for line, _ in lines if line.is_new]
    changed = [(line, origin) for line, origin in lines if line.is_changed]
    return Counts(
        len(new), len(changed), len(lines) - len(new) - len(changed), tuple(missing),
        sum(_ends(line) for line, _ in changed),
        tuple(tuple(line.row[column] for column in BOOKS[name].key) for line in new),
        tuple((origin, _changed_columns(line)) for line, origin in changed),
    )  # fmt: skip


def _ends(line: Line) -> bool:
    assert line.stored is not None
    return any(line.row.get(column) is not None and line.stored[column] is None for column in _ENDS)


def _changed_columns(line: Line) -> tuple[str, ...]:
    assert line.stored is not None
    return tuple(name for name, value in line.row.items() if line.stored[name] != value)


def make_report(
    books: list[Book],
    ledger: Ledger,
    around: store.Around,
    *,
    waiting: tuple[str, ...],
    left: tuple[str, ...],
    dry_run: bool,
) -> Report:
    names = {book.name for book in books}
    return Report(
        tuple(dict.fromkeys(book.source for book in books)),
        {name: count_changes(ledger, name, around.missing[name]) for name in BOOKS if name in names},
        tuple(checks.ends_that_stand(ledger)),
        tuple(around.not_watched),
        waiting,
        left,
        tuple(book.origin(row) for book in books for row in book.passed_over),
        tuple((book.origin(0), book.unread) for book in books if book.unread),
        sum(len(book.rows) for book in books if book.name == "households" and is_roll(book.table)),
        dry_run,
    )


def _key_words(key: Key) -> str:
    return "/".join(part.isoformat() if isinstance(part, datetime) else str(part or "") for part in key)


def as_dict(report: Report) -> dict[str, Any]:
    return {
        "written": not report.dry_run,
        "files": [{"file": source.name, "sha256": source.sha256} for source in report.sources],
        "tables": {
            name: {
                "new": counts.new, "changed": counts.changed, "same": counts.same,
                "missing": len(counts.missing), "missing_keys": [_key_words(key) for key in counts.missing], "ended": counts.ended,
                "changes": [
                    {"row": origin.row, "columns": list(columns)}
                    for origin, columns in counts.changes
                ],
                "new_keys": [_key_words(key) for key in counts.new_keys],
            }
            for name, counts in report.books.items()
        },
        "ends_that_stand": [
            {"file": origin.file, "table": origin.table, "row": origin.row, "column": column}
            for origin, column in report.ended
        ],
        "not_watched": list(report.not_watched),
        "waiting_for_a_second_person": list(report.waiting),
        "everybody_left": list(report.left),
        "passed_over": [
            {"file": origin.file, "table": origin.table, "row": origin.row} for origin in report.passed_over
        ],
        "columns_not_read": [
            {"file": origin.file, "table": origin.table, "columns": list(columns)}
            for origin, columns in report.unread
        ],
        "homes_of_lists": report.listed,
        "errors": [],
    }  # fmt: skip


def format_report(report: Report, words: Words) -> str:
    """Return the report as lines in the language of ``words``."""
    heads = [words.say(f"import.head.{name}") for name in ("new", "changed", "same", "missing", "ended")]
    width = 2 + max(map(_width, heads))
    lines = [_columns("", heads, width)]
    for name, counts in report.books.items():
        numbers = (counts.new, counts.changed, counts.same, len(counts.missing), counts.ended)
        lines.append(_columns(_name(name, words), list(map(str, numbers)), width))
    if report.dry_run:
        lines += _format_changes(report, words)
    lines += _format_missing(report, words)
    lines += [
        words.say(
            "import.end_stands",
            row=_place(origin, words),
            column=_name(column, words, origin.table),
        )
        for origin, column in report.ended
    ]
    for word, homes in (
        ("left", report.left),
        ("not_watched", report.not_watched),
        ("waiting", report.waiting),
    ):
        if homes:
            lines.append(words.count(f"import.{word}", len(homes), homes=_some(homes, words)))
    if report.passed_over:
        rows = _some([_place(origin, words) for origin in report.passed_over], words)
        lines.append(words.say("import.passed_over", rows=rows))
    for origin, columns in report.unread:
        said = words.say("import.join").join(columns)
        lines.append(words.say("import.unread", row=_place(origin, words), columns=said))
    if report.listed:
        lines.append(words.count("import.listed", report.listed))
    lines.append(words.say("import.dry_run" if report.dry_run else "import.written"))
    return "\n".join(lines)


def _columns(first: str, others: Sequence[str], width: int) -> str:
    """Set words below one another; a terminal shows a Chinese letter as wide as two others."""
    return (
        first + " " * (16 - _width(first)) + "".join(" " * (width - _width(word)) + word for word in others)
    )


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _name(name: str, words: Words, book: str = "") -> str:
    """Return what the reader's sheets call a book or a column."""
    return title_of(name, book) if words.language == "zh" else name


def _place(origin: Origin, words: Words) -> str:
    return place_of(origin) if words.language == "zh" else str(origin)


def _format_changes(report: Report, words: Words) -> list[str]:
    lines = []
    for name, counts in report.books.items():
        book = _name(name, words)
        if counts.new_keys:
            keys = _some([_key_words(key) for key in counts.new_keys], words)
            lines.append(words.say("import.new", book=book, keys=keys))
        for origin, columns in counts.changes[:KEYS_SHOWN_MAX]:
            titles = words.say("import.join").join(_name(column, words, name) for column in columns)
            lines.append(words.say("import.changes", row=_place(origin, words), columns=titles))
        if (more := len(counts.changes) - KEYS_SHOWN_MAX) > 0:
            lines.append(words.count("import.more_changes", more, book=book))
    return lines


def _format_missing(report: Report, words: Words) -> list[str]:
    return [
        words.say(
            "import.missing",
            book=_name(name, words),
            keys=_some([_key_words(key) for key in counts.missing], words),
        )
        for name, counts in report.books.items()
        if counts.missing
    ]


def _some(said: Sequence[str], words: Words) -> str:
    shown = words.say("import.join").join(said[:KEYS_SHOWN_MAX])
    more = len(said) - KEYS_SHOWN_MAX
    return shown + (words.count("import.more", more) if more > 0 else "")


def say_faults(faults: list[Fault], words: Words, *, as_json: bool) -> None:
    """Say what is wrong: lines on standard error with how much at last, or a JSON document on standard output."""
    if as_json:
        shown = faults[:FAULTS_SHOWN_MAX]
        errors = [
            {
                "file": fault.origin.file, "table": fault.origin.table, "row": fault.origin.row,
                "column": fault.column, "cell": fault.cell or None, "what": fault.what, "mend": fault.mend,
                "said": _say(fault, words),
            }
            for fault in shown
        ]  # fmt: skip
        document = {"written": False, "error_count": len(faults), "errors": errors}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    told = put_together(faults)
    for one in told[:LINES_SHOWN_MAX]:
        click.echo(_say(one.fault, words) + said_of_others(one, words), err=True)
    if (more := len(told) - LINES_SHOWN_MAX) > 0:
        click.echo(words.count("import.more", more).strip(), err=True)
    click.echo(words.count("import.faults", len(faults)), err=True)


def said_of_others(one: Alike, words: Words) -> str:
    """Say in which other rows a fault is; nothing where it is in none."""
    return words.count("import.alike", len(one.others), rows=one.rows) if one.others else ""


def _say(fault: Fault, words: Words) -> str:
    return say_chinese(fault) if words.language == "zh" else str(fault)
