"""Timers of many cases handled with few journeys to the database: the same rows as one by one, and nobody held up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from alerts import acts
from kaimen.database import transaction
from tests.unit.alerts.town import DAY, HOUR, MORNING, Town, build_town

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

_FINAL = (
    "SELECT c.household_id, c.number, c.state, c.stage, c.next_action, c.next_action_at, c.version,"
    " ARRAY(SELECT e.words FROM case_entries e WHERE e.case_id = c.id ORDER BY e.id) AS words,"
    " ARRAY(SELECT t.kind || t.role || t.state FROM tasks t WHERE t.case_id = c.id ORDER BY t.id) AS tasks,"
    " ARRAY(SELECT o.step || o.person || o.repetition || o.state FROM outbox o WHERE o.case_id = c.id"
    "   ORDER BY 1) AS messages"
    " FROM cases c ORDER BY c.household_id"
)


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with build_town(database_url) as town:
        yield town


def _homes(town: Town) -> None:
    for number in range(4):
        home = town.household(f"h{number}", helpers=["neighbour_watcher"] if number % 2 else [])
        for stage in range(1, 4 if number == 0 else 3):
            town.crosses(home, stage)


def _live(town: Town, claim_max: int) -> list[dict[str, Any]]:
    """Live half a day in which calls and visits come due and a lease ends; return what stands at its end."""
    worker = town.worker(claim_max=claim_max)
    town.settle(worker)
    held = town.row("SELECT id FROM cases WHERE household_id = 'h1'")["id"]
    with transaction(town.pool) as connection:
        acts.claim(connection, case_id=held, user_id=town.users["clerk"], now=town.now)
    for hours in (3, 12):
        town.at(town.now.replace(hour=MORNING.hour) + timedelta(hours=hours))
        town.settle(worker)
    return town.rows(_FINAL)


def test_due_cases_handled_together_become_what_they_become_one_by_one(town: Town) -> None:
    _homes(town)
    together = _live(town, claim_max=100)
    town.rows(
        "TRUNCATE cases, case_numbers, case_entries, tasks, outbox, deliveries, service_progress RESTART IDENTITY CASCADE"
    )
    town.rows("UPDATE happenings SET handled_at = NULL")
    town.clock = type(town.clock)(int(MORNING.timestamp() * 1000))
    assert _live(town, claim_max=1) == together
    assert len(together) == 4
    assert all("call_overdue" in row["words"] for row in together[1:]), together


def test_a_case_that_cannot_be_written_holds_up_no_other_and_is_tried_again(town: Town) -> None:
    _homes(town)
    worker = town.worker()
    town.settle(worker)
    before = {row["household_id"]: row["version"] for row in town.rows(_FINAL)}
    town.rows(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END $$"
    )
    town.rows(
        "CREATE TRIGGER refused BEFORE UPDATE ON cases FOR EACH ROW WHEN (OLD.household_id = 'h3')"
        " EXECUTE FUNCTION refuse()"
    )
    town.at(MORNING + 3 * HOUR)
    report = worker.turn()
    assert (report.failed, report.timers) == (1, 3)
    after = {row["household_id"]: row["version"] for row in town.rows(_FINAL)}
    assert [home for home in before if after[home] == before[home]] == ["h3"]
    town.rows("DROP TRIGGER refused ON cases")
    town.at(MORNING + 3 * HOUR + timedelta(minutes=10))
    town.settle(worker)
    assert {row["household_id"]: row["version"] for row in town.rows(_FINAL)}["h3"] > before["h3"]


def test_two_due_cases_of_one_home_are_handled_one_after_the_other(town: Town) -> None:
    _homes(town)
    town.settle()
    town.rows(
        "INSERT INTO cases (number, community_id, household_id, cause, cause_key, priority, grade, grounds, signal_count,"
        " stage, check_step, state, opened_at, stage_at, evidence, next_action, next_action_at, policy)"
        " SELECT 'x-1', community_id, household_id, 'sos', 'household:h2', 3, grade, grounds, 1, 0, 0, 'notified',"
        " opened_at, stage_at, evidence, 'tell_further', next_action_at, policy FROM cases WHERE household_id = 'h2'"
    )
    town.at(MORNING + DAY)
    town.settle()
    assert not town.rows("SELECT 1 FROM cases WHERE state <> 'closed' AND next_action_at <= %s", town.now)
