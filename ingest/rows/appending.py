"""Events of a turn enter, as they come; their rows leave into the COPY of an open transaction.

The database takes rows while the turn goes on: what was sent needs not be waited for before the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from types import TracebackType

from psycopg import Copy

from ingest.arrays.rows import StoredArray, rows_bytes
from ingest.faults import pass_point
from ingest.rows.book import Book
from ingest.rows.copying import END, HEADER, Copier
from ingest.rows.event_rows import StoredEvent, occurred_ms_of, rows_of
from kaimen.clock import as_datetime
from kaimen.database import Connection, queries

_SQL = queries("ingest")


class Kept:
    """What saves asking the database twice: the days that have partitions, the bytes of words that repeat."""

    def __init__(self) -> None:
        self.copier = Copier()
        self._from: datetime | None = None
        self._to: datetime | None = None

    def forget_days(self) -> None:
        """Partitions may have been rolled back."""
        self._from = self._to = None

    def has_room_for(self, events: Sequence[StoredEvent], arrays: Sequence[StoredArray]) -> bool:
        """Say whether all days of some rows are known to have their partitions."""
        return (not events and not arrays) or self.has_days(
            *_days_of([occurred_ms_of(event) for event in events], arrays)
        )

    def has_days(self, low: datetime, high: datetime) -> bool:
        return self._from is not None and self._to is not None and self._from <= low and high <= self._to

    def ensure_days(self, connection: Connection, low: datetime, high: datetime) -> None:
        """Make the partitions between two midnights; what was made before is part of the span."""
        if self._from is not None and self._to is not None:
            low, high = min(low, self._from), max(high, self._to)
        connection.execute(_SQL["ensure_partitions"], {"from_at": low, "to_at": high})
        self._from, self._to = low, high


class Appending:
    """The rows of one batch; no other statement goes through the connection before ``end``.

    A context that ends what is open, with the failure of whoever failed.
    """

    def __init__(
        self, connection: Connection, book: Book, kept: Kept, *, recorded_ms: int, batch: int
    ) -> None:
        self._connection, self._book, self._kept = connection, book, kept
        self._recorded_ms, self._batch = recorded_ms, batch
        self._open = ExitStack()
        self._copy: Copy | None = None

    def __enter__(self) -> Appending:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._copy = None
        self._open.__exit__(kind, error, trace)

    def add(self, events: Sequence[StoredEvent], arrays: Sequence[StoredArray]) -> None:
        """Send some rows, sorted among themselves.

        Raises
        ------
        OverflowError, UnicodeEncodeError
            If a value does not fit its column; the database's own refusal may come later.
        """
        if not events and not arrays:
            return
        rows = rows_of(self._book, events)
        low, high = _days_of([row[1] for row in rows], arrays)
        if not self._kept.has_days(low, high):
            self.end()
            self._kept.ensure_days(self._connection, low, high)
        named = {"recorded_ms": self._recorded_ms, "batch": self._batch}
        packed = self._kept.copier.body(rows, **named)
        if arrays:
            packed += rows_bytes(self._book, arrays, **named)
        copy = self._begun()
        half = len(packed) // 2
        copy.write(packed[:half])
        pass_point("mid_copy", "events")
        copy.write(packed[half:])

    def end(self) -> None:
        """Wait until the database has taken everything that was sent.

        Raises
        ------
        psycopg.Error
            If it refuses any of it.
        """
        if self._copy is not None:
            self._copy.write(END)
            self._copy = None
            self._open.close()

    def _begun(self) -> Copy:
        if self._copy is None:
            cursor = self._open.enter_context(self._connection.cursor())
            self._copy = self._open.enter_context(cursor.copy(_SQL["copy_events"]))
            self._copy.write(HEADER)
        return self._copy


def _days_of(occurred_ms: list[int], arrays: Sequence[StoredArray]) -> tuple[datetime, datetime]:
    """Return the first and the last midnight before some rows, at least one."""
    for array in arrays:
        occurred_ms += array.span_ms()
    return _midnight(as_datetime(min(occurred_ms))), _midnight(as_datetime(max(occurred_ms)))


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
