"""The daily word that all is well: addresses that want one enter, at most one message each a day leaves.

Sent in the evening of the recipient's zone, and only where every home of hers is watched, known and at no stage;
whoever's home is not, hears of the case instead, and of what is not known nothing is said.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

import psycopg

from alerts.sending.outbox import write_single
from alerts.sending.recipients import Address, idempotency_key
from kaimen.clock import Clock, as_datetime
from kaimen.database import Pool, queries, transaction, why_away
from kaimen.logs import get_logger

log = get_logger()

_SQL = queries("alerts.sending", "outbox.sql")

AT = time(18, 0)
UNTIL = time(21, 0)
EVERY_S = 60.0


def is_time(now: datetime, zone: str) -> bool:
    """Say whether it is the hour of the digest where the recipient is."""
    return AT <= now.astimezone(ZoneInfo(zone)).time() < UNTIL


@dataclass(slots=True)
class Digest:
    """Plans digests; the key of a day makes each of them one, however often it looks."""

    pool: Pool
    clock: Clock
    channels: tuple[str, ...]

    def plan(self) -> int:
        """Plan what is due now; return how many messages are new."""
        now = as_datetime(self.clock.now_ms())
        planned = 0
        with transaction(self.pool) as connection:
            args = {"channels": list(self.channels), "now": now}
            for row in connection.execute(_SQL["digest_due"], args).fetchall():
                if not is_time(now, row["zone"]):
                    continue
                day = now.astimezone(ZoneInfo(row["zone"])).date()
                step = f"digest:{row['id']}:{day}"
                key = idempotency_key(
                    case_id=0, step=step, person=row["recipient"], channel=row["channel"], repetition=0
                )
                address = Address(**row)
                made = write_single(
                    connection, step="digest", address=address, key=key, template="digest", now=now
                )
                planned += made is not None
        return planned

    def run(self, stop: threading.Event, *, wait_s: float = EVERY_S) -> None:
        """Plan until ``stop`` is set."""
        while not stop.wait(wait_s):
            try:
                self.plan()
            except psycopg.OperationalError as error:
                log.warning("the database is away", error=why_away(error))
