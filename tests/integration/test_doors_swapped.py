"""Two sensors that hang at one another's doors: the desk exchanges them, and each home is judged by its own from the first day."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from kaimen.clock import ManualClock, as_datetime
from kaimen.database import queries
from tests.integration.console_world import World, build_world
from tests.integration.many_homes import BEGIN_MS, DAY, HOUR, MINUTE, many_homes

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.one_store]
WANG = "/households/h-wang/books"
SQL = queries("console.rights", "exchange.sql")


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def windows(world: World) -> list[tuple[object, ...]]:
    rows = world.rows(
        "SELECT household_id, device_id, from_at, to_at FROM household_doors"
        " WHERE device_id IN ('d-h-wang', 'd-h-zhao') ORDER BY device_id, from_at NULLS FIRST"
    )
    return [tuple(row.values()) for row in rows]


def test_the_desk_exchanges_two_doors_once_however_often_it_is_sent(world: World) -> None:
    clerk = world.browser("clerk")
    for other in ("d-h-wang", "d-unknown", "d-h-other"):
        refused = world.post(clerk, f"{WANG}/doors/d-h-wang/exchange", other=other)
        assert refused.status_code == 422 and "error-other" in refused.text
    late = world.post(clerk, f"{WANG}/doors/d-h-wang/exchange", other="d-h-zhao", since="2999-01-01T00:00")
    assert late.status_code == 422 and "error-since" in late.text
    assert windows(world) == [("h-wang", "d-h-wang", None, None), ("h-zhao", "d-h-zhao", None, None)]
    places = {row["id"]: row["place"] for row in world.rows("SELECT id, place FROM devices")}
    for _ in range(2):
        assert world.post(clerk, f"{WANG}/doors/d-h-wang/exchange", other="D-h-zhao").status_code == 303
    assert windows(world) == [("h-zhao", "d-h-wang", None, None), ("h-wang", "d-h-zhao", None, None)]
    after = {row["id"]: row["place"] for row in world.rows("SELECT id, place FROM devices")}
    assert (after["d-h-wang"], after["d-h-zhao"]) == (places["d-h-zhao"], places["d-h-wang"])
    trace = world.rows("SELECT object_id FROM audit_entries WHERE action = 'doors_exchanged' ORDER BY id")
    assert [row["object_id"] for row in trace] == ["h-wang", "h-zhao"], "it stands at both homes"
    assert (
        world.post(world.browser("clerk-b"), f"{WANG}/doors/d-h-zhao/exchange", other="d-h-wang").status_code
        == 404
    )
    since = "2025-11-20T08:00"
    again = world.post(clerk, f"{WANG}/doors/d-h-zhao/exchange", other="d-h-wang", since=since)
    assert again.status_code == 303
    ended = windows(world)
    assert [row[:2] for row in ended] == [
        ("h-zhao", "d-h-wang"), ("h-wang", "d-h-wang"), ("h-wang", "d-h-zhao"), ("h-zhao", "d-h-zhao"),
    ]  # fmt: skip
    assert ended[0][3] == ended[1][2] == ended[2][3] == ended[3][2] is not None


@pytest.mark.parametrize("since_hours", [None, 10])
def test_what_the_wrong_door_said_is_taken_back_from_the_first_day_on(
    database_url: str, since_hours: int | None
) -> None:
    """She is silent behind a door whose sensor is on the books at her neighbour's, who goes out every hour."""
    with many_homes(database_url, 2) as street:
        hers, neighbours = street.doors[2], street.doors[1]
        street.start_ingest()
        street.move_to(
            BEGIN_MS + MINUTE, [hers.opening(BEGIN_MS + MINUTE), neighbours.opening(BEGIN_MS + MINUTE)]
        )
        for hour in range(5, 31, 5):
            at = BEGIN_MS + hour * HOUR
            street.move_to(at, [neighbours.opening(at), hers.heartbeat(at)])
        street.settle()
        home = "SELECT household_id, stage, evidence_at FROM household_states ORDER BY 1"
        first, last = as_datetime(BEGIN_MS + MINUTE), as_datetime(BEGIN_MS + 30 * HOUR)
        assert [tuple(row.values()) for row in street.rows(home)] == [("h-1", 0, last), ("h-2", 1, first)]
        since = None if since_hours is None else as_datetime(BEGIN_MS + since_hours * HOUR + 30 * MINUTE)
        with psycopg.connect(database_url) as connection:
            for device, from_home, to_home in (("d-1", "h-1", "h-2"), ("d-2", "h-2", "h-1")):
                values = {"device_id": device, "from_home": from_home, "to_home": to_home, "since": since}
                for query in ("exchange_whole",) if since is None else ("exchange_end", "exchange_begin"):
                    connection.execute(SQL[query], values)
        for minute in (1, 5):
            at = BEGIN_MS + 30 * HOUR + minute * MINUTE
            street.move_to(at, [neighbours.heartbeat(at), hers.heartbeat(at)])
        street.settle()
        ours = first if since_hours is None else as_datetime(BEGIN_MS + since_hours * HOUR)
        stage = 1 if since_hours is None else 0
        assert [tuple(row.values()) for row in street.rows(home)] == [("h-1", stage, ours), ("h-2", 0, last)]
        crossed = street.rows(
            "SELECT household_id FROM stage_crossings WHERE at = %s", as_datetime(BEGIN_MS + DAY + MINUTE)
        )
        assert len(crossed) == (2 if since_hours is None else 1), (
            "dated as if it had been right from the first day"
        )
        cases = street.rows("SELECT household_id, state FROM cases WHERE cause = 'inactivity' ORDER BY 1")
        assert ("h-2", "closed") in [tuple(row.values()) for row in cases], (
            "nobody goes to her neighbour for it"
        )
