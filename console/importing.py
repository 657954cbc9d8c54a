"""``kaimen import``: the office's books enter as files, a report leaves; all of it is written, or nothing.

The report and the faults name files, rows, columns and pseudonymous ids, never what a cell holds about a person.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import psycopg

from console.agreements_homes import Move
from console.audit.chain import Entry as AuditEntry
from console.books import store
from console.books.checks import Ledger
from console.books.faults import Fault, ImportRefusedError
from console.books.files import STDIN, Book, Encoding, read_books, with_cells
from console.books.guards import find_ended, find_strangers
from console.books.place import Place, SaidError, entering, find_place, note, place_options
from console.books.report import Report, as_dict, count_changes, format_report, make_report, say_faults
from console.books.roll import take_apart
from console.books.roll_row import is_roll
from console.books.rows import BOOKS
from console.books.taking import take_in
from console.books.template import make_template
from console.books.trial import parse_books
from console.words import LANGUAGES, Words, load_words
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import Connection, queries

_SQL = queries("console.books")


@dataclass(frozen=True, slots=True)
class Meant:
    """What somebody said beside the files: the one community they are of, and what they may do although it is much."""

    community: str | None = None
    across_communities: bool = False
    end_homes: bool = False
    #: Where the homes of a list are that does not say it.
    site: str | None = None


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, allow_dash=True))
@place_options
@click.option("--dry-run", is_flag=True, help="Check and count everything, and write nothing.")
@click.option("--community", help="Refuse every row that touches another community than this one.")
@click.option("--site", help="Where the homes of a list are that has no column for it: a site's id or name.")
@click.option("--across-communities", is_flag=True, help="Let rows move from one community to another.")
@click.option("--end-homes", is_flag=True, help="Let the watch end over half of a community's homes or more.")
@click.option(
    "--encoding",
    type=click.Choice(["utf-8", "gb18030"]),
    default="utf-8",
    show_default=True,
    help="The encoding of every file; it is never guessed.",
)
@click.option(
    "--template",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a workbook to fill in, and import nothing.",
)
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    help="The language of the report, the terminal's own where nothing is said, and of a template (zh).",
)
@click.option(
    "--json", "as_json", is_flag=True, help="The report as JSON on standard output, and nothing else."
)
@click.pass_context
def command(
    context: click.Context,
    files: tuple[str, ...],
    database_url: str | None,
    directory: Path | None,
    audit_key_file: Path | None,
    dry_run: bool,
    community: str | None,
    site: str | None,
    across_communities: bool,
    end_homes: bool,
    encoding: Encoding,
    template: Path | None,
    lang: str | None,
    as_json: bool,
) -> None:
    """Enter communities, doors, households, people and consents: CSV files, Excel workbooks, a folder, or a JSON document.

    Every row is checked first, and nothing is written unless every row is right. The same files again change
    nothing; a changed row is changed; nothing is ever deleted. FILE - is a JSON document on standard input.
    """
    if template is not None:
        _write_template(template, lang or "zh", has_files=bool(files))
        return
    if not files:
        raise click.UsageError("name the files to import, or --template FILE.xlsx for one to fill in")
    words = _words(lang or _language_of_terminal())
    try:
        place = find_place(database_url, directory, audit_key_file)
        report = import_books(
            place,
            files,
            now=as_datetime(SystemClock().now_ms()),
            encoding=encoding,
            dry_run=dry_run,
            meant=Meant(community, across_communities, end_homes, site),
        )
    except ImportRefusedError as refusal:
        say_faults(refusal.faults, words, as_json=as_json)
        context.exit(1)
    except SaidError as error:
        raise click.ClickException(error.say(words)) from error
    click.echo(
        json.dumps(as_dict(report), ensure_ascii=False, indent=2) if as_json else format_report(report, words)
    )


def _words(language: str) -> Words:
    return load_words(language, "Asia/Shanghai", as_datetime(SystemClock().now_ms()))


def _language_of_terminal() -> str:
    """Return the language in which the terminal's own programs speak: English where it is none of ours."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    said = next((value for name in names if (value := os.environ.get(name))), "")
    return "zh" if said.lower().startswith("zh") else "en"


def _write_template(path: Path, language: str, *, has_files: bool) -> None:
    if has_files:
        raise click.UsageError("--template writes a file to fill in: import it by itself afterwards")
    if path.suffix.lower() != ".xlsx":
        raise click.UsageError("the template is an Excel workbook: name it .xlsx")
    words = _words(language)
    try:
        # What lies there may have been filled in already.
        with path.open("xb") as file:
            file.write(make_template(words))
    except OSError as error:
        raise click.ClickException(f"{path.name} cannot be written: {error.strerror}") from error
    click.echo(str(path))


def import_books(
    place: Place,
    paths: Sequence[str],
    *,
    now: datetime,
    encoding: Encoding = "utf-8",
    dry_run: bool = False,
    meant: Meant = Meant(),
) -> Report:
    """Check the files and write what is new or changed in one transaction.

    Raises
    ------
    ImportRefusedError
        With everything that is wrong; nothing was written.
    click.ClickException
        If the installation takes no import, or the database refuses.
    """
    read, unread, faults = read_books(paths, encoding=encoding)
    books: list[Book] = read
    try:
        with entering(place, service="import") as connection:
            _refuse_demo(connection)
            books, wrong = _without_rolls(connection, read, meant)
            faults += wrong
            entries, wrong = parse_books(books, _zone_of(connection, books))
            faults += wrong
            watched = store.load_watched(connection, store.spoken_of(connection, entries), now)
            taken = take_in(
                connection, entries, now=now, reason="kaimen import",
                named={book.name: book.named for book in books}, unread=unread, faults=faults,
                look=lambda ledger: faults.extend(_strangers(connection, ledger, meant)),
            )  # fmt: skip
            _refuse_ends(connection, watched, meant, now)
            ledger, asked = taken.ledger, taken.asked
            around = store.look_around(connection, entries, ledger, now=now)
            waiting = tuple(sorted({move.household_id for move in taken.moves}))
            report = make_report(
                books, ledger, around, waiting=waiting, left=tuple(sorted(taken.ended)), dry_run=dry_run
            )
            if dry_run:
                connection.rollback()
            else:
                _sign(connection, place, books, ledger, around.communities, asked, taken.ended, now)
    except ImportRefusedError as refusal:
        raise ImportRefusedError(with_cells(books, refusal.faults)) from refusal
    except psycopg.IntegrityError as error:
        diagnosis = error.diag
        raise SaidError(
            "import.database_refused", table=diagnosis.table_name, constraint=diagnosis.constraint_name
        ) from error
    return report


def _without_rolls(connection: Connection, books: list[Book], meant: Meant) -> tuple[list[Book], list[Fault]]:
    """Take lists of homes and people apart into the books; what is stored is read only where there is one."""
    if not any(is_roll(book.name) for book in books):
        return books, []
    return take_apart(books, store.load_known(connection, meant.community), site=meant.site)


def _strangers(connection: Connection, ledger: Ledger, meant: Meant) -> list[Fault]:
    stored = store.load_belonging(connection, ledger)
    return find_strangers(ledger, stored, only=meant.community, across=meant.across_communities)


def _refuse_ends(connection: Connection, watched: Mapping[str, str], meant: Meant, now: datetime) -> None:
    after = store.load_watched(connection, set(watched.values()), now)
    if not meant.end_homes and (ended := find_ended(watched, after)):
        raise ImportRefusedError(ended)


def _zone_of(connection: Connection, books: list[Book]) -> ZoneInfo | None:
    """Return the zone of all communities, stored and in the files; None where they are not in one, or it is none."""
    zone_by_id = {row["id"]: row["zone"] for row in connection.execute(_SQL["zones"]).fetchall()}
    default = BOOKS["communities"].defaults()["zone"]
    for book in books:
        for _, cells in book.rows if book.name == "communities" else ():
            id_ = str(cells.get("id"))
            zone_by_id[id_] = str(cells.get("zone") or "").strip() or zone_by_id.get(id_, default)
    zones = set(zone_by_id.values())
    try:
        return ZoneInfo(zones.pop()) if len(zones) == 1 else None
    except (KeyError, OSError, ValueError):  # the row's own check says it
        return None


def _refuse_demo(connection: Connection) -> None:
    row = connection.execute(_SQL["installation"]).fetchone()
    if row is not None and row["kind"] == "demo":
        raise SaidError("import.demo")


def _sign(
    connection: Connection,
    place: Place,
    books: list[Book],
    ledger: Ledger,
    communities: list[str],
    asked: Sequence[tuple[int, Move]],
    ended: Mapping[str, Sequence[str]],
    now: datetime,
) -> None:
    """Say what this database is, where nobody said it yet, and write one audit entry for each file that changed it."""
    entries = []
    if connection.execute(_SQL["installation"]).fetchone() is None:
        connection.execute(_SQL["claim_production"], {"now": now})
        entries.append(_audit("installation_begun", "installation", "production", now))
    for source in dict.fromkeys(book.source for book in books):
        names = [book.name for book in books if book.source == source]
        counts = {name: count_changes(ledger, name, ()) for name in names}
        changes = {
            name: {"new": count.new, "changed": count.changed}
            for name, count in counts.items()
            if count.new or count.changed
        }
        if changes:
            detail = {
                "books": changes,
                "communities": communities,
                "community": communities[0] if len(communities) == 1 else None,
                "households": _households_touched(ledger, names),
            }
            entries.append(_audit("imported", "import", source.sha256, now, **detail))
    for request, move in asked:
        asked_for = {"community": move.community_id, "request": request, "what": move.what.value}
        entries.append(_audit("household_move_asked", "household", move.household_id, now, **asked_for))
    for household_id, purposes in ended.items():
        entries += [
            _audit(
                "consent_withdrawn", "household", household_id, now, consent=purpose, because="everybody left"
            )
            for purpose in purposes
        ]
    note(connection, place, *entries)


def _audit(action: str, object_kind: str, object_id: str, now: datetime, **detail: Any) -> AuditEntry:
    return AuditEntry(now, "import", "system", action, "administration", object_kind, object_id, detail)


def _households_touched(ledger: Ledger, names: list[str]) -> list[str]:
    """Households that were there before and whose data changed: their 'who looked' lists the import."""
    touched: set[str] = set()
    for name in names:
        column = "id" if name == "households" else "household_id"
        for line, _ in ledger.of_files(name):
            if line.is_new or line.is_changed:
                touched |= {row[column] for row in (line.row, line.stored or {}) if row.get(column)}
    known = ((id_, ledger.find("households", id_)) for id_ in touched)
    return sorted(id_ for id_, home in known if home is not None and not home.is_new)


__all__ = ["STDIN", "command", "import_books"]
