"""Presence, homecomings and signals through ingest and a real database: each fact once, whatever comes when."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from alerts.worker import Worker
from ingest.backfill import backfill
from ingest.rows.book import load_book
from ingest.signals.store import PROMPT_HOMES_MAX, TOGETHER_MS, DoorFacts, DoorTurn, Heard, Register
from kaimen.clock import ManualClock, as_datetime
from kaimen.database import open_pool
from tests.integration.ingest_street import (
    BEGIN_MS,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    SITE,
    Door,
    count,
    lay_out,
    publishing,
    rows,
    street,
)

History = list[tuple[int, str, bytes]]


def run(url: str, statement: str, *values: Any) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement, values)  # type: ignore[arg-type]


def add_credential(
    url: str, token: str, klass: str, household: str | None, valid_to_ms: int | None = None
) -> None:
    valid_to = None if valid_to_ms is None else as_datetime(valid_to_ms)
    run(
        url, "INSERT INTO credentials (token, class, household_id, valid_to) VALUES (%s, %s, %s, %s)",
        token, klass, household, valid_to,
    )  # fmt: skip


def tell_family(url: str, household: str = "h-1") -> None:
    run(
        url,
        "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES (%s, 'notify_family', 'she', %s)",
        household,
        as_datetime(BEGIN_MS),
    )
    run(
        url,
        "WITH u AS (INSERT INTO users (name, display_name, password_hash, role, created_at)"
        " VALUES ('son', 'son', '', 'family', %s) RETURNING id)"
        " INSERT INTO home_notices (household_id, user_id, came_home, changed_at) SELECT %s, id, true, %s FROM u",
        as_datetime(BEGIN_MS),
        household,
        as_datetime(BEGIN_MS),
    )


def said(door: Door, at_ms: int, *, delay_ms: int = 100, **fields: Any) -> tuple[int, str, bytes]:
    topic, payload = door.opening(at_ms, **fields)
    return at_ms + delay_ms, topic, payload


def passage(door: Door, at_ms: int, token: str, **fields: Any) -> History:
    return [
        said(door, at_ms, type="AccessGranted", state=None, cred=token, **fields),
        said(door, at_ms + SECOND),
        said(door, at_ms + SECOND + 1, type="AccessTaken", state=None, cred=token, **fields),
        said(door, at_ms + 6 * SECOND, state="Closed"),
    ]


def beats(door: Door, from_ms: int, to_ms: int) -> History:
    return [(at, *door.heartbeat(at)) for at in range(from_ms, to_ms, MINUTE)]


def play(url: str, *histories: History, until_ms: int, **how: Any) -> None:
    backfill(url, sorted(item for history in histories for item in history), until_ms=until_ms, **how)


def presence(url: str, household: str = "h-1") -> tuple[str, str]:
    (row,) = rows(url, f"SELECT * FROM household_presence WHERE household_id = '{household}'")
    return row["state"], row["ground"]["reason"]


def a_day_with_trouble(door: Door) -> History:
    """She comes home; a stranger tries three cards; the door is forced and held; she calls for help."""
    at = BEGIN_MS + HOUR
    return [
        *passage(door, at, "c-her", dir="in"),
        *[said(door, at + (20 + n) * MINUTE, type="Denied", state=None, cred="x-9") for n in range(3)],
        said(door, at + 2 * HOUR, type="DoorForcedOpen", state=None),
        said(door, at + 2 * HOUR + SECOND),
        said(door, at + 2 * HOUR + 5 * MINUTE, type="DoorOpenTooLong", state=None),
        said(door, at + 2 * HOUR + 19 * MINUTE, state="Closed"),
        said(door, at + 3 * HOUR, type="Sos", state=None),
        said(door, at + 3 * HOUR + 10 * SECOND, type="Sos", state=None),
        said(door, at + 4 * HOUR, type="Denied", state=None, cred="c-old", reason="expired"),
        said(door, at + 5 * HOUR, type="AccessTaken", state=None, cred="c-gone"),
    ]


def with_books(url: str) -> None:
    lay_out(url, homes=2)
    add_credential(url, "c-her", "resident", "h-1")
    add_credential(url, "c-old", "visitor", "h-1", BEGIN_MS)
    add_credential(url, "c-gone", "resident", "h-2", BEGIN_MS)
    tell_family(url)


EXPECTED = {
    ("stranger_denials", "h-1"): None,
    ("door_forced", "h-1"): "door_closed",
    ("door_held", "h-1"): "door_closed",
    ("sos", "h-1"): None,
    ("expired_pass", "h-1"): None,
    ("cancelled_card", "h-2"): None,
}


def told(url: str) -> dict[tuple[str, str], str | None]:
    found = rows(
        url,
        "SELECT s.kind, s.household_id, e.reason FROM signals s LEFT JOIN signal_ends e ON e.signal_id = s.id"
        " WHERE e.reason IS DISTINCT FROM 'merged'",
    )
    assert len({(row["kind"], row["household_id"]) for row in found}) == len(found)
    return {(row["kind"], row["household_id"]): row["reason"] for row in found}


def test_each_thing_that_happened_is_one_fact_with_its_row_for_alerts(database_url: str) -> None:
    with_books(database_url)
    door = Door()
    history = a_day_with_trouble(door)
    play(database_url, history, beats(door, BEGIN_MS, BEGIN_MS + 8 * HOUR), until_ms=BEGIN_MS + 8 * HOUR)
    assert told(database_url) == EXPECTED
    happened = rows(
        database_url,
        "SELECT kind, fact_id, household_id, at FROM happenings WHERE kind IN ('signal', 'signal_ended')",
    )
    facts = rows(database_url, "SELECT * FROM signals")
    begun = {row["fact_id"] for row in happened if row["kind"] == "signal"}
    assert begun == {row["id"] for row in facts}
    ended = {row["fact_id"] for row in happened if row["kind"] == "signal_ended"}
    assert ended == {row["signal_id"] for row in rows(database_url, "SELECT signal_id FROM signal_ends")}
    assert {(row["community_id"], row["site_id"], row["device_id"]) for row in facts} == {
        ("c-1", "west-gate", "door-1")
    }
    (stranger,) = [row for row in facts if row["kind"] == "stranger_denials"]
    assert stranger["at"] == as_datetime(BEGIN_MS + HOUR + 22 * MINUTE)
    (gone,) = [row for row in facts if row["kind"] == "cancelled_card"]
    assert gone["evidence"]["accepted"] is True


@pytest.mark.parametrize("seed", range(3))
def test_late_and_doubled_messages_end_in_the_same_facts_and_presence(database_url: str, seed: int) -> None:
    with_books(database_url)
    chance = random.Random(seed)
    door = Door()
    history = a_day_with_trouble(door)
    late = [(at + chance.randrange(7 * HOUR), topic, payload) for at, topic, payload in history * 2]
    until_ms = BEGIN_MS + 14 * HOUR
    # Written message by message, and the worker changed twice on the way.
    ordered = sorted(late)
    for number in range(3):
        part = [item for item in ordered if number <= (item[0] - BEGIN_MS) // (5 * HOUR) < number + 1]
        backfill(
            database_url,
            part,
            until_ms=min(until_ms, BEGIN_MS + (number + 1) * 5 * HOUR),
            messages_per_transaction=1,
        )
    assert told(database_url) == EXPECTED
    assert count(database_url, "homecomings") == 1
    assert presence(database_url)[0] == "unsure", "after her coming home the door was opened by somebody"


def test_she_comes_home_goes_out_and_the_family_is_told_of_the_first_alone(database_url: str) -> None:
    with_books(database_url)
    door = Door()
    until_ms = BEGIN_MS + 4 * HOUR
    history = passage(door, BEGIN_MS + HOUR, "c-her", dir="in")
    play(database_url, history, beats(door, BEGIN_MS, BEGIN_MS + 2 * HOUR), until_ms=BEGIN_MS + 2 * HOUR)
    assert presence(database_url) == ("in", "own_credential")
    (home,) = rows(database_url, "SELECT * FROM homecomings")
    assert (home["household_id"], home["ground"]["reason"]) == ("h-1", "own_credential")
    assert home["handled_at"] is None

    out = [said(door, BEGIN_MS + 3 * HOUR, dir="out")]
    more = beats(door, BEGIN_MS + 2 * HOUR, until_ms)
    play(database_url, out, more, until_ms=until_ms)
    assert presence(database_url) == ("out", "direction")
    assert count(database_url, "homecomings") == 1


@pytest.mark.one_store
@pytest.mark.parametrize("stored", [False, True], ids=["as it is shown", "after a start"])
def test_a_card_of_a_home_that_another_group_serves_is_nobodys_coming_home(
    database_url: str, stored: bool
) -> None:
    with_books(database_url)
    door, at_ms = Door(), BEGIN_MS + HOUR
    words = {"type": "AccessTaken", "state": None, "dir": "in"}
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        book = load_book(connection, now_ms=BEGIN_MS)
        known = {key: card for key, card in book.registry.credentials.items() if key != "c-gone"}
        found = {}
        for card in ("c-gone", "c-unlisted"):
            register = Register(book.device_no, book.household_no, known, [SITE])
            facts, heard = DoorFacts(), Heard(door.device, door.event(at_ms, cred=card, **words), at_ms)
            if stored:
                play(database_url, [said(door, at_ms, cred=card, **words)], until_ms=at_ms + MINUTE)
            turn = DoorTurn(at_ms + MINUTE, [] if stored else [heard], known={"h-1": True})
            facts.write(connection, register, turn, token=1)
            connection.commit()
            found[card] = presence(database_url)
            connection.execute("TRUNCATE door_events, household_presence")
            connection.commit()
    assert found == {"c-gone": ("unsure", "nothing_heard"), "c-unlisted": ("in", "own_credential")}


@pytest.mark.one_store
def test_of_a_crowd_of_doors_each_home_is_judged_once_a_second_and_none_is_forgotten(
    database_url: str,
) -> None:
    homes = PROMPT_HOMES_MAX + 1
    lay_out(database_url, homes=homes)
    doors = [Door(f"door-{number}") for number in range(1, homes + 1)]

    def written(kind: str) -> int:
        return count(database_url, "household_presence", f"ground ->> 'reason' = '{kind}'")

    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        book = load_book(connection, now_ms=BEGIN_MS)
        register = Register(book.device_no, book.household_no, book.registry.credentials)
        facts = DoorFacts()

        def turn(at_ms: int, **fields: Any) -> None:
            heard = [Heard(door.device, door.event(at_ms, **fields), at_ms) for door in doors]
            facts.write(connection, register, DoorTurn(at_ms, heard), token=1)
            connection.commit()

        turn(BEGIN_MS, dir="in")
        assert written("direction") == homes
        turn(BEGIN_MS + 300)  # each door moved again, and nobody says whose doing it was
        assert written("opened_since") == 0
        facts.write(connection, register, DoorTurn(BEGIN_MS + 999), token=1)
        connection.commit()
        assert written("opened_since") == 0
        facts.write(connection, register, DoorTurn(BEGIN_MS + TOGETHER_MS), token=1)
        connection.commit()
        assert written("opened_since") == homes


def test_a_silent_door_makes_presence_unsure_and_nothing_is_out_by_silence(database_url: str) -> None:
    with_books(database_url)
    door = Door()
    history = passage(door, BEGIN_MS + HOUR, "c-her", dir="in")
    heard = beats(door, BEGIN_MS, BEGIN_MS + 2 * HOUR)
    play(database_url, history, heard, until_ms=BEGIN_MS + 3 * HOUR)
    assert presence(database_url) == ("unsure", "door_not_known")


def test_nothing_is_derived_without_consent_nor_of_a_person_under_community_correction(
    database_url: str,
) -> None:
    with_books(database_url)
    run(database_url, "UPDATE consents SET withdrawn_at = given_at WHERE household_id = 'h-1'")
    run(database_url, "UPDATE households SET tenure = 'vacant'")
    run(
        database_url,
        "INSERT INTO persons (id, household_id, relation, category) VALUES ('p-2', 'h-2', 'resident', 'community_correction')",
    )
    doors = [Door(f"door-{number}", boot=f"{number:016x}") for number in (1, 2)]
    histories = [passage(door, BEGIN_MS + HOUR, f"c-{door.device}") for door in doors]
    histories += [passage(door, BEGIN_MS + 25 * HOUR, f"c-{door.device}") for door in doors]
    play(database_url, *histories, until_ms=BEGIN_MS + 27 * HOUR)
    assert count(database_url, "household_presence") == 0
    assert count(database_url, "homecomings") == 0
    assert [row["household_id"] for row in rows(database_url, "SELECT household_id FROM signals")] == ["h-1"]


def test_consent_withdrawn_takes_the_derived_presence_away(database_url: str) -> None:
    with_books(database_url)
    door = Door()
    play(database_url, passage(door, BEGIN_MS + HOUR, "c-her"), until_ms=BEGIN_MS + 2 * HOUR)
    assert count(database_url, "household_presence", "household_id = 'h-1'") == 1
    run(database_url, "UPDATE consents SET withdrawn_at = given_at WHERE household_id = 'h-1'")
    play(database_url, [], until_ms=BEGIN_MS + 3 * HOUR)
    assert count(database_url, "household_presence", "household_id = 'h-1'") == 0


def test_dwellings_whose_books_do_not_fit_are_found_once_and_end_when_they_fit(database_url: str) -> None:
    lay_out(database_url, homes=3)
    run(database_url, "UPDATE households SET tenure = 'vacant' WHERE id = 'h-1'")
    run(database_url, "UPDATE households SET tenure = 'rented' WHERE id <> 'h-1'")
    add_credential(database_url, "c-tenant", "resident", "h-2")
    add_credential(database_url, "c-staff", "staff", None)
    add_lease = (
        "INSERT INTO leases (id, household_id, from_at, to_at, occupants, recorded_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)"
    )
    begin = as_datetime(BEGIN_MS - 300 * DAY)
    run(database_url, add_lease, "l-2", "h-2", begin, as_datetime(BEGIN_MS - 3 * DAY), 1, begin)
    run(database_url, add_lease, "l-3", "h-3", begin, None, 1, begin)
    doors = [Door(f"door-{number}", boot=f"{number:016x}") for number in (1, 2, 3)]
    staff = passage(doors[0], BEGIN_MS + HOUR, "c-staff")
    play(database_url, staff, until_ms=BEGIN_MS + 2 * HOUR)
    kinds = "SELECT s.kind, s.household_id, e.reason FROM signals s LEFT JOIN signal_ends e ON e.signal_id = s.id ORDER BY s.id"
    assert [(row["kind"], row["household_id"]) for row in rows(database_url, kinds)] == [
        ("lease_ended_credential", "h-2")
    ]
    lived_in = [said(doors[0], BEGIN_MS + 3 * HOUR), said(doors[0], BEGIN_MS + 27 * HOUR)]
    crowd = [
        item
        for number, token in enumerate(("c-a", "c-b"))
        for item in passage(doors[2], BEGIN_MS + (3 + number) * HOUR, token)
    ]
    play(database_url, lived_in[:1], crowd, until_ms=BEGIN_MS + 9 * HOUR)
    assert count(database_url, "signals", "kind = 'vacant_opened'") == 0, "somebody looked in"
    play(database_url, lived_in[1:], until_ms=BEGIN_MS + 28 * HOUR)
    found = rows(database_url, kinds)
    assert {(row["kind"], row["household_id"]) for row in found} == {
        ("lease_ended_credential", "h-2"), ("vacant_opened", "h-1"), ("more_credentials", "h-3"),
    }  # fmt: skip
    assert len(found) == 3, "looked at every hour and told once"

    run(database_url, "UPDATE households SET tenure = 'owner' WHERE id = 'h-1'")
    run(database_url, "UPDATE credentials SET valid_to = %s WHERE token = 'c-tenant'", as_datetime(BEGIN_MS))
    run(database_url, "UPDATE leases SET occupants = 2 WHERE id = 'l-3'")
    play(database_url, [], until_ms=BEGIN_MS + 30 * HOUR)
    assert {row["kind"]: row["reason"] for row in rows(database_url, kinds)} == {
        "lease_ended_credential": "registered", "vacant_opened": "registered", "more_credentials": "ceased",
    }  # fmt: skip
    assert count(database_url, "happenings", "kind = 'signal_ended'") == 3


def test_a_call_for_help_is_told_by_the_running_service_at_once(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    door = Door()
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        made.move_clock(BEGIN_MS + HOUR)
        publisher.send(*door.opening(BEGIN_MS + HOUR - SECOND, type="Sos", state=None))
        made.wait_for("signals", 1)
        made.wait_for("happenings", 1, "kind = 'signal'")
        publisher.send(*door.opening(BEGIN_MS + HOUR - SECOND // 2, type="DoorForcedOpen", state=None))
        made.wait_for("signals", 2)
        publisher.send(*door.opening(BEGIN_MS + HOUR, state="Closed"))
        made.wait_for("signal_ends", 1)
        publisher.send(*door.opening(BEGIN_MS + HOUR, type="DoorOpenTooLong", state=None))
        made.wait_for("door_events", 4)
        made.move_clock(BEGIN_MS + HOUR + 4 * MINUTE)
        made.wait_for(
            "ingest_leases", 1, f"pulse_at >= to_timestamp({(BEGIN_MS + HOUR + 4 * MINUTE) // 1000})"
        )
        assert count(database_url, "signals", "kind = 'door_held'") == 0
        made.move_clock(BEGIN_MS + HOUR + 6 * MINUTE)
        made.wait_for("signals", 1, "kind = 'door_held'")
    (sos,) = rows(database_url, "SELECT * FROM signals WHERE kind = 'sos'")
    assert (sos["household_id"], sos["device_id"]) == ("h-1", "door-1")


def test_a_value_the_database_refuses_stops_neither_events_nor_crossings(database_url: str) -> None:
    with_books(database_url)
    run(database_url, "ALTER TABLE signals ADD CONSTRAINT never CHECK (kind <> 'sos')")
    door = Door()
    play(database_url, a_day_with_trouble(door), until_ms=BEGIN_MS + 8 * HOUR)
    assert count(database_url, "door_events") == 15
    assert count(database_url, "household_states", "evidence_at > '2000-01-01'") == 2
    run(database_url, "ALTER TABLE signals DROP CONSTRAINT never")
    play(database_url, [], until_ms=BEGIN_MS + 9 * HOUR)
    assert told(database_url) == EXPECTED, "what was refused is judged again"


def test_what_ingest_tells_becomes_cases_that_somebody_works_on(database_url: str) -> None:
    with_books(database_url)
    door = Door()
    history = a_day_with_trouble(door)
    until_ms = BEGIN_MS + 8 * HOUR
    play(database_url, history, beats(door, BEGIN_MS, until_ms), until_ms=until_ms)
    pool = open_pool(database_url, service="test", size_max=2)
    try:
        worker = Worker(pool=pool, clock=ManualClock(until_ms), name="w1")
        for _ in range(50):
            report = worker.turn()
            if not report.more and not report.handled and not report.timers:
                break
        assert report.failed == 0
    finally:
        pool.close()
    assert count(database_url, "happenings", "handled_at IS NULL") == 0
    causes = {row["cause"] for row in rows(database_url, "SELECT cause FROM cases")}
    assert {"sos", "stranger", "credential"} <= causes


def batteries(url: str) -> list[tuple[str, str | None, dict[str, Any]]]:
    found = rows(
        url,
        "SELECT s.household_id, e.reason, s.evidence FROM signals s LEFT JOIN signal_ends e ON e.signal_id = s.id"
        " WHERE s.kind = 'battery_low' ORDER BY s.id",
    )
    return [(row["household_id"], row["reason"], row["evidence"]) for row in found]


def test_a_battery_is_told_days_before_its_door_is_silent_and_over_with_a_new_one(database_url: str) -> None:
    lay_out(database_url, homes=3)
    said_so, measured, retired = Door(), Door("door-2"), Door("door-3")

    def beat(door: Door, hour: int, percent: float) -> tuple[int, str, bytes]:
        return BEGIN_MS + hour * HOUR, *door.heartbeat(BEGIN_MS + hour * HOUR, batt=percent)

    low = [
        said(said_so, BEGIN_MS + HOUR, type="BatteryLow", state=None),
        *[beat(measured, hour, 11) for hour in range(4)],
        *[beat(retired, hour, 4) for hour in range(4)],
    ]
    # The second part is heard by another worker: what stands is in the database.
    play(database_url, low, until_ms=BEGIN_MS + 4 * HOUR, messages_per_transaction=1)
    assert sorted(batteries(database_url), key=str) == sorted(
        [
            ("h-1", None, {"own_word": True}),
            ("h-2", None, {"own_word": False, "percent": 11}),
            ("h-3", None, {"own_word": False, "percent": 4}),
        ],
        key=str,
    )
    happened = (
        "SELECT count(*) AS n FROM happenings WHERE kind = 'signal' AND household_id IN ('h-1', 'h-2', 'h-3')"
    )
    assert rows(database_url, happened) == [{"n": 3}]
    run(database_url, "UPDATE devices SET retired_at = %s WHERE id = 'door-3'", as_datetime(BEGIN_MS))
    renewed = [*[beat(measured, hour, 100) for hour in (5, 6)], *[beat(said_so, hour, 55) for hour in (5, 6)]]
    play(database_url, renewed, until_ms=BEGIN_MS + 7 * HOUR, messages_per_transaction=1)
    assert {(home, reason) for home, reason, _ in batteries(database_url)} == {
        ("h-1", None),
        ("h-2", "renewed"),
        ("h-3", "registered"),
    }
