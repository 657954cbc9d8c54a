"""Whole journeys of a clerk, a helper, police, an auditor and a family member in a real browser on a real database.

The console runs in this process on a clock that stands; what people type, press and read is all there is.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from console.app import create_app
from kaimen.clock import ManualClock
from kaimen.settings import ConsoleSettings
from tests.fix_servers import free_port
from tests.integration.console_world import PASSWORD, World, add_events, build_world

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Desk = Callable[[str], "Page"]
START_WITHIN_S = 20


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


@pytest.fixture
def console_url(world: World) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = ConsoleSettings(
        database_url=world.url, public_url=url, console_secure_cookies=False, console_audited_share=1.0
    )
    app = create_app(settings, world.clock, world.app_pool, wall=world.wall)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=5))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined,unused-ignore]
    started = threading.Event()
    start = server.startup

    async def startup(*arguments: Any, **values: Any) -> None:
        await start(*arguments, **values)
        started.set()

    server.startup = startup  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run)
    thread.start()
    assert started.wait(START_WITHIN_S)
    yield url
    app.state.services.hub.stop_soon()
    server.should_exit = True
    thread.join(START_WITHIN_S)


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


def test_a_clerk_claims_calls_and_closes(world: World, console_url: str, desk: Desk) -> None:
    page = desk("clerk")
    page.wait_for_selector("body.is-live")
    page.click(f"#case-{world.case_ids['zhao']}")
    page.wait_for_selector(f".aside form[action='/cases/{world.case_ids['zhao']}/claim']")
    page.keyboard.press("a")
    page.wait_for_selector("[role=status]")
    assert _case(world, "zhao")["holder_id"] == world.user_ids["clerk"]
    page.click(".aside .next a.primary")
    page.wait_for_url(f"**/tasks/{world.task_ids['zhao']}")
    # The full name and the number are hers now, and that she read them is written down.
    assert "赵建国" in page.inner_text("h1")
    _choose(page, "outcome", "well")
    _choose(page, "contacted", "spoke")
    page.fill("[name=witness]", "")
    page.click("form.outcome button")
    error = page.locator("#error-witness")
    error.wait_for()
    assert error.is_visible()
    assert page.get_attribute("[name=witness]", "aria-describedby") == "error-witness"
    assert page.is_checked("[name=outcome][value=well]")
    page.fill("[name=witness]", "李敏")
    page.click("form.outcome button")
    page.wait_for_url("**/tasks")
    closed = _case(world, "zhao")
    assert (closed["state"], closed["outcome"]) == ("closed", "well")
    evidence = world.rows("SELECT witness, how FROM verified_contacts WHERE household_id = 'h-zhao'")
    assert evidence == [{"witness": "李敏", "how": "spoke"}]
    page.goto(f"{console_url}/alarms?tab=closed")
    assert page.locator(f"#case-{world.case_ids['zhao']}").count() == 1
    page.goto(f"{console_url}/looked")
    seen = page.inner_text("main")
    for words in ("认领", "查看任务", "登记结果"):
        assert words in seen, words


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


def test_police_look_up_once_a_supervisor_agreed_and_an_auditor_judges_it(
    world: World, console_url: str, desk: Desk
) -> None:
    add_events(world, "d-h-wang", 3, credential="c-h-wang")
    page = desk("police")
    page.goto(f"{console_url}/police/look-up")
    page.click("main form .primary")
    for name in ("purpose", "case_number", "basis", "door"):
        assert page.locator(f"#error-{name}").is_visible(), name
    assert page.locator(".watermark").count() == 0
    _choose(page, "purpose", "missing_person")
    page.fill("[name=case_number]", "京公(2025)1121号")
    page.select_option("[name=basis]", "case_file")
    page.select_option("[name=door]", "d-h-wang")
    page.fill("[name=subject]", "王秀英")
    page.click("main form .primary")
    page.wait_for_url("**/police/tickets/*")
    ticket = page.url.rpartition("/")[2]
    assert page.locator(f"a[href='/police/look-up?ticket={ticket}']").count() == 0
    supervisor = desk("supervisor")
    supervisor.click(f"main a[href='/police/tickets/{ticket}']")
    supervisor.click("main button[value=grant]")
    assert supervisor.locator("#error-reason").is_visible()
    supervisor.fill("[name=reason]", "核实过案卷和家属的报案")
    # By keyboard: from the reason one key to the button.
    supervisor.keyboard.press("Tab")
    supervisor.keyboard.press("Enter")
    supervisor.wait_for_selector("[role=status]")
    page.reload()
    page.click(f"a[href='/police/look-up?ticket={ticket}']")
    assert page.locator(".watermark tbody tr").count() == 3
    assert "police display" in page.inner_text(".watermark")
    with page.expect_download() as taken:
        page.click("form[action$='/export'] button")
    assert taken.value.suggested_filename == f"kaimen-L-{ticket}.zip"
    clerk = desk("clerk")
    clerk.goto(f"{console_url}/looked?household=h-wang")
    seen = clerk.inner_text("main tbody")
    assert "police display" in seen
    assert "查找走失人员" in seen
    auditor = desk("auditor")
    card = auditor.locator("article:has(form)").first
    card.locator("[name=reason]").fill("案卷、家属报案和走失时间相符")
    card.locator("button[value=justified]").click()
    auditor.wait_for_selector("[role=status]")
    assert "案卷、家属报案和走失时间相符" in auditor.inner_text("main")


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


# --- The family --------------------------------------------------------------------------------------------------


def test_a_daughter_says_that_she_spoke_with_her_mother(world: World, console_url: str, desk: Desk) -> None:
    page = desk("family")
    page.set_viewport_size({"width": 390, "height": 844})
    assert "妈妈" in page.inner_text("h1")
    page.click("details:has(form[action$='/spoke']) summary")
    page.click("form[action$='/spoke'] .primary")
    assert page.locator("#error-contacted").is_visible()
    _choose(page, "contacted", "spoke")
    page.click("form[action$='/spoke'] .primary")
    page.wait_for_selector("[role=status]")
    words = world.rows("SELECT action FROM audit_entries WHERE action = 'family_word'")
    assert len(words) == 1
    page.click("[name=language]")
    page.wait_for_selector("html[lang=en]")
    assert "Mum's door" in page.inner_text("h1")
