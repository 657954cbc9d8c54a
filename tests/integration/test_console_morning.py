"""The morning list: a board of a small community enters; results by one press, who saw them, and refusals leave."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from kaimen.clock import ManualClock
from tests.integration.console_world import World, build_world

pytestmark = pytest.mark.one_store


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.pool.close()


def _task(world: World, key: str) -> dict[str, object]:
    return world.rows(
        "SELECT state, outcome, contacted, witness, done_by FROM tasks WHERE id = %s", world.task_ids[key]
    )[0]


def test_one_press_records_who_spoke_by_what_means_and_goes_on_to_the_next_home(world: World) -> None:
    clerk = world.browser("clerk")
    answer = world.post(
        clerk, f"/morning/results/{world.task_ids['wang']}", result="saw", witness="楼长张建国"
    )
    assert (answer.status_code, answer.headers["location"]) == (
        303, f"/morning?next={world.task_ids['wang']}",
    )  # fmt: skip
    assert _task(world, "wang") == {
        "state": "done", "outcome": "well", "contacted": "saw", "witness": "楼长张建国",
        "done_by": world.user_ids["clerk"],
    }  # fmt: skip
    board = clerk.get(answer.headers["location"]).text
    found = board.split('data-fragment="results"', 1)[1]
    assert "楼长张建国" in found
    assert "clerk display" in found
    # The keys stand on the next home: the call about Zhao.
    (following,) = re.findall(r"<button[^>]*autofocus[^>]*>", board)
    assert f"/morning/results/{world.task_ids['zhao']}" in following
    last = world.rows("SELECT action, detail FROM audit_entries ORDER BY id DESC LIMIT 1")[0]
    assert (last["action"], last["detail"]["household"]) == ("outcome", "h-wang")


def test_pressed_twice_is_one_result_and_no_answer_needs_no_name(world: World) -> None:
    clerk = world.browser("clerk")
    path = f"/morning/results/{world.task_ids['zhao']}"
    for _ in range(2):
        assert world.post(clerk, path, result="no_answer").status_code == 303
    assert _task(world, "zhao")["outcome"] == "no_answer"
    assert world.rows("SELECT count(*) AS n FROM audit_entries WHERE action = 'outcome'")[0]["n"] == 1


def test_well_without_the_name_of_whoever_spoke_is_refused_in_words_on_the_board(world: World) -> None:
    clerk = world.browser("clerk")
    answer = world.post(clerk, f"/morning/results/{world.task_ids['zhao']}", result="spoke", witness="  ")
    assert answer.status_code == 409
    assert 'id="error-witness"' in answer.text
    assert _task(world, "zhao")["state"] == "open"
    assert world.post(clerk, f"/morning/results/{world.task_ids['zhao']}", result="well").status_code == 422


def test_a_clerk_of_another_community_finds_no_such_home_and_others_no_board(world: World) -> None:
    path = f"/morning/results/{world.task_ids['wang']}"
    assert world.post(world.browser("clerk-b"), path, result="saw", witness="x").status_code == 404
    for name in ("watcher", "police", "family", "admin", "committee"):
        assert world.post(world.browser(name), path, result="saw", witness="x").status_code == 403
    assert _task(world, "wang")["state"] == "open"


def test_that_somebody_is_away_is_not_told_by_the_list_of_results(world: World) -> None:
    clerk = world.browser("clerk")
    world.write(
        "UPDATE tasks SET state = 'done', outcome = 'hospital', done_at = %s, done_by = %s, witness = '邻居' WHERE id = %s",
        world.now, world.user_ids["clerk"], world.task_ids["zhao"],
    )  # fmt: skip
    board = clerk.get("/morning").text
    found = board.split('data-fragment="results"', 1)[1].split("</section>", 1)[0]
    assert "结果见案件页" in found
    assert "住院" not in found
    assert "邻居" not in found


def test_a_home_of_the_first_day_is_answered_before_anybody_is_asked(world: World) -> None:
    clerk, clerk_b = world.browser("clerk"), world.browser("clerk-b")
    path = "/morning/homes/h-sun"
    assert world.post(clerk_b, path, result="saw", witness="x").status_code == 404
    assert world.post(world.browser("watcher"), path, result="saw", witness="x").status_code == 403
    assert world.post(clerk, path, result="saw", witness=" ").status_code == 409  # nobody is named
    assert world.post(clerk, "/morning/homes/h-wang", result="saw", witness="x").status_code == 409
    # Nobody answers: it is noted, and neither the case nor what comes next moves.
    before = world.rows("SELECT state, stage, next_action_at FROM cases WHERE id = %s", world.case_ids["sun"])
    for _ in range(2):  # pressed twice it is said once
        assert world.post(clerk, path, result="no_answer").status_code == 303
    after = world.rows("SELECT state, stage, next_action_at FROM cases WHERE id = %s", world.case_ids["sun"])
    assert after == before
    # Then somebody sees her.
    answer = world.post(clerk, path, result="saw", witness="楼长张建国")
    assert answer.headers["location"] == "/morning?home=h-sun"
    done = world.rows(
        "SELECT kind, outcome, contacted, witness, done_by, state FROM tasks WHERE case_id = %s ORDER BY id",
        world.case_ids["sun"],
    )
    clerk_id = world.user_ids["clerk"]
    assert [tuple(row.values()) for row in done] == [
        ("call", "no_answer", None, None, clerk_id, "done"),
        ("visit", "well", "saw", "楼长张建国", clerk_id, "done"),
    ]
    closed = world.rows("SELECT state, outcome FROM cases WHERE id = %s", world.case_ids["sun"])
    assert closed == [{"state": "closed", "outcome": "well"}]
    assert world.rows("SELECT how, witness FROM verified_contacts WHERE household_id = 'h-sun'") == [
        {"how": "saw", "witness": "楼长张建国"}
    ]
    found = clerk.get("/morning").text.split('data-fragment="results"', 1)[1]
    assert "楼长张建国" in found
    last = world.rows("SELECT action, detail FROM audit_entries WHERE action = 'outcome' ORDER BY id")
    assert [entry["detail"]["household"] for entry in last] == ["h-sun", "h-sun"]
