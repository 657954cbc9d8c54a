"""Writing and reading backups: a database and recipients enter, one encrypted file leaves; with a key, its content.

Inside the encryption stand a manifest (when, of which schema, how many rows in each table, the end of the audit chain)
and a ``pg_dump`` of the very same snapshot. Secrets and settings are files beside the database and are not in it; nor are
the hashes of sessions and half sign-ins, so that a restored console asks everybody to sign in anew.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import psycopg
from psycopg import sql

from console.backups.programs import start
from console.backups.sealing import BackupError, PrivateKey, Sealer, open_sealed
from kaimen.database import Connection, connect

_CHUNK_BYTES = 1024 * 1024
_MANIFEST_BYTES_MAX = 4 * 1024 * 1024
#: Tables whose rows are of use to nobody after a restore, and of great use to a thief.
LEFT_OUT = (
    "sessions",
    "sign_in_failures",
    "sign_in_steps",
    "sign_in_codes",
    "known_devices",
    "binding_codes",
    "kiosk_presses",
    "sendings",
)
#: Roles that the schema's rights name; made where they are missing.
ROLE_PREFIX = "kaimen"


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says of itself; ``tables`` holds the rows of each table in it."""

    taken_at_ms: int
    program: str
    schema: int
    tier: str
    kind: str
    server_version: int
    tables: dict[str, int]
    roles: list[str]
    audit_id: int | None
    audit_hash: str | None


def write_backup(url: str, path: Path, recipients: Sequence[str], *, now_ms: int, version: str) -> Manifest:
    """Write one consistent, encrypted backup; ``path`` appears when it is whole and on the disk.

    Raises
    ------
    BackupError
        If the database cannot be read as a whole, or the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.part")
    if path.exists():
        raise BackupError(f"{path} exists: a backup is never written over")
    try:
        with connect(url, service="backup") as connection, _private(draft) as out:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            manifest = _look(connection, now_ms=now_ms, version=version)
            snapshot = _one(connection, "SELECT pg_export_snapshot() AS found")
            sealer = Sealer(cast(Any, out), recipients)
            text = msgspec.json.encode(manifest)
            sealer.write(len(text).to_bytes(4, "big") + text)
            _copy_dump(url, str(snapshot), manifest, sealer)
            sealer.close()
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise BackupError(f"{path} could not be written: {error.strerror or error}") from error
    except psycopg.Error as error:
        raise BackupError(f"the database could not be read: {str(error).strip()}") from error
    finally:
        draft.unlink(missing_ok=True)
    return manifest


@contextlib.contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _one(connection: Connection, statement: str) -> Any:
    row = connection.execute(cast(Any, statement)).fetchone()
    return None if row is None else row["found"]


def _look(connection: Connection, *, now_ms: int, version: str) -> Manifest:
    if _one(connection, "SELECT to_regclass('public.schema_migrations') IS NOT NULL AS found") is not True:
        raise BackupError("this database holds no schema of Kaimen")
    if (
        _one(
            connection, "SELECT rolsuper OR rolbypassrls AS found FROM pg_roles WHERE rolname = current_user"
        )
        is not True
    ):
        hidden = _one(
            connection,
            # The owner's own policy shows her every row; a table where it is missing would be left out in silence.
            "SELECT EXISTS (SELECT 1 FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relforcerowsecurity"
            " AND NOT EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'kaimen_owner'"
            " AND (SELECT oid FROM pg_roles WHERE rolname = current_user) = ANY (p.polroles))) AS found",
        )
        if hidden:
            raise BackupError(
                "this role does not see every row: use the superuser's address, or a role with BYPASSRLS"
            )
    newest = connection.execute(
        "SELECT version, tier FROM schema_migrations ORDER BY version DESC LIMIT 1"
    ).fetchone()
    head = connection.execute(
        "SELECT id, encode(hash, 'hex') AS hash FROM audit_entries ORDER BY id DESC LIMIT 1"
    ).fetchone()
    assert newest is not None
    return Manifest(
        taken_at_ms=now_ms,
        program=version,
        schema=newest["version"],
        tier=newest["tier"],
        kind=_one(connection, "SELECT kind AS found FROM installation") or "production",
        server_version=connection.info.server_version,
        tables=count_rows(connection),
        roles=[
            row["rolname"]
            for row in connection.execute(
                "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s) ORDER BY rolname", (ROLE_PREFIX,)
            )
        ],
        audit_id=None if head is None else head["id"],
        audit_hash=None if head is None else head["hash"],
    )


def count_rows(connection: Connection) -> dict[str, int]:
    """Return how many rows each table has, those left out of backups excepted; partitions count with their table."""
    names = [
        row["relname"]
        for row in connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition ORDER BY relname"
        )
    ]
    found = {}
    for name in names:
        if name in LEFT_OUT:
            continue
        query = sql.SQL("SELECT count(*) AS found FROM {}").format(sql.Identifier("public", name))
        row = connection.execute(query).fetchone()
        found[name] = int(row["found"]) if row else 0
    return found


def _copy_dump(url: str, snapshot: str, manifest: Manifest, sealer: Sealer) -> None:
    left_out = [f"--exclude-table-data=public.{name}" for name in LEFT_OUT]
    # Chunks of TimescaleDB stand in a schema of its own, so the whole database is dumped, not one schema.
    process = start(
        url, "pg_dump", "--format=custom", f"--snapshot={snapshot}", "--no-password",
        "--enable-row-security", *left_out,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    said: list[bytes] = []
    listener = threading.Thread(target=lambda: said.append(cast(IO[bytes], process.stderr).read()))
    listener.start()
    try:
        while chunk := process.stdout.read(_CHUNK_BYTES):
            sealer.write(chunk)
    except BaseException:
        process.kill()
        raise
    finally:
        process.stdout.close()
        process.wait()
        listener.join()
        process.stderr.close()
    if process.returncode != 0:
        raise BackupError(f"pg_dump failed: {b''.join(said).decode(errors='replace').strip()[-2000:]}")


@dataclass(frozen=True, slots=True)
class Opened:
    """A backup that is being read: its manifest, and the dump after it, block by block."""

    manifest: Manifest
    dump: Iterator[bytes]


@contextlib.contextmanager
def open_backup(path: Path, key: PrivateKey) -> Iterator[Opened]:
    """Open a backup with its private key.

    Raises
    ------
    BackupError
        If it is none, of another key, or not as it was written; also while ``dump`` is read.
    """
    try:
        with path.open("rb") as file:
            blocks = open_sealed(file, key)
            waiting = bytearray(next(blocks))
            size = int.from_bytes(waiting[:4], "big")
            if size > _MANIFEST_BYTES_MAX:
                raise BackupError("the manifest of the backup cannot be read")
            while len(waiting) < 4 + size:
                waiting += next(blocks)
            manifest = msgspec.json.decode(bytes(waiting[4 : 4 + size]), type=Manifest)
            rest = bytes(waiting[4 + size :])

            def dump() -> Iterator[bytes]:
                yield rest
                yield from blocks

            yield Opened(manifest, dump())
    except (msgspec.MsgspecError, StopIteration) as error:
        raise BackupError("the manifest of the backup cannot be read") from error
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror or error}") from error


def verify_backup(path: Path, key: PrivateKey) -> tuple[Manifest, int]:
    """Read a backup to its end; return its manifest and the bytes of the dump."""
    with open_backup(path, key) as opened:
        size = sum(len(block) for block in opened.dump)
    if size == 0:
        raise BackupError("the backup holds no dump")
    return opened.manifest, size
