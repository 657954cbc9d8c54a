"""The terminal of the entrance hall in a real browser, by touch: without scripts too, and forgetful of what was typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.test_journeys import console_url, world
from tests.browser.test_look import OVERFLOW, SMALL
from tests.integration.console_world import PASSWORD, World

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["console_url", "world"]
Sit = Callable[..., "Page"]
WIDTHS = (1440, 360)


@pytest.fixture
def sit(chromium: Browser, console_url: str) -> Iterator[Sit]:
    """Open a browser of a width, sign somebody in by the form where a name is given; complaints fail the test."""
    contexts, complaints = [], []

    def sit_down(width: int, name: str | None = None, *, scripts: bool = True) -> Page:
        context = chromium.new_context(
            locale="zh-CN", timezone_id="Asia/Shanghai", java_script_enabled=scripts,
            viewport={"width": width, "height": 800},
        )  # fmt: skip
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if name is not None:
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


def is_sound(page: Page, least: int = 44) -> None:
    """Nothing sticks out, and whatever is pressed is large enough."""
    assert page.evaluate(OVERFLOW) == []
    assert page.evaluate(SMALL, least) == []


def _terminal(sit: Sit, console_url: str) -> tuple[str, str]:
    """A terminal as the administrator registers it, and the code an elder draws."""
    admin = sit(1440, "admin")
    admin.goto(f"{console_url}/admin/kiosks")
    admin.fill("[name=place]", "3 栋大堂")
    admin.select_option("[name=community]", "wenchang")
    admin.get_by_role("button", name="登记终端").click()
    path = re.search(r"/kiosk/[\w-]{43}", admin.inner_text("main code"))
    resident = sit(1440, "resident")
    resident.goto(f"{console_url}/resident/cards")
    resident.get_by_role("button", name="生成密码").click()
    assert path
    return path[0], resident.inner_text(".code")


def test_without_scripts_an_elder_is_well_or_away_in_few_touches(
    world: World, sit: Sit, console_url: str
) -> None:
    path, code = _terminal(sit, console_url)
    for width in WIDTHS:
        page = sit(width, scripts=False)
        page.goto(f"{console_url}{path}")
        is_sound(page, 60)
        page.get_by_role("link", name="我很好").click()
        page.fill("[name=code]", code)  # what a reader types, with its Enter
        is_sound(page, 60)
        page.keyboard.press("Enter")
        page.wait_for_url("**/taken*")
        assert "谢谢" in page.inner_text("h1") and "王" not in page.inner_text("main")
        is_sound(page, 60)
        page.get_by_role("link", name="回到开始").click()
        page.get_by_role("link", name="我要外出").click()
        page.check("[name=days][value='3']")
        page.fill("[name=code]", code)
        page.get_by_role("button", name="我要外出").click()
        page.wait_for_url(re.compile("/(taken|noted)"))
    assert len(world.rows("SELECT 1 FROM absences WHERE household_id = 'h-wang'")) == 1


def test_a_terminal_forgets_what_was_typed(sit: Sit, console_url: str) -> None:
    path, _ = _terminal(sit, console_url)
    page = sit(360)
    page.clock.install()
    page.goto(f"{console_url}{path}/well")
    page.fill("[name=code]", "1234")
    page.clock.run_for(19_000)
    assert page.input_value("[name=code]") == "1234"
    page.keyboard.press("5")
    page.clock.run_for(19_000)
    assert page.input_value("[name=code]") == "12345"
    page.clock.run_for(2_000)
    page.wait_for_url(f"**{path}")
    page.go_back(wait_until="commit")
    assert "12345" not in page.content()
