"""One connection on which the event loop itself asks: a statement enters; its one row leaves as bytes, or None.

For an answer that is compared as it comes: no thread, no pool, and no value is converted. Whatever is not as usual
(no connection, too many waiting, an error, nothing within the time) is None, and whoever asks goes the ordinary way,
which says what is wrong.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, cast

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

from kaimen.database import Connection, connect
from kaimen.logs import get_logger

#: How many may stand in line; a round takes well under a millisecond.
WAITING_MAX = 64
STATEMENT_TIMEOUT_MS = 2_000
ANSWERED_WITHIN_S = 3.0
RECONNECT_S, RECONNECT_MAX_S = 1.0, 30.0
_PLACE = re.compile(r"%\((\w+)\)s|%%")
log = get_logger()

Row = tuple[bytes | None, ...]


def prepared(name: str, sql: str, names: Sequence[str]) -> bytes:
    """Return what prepares ``sql``, whose values have names, as a statement whose values have the order of ``names``."""

    def place(found: re.Match[str]) -> str:
        return "%" if found[1] is None else f"${names.index(found[1]) + 1}"

    return f"PREPARE {name} AS {_PLACE.sub(place, sql)}".encode()


def words(connection: Connection, values: Sequence[object]) -> bytes:
    """Return values as they stand in a statement, with commas between them."""
    cursor = psycopg.ClientCursor(connection)
    return cursor.mogrify(", ".join(["%s"] * len(values)), values).encode()


class Lane:
    """Asks one statement after another; ``prepare`` is what every new connection is told first."""

    def __init__(self, url: str, prepare: Sequence[bytes]) -> None:
        self._url = url
        self._prepare = prepare
        self._connection: Connection | None = None
        self._socket = -1
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._readable: asyncio.Future[None] | None = None
        self._gone = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    async def keep_open(self) -> None:
        """Hold the connection for as long as the console runs; it comes back by itself."""
        delay_s = RECONNECT_S
        try:
            while True:
                try:
                    connection = await asyncio.to_thread(self._connect)
                except psycopg.Error as error:
                    log.warning("lists go the ordinary way", error=type(error).__name__, delay_s=delay_s)
                    await asyncio.sleep(delay_s)
                    delay_s = min(delay_s * 2, RECONNECT_MAX_S)
                    continue
                delay_s = RECONNECT_S
                self._gone.clear()
                self._connection, self._socket = connection, connection.pgconn.socket
                asyncio.get_running_loop().add_reader(self._socket, self._hear)
                await self._gone.wait()
                # Whatever ended it may end the next one too.
                await asyncio.sleep(RECONNECT_S)
        finally:
            self._end()

    async def ask(self, statement: bytes) -> Row | None:
        """Return the one row of a statement, each value as the server writes it; None: ask in another way."""
        if not self.is_open or self._waiting >= WAITING_MAX:
            return None
        self._waiting += 1
        try:
            async with self._turn:
                connection = self._connection
                if connection is None:
                    return None
                try:
                    async with asyncio.timeout(ANSWERED_WITHIN_S):
                        return await self._row(connection.pgconn, statement)
                except (psycopg.Error, TimeoutError) as error:
                    log.warning("a list went the ordinary way", error=type(error).__name__)
                    self._end()
                    return None
                except BaseException:
                    self._end()  # nobody waits any more for what was asked: it must not be the next one's answer
                    raise
        finally:
            self._waiting -= 1

    async def _row(self, pgconn: PGconn, statement: bytes) -> Row | None:
        pgconn.send_query(statement)
        if pgconn.flush():
            raise psycopg.OperationalError("the server takes nothing")
        result = None
        while True:
            while pgconn.is_busy():
                self._readable = asyncio.get_running_loop().create_future()
                await self._readable
            found = pgconn.get_result()
            if found is None:
                break
            result = found
        if result is None or result.status != ExecStatus.TUPLES_OK or result.ntuples != 1:
            return None
        return tuple(result.get_value(0, number) for number in range(result.nfields))

    def _hear(self) -> None:
        """Take in what came; a server that ends the connection is heard here too, whoever asks or not."""
        connection, waiter = self._connection, self._readable
        if connection is None:
            return
        error = None
        try:
            connection.pgconn.consume_input()
        except psycopg.Error as failed:
            error = failed
        if waiter is not None and not waiter.done():
            if error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(None)
        elif error is not None:
            self._end()

    def _connect(self) -> Connection:
        connection = connect(self._url, service="console lists", autocommit=True)
        try:
            connection.execute(
                "SELECT set_config('statement_timeout', %s, false),"
                " set_config('plan_cache_mode', 'force_generic_plan', false)",
                (str(STATEMENT_TIMEOUT_MS),),
            )
            for statement in self._prepare:
                connection.execute(cast(Any, statement))
        except BaseException:
            connection.close()
            raise
        connection.pgconn.nonblocking = 1
        return connection

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # The number that was given when it stood: a connection that was cut off has none any more.
            asyncio.get_running_loop().remove_reader(self._socket)
            connection.close()
        self._gone.set()
