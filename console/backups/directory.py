"""Directories of ``kaimen up``: one enters as a superuser's address and its settings; a new one leaves, restored."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import msgspec

from console.backups.dump import Manifest
from console.backups.sealing import BackupError, PrivateKey, Sealer, open_sealed
from console.stack.folder import Kind, StackError, StackFolder, read_json, write_private
from console.stack.postgres import DATABASE, Postgres, open_postgres
from console.stack.processes import start_line
from console.stack.services import free_port

#: What an installation cannot do without and the database does not hold.
SETTINGS = ("secrets.json", "console.key", "edge-devices.json", "devices.json")
#: Grows on; its newest copy may lie in a new directory before the restore.
LEDGER = "rights-ledger.jsonl"
_STARTED_WITHIN_S = 120.0
_STOPPED_WITHIN_S = 60.0
_SETTINGS_BYTES_MAX = 64 * 1024 * 1024


def superuser_url(directory: Path) -> str:
    """Return the superuser's address of the database of a running ``kaimen up``."""
    folder = StackFolder(directory.resolve())
    secrets = read_json(folder.root / "secrets.json")
    try:
        lines = (folder.postgres / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        port, password = int(lines[3]), str((secrets or {})["postgres"])
    except (OSError, IndexError, KeyError, ValueError) as error:
        raise BackupError(f"nothing runs in {folder.root}: start kaimen up --dir there") from error
    return f"postgresql://postgres:{quote(password)}@127.0.0.1:{port}/{DATABASE}"


def write_settings(directory: Path, out: BinaryIO, recipients: Sequence[str]) -> tuple[str, ...]:
    """Write the passwords, keys and tables of a directory, encrypted; return the names of what there was."""
    found = {
        name: (directory / name).read_text(encoding="utf-8")
        for name in SETTINGS
        if (directory / name).exists()
    }
    sealer = Sealer(out, recipients)
    sealer.write(b"settings\n" + msgspec.json.encode(found))
    sealer.close()
    return tuple(found)


def read_settings(path: Path, key: PrivateKey) -> dict[str, str]:
    """Read what ``write_settings`` wrote."""
    with path.open("rb") as file:
        text = b""
        for block in open_sealed(file, key):
            text += block
            if len(text) > _SETTINGS_BYTES_MAX:
                raise BackupError(f"{path} is too large to be settings")
    if not text.startswith(b"settings\n"):
        raise BackupError(f"{path} is a backup of a database, not of settings")
    found = msgspec.json.decode(text.removeprefix(b"settings\n"), type=dict[str, str])
    return {name: content for name, content in found.items() if name in SETTINGS}


def restore_directory(
    directory: Path, manifest: Manifest, settings: dict[str, str], fill: Callable[[Postgres], Any]
) -> Any:
    """Make a new directory with the settings of the old one, let ``fill`` restore its database, and stop again.

    Raises
    ------
    BackupError
        If something lies there, or the keys that the data need are missing.
    """
    folder = StackFolder(directory.resolve())
    present = {entry.name for entry in folder.root.iterdir()} if folder.root.exists() else set()
    if present - {*SETTINGS, LEDGER}:
        raise BackupError(f"{folder.root} is not empty: a restore makes a new directory")
    if "console.key" not in settings and "console.key" not in present:
        raise BackupError(
            "the key of the audit chain is missing: give --settings, or put console.key and secrets.json of the old"
            f" directory into {folder.root}"
        )
    kind: Kind = "demo" if manifest.kind == "demo" else "production"
    try:
        folder.prepare()
        with folder.locked():
            for name, content in settings.items():
                write_private(folder.root / name, content)
            folder.claim_kind(kind)
            postgres = open_postgres(folder, folder.load_secrets(), free_port())
            with running(postgres):
                postgres.ensure_database(empty=True)
                found = fill(postgres)
            folder.note_prepared(kind)
    except StackError as error:
        raise BackupError(str(error)) from error
    return found


@contextlib.contextmanager
def running(postgres: Postgres) -> Iterator[None]:
    postgres.make_ready_to_start()
    log_path = postgres.folder.logs / "restore.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            start_line(postgres.arguments(), account=postgres.account), cwd="/", stdin=subprocess.DEVNULL,
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + _STARTED_WITHIN_S
        while not postgres.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise BackupError(f"PostgreSQL did not start: see {log_path}")
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # fast: do not wait for clients
        try:
            process.wait(_STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
