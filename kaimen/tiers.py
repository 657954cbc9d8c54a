"""An instant enters; stored door events that ended before it are packed, in whatever way the server offers.

Three tiers behind one module, chosen by asking the server: plain PostgreSQL (a partition a day, of pieces of some hours
where days hold much; packing writes a day anew as one, in the order in which it is read, and gives it an index by
credential), TimescaleDB under the Apache licence (nothing to be done), and TimescaleDB under the community licence
(columnar compression). What is done is written in the database's own functions, which belong to its owner
(``0048_packed_days.sql``, ``0049_days_in_pieces.sql``; what is too old goes by ``forget_event_days``).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import psycopg

from kaimen.database import Connection, Pool, queries, transaction
from kaimen.logs import get_logger

_SQL = queries("kaimen", "tiers.sql")
log = get_logger()

#: What comes in late comes within days, as a rule; whatever comes later still enters a packed day.
PACKED_AFTER = timedelta(days=3)
#: After an upgrade there may be years of days: so many a night.
DAYS_A_NIGHT = 60
#: As long as packing waits for a day that somebody holds, before it leaves it for another night.
_LOCK_TIMEOUT = "2s"


class Tier(StrEnum):
    """What keeps the events."""

    PLAIN = "plain"
    APACHE = "timescale_apache"
    COMMUNITY = "timescale_community"


def find_tier(connection: Connection) -> Tier:
    """Ask the server what it can do with the event table of this database."""
    row = connection.execute(_SQL["find_tier"]).fetchone()
    assert row is not None
    if not row["timescale"]:
        return Tier.PLAIN
    return Tier.COMMUNITY if row["license"] == "timescale" else Tier.APACHE


def pack_days(pool: Pool, now: datetime, *, days_max: int = DAYS_A_NIGHT) -> tuple[int, int]:
    """Pack the oldest days that are over and not packed; return how many were, and how many are left for another night.

    While a day is packed, whoever writes to it waits, and whoever reads it unless it was in pieces: so it is done at
    night, to days for which hardly anything comes any more, and each is a transaction of its own. A day that somebody holds is left, and so is one for
    which the disk has no room: it is written anew beside itself.
    """
    with transaction(pool) as connection:
        rows = connection.execute(_SQL["days_to_pack"], {"before": now - PACKED_AFTER}).fetchall()
    names = [row["name"] for row in rows]
    packed = 0
    for name in names[:days_max]:
        try:
            with transaction(pool) as connection:
                connection.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
                connection.execute(_SQL["pack_day"], {"name": name})
            packed += 1
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DiskFull) as error:
            log.warning("a day of door events was not packed", day=name, error=type(error).__name__)
    return packed, len(names) - packed
