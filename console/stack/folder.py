"""The stack's directory: a path enters; its lock, its kind, its secrets and the places of everything in it leave.

A directory is a demo or a production installation for life: a marker file says which, and the database says it
again. One supervisor at a time holds the lock; it dies with the process, so nothing has to be cleaned up.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["demo", "production"]


class StackError(RuntimeError):
    """The stack cannot run like this; the text says why and what to do."""


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; only its owner may read it, from the first moment."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Replace a small private file of JSON in one step."""
    write_private(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def read_json(path: Path) -> Any | None:
    """Return what a file of ``write_json`` holds; None where there is none, or half a one of another program."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class StackFolder:
    """Where everything of one installation lies."""

    root: Path

    @property
    def marker(self) -> Path:
        return self.root / "installation.json"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def nats(self) -> Path:
        return self.root / "nats"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def street(self) -> Path:
        return self.root / "street"

    @property
    def street_state(self) -> Path:
        return self.street / "devices.sqlite"

    @property
    def street_orders(self) -> Path:
        return self.street / "orders"

    @property
    def street_linked(self) -> Path:
        """There once every gateway of the street has its session."""
        return self.street / "linked"

    @property
    def clock(self) -> Path:
        return self.root / "clock.json"

    @property
    def sign_ins(self) -> Path:
        return self.root / "demo-sign-ins.json"

    @property
    def edge_devices(self) -> Path:
        return self.root / "edge-devices.json"

    @property
    def edge_spool(self) -> Path:
        return self.root / "edge" / "spool.sqlite"

    @property
    def console_secret(self) -> Path:
        return self.root / "console.key"

    def prepare(self) -> None:
        """Make the directory and its parts; nobody but the owner may look into them."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (self.logs, self.run, self.edge_spool.parent, self.street):
            folder.mkdir(mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for this process.

        Raises
        ------
        StackError
            If another supervisor runs in it.
        """
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "another process"
                raise StackError(
                    f"{self.root} is in use by process {holder}: stop it, or name another --dir"
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def claim_kind(self, kind: Kind) -> bool:
        """Make sure that the directory is of this kind; return whether its preparation was finished before.

        Raises
        ------
        StackError
            If it belongs to the other kind, or if something else lies in it.
        """
        marker = read_json(self.marker)
        if marker is None:
            if self.marker.exists() or self.postgres.exists():
                raise StackError(
                    f"{self.root} holds a database without a readable installation.json: it is not ours to use"
                )
            write_json(self.marker, {"kind": kind, "prepared": False})
            return False
        if marker.get("kind") != kind:
            asked = "a demo" if kind == "demo" else "an installation"
            raise StackError(
                f"{self.root} is a {marker.get('kind')} directory and stays one: name another --dir for {asked}"
            )
        return bool(marker.get("prepared"))

    def note_prepared(self, kind: Kind) -> None:
        """From now on a start goes on with what is there."""
        write_json(self.marker, {"kind": kind, "prepared": True})

    def load_secrets(self) -> dict[str, str]:
        """Return the passwords of the installation, made at its first start."""
        path = self.root / "secrets.json"
        found = read_json(path) or {}
        names = (
            "postgres",
            "database",
            "database_console",
            "database_ingest",
            "database_alerts",
            "database_watchdog",
            "database_rights",
            "broker_ingest",
            "broker_edge",
            "broker_street",
            "broker_doctor",
            "broker_watch",
            "edge_credentials",
        )
        missing = [name for name in names if name not in found]
        if missing:
            found |= {name: secrets.token_hex(24) for name in missing}
            write_json(path, found)
        if not self.console_secret.exists():
            write_private(self.console_secret, secrets.token_hex(32) + "\n")
        return {name: str(found[name]) for name in names}
