"""Old events are deleted and packed day by day, and nothing younger is touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kaimen.database import connect
from kaimen.tiers import Tier, compress_before, drop_before, find_tier
from tests.fix_database import DatabaseServer

pytestmark = pytest.mark.integration
DAY = datetime(2026, 3, 1, tzinfo=UTC)
_INSERT = """
  INSERT INTO door_events (
    occurred_at, received_at, recorded_at, device_no, household_no, boot, seq, ts_ms, up_ms, clock_quality, replayed,
    type, plausible, batch
  )
  SELECT at, at, at, 1, 1, 7, seq, 0, 0, 'ntp', false, 'DoorPhysicalState', true, 1
  FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS given (at, seq)
"""


def instants(url: str) -> list[datetime]:
    with connect(url, service="test") as connection:
        found = connection.execute("SELECT occurred_at FROM door_events ORDER BY 1").fetchall()
    return [row["occurred_at"] for row in found]


def store(url: str, given: list[datetime], *, partitions: bool = True) -> None:
    with connect(url, service="test") as connection:
        if partitions:
            connection.execute("SELECT ensure_event_partitions(%s, %s)", (min(given), max(given)))
        connection.execute(_INSERT, (given,))


def test_whole_days_go_at_once_and_the_day_that_is_cut_row_by_row(
    database_url: str, database_server: DatabaseServer
) -> None:
    given = [DAY + timedelta(hours=hours) for hours in range(0, 24 * 5, 6)]
    store(database_url, given)
    before = DAY + timedelta(days=2, hours=12)
    with connect(database_url, service="test", autocommit=True) as connection:
        dropped = drop_before(connection, before)
        tier = find_tier(connection)
    assert instants(database_url) == [at for at in given if at >= before]
    assert (tier is Tier.PLAIN) == (database_server.kind == "plain")
    if tier is Tier.PLAIN:
        assert dropped == 2


def test_rows_without_a_day_of_their_own_are_deleted_too(database_url: str) -> None:
    store(database_url, [DAY, DAY + timedelta(days=400)], partitions=False)
    with connect(database_url, service="test", autocommit=True) as connection:
        drop_before(connection, DAY + timedelta(days=1))
    assert instants(database_url) == [DAY + timedelta(days=400)]


def test_a_day_is_packed_once_keeps_its_rows_and_still_takes_late_ones(database_url: str) -> None:
    given = [DAY + timedelta(hours=hours) for hours in range(0, 72, 6)]
    store(database_url, given)
    with connect(database_url, service="test", autocommit=True) as connection:
        tier = find_tier(connection)
        first = compress_before(connection, DAY + timedelta(days=2))
        again = compress_before(connection, DAY + timedelta(days=2))
    if tier is Tier.PLAIN:
        assert (first, again) == (2, 0)
    late = DAY + timedelta(minutes=1)
    store(database_url, [late])
    assert instants(database_url) == sorted([*given, late])


def test_a_day_that_somebody_writes_to_is_left_for_the_next_run(
    database_url: str, database_server: DatabaseServer
) -> None:
    if database_server.kind != "plain":
        pytest.skip("chunks are dropped by the extension")
    store(database_url, [DAY, DAY + timedelta(days=3)])
    with (
        connect(database_url, service="test") as writer,
        connect(database_url, service="test", autocommit=True) as connection,
    ):
        writer.execute(_INSERT, ([DAY + timedelta(hours=1)],))  # not committed
        assert compress_before(connection, DAY + timedelta(days=2)) == 1  # the empty day after it
        writer.commit()
        assert compress_before(connection, DAY + timedelta(days=2)) == 1
