"""The loop that sends: outbox rows enter, one attempt at a time goes to a channel, delivery rows leave.

A row is leased, sent, and then its result written. Killed between the last two, the lease runs out in wall time and
the row is sent again with the same key: nothing is lost, and at most one copy too many arrives.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg

from alerts import metrics
from alerts.channels import Channel, DeliveryError, Message
from alerts.messages import case_link, render_texts
from kaimen.clock import Clock, SystemClock, as_datetime
from kaimen.database import Connection, Pool, queries, transaction
from kaimen.logs import get_logger

log = get_logger()

_SQL = queries("alerts")

#: Longer than any channel may take.
LEASE = timedelta(seconds=60)
ATTEMPTS_MAX = 10
_BACK_OFF_FIRST_S = 5
_BACK_OFF_MAX_S = 1_800
DETAIL_LENGTH_MAX = 200
_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended: the state of the message, and when (wall time) another attempt is due."""

    state: str
    result: str
    detail: str
    provider_id: str | None = None
    retry_at: datetime | None = None


def back_off(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: 5 s, doubling, half an hour at most."""
    return timedelta(seconds=min(_BACK_OFF_FIRST_S * 2 ** (attempts - 1), _BACK_OFF_MAX_S))


def judge_failure(error: DeliveryError, *, attempts: int, wall: datetime) -> Result:
    """Say what becomes of a message after a failed attempt."""
    detail = str(error)[:DETAIL_LENGTH_MAX]
    result = (
        "uncertain" if error.uncertain else ("failed_permanent" if error.permanent else "failed_temporary")
    )
    last = attempts >= ATTEMPTS_MAX
    if error.uncertain:
        return Result("uncertain", result, detail, retry_at=None if last else wall + back_off(attempts))
    if error.permanent or last:
        return Result("failed_permanent", result, detail)
    return Result("planned", result, detail, retry_at=wall + back_off(attempts))


@dataclass(slots=True)
class Courier:
    """One sender; several share the outbox, in one process and in many."""

    pool: Pool
    clock: Clock
    channels: Mapping[str, Channel]
    name: str
    public_url: str
    wall: Clock = field(default_factory=SystemClock)
    wake: threading.Event = field(default_factory=threading.Event)

    def send_one(self) -> bool:
        """Send the most pressing message that is due; say whether there was one."""
        row = self._lease()
        if row is None:
            return False
        result = self._attempt(row)
        self._finish(row, result)
        metrics.DELIVERIES.labels(row["channel"], result.result).inc()
        return True

    def _lease(self) -> dict[str, Any] | None:
        wall = as_datetime(self.wall.now_ms())
        now = as_datetime(self.clock.now_ms())
        args = {
            "owner": self.name,
            "lease_until": wall + LEASE,
            "attempts_max": ATTEMPTS_MAX,
            "channels": list(self.channels),
            "now": now,
            "wall": wall,
        }
        with transaction(self.pool) as connection:
            row = connection.execute(_SQL["lease_message"], args).fetchone()
            if row is None:
                self._end_lost(connection, now, wall)
            elif row["found_as"] == "leased":
                self._note_lost(connection, row["id"], row["attempts_before"], now)
        return row

    def _end_lost(self, connection: Connection, now: datetime, wall: datetime) -> None:
        args = {"wall": wall, "attempts_max": ATTEMPTS_MAX}
        for row in connection.execute(_SQL["end_lost_messages"], args).fetchall():
            self._note_lost(connection, row["id"], row["attempts"], now)

    def _note_lost(self, connection: Connection, outbox_id: int, attempt: int, now: datetime) -> None:
        lost = Result("uncertain", "uncertain", "the sender was lost before it wrote the result")
        _write_delivery(connection, outbox_id, attempt, now, lost)

    def _attempt(self, row: Mapping[str, Any]) -> Result:
        wall_ms = self.wall.now_ms()
        link = case_link(self.public_url, row["case_id"])
        try:
            message = Message(
                key=row["idempotency_key"],
                person=row["person"],
                number=row["number"],
                link=link,
                texts=render_texts(row["template"], number=row["number"], link=link),
                sent_s=wall_ms // 1000,
            )
            receipt = self.channels[row["channel"]].deliver(message)
        except DeliveryError as error:
            return judge_failure(error, attempts=row["attempts"], wall=as_datetime(wall_ms))
        except Exception as error:  # noqa: BLE001 - one broken message or channel must not stop the others
            log.error("a channel failed", channel=row["channel"], error=type(error).__name__)
            broken = DeliveryError(type(error).__name__, permanent=False, uncertain=True)
            return judge_failure(broken, attempts=row["attempts"], wall=as_datetime(wall_ms))
        return Result(receipt.state, receipt.state, receipt.detail[:DETAIL_LENGTH_MAX], receipt.provider_id)

    def _finish(self, row: Mapping[str, Any], result: Result) -> None:
        now = as_datetime(self.clock.now_ms())
        args = {"id": row["id"], "fence": row["fence"], "state": result.state, "retry_at": result.retry_at}
        with transaction(self.pool) as connection:
            # Zero rows: another sender took it over, or a person has confirmed it meanwhile. The attempt was made
            # all the same.
            connection.execute(_SQL["finish_message"], args)
            _write_delivery(connection, row["id"], row["attempts"], now, result)

    def run(self, stop: threading.Event, *, wait_s: float) -> None:
        """Send until ``stop`` is set; look again when woken or after ``wait_s``."""
        while not stop.is_set():
            try:
                if not self.send_one():
                    self.wake.wait(wait_s)
                    self.wake.clear()
            except psycopg.OperationalError as error:
                metrics.DATABASE_AWAY.inc()
                log.warning("the database is away", error=type(error).__name__)
                stop.wait(_PATIENCE_S)


def _write_delivery(
    connection: Connection, outbox_id: int, attempt: int, now: datetime, result: Result
) -> None:
    connection.execute(
        _SQL["insert_delivery"],
        {
            "outbox_id": outbox_id,
            "attempt": attempt,
            "at": now,
            "result": result.result,
            "provider_id": result.provider_id,
            "detail": result.detail,
        },
    )
