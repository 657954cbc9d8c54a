"""``kaimen device-users``: a directory and ids enter; sign-ins of controllers and gateways are made, listed, taken away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from console.books.place import find_place
from console.stack.device_users import (
    DeviceUser,
    load_device_users,
    make_device_user,
    save_device_users,
    tell_broker,
)
from console.stack.folder import StackError, StackFolder, write_private
from console.stack.nats import user_line
from kaimen.database import connect, queries

_DIRECTORY = click.option(
    "--dir",
    "directory",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The directory of `kaimen up`.",
)
_LINE = re.compile(r"^  # devices: begin\n.*?^  # devices: end\n", re.DOTALL | re.MULTILINE)


@click.group()
def command() -> None:
    """Give each controller and gateway its own sign-in at the broker, for its own topics alone."""


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except StackError as error:
        raise click.ClickException(str(error)) from error


@command.command("add")
@click.argument("name")
@click.option("--site", required=True, help="The site it stands at, as in the books.")
@click.option(
    "--device", "devices", multiple=True, help="A device it speaks for beside itself; several may be named."
)
@_DIRECTORY
def add(name: str, site: str, devices: tuple[str, ...], directory: Path) -> None:
    """Make a sign-in, or a new password for one; the password is printed."""
    with _told():
        folder = StackFolder(directory.resolve())
        made = make_device_user(name, site, devices)
        users = {user.name: user for user in load_device_users(folder)} | {name: made}
        _save(folder, users)
    click.echo(f"{made.name}\t{made.password}")


@command.command("from-books")
@_DIRECTORY
def from_books(directory: Path) -> None:
    """Make a sign-in for every registered gateway, and for every device behind none, that has none yet."""
    with _told():
        folder = StackFolder(directory.resolve())
        users = {user.name: user for user in load_device_users(folder)}
        place = find_place(None, directory, None)
        with connect(place.url, service="device-users") as connection:
            rows = connection.execute(queries("console")["device_sign_ins"]).fetchall()
        for row in rows:
            known = users.get(row["id"])
            fresh = make_device_user(row["id"], row["site_id"], row["behind"])
            if known is None:
                click.echo(f"{fresh.name}\t{fresh.password}")
            users[row["id"]] = fresh if known is None else DeviceUser(
                known.name, known.password, fresh.site, fresh.devices
            )  # fmt: skip
        _save(folder, users)


@command.command("list")
@_DIRECTORY
def list_them(directory: Path) -> None:
    """List the sign-ins and what each speaks for; no passwords."""
    with _told():
        for user in load_device_users(StackFolder(directory.resolve())):
            click.echo(f"{user.name}\t{user.site}\t{' '.join(user.devices)}")


@command.command("remove")
@click.argument("name")
@_DIRECTORY
def remove(name: str, directory: Path) -> None:
    """Take a sign-in away; its connection ends at once."""
    with _told():
        folder = StackFolder(directory.resolve())
        users = {user.name: user for user in load_device_users(folder)}
        if users.pop(name, None) is None:
            raise click.ClickException(f"there is no sign-in {name!r}: see kaimen device-users list")
        _save(folder, users)


def _save(folder: StackFolder, users: dict[str, DeviceUser]) -> None:
    save_device_users(folder, users.values())
    settings = folder.nats / "nats.conf"
    if settings.exists():
        lines = "".join(f"{user_line(user)}\n" for _, user in sorted(users.items()))
        text = settings.read_text(encoding="utf-8")
        if _LINE.search(text) is None:
            raise StackError(
                "the broker's settings are of an older version: start kaimen up anew, the users are kept"
            )
        block = f"  # devices: begin\n{lines}  # devices: end\n"
        write_private(settings, _LINE.sub(lambda _match: block, text))
    click.echo(
        "told to the running broker" if tell_broker(folder) else "counts from the next start on", err=True
    )
