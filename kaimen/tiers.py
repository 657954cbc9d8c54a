"""An instant enters; stored door events that ended before it are packed, in whatever way the server offers.

Three tiers behind one module, chosen by asking the server: plain PostgreSQL (a partition a day, of pieces of some hours
where days hold much; packing writes a day anew as one, in the order in which it is read, and gives it an index by
credential), TimescaleDB under the Apache licence (chunks as long as fits what days hold, packed like days), and
TimescaleDB under the community licence (columnar compression). What is done is written in the database's own functions,
which belong to its owner (``0048_packed_days.sql``, ``0049_days_in_pieces.sql``, ``0055_chunks_that_fit.sql``; what is
too old goes by ``forget_event_days``).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum

import psycopg

from kaimen.database import Connection, Pool, queries, single, transaction
from kaimen.logs import get_logger

_SQL = queries("kaimen", "tiers.sql")
log = get_logger()

#: What comes in late comes within days, as a rule; whatever comes later still enters a packed day.
PACKED_AFTER = timedelta(days=3)
#: After an upgrade there may be years of days: so many a night.
DAYS_A_NIGHT = 60
#: As long as packing waits for a day that somebody holds, before it leaves it for another night.
_LOCK_TIMEOUT = "2s"
#: So often a day is begun in one night, and so often it is looked whether somebody waits for its packing.
_TRIES, _LOOK_EVERY_S = 3, 0.1


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

    While a day is packed, whoever writes to it waits, and whoever reads it unless it was in pieces. One late event of a
    large day would hold up all that comes in with it for as long as the packing takes, so packing gives way within a
    tenth of a second to whoever waits for it, and begins anew behind the other days, thrice a night. Each day is a
    transaction of its own. A day that somebody holds is left, and so is one for which the disk has no room: it is
    written anew beside itself. Two connections of the pool are taken meanwhile.
    """
    with transaction(pool) as connection:
        rows = connection.execute(_SQL["days_to_pack"], {"before": now - PACKED_AFTER}).fetchall()
    names = [row["name"] for row in rows]
    left = names[:days_max]
    with single(pool) as watching:
        for _ in range(_TRIES if left else 0):
            left = [name for name in left if not _pack_day(pool, watching, name)]
    return min(days_max, len(names)) - len(left), max(0, len(names) - days_max) + len(left)


def _pack_day(pool: Pool, watching: Connection, name: str) -> bool:
    try:
        with transaction(pool) as connection:
            connection.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
            # Ended before the transaction is: what is called off then is this statement and no later one.
            with _giving_way(watching, connection.info.backend_pid):
                connection.execute(_SQL["pack_day"], {"name": name})
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DiskFull) as error:
        log.warning("a day of door events was not packed", day=name, error=type(error).__name__)
        return False
    return True


@contextmanager
def _giving_way(watching: Connection, pid: int) -> Iterator[None]:
    """Call off what that backend does as soon as somebody else waits for it."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_EVERY_S):
            try:
                watching.execute(_SQL["give_way"], {"pid": pid})
            except psycopg.Error as error:
                log.warning("nobody sees who waits for the packing of a day", error=type(error).__name__)
                return

    watcher = threading.Thread(target=watch, name="giving way", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
