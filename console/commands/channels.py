"""``kaimen channels``: a database address and a file enter, the state of channels or imported addresses leave.

Addresses are read from a file and never printed: a line is named by its number and its person.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from alerts.sending.addresses import AddressBook, AddressKeyError, open_address_book
from console import binding
from console.app import read_audit_key
from console.audit import chain as audit
from console.binding import BindingError, Owner, Preferences
from kaimen.clock import SystemClock, as_datetime, open_clock
from kaimen.database import Connection, connect, queries
from kaimen.settings import ConsoleSettings

_SQL = queries("console", "channels.sql")
_OUTBOX = queries("alerts.sending", "outbox.sql")

COLUMNS = (
    "person_id", "user", "channel", "address", "position", "language", "zone", "quiet_from", "quiet_until", "digest",
)  # fmt: skip
_REQUIRED = frozenset({"channel", "address"})
ROWS_MAX = 100_000
FAULTS_SHOWN_MAX = 50
#: A message that has waited so long while its channel is in the settings is a fault.
_WAITED_MAX = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the file, checked: whose address it is and how she wants to be told."""

    number: int
    owner: Owner
    channel: str
    address: str
    preferences: Preferences


@click.group()
def command() -> None:
    """See how channels fare, and enter addresses of contacts from a file."""


@command.command("status")
@click.option("--database-url", envvar="KAIMEN_DATABASE_URL", required=True, help="postgresql://…")
def status(database_url: str) -> None:
    """Say a line for every channel; ends with 1 where one that is in the settings is in trouble."""
    with connect(database_url, service="channels") as connection:
        now = as_datetime(open_clock(ConsoleSettings().clock).now_ms())
        lines = channel_lines(connection, now=now, wall_ms=SystemClock().now_ms())
    for _, words in lines:
        click.echo(words)
    if not lines:
        click.echo("no channel has been opened: start `kaimen alerts` with one in its settings")
    sys.exit(0 if all(good for good, _ in lines) else 1)


def channel_lines(connection: Connection, *, now: Any, wall_ms: int) -> list[tuple[bool, str]]:
    """Return for every channel in the settings whether it works, and a line that says so."""
    args = {"now": now, "since": now - timedelta(days=1)}
    found = []
    for row in connection.execute(_OUTBOX["channel_overview"], args).fetchall():
        if row["opened_at"] is None:
            continue
        stuck = row["waiting_since"] is not None and now - row["waiting_since"] > _WAITED_MAX
        paused = row["paused_until"] is not None and row["paused_until"] > as_datetime(wall_ms)
        good = not (row["failures_in_row"] or stuck or paused)
        detail = f"last refusal {row['last_refusal']!r}" if row["failures_in_row"] else "ok"
        found.append(
            (
                good,
                f"{'ok  ' if good else 'FAIL'} channel {row['channel']}: {detail}, {row['waiting']} waiting, "
                f"{row['uncertain']} uncertain, {row['failed']} given up in a day, {row['addresses']} addresses",
            )
        )
    return found


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--database-url", envvar="KAIMEN_DATABASE_URL", required=True, help="postgresql://…")
@click.option("--dry-run", is_flag=True, help="Check everything and write nothing.")
def import_file(file: Path, database_url: str, dry_run: bool) -> None:
    """Enter addresses from a CSV file with the columns person_id or user, channel, address, and preferences.

    All or nothing: one line that is wrong, and nothing is written. The same address again changes nothing.
    """
    settings = ConsoleSettings()
    try:
        book = open_address_book(settings.address_key_file)
    except AddressKeyError as error:
        raise click.ClickException(str(error)) from error
    now = as_datetime(open_clock(settings.clock).now_ms())
    with connect(database_url, service="channels") as connection, connection.transaction():
        lines, faults = read_lines(connection, _rows(file))
        if faults:
            for fault in faults[:FAULTS_SHOWN_MAX]:
                click.echo(fault, err=True)
            raise click.ClickException(f"{len(faults)} faults; nothing was written")
        if dry_run:
            click.echo(f"{len(lines)} addresses are in order; nothing was written: this was a dry run")
            return
        new = write_lines(connection, book, lines, now=now, audit_key=read_audit_key(settings))
    click.echo(f"{len(lines)} addresses, {new} of them new")


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    with file.open(encoding="utf-8-sig", newline="") as source:
        reader = csv.DictReader(source)
        names = set(reader.fieldnames or ())
        if not names >= _REQUIRED or not names & {"person_id", "user"} or not names <= set(COLUMNS):
            raise click.ClickException(f"{file.name}: the first line names columns of: {', '.join(COLUMNS)}")
        for number, row in enumerate(reader, start=2):
            if number > ROWS_MAX:
                raise click.ClickException(f"{file.name}: more than {ROWS_MAX} lines")
            if None in row:
                raise click.ClickException(f"{file.name}:{number}: more cells than columns")
            yield number, {name: (value or "").strip() for name, value in row.items()}


def read_lines(
    connection: Connection, rows: Iterator[tuple[int, Mapping[str, str]]]
) -> tuple[list[Line], list[str]]:
    """Return the lines that are in order, and for every other one its number, its column and what is wrong."""
    lines, faults = [], []
    for number, row in rows:
        try:
            owner = _owner_of(connection, row)
            address = binding.check_address(row["channel"], row["address"])
            lines.append(Line(number, owner, row["channel"], address, binding.parse_preferences(row)))
        except BindingError as error:
            faults.append(f"line {number}, {error.field}: {error.word.replace('_', ' ')}")
    return lines, faults


def _owner_of(connection: Connection, row: Mapping[str, str]) -> Owner:
    person, user = row.get("person_id", ""), row.get("user", "")
    if bool(person) == bool(user):
        raise BindingError("person_id", "write_person_id_or_user_and_not_both")
    statement, args = ("known_person", {"id": person}) if person else ("known_user", {"name": user})
    found = connection.execute(_SQL[statement], args).fetchone()
    if found is None:
        raise BindingError("person_id" if person else "user", "nobody_of_that_id_is_entered")
    return Owner(person_id=person) if person else Owner(user_id=found["id"])


def write_lines(
    connection: Connection, book: AddressBook, lines: list[Line], *, now: Any, audit_key: bytes
) -> int:
    """Write the addresses with one line in the audit; return how many are new."""
    new = 0
    for line in lines:
        try:
            _, is_new = binding.add_address(
                connection, book, line.owner, line.channel, line.address, now=now, added_by="import", is_proven=False,
                preferences=line.preferences, position=line.preferences.position,
            )  # fmt: skip
        except BindingError as error:
            raise click.ClickException(
                f"line {line.number}: {error.word.replace('_', ' ')}; nothing was written"
            ) from error
        new += is_new
    detail = {"addresses": len(lines), "new": new}
    entry = audit.Entry(now, "import", "system", "addresses_imported", "administration", "import", "", detail)
    audit.append(connection, entry, key=audit_key)
    return new


@command.command("group")
@click.argument("community")
@click.argument("channel", type=click.Choice(["dingtalk", "feishu", "wecom_bot"]))
@click.option("--database-url", envvar="KAIMEN_DATABASE_URL", required=True, help="postgresql://…")
def add_group(community: str, channel: str, database_url: str) -> None:
    """Give a community a group robot of its own; the key (or `token secret`) comes from standard input."""
    settings = ConsoleSettings()
    book = open_address_book(settings.address_key_file)
    now = as_datetime(open_clock(settings.clock).now_ms())
    address = " ".join(sys.stdin.readline().split())
    if (len(address.split()) != 2) if channel != "wecom_bot" else (len(address.split()) != 1):
        raise click.ClickException(
            "write the robot's key, or for DingTalk and Feishu its token and secret, on one line"
        )
    with connect(database_url, service="channels") as connection, connection.transaction():
        if connection.execute(_SQL["known_community"], {"id": community}).fetchone() is None:
            raise click.ClickException(f"there is no community {community!r}")
        owner = Owner(community_id=community)
        _, is_new = binding.add_address(
            connection, book, owner, channel, address, now=now, added_by="import", is_proven=True
        )
        detail = {"channel": channel, "community": community}
        entry = audit.Entry(now, "import", "system", "address_added", "administration", "address", "", detail)
        audit.append(connection, entry, key=read_audit_key(settings))
    click.echo("added" if is_new else "it is there already")
