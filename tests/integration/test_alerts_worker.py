"""Happenings written by SQL enter, cases, tasks and messages in a real PostgreSQL leave."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from alerts import acts
from alerts.acts import ActRefused
from kaimen.database import connect, transaction
from kaimen.vocabulary import Contacted, Outcome, Role
from tests.unit.alerts.town import DAY, HOUR, MINUTE, MORNING, Town, build_town


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with build_town(database_url) as town:
        yield town


def test_the_three_days_of_one_household_are_one_case(town: Town) -> None:
    town.household("h1", helpers=["neighbour_watcher"])
    for stage in (1, 2, 3):
        town.at(MORNING + stage * DAY)
        town.crosses("h1", stage)
        town.settle()
    case = town.row("SELECT * FROM cases")
    assert (case["number"], case["stage"], case["state"]) == ("2025-1118-001", 3, "notified")
    kinds = town.rows("SELECT kind, role, state FROM tasks ORDER BY id")
    assert [(row["kind"], row["role"]) for row in kinds] == [
        ("call", "property_clerk"),
        ("visit", "neighbour_watcher"),
    ]
    steps = town.rows("SELECT DISTINCT step, state FROM outbox ORDER BY step")
    assert {row["step"] for row in steps} >= {"warning", "call", "visit"}
    assert case["next_action_at"] > town.now


def test_the_door_opens_after_a_day_and_nobody_is_told(town: Town) -> None:
    town.household("h1", family=["daughter"])
    crossing = town.crosses("h1", 1)
    town.settle()
    assert {row["state"] for row in town.rows("SELECT state FROM outbox")} == {"planned"}
    town.at(MORNING + 2 * HOUR)
    town.withdraws(crossing)
    town.settle()
    case = town.row("SELECT * FROM cases")
    assert (case["state"], case["outcome"], case["closed_by"]) == ("closed", "resumed", "evidence")
    assert {row["state"] for row in town.rows("SELECT state FROM outbox")} == {"superseded"}


def test_what_came_and_went_while_we_were_away_opens_and_closes_without_a_message(town: Town) -> None:
    town.household("h1")
    crossing = town.crosses("h1", 2)
    town.at(MORNING + 5 * HOUR)
    town.withdraws(crossing)
    town.settle()
    assert town.row("SELECT state, outcome FROM cases") == {"state": "closed", "outcome": "resumed"}
    assert town.rows("SELECT 1 FROM outbox") == []


def test_a_clerk_hears_that_she_is_well_and_the_detector_is_told(town: Town) -> None:
    town.household("h1")
    town.crosses("h1", 2)
    town.settle()
    case = town.row("SELECT * FROM cases")
    task = town.row("SELECT * FROM tasks")
    clerk = town.users["clerk"]
    with transaction(town.pool) as connection:
        acts.claim(connection, case_id=case["id"], user_id=clerk, now=town.now)
    with transaction(town.pool) as connection:
        acts.record_outcome(
            connection,
            task_id=task["id"],
            user_id=clerk,
            outcome=Outcome.WELL,
            contacted=Contacted.SPOKE,
            witness="Ms Li, clerk",
            now=town.now + MINUTE,
        )
    contact = town.row("SELECT * FROM verified_contacts")
    assert (contact["how"], contact["witness"], contact["case_id"]) == ("spoke", "Ms Li, clerk", case["id"])
    assert town.row("SELECT state, outcome, closed_by FROM cases WHERE cause = 'inactivity'") == {
        "state": "closed", "outcome": "well", "closed_by": f"user:{clerk}",
    }  # fmt: skip
    assert town.rows("SELECT 1 FROM registry_changes WHERE household_id = 'h1'")
    assert {row["state"] for row in town.rows("SELECT state FROM outbox")} == {"confirmed"}


def test_a_second_clerk_cannot_take_what_the_first_one_has(town: Town) -> None:
    town.household("h1")
    town.crosses("h1", 2)
    town.settle()
    case_id = town.row("SELECT id FROM cases")["id"]
    with transaction(town.pool) as connection:
        acts.claim(connection, case_id=case_id, user_id=town.users["clerk"], now=town.now)
    with pytest.raises(ActRefused, match="held_by_another"), transaction(town.pool) as connection:
        acts.claim(connection, case_id=case_id, user_id=town.users["second"], now=town.now)


def test_a_lease_that_ends_annunciates_the_case_again(town: Town) -> None:
    town.household("h1")
    town.crosses("h1", 2)
    town.settle()
    case_id = town.row("SELECT id FROM cases")["id"]
    with transaction(town.pool) as connection:
        acts.claim(connection, case_id=case_id, user_id=town.users["clerk"], now=town.now)
    town.at(MORNING + 30 * MINUTE)
    town.settle()
    case = town.row("SELECT holder_id, state FROM cases")
    assert case == {"holder_id": None, "state": "notified"}
    repetitions = town.rows("SELECT repetition FROM outbox WHERE channel = 'console' ORDER BY repetition")
    assert [row["repetition"] for row in repetitions] == [0, 1]


def test_three_hundred_doors_behind_one_gateway_are_one_case(town: Town) -> None:
    outages = []
    for number in range(30):
        town.household(f"h{number}")
        outages.append(town.goes_out(f"door-h{number}", cause="gateway", cause_id="gw-1"))
    town.settle()
    case = town.row("SELECT * FROM cases")
    assert (case["cause"], case["cause_key"], case["stage"]) == ("technical", "gateway:gw-1", 0)
    assert len(town.rows("SELECT 1 FROM case_households WHERE to_at IS NULL")) == 30
    assert [row["kind"] for row in town.rows("SELECT kind FROM tasks")] == ["device_check"]
    town.at(MORNING + HOUR)
    for outage in outages[:-1]:
        town.is_heard(outage)
    town.settle()
    assert town.row("SELECT state FROM cases")["state"] != "closed"
    assert len(town.rows("SELECT 1 FROM case_households WHERE to_at IS NULL")) == 1
    town.is_heard(outages[-1])
    town.settle()
    assert town.row("SELECT state, outcome FROM cases") == {"state": "closed", "outcome": "restored"}
    assert town.rows("SELECT 1 FROM case_households WHERE to_at IS NULL") == []


def test_a_device_coming_back_closes_the_technical_case_and_not_the_check(town: Town) -> None:
    town.household("h1")
    outage = town.goes_out("door-h1")
    town.at(MORNING + 2 * DAY)
    checks = [town.check_due("h1", 1), town.check_due("h1", 2)]
    town.settle()
    town.is_heard(outage)
    town.settle()
    states = {row["cause"]: row["state"] for row in town.rows("SELECT cause, state FROM cases")}
    assert states["technical"] == "closed"
    assert states["inactivity"] != "closed"
    assert [row["kind"] for row in town.rows("SELECT kind FROM tasks WHERE household_id = 'h1'")] == ["call"]
    for check in checks:
        town.check_ends(check)
    town.settle()
    assert {row["state"] for row in town.rows("SELECT state FROM cases")} == {"closed"}


def test_a_household_that_cannot_be_handled_is_set_aside_and_stops_nobody(town: Town) -> None:
    town.household("h1")
    town.household("h2")
    town.rows(
        "INSERT INTO happenings (kind, fact_id, household_id, at) VALUES ('crossing', 999, 'h1', %s)",
        town.now,
    )
    town.crosses("h1", 1)
    town.crosses("h2", 1)
    town.settle()
    elders = town.rows("SELECT household_id FROM cases WHERE cause = 'inactivity'")
    assert [row["household_id"] for row in elders] == ["h2"]
    assert town.row("SELECT cause_key FROM cases WHERE cause = 'technical'") == {"cause_key": "own:alerts:c1"}
    failed = town.row("SELECT failure, retry_at FROM happenings WHERE retry_at IS NOT NULL")
    assert failed["failure"].startswith("LookupError")
    assert town.row("SELECT at FROM service_progress WHERE service = 'alerts'")["at"] == town.now
    town.rows("DELETE FROM happenings WHERE fact_id = 999")
    town.at(MORNING + HOUR)
    town.settle()
    assert town.row("SELECT outcome FROM cases WHERE cause = 'technical'") == {"outcome": "restored"}


def test_keys_pressed_for_five_days_send_somebody_to_the_door(town: Town) -> None:
    town.household("h1")
    opened_at = MORNING - 2 * DAY
    town.rows(
        "INSERT INTO household_states (household_id, as_of, known, stage, check_step, evidence_at, evidence, base_ms,"
        " anchor_at, settled_ms) VALUES ('h1', %s, true, 2, 0, %s, '{}', 0, %s, 0)",
        town.now, opened_at, opened_at,
    )  # fmt: skip
    for day in (0, 2):
        town.at(MORNING + day * DAY)
        with transaction(town.pool) as connection:
            acts.record_remote_well(connection, household_id="h1", via="key", now=town.now)
        town.rows(
            'UPDATE household_states SET evidence_at = %s, evidence = \'{"kind": "verified"}\'', town.now
        )
    with pytest.raises(ActRefused, match="remote_too_often"), transaction(town.pool) as connection:
        acts.record_remote_well(connection, household_id="h1", via="key", now=town.now)
    town.settle()
    assert town.rows("SELECT 1 FROM cases") == []
    town.at(opened_at + 5 * DAY + MINUTE)
    town.settle()
    case = town.row("SELECT stage, evidence_at FROM cases")
    assert case == {"stage": 3, "evidence_at": opened_at}
    town.at(opened_at + 5 * DAY + HOUR)
    town.settle()
    assert len(town.rows("SELECT 1 FROM cases")) == 1


def test_progress_never_runs_ahead_of_ingest(town: Town) -> None:
    town.rows("INSERT INTO service_progress (service, at) VALUES ('ingest', %s)", MORNING + HOUR)
    town.at(MORNING + 2 * HOUR)
    town.settle()
    assert town.row("SELECT at FROM service_progress WHERE service = 'alerts'")["at"] == MORNING + HOUR


def test_a_consent_withdrawn_closes_at_once(town: Town) -> None:
    town.household("h1")
    town.crosses("h1", 2)
    worker = town.worker()
    town.settle(worker)
    town.rows("UPDATE consents SET withdrawn_at = %s WHERE household_id = 'h1'", town.now)
    worker.consent_changed = True
    town.settle(worker)
    assert town.row("SELECT state, outcome FROM cases") == {"state": "closed", "outcome": "consent_withdrawn"}


def test_a_case_closed_by_a_person_whose_ground_stands_on_is_opened_again(town: Town) -> None:
    town.household("h1")
    town.crosses("h1", 2)
    town.settle()
    task = town.row("SELECT id FROM tasks")["id"]
    with transaction(town.pool) as connection:
        acts.record_outcome(
            connection,
            task_id=task,
            user_id=town.users["clerk"],
            outcome=Outcome.AWAY,
            absence_until=town.now + 3 * DAY,
            now=town.now,
        )
    town.rows("UPDATE absences SET revoked_at = %s", town.now + HOUR)
    town.at(MORNING + 5 * HOUR)
    town.settle()
    again = town.row("SELECT * FROM cases WHERE state <> 'closed'")
    first = town.row("SELECT id FROM cases WHERE state = 'closed'")
    assert (again["stage"], again["reopened_from"]) == (2, first["id"])


def test_a_fault_of_the_sensor_opens_a_case_of_the_device_that_a_person_closes(town: Town) -> None:
    town.household("h1")
    town.crosses("h1", 2)
    town.settle()
    clerk = town.users["clerk"]
    call = town.row("SELECT id FROM tasks WHERE kind = 'call'")["id"]
    with transaction(town.pool) as connection:
        acts.record_outcome(
            connection,
            task_id=call,
            user_id=clerk,
            outcome=Outcome.SENSOR_FAULT,
            note="reed is loose",
            now=town.now,
        )
    device_case = town.row("SELECT * FROM cases WHERE cause = 'technical'")
    assert (device_case["cause_key"], device_case["community_id"]) == ("device:door-h1", "c1")
    assert town.row("SELECT state FROM cases WHERE cause = 'inactivity'")["state"] != "closed"
    check = town.row("SELECT id FROM tasks WHERE kind = 'device_check'")["id"]
    with transaction(town.pool) as connection:
        acts.record_outcome(connection, task_id=check, user_id=clerk, outcome=Outcome.RESTORED, now=town.now)
    assert town.row("SELECT outcome FROM cases WHERE cause = 'technical'") == {"outcome": "restored"}
    assert town.rows("SELECT 1 FROM case_households WHERE to_at IS NULL") == []


def test_a_death_two_people_report_ends_the_watch(town: Town) -> None:
    town.household("h1", family=["daughter"])
    town.crosses("h1", 3)
    town.settle()
    visit = town.row("SELECT id, case_id FROM tasks WHERE kind = 'visit'")
    clerk, second = town.users["clerk"], town.users["second"]
    with transaction(town.pool) as connection:
        acts.record_outcome(
            connection, task_id=visit["id"], user_id=clerk, outcome=Outcome.DECEASED, now=town.now
        )
    with pytest.raises(ActRefused, match="second_person_needed"), transaction(town.pool) as connection:
        acts.confirm_closing(
            connection, case_id=visit["case_id"], user_id=clerk, confirmed=True, now=town.now
        )
    with transaction(town.pool) as connection:
        acts.confirm_closing(
            connection, case_id=visit["case_id"], user_id=second, confirmed=True, now=town.now
        )
    assert town.row("SELECT state, outcome FROM cases") == {"state": "closed", "outcome": "deceased"}
    assert town.rows("SELECT 1 FROM consents WHERE purpose = 'watch' AND withdrawn_at IS NULL") == []
    assert town.rows("SELECT 1 FROM outbox WHERE state = 'planned'") == []


def test_acts_write_who_did_what_and_wake_the_console(town: Town) -> None:
    town.household("h1", helpers=["neighbour_watcher"])
    town.crosses("h1", 3)
    town.settle()
    task = town.row("SELECT id, case_id FROM tasks")
    clerk, watcher = town.users["clerk"], town.users["watcher"]
    with connect(town.url, service="test", autocommit=True) as listener:
        listener.execute("LISTEN kaimen_cases")
        with transaction(town.pool) as connection:
            acts.add_note(connection, case_id=task["case_id"], user_id=clerk, note="son called", now=town.now)
            acts.claim(connection, case_id=task["case_id"], user_id=clerk, now=town.now)
            acts.hold(
                connection, case_id=task["case_id"], user_id=clerk, reason="ten minutes", now=town.now,
                until=town.now + 10 * MINUTE,
            )  # fmt: skip
            acts.release(connection, case_id=task["case_id"], user_id=clerk, now=town.now)
            acts.hand_over(
                connection, case_id=task["case_id"], user_id=clerk, to_role=Role.POLICE_OFFICER, now=town.now
            )
        payloads = {notice.payload for notice in listener.notifies(timeout=2, stop_after=1)}
    assert payloads == {str(task["case_id"])}
    entries = town.rows("SELECT words, user_id FROM case_entries WHERE user_id IS NOT NULL ORDER BY id")
    assert [entry["words"] for entry in entries] == ["noted", "claimed", "held", "released", "handed_over"]
    assert {entry["user_id"] for entry in entries} == {clerk}
    with pytest.raises(ActRefused, match="task_ended"), transaction(town.pool) as connection:
        acts.begin_visit(connection, task_id=task["id"], user_id=watcher, now=town.now)
    with pytest.raises(ActRefused, match="unknown"), transaction(town.pool) as connection:
        acts.claim(connection, case_id=10_000, user_id=clerk, now=town.now)
