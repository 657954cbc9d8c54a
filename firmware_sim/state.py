"""What the simulated devices hold, on disk: a street enters and leaves; a kill at any point reuses no number.

Devices that changed and the snapshot are written in one transaction before anything is sent, as a controller writes
its flash before it speaks. The file belongs to one running simulator at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from firmware_sim.controller import Memory
from firmware_sim.people import Community
from firmware_sim.street import Snapshot, Street

_FORM = "1"
_TABLES = """
    CREATE TABLE IF NOT EXISTS device (device_id TEXT PRIMARY KEY, memory BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS street (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
_encoder = msgspec.msgpack.Encoder()
_memory_decoder = msgspec.msgpack.Decoder(Memory)
_snapshot_decoder = msgspec.msgpack.Decoder(Snapshot)


class StateError(RuntimeError):
    """The file belongs to another street or to another form of this program."""


class StateFile:
    """The flash of all devices of one community."""

    def __init__(self, path: Path, community: Community) -> None:
        self._community = community
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(_TABLES)
        self._check_owner()

    def _check_owner(self) -> None:
        own = f"{_FORM}/{self._community.site_id}/{self._community.seed:x}".encode()
        found = self._read("owner")
        if found is None:
            rows = [("owner", own), ("start_ms", str(self._community.start_ms).encode())]
            self._database.executemany("INSERT INTO street VALUES (?, ?)", rows)
        elif found != own:
            raise StateError(f"the state file holds {found.decode()}, this street is {own.decode()}")

    def _read(self, name: str) -> bytes | None:
        row = self._database.execute("SELECT value FROM street WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def save(self, street: Street) -> None:
        """Write what changed since the last save, in one transaction."""
        touched, street.touched = street.touched, set()
        self._write(street, touched)

    def save_whole(self, street: Street) -> None:
        """Write every device; a simulated link changes them all."""
        street.touched = set()
        self._write(street, range(len(street.controllers)))

    def _write(self, street: Street, devices: Iterable[int]) -> None:
        rows = [
            (street.controllers[device].device.device_id, _encoder.encode(street.controllers[device].memory))
            for device in devices
        ]
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT OR REPLACE INTO device VALUES (?, ?)", rows)
        self._database.execute(
            "INSERT OR REPLACE INTO street VALUES ('snapshot', ?)", (_encoder.encode(street.snapshot()),)
        )
        self._database.execute("COMMIT")

    def restore_into(self, street: Street) -> bool:
        """Let a street go on where the file ends; say whether there was anything in it."""
        found = self._read("snapshot")
        if found is None:
            return False
        rows = self._database.execute("SELECT device_id, memory FROM device").fetchall()
        memories = {device_id: _memory_decoder.decode(memory) for device_id, memory in rows}
        street.restore(_snapshot_decoder.decode(found), memories)
        return True

    def close(self) -> None:
        self._database.close()


def kept_start_ms(path: Path) -> int | None:
    """Return when watching began in the community that a state file belongs to; None without a file."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(path)) as database:
        try:
            row = database.execute("SELECT value FROM street WHERE name = 'start_ms'").fetchone()
        except sqlite3.DatabaseError as error:
            raise StateError(f"not a state file: {error}") from error
    return None if row is None else int(bytes(row[0]))


def save(street: Street, path: Path) -> None:
    """Keep a street whole, for ``firmware_sim.live`` or another ``Street`` to go on from."""
    with closing(StateFile(path, street.community)) as file:
        file.save_whole(street)
