"""``kaimen outbox``: an operator's word enters; held messages are listed, let go or dropped, and the hold begins or ends."""

from __future__ import annotations

from pathlib import Path

import click

from alerts.sending.holding import HELD_SHOWN_MAX, begin_hold, drop, end_hold, let_go, load_held, load_hold
from console.audit.chain import Entry
from console.books.place import Place, entering, find_place, note, place_options
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import Connection

ACTOR = "service:outbox"


@click.group()
def command() -> None:
    """Look at messages that are held back after a restore, and decide which of them still go out."""


def _wall() -> SystemClock:
    return SystemClock()


def _note(connection: Connection, place: Place, action: str, count: int) -> None:
    at = as_datetime(_wall().now_ms())
    note(connection, place, Entry(at, ACTOR, "admin", action, "maintenance", "outbox", "", {"count": count}))


def _ids(connection: Connection, numbers: tuple[int, ...], everything: bool) -> list[int]:
    if bool(numbers) == everything:
        raise click.UsageError("name messages by their numbers, or give --all")
    if not everything:
        return list(numbers)
    found: list[int] = []
    while rows := load_held(connection, after=found[-1] if found else 0):
        found += [row["id"] for row in rows]
    return found


@command.command("held")
@place_options
def held(database_url: str | None, directory: Path | None, audit_key_file: Path | None) -> None:
    """List what waits: number, case, channel, step, and when it was planned."""
    place = find_place(database_url, directory, audit_key_file)
    with entering(place, service="outbox") as connection:
        hold = load_hold(connection)
        rows = load_held(connection)
    if hold is None:
        click.echo("nothing is held: messages leave as ever")
        return
    since = f" of the backup taken {hold.backup_at:%Y-%m-%d %H:%M} UTC" if hold.backup_at else ""
    click.echo(
        f"held since {hold.begun_at:%Y-%m-%d %H:%M} UTC ({hold.reason}{since}): {hold.waiting} messages"
    )
    for row in rows:
        closed = "  case closed" if row["case_closed"] else ""
        click.echo(
            f"{row['id']:>8}  {row['number'] or '-':<14} {row['channel']:<12} {row['step']:<12}"
            f" planned {row['created_at']:%Y-%m-%d %H:%M}{closed}"
        )
    if len(rows) == HELD_SHOWN_MAX:
        click.echo("… and more")


@command.command("release")
@click.argument("numbers", nargs=-1, type=int)
@click.option(
    "--all", "everything", is_flag=True, help="Everything that waits now; later messages stay held."
)
@place_options
def release(
    numbers: tuple[int, ...],
    everything: bool,
    database_url: str | None,
    directory: Path | None,
    audit_key_file: Path | None,
) -> None:
    """Let messages go out although the hold stands."""
    place = find_place(database_url, directory, audit_key_file)
    with entering(place, service="outbox") as connection:
        count = let_go(connection, _ids(connection, numbers, everything), wall=as_datetime(_wall().now_ms()))
        _note(connection, place, "outbox_released", count)
    click.echo(f"{count} let go")


@command.command("drop")
@click.argument("numbers", nargs=-1, type=int)
@click.option("--all", "everything", is_flag=True, help="Everything that waits now.")
@place_options
def drop_them(
    numbers: tuple[int, ...],
    everything: bool,
    database_url: str | None,
    directory: Path | None,
    audit_key_file: Path | None,
) -> None:
    """Send messages to nobody; their cases stay open and tell people again at their next step."""
    place = find_place(database_url, directory, audit_key_file)
    with entering(place, service="outbox") as connection:
        count = drop(connection, _ids(connection, numbers, everything))
        _note(connection, place, "outbox_dropped", count)
    click.echo(f"{count} dropped")


@command.command("hold")
@place_options
def hold_all(database_url: str | None, directory: Path | None, audit_key_file: Path | None) -> None:
    """Let nothing leave the house from now on; cases, tasks and the console go on."""
    place = find_place(database_url, directory, audit_key_file)
    with entering(place, service="outbox") as connection:
        if not begin_hold(connection, reason="operator", by=ACTOR, wall=as_datetime(_wall().now_ms())):
            raise click.ClickException("a hold stands already: see kaimen outbox held")
        _note(connection, place, "outbox_held", 0)
    click.echo("held: nothing leaves the house until kaimen outbox open")


@command.command("open")
@click.option("--with-the-rest", is_flag=True, help="What still waits goes out with it.")
@place_options
def open_again(
    with_the_rest: bool, database_url: str | None, directory: Path | None, audit_key_file: Path | None
) -> None:
    """End the hold: messages leave as ever again."""
    place = find_place(database_url, directory, audit_key_file)
    with entering(place, service="outbox") as connection:
        hold = load_hold(connection)
        if hold is None:
            raise click.ClickException("nothing is held")
        if hold.waiting and not with_the_rest:
            raise click.ClickException(
                f"{hold.waiting} messages still wait for a word: release or drop them, or give --with-the-rest"
            )
        end_hold(connection, by=ACTOR, wall=as_datetime(_wall().now_ms()))
        _note(connection, place, "outbox_opened", hold.waiting)
    click.echo("open: messages leave as ever")
