"""``kaimen person`` and ``kaimen retention``: an operator's words enter; packages, certificates and reports leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from alerts.retention import CLASSES, change_rule, load_rules, run_retention
from console.audit.chain import Entry
from console.books.place import Place, entering, find_place, note, place_options
from console.rights.deletion import ASKED_BY, Author, DeletionRefusedError, delete_person
from console.rights.export import NoSuchPersonError, export_person, seal_certificate
from console.rights.holds import (
    HoldRefusedError,
    confirm_hold,
    end_hold,
    load_hold,
    load_holds,
    place_hold,
)
from console.rights.ledger import LedgerError, reapply_deletions, sync_file
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import Connection, open_pool, queries

_SQL = queries("console", "rights/rights.sql")
_ZONE = "Asia/Shanghai"
_LANGUAGE = click.option("--language", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
_BY = click.option(
    "--by", required=True, metavar="NAME", help="Who does this: the name somebody signs in with."
)
_OUT = click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the package goes; PERSON.zip without it.",
)
_LEDGER = click.option(
    "--ledger", "ledger_file", type=click.Path(dir_okay=False, path_type=Path),
    help="The rights ledger outside the database; rights-ledger.jsonl in --dir without it.",
)  # fmt: skip


@click.group()
def command() -> None:
    """Take out or delete what is stored of one person, hold it for an authority, catch up after a restore."""


def _placed(function: Callable[..., None]) -> Callable[..., None]:
    @wraps(function)
    def run(
        database_url: str | None, directory: Path | None, audit_key_file: Path | None, **options: Any
    ) -> None:
        if "ledger_file" in options and options["ledger_file"] is None and directory is not None:
            from console.rights.ledger import FILE_NAME

            options["ledger_file"] = directory / FILE_NAME
        function(find_place(database_url, directory, audit_key_file), **options)

    return place_options(run)


def _now() -> datetime:
    return as_datetime(SystemClock().now_ms())


def _author(connection: Connection, place: Place, name: str) -> Author:
    row = connection.execute(queries("console.books")["user_by_name"], {"name": name}).fetchone()
    if row is None:
        raise click.ClickException(f"nobody signs in as {name}: say whose act this is")
    return Author(f"user:{row['id']}", str(row["role"]), place.audit_key)


def _write(path: Path, data: bytes) -> None:
    if path.exists():
        raise click.ClickException(f"{path} is there already: name another file")
    path.touch(mode=0o600)
    path.write_bytes(data)


@command.command("export")
@click.argument("person_id")
@_BY
@_OUT
@_LANGUAGE
@_placed
def export_command(place: Place, person_id: str, by: str, out: Path | None, language: str) -> None:
    """Write everything stored about PERSON_ID into one sealed package (JSON, a page that prints, hashes)."""
    path = out or Path(f"{person_id}.zip")
    with entering(place, service="person") as connection:
        author = _author(connection, place, by)
        try:
            package = export_person(
                connection, person_id, author=author, now=_now(), language=language, zone=_ZONE
            )
        except NoSuchPersonError as error:
            raise click.ClickException(f"nobody is stored under {person_id}") from error
        _write(path, package.data)
    click.echo(f"{path}: {package.rows} rows, audit entry {package.entry_id}")


@command.command("delete")
@click.argument("person_id")
@_BY
@click.option("--asked-by", required=True, type=click.Choice(ASKED_BY), help="Who wants it.")
@click.option("--yes", is_flag=True, help="Do not ask again: this cannot be taken back.")
@_OUT
@_LANGUAGE
@_LEDGER
@_placed
def delete_command(
    place: Place, person_id: str, by: str, asked_by: str, *, yes: bool, out: Path | None, language: str,
    ledger_file: Path | None,
) -> None:  # fmt: skip
    """Delete what is stored of PERSON_ID and write the certificate of what went and what stays, with why."""
    if not yes:
        click.confirm(f"delete {person_id} for good?", abort=True, err=True)
    path = out or Path(f"{person_id}-deleted.zip")
    now = _now()
    with entering(place, service="person") as connection:
        author = _author(connection, place, by)
        try:
            done = delete_person(connection, person_id, asked_by=asked_by, author=author, now=now)
        except DeletionRefusedError as error:
            raise click.ClickException(_REFUSALS[error.reason.value].format(error.detail)) from error
        _write(path, seal_certificate(
            done.certificate, language=language, zone=_ZONE, now=now, key=place.audit_key
        ))  # fmt: skip
    _sync(place, ledger_file)
    click.echo(f"{path}: {'deleted before' if done.already else 'deleted'}, {done.certificate['hash']}")


_REFUSALS = {
    "person_unknown": "nobody is stored under this id",
    "legal_hold": "a legal hold stands ({0}): end it first, with two people",
    "case_still_open": "settle the open case first ({0}): a person has to answer for it",
}


def _sync(place: Place, ledger_file: Path | None) -> None:
    if ledger_file is None:
        click.echo("no --ledger: a backup restored later does not know of this by itself", err=True)
        return
    with entering(place, service="person") as connection:
        sync_file(connection, ledger_file, place.audit_key)


@command.command("ledger")
@_LEDGER
@_placed
def ledger_command(place: Place, ledger_file: Path | None) -> None:
    """Add what was deleted, withdrawn and blocked to the ledger's file; keep it apart from backups."""
    if ledger_file is None:
        raise click.UsageError("say where the ledger is: --ledger, or --dir")
    try:
        with entering(place, service="person") as connection:
            new = sync_file(connection, ledger_file, place.audit_key)
    except LedgerError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{ledger_file}: {new} lines are new")


@command.command("reapply")
@_LEDGER
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output, and nothing else.")
@_placed
def reapply_command(place: Place, ledger_file: Path | None, *, as_json: bool) -> None:
    """After a restore: delete, withdraw and block again what the ledger's file knows and the backup does not."""
    if ledger_file is None or not ledger_file.exists():
        raise click.UsageError("say where the ledger is: --ledger, or --dir")
    try:
        with entering(place, service="person") as connection:
            done = reapply_deletions(connection, ledger_file, audit_key=place.audit_key, now=_now())
    except LedgerError as error:
        raise click.ClickException(str(error)) from error
    counts = {name: getattr(done, name) for name in done.__slots__}
    click.echo(
        json.dumps(counts) if as_json else ", ".join(f"{name} {count}" for name, count in counts.items())
    )


@command.group("hold")
def hold_group() -> None:
    """Keep what is stored of a person for an authority: nothing of her household is deleted until it ends."""


def _hold_act(function: Callable[..., None]) -> Callable[..., None]:
    @wraps(function)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            function(*arguments, **options)
        except HoldRefusedError as error:
            raise click.ClickException(_HOLD_REFUSALS[error.reason.value]) from error

    return run


_HOLD_REFUSALS = {
    "person_unknown": "nobody is stored under this id",
    "authority_missing": "name the authority: 1 to 80 characters",
    "case_number_missing": "name the document by its number: 4 to 80 characters with a digit",
    "hold_until": "a hold ends on a day to come, within ten years",
    "second_person": "this needs a second person: another name than who asked",
    "hold_over": "this hold stands no more, or is confirmed already",
}


@hold_group.command("place")
@click.argument("person_id")
@_BY
@click.option("--authority", required=True, help="Who ordered it.")
@click.option("--document", required=True, help="The number of the paper.")
@click.option("--until", "until_at", required=True, type=click.DateTime(["%Y-%m-%d"]))
@_placed
@_hold_act
def hold_place(
    place: Place, person_id: str, by: str, authority: str, document: str, until_at: datetime
) -> None:
    """Place a hold on PERSON_ID; it binds at once, and beyond seven days when another person confirms it."""
    now = _now()
    with entering(place, service="person") as connection:
        author = _author(connection, place, by)
        hold_id = place_hold(
            connection, person_id=person_id, authority=authority, document=document,
            until_at=until_at.replace(tzinfo=now.tzinfo), by=author.actor, now=now,
        )  # fmt: skip
        _note_hold(connection, place, author, "hold_placed", person_id, now, hold_id, document=document)
    click.echo(f"hold {hold_id}: another person confirms it within seven days")


@hold_group.command("confirm")
@click.argument("hold_id", type=int)
@_BY
@_placed
@_hold_act
def hold_confirm(place: Place, hold_id: int, by: str) -> None:
    """Confirm a hold another person placed."""
    _second(place, hold_id, by, confirming=True)


@hold_group.command("end")
@click.argument("hold_id", type=int)
@_BY
@_placed
@_hold_act
def hold_end(place: Place, hold_id: int, by: str) -> None:
    """Ask for the end of a hold, or end it where another person has asked."""
    _second(place, hold_id, by, confirming=False)


def _second(place: Place, hold_id: int, by: str, *, confirming: bool) -> None:
    now = _now()
    with entering(place, service="person") as connection:
        author = _author(connection, place, by)
        found = load_hold(connection, hold_id, now=now)
        if found is None:
            raise click.ClickException(f"there is no hold {hold_id}")
        if confirming:
            confirm_hold(connection, found[0], by=author.actor, now=now)
            word = "hold_confirmed"
        else:
            word = (
                "hold_ended" if end_hold(connection, found[0], by=author.actor, now=now) else "hold_end_asked"
            )
        _note_hold(connection, place, author, word, found[0].person_id, now, hold_id)
    click.echo(f"hold {hold_id}: {word}")


def _note_hold(
    connection: Connection, place: Place, author: Author, word: str, person_id: str, now: datetime, hold_id: int,
    **detail: Any,
) -> None:  # fmt: skip
    person = connection.execute(_SQL["person"], {"person_id": person_id}).fetchone()
    household = None if person is None else person["household_id"]
    community = None if person is None else person["community_id"]
    words = {"hold": hold_id, "household": household, "community": community, **detail}
    note(connection, place, Entry(now, author.actor, author.role, word, "rights", "person", person_id, words))


@hold_group.command("list")
@click.argument("person_id")
@_placed
def hold_list(place: Place, person_id: str) -> None:
    """Say which holds there are and were on PERSON_ID and her household."""
    now = _now()
    with entering(place, service="person") as connection:
        person = connection.execute(_SQL["person"], {"person_id": person_id}).fetchone()
        household = None if person is None else person["household_id"]
        for hold in load_holds(connection, person_id=person_id, household_id=household, now=now):
            state = "stands" if hold.standing else "over"
            click.echo(
                f"{hold.id}  {state}  {hold.authority}  {hold.document}  until {hold.until_at:%Y-%m-%d}"
            )


# --- Retention ----------------------------------------------------------------------------------------------------


@click.command()
@click.option("--dry-run", "dry", is_flag=True, help="Only count what would go.")
@click.option("--set", "changes", multiple=True, metavar="CLASS=DAYS", help="Keep a class for another time.")
@click.option("--by", metavar="NAME", help="Who changes a period: the name somebody signs in with.")
@click.option("--show", is_flag=True, help="Only say how long what is kept.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output, and nothing else.")
@_placed
def retention(
    place: Place, *, dry: bool, changes: tuple[str, ...], by: str | None, show: bool, as_json: bool
) -> None:
    """Remove what has been kept long enough, and say how much of each class; the alerts service does it nightly."""
    now = _now()
    if changes:
        _change(place, changes, by, now)
    if show or changes:
        with entering(place, service="retention") as connection:
            rules = load_rules(connection)
        found = {name: {"keep_days": rules[name].keep_days, "least_days": rules[name].least_days,
                        "most_days": rules[name].most_days} for name in CLASSES}  # fmt: skip
        click.echo(json.dumps(found, indent=1) if as_json else "\n".join(
            f"{name:15} {rule['keep_days']:5} days ({rule['least_days']}-{rule['most_days']})"
            for name, rule in found.items()
        ))  # fmt: skip
        return
    with entering(place, service="retention"):
        pass  # the database is there, of this version, and the key fits
    pool = open_pool(place.url, service="retention", size_max=2)
    try:
        report = run_retention(pool, now=now, by="command-line", dry=dry)
    finally:
        pool.close()
    if as_json:
        click.echo(json.dumps({name: removed.as_json() for name, removed in report.items()}, indent=1))
    else:
        for name, removed in report.items():
            words = f"failed ({removed.failure}), tried again" if removed.failure else ""
            click.echo(f"{name:15} {removed.rows:9} rows before {removed.before:%Y-%m-%d} {words}".rstrip())
    if any(removed.failure for removed in report.values()):
        raise SystemExit(1)


def _change(place: Place, changes: tuple[str, ...], by: str | None, now: datetime) -> None:
    if not by:
        raise click.UsageError("a period is changed by somebody: --by NAME")
    with entering(place, service="retention") as connection:
        author = _author(connection, place, by)
        for words in changes:
            name, _, days = words.partition("=")
            if not days.isdigit() or not change_rule(connection, name, int(days), by=author.actor, now=now):
                raise click.ClickException(f"{words}: see kaimen retention --show for classes and bounds")
            detail = {"class": name, "days": int(days)}
            note(connection, place, Entry(
                now, author.actor, author.role, "retention_changed", "rights", "retention", name, detail
            ))  # fmt: skip
