"""Outages that move between causes, quarantine, and the order in which people are asked after, in a real database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.alerts.town import DAY, HOUR, MINUTE, MORNING, Town, build_town

pytestmark = [pytest.mark.slow, pytest.mark.one_store]


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with build_town(database_url) as town:
        yield town


def annunciations(town: Town) -> int:
    return len(town.rows("SELECT 1 FROM outbox WHERE channel = 'console' AND state <> 'superseded'"))


def test_doors_told_one_by_one_fold_into_the_gateway_that_shows_later(town: Town) -> None:
    outages = []
    for number in range(3):
        town.household(f"h{number}")
        outages.append(town.goes_out(f"door-h{number}"))
        town.settle()
    assert len(town.rows("SELECT 1 FROM cases WHERE state <> 'closed'")) == 3
    town.at(MORNING + 5 * MINUTE)
    for outage in outages:
        town.moves(outage, "gateway", "gw-1")
    town.settle()
    case = town.row("SELECT id, cause_key FROM cases WHERE state <> 'closed'")
    assert case["cause_key"] == "gateway:gw-1"
    closed = town.rows("SELECT outcome, closed_by FROM cases WHERE state = 'closed'")
    assert [row["outcome"] for row in closed] == ["folded"] * 3
    assert (
        len(town.rows("SELECT 1 FROM case_households WHERE to_at IS NULL AND case_id = %s", case["id"])) == 3
    )
    assert len(town.rows("SELECT 1 FROM case_households WHERE to_at IS NULL")) == 3
    assert annunciations(town) == 1, "what was told of the doors alone and not sent goes to nobody"
    assert [row["kind"] for row in town.rows("SELECT kind FROM tasks WHERE state = 'open'")] == [
        "device_check"
    ]
    for outage in outages:
        town.is_heard(outage)
    town.settle()
    assert town.row("SELECT outcome FROM cases WHERE id = %s", case["id"]) == {"outcome": "restored"}
    assert town.rows("SELECT 1 FROM case_households WHERE to_at IS NULL") == []


def test_begin_move_and_end_told_in_one_turn_leave_nothing_open(town: Town) -> None:
    town.household("h1")
    outage = town.goes_out("door-h1", cause="own", cause_id="ingest")
    town.moves(outage, "device", "door-h1")
    town.is_heard(outage)
    town.settle()
    cases = town.rows("SELECT cause_key, state, outcome FROM cases ORDER BY id")
    assert cases == [
        {"cause_key": "own:ingest:c1", "state": "closed", "outcome": "restored"},
        {"cause_key": "device:door-h1", "state": "closed", "outcome": "restored"},
    ]
    assert annunciations(town) == 0


def test_what_stays_silent_after_our_own_outage_keeps_a_case_of_its_own(town: Town) -> None:
    town.household("h1")
    town.household("h2")
    ours = [town.goes_out(f"door-h{number}", cause="own", cause_id="ingest") for number in (1, 2)]
    town.settle()
    town.is_heard(ours[0])
    town.moves(ours[1], "device", "door-h2")
    town.settle()
    open_cases = town.rows("SELECT cause_key FROM cases WHERE state <> 'closed'")
    assert open_cases == [{"cause_key": "device:door-h2"}]
    stood_for = town.rows("SELECT household_id FROM case_households WHERE to_at IS NULL")
    assert stood_for == [{"household_id": "h2"}]


def test_a_technical_case_annunciates_once_however_long_nobody_comes(town: Town) -> None:
    town.household("h1")
    town.goes_out("door-h1")
    town.settle()
    for hours in range(1, 96):
        town.at(MORNING + hours * HOUR)
        town.settle()
    assert town.rows("SELECT count(*) AS told FROM outbox")[0]["told"] == 1
    overdue = town.rows("SELECT at FROM case_entries WHERE words = 'device_check_overdue'")
    assert [row["at"] for row in overdue] == [MORNING + 4 * HOUR]
    case = town.row("SELECT state, next_action_at FROM cases")
    assert case["state"] != "closed"
    assert case["next_action_at"] > town.now


def quarantined(town: Town, topic: str, *, payload: str = "x") -> int:
    return int(
        town.row(
            "INSERT INTO quarantine (received_at, topic, channel, payload, payload_bytes, payload_sha256, reason,"
            " detail) VALUES (%s, %s, 'evt', %s, 1, sha256(%s), 'malformed_json', 'it is not JSON') RETURNING id",
            town.now, topic, payload.encode(), payload.encode(),
        )["id"]
    )  # fmt: skip


def test_unanswered_quarantine_is_one_case_for_each_site_until_none_waits(town: Town) -> None:
    worker = town.worker()
    ids = [quarantined(town, "kaimen/v1/a/b/s1/door-1/evt", payload=str(number)) for number in range(5)]
    quarantined(town, "kaimen/v1/a/b/s2/door-1/evt")
    town.settle(worker)
    assert town.rows("SELECT cause_key, community_id FROM cases ORDER BY 1") == [
        {"cause_key": "quarantine:s1", "community_id": "c1"},
        {"cause_key": "quarantine:s2", "community_id": "c2"},
    ]
    assert annunciations(town) == 2
    town.rows("UPDATE quarantine SET replayed_at = %s WHERE id = ANY(%s)", town.now, ids[:3])
    town.at(MORNING + HOUR)
    town.settle(worker)
    assert len(town.rows("SELECT 1 FROM cases WHERE state <> 'closed'")) == 2
    town.rows(
        "UPDATE quarantine SET answered_at = %s, answered_by = 'user:1' WHERE id = ANY(%s)", town.now, ids[3:]
    )
    town.at(MORNING + 2 * HOUR)
    town.settle(worker)
    assert town.row("SELECT cause_key, outcome FROM cases WHERE state = 'closed'") == {
        "cause_key": "quarantine:s1", "outcome": "restored",
    }  # fmt: skip
    assert annunciations(town) == 1


def test_a_message_that_names_no_site_of_ours_has_an_operator_too(town: Town) -> None:
    worker = town.worker()
    row = quarantined(town, "nonsense")
    town.settle(worker)
    assert town.row("SELECT cause_key FROM cases")["cause_key"] == "quarantine:unknown:c1"
    town.rows("UPDATE quarantine SET answered_at = %s WHERE id = %s", town.now, row)
    town.at(MORNING + HOUR)
    town.settle(worker)
    assert town.row("SELECT outcome FROM cases")["outcome"] == "restored"


def test_the_longest_unseen_and_frailest_are_due_first_whatever_order_they_come_in(town: Town) -> None:
    people = {"strong": (None, 1960), "old": (None, 1934), "frail": ("severely_disabled", 1934)}
    for name, (category, birth_year) in people.items():
        town.household(name)
        town.rows(
            "INSERT INTO persons (id, household_id, relation, category, birth_year) VALUES (%s, %s, 'resident', %s, %s)",
            f"p-{name}", name, category, birth_year,
        )  # fmt: skip
    town.household("longest")
    for name in ("strong", "old", "frail"):
        town.check_due(name, 2)
    town.check_due("longest", 3)
    town.settle()
    due = {
        row["household_id"]: row["due_at"]
        for row in town.rows("SELECT household_id, due_at FROM tasks WHERE kind = 'call'")
    }
    assert sorted(due, key=lambda name: due[name]) == ["frail", "old", "strong"]
    visit = town.row("SELECT role, due_at FROM tasks WHERE kind = 'visit'")
    assert (visit["role"], visit["due_at"]) == ("property_clerk", MORNING + HOUR), (
        "first of all, owned and due"
    )


def test_two_at_the_desk_ask_after_twice_as_many_at_once(town: Town) -> None:
    # Two clerks of c1 are at work: each due time stands for two people.
    for number in range(6):
        town.household(f"h{number}")
        town.check_due(f"h{number}", 2)
    town.settle()
    due = sorted(row["due_at"] for row in town.rows("SELECT due_at FROM tasks"))
    assert [(at - due[0]) // MINUTE for at in due] == [0, 0, 10, 10, 20, 20]
    town.rows("UPDATE users SET disabled_at = %s WHERE name = 'second'", MORNING)
    town.household("one-more")
    town.at(MORNING + DAY)
    town.check_due("one-more", 2)
    town.settle()
    last = town.row("SELECT start_at, due_at FROM tasks WHERE household_id = 'one-more'")
    assert last["due_at"] - last["start_at"] == 3 * HOUR, (
        "six people are before her, and one person is there to ask"
    )
