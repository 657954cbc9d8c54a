"""``kaimen backup`` and ``kaimen restore``: options and files enter, an encrypted backup or a filled database leaves."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from console.backups.directory import LEDGER, read_settings, restore_directory, superuser_url, write_settings
from console.backups.dump import Manifest, verify_backup, write_backup
from console.backups.restoring import Restored
from console.backups.restoring import restore as restore_into
from console.backups.sealing import (
    BackupError,
    PrivateKey,
    new_private_key,
    parse_private_key,
    write_key_file,
)
from console.backups.since import write_lines
from console.rights.ledger import sync_file
from console.stack.postgres import Postgres
from kaimen import __version__
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import connect

_FILE = click.Path(dir_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BackupError as error:
        raise click.ClickException(str(error)) from error


def _read_key(path: Path) -> PrivateKey:
    return parse_private_key(path.read_text(encoding="utf-8"))


def _wall() -> datetime:
    return as_datetime(SystemClock().now_ms())


@click.command()
@click.option("--out", type=_FILE, help="Where the backup is written; must not exist.")
@click.option("--recipient", "recipients", multiple=True, envvar="KAIMEN_BACKUP_RECIPIENTS",
              help="Public key it is written for; several may be named.")  # fmt: skip
@click.option("--dir", "directory", type=_FOLDER, help="The directory of a running `kaimen up`.")
@click.option(
    "--database-url", envvar="KAIMEN_DATABASE_URL", help="postgresql://… of a role that sees every row."
)
@click.option(
    "--settings-out", type=_FILE, help="Passwords, keys and tables of --dir, as a second encrypted file."
)
@click.option("--since-out", type=_FILE, help="What was taken back (consents, relatives, sign-ins), to be applied after a"
              " restore; written over.")  # fmt: skip
@click.option(
    "--ledger-out",
    type=_FILE,
    help="The rights ledger (who was deleted, consents, relatives), added to; needs the audit chain's key.",
)
@click.option(
    "--audit-key-file",
    envvar="KAIMEN_CONSOLE_SECRET_FILE",
    type=_EXISTING,
    help="The key of the audit chain.",
)
@click.option("--verify", type=_EXISTING, help="Read this backup to its end instead, and check every block.")
@click.option("--key", type=_EXISTING, help="The private key, for --verify.")
@click.option(
    "--new-key", type=_FILE, help="Make a key pair instead: the private half here, the public one is printed."
)
def backup(
    out: Path | None,
    recipients: tuple[str, ...],
    directory: Path | None,
    database_url: str | None,
    settings_out: Path | None,
    since_out: Path | None,
    ledger_out: Path | None,
    audit_key_file: Path | None,
    verify: Path | None,
    key: Path | None,
    new_key: Path | None,
) -> None:
    """Write an encrypted backup of a running installation, or check one.

    It is written for public keys: keep the private half where neither this machine nor its backups are.
    """
    with _told():
        if new_key is not None:
            made = new_private_key()
            write_key_file(new_key, made)
            click.echo(made.public)
            return
        if verify is not None:
            if key is None:
                raise click.UsageError("--verify needs --key, the private key")
            _say(verify, *verify_backup(verify, _read_key(key)))
            return
        if out is None and settings_out is None and since_out is None:
            raise click.UsageError(
                "say what to write: --out, --settings-out, --since-out; or --verify, --new-key"
            )
        url = superuser_url(directory) if directory is not None else database_url
        if not url:
            raise click.UsageError("say which installation: --dir, --database-url or KAIMEN_DATABASE_URL")
        _write(url, directory, out, recipients, settings_out, since_out)
        if ledger_out is not None:
            key_file = directory / "console.key" if directory is not None else audit_key_file
            if key_file is None:
                raise click.UsageError("--ledger-out needs --dir, or --audit-key-file")
            with connect(url, service="backup") as connection:
                count = sync_file(connection, ledger_out, key_file.read_bytes().strip())
            click.echo(f"{ledger_out}: {count} new lines")


def _write(
    url: str,
    directory: Path | None,
    out: Path | None,
    recipients: tuple[str, ...],
    settings_out: Path | None,
    since_out: Path | None,
) -> None:
    if out is not None:
        manifest = write_backup(url, out, recipients, now_ms=SystemClock().now_ms(), version=__version__)
        rows = sum(manifest.tables.values())
        click.echo(
            f"{out}: schema {manifest.schema}, {rows} rows, {out.stat().st_size} bytes; check it with --verify"
        )
    if settings_out is not None:
        if directory is None:
            raise click.UsageError(
                "--settings-out is for --dir: otherwise the settings are where you put them"
            )
        with _replacing(settings_out) as file:
            names = write_settings(directory, file, recipients)
        click.echo(f"{settings_out}: {', '.join(names)}")
    if since_out is not None:
        with connect(url, service="backup") as connection, _replacing(since_out) as file:
            count = 0
            for line in write_lines(connection):
                file.write(line)
                count += 1
        click.echo(f"{since_out}: {count} lines")


@contextmanager
def _replacing(path: Path) -> Iterator[Any]:
    """Replace a file in one step, readable by its owner alone."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        raise BackupError(f"{path} could not be written: {error.strerror or error}") from error
    finally:
        Path(name).unlink(missing_ok=True)


def _say(path: Path, manifest: Manifest, size: int) -> None:
    click.echo(
        f"{path} is whole: taken {as_datetime(manifest.taken_at_ms):%Y-%m-%d %H:%M:%S} UTC, schema {manifest.schema}"
        f" ({manifest.tier}), {sum(manifest.tables.values())} rows in {len(manifest.tables)} tables, {size} bytes"
    )


@click.command()
@click.argument("file", type=_EXISTING)
@click.option("--key", type=_EXISTING, required=True, help="The private key.")
@click.option("--dir", "directory", type=click.Path(file_okay=False, path_type=Path),
              help="A new directory for `kaimen up`.")  # fmt: skip
@click.option("--database-url", help="An empty database, as a superuser or as the owner it shall have.")
@click.option("--settings", type=_EXISTING, help="What --settings-out wrote, for --dir.")
@click.option("--since", type=_EXISTING, help="The newest file of --since-out: it is taken back again.")
@click.option("--ledger", type=_EXISTING, help="The newest copy of the rights ledger: it is done again.")
@click.option("--audit-key-file", envvar="KAIMEN_CONSOLE_SECRET_FILE", type=_EXISTING,
              help="The key of the audit chain, for --database-url.")  # fmt: skip
def restore(
    file: Path,
    key: Path,
    directory: Path | None,
    database_url: str | None,
    settings: Path | None,
    since: Path | None,
    ledger: Path | None,
    audit_key_file: Path | None,
) -> None:
    """Fill an empty database, or a new directory, from a backup.

    Afterwards no message and no call leaves the house before a person has said so: `kaimen outbox`, or the page of held
    messages.
    """
    if (directory is None) == (not database_url):
        raise click.UsageError("say where to: a new --dir, or an empty --database-url")
    with _told():
        private = _read_key(key)
        lines = since.read_bytes().splitlines() if since is not None else []
        if directory is None:
            assert database_url
            audit_key = audit_key_file.read_bytes().strip() if audit_key_file is not None else None
            done = restore_into(
                database_url, file, private, wall=_wall(), since=lines, ledger=ledger, audit_key=audit_key
            )
        else:
            manifest, _ = verify_backup(file, private)

            def fill(postgres: Postgres) -> Restored:
                beside = postgres.folder.root / LEDGER
                return restore_into(
                    postgres.superuser_url, file, private, wall=_wall(), owner_url=postgres.url, since=lines,
                    ledger=ledger or (beside if beside.exists() else None),
                    audit_key=postgres.folder.console_secret.read_bytes().strip(),
                )  # fmt: skip

            found = read_settings(settings, private) if settings is not None else {}
            done = restore_directory(directory, manifest, found, fill)
    _say_done(done, since is not None)


def _say_done(done: Restored, with_since: bool) -> None:
    taken = as_datetime(done.manifest.taken_at_ms)
    click.echo(
        f"restored as of {taken:%Y-%m-%d %H:%M:%S} UTC, schema {done.schema}: every table has its rows"
    )
    if done.again is not None:
        click.echo(
            f"done again: {done.again.deleted} people deleted, {done.again.withdrawn} consents withdrawn"
        )
    else:
        click.echo("people deleted since then are in it again: kaimen person reapply --ledger deletes them")
    if with_since:
        again = ", ".join(f"{count} {kind}" for kind, count in sorted(done.taken_back.items())) or "nothing"
        click.echo(f"taken back again: {again}")
    else:
        click.echo(
            "consents, relatives and sign-ins taken back since then stand again: give --since, or go through them"
        )
    click.echo("messages are held: see kaimen outbox held, then release, drop, and kaimen outbox open")
