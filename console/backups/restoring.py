"""Restoring: a backup, its key and an empty database enter; a whole installation with its outbox held leaves.

In this order: the file is read to its end and every block checked; the dump is restored in one transaction; the rows are
counted against the manifest; the schema is brought up; what was taken back since the backup is taken back again; every
message is held. A failure on the way leaves an empty database, or one that nothing has been told to serve yet.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

import psycopg
from psycopg import sql

from alerts.sending.holding import begin_hold
from console.audit.chain import Entry, append
from console.backups.dump import Manifest, count_rows, open_backup, verify_backup
from console.backups.programs import start
from console.backups.sealing import BackupError, PrivateKey
from console.backups.since import apply_lines
from console.rights.ledger import LedgerError, Reapplied, reapply_deletions
from kaimen.clock import as_datetime
from kaimen.database import Connection, connect, queries
from kaimen.schema import SchemaError, list_migrations, migrate

_SQL = queries("console.backups")
ACTOR = "service:restore"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    manifest: Manifest
    schema: int
    taken_back: Counter[str] = field(default_factory=Counter)
    again: Reapplied | None = None


def restore(
    url: str,
    path: Path,
    key: PrivateKey,
    *,
    wall: datetime,
    owner_url: str | None = None,
    since: Iterable[bytes] = (),
    ledger: Path | None = None,
    audit_key: bytes | None = None,
) -> Restored:
    """Fill an empty database from a backup; ``url`` is a superuser's, or its owner's where no row is hidden from it.

    Raises
    ------
    BackupError
        If the file, the key or the database will not do; the text says why.
    """
    manifest, _ = verify_backup(path, key)
    newest = max(step.version for step in list_migrations())
    if manifest.schema > newest:
        raise BackupError(
            f"the backup is of schema {manifest.schema}, this program knows {newest}: use the newer program"
        )
    try:
        _refuse_what_is_not_empty(url)
        make_roles(url, manifest)
        _fill(url, path, key, manifest)
        _compare(url, manifest)
        schema = migrate(owner_url or url)
        with connect(url, service="restore") as connection:
            return _make_true(connection, manifest, schema, wall, since, ledger, audit_key)
    except (psycopg.Error, SchemaError, LedgerError) as error:
        raise BackupError(f"the restore did not succeed: {str(error).strip()}") from error


def _refuse_what_is_not_empty(url: str) -> None:
    with connect(url, service="restore") as connection:
        row = connection.execute(_SQL["has_tables"]).fetchone()
        if row and row["found"]:
            raise BackupError(
                "the database is not empty: a backup is restored into an empty one, never over another"
            )


def make_roles(url: str, manifest: Manifest) -> None:
    """Make the roles that the rights in the backup name, where they are missing and this role may; none may sign in yet."""
    with connect(url, service="restore", autocommit=True) as connection:
        have = {row["rolname"] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for name in manifest.roles:
            if name not in have:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))


def _fill(url: str, path: Path, key: PrivateKey, manifest: Manifest) -> None:
    with connect(url, service="restore", autocommit=True) as connection:
        row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        is_super = bool(row and row["rolsuper"])
        if manifest.tier == "timescale":
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            connection.execute("SELECT timescaledb_pre_restore()")
    try:
        _run_restore(url, path, key, owners=is_super, whole=manifest.tier != "timescale")
    finally:
        if manifest.tier == "timescale":
            with connect(url, service="restore", autocommit=True) as connection:
                connection.execute("SELECT timescaledb_post_restore()")


def _run_restore(url: str, path: Path, key: PrivateKey, *, owners: bool, whole: bool) -> None:
    from psycopg.conninfo import conninfo_to_dict

    arguments = [
        "--format=custom",
        "--no-password",
        "--exit-on-error",
        f"--dbname={conninfo_to_dict(url)['dbname']}",
    ]
    # TimescaleDB's own catalogue is filled by statements that do not stand one transaction.
    arguments += ["--single-transaction"] if whole else []
    arguments += [] if owners else ["--no-owner"]
    process = start(url, "pg_restore", *arguments, stdin=True)
    assert process.stdin is not None and process.stderr is not None
    said: list[bytes] = []
    listener = threading.Thread(target=lambda: said.append(cast(IO[bytes], process.stderr).read()))
    listener.start()
    try:
        with open_backup(path, key) as opened:
            for block in opened.dump:
                process.stdin.write(block)
    except BrokenPipeError:
        pass  # it ended early, and says why
    except BaseException:
        process.kill()
        raise
    finally:
        _close(process.stdin)
        process.wait()
        listener.join()
        process.stderr.close()
    if process.returncode != 0:
        raise BackupError(f"pg_restore failed: {b''.join(said).decode(errors='replace').strip()[-2000:]}")


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return  # the other side is gone already


def _compare(url: str, manifest: Manifest) -> None:
    with connect(url, service="restore") as connection:
        found = count_rows(connection)
    differing = [
        f"{name}: {found.get(name, 0)} instead of {rows}"
        for name, rows in manifest.tables.items()
        if found.get(name, 0) != rows
    ]
    if differing:
        raise BackupError(
            f"rows are missing after the restore, use nothing of it: {'; '.join(differing[:10])}"
        )


def _make_true(
    connection: Connection,
    manifest: Manifest,
    schema: int,
    wall: datetime,
    since: Iterable[bytes],
    ledger: Path | None,
    audit_key: bytes | None,
) -> Restored:
    """Delete again who was deleted, take back again what was taken back since, and hold every message, in one transaction."""
    taken_at = as_datetime(manifest.taken_at_ms)
    begin_hold(connection, reason="restored", by=ACTOR, wall=wall, backup_at=taken_at)
    connection.execute(_SQL["free_leases"])
    again = None
    if ledger is not None:
        if audit_key is None:
            raise BackupError(
                "a ledger is read with the key of the audit chain: name it with --audit-key-file"
            )
        again = reapply_deletions(connection, ledger, audit_key=audit_key, now=wall)
    taken_back = apply_lines(connection, since)
    if audit_key is not None:
        detail: dict[str, Any] = {"backup_at": taken_at.isoformat(), **taken_back}
        append(
            connection,
            Entry(wall, ACTOR, "admin", "restored", "maintenance", "installation", "", detail),
            key=audit_key,
        )
    return Restored(manifest, schema, taken_back, again)


__all__ = ["Restored", "make_roles", "restore"]
