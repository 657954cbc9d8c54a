"""Ingest with a real broker and a real database: what was acknowledged is committed, whatever is cut."""

from __future__ import annotations

from pathlib import Path

from kaimen.clock import as_datetime
from tests.integration.ingest_street import (
    BEGIN_MS,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Door,
    count,
    lay_out,
    publishing,
    rows,
    street,
)


def test_an_opening_becomes_one_row_and_resets_her_household(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    door = Door()
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        made.move_clock(BEGIN_MS + HOUR)
        publisher.send(*door.opening(BEGIN_MS + HOUR - 5 * SECOND, method="card", cred="c_1"))
        made.wait_for("door_events", 1)
        publisher.send(*door.heartbeat(BEGIN_MS + HOUR - SECOND), qos=0)
        made.wait_for("coverage_points", 1)
        made.move_clock(BEGIN_MS + HOUR + MINUTE)

    (event,) = rows(database_url, "SELECT * FROM door_events")
    assert event["occurred_at"] == as_datetime(BEGIN_MS + HOUR - 5 * SECOND)
    assert (event["seq"], event["type"], event["credential"], event["plausible"]) == (
        1,
        "DoorPhysicalState",
        "c_1",
        True,
    )
    assert event["household_no"] == rows(database_url, "SELECT no FROM households")[0]["no"]
    (state,) = rows(database_url, "SELECT * FROM household_states")
    assert state["evidence_at"] == as_datetime(BEGIN_MS + HOUR - 5 * SECOND)
    assert state["known"]


def test_a_day_without_opening_is_a_crossing_with_its_happening(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    door = Door()
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        publisher.send(*door.opening(BEGIN_MS))
        made.wait_for("door_events", 1)
        # The heartbeat proves the whole day before it.
        made.move_clock(BEGIN_MS + DAY - MINUTE)
        publisher.send(*door.heartbeat(BEGIN_MS + DAY - MINUTE), qos=0)
        made.wait_for("coverage_points", 1)
        made.move_clock(BEGIN_MS + DAY + SECOND)
        made.wait_for("happenings", 1, "kind = 'crossing'")

    (crossing,) = rows(database_url, "SELECT * FROM stage_crossings")
    assert (crossing["stage"], crossing["at"]) == (1, as_datetime(BEGIN_MS + DAY))
    assert crossing["announced_at"] == as_datetime(BEGIN_MS + DAY)
    assert crossing["evidence"]["kind"] == "opening"
    happening = rows(database_url, "SELECT * FROM happenings WHERE kind = 'crossing'")[0]
    assert (happening["fact_id"], happening["household_id"]) == (crossing["id"], "h-1")


def test_a_worker_that_stops_gives_its_lease_back(database_url: str, broker_url: str, tmp_path: Path) -> None:
    lay_out(database_url)
    with street(database_url, broker_url, tmp_path) as made:
        made.start()
        assert count(database_url, "ingest_leases", "worker IS NOT NULL AND token = 1") == 1
        made.stop()
    assert count(database_url, "ingest_leases", "worker IS NULL AND token = 1") == 1
