"""Visits: the form of four parts, the door nobody opens, several doors, and acts a phone sends late, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from alerts.worker import Worker
from console.visiting import ACT_AGE_MAX
from kaimen.clock import ManualClock
from tests.integration.console_world import World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

WHOLE = {"place": "inside", "health": "well", "economy": "well", "safety": "attention", "need": "well"}
MINUTE_MS = 60_000


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    built.write(
        "UPDATE tasks SET created_at = created_at - interval '2 days', start_at = start_at - interval '2 days'"
    )
    yield built
    built.close()


@pytest.fixture
def helper(world: World) -> httpx.Client:
    """The neighbour who has the visit."""
    client = world.browser("watcher")
    assert world.post(client, f"/cases/{world.case_ids['wang']}/claim").status_code == 303
    return client


def _task(world: World) -> str:
    return f"/tasks/{world.task_ids['wang']}"


def _entries(world: World) -> list[str]:
    rows = world.rows("SELECT words FROM case_entries WHERE case_id = %s ORDER BY id", world.case_ids["wang"])
    return [row["words"] for row in rows]


def _send(world: World, client: httpx.Client, *, minutes: float = 0, **changes: Any) -> httpx.Response:
    body = {
        "key": str(uuid4()), "task_id": world.task_ids["wang"], "kind": "begin", "fields": {},
        "done_ms": 1_000_000_000, "sent_ms": 1_000_000_000 + round(minutes * MINUTE_MS), **changes,
    }  # fmt: skip
    return client.post("/field/acts", json=body, headers={"x-kaimen-csrf": world.csrf(client)})


# --- The form ----------------------------------------------------------------------------------------------------


def test_a_form_is_on_the_case_with_place_and_second_person(world: World, helper: httpx.Client) -> None:
    assert "健康" in helper.get(f"{_task(world)}/visit").text
    answer = world.post(
        helper, f"{_task(world)}/visit", second_person="李敏", safety_note="电线老化", **WHOLE
    )
    assert answer.status_code == 303
    (form,) = world.rows("SELECT * FROM visit_forms")
    assert (form["household_id"], form["safety"], form["second_person"]) == ("h-wang", "attention", "李敏")
    assert form["signal_id"] is None
    assert "visit_form" in _entries(world)
    assert "电线老化" in world.browser("clerk").get(f"/cases/{world.case_ids['wang']}").text


@pytest.mark.parametrize("part", ["health", "economy", "safety", "need"])
def test_what_is_urgent_opens_a_case_at_once(world: World, helper: httpx.Client, part: str) -> None:
    values = {**WHOLE, part: "urgent", f"{part}_note": "倒在地上"}
    assert world.post(helper, f"{_task(world)}/visit", **values).status_code == 303
    Worker(pool=world.pool, clock=world.clock, name="test").turn()
    (case,) = world.rows("SELECT * FROM cases WHERE cause = 'sos'")
    assert (case["household_id"], case["priority"], case["state"]) == ("h-wang", 3, "notified")


def test_a_form_with_a_part_left_out_or_an_urgent_one_unexplained_is_not_taken(
    world: World, helper: httpx.Client
) -> None:
    assert world.post(helper, f"{_task(world)}/visit", place="inside", health="well").status_code == 422
    answer = world.post(helper, f"{_task(world)}/visit", **{**WHOLE, "need": "urgent"})
    assert answer.status_code == 422
    assert "请写明紧急情况" in answer.text
    assert world.rows("SELECT 1 FROM visit_forms") == []


def test_somebody_elses_visit_is_nobodys_business(world: World, helper: httpx.Client) -> None:
    for name in ("grid", "watcher-b", "clerk-b"):
        other = world.browser(name)
        for page in ("visit", "entry"):
            assert other.get(f"{_task(world)}/{page}").status_code == 404
            assert world.post(other, f"{_task(world)}/{page}", step="entered", **WHOLE).status_code == 404
    assert world.browser("family").get(f"{_task(world)}/visit").status_code == 403


# --- The door nobody opens ---------------------------------------------------------------------------------------


def _step(world: World, client: httpx.Client, step: str, **fields: str) -> int:
    return int(world.post(client, f"{_task(world)}/entry", step=step, **fields).status_code)


def test_each_step_is_timed_and_on_the_timeline_but_where_the_key_is(
    world: World, helper: httpx.Client
) -> None:
    for step, who in (
        ("family_phoned", "儿子"), ("neighbours_asked", ""), ("signs_looked_for", ""), ("police_present", "警号 0123"),
        ("entry_consented", "儿子"), ("second_person", "李敏"), ("key_handed_out", "张三保管"), ("entered", ""),
        ("key_returned", "儿子"),
    ):  # fmt: skip
        world.clock.advance_to(world.clock.now_ms() + MINUTE_MS)
        assert _step(world, helper, step, who=who) == 303, step
    times = [row["at"] for row in world.rows("SELECT at FROM entry_steps ORDER BY id")]
    assert times == sorted(set(times))
    assert _entries(world).count("entry_step") == 9
    clerk = world.browser("clerk").get(f"/cases/{world.case_ids['wang']}").text
    assert "警号 0123" in clerk
    assert "张三保管" not in clerk
    assert "张三保管" in helper.get(f"{_task(world)}/entry").text


def test_nobody_enters_alone_or_without_consent_and_no_key_comes_back_that_is_not_out(
    world: World, helper: httpx.Client
) -> None:
    assert _step(world, helper, "entered") == 409
    assert _step(world, helper, "entry_consented", who="") == 409
    assert _step(world, helper, "entry_consented", who="儿子") == 303
    assert _step(world, helper, "entered") == 409
    assert _step(world, helper, "key_returned", who="儿子") == 409
    assert [row["step"] for row in world.rows("SELECT step FROM entry_steps")] == ["entry_consented"]


# --- Acts sent late ----------------------------------------------------------------------------------------------


def test_an_act_is_dated_by_its_own_time_and_done_once(world: World, helper: httpx.Client) -> None:
    key = str(uuid4())
    first = _send(world, helper, key=key, minutes=30)
    assert first.json()["result"] == "done"
    again = _send(world, helper, key=key, minutes=45)
    assert (again.status_code, again.json()["result"]) == (200, "repeated")
    assert again.json()["at"] == first.json()["at"]
    (task,) = world.rows("SELECT begun_at FROM tasks WHERE id = %s", world.task_ids["wang"])
    assert task["begun_at"] == world.now - timedelta(minutes=30)
    assert len(world.rows("SELECT 1 FROM field_acts")) == 1


def test_a_result_of_the_stairwell_is_evidence_of_its_own_hour(world: World, helper: httpx.Client) -> None:
    fields = {"outcome": "well", "contacted": "saw", "witness": "李敏"}
    assert _send(world, helper, minutes=90, kind="outcome", fields=fields).status_code == 200
    (word,) = world.rows("SELECT at, witness FROM verified_contacts WHERE household_id = 'h-wang'")
    assert (word["at"], word["witness"]) == (world.now - timedelta(minutes=90), "李敏")


def test_a_form_and_a_step_come_late_too(world: World, helper: httpx.Client) -> None:
    urgent = {**WHOLE, "health": "urgent", "health_note": "胸痛"}
    key = str(uuid4())
    for _ in range(2):
        assert _send(world, helper, key=key, minutes=5, kind="form", fields=urgent).status_code == 200
    assert (
        _send(world, helper, minutes=4, kind="step", fields={"step": "neighbours_asked"}).status_code == 200
    )
    assert len(world.rows("SELECT 1 FROM visit_forms")) == 1
    assert len(world.rows("SELECT 1 FROM signals WHERE kind = 'sos'")) == 1
    (step,) = world.rows("SELECT at, recorded_at FROM entry_steps")
    assert step["recorded_at"] - step["at"] == timedelta(minutes=4)


@pytest.mark.parametrize("minutes", [ACT_AGE_MAX / timedelta(minutes=1) + 1, -10])
def test_what_is_too_old_or_of_the_future_is_refused_in_words(
    world: World, helper: httpx.Client, minutes: float
) -> None:
    answer = _send(world, helper, minutes=minutes)
    assert answer.status_code == 409
    assert "请告知值班室" in answer.json()["words"]
    assert world.rows("SELECT 1 FROM field_acts") == []


def test_a_refused_act_leaves_its_key_free_and_says_what_is_missing(
    world: World, helper: httpx.Client
) -> None:
    key = str(uuid4())
    refused = _send(world, helper, key=key, kind="outcome", fields={"outcome": "well"})
    assert refused.status_code == 409 and refused.json()["words"]
    fields = {"outcome": "well", "contacted": "saw", "witness": "李敏"}
    assert _send(world, helper, key=key, kind="outcome", fields=fields).json()["result"] == "done"


def test_an_act_of_somebody_else_or_without_the_token_is_not_taken(
    world: World, helper: httpx.Client
) -> None:
    key = str(uuid4())
    assert _send(world, helper, key=key).status_code == 200
    assert _send(world, world.browser("watcher-b")).status_code == 404
    # Another person's key is no act of hers.
    assert _send(world, world.browser("clerk"), key=key).status_code == 409
    body = {"key": str(uuid4()), "task_id": 1, "kind": "begin", "done_ms": 1, "sent_ms": 1}
    assert helper.post("/field/acts", json=body).status_code == 403
    assert world.browser().post("/field/acts", json=body).status_code in (303, 401)


# --- Several doors -----------------------------------------------------------------------------------------------


def test_several_doors_stand_on_one_page_and_each_is_its_own_act(world: World) -> None:
    clerk = world.browser("clerk")
    text = clerk.get("/visits/results").text
    tasks = [world.task_ids["wang"], world.task_ids["zhao"]]
    for task_id in tasks:
        assert f'action="/visits/results/{task_id}"' in text
    refused = world.post(clerk, f"/visits/results/{tasks[1]}", outcome="well", contacted="spoke")
    assert refused.status_code == 409
    assert "请写下确认的人" in refused.text
    taken = world.post(clerk, f"/visits/results/{tasks[1]}", outcome="well", contacted="spoke", witness="赵")
    assert (taken.status_code, taken.headers["location"]) == (303, "/visits/results")
    words = world.rows("SELECT household_id FROM verified_contacts")
    assert [row["household_id"] for row in words] == ["h-zhao"]
    assert (
        world.post(world.browser("clerk-b"), f"/visits/results/{tasks[0]}", outcome="no_answer").status_code
        == 404
    )


# --- A visit that went to somebody else meanwhile ------------------------------------------------------------------


def _pass_on(world: World) -> None:
    """Let the visit go on to the next role, as half an hour without a result does."""
    world.write(
        "UPDATE tasks SET state = 'superseded', assignee_id = NULL WHERE id = %s", world.task_ids["wang"]
    )
    world.write(
        "UPDATE cases SET holder_id = NULL, lease_expires_at = NULL, state = 'notified' WHERE holder_id IS NOT NULL"
    )
    world.write(
        "INSERT INTO tasks (case_id, household_id, kind, role, state, created_at, start_at, due_at)"
        " VALUES (%s, 'h-wang', 'visit', 'grid_worker', 'open', %s, %s, %s)",
        world.case_ids["wang"], world.now, world.now, world.now + timedelta(hours=1),
    )  # fmt: skip


def test_what_a_helper_found_is_kept_when_the_visit_was_passed_on(world: World, helper: httpx.Client) -> None:
    _pass_on(world)
    found = {"outcome": "helped", "contacted": "saw", "witness": "李敏", "note": "摔倒了，坐着"}
    for _ in range(2):  # a press too many is no second word
        answer = world.post(helper, f"{_task(world)}/outcome", **found)
        assert (answer.status_code, answer.headers["location"]) == (303, "/tasks")
        assert "notice.said_late" in answer.headers["set-cookie"]
    assert _entries(world).count("said_late_met") == 1
    page = world.browser("clerk").get(f"/cases/{world.case_ids['wang']}").text
    assert "任务结束后补报：已帮助（见到本人，李敏）" in page and "摔倒了，坐着" in page
    (case,) = world.rows("SELECT state FROM cases WHERE id = %s", world.case_ids["wang"])
    assert case["state"] == "notified", "whoever is asked now goes all the same"
    gone = helper.get(_task(world))
    assert (gone.status_code, gone.headers["location"]) == (303, "/tasks")
    assert world.post(world.browser("watcher-b"), f"{_task(world)}/outcome", **found).status_code == 404
    # By telephone from the stairwell, with the form that asks for help: whatever became of her task.
    sent = _send(world, helper, kind="outcome", fields={"outcome": "no_answer"})
    assert (sent.status_code, sent.json()["url"]) == (200, "/tasks")
    fields = {**WHOLE, "health": "urgent", "health_note": "倒在地上"}
    assert _send(world, helper, kind="form", fields=fields).status_code == 200
    Worker(pool=world.pool, clock=world.clock, name="test").turn()
    assert len(world.rows("SELECT 1 FROM cases WHERE cause = 'sos'")) == 1
    assert _entries(world)[-2:] == ["said_late", "visit_form_urgent"]


def test_nobody_opened_the_family_reads_it_and_the_helper_may_go_back(
    world: World, helper: httpx.Client
) -> None:
    assert world.post(helper, f"{_task(world)}/outcome", outcome="no_answer").status_code == 303
    assert "有人上门，没有人应" in world.browser("family").get("/family").text
    world.write(
        "UPDATE household_states SET evidence_at = %s WHERE household_id = 'h-wang'",
        world.now + timedelta(seconds=1),
    )
    assert "没有人应" not in world.browser("family").get("/family").text, "something was heard of her since"
    world.write(
        "UPDATE household_states SET evidence_at = %s WHERE household_id = 'h-wang'",
        world.now - timedelta(days=3),
    )
    back = helper.get(_task(world))
    assert (back.status_code, back.headers["location"]) == (303, "/tasks")
    assert "notice.task_told" in back.headers["set-cookie"]
    assert world.browser("watcher-b").get(_task(world)).status_code == 404


def test_an_act_sent_again_is_known_when_its_task_is_done(world: World, helper: httpx.Client) -> None:
    found = {"outcome": "well", "contacted": "saw", "witness": "李敏"}
    key = str(uuid4())
    for result in ("done", "repeated"):
        answer = _send(world, helper, key=key, kind="outcome", fields=found)
        assert (answer.status_code, answer.json().get("result")) == (200, result), answer.text


def test_a_clerks_result_of_a_task_another_ended_is_not_lost(world: World, helper: httpx.Client) -> None:
    clerk, task = world.browser("clerk"), f"/tasks/{world.task_ids['zhao']}"
    assert world.post(clerk, f"/cases/{world.case_ids['zhao']}/claim").status_code == 303
    world.write(
        "UPDATE tasks SET state = 'done', outcome = 'no_answer', done_by = %s, done_at = %s WHERE id = %s",
        world.user_ids["director"], world.now, world.task_ids["zhao"],
    )  # fmt: skip
    answer = world.post(
        clerk, f"{task}/outcome", outcome="helped", contacted="spoke", witness="赵", note="送医"
    )
    assert answer.status_code == 303
    page = clerk.get(f"/cases/{world.case_ids['zhao']}").text
    assert "任务结束后补报" in page and "送医" in page
    refused = world.post(clerk, f"{task}/begin")
    assert refused.status_code == 409 and "任务" in refused.text.split("error-summary")[1].split("</div>")[0]
