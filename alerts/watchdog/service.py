"""The watchdog service: settings enter; a process of its own looks at everything once a minute until SIGTERM.

It shares nothing with the services it watches but the database's address: its connection, its channel and its memory
(``watchdog_findings``) are its own. Without the database it goes on and says that.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb

from alerts.watchdog import metrics
from alerts.watchdog.channel import NotToldError, Told, Ways, open_ways
from alerts.watchdog.checks import Eyes
from alerts.watchdog.rules import Check, Finding, Suspicion, due_to_tell, fold, next_tell_at
from kaimen.clock import Clock, SystemClock, as_datetime, open_clock
from kaimen.database import Connection, connect, queries, why_away
from kaimen.logs import get_logger, set_up_logs
from kaimen.metrics import serve_metrics
from kaimen.settings import WatchdogSettings

log = get_logger()

_SQL = queries("alerts.watchdog", "checks.sql")
#: What a database says, or its driver, when it is not there.
_AWAY = (psycopg.OperationalError, psycopg.InterfaceError)
STATEMENT_WITHIN_MS = 15_000
CONNECT_EVERY_S = 1.0
ENDS_MAX = 100
#: Healthy is who turned within so many of its own turns.
_TURNS_MISSED_MAX = 3


@dataclass(slots=True)
class Watchdog:
    """One watchdog; ``turn`` may be called by a test, ``run`` is the service."""

    settings: WatchdogSettings
    clock: Clock
    ways: Ways
    wall: Clock = field(default_factory=SystemClock)
    pause: Callable[[float], object] = threading.Event().wait
    turned_ms: int | None = None
    _connection: Connection | None = None
    _away_since: datetime | None = None
    _away_told: int = 0
    _away_tell_at: datetime | None = None
    _told_at: datetime | None = None

    def turn(self) -> tuple[Finding, ...]:
        """Look once; return the faults that stand. Without a database the one fault is that."""
        wall = as_datetime(self.wall.now_ms())
        try:
            standing = self._turn_with_database(wall)
        except _AWAY as error:
            metrics.DATABASE_AWAY.inc()
            log.warning("the database is away", error=why_away(error))
            self._close()
            self._away_since = self._away_since or wall
            standing = self._wait_for_database()
        metrics.TURNS.inc()
        self.turned_ms = self.wall.now_ms()
        metrics.TURN_AT.set(self.turned_ms / 1000)
        counts = dict.fromkeys(Check, 0)
        for finding in standing:
            counts[finding.check] += 1
        for check, count in counts.items():
            metrics.FINDINGS.labels(check.value).set(count)
        return standing

    # --- the database is away ---------------------------------------------------------------------------------

    def _wait_for_database(self) -> tuple[Finding, ...]:
        """Give a restarting database its time; longer is a fault that is told without it."""
        deadline_ms = self.wall.now_ms() + round(self.settings.watchdog_database_s * 1000)
        while True:
            wall = as_datetime(self.wall.now_ms())
            try:
                return self._turn_with_database(wall)
            except _AWAY:
                self._close()
            if self.wall.now_ms() >= deadline_ms:
                return (self._tell_away(wall),)
            if self.pause(CONNECT_EVERY_S):
                return ()  # asked to stop

    def _tell_away(self, wall: datetime) -> Finding:
        assert self._away_since is not None
        finding = Finding(0, Check.DATABASE_AWAY, "database", "", self._away_since, wall, self._away_told)
        if (self._away_tell_at is None or self._away_tell_at <= wall) and self._tell(Told((finding,)), wall):
            self._away_told += 1
            self._away_tell_at = next_tell_at(self._away_told, wall)
        return finding

    def _note_return(self, connection: Connection, wall: datetime) -> None:
        """Write down that the database was away, however shortly; its end is told like any other's."""
        if self._away_since is None:
            return
        connection.execute(
            _SQL["insert_finding"],
            {
                "check": Check.DATABASE_AWAY.value, "subject": "database", "mark": "", "suspected_at": self._away_since,
                "found_at": self._away_since, "ended_at": wall,
                "detail": Jsonb({"seconds": round((wall - self._away_since).total_seconds())}),
            },
        )  # fmt: skip

    # --- with the database ------------------------------------------------------------------------------------

    def _turn_with_database(self, wall: datetime) -> tuple[Finding, ...]:
        connection = self._connected()
        with connection.transaction():
            self._note_return(connection, wall)
            seen = Eyes(connection, self.settings, self.clock).look(
                now=as_datetime(self.clock.now_ms()), wall=wall
            )
            self._fold(connection, seen, wall)
        self._away_since, self._away_told, self._away_tell_at = None, 0, None
        standing = tuple(row for row in self._load(connection) if row.found_at is not None)
        self._tell_due(connection, standing, wall)
        self._beat(connection, standing, wall)
        return standing

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.settings.database_url, service="watchdog", autocommit=True)
            self._connection.execute(
                "SELECT set_config('statement_timeout', %s, false)", (str(STATEMENT_WITHIN_MS),)
            )
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Give the connection back."""
        self._close()

    def _load(self, connection: Connection) -> list[Finding]:
        return [
            Finding(
                row["id"], Check(row["check_name"]), row["subject"], row["mark"], row["suspected_at"],
                row["found_at"], row["told_count"], row["tell_at"], row["detail"],
            )
            for row in connection.execute(_SQL["open_findings"]).fetchall()
        ]  # fmt: skip

    def _fold(self, connection: Connection, seen: list[Suspicion], wall: datetime) -> None:
        changes = fold(self._load(connection), seen, wall)
        for name, ids in (("ended", changes.ended), ("forget", changes.forgotten), ("found", changes.found)):
            if ids:
                connection.execute(_SQL[name], {"ids": list(ids), "wall": wall})
        for row_id, item in changes.kept:
            connection.execute(_SQL["keep_finding"], {"id": row_id, "detail": Jsonb(dict(item.detail))})
        for item in changes.new:
            connection.execute(
                _SQL["insert_finding"],
                {
                    "check": item.check.value, "subject": item.subject, "mark": item.mark, "suspected_at": wall,
                    "found_at": wall if item.patience_s <= 0 else None, "ended_at": None,
                    "detail": Jsonb(dict(item.detail)),
                },
            )  # fmt: skip

    # --- telling ----------------------------------------------------------------------------------------------

    def _tell_due(self, connection: Connection, standing: tuple[Finding, ...], wall: datetime) -> None:
        due = due_to_tell(standing, wall)
        rows = connection.execute(_SQL["untold_ends"], {"limit": ENDS_MAX}).fetchall()
        ended = tuple(
            Finding(row["id"], Check(row["check_name"]), row["subject"], "", row["suspected_at"], detail=row["detail"])
            for row in rows
        )  # fmt: skip
        if not due and not ended:
            return
        if not self._tell(Told(due, ended), wall):
            return
        with connection.transaction():
            for finding in due:
                tell_at = next_tell_at(finding.told_count + 1, wall)
                connection.execute(_SQL["told"], {"id": finding.id, "wall": wall, "tell_at": tell_at})
            connection.execute(_SQL["end_told"], {"ids": [row.id for row in ended], "wall": wall})

    def _tell(self, told: Told, wall: datetime) -> bool:
        """Say it in the log always, and on the own channel where there is one."""
        for finding in told.findings:
            log.error("watchdog found", kind=finding.check.value, name=finding.subject)
        for finding in told.ended:
            log.warning("watchdog: over", kind=finding.check.value, name=finding.subject)
        if not self.ways.has_channel:
            metrics.TOLD.labels("no_channel").inc()
            return True  # the page, the log and the metrics are all there is
        try:
            self.ways.tell(told, wall)
        except NotToldError as error:
            metrics.TOLD.labels("failed").inc()
            log.error("the watchdog's channel failed", error=str(error))
            return False
        metrics.TOLD.labels("taken").inc()
        self._told_at = wall
        return True

    def _beat(self, connection: Connection, standing: tuple[Finding, ...], wall: datetime) -> None:
        """Note the turn; a turn without a fault is told to the far switch, whose silence raises the alarm."""
        pinged = None
        if self.ways.ping is not None and not standing:
            reached = self.ways.say_alive()
            metrics.PINGS.labels("taken" if reached else "failed").inc()
            pinged = wall if reached else None
        connection.execute(
            _SQL["beat"],
            {
                "wall": wall, "pinged_at": pinged, "told_at": self._told_at,
                "has_channel": self.ways.has_channel, "has_ping": self.ways.ping is not None,
            },
        )  # fmt: skip

    def run(self, stop: threading.Event) -> None:
        """Turn until ``stop`` is set."""
        while not stop.is_set():
            self.turn()
            stop.wait(self.settings.watchdog_turn_s)
        self.close()


def main(settings: WatchdogSettings) -> int:
    """Run the watchdog; return its exit status."""
    set_up_logs("watchdog", level=settings.log_level, form=settings.log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    watchdog = Watchdog(settings, open_clock(settings.clock), open_ways(settings), pause=stop.wait)
    wall = SystemClock()
    started = as_datetime(wall.now_ms())

    def healthy() -> tuple[bool, str]:
        turned = started if watchdog.turned_ms is None else as_datetime(watchdog.turned_ms)
        age = as_datetime(wall.now_ms()) - turned
        bound = timedelta(
            seconds=_TURNS_MISSED_MAX * settings.watchdog_turn_s + settings.watchdog_database_s + 30
        )
        return age < bound, f"last turn {round(age.total_seconds())} s ago"

    server = serve_metrics(settings.metrics_host, settings.metrics_port, healthy)
    log.info("watchdog runs")
    try:
        watchdog.run(stop)
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()
    log.info("watchdog stopped")
    return 0
