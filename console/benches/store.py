"""``kaimen bench store``: a number of events enters; what designs of the event table cost, and how it answers, leaves.

Rows go in as the service's do: packed for a binary COPY, sorted by household, a transaction for every few thousand. The
limit is the same into a table without any index; the peers are other designs of the table, and the usual way of
keeping rows unique. What a row costs as more is stored, and the queries the product lives on while new events come in,
are measured on days of history (``store_history.py``).

The server is one of this run's own; ``KAIMEN_BENCH_DATABASE`` names another one by a superuser's address, so that the
tiers of TimescaleDB are measured with the same program. A database is made there and dropped again.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from console.benches.measuring import Peer, Report
from console.benches.peers import make_database, temporary_postgres
from console.benches.store_history import History, bench_history
from ingest.rows.copying import Copier, Row
from kaimen.clock import SystemClock
from kaimen.database import connect, queries
from kaimen.policy import DAY_MS
from kaimen.schema import migrate
from kaimen.tiers import find_tier

_SQL = queries("console.benches", "store.sql")
_COPY_EVENTS = queries("ingest")["copy_events"]
_UNIT = "rows/s"
_BATCH_ROWS = 5_000
_DESIGN_ROWS_MAX = 500_000
_HOMES = 20_000
#: Homes whose events share a row in the packed design.
_GRID_HOMES = 300
_HOUSEHOLD_YEAR_EVENTS = 30 * 365
_HOUSEHOLD_YEAR_BYTES = 10_000_000
_SERVER = "KAIMEN_BENCH_DATABASE"

Batches = list[tuple[list[Row], bytes]]


def bench_store(rows: int, report: Report) -> None:
    """Measure the designs on at most half a million rows, then growth and the queries up to ``rows``."""
    with _database(report) as url:
        if url is None:
            return
        migrate(url)
        with connect(url, service="bench") as asking:
            tier = find_tier(asking)
        report.say(f"tier: {tier.value}")
        with psycopg.connect(url, autocommit=True) as connection:
            _bench_designs(connection, min(rows, _DESIGN_ROWS_MAX), report)
            bench_history(History(connection, rows, tier.value), url, report)


@contextmanager
def _database(report: Report) -> Iterator[str | None]:
    """The address of an empty database: on the server that is named, or on one of this run's own."""
    named = os.environ.get(_SERVER)
    if not named:
        with temporary_postgres(report) as admin:
            if admin is None:
                yield None
                return
            yield make_database(admin)
        return
    name = f"kaimen_bench_{secrets.token_hex(6)}"
    with psycopg.connect(named, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(named)._replace(path=f"/{name}"))
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


# --- designs ---------------------------------------------------------------------------------------------------


def _bench_designs(connection: psycopg.Connection, count: int, report: Report) -> None:
    for statement in _SQL["make_tables"].split(";"):
        if statement.strip():
            connection.execute(statement)
    with report.preparing(f"{count:,} rows in batches of {_BATCH_ROWS:,}"):
        batches = _make_batches(count)
    rates: dict[str, float] = {}
    designs: list[tuple[str, Callable[[], None]]] = [
        ("bare", lambda: _copy_into(connection, "bare", batches)),
        ("service", lambda: _copy_into(connection, "service", batches)),
        ("sorted", lambda: _copy_into(connection, "sorted", batches)),
        ("uniquely", lambda: _insert_uniquely(connection, batches)),
        ("deferred", lambda: _copy_deferred(connection, batches)),
        ("pages", lambda: _insert_pages(connection, batches)),
    ]
    for name, work in designs:
        begun = time.perf_counter()
        work()
        rates[name] = count / (time.perf_counter() - begun)
        report.say(f"{name}: {rates[name]:,.0f} rows/s")
    peers = [
        Peer("one index on household and instant", rates["sorted"]),
        Peer("no index while hot, built when it closes", rates["deferred"]),
        Peer("pages of many homes", rates["pages"]),
        Peer("staging and ON CONFLICT with a unique key", rates["uniquely"]),
    ]
    name = f"rows into the table as the service has it (household and device indexed), {count:,} rows"
    report.add(name, rates["service"], _UNIT, rates["bare"], peers)
    stored = {table: _bytes_of(connection, table) / count for table in ("service", "bare", "pages")}
    years = {table: _HOUSEHOLD_YEAR_BYTES / (each * _HOUSEHOLD_YEAR_EVENTS) for table, each in stored.items()}
    report.add(
        "household-years of 30 events a day in 10 MB, indexes included", years["service"], "years", 1.0,
        [Peer("no index", years["bare"]), Peer("pages of many homes", years["pages"])],
        bytes_per_event=round(stored["service"], 1),
    )  # fmt: skip


def _make_batches(count: int) -> Batches:
    chance, copier = random.Random(20), Copier()  # noqa: S311
    begin_ms = SystemClock().now_ms() // DAY_MS * DAY_MS
    seqs = [0] * (_HOMES + 1)
    made: Batches = []
    for start in range(0, count, _BATCH_ROWS):
        rows = []
        for number in range(start, min(count, start + _BATCH_ROWS)):
            home = chance.randint(1, _HOMES)
            seqs[home] += 1
            at_ms = begin_ms + number
            state = "Open" if number % 2 else "Closed"
            words = ("ntp", "DoorPhysicalState", state, None, "card", f"c_{home}", None, "3-1-1201")
            rows.append(
                Row(home, at_ms, at_ms, home, home, seqs[home], at_ms, number, False, True, number, words)
            )
        made.append((rows, copier.encode(rows, recorded_ms=begin_ms, batch=1)))
    return made


def _copy(connection: psycopg.Connection, table: str, packed: bytes) -> None:
    with connection.cursor().copy(_COPY_EVENTS.replace("door_events", table, 1)) as copy:
        copy.write(packed)


def _copy_into(connection: psycopg.Connection, table: str, batches: Batches) -> None:
    for _, packed in batches:
        with connection.transaction():
            _copy(connection, table, packed)


def _insert_uniquely(connection: psycopg.Connection, batches: Batches) -> None:
    for _, packed in batches:
        with connection.transaction():
            connection.execute(_SQL["empty_staged"])
            _copy(connection, "staged", packed)
            connection.execute(_SQL["take_staged"])


def _copy_deferred(connection: psycopg.Connection, batches: Batches) -> None:
    """Write without an index, and build it when the table closes: the time of both."""
    _copy_into(connection, "deferred", batches)
    connection.execute(_SQL["index_deferred"])


def _insert_pages(connection: psycopg.Connection, batches: Batches) -> None:
    """Write one row for each grid of homes and batch; how they are packed is counted, too."""
    copier = Copier()
    at = datetime.now(UTC)
    for rows, _ in batches:
        grids: dict[int, list[Row]] = {}
        for row in rows:
            grids.setdefault((row.household_no or 0) // _GRID_HOMES, []).append(row)
        pages = [
            (grid, at, len(found), copier.encode(found, recorded_ms=0, batch=1))
            for grid, found in grids.items()
        ]
        with connection.transaction():
            connection.cursor().executemany(_SQL["insert_page"], pages)


def _bytes_of(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute(_SQL["sizes"], {"name": table}).fetchone()
    assert row is not None
    return int(row[0]) + int(row[1])
