"""Days of stored events that are over are packed one by one, and nothing younger or held by somebody is touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from kaimen.database import Pool, connect, open_pool
from kaimen.rights import apply_rights
from kaimen.tiers import PACKED_AFTER, Tier, find_tier, pack_days
from tests.fix_database import DatabaseServer

pytestmark = pytest.mark.integration
DAY = datetime(2026, 3, 1, tzinfo=UTC)
#: Two homes take turns, as events come.
_INSERT = """
  INSERT INTO door_events (
    occurred_at, received_at, recorded_at, device_no, household_no, boot, seq, ts_ms, up_ms, clock_quality, replayed,
    type, credential, plausible, batch
  )
  SELECT at, at, at, 1, 1 + seq %% 2, 7, seq, 0, 0, 'ntp', false, 'AccessTaken', 'card-' || seq %% 97, true, 1
  FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS given (at, seq)
"""


def instants(url: str) -> list[datetime]:
    with connect(url, service="test") as connection:
        found = connection.execute("SELECT occurred_at FROM door_events ORDER BY 1").fetchall()
    return [row["occurred_at"] for row in found]


def store(url: str, given: list[datetime]) -> None:
    with connect(url, service="test") as connection:
        connection.execute("SELECT ensure_event_partitions(%s, %s)", (min(given), max(given)))
        connection.execute(_INSERT, (given,))


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    with closing(open_pool(database_url, service="test", size_max=2)) as pool:
        yield pool


def test_what_server_keeps_the_events_is_asked_of_it(
    database_url: str, database_server: DatabaseServer
) -> None:
    with connect(database_url, service="test") as connection:
        tier = find_tier(connection)
    assert (tier is Tier.PLAIN) == (database_server.kind == "plain")


def test_a_day_is_packed_once_keeps_its_rows_and_still_takes_late_ones(database_url: str, pool: Pool) -> None:
    given = [DAY + timedelta(hours=hours) for hours in range(0, 72, 6)]
    store(database_url, given)
    night = DAY + timedelta(days=2) + PACKED_AFTER
    first, again = pack_days(pool, night), pack_days(pool, night)
    with connect(database_url, service="test") as connection:
        tier = find_tier(connection)
    assert (first, again) == (((2, 0), (0, 0)) if tier is Tier.PLAIN else ((0, 0), (0, 0)))
    late = DAY + timedelta(minutes=1)
    store(database_url, [late])
    assert instants(database_url) == sorted([*given, late])


@pytest.fixture
def plain(database_server: DatabaseServer) -> None:
    if database_server.kind != "plain":
        pytest.skip("the extension has chunks of its own")


@pytest.mark.usefixtures("plain")
def test_a_packed_day_lies_by_household_and_is_found_by_card(database_url: str, pool: Pool) -> None:
    store(database_url, [DAY + timedelta(minutes=minute) for minute in range(1_000)])
    assert pack_days(pool, DAY + timedelta(days=1) + PACKED_AFTER) == (1, 0)
    with connect(database_url, service="test") as connection:
        lying = connection.execute("SELECT household_no FROM door_events ORDER BY ctid").fetchall()
        connection.execute("SET enable_seqscan = off")
        connection.execute("ANALYZE door_events")
        plan = connection.execute(
            "EXPLAIN SELECT * FROM door_events WHERE credential = 'card-0' AND device_no = 1 AND occurred_at >= %s",
            (DAY + timedelta(hours=16),),
        ).fetchall()
    numbers = [row["household_no"] for row in lying]
    assert numbers == sorted(numbers)
    assert "door_events_20260301_credential" in str(plan)


@pytest.mark.usefixtures("plain")
def test_a_day_that_somebody_writes_to_is_left_for_another_night(database_url: str, pool: Pool) -> None:
    store(database_url, [DAY, DAY + timedelta(days=3)])
    night = DAY + timedelta(days=2) + PACKED_AFTER
    with connect(database_url, service="test") as writer:
        writer.execute(_INSERT, ([DAY + timedelta(hours=1)],))  # not committed
        assert pack_days(pool, night) == (1, 1)  # the empty day after it
        writer.commit()
    assert pack_days(pool, night) == (1, 0)


@pytest.mark.usefixtures("plain")
def test_only_a_day_of_events_can_be_named_and_only_by_who_keeps_house(database_url: str) -> None:
    store(database_url, [DAY])
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert apply_rights(connection)
        with pytest.raises(psycopg.errors.RaiseException, match="no day of door_events"):
            connection.execute("SELECT pack_event_day('households')")
        connection.execute("SET ROLE kaimen_ingest")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT pack_event_day('door_events_20260301')")
        connection.execute("SET ROLE kaimen_alerts")
        connection.execute("SELECT pack_event_day('door_events_20260301')")
