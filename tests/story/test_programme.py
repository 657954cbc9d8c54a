"""The programme in its own words: one day warns, two days telephone, three days somebody goes to the door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kaimen.vocabulary import Contacted, Outcome, Role
from tests.story.street import Street
from tests.unit.alerts.town import Town, build_town

pytestmark = [pytest.mark.slow, pytest.mark.one_store]
WANG = "3-1201"


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with build_town(database_url) as town:
        yield town


@pytest.fixture
def street(town: Town) -> Street:
    return Street(town, [WANG, "3-1202"])


def test_one_day_without_an_opening_starts_an_early_warning(street: Street) -> None:
    street.everybody_opens()
    street.until(day=1, hour=8, minute=30)
    assert street.cases() == []
    street.until(day=1, hour=9)
    warned = street.case(WANG)
    assert (warned["stage"], warned["state"]) == (1, "open")
    assert street.asked(WANG) == [], "a warning asks nobody to do anything yet"
    assert street.told(WANG) == set(), "it waits for the list: one that is gone by then goes to nobody"
    street.until(day=1, hour=17)
    assert street.told(WANG) == {"property_clerk", "family"}
    street.opens(WANG)
    assert street.last_case(WANG)["outcome"] == "resumed"


def test_two_days_are_a_telephone_call(street: Street) -> None:
    street.opens(WANG)
    street.until(day=2, hour=9)
    assert street.asked(WANG) == [("call", "property_clerk")]
    assert "property_clerk" in street.told(WANG)
    street.says_well("clerk", WANG, "call", how=Contacted.SPOKE, witness="Ms Li, desk")
    assert street.last_case(WANG)["outcome"] == "well"
    street.until(day=2, hour=20)
    assert WANG not in {case["household_id"] for case in street.cases()}
    street.until(day=3, hour=9)
    assert street.case(WANG)["stage"] == 1, "the word resets the days; it does not end the watch"


def test_a_call_of_the_night_waits_for_the_morning(street: Street) -> None:
    street.until(day=0, hour=23)
    street.opens(WANG)
    street.until(day=2, hour=23)
    assert street.hour_of(street.task(WANG, "call")["start_at"]) == (3, 7)
    street.until(day=3, hour=6)
    assert "call" not in street.steps_told(WANG)
    street.until(day=3, hour=7)
    assert "call" in street.steps_told(WANG)


def test_three_days_are_a_visit_to_the_door_and_the_neighbour_finds_her(street: Street) -> None:
    street.opens(WANG)
    street.until(day=3, hour=9)
    assert ("visit", "neighbour_watcher") in street.asked(WANG)
    assert {"property_clerk", "police_officer", "family"} <= street.told(WANG)
    street.goes_to_the_door("watcher", WANG)
    # The watcher opens with the key she was given: that shows nothing of the resident.
    street.opens(WANG)
    assert street.case(WANG)["state"] == "working"
    street.reports(
        "watcher", WANG, "visit", Outcome.HELPED, contacted=Contacted.SAW, witness="Ms Chen, neighbour",
        note="fallen in the bathroom, with 120 on the way",
    )  # fmt: skip
    found = street.last_case(WANG)
    assert (found["state"], found["outcome"]) == ("closed", "helped")
    word = street.town.row("SELECT how, witness, case_id FROM verified_contacts")
    assert (word["how"], word["witness"], word["case_id"]) == ("saw", "Ms Chen, neighbour", found["id"])


def test_nobody_goes_and_the_next_helper_is_asked_until_the_desk_itself(town: Town) -> None:
    street = Street(town, [WANG], helpers=["neighbour_watcher", "stairwell_liaison", "safety_guardian"])
    street.opens(WANG)
    street.until(day=3, hour=12)
    roles = town.rows("SELECT role FROM tasks WHERE kind = 'visit' ORDER BY id")
    assert [row["role"] for row in roles] == [
        "neighbour_watcher", "stairwell_liaison", "safety_guardian", "property_clerk",
    ]  # fmt: skip


def test_the_daughter_declares_a_holiday_and_the_neighbour_waters_the_plants(street: Street) -> None:
    street.opens(WANG)
    street.until(day=0, hour=12)
    street.daughter_declares_away(WANG, days=10)
    street.until(day=4, hour=9)
    assert WANG not in {case["household_id"] for case in street.cases()}, "an absence suspends the rule"
    street.opens(WANG)
    street.until(day=4, hour=10)
    question = street.case(WANG)
    assert question["cause"] == "absence"
    street.reports("daughter", WANG, "confirm_back", Outcome.NOT_BACK)
    street.until(day=8, hour=9)
    assert WANG not in {case["household_id"] for case in street.cases()}
    street.until(day=11, hour=12)
    assert street.case(WANG)["stage"] == 1, "its end is where the days begin again"


def test_she_comes_home_early_with_her_own_card_and_the_watch_resumes(street: Street) -> None:
    street.until(day=0, hour=12)
    street.daughter_declares_away(WANG, days=10)
    street.until(day=3, hour=9)
    street.opens(WANG, with_card=True)
    street.until(day=3, hour=12)
    assert WANG not in {case["household_id"] for case in street.cases()}, "nobody is asked what her card says"
    street.until(day=4, hour=9)
    assert street.case(WANG)["cause"] == "inactivity"


def test_the_officer_takes_over(street: Street) -> None:
    street.opens(WANG)
    street.until(day=3, hour=9)
    street.hands_over("clerk", WANG, Role.POLICE_OFFICER)
    assert ("visit", "police_officer") in street.asked(WANG)
    street.goes_to_the_door("officer", WANG)
    street.reports("officer", WANG, "visit", Outcome.NO_ANSWER, note="nobody answers, a light is on")
    assert street.case(WANG)["stage"] == 3, "nobody at the door ends nothing"
    assert "visit" in [kind for kind, _ in street.asked(WANG)], "somebody is asked to go again"


def test_a_dead_switch_is_one_case_and_sends_nobody_to_any_door(town: Town) -> None:
    homes = [f"5-{number}" for number in range(12)]
    street = Street(town, homes)
    street.everybody_opens()
    street.until(day=0, hour=12)
    street.is_powered = False
    street.until(day=1, hour=8)
    open_now = street.cases()
    assert [case["cause"] for case in open_now] == ["technical"]
    assert town.row("SELECT count(*) AS n FROM case_households WHERE to_at IS NULL")["n"] == 12
    assert {row["kind"] for row in town.rows("SELECT kind FROM tasks")} == {"device_check"}
    # Two days without sight of them: somebody telephones, one after another, and nobody is forgotten.
    street.until(day=2, hour=9)
    calls = town.rows("SELECT due_at FROM tasks WHERE kind = 'call' ORDER BY due_at")
    assert len(calls) == 12 and len({row["due_at"] for row in calls}) > 1
    assert town.rows("SELECT 1 FROM stage_crossings") == [], "what nobody could see is no inactivity"
    street.is_powered = True
    street.until(day=2, hour=10)
    assert "technical" not in {case["cause"] for case in street.cases()}
    assert len(street.cases()) == 12, "a switch that is mended has seen none of them"
    street.everybody_opens()
    assert street.cases() == []


def test_a_word_that_was_none_is_taken_back_and_the_days_count_on_from_before_it(street: Street) -> None:
    street.opens(WANG)
    street.until(day=2, hour=9)
    street.reports("clerk", WANG, "call", Outcome.WELL, contacted=Contacted.SPOKE, witness="Ms Li", lot=0.0)
    street.until(day=2, hour=12)
    assert [case["cause"] for case in street.cases() if case["household_id"] == WANG] == ["review"]
    street.reports("second", WANG, "review", Outcome.DOUBTED, note="the witness knows of no call")
    street.until(day=2, hour=13)
    assert street.case(WANG)["stage"] == 2, "the rule itself has found her again"
