"""On-disk queue that survives link and power loss: messages and device states enter in one transaction, messages
leave when the central broker has acknowledged them.

SQLite with WAL and ``synchronous=FULL``: what was committed is on the disk, also after kill -9 or a power cut. The
caller acknowledges a frame to its source only after the commit, and deletes a message only after its PUBACK.
Only events (and canonical frames that are forwarded) come here, never heartbeats: the next one at the same position
proves the same.

Bounds, each with its name: ``bytes_max`` of queued messages, ``days_max`` of their age, ``UNLISTED_SOURCES_MAX`` and
``UNLISTED_READINGS_MAX`` of what came from sources nobody listed. When the bytes run out the oldest vitals make
room; when none are left ``SpoolFullError`` says so and the caller stops acknowledging. An event is never dropped
to make room; what is older than ``days_max`` could prove nothing any more, and its removal is counted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.tracker import DeviceState

UNLISTED_SOURCES_MAX = 500
UNLISTED_READINGS_MAX = 5_000
UNLISTED_KEPT_MS = 7 * 86_400_000
FETCH_MAX = 2_000
#: What waits is sent at a pace: sources must not wait until a great part of a great spool is gone.
ROOM_BYTES_MAX = 1024 * 1024
FETCH_BYTES_MAX = 4 * 1024 * 1024
#: What a row costs beside its payload, for the bound in bytes.
_ROW_BYTES = 96
_DAY_MS = 86_400_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    device TEXT NOT NULL,
    boot TEXT NOT NULL,
    seq INTEGER NOT NULL,
    payload BLOB NOT NULL,
    joinable INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    vital INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS message_vital ON message (vital, id) WHERE vital = 1;
CREATE INDEX IF NOT EXISTS message_position ON message (device, boot, seq);
CREATE TABLE IF NOT EXISTS device (device TEXT PRIMARY KEY, state BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS unlisted (
    source TEXT PRIMARY KEY, kind TEXT NOT NULL, frames INTEGER NOT NULL, first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS unlisted_reading (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, received_ms INTEGER NOT NULL, reading BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS unlisted_reading_source ON unlisted_reading (source, id);
"""

_ALL_AFTER = """
SELECT id, topic, device, boot, seq, payload, joinable, retain FROM message
WHERE id > ? ORDER BY id LIMIT ?
"""
_EVENTS_AFTER = """
SELECT id, topic, device, boot, seq, payload, joinable, retain FROM message
WHERE id > ? AND retain = 0 ORDER BY id LIMIT ?
"""
_EVENTS_BEFORE = """
SELECT id, topic, device, boot, seq, payload, joinable, retain FROM message
WHERE id < ? AND retain = 0 ORDER BY id DESC LIMIT ?
"""
_STATES_AFTER = """
SELECT id, topic, device, boot, seq, payload, joinable, retain FROM message
WHERE vital = 1 AND retain = 1 AND id > ? ORDER BY id LIMIT ?
"""


class SpoolFullError(RuntimeError):
    """The bound in bytes is reached and no vitals are left: nothing more can be promised to a source."""


@dataclass(frozen=True, slots=True)
class Message:
    """One queued message; ``joinable`` ones of one topic and boot may travel in one array."""

    id: int
    topic: str
    device: str
    boot: str
    seq: int
    payload: bytes
    joinable: bool
    retain: bool


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A source that nobody listed, for the operator: never guessed, only counted."""

    source: str
    kind: str
    frames: int
    first_ms: int
    last_ms: int


_state_encoder = msgspec.json.Encoder()
_state_decoder = msgspec.json.Decoder(DeviceState)


class Spool:
    """The queue and the memory of the edge, owned by one thread."""

    def __init__(self, path: Path | str, *, bytes_max: int, days_max: int) -> None:
        if isinstance(path, Path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._bytes_max = bytes_max
        self._days_max = days_max
        self._db = sqlite3.connect(str(path), isolation_level=None, timeout=10)
        if isinstance(path, Path):
            path.chmod(0o600)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        self._bytes, self._count = self._measure()

    def _measure(self) -> tuple[int, int]:
        size, count = self._db.execute(
            "SELECT coalesce(sum(length(payload)), 0), count(*) FROM message"
        ).fetchone()
        return int(size) + int(count) * _ROW_BYTES, int(count)

    def close(self) -> None:
        self._db.close()

    @property
    def bytes_used(self) -> int:
        return self._bytes

    @property
    def message_count(self) -> int:
        return self._count

    def has_room(self) -> bool:
        """Say whether a source may be listened to again: a tenth of the bytes is free, or as much as many events take."""
        return self._bytes <= self._bytes_max - min(self._bytes_max // 10, ROOM_BYTES_MAX)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside one commit, or nothing of it."""
        before = self._bytes, self._count
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._bytes, self._count = before
            raise

    @contextmanager
    def step(self) -> Iterator[None]:
        """Make everything inside one part of the running transaction, or nothing of it."""
        before = self._bytes, self._count
        self._db.execute("SAVEPOINT step")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK TO step")
                self._db.execute("RELEASE step")
            self._bytes, self._count = before
            raise
        self._db.execute("RELEASE step")

    def append(
        self,
        *,
        topic: str,
        device: str,
        boot: str,
        seq: int,
        payload: bytes,
        created_ms: int,
        joinable: bool = True,
        retain: bool = False,
        vital: bool = False,
    ) -> int:
        """Queue one message; return how many vitals had to make room.

        Raises
        ------
        SpoolFullError
            If there is no room and no vitals are left.
        """
        size = len(payload) + _ROW_BYTES
        evicted = self._make_room(size) if self._bytes + size > self._bytes_max else 0
        self._db.execute(
            "INSERT INTO message (topic, device, boot, seq, payload, joinable, retain, vital, created_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (topic, device, boot, seq, payload, joinable, retain, vital, created_ms),
        )
        self._bytes += size
        self._count += 1
        return evicted

    def _make_room(self, size: int) -> int:
        evicted = 0
        while self._bytes + size > self._bytes_max:
            rows = self._db.execute("SELECT id FROM message WHERE vital = 1 ORDER BY id LIMIT 100").fetchall()
            if not rows:
                raise SpoolFullError(f"{self._bytes} of {self._bytes_max} bytes are used")
            evicted += self.delete([row[0] for row in rows])
        return evicted

    def delete(self, ids: Sequence[int]) -> int:
        """Remove messages that the central broker has; return how many were still here."""
        removed = size = 0
        for message_id in ids:
            row = self._db.execute(
                "DELETE FROM message WHERE id = ? RETURNING length(payload)", (message_id,)
            ).fetchone()
            if row is not None:
                removed += 1
                size += int(row[0]) + _ROW_BYTES
        self._bytes -= size
        self._count -= removed
        return removed

    def expire(self, now_ms: int) -> int:
        """Remove what is older than the bound in days; return how many, for the metric that says so."""
        cutoff_ms = now_ms - self._days_max * _DAY_MS
        rows = self._db.execute(
            "SELECT id FROM message WHERE created_ms < ? LIMIT 10000", (cutoff_ms,)
        ).fetchall()
        self._db.execute("DELETE FROM unlisted_reading WHERE received_ms < ?", (now_ms - UNLISTED_KEPT_MS,))
        return self.delete([row[0] for row in rows])

    def newest_id(self) -> int:
        """Return the number of the message queued last; 0 where none waits."""
        (newest,) = self._db.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()
        return int(newest)

    def after(self, message_id: int, *, events_only: bool = False) -> list[Message]:
        """Return the messages behind ``message_id`` in the order they were queued, a bounded window of them."""
        return self._window(_EVENTS_AFTER if events_only else _ALL_AFTER, message_id)

    def before(self, message_id: int) -> list[Message]:
        """Return the newest messages queued before ``message_id``, in their order; states are not among them."""
        return self._window(_EVENTS_BEFORE, message_id)[::-1]

    def states_after(self, message_id: int) -> list[Message]:
        """Return the births and last wills behind ``message_id``, in their order."""
        return self._window(_STATES_AFTER, message_id)

    def _window(self, query: str, message_id: int) -> list[Message]:
        rows = self._db.execute(query, (message_id, FETCH_MAX))
        window: list[Message] = []
        size = 0
        for row in rows:
            message = Message(
                row[0], row[1], row[2], row[3], row[4], bytes(row[5]), bool(row[6]), bool(row[7])
            )
            window.append(message)
            size += len(message.payload)
            if size >= FETCH_BYTES_MAX:
                break
        rows.close()
        return window

    def oldest_seq(self, device: str, boot: str) -> int | None:
        """Return the lowest number of this boot that still waits here."""
        row = self._db.execute(
            "SELECT min(seq) FROM message WHERE device = ? AND boot = ? AND joinable = 1", (device, boot)
        ).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def load_state(self, device: str) -> DeviceState | None:
        row = self._db.execute("SELECT state FROM device WHERE device = ?", (device,)).fetchone()
        return None if row is None else _state_decoder.decode(row[0])

    def store_state(self, state: DeviceState) -> None:
        self._db.execute(
            "INSERT INTO device (device, state) VALUES (?, ?) ON CONFLICT (device) DO UPDATE SET state = excluded.state",
            (state.device, _state_encoder.encode(state)),
        )

    def load_fact(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def store_fact(self, name: str, value: str) -> None:
        self._db.execute(
            "INSERT INTO fact (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def note_unlisted(self, source: str, kind: str, reading: bytes, received_ms: int) -> bool:
        """Count a frame of an unlisted source and keep what it said; return whether it was kept."""
        known = self._db.execute("SELECT 1 FROM unlisted WHERE source = ?", (source,)).fetchone()
        if known is None:
            (count,) = self._db.execute("SELECT count(*) FROM unlisted").fetchone()
            if count >= UNLISTED_SOURCES_MAX:
                return False
        self._db.execute(
            "INSERT INTO unlisted VALUES (?, ?, 1, ?, ?) ON CONFLICT (source) DO UPDATE SET"
            " frames = frames + 1, last_ms = excluded.last_ms, kind = excluded.kind",
            (source, kind, received_ms, received_ms),
        )
        self._db.execute(
            "INSERT INTO unlisted_reading (source, received_ms, reading) VALUES (?, ?, ?)",
            (source, received_ms, reading),
        )
        self._db.execute(
            "DELETE FROM unlisted_reading WHERE id <= (SELECT max(id) FROM unlisted_reading) - ?",
            (UNLISTED_READINGS_MAX,),
        )
        return True

    def unlisted(self) -> list[Unlisted]:
        """Return the sources nobody listed, the most talkative first."""
        rows = self._db.execute(
            "SELECT source, kind, frames, first_ms, last_ms FROM unlisted ORDER BY frames DESC, source"
        )
        return [Unlisted(*row) for row in rows]

    def peek_unlisted(self, source: str) -> bytes | None:
        """Return the newest reading that was kept of an unlisted source."""
        row = self._db.execute(
            "SELECT reading FROM unlisted_reading WHERE source = ? ORDER BY id DESC LIMIT 1", (source,)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def unlisted_count(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM unlisted").fetchone()[0])

    def take_unlisted(self, source: str) -> list[tuple[int, bytes]]:
        """Remove and return what was kept of a source that is listed now: (received_ms, reading)."""
        rows = self._db.execute(
            "SELECT received_ms, reading FROM unlisted_reading WHERE source = ? ORDER BY id", (source,)
        ).fetchall()
        self._db.execute("DELETE FROM unlisted_reading WHERE source = ?", (source,))
        self._db.execute("DELETE FROM unlisted WHERE source = ?", (source,))
        return [(int(row[0]), bytes(row[1])) for row in rows]
