"""History is taken through the same admission, detector and store as live messages."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from ingest.backfill import IngestRunsError, backfill
from ingest.groups import leases
from kaimen.clock import as_datetime
from kaimen.database import connect
from kaimen.schema import migrate
from tests.integration.ingest_street import (
    BEGIN_MS,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Door,
    count,
    facts,
    lay_out,
    publishing,
    rows,
    street,
)

pytestmark = pytest.mark.slow

History = list[tuple[int, str, bytes]]


def four_days() -> History:
    """Two doors, a heartbeat every minute; one is opened each noon, the other never; one hour nobody hears."""
    history: History = []
    for number in (1, 2):
        door = Door(f"door-{number}", boot=f"{number:016x}")
        for minute in range(4 * 24 * 60):
            at = BEGIN_MS + minute * MINUTE + number
            if number == 1 and minute % 1440 == 720:
                history.append((at, *door.opening(at)))
            elif 30 * 60 <= minute < 31 * 60:
                continue
            else:
                history.append((at, *door.heartbeat(at)))
    history.append((BEGIN_MS + HOUR, "kaimen/v1/0/0/nowhere/door-1/evt", b"{"))
    return sorted(history)


def test_history_leaves_events_facts_and_progress(database_url: str) -> None:
    lay_out(database_url, homes=2)
    done: list[int] = []
    history = four_days()
    report = backfill(database_url, history, until_ms=BEGIN_MS + 4 * DAY, progress=done.append)
    assert (report.messages, report.events) == (len(history), 4)
    assert report.refused == {"wrong_shard": 1}
    assert done[-1] == len(history)
    found = facts(database_url)
    # The other household was never seen to open; what the outage hid is not counted against her.
    assert {(c["household_id"], c["stage"]) for c in found["crossings"]} == {
        ("h-2", 1),
        ("h-2", 2),
        ("h-2", 3),
    }
    assert rows(database_url, "SELECT at FROM service_progress")[0]["at"] == as_datetime(BEGIN_MS + 4 * DAY)
    assert count(database_url, "ingest_leases", "worker IS NULL") == 1


def test_history_taken_in_parts_leaves_the_same_facts(database_url: str, empty_database_url: str) -> None:
    migrate(empty_database_url)
    history = four_days()
    for url in (database_url, empty_database_url):
        lay_out(url, homes=2)
    backfill(database_url, history, until_ms=BEGIN_MS + 4 * DAY)
    parts = [
        BEGIN_MS,
        BEGIN_MS + 17 * HOUR,
        BEGIN_MS + 30 * HOUR + 30 * MINUTE,
        BEGIN_MS + 3 * DAY,
        BEGIN_MS + 4 * DAY,
    ]
    for low, high in pairwise(parts):
        part = [message for message in history if low < message[0] <= high]
        backfill(empty_database_url, part, until_ms=high)
    assert facts(empty_database_url) == facts(database_url)


def test_history_and_the_same_messages_live_leave_the_same_crossings(
    database_url: str, empty_database_url: str, broker_url: str, tmp_path: Path
) -> None:
    migrate(empty_database_url)
    doors = [Door(f"door-{number}", boot=f"{number:016x}") for number in (1, 2)]
    days = [(BEGIN_MS + day * DAY // 2, door) for day in range(9) for door in doors]
    history = [
        (
            at,
            *(
                door.opening(at)
                if at == BEGIN_MS or door is doors[0]
                else door.opening(at, type="Bell", state=None)
            ),
        )
        for at, door in days
    ]
    for url in (database_url, empty_database_url):
        lay_out(url, homes=2)
    backfill(database_url, history, until_ms=BEGIN_MS + 4 * DAY)
    with street(empty_database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        for index, (at, topic, payload) in enumerate(history):
            made.move_clock(at)
            publisher.send(topic, payload)
            made.wait_for("door_events", index + 1)
        made.move_clock(BEGIN_MS + 4 * DAY)
    live, past = facts(empty_database_url), facts(database_url)
    assert [(c["household_id"], c["stage"], c["at"]) for c in live["crossings"]] == [
        (c["household_id"], c["stage"], c["at"]) for c in past["crossings"]
    ]
    assert {c["household_id"] for c in live["crossings"]} <= {"h-2"}


def test_a_backfill_never_runs_beside_a_worker(database_url: str) -> None:
    lay_out(database_url)
    with connect(database_url, service="test", autocommit=True) as connection:
        leases.provision(connection, 1)
        assert leases.acquire(connection, group_no=0, groups=1, worker="w@elsewhere:1", duration_s=60)
    with pytest.raises(IngestRunsError):
        backfill(database_url, [], until_ms=BEGIN_MS)


def test_messages_out_of_order_are_a_programmers_fault(database_url: str) -> None:
    lay_out(database_url)
    door = Door()
    messages = [(BEGIN_MS + 5 * SECOND, *door.opening(BEGIN_MS)), (BEGIN_MS, *door.opening(BEGIN_MS))]
    with pytest.raises(ValueError, match="order"):
        backfill(database_url, messages, until_ms=BEGIN_MS + DAY)
