"""Says what an import did or would do: books and their ledger enter; a report leaves, as lines or as JSON.

It names files, rows, columns and pseudonymous ids, never what a cell holds about a person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from console.books import checks, store
from console.books.checks import Key, Ledger, Line
from console.books.chinese import say_chinese
from console.books.faults import Fault, Origin
from console.books.files import Book, Source
from console.books.rows import BOOKS

FAULTS_SHOWN_MAX = 10_000
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

    ``waiting`` are homes that the files would move to other hours: a second person has to agree.
    """

    sources: tuple[Source, ...]
    books: Mapping[str, Counts]
    ended: tuple[tuple[Origin, str], ...]
    not_watched: tuple[str, ...]
    waiting: tuple[str, ...]
    #: Titles, totals and notes around the rows.
    passed_over: tuple[Origin, ...]
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
    books: list[Book], ledger: Ledger, around: store.Around, waiting: tuple[str, ...], *, dry_run: bool
) -> Report:
    names = {book.name for book in books}
    return Report(
        tuple(dict.fromkeys(book.source for book in books)),
        {name: count_changes(ledger, name, around.missing[name]) for name in BOOKS if name in names},
        tuple(checks.ends_that_stand(ledger)),
        tuple(around.not_watched),
        waiting,
        tuple(book.origin(row) for book in books for row in book.passed_over),
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
        "passed_over": [
            {"file": origin.file, "table": origin.table, "row": origin.row} for origin in report.passed_over
        ],
        "errors": [],
    }  # fmt: skip


def format_report(report: Report) -> str:
    lines = [f"{'':<16}{'new':>9}{'changed':>9}{'same':>9}{'missing':>9}{'ended':>9}"]
    for name, counts in report.books.items():
        numbers = (counts.new, counts.changed, counts.same, len(counts.missing), counts.ended)
        lines.append(f"{name:<16}" + "".join(f"{number:>9}" for number in numbers))
    if report.dry_run:
        lines += _format_changes(report)
    lines += _format_missing(report)
    lines += [f"{origin}:{column}: ended in the database, and stays so" for origin, column in report.ended]
    if report.not_watched:
        what = "consent to the watch and are not watched: no watched_from, or no dwelling door now"
        lines.append(f"{len(report.not_watched)} households {what}: {_some(report.not_watched)}")
    if report.waiting:
        what = "keep their hours until a second person agrees on the page Waits for a second person"
        lines.append(f"{len(report.waiting)} households {what}: {_some(report.waiting)}")
    if report.passed_over:
        places = [str(origin) for origin in report.passed_over]
        lines.append(f"passed over as titles, totals or notes: {_some(places)}")
    lines.append("nothing was written: this was a dry run" if report.dry_run else "written")
    return "\n".join(lines)


def _format_changes(report: Report) -> list[str]:
    lines = []
    for name, counts in report.books.items():
        if counts.new_keys:
            lines.append(f"new, {name}: {_some([_key_words(key) for key in counts.new_keys])}")
        lines += [
            f"{origin}: changes {', '.join(columns)}" for origin, columns in counts.changes[:KEYS_SHOWN_MAX]
        ]
        if (more := len(counts.changes) - KEYS_SHOWN_MAX) > 0:
            lines.append(f"and {more} more rows of {name} change")
    return lines


def _format_missing(report: Report) -> list[str]:
    return [
        f"in the database and not in the files, left as they are, {name}: "
        + _some([_key_words(key) for key in counts.missing])
        for name, counts in report.books.items()
        if counts.missing
    ]


def _some(words: Sequence[str]) -> str:
    more = len(words) - KEYS_SHOWN_MAX
    return ", ".join(words[:KEYS_SHOWN_MAX]) + (f" and {more} more (--json lists them)" if more > 0 else "")


def say_faults(faults: list[Fault], *, as_json: bool, in_chinese: bool) -> None:
    """Say what is wrong: lines on standard error, or a JSON document on standard output."""
    shown = faults[:FAULTS_SHOWN_MAX]
    if as_json:
        errors = [
            {
                "file": fault.origin.file, "table": fault.origin.table, "row": fault.origin.row,
                "column": fault.column, "cell": fault.cell or None, "what": fault.what, "mend": fault.mend,
            }
            for fault in shown
        ]  # fmt: skip
        document = {"written": False, "error_count": len(faults), "errors": errors}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    for fault in shown:
        click.echo(say_chinese(fault) if in_chinese else str(fault), err=True)
    total = (
        f"共 {len(faults)} 处错误，什么也没有写入"
        if in_chinese
        else f"{len(faults)} faults; nothing was written"
    )
    click.echo(total, err=True)
