"""Whether this program may still write: the fence it was made with enters, a refusal leaves where the database moved on.

A fencing migration (``kaimen/schema.py``) changes what rows mean. A worker of the version before, still running, would
go on writing rows that mean something else; so every writing transaction of ingest and alerts begins with
``enter_schema``, and a program that does not know the newest fence ends, to be started anew as the version that does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from kaimen.database import Connection
from kaimen.schema import list_migrations

_REFUSED = "KM001"

#: Read when the process starts: files that are replaced under it do not make it newer than it is.
KNOWN_FENCE = max((step.version for step in list_migrations() if step.is_fencing), default=0)


class SchemaFencedError(RuntimeError):
    """The database was migrated past, or not yet to, what this program knows: nothing may be written."""


@contextmanager
def behind_the_fence() -> Iterator[None]:
    """Turn the database's refusal of ``enter_schema`` into ``SchemaFencedError``, which nobody retries."""
    try:
        yield
    except psycopg.DatabaseError as error:
        if error.sqlstate != _REFUSED:
            raise
        raise SchemaFencedError(
            f"{error.diag.message_primary}: upgrade the program and start it again, or run kaimen db migrate"
        ) from error


def enter(connection: Connection, *, known: int | None = None) -> None:
    """Begin a writing transaction; until its end no fencing migration is made.

    Raises
    ------
    SchemaFencedError
        If the database has another fence than ``known`` (default: this program's).
    """
    with behind_the_fence():
        connection.execute("SELECT enter_schema(%s)", (KNOWN_FENCE if known is None else known,))
