"""What the watchdog looks at: a connection, both times and its bounds enter, suspicions leave; nothing is changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from alerts.watchdog.rules import Check, Suspicion
from kaimen.clock import Clock
from kaimen.database import Connection, queries
from kaimen.settings import WatchdogSettings

_SQL = queries("alerts.watchdog", "checks.sql")
#: Cases named one by one; the count of the rest is in the metrics of alerts.
CASES_MAX = 50
SERVICES = ("ingest", "alerts")
#: How long a happening may be the first that nobody took.
HAPPENING_PATIENCE_S = 120.0
CASE_PATIENCE_S = 90.0
NOBODY_ANSWERS_PATIENCE_S = 120.0


class Eyes:
    """One look at everything. ``now`` is community time, ``wall`` the machine's."""

    def __init__(self, connection: Connection, settings: WatchdogSettings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock

    def look(self, *, now: datetime, wall: datetime) -> list[Suspicion]:
        """Return everything that would be a fault if it stayed."""
        return [
            *self._cases(now),
            *self._nobody_answers(now),
            *self._outbox(now),
            *self._nobody_reached(now, wall),
            *self._services(now),
            *self._leases(wall),
            *self._database_clock(wall),
            *self._happenings(),
        ]

    def _rows(self, name: str, **values: Any) -> list[dict[str, Any]]:
        return self._connection.execute(_SQL[name], values).fetchall()

    def _wall_s(self, span: timedelta) -> float:
        """How long a span of community time is for a person; 0 while the clock is paused: nothing waits then."""
        seconds = self._clock.wall_seconds(round(span.total_seconds() * 1000))
        return seconds if isfinite(seconds) else 0.0

    def _cases(self, now: datetime) -> list[Suspicion]:
        return [
            Suspicion(
                Check.CASE_WITHOUT_FUTURE, f"case:{row['id']}", CASE_PATIENCE_S, str(row["next_action_at"]),
                {"number": row["number"]},
            )
            for row in self._rows("cases_without_future", now=now, limit=CASES_MAX)
        ]  # fmt: skip

    def _nobody_answers(self, now: datetime) -> list[Suspicion]:
        (row,) = self._rows("nobody_answers", now=now)
        if not row["count"]:
            return []
        detail = {"count": row["count"]}
        return [Suspicion(Check.NOBODY_ANSWERS, "", NOBODY_ANSWERS_PATIENCE_S, row["mark"], detail)]

    def _outbox(self, now: datetime) -> list[Suspicion]:
        found = []
        for row in self._rows("outbox_waiting", now=now):
            limit_s = (
                self._settings.watchdog_life_outbox_s
                if row["lane"] == 0
                else self._settings.watchdog_outbox_s
            )
            if self._wall_s(now - row["oldest"]) > limit_s:
                subject = f"{row['channel']}/{('life', 'routine', 'digest')[row['lane']]}"
                detail = {"count": row["count"]}
                found.append(
                    Suspicion(Check.OUTBOX_WAITS, subject, self._settings.watchdog_patience_s, "", detail)
                )
        return found

    def _nobody_reached(self, now: datetime, wall: datetime) -> list[Suspicion]:
        (row,) = self._rows("outgoing", now=now)
        limit = self._settings.watchdog_nobody_s
        if row["waits_since"] is None or self._wall_s(now - row["waits_since"]) < limit:
            return []
        worked = [at for at in (row["ok_at"], row["answered_at"]) if at is not None]
        if worked and wall - max(worked) < timedelta(seconds=limit):
            return []
        return [Suspicion(Check.NOBODY_REACHED, "", self._settings.watchdog_patience_s)]

    def _services(self, now: datetime) -> list[Suspicion]:
        rows = {row["service"]: row for row in self._rows("progress")}
        settings = self._settings
        paused = not isfinite(self._clock.wall_seconds(1_000))
        found = []
        for service in SERVICES:
            row = rows.get(service)
            # Every turn is suspected of being the last; the next one has another number.
            if row is None or not paused:
                turn = "never" if row is None else str(row["turn"])
                found.append(Suspicion(Check.SERVICE_STANDS, service, settings.watchdog_service_s, turn))
            if row is None:
                continue
            if self._wall_s(now - row["at"]) > settings.watchdog_behind_s:
                found.append(Suspicion(Check.SERVICE_BEHIND, service, settings.watchdog_patience_s))
            if self._wall_s(row["at"] - now) > settings.watchdog_clock_s:
                found.append(Suspicion(Check.CLOCK_WRONG, service, settings.watchdog_patience_s))
        return found

    def _leases(self, wall: datetime) -> list[Suspicion]:
        return [
            Suspicion(Check.LEASE_LOST, f"group:{row['group_no']}", self._settings.watchdog_patience_s)
            for row in self._rows("leases", wall=wall)
        ]

    def _database_clock(self, wall: datetime) -> list[Suspicion]:
        (row,) = self._rows("database_clock")
        differs_s = abs((row["at"] - wall).total_seconds())
        if differs_s <= self._settings.watchdog_clock_s:
            return []
        detail = {"seconds": round(differs_s)}
        return [Suspicion(Check.CLOCK_WRONG, "database", self._settings.watchdog_patience_s, "", detail)]

    def _happenings(self) -> list[Suspicion]:
        (waiting,) = self._rows("happenings_waiting")
        (aside,) = self._rows("happenings_set_aside")
        found = []
        if waiting["count"]:
            detail = {"count": waiting["count"]}
            mark = str(waiting["first"])
            found.append(Suspicion(Check.HAPPENING_WAITS, "", HAPPENING_PATIENCE_S, mark, detail))
        if aside["count"]:
            detail = {"count": aside["count"]}
            found.append(
                Suspicion(Check.HAPPENING_SET_ASIDE, "", self._settings.watchdog_patience_s, "", detail)
            )
        return found
