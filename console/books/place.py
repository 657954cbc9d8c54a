"""Finds the installation a command works on: options enter, the database's address and the audit's key leave.

Also how a command writes to the audit chain: only with the key the chain was made with, or the chain would break.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import click

from console.audit.chain import Entry, append, hash_entry
from console.stack.folder import StackFolder, read_json
from console.stack.postgres import DATABASE
from console.words import Words, load_words
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import Connection, connect, queries
from kaimen.schema import list_migrations, schema_version

_SQL = queries("console.books")
_Command = TypeVar("_Command", bound=Callable[..., Any])


class SaidError(click.ClickException):
    """Why a command did nothing: a word of the catalogue that a reader's language says, in English where nobody asks."""

    def __init__(self, word: str, **values: object) -> None:
        self.word, self.values = word, values
        super().__init__(self.say(load_words("en", "UTC", as_datetime(SystemClock().now_ms()))))

    def say(self, words: Words) -> str:
        return words.say(self.word, **self.values)


@dataclass(frozen=True, slots=True)
class Place:
    """An installation's database and the key of its audit chain, empty where it has none."""

    url: str
    audit_key: bytes


def place_options(command: _Command) -> _Command:
    """Add the options that say which installation is meant."""
    for option in (
        click.option(
            "--audit-key-file",
            envvar="KAIMEN_CONSOLE_SECRET_FILE",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="The key of the audit chain, which the console has too.",
        ),
        click.option(
            "--dir",
            "directory",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="The directory of a running `kaimen up`: database and key are found in it.",
        ),
        click.option("--database-url", envvar="KAIMEN_DATABASE_URL", help="postgresql://…"),
    ):
        command = option(command)
    return command


def find_place(database_url: str | None, directory: Path | None, audit_key_file: Path | None) -> Place:
    """Return the installation the options name; ``directory`` goes before addresses of the environment."""
    if directory is not None:
        database_url, audit_key_file = _look_into(StackFolder(directory.resolve()))
    if not database_url:
        raise click.UsageError("say which installation: --dir, --database-url or KAIMEN_DATABASE_URL")
    return Place(database_url, b"" if audit_key_file is None else audit_key_file.read_bytes().strip())


def _look_into(folder: StackFolder) -> tuple[str, Path]:
    secrets = read_json(folder.root / "secrets.json")
    try:
        lines = (folder.postgres / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        port, password = int(lines[3]), str((secrets or {})["database"])
    except (OSError, IndexError, KeyError, ValueError) as error:
        raise SaidError("install.nothing_runs", folder=folder.root) from error
    return f"postgresql://{DATABASE}:{quote(password)}@127.0.0.1:{port}/{DATABASE}", folder.console_secret


@contextmanager
def entering(place: Place, *, service: str) -> Iterator[Connection]:
    """One transaction on a database of this version whose record of looks was kept with this key."""
    version = max(migration.version for migration in list_migrations())
    if schema_version(place.url) != version:
        raise SaidError("install.other_version")
    with connect(place.url, service=service) as connection:
        _check_key(connection, place.audit_key)
        yield connection


def _check_key(connection: Connection, key: bytes) -> None:
    row = connection.execute(_SQL["newest_audit_entry"]).fetchone()
    if row is None:
        return
    previous, stored = bytes(row.pop("previous_hash")), bytes(row.pop("hash"))
    if not hmac.compare_digest(hash_entry(Entry(**row), previous, key), stored):
        raise SaidError("install.other_key")


def note(connection: Connection, place: Place, *entries: Entry) -> None:
    """Write to the audit chain; call it last, others wait for it."""
    for entry in entries:
        append(connection, entry, key=place.audit_key)
