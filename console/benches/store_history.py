"""Days of history enter; what a further event costs as they grow, and how the queries answer meanwhile, leaves.

An event goes into the partition of its day, or into the day's piece of some hours where days hold much, whose indexes
are what it has to be put into; the days before stand still. So what is asked is whether a row costs more when the day,
and all before it, holds more. For the last point today is made and filled as it would be of a hundred million events in
thirty days; the other twenty-nine days stay as they are.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from console.benches.measuring import Peer, Report
from console.benches.processes import cpu_seconds
from ingest.rows.copying import Copier, Row
from kaimen.clock import SystemClock, as_ms
from kaimen.database import queries
from kaimen.tiers import PACKED_AFTER, Tier

_SQL = queries("console.benches", "store.sql")
_COPY_EVENTS = queries("ingest")["copy_events"]
_EVENTS_A_DAY, _DAYS = 20, 30
_QUERY_LIMIT_S = 0.010
#: How a question is planned: over thirty days once for all homes, as the database's own functions are; over hours anew.
_ONCE, _ANEW = "force_generic_plan", "auto"
_QUERIES, _QUERIES_SMALL, _SMALL = 1_000, 30, 100_000
_LIVE_ROWS, _LIVE_EVERY_S = 50, 0.05
_BUILDING_HOMES, _SITE_DOORS = 500, 20
_GROWTH_BATCH, _GROWTH_ROWS = 5_000, 300_000
#: Behind all that history holds of today, and how many of the rows that are measured share a millisecond.
_LAST_MINUTES_MS, _ROWS_A_MS = 85_700_000, 4
#: What a day holds of so many events over all days; the last is far above what most runs store.
_GROWTH_FIRST, _GROWTH_LAST = 1_000_000, 100_000_000
#: Keeps one boot for each kind of rows, so that no position is there twice.
_DAY_BOOT, _LIVE_BOOT, _GROWTH_BOOT = 7, 9, 11


class History:
    """Thirty days of homes that are filled a day at a time; ``rows`` is how many events they hold in the end."""

    def __init__(self, connection: psycopg.Connection, rows: int, tier: str) -> None:
        self.connection, self.tier = connection, tier
        self.homes = max(_SITE_DOORS, rows // (_EVENTS_A_DAY * _DAYS))
        self.until = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        # A day is sorted in memory, not in files beside the ones that are measured.
        connection.execute("SET work_mem = '256MB'")
        self.first = self.until - timedelta(days=_DAYS)
        self.today = self.until - timedelta(days=1)
        self.stored = 0
        self._seq = 0
        connection.execute(_SQL["make_bare_again"])

    @property
    def whole(self) -> int:
        """How many events thirty full days hold."""
        return self.homes * _EVENTS_A_DAY * _DAYS

    def load_day(self, number: int) -> None:
        """Fill one day, the first is 0; it is packed as the service would have packed it by today, if it would."""
        day = self.first + timedelta(days=number)
        self._make_day(day)
        if day + timedelta(days=1) + PACKED_AFTER > self.today:
            self._load_as_it_came(day, _EVENTS_A_DAY, _DAY_BOOT)
            return
        given = {"homes": self.homes, "a_day": _EVENTS_A_DAY, "day": day}
        self.stored += self.connection.execute(_SQL["load_history"], given).rowcount
        self.connection.execute(_SQL["pack_until"], {"until": day + timedelta(days=1)})

    def begin_today(self) -> int:
        """Make today as ingest makes it after the days before it; return of how many pieces it is."""
        self._make_day(self.today)
        row = self.connection.execute(_SQL["pieces"], {"day": self.today}).fetchone()
        assert row is not None
        return int(row[0])

    def begin_tomorrow(self) -> None:
        """Make the day after, for what comes in while the run goes on over midnight."""
        self._make_day(self.until)

    def drop_today(self) -> None:
        """Forget today, which days before it are made behind."""
        if self.tier == Tier.PLAIN:
            part = sql.Identifier(f"door_events_{self.today:%Y%m%d}")
            self.connection.execute(sql.SQL("DROP TABLE {}").format(part))
        else:
            since = self.connection.execute(_SQL["chunks_of_day"], {"day": self.today}).fetchone()
            assert since is not None
            self.connection.execute(_SQL["drop_chunks"], {"since": since[0]})
            self.connection.execute(_SQL["forget_day"], {"day": self.today})

    def make_today_for(self, stored: int) -> None:
        """Make today anew as it would be made where thirty days hold so many events."""
        self.drop_today()
        given = {"day": self.today, "rows": stored, "held": self.whole}
        self.connection.execute(_SQL["make_large_day" if self.tier == Tier.PLAIN else "fit_chunks"], given)

    def load_today(self, a_home: int) -> None:
        """Fill today in the order of time, which is how events came."""
        self._load_as_it_came(self.today, a_home, _DAY_BOOT)

    def _make_day(self, day: datetime) -> None:
        self.connection.execute(_SQL["make_day"], {"day": day})

    def _load_as_it_came(self, day: datetime, a_home: int, boot: int) -> None:
        given = {"homes": self.homes, "a_day": a_home, "day": day, "boot": boot}
        self.stored += self.connection.execute(_SQL["load_as_it_came"], given).rowcount

    def pack(self, rows: int) -> list[bytes]:
        """Return batches of today's rows as the service packs them, by household in no order of time."""
        chance, copier = random.Random(self._seq), Copier()  # noqa: S311
        at_ms = as_ms(self.today)
        batches = []
        for start in range(0, rows, _GROWTH_BATCH):
            count = min(_GROWTH_BATCH, rows - start)
            found = []
            for _ in range(count):
                self._seq += 1
                home = chance.randint(1, self.homes)
                words = ("ntp", "DoorPhysicalState", "Open", None, "card", f"c_{home}", None, "3-1-1201")
                # As they come: behind everything its home has said, and of another home than the one before.
                when_ms = at_ms + _LAST_MINUTES_MS + self._seq // _ROWS_A_MS
                found.append(
                    Row(home, when_ms, when_ms, home, _GROWTH_BOOT, self._seq, when_ms, self._seq, False, True, None, words)
                )  # fmt: skip
            batches.append(copier.encode(found, recorded_ms=at_ms, batch=3))
        return batches


def bench_history(history: History, url: str, report: Report) -> None:
    """Measure what a row costs at a million events, at all, and in the day of a hundred; at all, ask the queries."""
    costs, first = [], _first_days(history)
    with report.preparing(f"{first} of {_DAYS} days of {history.homes:,} homes"):
        for number in range(first):
            history.load_day(number)
    pieces = [history.begin_today()]
    costs.append(_cost(history, history.stored, report))
    history.drop_today()
    with report.preparing(f"{history.whole:,} events of {history.homes:,} homes over {_DAYS} days"):
        for number in range(first, _DAYS - 1):
            history.load_day(number)
        pieces.append(history.begin_today())
        history.load_today(_EVENTS_A_DAY)
        history.connection.execute("VACUUM ANALYZE door_events")
        history.connection.execute("RESET work_mem")
    costs.append(_cost(history, history.whole, report))
    _bench_queries(history, url, report)
    a_home = _GROWTH_LAST // _DAYS // history.homes
    if history.whole >= _GROWTH_FIRST and a_home > _EVENTS_A_DAY:
        words = f"{a_home * history.homes:,} rows in today, as of {_GROWTH_LAST:,} events in {_DAYS} days"
        with report.preparing(words):
            history.make_today_for(_GROWTH_LAST)
            pieces.append(history.begin_today())
            history.load_today(a_home)
        costs.append(_cost(history, _GROWTH_LAST, report))
    least = costs[0]
    for (stored, rate, bare, cpu_us), day_pieces in zip(costs, pieces, strict=True):
        words = f"rows/s into the day that is written to, as of {stored:,} events in {_DAYS} days ({history.tier})"
        report.add(
            words,
            rate,
            "rows/s",
            bare,
            [Peer(f"the same at {least[0]:,}", least[1])],
            database_us_a_row=cpu_us,
            day_pieces=day_pieces,
        )


def _first_days(history: History) -> int:
    """Return after how many days the first million is there; at least one, and never all."""
    return min(_DAYS - 1, max(1, _GROWTH_FIRST // (history.homes * _EVENTS_A_DAY)))


def _cost(history: History, stored: int, report: Report) -> tuple[int, float, float, float]:
    """Return rows a second into today and into a table without an index, and what the former takes of a processor."""
    connection = history.connection
    rows = min(_GROWTH_ROWS, max(_GROWTH_BATCH, history.whole // _DAYS))
    batches = history.pack(rows)
    # The first change of a page after a checkpoint writes all of it: every point begins with the same debt.
    connection.execute("CHECKPOINT")
    _copy_all(connection, "bare", batches[:1])
    bare = rows / _copy_all(connection, "bare", batches)
    before = cpu_seconds(connection.info.backend_pid)
    took = _copy_all(connection, "door_events", batches)
    cpu_us = (cpu_seconds(connection.info.backend_pid) - before) / rows * 1e6
    connection.execute("TRUNCATE bare")
    report.say(f"as of {stored:,} events: {rows / took:,.0f} rows/s, {cpu_us:.1f} µs of the database a row")
    return stored, rows / took, bare, round(cpu_us, 1)


def _copy_all(connection: psycopg.Connection, table: str, batches: list[bytes]) -> float:
    begun = time.perf_counter()
    for packed in batches:
        with connection.transaction():
            _copy(connection, table, packed)
    return time.perf_counter() - begun


def _copy(connection: psycopg.Connection, table: str, packed: bytes) -> None:
    with connection.cursor().copy(_COPY_EVENTS.replace("door_events", table, 1)) as copy:
        copy.write(packed)


# --- queries ---------------------------------------------------------------------------------------------------


def _bench_queries(history: History, url: str, report: Report) -> None:
    """Ask what the product lives on while a thousand events a second come in."""
    connection = history.connection
    count = _QUERIES if history.whole >= _SMALL else _QUERIES_SMALL
    history.begin_tomorrow()
    with _live_load(url, history.homes) as written:
        key = _Asked(connection, "SELECT no FROM households WHERE no = 1", {}, count, history.homes)
        floor = Peer("one row by its key, p99", key.share(0.99))
        for name, words, mode in (
            ("household_30_days", "one household, 30 days", _ONCE),
            ("history_page", "one household, 30 days, as its page asks", _ANEW),
            ("door_between", "one door between two instants", _ANEW),
            ("credential_30_days", f"one credential at {_SITE_DOORS} doors of a site, 30 days", _ONCE),
            ("who_passed", "who passed a door in a day", _ANEW),
            ("building_3_hours", f"{_BUILDING_HOMES} homes of a building, 3 hours", _ANEW),
        ):
            connection.execute("SELECT set_config('plan_cache_mode', %s, false)", (mode,))
            asked = _Asked(connection, _SQL[name], _spans(history.until), count, history.homes)
            cpu_ms = round(asked.cpu_s * 1000, 2)
            report.say(
                f"{words}: p50 {asked.share(0.5) * 1000:.1f} ms, p99 {asked.share(0.99) * 1000:.1f} ms,"
                f" {cpu_ms} ms of the database"
            )
            name = f"{words}, p99, {history.stored:,} rows, 1,000 events/s coming in ({history.tier})"
            report.add_span(
                name, asked.share(0.99), _QUERY_LIMIT_S, [floor],
                median_s=round(asked.share(0.5), 5), database_ms=cpu_ms,
            )  # fmt: skip
    report.say(f"{written[0]:,} events came in meanwhile")


def _spans(until: datetime) -> dict[str, datetime]:
    """The bounds a question is asked with: as values, by which the days are told apart before anything is planned."""
    return {
        "until": until, "month": until - timedelta(days=30), "day": until - timedelta(days=1),
        "hours6": until - timedelta(hours=6), "hours3": until - timedelta(hours=3),
    }  # fmt: skip


class _Asked:
    """One query asked many times, each time of another home."""

    def __init__(
        self, connection: psycopg.Connection, statement: Any, given: dict[str, Any], count: int, homes: int
    ) -> None:
        chance = random.Random(7)  # noqa: S311
        spans = []
        before = cpu_seconds(connection.info.backend_pid)
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
        self._spans = sorted(spans)
        #: What one question takes of a processor in the database, in the mean.
        self.cpu_s = (cpu_seconds(connection.info.backend_pid) - before) / count

    def share(self, of: float) -> float:
        return self._spans[min(len(self._spans) - 1, int(len(self._spans) * of))]


@contextmanager
def _live_load(url: str, homes: int) -> Iterator[list[int]]:
    stop, written = threading.Event(), [0]
    writer = threading.Thread(target=_write_live, args=(url, homes, stop, written), daemon=True)
    writer.start()
    try:
        yield written
    finally:
        stop.set()
        writer.join()


def _write_live(url: str, homes: int, stop: threading.Event, written: list[int]) -> None:
    """Store a thousand events a second as the service does, into today's partition."""
    copier, chance = Copier(), random.Random(os.getpid())  # noqa: S311
    begun = time.monotonic()
    with psycopg.connect(url, autocommit=True) as connection:
        while not stop.wait(max(0.0, begun + written[0] / _LIVE_ROWS * _LIVE_EVERY_S - time.monotonic())):
            now_ms = SystemClock().now_ms()
            words = ("ntp", "DoorPhysicalState", "Open", None, "card", "c_live", None, "3-1-1201")
            rows = []
            for _ in range(_LIVE_ROWS):
                written[0] += 1
                home = chance.randint(1, homes)
                rows.append(
                    Row(home, now_ms, now_ms, home, _LIVE_BOOT, written[0], now_ms, written[0], False, True, None, words)
                )  # fmt: skip
            _copy(connection, "door_events", copier.encode(rows, recorded_ms=now_ms, batch=2))
