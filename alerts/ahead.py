"""Questions to the database that are asked together: statements enter, their rows leave after one journey.

A turn over a hundred due cases asks each of them the same half dozen questions. One after another they cost a journey
each, and on a busy machine the journeys are what a turn waits for. What was asked ahead is answered from here; every
other question goes to the database as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, LiteralString, Protocol

import psycopg
from psycopg.rows import DictRow

from kaimen.database import Connection

Question = tuple[LiteralString, Mapping[str, Any] | None]


class Rows(Protocol):
    """What a question is answered with: a cursor, or rows that were fetched before."""

    def fetchone(self) -> DictRow | None: ...

    def fetchall(self) -> list[DictRow]: ...

    def __iter__(self) -> Iterator[DictRow]: ...


class Reads(Protocol):
    """Whoever can be asked: a connection, or an :class:`Ahead` in front of one."""

    @property
    def info(self) -> psycopg.ConnectionInfo: ...

    def execute(self, query: LiteralString, params: Mapping[str, Any] | None = None, /) -> Rows: ...


class _Fetched:
    def __init__(self, rows: list[DictRow]) -> None:
        self._rows = rows

    def fetchone(self) -> DictRow | None:
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[DictRow]:
        return self._rows

    def __iter__(self) -> Iterator[DictRow]:
        return iter(self._rows)


class Ahead:
    """A connection's answers to ``questions``, as of one moment of its transaction; each may be used again.

    Only for rows that nobody changes while they are used: those of cases whose lock is held, each asked once.
    """

    def __init__(self, connection: Connection, questions: Iterable[Question]) -> None:
        self._connection = connection
        asked = {_name(query, params): (query, params) for query, params in questions}
        with connection.pipeline():
            cursors = {name: connection.execute(query, params) for name, (query, params) in asked.items()}
        self._fetched = {name: cursor.fetchall() for name, cursor in cursors.items()}

    @property
    def info(self) -> psycopg.ConnectionInfo:
        return self._connection.info

    def execute(self, query: LiteralString, params: Mapping[str, Any] | None = None, /) -> Rows:
        rows = self._fetched.get(_name(query, params))
        return self._connection.execute(query, params) if rows is None else _Fetched(rows)


def _name(query: str, params: Mapping[str, Any] | None) -> tuple[str, str]:
    return query, repr(sorted((params or {}).items()))
