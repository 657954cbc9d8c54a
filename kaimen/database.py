"""Database access every service shares: a URL enters; pools, transactions and notifications leave.

No SQL that decides reads the database's clock; ``now`` is always a parameter.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, LiteralString, cast
from weakref import WeakKeyDictionary

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

Connection = psycopg.Connection[DictRow]
Pool = ConnectionPool[Connection]

_REFUSED = re.compile(r"FATAL:\s+([^\n]{1,200})")
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


#: A server that is cut off is noticed within half a minute, whatever the operating system's own patience.
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


def connection_settings(url: str) -> dict[str, int | str]:
    """Return what every connection has that the URL does not say itself.

    Of several hosts only the one that takes writes is wanted: after a failover that is another one.
    """
    given = conninfo_to_dict(url)
    settings: dict[str, int | str] = {key: value for key, value in _PATIENCE.items() if key not in given}
    several = "," in str(given.get("host") or given.get("hostaddr") or "")
    if several and "target_session_attrs" not in given:
        settings["target_session_attrs"] = "read-write"
    return settings


def open_pool(url: str, *, service: str, size_max: int = 8, trusted_s: float = 0.0) -> Pool:
    """Open a pool of connections that return rows as dicts and think in UTC.

    A connection is asked whether it still stands before it is handed out, but not again within ``trusted_s`` of its
    last answer: whoever answers many short requests spends a round trip less on each.

    Raises
    ------
    psycopg_pool.PoolTimeout
        If the database does not answer within 30 s of wall time.
    """
    pool: Pool = ConnectionPool(
        url,
        min_size=1,
        max_size=size_max,
        open=False,
        connection_class=Connection,
        kwargs={
            "row_factory": dict_row,
            "application_name": f"kaimen {service}",
            "options": "-c timezone=UTC",
            **connection_settings(url),
        },
        check=_check_again_after(trusted_s) if trusted_s else ConnectionPool.check_connection,
        name=service,
    )
    pool.open(wait=True, timeout=30)
    return pool


def connect(url: str, *, service: str, autocommit: bool = False) -> Connection:
    """Open one connection of its own, for listeners and long writers."""
    return cast(
        Connection,
        psycopg.connect(
            url,
            autocommit=autocommit,
            row_factory=cast(Any, dict_row),
            application_name=f"kaimen {service}",
            options="-c timezone=UTC",
            **cast(Any, connection_settings(url)),
        ),
    )


def why_away(error: BaseException) -> str:
    """Return what the server itself said when it refused a connection ("sorry, too many clients already"); else the error's name.

    Never an address: only what stands behind the server's own FATAL.
    """
    said = _REFUSED.findall(str(error))
    return said[-1].strip() if said else type(error).__name__


def _check_again_after(trusted_s: float) -> Callable[[Connection], None]:
    """Make the check of a pool whose connections are trusted for some seconds after they answered."""
    answered_s: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()

    def check(connection: Connection) -> None:
        now_s = time.monotonic()
        if now_s - answered_s.get(connection, -trusted_s) < trusted_s:
            return
        ConnectionPool.check_connection(connection)
        answered_s[connection] = now_s

    return check


@contextmanager
def single(pool: Pool) -> Iterator[Connection]:
    """A pooled connection on which every statement is a transaction of its own: for one that needs no other beside it.

    It saves the round trips that begin and end a transaction; one that stands already takes the statement in.
    """
    with pool.connection() as connection:
        if connection.info.transaction_status is not TransactionStatus.IDLE:
            yield connection
            return
        connection.autocommit = True
        try:
            yield connection
        finally:
            if not connection.closed:
                connection.autocommit = False


@contextmanager
def transaction(pool: Pool) -> Iterator[Connection]:
    """One transaction on a pooled connection: committed at the end, rolled back on an exception."""
    with pool.connection() as connection, connection.transaction():
        yield connection


@cache
def queries(package: str, name: str = "queries.sql") -> dict[str, LiteralString]:
    """Read named statements (``-- name: word``) from a package's ``.sql`` file."""
    text = files(package).joinpath(name).read_text(encoding="utf-8")
    parts = _NAME.split(text)
    return {
        key: cast(LiteralString, body.strip()) for key, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def notify(connection: Connection, channel: str, payload: str = "") -> None:
    """Wake the listeners of ``channel`` when this transaction commits; the payload is never personal data."""
    connection.execute("SELECT pg_notify(%s, %s)", (channel, payload))
