"""Homecomings and expected hours enter; messages to those who chose them leave, each once, with a link and no more.

Nothing here is a case: somebody who is not home by then is a notice to the family, never a rung of the ladder.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import psycopg

from alerts import metrics
from kaimen.clock import Clock, as_datetime
from kaimen.database import Connection, Pool, notify, queries, transaction, why_away
from kaimen.logs import get_logger

log = get_logger()
_SQL = queries("alerts.sending", "homecoming.sql")

#: News older than this is none: it is kept on the page and nobody is woken by it.
NEWS_FOR = timedelta(hours=2)
#: A missing one is told within so long after the hour; afterwards the hour of the next day counts.
LATE_FOR = timedelta(hours=3)
#: Who came home so long before the expected hour is the one expected.
EARLY_BY = timedelta(hours=6)
HANDLED_PER_TURN_MAX = 200
EVERY_S = 2.0
EVERY_SCALED_S = 0.2


class Verdict(StrEnum):
    """What is to be said of somebody expected home."""

    TELL = "tell"
    NOT_YET = "not_yet"
    NOT_TODAY = "not_today"
    TOLD = "told"
    HOME = "home"
    AWAY = "away"  # declared: nobody is expected
    TOO_LATE = "too_late"
    SET_AFTERWARDS = "set_afterwards"


@dataclass(frozen=True, slots=True)
class Expectation:
    """By when somebody is expected, on which ISO weekdays, and what is known; ``told_day`` as an ISO date."""

    by_time: time
    weekdays: Sequence[int]
    set_at: datetime
    zone: str
    state: str | None = None
    home_at: datetime | None = None
    told_day: str | None = None
    reason: str | None = None  # on what ``state`` rests


def decide_expected(expected: Expectation, now: datetime) -> tuple[Verdict, datetime]:
    """Say whether somebody has to be told that she is not home, and the instant she was expected by."""
    local = now.astimezone(ZoneInfo(expected.zone))
    by_at = datetime.combine(local.date(), expected.by_time, tzinfo=ZoneInfo(expected.zone))
    return _verdict(expected, now, local, by_at), by_at


def _verdict(expected: Expectation, now: datetime, local: datetime, by_at: datetime) -> Verdict:
    if local.isoweekday() not in expected.weekdays:
        return Verdict.NOT_TODAY
    if now < by_at:
        return Verdict.NOT_YET
    if expected.told_day == local.date().isoformat():
        return Verdict.TOLD
    if expected.set_at > by_at:
        return Verdict.SET_AFTERWARDS
    if expected.reason == "absence_declared":
        return Verdict.AWAY
    if expected.state == "in" or (expected.home_at is not None and expected.home_at >= by_at - EARLY_BY):
        return Verdict.HOME
    return Verdict.TELL if now - by_at <= LATE_FOR else Verdict.TOO_LATE


def is_news(at: datetime, now: datetime) -> bool:
    """Say whether a homecoming is recent enough to be told; a late event is kept and told to nobody."""
    return timedelta(0) <= now - at <= NEWS_FOR


def notice_key(fact: str, user_id: int) -> str:
    """Return the key of one notice to one person; opaque, so that it tells a receiver nothing."""
    return "msg_" + hashlib.sha256(f"{fact}\x1f{user_id}".encode()).hexdigest()[:40]


@dataclass(slots=True)
class HomeNotices:
    """Tells those who chose to be told; ``turn`` may be called by a test, ``run`` is the service."""

    pool: Pool
    clock: Clock
    on_messages: Callable[[], None] = lambda: None
    channels: tuple[str, ...] = ()

    def turn(self) -> int:
        """Look after what is due now in one transaction; return how many messages are new."""
        now = as_datetime(self.clock.now_ms())
        with transaction(self.pool) as connection:
            written = self._tell_homecomings(connection, now) + self._tell_late(connection, now)
            if written:
                notify(connection, "kaimen_outbox")
        if written:
            self.on_messages()
        return written

    def _tell_homecomings(self, connection: Connection, now: datetime) -> int:
        written = 0
        rows = connection.execute(_SQL["waiting_homecomings"], {"limit": HANDLED_PER_TURN_MAX}).fetchall()
        for row in rows:
            if is_news(row["at"], now):
                written += self._tell(connection, row["household_id"], f"home:{row['id']}", now, at=row["at"])
            connection.execute(_SQL["homecoming_done"], {"id": row["id"], "now": now})
        return written

    def _tell_late(self, connection: Connection, now: datetime) -> int:
        written = 0
        for row in connection.execute(_SQL["expectations"]).fetchall():
            expected = Expectation(
                row["by_time"], row["weekdays"], row["set_at"], row["zone"], row["state"], row["home_at"],
                None if row["told_day"] is None else row["told_day"].isoformat(), row["reason"],
            )  # fmt: skip
            if row["seen_until"] is None:
                continue
            # Nobody is missing at an hour up to which the doors were not looked at yet.
            verdict, by_at = decide_expected(expected, min(now, row["seen_until"]))
            if verdict is not Verdict.TELL:
                continue
            fact = connection.execute(
                _SQL["insert_late"],
                {
                    "household_id": row["household_id"],
                    "day": by_at.date(),
                    "by_at": by_at,
                    "now": now,
                    "known": row["state"] == "out",
                    "reason": row["reason"],
                },
            ).fetchone()
            if fact is not None:
                written += self._tell(
                    connection, row["household_id"], f"late:{fact['id']}", now, late=True, at=by_at
                )
        return written

    def _tell(
        self,
        connection: Connection,
        household_id: str,
        fact: str,
        now: datetime,
        *,
        at: datetime,
        late: bool = False,
    ) -> int:
        where = {"household_id": household_id, "late": late, "at": at}
        people = connection.execute(_SQL["wanting"], where).fetchall()
        written = 0
        for person in people:
            address_of = {"user_id": person["user_id"], "channels": list(self.channels), "now": now}
            for address in connection.execute(_SQL["notice_addresses"], address_of).fetchall():
                message = {
                    "step": "not_home" if late else "came_home",
                    "person": f"user:{person['user_id']}",
                    "key": notice_key(f"{fact}\x1f{address['channel']}", person["user_id"]),
                    "now": now,
                }
                written += connection.execute(_SQL["insert_notice"], {**message, **address}).rowcount
        return written

    def run(self, stop: threading.Event, *, scaled: bool) -> None:
        """Look again and again until ``stop`` is set."""
        while not stop.wait(EVERY_SCALED_S if scaled else EVERY_S):
            try:
                while self.turn() >= HANDLED_PER_TURN_MAX:
                    pass
            except psycopg.OperationalError as error:
                metrics.DATABASE_AWAY.inc()
                log.warning("the database is away", error=why_away(error))
