"""The morning board by digits, and the map, without a mouse; with ``KAIMEN_TEST_KEYBOARD=all`` the map is walked too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.browser.keys import FOCUS, Keyboard
from tests.browser.test_journeys import Desk, console_url, desk, world
from tests.integration.console_world import World

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["console_url", "desk", "world"]


def _hands(page: Page, url: str) -> Keyboard:
    return Keyboard(page, url, "zh")


def test_a_clerk_works_through_the_morning_board_by_digits(
    world: World, console_url: str, desk: Desk
) -> None:
    page = desk("clerk")
    _hands(page, console_url).to(href="/morning")
    page.keyboard.press("Enter")
    page.wait_for_url("**/morning")
    # The first home of the gravest column, by J; the visit is answered by its first key.
    page.wait_for_selector("body.is-live")
    page.keyboard.press("j")
    assert page.evaluate(FOCUS)["lit"]
    page.keyboard.press("1")
    page.wait_for_url(f"**/morning?next={world.task_ids['wang']}")
    page.wait_for_selector("[role=status]")
    page.wait_for_function(
        "(path) => document.activeElement?.getAttribute('formaction') === path",
        arg=f"/morning/results/{world.task_ids['zhao']}",
    )
    assert page.evaluate(FOCUS)["lit"]
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
    _hands(page, console_url).to(name="witness")
    page.keyboard.press("Enter")
    assert page.url.endswith(f"?next={world.task_ids['zhao']}")


@pytest.mark.skipif(os.environ.get("KAIMEN_TEST_KEYBOARD") != "all", reason="with KAIMEN_TEST_KEYBOARD=all")
def test_the_map_and_its_sections_are_walked_by_tab(world: World, console_url: str, desk: Desk) -> None:
    world.write("INSERT INTO buildings (site_id, name, x_m, y_m) VALUES ('site-wenchang', '3', 0, 0)")
    page = desk("clerk")
    page.goto(f"{console_url}/buildings")
    _hands(page, console_url).to(href="/buildings?building=3")
    page.keyboard.press("Enter")
    page.wait_for_url("**/buildings?building=3")
    _hands(page, console_url).to(href="/buildings?home=h-wang")
    page.keyboard.press("Enter")
    page.wait_for_url("**home=h-wang**")
