"""``kaimen bench store``: a number of events enters; what designs of the event table cost, and how it answers, leaves.

Rows go in as the service's do: packed for a binary COPY, sorted by household, a transaction for every few thousand. The
limit is the same into a table without any index; the peers are other designs of the table, and the usual way of
keeping rows unique. The queries the product lives on run on days of history, while new events come in.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import psycopg

from console.benches.measuring import Peer, Report
from console.benches.peers import temporary_postgres
from ingest.rows.copying import Copier, Row
from kaimen.clock import SystemClock
from kaimen.database import queries
from kaimen.policy import DAY_MS
from kaimen.schema import migrate

_SQL = queries("console.benches", "store.sql")
_COPY_EVENTS = queries("ingest")["copy_events"]
_UNIT = "rows/s"
_BATCH_ROWS = 5_000
_DESIGN_ROWS_MAX = 500_000
_HOMES = 20_000
#: Homes whose events share a row in the packed design.
_GRID_HOMES = 300
_EVENTS_A_DAY, _DAYS = 20, 30
_HOUSEHOLD_YEAR_EVENTS = 30 * 365
_HOUSEHOLD_YEAR_BYTES = 10_000_000
_QUERY_LIMIT_S = 0.010
_QUERIES, _QUERIES_SMALL, _SMALL = 300, 30, 100_000
_LIVE_ROWS, _LIVE_EVERY_S = 50, 0.05
_BUILDING_HOMES, _SITE_DOORS = 500, 20

Batches = list[tuple[list[Row], bytes]]


def bench_store(rows: int, report: Report) -> None:
    """Measure the designs on at most half a million rows, then the queries on ``rows``."""
    with temporary_postgres(report) as admin:
        if admin is None:
            return
        admin.execute("CREATE DATABASE bench")
        info = admin.info
        url = f"postgresql://{info.user}:{quote(info.password)}@{info.host}:{info.port}/bench"
        migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            _bench_designs(connection, min(rows, _DESIGN_ROWS_MAX), report)
            _bench_queries(connection, url, rows, report)


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


# --- queries ---------------------------------------------------------------------------------------------------


def _bench_queries(connection: psycopg.Connection, url: str, rows: int, report: Report) -> None:
    homes = max(_SITE_DOORS, rows // (_EVENTS_A_DAY * _DAYS))
    until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    first = until - timedelta(days=_DAYS)
    with report.preparing(f"{homes * _EVENTS_A_DAY * _DAYS:,} events of {homes:,} homes over {_DAYS} days"):
        connection.execute("SELECT ensure_event_partitions(%s, %s)", (first, until))
        for number in range(_DAYS):
            day = first + timedelta(days=number)
            connection.execute(_SQL["load_history"], {"homes": homes, "a_day": _EVENTS_A_DAY, "day": day})
        connection.execute("VACUUM ANALYZE door_events")
    stop = threading.Event()
    writer = threading.Thread(target=_write_live, args=(url, homes, stop), daemon=True)
    writer.start()
    try:
        count = _QUERIES if rows >= _SMALL else _QUERIES_SMALL
        floor = Peer(
            "one row by its key, p99",
            _p99_of(connection, "SELECT no FROM households WHERE no = 1", {}, count, homes),
        )
        for name, words in (
            ("household_30_days", "one household, 30 days"),
            ("door_between", "one door between two instants"),
            ("credential_30_days", f"one credential at {_SITE_DOORS} doors of a site, 30 days"),
            ("who_passed", "who passed a door in a day"),
            ("building_3_hours", f"{_BUILDING_HOMES} homes of a building, 3 hours"),
        ):
            p99 = _p99_of(connection, _SQL[name], {"until": until}, count, homes)
            report.say(f"{words}: p99 {p99 * 1000:.1f} ms")
            name = f"{words}, p99, {homes * _EVENTS_A_DAY * _DAYS:,} rows, 1,000 events/s coming in"
            report.add_span(name, p99, _QUERY_LIMIT_S, [floor])
    finally:
        stop.set()
        writer.join()


def _p99_of(
    connection: psycopg.Connection, statement: Any, given: dict[str, Any], count: int, homes: int
) -> float:
    chance = random.Random(7)  # noqa: S311
    spans = []
    for _ in range(count):
        home = chance.randint(1, homes)
        first = chance.randint(1, max(1, homes - _BUILDING_HOMES))
        size = _SITE_DOORS if "credential = " in statement else _BUILDING_HOMES
        args = {
            **given, "home": home, "credential": f"c_{home}",
            "doors": sorted({home, *range(first, first + size)}),
        }  # fmt: skip
        begun = time.perf_counter()
        connection.execute(statement, args).fetchall()
        spans.append(time.perf_counter() - begun)
    return sorted(spans)[min(len(spans) - 1, int(len(spans) * 0.99))]


def _write_live(url: str, homes: int, stop: threading.Event) -> None:
    """Store a thousand events a second as the service does, into today's partition."""
    copier, chance = Copier(), random.Random(os.getpid())  # noqa: S311
    with psycopg.connect(url, autocommit=True) as connection:
        number = 0
        while not stop.wait(_LIVE_EVERY_S):
            now_ms = SystemClock().now_ms()
            words = ("ntp", "DoorPhysicalState", "Open", None, "card", "c_live", None, "3-1-1201")
            rows = []
            for _ in range(_LIVE_ROWS):
                number += 1
                home = chance.randint(1, homes)
                rows.append(
                    Row(home, now_ms, now_ms, home, 9, number, now_ms, number, False, True, None, words)
                )
            _copy(connection, "door_events", copier.encode(rows, recorded_ms=now_ms, batch=2))
