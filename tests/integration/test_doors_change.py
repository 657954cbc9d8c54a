"""Doors that change hands while the service runs: replaced devices, windows, shared doors, and what a device lost."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from kaimen.clock import as_datetime
from tests.integration.ingest_street import Door
from tests.integration.many_homes import (
    BEGIN_MS,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    SITE,
    Community,
    many_homes,
    stored_events,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def street(database_url: str) -> Iterator[Community]:
    with many_homes(database_url, 2) as community:
        # The other home keeps the site speaking; it is not what the stories are about.
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "UPDATE devices SET supervision_s = 7200, registered_at = %s", (as_datetime(BEGIN_MS),)
            )
            connection.execute("UPDATE devices SET retired_at = registered_at WHERE id = 'gw-1'")
        yield community


def change(community: Community, *statements: tuple[str, tuple[object, ...]]) -> None:
    """Change the register in one transaction, as the office does."""
    with psycopg.connect(community.url) as connection:
        for statement, values in statements:
            connection.execute(statement, values)  # type: ignore[arg-type]


def hours(community: Community, first: int, last: int, *doors: Door) -> None:
    """Let the doors and the other home send a heartbeat every hour, both ends included."""
    for hour in range(first, last + 1):
        at = BEGIN_MS + hour * HOUR
        community.move_to(at, [door.heartbeat(at) for door in (*doors, community.doors[2])])


def replace_device(community: Community, at_ms: int) -> Door:
    """d-1 is taken off the wall and d-new takes its door, at one instant."""
    at = as_datetime(at_ms)
    change(
        community,
        ("UPDATE devices SET retired_at = %s WHERE id = 'd-1'", (at,)),
        ("UPDATE household_doors SET to_at = %s WHERE device_id = 'd-1'", (at,)),
        (
            "INSERT INTO devices (id, site_id, kind, supervision_s, registered_at)"
            " VALUES ('d-new', %s, 'controller', 7200, %s)",
            (SITE, at),
        ),
        (
            "INSERT INTO household_doors (household_id, device_id, role, from_at) VALUES ('h-1', 'd-new', 'dwelling', %s)",
            (at,),
        ),
    )
    return Door("d-new", boot="ee" * 8, booted_ms=at_ms - MINUTE)


def crossings(community: Community) -> list[tuple[int, object]]:
    rows = community.rows("SELECT stage, at FROM stage_crossings WHERE household_id = 'h-1' ORDER BY at")
    return [(row["stage"], row["at"]) for row in rows]


def test_a_replaced_device_goes_on_where_the_old_one_stopped(street: Community) -> None:
    old = street.doors[1]
    street.start_ingest()
    street.move_to(
        BEGIN_MS + MINUTE, [old.opening(BEGIN_MS + MINUTE), street.doors[2].opening(BEGIN_MS + MINUTE)]
    )
    hours(street, 1, 10, old)
    new = replace_device(street, BEGIN_MS + 10 * HOUR)
    at = BEGIN_MS + 10 * HOUR + MINUTE
    street.move_to(at, [new.heartbeat(at)])
    hours(street, 11, 25, new)
    street.settle()
    assert crossings(street) == [(1, as_datetime(BEGIN_MS + DAY + MINUTE))], (
        "no minute was lost between the two"
    )
    assert street.rows("SELECT 1 FROM checks_due WHERE household_id = 'h-1'") == []
    assert street.technical(everything=True) == [], "the old one is silent because it was taken off the wall"
    state = street.rows("SELECT known FROM household_states WHERE household_id = 'h-1'")
    assert state == [{"known": True}]


def test_the_new_device_alone_is_evidence_once_the_door_is_its(street: Community) -> None:
    old = street.doors[1]
    street.start_ingest()
    street.move_to(BEGIN_MS + MINUTE, [old.opening(BEGIN_MS + MINUTE)])
    hours(street, 1, 5, old)
    new = replace_device(street, BEGIN_MS + 5 * HOUR)
    street.move_to(
        BEGIN_MS + 6 * HOUR, [old.opening(BEGIN_MS + 6 * HOUR), new.heartbeat(BEGIN_MS + 6 * HOUR)]
    )
    street.move_to(BEGIN_MS + 6 * HOUR + SECOND)
    state = "SELECT evidence_at FROM household_states WHERE household_id = 'h-1'"
    assert street.rows(state) == [{"evidence_at": as_datetime(BEGIN_MS + MINUTE)}]
    street.move_to(BEGIN_MS + 7 * HOUR, [new.opening(BEGIN_MS + 7 * HOUR)])
    assert street.rows(state) == [{"evidence_at": as_datetime(BEGIN_MS + 7 * HOUR)}]


@pytest.mark.one_store
def test_a_home_whose_new_device_never_speaks_is_not_known_and_listed(street: Community) -> None:
    old = street.doors[1]
    street.start_ingest()
    street.move_to(BEGIN_MS + MINUTE, [old.opening(BEGIN_MS + MINUTE)])
    hours(street, 1, 10, old)
    replace_device(street, BEGIN_MS + 10 * HOUR)
    hours(street, 11, 26)
    street.settle()
    state = street.rows("SELECT known, check_step FROM household_states WHERE household_id = 'h-1'")
    assert state == [{"known": False, "check_step": 1}]
    assert crossings(street) == [], "time that nobody saw is no inactivity"
    due = street.rows("SELECT step, at FROM checks_due WHERE household_id = 'h-1'")
    assert due == [{"step": 1, "at": as_datetime(BEGIN_MS + DAY + MINUTE)}]
    assert street.technical() == [], "it has two days to be put in"
    hours(street, 27, 59)
    street.settle()
    assert street.technical() == ["device:d-new"]
    entries = street.rows(
        "SELECT e.words FROM case_entries e JOIN cases c ON c.id = e.case_id"
        " WHERE c.cause_key = 'device:d-new' ORDER BY e.id LIMIT 1"
    )
    assert entries == [{"words": "never_heard"}]
    new = Door("d-new", boot="ee" * 8, booted_ms=BEGIN_MS + 59 * HOUR)
    at = BEGIN_MS + 59 * HOUR + MINUTE
    street.move_to(at, [new.opening(at)])
    street.settle()
    assert street.technical() == []
    first = street.rows("SELECT heard_at FROM device_commissionings WHERE device_id = 'd-new'")
    assert first == [{"heard_at": as_datetime(at)}]


def test_a_shared_door_tells_of_its_own_people_from_the_moment_it_is_theirs(street: Community) -> None:
    lobby = Door("d-lobby", boot="dd" * 8)
    own = street.doors[1]
    change(
        street,
        ("INSERT INTO devices (id, site_id, kind, supervision_s, registered_at) VALUES ('d-lobby', %s, 'controller',"
         " 7200, %s)", (SITE, as_datetime(BEGIN_MS - DAY))),
        ("INSERT INTO credentials (token, class, household_id) VALUES ('c_her', 'resident', 'h-1'),"
         " ('c_other', 'resident', 'h-2')", ()),
    )  # fmt: skip
    street.start_ingest()
    street.move_to(BEGIN_MS + MINUTE, [own.opening(BEGIN_MS + MINUTE)])
    state = "SELECT evidence_at FROM household_states WHERE household_id = 'h-1'"

    def passes(hour: int, credential: str) -> object:
        at = BEGIN_MS + hour * HOUR
        passage = lobby.opening(at, type="AccessTaken", state=None, cred=credential, method="card")
        street.move_to(at, [passage, own.heartbeat(at)])
        street.move_to(at + SECOND)
        return street.rows(state)[0]["evidence_at"]

    assert passes(1, "c_her") == as_datetime(BEGIN_MS + MINUTE), "the door is not hers yet"
    change(
        street,
        ("INSERT INTO household_doors (household_id, device_id, role, from_at) VALUES ('h-1', 'd-lobby', 'shared', %s)",
         (as_datetime(BEGIN_MS + 2 * HOUR),)),
    )  # fmt: skip
    assert passes(3, "c_other") == as_datetime(BEGIN_MS + MINUTE), "somebody else went through"
    assert passes(4, "c_her") == as_datetime(BEGIN_MS + 4 * HOUR)
    change(
        street,
        ("UPDATE household_doors SET to_at = %s WHERE device_id = 'd-lobby'",
         (as_datetime(BEGIN_MS + 5 * HOUR),)),
    )  # fmt: skip
    assert passes(6, "c_her") == as_datetime(BEGIN_MS + 4 * HOUR), "it was hers until five"


def test_what_a_device_lost_for_good_is_counted_and_counted_again_when_it_comes_after_all(
    street: Community,
) -> None:
    door = street.doors[1]
    street.start_ingest()
    events = [door.event(BEGIN_MS + number * MINUTE, type="Bell", state=None) for number in range(1, 7)]
    at = BEGIN_MS + 10 * MINUTE
    # Of six events the first and the last arrive; the device can deliver from the fifth on.
    street.move_to(
        at,
        [
            stored_events(door, [events[0]]),
            stored_events(door, [events[5]]),
            door.heartbeat(at, first_seq=5),
        ],
    )
    street.move_to(at + SECOND)
    lost = "SELECT first_seq, lost FROM boot_losses"
    assert street.rows(lost) == [{"first_seq": 5, "lost": 3}]
    later = at + 20 * MINUTE
    street.move_to(later, [stored_events(door, [events[2]]), door.heartbeat(later, first_seq=5)])
    street.move_to(later + SECOND)
    assert street.rows(lost) == [{"first_seq": 5, "lost": 2}]


def test_heartbeats_that_stand_nowhere_in_time_are_counted_per_device(street: Community) -> None:
    door = street.doors[1]
    street.start_ingest()
    for minute in (1, 2, 3):
        at = BEGIN_MS + minute * MINUTE
        wrong = Door("d-1", boot="cc" * 8, booted_ms=BEGIN_MS + 50 * DAY - 400 * DAY)
        street.move_to(at, [wrong.heartbeat(BEGIN_MS + 50 * DAY), door.heartbeat(at)])
    street.move_to(BEGIN_MS + 5 * MINUTE)
    street.stop_ingest()
    counted = street.rows("SELECT device_id, implausible_heartbeats AS n FROM device_tallies")
    assert counted == [{"device_id": "d-1", "n": 3}]
