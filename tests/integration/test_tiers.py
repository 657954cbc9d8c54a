"""Days of stored events that are over are packed one by one, and nothing younger or held by somebody is touched."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from kaimen.database import Connection, Pool, connect, open_pool, queries
from kaimen.rights import apply_rights
from kaimen.tiers import PACKED_AFTER, Tier, find_tier, pack_days
from tests.fix_database import DatabaseServer
from tests.fix_servers import wait_until

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


def spans(url: str) -> list[timedelta]:
    """How long the extension's chunks are, oldest first."""
    with connect(url, service="test") as connection:
        found = connection.execute(
            "SELECT range_end - range_start AS span FROM timescaledb_information.chunks"
            " WHERE hypertable_name = 'door_events' ORDER BY range_start"
        ).fetchall()
    return [row["span"] for row in found]


def pieces(url: str) -> dict[str, list[str]]:
    """The days there are, each with the pieces it consists of if it is not a table itself."""
    with connect(url, service="test") as connection:
        found = connection.execute(
            "SELECT d.relname AS day, array_agg(p.relname ORDER BY 1) FILTER (WHERE p.oid IS NOT NULL) AS pieces"
            " FROM pg_inherits i JOIN pg_class d ON d.oid = i.inhrelid LEFT JOIN pg_inherits h ON h.inhparent = d.oid"
            " LEFT JOIN pg_class p ON p.oid = h.inhrelid"
            " WHERE i.inhparent = 'door_events'::regclass AND d.relname <> 'door_events_other' GROUP BY 1 ORDER BY 1"
        ).fetchall()
    return {row["day"]: sorted(row["pieces"] or []) for row in found}


def packed_plan(url: str) -> str:
    """See that rows lie by household; return how one card's are looked for."""
    with connect(url, service="test") as connection:
        lying = connection.execute("SELECT household_no FROM door_events ORDER BY ctid").fetchall()
        connection.execute("SET enable_seqscan = off")
        connection.execute("ANALYZE door_events")
        plan = connection.execute(
            "EXPLAIN SELECT * FROM door_events WHERE credential = 'card-0' AND device_no = 1 AND occurred_at >= %s",
            (DAY + timedelta(hours=16),),
        ).fetchall()
    numbers = [row["household_no"] for row in lying]
    assert numbers == sorted(numbers)
    return str(plan)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaimen.tiers._LOCK_TIMEOUT", "100ms")


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
def apache(database_url: str) -> None:
    with connect(database_url, service="test") as connection:
        if find_tier(connection) is not Tier.APACHE:
            pytest.skip("days of its own, or compressed chunks")


@pytest.mark.usefixtures("apache")
def test_chunks_that_are_over_lie_by_household_and_are_found_by_card(database_url: str, pool: Pool) -> None:
    store(database_url, [DAY + timedelta(minutes=minute) for minute in range(1_000)])
    assert pack_days(pool, DAY + PACKED_AFTER) == (0, 0)  # the week is not over
    assert pack_days(pool, DAY + timedelta(days=7) + PACKED_AFTER) == (1, 0)
    assert pack_days(pool, DAY + timedelta(days=7) + PACKED_AFTER) == (0, 0)
    assert "chunk_credential" in packed_plan(database_url)
    late = DAY + timedelta(minutes=1)
    store(database_url, [late])
    assert instants(database_url).count(late) == 2


@pytest.mark.usefixtures("apache")
def test_chunks_are_shorter_behind_one_that_holds_much(database_url: str) -> None:
    store(database_url, [DAY])
    with connect(database_url, service="test", autocommit=True) as connection:
        chunk = connection.execute("SELECT show_chunks('door_events')::text AS name").fetchone()
        assert chunk is not None
        # Some rows a page: what a town's week holds is quickly made, and the server counts it as it does in service.
        connection.execute(
            "INSERT INTO door_events SELECT (jsonb_populate_record(e, jsonb_build_object('reason', repeat('x', 1500)))).*"
            " FROM door_events e, generate_series(1, 33000)"
        )
        connection.execute(sql.SQL("VACUUM {}").format(sql.SQL(chunk["name"])))
    store(database_url, [DAY + timedelta(days=day) for day in (1, 20, 21)])
    assert spans(database_url) == [timedelta(days=7), timedelta(days=1), timedelta(days=1)]


@pytest.fixture
def community(database_url: str) -> None:
    with connect(database_url, service="test") as connection:
        if find_tier(connection) is not Tier.COMMUNITY:
            pytest.skip("nothing that compresses")


def _of_one(connection: Connection, column: str) -> str:
    rows = connection.execute(
        sql.SQL("EXPLAIN SELECT * FROM door_events WHERE {} = 1 AND occurred_at >= %s").format(
            sql.Identifier(column)
        ),
        (DAY,),
    ).fetchall()
    return " ".join(row["QUERY PLAN"] for row in rows)


@pytest.mark.usefixtures("community")
def test_compressed_chunks_are_found_by_door_and_by_household_and_older_ones_are_compressed_anew(
    database_url: str, pool: Pool
) -> None:
    store(database_url, [DAY + timedelta(minutes=minute) for minute in range(1_000)])
    with connect(database_url, service="test", autocommit=True) as connection:
        connection.execute(
            "ALTER TABLE door_events SET (timescaledb.compress, timescaledb.compress_segmentby = 'household_no',"
            " timescaledb.compress_orderby = 'occurred_at')"
        )
        connection.execute("SELECT compress_chunk(c) FROM show_chunks('door_events') AS c")
        night = DAY + timedelta(days=7) + PACKED_AFTER
        assert pack_days(pool, night) == (1, 0)
        assert pack_days(pool, night) == (0, 0)
        connection.execute("SET enable_seqscan = off")
        by_door, by_household = _of_one(connection, "device_no"), _of_one(connection, "household_no")
    assert "Index Cond: ((device_no = 1)" in by_door
    assert "compressed_household" in by_household
    late = DAY + timedelta(minutes=1)
    store(database_url, [late])
    assert instants(database_url).count(late) == 2


@pytest.mark.usefixtures("community")
def test_compressed_days_become_weeks_and_keep_what_came_late(database_url: str, pool: Pool) -> None:
    given = [DAY + timedelta(hours=hours) for hours in range(24 * 9)]
    with connect(database_url, service="test", autocommit=True) as connection:
        connection.execute("SELECT set_chunk_time_interval('door_events'::regclass, interval '1 day')")
        # As where days hold much: it would make them weeks again.
        connection.execute(
            "CREATE OR REPLACE FUNCTION event_chunk_span(p_pages_an_hour numeric) RETURNS interval"
            " LANGUAGE sql IMMUTABLE AS $$ SELECT interval '1 day' $$"
        )
    store(database_url, given)
    assert pack_days(pool, DAY + timedelta(days=2) + PACKED_AFTER) == (2, 0)
    late = [DAY + timedelta(minutes=1), DAY + timedelta(days=1, minutes=1)]
    store(database_url, late)
    assert pack_days(pool, DAY + timedelta(days=9) + PACKED_AFTER) == (7, 0)
    assert pack_days(pool, DAY + timedelta(days=9) + PACKED_AFTER) == (0, 0)
    assert instants(database_url) == sorted([*given, *late])
    assert spans(database_url) == [timedelta(days=7), timedelta(days=2)]


@pytest.mark.usefixtures("community")
def test_chunks_are_shorter_behind_one_that_held_much_before_it_was_compressed(
    database_url: str, pool: Pool
) -> None:
    store(database_url, [DAY])
    with connect(database_url, service="test", autocommit=True) as connection:
        connection.execute(
            "INSERT INTO door_events SELECT (jsonb_populate_record(e, jsonb_build_object('reason', repeat('x', 1500)))).*"
            " FROM door_events e, generate_series(1, 33000)"
        )
    assert pack_days(pool, DAY + timedelta(days=7) + PACKED_AFTER) == (1, 0)
    store(database_url, [DAY + timedelta(days=day) for day in (1, 20, 21)])
    assert spans(database_url) == [timedelta(days=7), timedelta(days=1), timedelta(days=1)]


@pytest.fixture
def plain(database_server: DatabaseServer) -> None:
    if database_server.kind != "plain":
        pytest.skip("the extension has chunks of its own")


@pytest.mark.usefixtures("plain")
def test_a_packed_day_lies_by_household_and_is_found_by_card(database_url: str, pool: Pool) -> None:
    store(database_url, [DAY + timedelta(minutes=minute) for minute in range(1_000)])
    assert pack_days(pool, DAY + timedelta(days=1) + PACKED_AFTER) == (1, 0)
    assert "door_events_20260301_credential" in packed_plan(database_url)


@pytest.mark.usefixtures("plain", "impatient")
def test_a_day_that_somebody_writes_to_is_left_for_another_night(database_url: str, pool: Pool) -> None:
    store(database_url, [DAY, DAY + timedelta(days=3)])
    night = DAY + timedelta(days=2) + PACKED_AFTER
    with connect(database_url, service="test") as writer:
        writer.execute(_INSERT, ([DAY + timedelta(hours=1)],))  # not committed
        assert pack_days(pool, night) == (1, 1)  # the empty day after it
        writer.commit()
    assert pack_days(pool, night) == (1, 0)


@pytest.mark.usefixtures("plain")
def test_the_day_after_a_large_one_is_cut_into_pieces_no_larger_than_they_may_be(database_url: str) -> None:
    store(database_url, [DAY])
    with connect(database_url, service="test", autocommit=True) as connection:
        # A row a page: 26 MB of pages are quickly made, and the server counts them as it does in service.
        connection.execute("ALTER TABLE door_events_20260301 SET (fillfactor = 10)")
        connection.execute(
            "INSERT INTO door_events SELECT (jsonb_populate_record(e, jsonb_build_object('reason', repeat('x', 1500)))).*"
            " FROM door_events e, generate_series(1, 3300)"
        )
        connection.execute("VACUUM door_events_20260301")
    store(database_url, [DAY - timedelta(days=1), DAY + timedelta(days=1), DAY + timedelta(hours=47)])
    assert pieces(database_url) == {
        "door_events_20260228": [],  # behind a day that is there already: late events alone
        "door_events_20260301": [],
        "door_events_20260302": ["door_events_20260302_00", "door_events_20260302_12"],
    }


@pytest.mark.usefixtures("plain")
def test_a_day_in_pieces_is_packed_into_one_takes_late_rows_and_is_forgotten_as_others_are(
    database_url: str, pool: Pool
) -> None:
    given = [DAY + timedelta(hours=hours) for hours in range(24)]
    with connect(database_url, service="test") as connection:
        connection.execute("SELECT make_event_day(%s, 6)", (DAY.date(),))
    store(database_url, given)
    assert len(pieces(database_url)["door_events_20260301"]) == 6
    with connect(database_url, service="test") as connection:
        for piece in pieces(database_url)["door_events_20260301"]:  # what the server does by itself
            connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(piece)))
        counted = connection.execute(queries("console.rights", "years.sql")["door_events"]).fetchall()
    assert counted == [{"year": 2026, "count": 24}]
    assert pack_days(pool, DAY + timedelta(days=1) + PACKED_AFTER) == (1, 0)
    assert pack_days(pool, DAY + timedelta(days=1) + PACKED_AFTER) == (0, 0)
    assert pieces(database_url) == {"door_events_20260301": ["door_events_20260301_whole"]}
    with connect(database_url, service="test") as connection:
        lying = connection.execute("SELECT household_no FROM door_events ORDER BY ctid").fetchall()
        found = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'door_events_20260301_whole' ORDER BY 1"
        ).fetchall()
    assert [row["household_no"] for row in lying] == [1] * 12 + [2] * 12
    # Those of the parent, each once, and the one by card.
    assert [row["indexdef"].partition(" USING ")[2] for row in found] == [
        "btree (credential, occurred_at) WHERE (credential IS NOT NULL)",
        "btree (device_no, occurred_at)",
        "btree (household_no, occurred_at)",
        "brin (occurred_at) WITH (pages_per_range='32', autosummarize='on')",
    ]
    late = DAY + timedelta(hours=5, minutes=1)
    store(database_url, [late])
    assert instants(database_url) == sorted([*given, late])
    with connect(database_url, service="test") as connection:
        gone = connection.execute(
            "SELECT forget_event_days(%s, '{}', false) AS n", (DAY + timedelta(days=1),)
        )
        assert gone.fetchone() == {"n": 25}
    assert pieces(database_url) == {}


@pytest.mark.usefixtures("plain", "impatient")
def test_a_day_in_pieces_is_packed_beside_who_reads_other_days_and_left_to_who_reads_it(
    database_url: str, pool: Pool
) -> None:
    with connect(database_url, service="test") as connection:
        connection.execute("SELECT make_event_day(%s, 2)", (DAY.date(),))
    store(database_url, [DAY, DAY + timedelta(hours=25)])
    night = DAY + timedelta(days=1) + PACKED_AFTER
    of_a_day = "SELECT count(*) AS n FROM door_events WHERE occurred_at >= %s AND occurred_at < %s"
    with connect(database_url, service="test") as reader:
        reader.execute(of_a_day, (DAY, DAY + timedelta(days=1)))  # its transaction stays open
        assert pack_days(pool, night) == (0, 1)
        reader.rollback()
        reader.execute(of_a_day, (DAY + timedelta(days=1), DAY + timedelta(days=2)))
        assert pack_days(pool, night) == (1, 0)
    assert instants(database_url) == [DAY, DAY + timedelta(hours=25)]


@pytest.mark.usefixtures("plain")
def test_the_packing_of_a_day_gives_way_to_a_late_event_of_that_day_and_begins_anew(
    database_url: str, pool: Pool
) -> None:
    with connect(database_url, service="test", autocommit=True) as connection:
        connection.execute("SELECT make_event_day(%s, 2)", (DAY.date(),))
        store(database_url, [DAY, DAY + timedelta(days=3)])
        # The first packing stands at its first index, with the day locked, until it is called off.
        connection.execute("CREATE SEQUENCE tries")
        connection.execute(
            "CREATE FUNCTION stand() RETURNS event_trigger LANGUAGE plpgsql AS"
            " $$ BEGIN IF nextval('tries') = 1 THEN PERFORM pg_sleep(60); END IF; END $$"
        )
        connection.execute(
            "CREATE EVENT TRIGGER stand ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION stand()"
        )
        with ThreadPoolExecutor(1) as packing:
            packed = packing.submit(pack_days, pool, DAY + timedelta(days=1) + PACKED_AFTER)
            wait_until(lambda: _is_locked(connection), "the day is being packed")
            connection.execute("SET lock_timeout = '10s'")
            connection.execute(_INSERT, ([DAY + timedelta(hours=1)],))
            assert packed.result(30) == (1, 0)
    assert instants(database_url) == [DAY, DAY + timedelta(hours=1), DAY + timedelta(days=3)]
    assert pieces(database_url)["door_events_20260301"] == ["door_events_20260301_whole"]


def _is_locked(connection: Connection) -> bool:
    held = connection.execute(
        "SELECT 1 FROM pg_locks WHERE relation = 'door_events_20260301'::regclass AND mode = 'ShareLock' AND granted"
    )
    return held.fetchone() is not None


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
