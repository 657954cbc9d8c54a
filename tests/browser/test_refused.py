"""Short journeys of a grid worker, an installer, an approver and an auditor, and everybody at somebody else's page.

A world of two communities enters; who may not see a page is told so in plain words, with no name on it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.browser.test_journeys import Desk, console_url, desk, world
from tests.integration.console_world import World

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["console_url", "desk", "world"]
NAMES = ("王秀英", "赵建国", "3-1-1201")


def _is_refused(page: Page, address: str, status: int) -> None:
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == status, address
    told = page.inner_text("main")
    assert told.strip(), address
    for name in NAMES:
        assert name not in page.content(), (address, name)


def test_a_grid_worker_records_by_one_key_and_stands_on_the_next_row(
    world: World, console_url: str, desk: Desk
) -> None:
    """On a phone with a keyboard, or at the grid's desk: begin, a digit, Enter; no mouse."""
    task_id = world.task_ids["wang"]
    # Somebody began it yesterday and let it go: the next one can begin, and is told the name then.
    world.write(
        "UPDATE tasks SET role = 'grid_worker', begun_at = %s WHERE id = %s",
        world.now - timedelta(days=1),
        task_id,
    )
    page = desk("grid")
    page.wait_for_url("**/tasks")
    assert "王秀英" not in page.content()
    page.focus(f"[data-row='task-{task_id}']")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/tasks/{task_id}")
    assert "王秀英" not in page.content()
    page.focus("form[action$='/begin'] button")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=status]")
    page.wait_for_selector("h1:has-text('王秀英')")
    values = page.eval_on_selector_all(
        "form.outcome [name=outcome]", "choices => choices.map((choice) => choice.value)"
    )
    page.keyboard.press(str(values.index("no_answer") + 1))
    assert page.is_checked("[name=outcome][value=no_answer]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tasks")
    page.wait_for_selector("[role=status]")
    done = world.rows("SELECT outcome FROM tasks WHERE id = %s", task_id)
    assert done == [{"outcome": "no_answer"}]
    # The task of another's community, and one that is nobody's of hers, are not there.
    _is_refused(page, f"{console_url}/tasks/{world.task_ids['zhao']}", 404)


def test_an_installer_sees_whether_a_door_is_heard_and_nobody_behind_it(
    world: World, console_url: str, desk: Desk
) -> None:
    page = desk("admin")
    page.click("nav a[href='/devices'] >> visible=true")
    page.wait_for_url("**/devices")
    assert page.locator("main table tbody tr").count() > 0
    page.goto(f"{console_url}/devices?only=troubled")
    for name in ("王秀英", "赵建国"):
        assert name not in page.content()
    _is_refused(page, f"{console_url}/cases/{world.case_ids['wang']}", 404)
    _is_refused(page, f"{console_url}/morning", 403)


def test_everybody_is_refused_at_the_pages_of_others(world: World, console_url: str, desk: Desk) -> None:
    wang = f"/cases/{world.case_ids['wang']}"
    for name, arrives, elsewhere in (
        ("director", "/portfolio", {wang: 403, "/alarms": 403}),
        ("supervisor", "/police/tickets", {"/police/look-up": 403, wang: 403}),
        ("auditor", "/audit", {"/police/tickets": 403, "/households/h-wang": 403}),
        ("police-b", "/police", {wang: 404, "/alarms": 403}),
    ):
        page = desk(name)
        page.wait_for_url(f"**{arrives}")
        assert page.locator("main h1").count() == 1
        for path, status in elsewhere.items():
            _is_refused(page, f"{console_url}{path}", status)
    # A terminal nobody registered says that it is none, and nothing else.
    _is_refused(page, f"{console_url}/kiosk/{'x' * 43}", 404)
