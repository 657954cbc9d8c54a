"""Journeys without a mouse: a clerk, an officer and a grid worker work by Tab, letters, digits and Enter alone.

Wherever the focus is it can be seen: an outline, or a stroke, that the element has only while it is focused. With
``KAIMEN_TEST_KEYBOARD=all`` the map is walked too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.browser.test_journeys import Desk, console_url, desk, world
from tests.integration.console_world import World

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["console_url", "desk", "world"]

#: More stops than any of these pages has.
STOPS_MAX = 160
#: What is focused, and whether it can be seen that it is.
FOCUS = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const drawn = at.querySelector?.('rect, path') ?? at;
  const shown = [at, drawn].some((one) => {
    const style = getComputedStyle(one);
    return (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0)
      || style.boxShadow !== 'none' || (one !== at && parseFloat(style.strokeWidth) >= 3);
  });
  const box = at.getBoundingClientRect();
  return {
    what: `${at.tagName} ${at.getAttribute('name') ?? ''} ${at.getAttribute('href') ?? at.textContent.trim().slice(0, 30)}`,
    action: at.form?.getAttribute('action') ?? '', href: at.getAttribute('href') ?? '',
    formaction: at.getAttribute('formaction') ?? '', name: at.getAttribute('name') ?? '',
    value: at.getAttribute('value') ?? '', shown, inside: box.bottom > 0 && box.top < innerHeight,
  };
}"""


def tab_to(page: Page, **wanted: str) -> None:
    """Press Tab until what is wanted has the focus; every stop on the way must be seen and stand in the window."""
    for _ in range(STOPS_MAX):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUS)
        if at is None:
            continue
        assert at["shown"], f"the focus cannot be seen on {at['what']}"
        assert at["inside"], f"the focus is outside the window on {at['what']}"
        if all(value in at[key] for key, value in wanted.items()):
            return
    raise AssertionError(f"no way by Tab to {wanted} on {page.url}")


def test_a_clerk_works_through_the_morning_board_by_digits(
    world: World, console_url: str, desk: Desk
) -> None:
    page = desk("clerk")
    tab_to(page, href="/morning")
    page.keyboard.press("Enter")
    page.wait_for_url("**/morning")
    # The first home of the gravest column, by J; the visit is answered by its first key.
    page.wait_for_selector("body.is-live")
    page.keyboard.press("j")
    assert page.evaluate(FOCUS)["shown"]
    page.keyboard.press("1")
    page.wait_for_url(f"**/morning?next={world.task_ids['wang']}")
    page.wait_for_selector("[role=status]")
    page.wait_for_function(
        "(path) => document.activeElement?.getAttribute('formaction') === path",
        arg=f"/morning/results/{world.task_ids['zhao']}",
    )
    assert page.evaluate(FOCUS)["shown"]
    page.keyboard.press("2")
    page.wait_for_url(f"**/morning?next={world.task_ids['zhao']}")
    found = world.rows(
        "SELECT outcome, contacted FROM tasks WHERE id = ANY(%s) ORDER BY outcome",
        [world.task_ids["wang"], world.task_ids["zhao"]],
    )
    assert found == [
        {"outcome": "no_answer", "contacted": None}, {"outcome": "well", "contacted": "saw"},
    ]  # fmt: skip
    # Enter in the field of who spoke records nothing.
    tab_to(page, name="witness")
    page.keyboard.press("Enter")
    assert page.url.endswith(f"?next={world.task_ids['zhao']}")


def test_an_officer_asks_for_a_look_up_without_a_mouse(world: World, console_url: str, desk: Desk) -> None:
    page = desk("police")
    page.goto(f"{console_url}/police")
    tab_to(page, href="/police/look-up")
    page.keyboard.press("Enter")
    page.wait_for_url("**/police/look-up")
    tab_to(page, name="case_number")
    page.keyboard.type("A-2025-77")
    for name in ("from", "to"):
        tab_to(page, name=name)
    send = page.locator("main form:has([name=case_number]) button").last
    send.focus()
    assert page.evaluate(FOCUS)["shown"]
    page.keyboard.press("Enter")
    # What is missing is said beside its field, and the form is still hers.
    page.wait_for_selector(".field-error")
    assert page.input_value("[name=case_number]") == "A-2025-77"


def test_a_grid_worker_reaches_a_task_and_its_way_back_by_tab_alone(
    world: World, console_url: str, desk: Desk
) -> None:
    task_id = world.task_ids["wang"]
    world.write("UPDATE tasks SET role = 'grid_worker' WHERE id = %s", task_id)
    page = desk("grid")
    page.wait_for_url("**/tasks")
    tab_to(page, href=f"/tasks/{task_id}")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/tasks/{task_id}")
    tab_to(page, action=f"/tasks/{task_id}/begin")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=status]")
    tab_to(page, name="outcome")
    page.keyboard.press("Space")
    tab_to(page, name="witness")
    page.keyboard.type("楼长张建国")
    page.goto(f"{console_url}/tasks/{task_id}")
    tab_to(page, href="/tasks")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tasks")


@pytest.mark.skipif(os.environ.get("KAIMEN_TEST_KEYBOARD") != "all", reason="with KAIMEN_TEST_KEYBOARD=all")
def test_the_map_and_its_sections_are_walked_by_tab(world: World, console_url: str, desk: Desk) -> None:
    world.write("INSERT INTO buildings (site_id, name, x_m, y_m) VALUES ('site-wenchang', '3', 0, 0)")
    page = desk("clerk")
    page.goto(f"{console_url}/buildings")
    tab_to(page, href="/buildings?building=3")
    page.keyboard.press("Enter")
    page.wait_for_url("**/buildings?building=3")
    tab_to(page, href="/buildings?home=h-wang")
    page.keyboard.press("Enter")
    page.wait_for_url("**home=h-wang**")
