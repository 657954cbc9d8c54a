"""Ingest with a real broker and a real database: what was acknowledged is committed, whatever is cut."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from ingest.groups.memory_limit import MemoryLimit
from ingest.restart.relief import LADEN_FROM_EVENTS, Relief
from kaimen.clock import SystemClock, as_datetime
from tests.fix_servers import wait_until
from tests.integration.ingest_street import (
    BEGIN_MS,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    SITE,
    Door,
    Publisher,
    count,
    device_id,
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


@pytest.mark.one_store
def test_a_worker_short_of_memory_takes_nothing_and_loses_nothing(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    door, held = Door(), [0]
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        (loop,) = made.start().loops
        made.move_clock(BEGIN_MS + HOUR)
        loop._relief = Relief(MemoryLimit(100, resident=lambda: held[0]), group="0")
        publisher.send_all([door.opening(BEGIN_MS + HOUR) for _ in range(50)])
        made.wait_for("door_events", 50)
        held[0] = 90
        publisher.send_all([door.opening(BEGIN_MS + HOUR) for _ in range(150)])
        made.wait_for("door_events", 200)
        state = loop._state
        assert state is not None
        tracks = state._detector._tracks
        wait_until(lambda: tracks["door-1"].held_count() < LADEN_FROM_EVENTS, "it lets go of what is stored")
        held[0] = 200
        wait_until(lambda: "raise KAIMEN_INGEST_MEMORY_MB" in loop.health.words, "it says what is wrong")
        publisher.send_all([door.opening(BEGIN_MS + HOUR) for _ in range(50)])
        made.wait_for("door_events", 250)
        held[0] = 0
        made.wait_until_listening()
    assert count(database_url, "door_events") == 250


def test_births_and_last_wills_and_vitals_are_kept_per_device(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    door = Door()
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        publisher.send(
            door.topic("state"),
            b'{"v":1,"status":"online","boot":"9f2c41d07be3a856","fw":"1.4.2"}',
            retain=True,
        )
        made.wait_for("device_states", 1, "status = 'online' AND facts->>'firmware' = '1.4.2'")
        publisher.send(*door.heartbeat(BEGIN_MS, batt=97, rssi=-67, unsent=3), qos=0)
        made.wait_for("device_states", 1, "(facts->>'battery')::float = 97 AND facts->>'unsent' = '3'")
        publisher.send(
            door.topic("state"), b'{"v":1,"status":"offline","boot":"9f2c41d07be3a856"}', retain=True
        )
        made.wait_for("device_states", 1, "status = 'offline' AND facts->>'firmware' = '1.4.2'")


def test_doors_behind_a_silent_gateway_are_one_cause(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url, homes=3, gateway=True)
    lay_out(database_url, homes=1, site="east-gate")
    gateway = Door("gateway-west-gate")
    doors = [Door(f"door-{number}") for number in (1, 2, 3)]
    elsewhere = Door("door-east-gate-1", site="east-gate")
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        for door in (gateway, *doors, elsewhere):
            publisher.send(*door.opening(BEGIN_MS, type="Bell", state=None))
        made.wait_for("door_events", 5)
        # Elsewhere the doors go on speaking; here everything stops at once.
        for step in range(1, 5):
            made.move_clock(BEGIN_MS + step * MINUTE)
            publisher.send(*elsewhere.opening(BEGIN_MS + step * MINUTE, type="Bell", state=None))
            made.wait_for("door_events", 5 + step)
        made.wait_for("outages", 4)
    found = rows(database_url, "SELECT * FROM outages WHERE heard_at IS NOT NULL ORDER BY device_id")
    assert {(row["cause"], row["cause_id"]) for row in found} == {("site", "west-gate")}, found
    assert [row["device_id"] for row in found] == ["door-1", "door-2", "door-3", "gateway-west-gate"]
    told = count(database_url, "happenings", "kind = 'outage_began'")
    assert told == 4, "before their first word devices have their time to be put in, and nobody is told"
    assert count(database_url, "happenings", "kind = 'outage_ended'") == 0
    assert count(database_url, "device_commissionings") == 5


def test_four_groups_share_the_sites_and_the_slowest_says_how_far_ingest_is(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    sites = [SITE, "east-gate", "tower-7", "garden", "river"]
    for site in sites:
        lay_out(database_url, site=site)
    with (
        street(database_url, broker_url, tmp_path, ingest_groups=4) as made,
        publishing(broker_url) as publisher,
    ):
        made.start()
        made.move_clock(BEGIN_MS + HOUR)
        for site in sites:
            publisher.send(*Door(device_id(1, site), site=site).opening(BEGIN_MS))
        made.wait_for("door_events", len(sites))
        made.move_clock(BEGIN_MS + 2 * HOUR)
    assert count(database_url, "ingest_leases", "groups = 4 AND token = 1 AND pulse_at IS NOT NULL") == 4
    assert count(database_url, "quarantine") == 0


def test_a_declared_absence_is_taken_over_while_running(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    door = Door()
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        publisher.send(*door.opening(BEGIN_MS))
        made.wait_for("door_events", 1)
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)"
                " VALUES ('h-1', %s, %s, 'travel', 'she', %s)",
                [as_datetime(BEGIN_MS + hours * HOUR) for hours in (1, 100, 0)],
            )
        made.move_clock(BEGIN_MS + 2 * HOUR)
        made.move_clock(BEGIN_MS + 2 * HOUR + SECOND)
        made.wait_for("household_states", 1, f"absent_until = '{as_datetime(BEGIN_MS + 100 * HOUR)}'")
        made.move_clock(BEGIN_MS + 80 * HOUR)
    assert count(database_url, "stage_crossings") == 0
    assert count(database_url, "checks_due") == 0


def test_a_wrong_clock_of_our_own_stops_admission_until_devices_confirm_it(
    database_url: str, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.pulse.CLOCK_RETRY_S", 0.2)
    lay_out(database_url, homes=6)
    clock = SystemClock()

    def speak(publisher: Publisher, skew_ms: int) -> None:
        now_ms = clock.now_ms()
        for number in range(1, 7):
            door = Door(f"door-{number}", boot=f"{number:016x}", booted_ms=now_ms - skew_ms - HOUR)
            publisher.send(*door.heartbeat(now_ms - skew_ms), qos=0)

    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        worker = made.start(clock="system")

        def refuses() -> bool:
            speak(publisher, 2 * MINUTE)
            return worker.health()[1].startswith("our clock is 12")

        wait_until(refuses, "ingest says that its clock is wrong", poll_s=0.1)
        publisher.send(*Door(booted_ms=clock.now_ms() - HOUR).opening(clock.now_ms()))
        for _ in range(3):
            wait_until(refuses, "ingest goes on saying so", poll_s=0.1)
            assert count(database_url, "door_events") == 0

        def listens_again() -> bool:
            speak(publisher, 0)
            return worker.health() == (True, "listening") and count(database_url, "door_events") == 1

        wait_until(listens_again, "the event is taken once devices agree", poll_s=0.1)
