"""What a clerk, a helper and police meet besides their straight way, in a real browser on a real database.

The console runs in this process on a clock that stands. The straight ways are walked by keyboard, in ``test_keys_*``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kaimen.clock import ManualClock
from tests.browser.serving import serve_console
from tests.integration.console_world import PASSWORD, World, build_world

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Desk = Callable[[str], "Page"]


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


@pytest.fixture
def console_url(world: World) -> Iterator[str]:
    with serve_console(world) as url:
        yield url


@pytest.fixture
def desk(chromium: Browser, console_url: str) -> Iterator[Desk]:
    """Sign somebody in, by the form, in a browser of her own; every complaint of a browser fails the test."""
    contexts, complaints = [], []

    def sit_down(name: str) -> Page:
        context = chromium.new_context(
            locale="zh-CN", timezone_id="Asia/Shanghai", viewport={"width": 1440, "height": 900}
        )
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{console_url}/sign-in")
        page.fill("[name=name]", name)
        page.fill("[name=password]", PASSWORD)
        page.click("main .primary")
        page.wait_for_url(lambda url: not url.endswith("/sign-in"))
        return page

    yield sit_down
    for context in contexts:
        context.close()
    assert complaints == []


def _case(world: World, key: str) -> dict[str, Any]:
    return world.rows("SELECT * FROM cases WHERE id = %s", world.case_ids[key])[0]


def _local(world: World, **ahead: float) -> str:
    """An instant of the story as ``<input type=datetime-local>`` takes it, in Shanghai."""
    return f"{world.now + timedelta(hours=8, **ahead):%Y-%m-%dT%H:%M}"


def _choose(page: Page, name: str, value: str) -> None:
    page.check(f"[name={name}][value={value}]")


# --- The clerk at the desk ---------------------------------------------------------------------------------------


def test_a_clerk_confirms_what_an_opening_only_proposes(world: World, console_url: str, desk: Desk) -> None:
    proposal = {
        "kind": "evidence", "outcome": "resumed", "by": None,
        "evidence_at": (world.now - timedelta(minutes=20)).isoformat(),
        "evidence": {"kind": "opening", "device": "d-h-wang"},
    }  # fmt: skip
    world.write(
        "UPDATE cases SET proposal = %s, proposal_at = %s WHERE id = %s",
        json.dumps(proposal),
        world.now,
        world.case_ids["wang"],
    )
    page = desk("clerk")
    page.goto(f"{console_url}/alarms?case={world.case_ids['wang']}")
    assert page.locator(".aside .primary").count() == 1
    # The instant of the opening itself, not of the question about it.
    assert "15:40 有开门记录" in page.inner_text("#confirm")
    page.fill(".aside [name=note]", "女儿也看到她了")
    page.click(".aside [name=confirmed][value=yes]")
    page.wait_for_selector("[role=status]")
    closed = _case(world, "wang")
    assert (closed["state"], closed["outcome"]) == ("closed", "resumed")


def test_a_clerk_reads_a_name_once_and_an_absence_has_an_end(
    world: World, console_url: str, desk: Desk
) -> None:
    page = desk("clerk")
    page.goto(f"{console_url}/cases/{world.case_ids['wang']}")
    assert "王秀英" not in page.content()
    page.click("summary:has-text('全名')")
    page.click("#reveal button")
    assert page.locator("#error-purpose").is_visible()
    page.select_option("#reveal [name=purpose]", "call_back")
    page.click("#reveal button")
    page.wait_for_selector("h1:has-text('王秀英')")
    page.goto(f"{console_url}/looked?household=h-wang")
    assert "查看全名" in page.inner_text("main")

    page.goto(f"{console_url}/households/h-sun")
    page.click("summary:has-text('报备外出')")
    page.fill("[name=to]", _local(world, days=31))
    ends = world.now + timedelta(days=31, hours=8)
    said = page.inner_text("[name=to] + .said-back")  # the browser's own order of day and month is nobody's
    assert said.startswith(f"{ends.year}年{ends.month}月{ends.day}日星期")
    assert said.endswith(f"{ends:%H:%M} · 31天后")
    page.click("form[action$='/absences'] .primary")
    assert page.locator("#error-to").is_visible()
    # The other language shows the same page again, not the form's address.
    page.click("[name=language]")
    page.wait_for_url("**/households/h-sun")
    page.click("summary:has-text('Declare an absence')")
    page.fill("[name=to]", _local(world, days=5))
    page.click("form[action$='/absences'] .primary")
    page.wait_for_selector("[role=status]")
    assert world.rows("SELECT count(*) AS n FROM absences WHERE household_id = 'h-sun'")[0]["n"] == 1
    page.goto(f"{console_url}/households")
    # No list tells which home is empty.
    row = page.locator("[data-row='home-h-sun']")
    assert row.locator("svg").count() == (0 if _is_away(world, "h-sun") else 2)


def _is_away(world: World, household_id: str) -> bool:
    row = world.rows("SELECT absent_until FROM household_states WHERE household_id = %s", household_id)[0]
    return row["absent_until"] is not None


# --- The helper in the stairwell ---------------------------------------------------------------------------------


def test_a_helper_goes_sees_her_and_closes(world: World, console_url: str, desk: Desk) -> None:
    page = desk("watcher")
    page.set_viewport_size({"width": 390, "height": 844})
    assert "王秀英" not in page.content()
    page.click(f"[data-row='task-{world.task_ids['wang']}']")
    page.click("form[action$='/begin'] button")
    page.wait_for_selector("[role=status]")
    page.wait_for_selector("h1:has-text('王秀英')")
    _choose(page, "outcome", "well")
    _choose(page, "contacted", "saw")
    page.fill("[name=witness]", "对门陈伟")
    page.click("form.outcome button")
    page.wait_for_url("**/tasks")
    closed = _case(world, "wang")
    assert (closed["state"], closed["outcome"]) == ("closed", "well")
    # What is done is no longer hers to read.
    answer = page.goto(f"{console_url}/tasks/{world.task_ids['wang']}")
    assert answer is not None
    assert "王秀英" not in page.content()


def test_a_form_sent_twice_acts_once(world: World, console_url: str, desk: Desk) -> None:
    page = desk("watcher")
    page.goto(f"{console_url}/tasks/{world.task_ids['wang']}")
    page.click("form[action$='/begin'] button")
    page.wait_for_selector("[role=status]")
    _choose(page, "outcome", "no_answer")
    page.evaluate(
        "() => { const form = document.querySelector('form.outcome'); form.requestSubmit(); form.requestSubmit(); }"
    )
    page.wait_for_url("**/tasks")
    done = world.rows(
        "SELECT count(*) AS n FROM audit_entries WHERE action = 'outcome' AND object_id = %s",
        str(world.task_ids["wang"]),
    )
    assert done[0]["n"] == 1
    assert _case(world, "wang")["state"] != "closed"


def test_two_who_press_at_once_are_told_apart(world: World, console_url: str, desk: Desk) -> None:
    world.write(
        "INSERT INTO users (name, display_name, password_hash, role, community_id, created_at)"
        " SELECT 'clerk-2', '李敏', password_hash, role, community_id, created_at FROM users WHERE name = 'clerk'"
    )
    first, second = desk("clerk"), desk("clerk-2")
    for page in (first, second):
        page.goto(f"{console_url}/cases/{world.case_ids['zhao']}")
    second.click("form[action$='/claim'] button")
    second.wait_for_selector("[role=status]")
    # The other's page learns of it by itself: there is nothing left to claim.
    first.wait_for_selector("form[action$='/claim']", state="detached")
    assert "李敏" in first.inner_text(".next")
    assert _case(world, "zhao")["holder_id"] != world.user_ids["clerk"]


# --- The police officer ------------------------------------------------------------------------------------------


def test_police_see_counts_before_the_third_stage_and_names_from_it(
    world: World, console_url: str, desk: Desk
) -> None:
    page = desk("police")
    named = page.inner_text("main .rows")
    assert "王秀英" in named
    assert "孙" not in named
    counts = page.inner_text("main table")
    assert "王" not in counts
    answer = page.goto(f"{console_url}/cases/{world.case_ids['sun']}")
    assert answer is not None
    assert answer.status == 404
    page.goto(f"{console_url}/cases/{world.case_ids['wang']}")
    page.click(".back-link")
    page.wait_for_url("**/police")


def test_signing_out_ends_it_here_and_a_forgotten_sign_in_elsewhere(
    world: World, console_url: str, desk: Desk
) -> None:
    here, elsewhere = desk("police"), desk("police")
    here.goto(f"{console_url}/sessions")
    assert here.locator("main li").count() == 2
    here.click("main li:not(:has(.tag)) button")
    here.wait_for_selector("[role=status]")
    assert here.locator("main li").count() == 1
    elsewhere.goto(f"{console_url}/police/look-up")
    elsewhere.wait_for_url("**/sign-in?next=/police/look-up")
    here.click(".foot form[action='/sign-out'] button")
    here.wait_for_url("**/sign-in")
    here.go_back()
    here.goto(f"{console_url}/police")
    here.wait_for_url("**/sign-in?next=/police")
