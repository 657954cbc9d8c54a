"""What is told again and ended: open cases enter, renewed alerts and messages of an end leave.

Alertmanager forgets an alert that nobody renews, and may be restarted at any time, so all that stands is posted
again every minute, and what has ended for five minutes more. A receiving centre is told once that activity resumed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg

from alerts.channels import Channel, DeliveryError, Lane
from alerts.channels.alertmanager import AlertmanagerChannel, Episode
from alerts.sending.messages import case_link
from alerts.sending.outbox import write_single
from alerts.sending.recipients import Address, idempotency_key
from kaimen.clock import Clock, SystemClock, as_datetime
from kaimen.database import Connection, Pool, queries, transaction, why_away
from kaimen.logs import get_logger

log = get_logger()

_SQL = queries("alerts.sending", "outbox.sql")

EVERY_S = 60.0
#: So long after its end a case is still posted as resolved: a receiver that was restarting hears of it too.
RESOLVED_FOR = timedelta(minutes=5)
_STANDS_FOR = timedelta(minutes=15)
_ENDS_LOOK_BACK = timedelta(days=2)
_CASES_MAX = 2_000
#: Channels that are told of an end with a message of its own.
_TOLD_OF_ENDS = ("sia_dc09",)


@dataclass(slots=True)
class Mirror:
    """Keeps receivers that hold state in step with the cases."""

    pool: Pool
    clock: Clock
    channels: Mapping[str, Channel]
    public_url: str
    wall: Clock = field(default_factory=SystemClock)

    def renew(self) -> int:
        """Post what stands and what has just ended; return how many."""
        channel = self.channels.get("alertmanager")
        if not isinstance(channel, AlertmanagerChannel):
            return 0
        now, wall = as_datetime(self.clock.now_ms()), as_datetime(self.wall.now_ms())
        with transaction(self.pool) as connection:
            episodes = self._episodes(connection, now, wall)
        channel.post(episodes)
        return len(episodes)

    def _episodes(self, connection: Connection, now: datetime, wall: datetime) -> list[Episode]:
        args = {"channel": "alertmanager", "since": now - RESOLVED_FOR, "limit": _CASES_MAX}
        # Community time may run faster than the receiver's: an age of ours becomes an instant of its clock.
        return [
            Episode(
                number=row["number"],
                episode=str(row["id"]),
                lane=Lane(row["lane"] or 0),
                link=case_link(self.public_url, row["id"]),
                starts_at=wall - (now - row["opened_at"]),
                ends_at=wall + _STANDS_FOR if row["state"] != "closed" else wall - (now - row["closed_at"]),
            )
            for row in connection.execute(_SQL["mirrored_cases"], args)
        ]

    def end(self) -> int:
        """Plan the messages of cases that have ended; return how many."""
        now = as_datetime(self.clock.now_ms())
        planned = 0
        with transaction(self.pool) as connection:
            for name in _TOLD_OF_ENDS:
                if name in self.channels:
                    planned += self._end_of(connection, name, now)
        return planned

    def _end_of(self, connection: Connection, channel: str, now: datetime) -> int:
        rows = connection.execute(
            _SQL["unended_episodes"], {"channel": channel, "since": now - _ENDS_LOOK_BACK}
        ).fetchall()
        for row in rows:
            key = idempotency_key(
                case_id=row["id"], step="closed", person=row["person"], channel=channel, repetition=0
            )
            address = Address(row["address_id"] or 0, row["person"], channel)
            write_single(
                connection, step="closed", address=address, key=key, template="case_closed", now=now,
                case_id=row["id"],
            )  # fmt: skip
        return len(rows)

    def run(self, stop: threading.Event) -> None:
        """Renew and end until ``stop`` is set."""
        while not stop.wait(EVERY_S):
            try:
                self.end()
                self.renew()
            except psycopg.OperationalError as error:
                log.warning("the database is away", error=why_away(error))
            except DeliveryError as error:
                log.warning("a receiver did not take the alerts that stand", reason=str(error))
