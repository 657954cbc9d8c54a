"""An instant enters; stored door events older than it are deleted or packed, in whatever way the server offers.

Three tiers behind one module, chosen by asking the server: plain PostgreSQL (a partition a day; packing writes a
day anew in the order in which it is read), TimescaleDB under the Apache licence (chunks that can be dropped, not
compressed) and TimescaleDB under the community licence (columnar compression). Call with a connection in autocommit
mode: each day is a transaction of its own, so that ingest never waits for more than one.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import LiteralString

import psycopg
from psycopg import sql

from kaimen.database import Connection, queries

_SQL = queries("kaimen", "tiers.sql")
#: As long as a job of ours waits for a table that ingest is writing to, before it leaves the day for its next run.
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


def drop_before(connection: Connection, instant: datetime) -> int:
    """Delete every stored event that happened before ``instant``; return how many partitions went as a whole.

    The instant is the caller's to choose: the detector rebuilds its state from the last 45 days. A partition that
    ingest is writing to is left for the next run; the rows of the day that is cut are deleted one by one.
    """
    if find_tier(connection) is not Tier.PLAIN:
        row = connection.execute(_SQL["drop_chunks"], {"before": instant}).fetchone()
        dropped = int(row["dropped"]) if row is not None else 0
    else:
        dropped = 0
        for name, day in _days(connection):
            if _ends_by(day, instant):
                dropped += _run_briefly(connection, "DROP TABLE {}", name)
    connection.execute(_SQL["delete_before"], {"before": instant})
    return dropped


def compress_before(connection: Connection, instant: datetime) -> int:
    """Pack the partitions wholly older than ``instant`` that are not packed yet; return how many were.

    Plain: the day is written anew in the order of households and instants, without holes, so that what is read
    together lies together; late events still enter it. Community: compressed by household; late events enter too.
    The Apache edition cannot compress: 0.
    """
    tier = find_tier(connection)
    if tier is Tier.APACHE:
        return 0
    if tier is Tier.COMMUNITY:
        enabled = connection.execute(_SQL["compression_enabled"]).fetchone()
        if enabled is None or not enabled["compression_enabled"]:
            connection.execute(_SQL["enable_compression"])
        row = connection.execute(_SQL["compress_chunks"], {"before": instant}).fetchone()
        return int(row["compressed"]) if row is not None else 0
    packed = 0
    for name, day in _days(connection):
        known = connection.execute(_SQL["is_packed"], {"name": name}).fetchone()
        if _ends_by(day, instant) and not (known is not None and known["packed"]):
            packed += _run_briefly(
                connection, "CLUSTER {} USING {}", name, f"{name}_household_no_occurred_at_idx"
            ) and _run_briefly(connection, "COMMENT ON TABLE {} IS 'packed'", name)
    return packed


def _days(connection: Connection) -> list[tuple[str, date]]:
    return [(row["name"], row["day"]) for row in connection.execute(_SQL["list_days"]).fetchall()]


def _ends_by(day: date, instant: datetime) -> bool:
    end = datetime(day.year, day.month, day.day, tzinfo=instant.tzinfo) + timedelta(days=1)
    return end <= instant


def _run_briefly(connection: Connection, statement: LiteralString, *names: str) -> int:
    """Run a statement on a table unless somebody holds it; return 1 where it was done, 0 where it is left."""
    written = sql.SQL(statement).format(*(sql.Identifier(name) for name in names))
    try:
        with connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
            connection.execute(written)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable):
        return 0
    return 1
