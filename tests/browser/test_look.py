"""Every sample page in a real browser: nothing overflows, nothing is too small to hit, also at twice the text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.gallery import write_pages
from tests.browser.samples_more import PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: What sticks out to the right of the window, unless it scrolls inside a box of its own.
OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  const boxed = (e) => {
    for (let p = e.parentElement; p; p = p.parentElement) {
      if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX)) return true;
    }
    return false;
  };
  const sideways = [...document.querySelectorAll('.aside, .nav-wide, .tabs:not(nav), .card')]
    .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => `sideways: ${e.className}`);
  if (sideways.length) return sideways;
  return [...document.querySelectorAll('body *')]
    .filter((e) => e.getBoundingClientRect().right > width + 1 && e.getBoundingClientRect().width > 1 && !boxed(e)
      && getComputedStyle(e).position !== 'absolute')
    .slice(0, 5).map((e) => `${e.tagName}.${e.getAttribute('class')} ${e.textContent.slice(0, 30)}`);
}"""

#: Buttons, fields and navigation lower than they must be.
SMALL = """(least) => [...document.querySelectorAll('button, .btn, select, summary, .option, .nav-list a, .tabs a, '
    + 'input:not([type=hidden]):not([type=radio]):not(.option [type=checkbox])')]
  .filter((e) => e.checkVisibility() && !e.closest('.foot') && !e.closest('.foot-links'))
  .map((e) => [e.getBoundingClientRect().height, e.textContent.trim().slice(0, 30)])
  .filter(([height]) => height > 0 && height < least - 0.5)"""


@pytest.fixture(scope="module", params=["zh", "en"])
def pages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_pages(tmp_path_factory.mktemp("pages"), list(PAGES), request.param)


@pytest.fixture
def tab(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    options: dict[str, Any] = {"java_script_enabled": True}
    context = chromium.new_context(viewport={"width": request.param, "height": 800}, **options)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("tab", [360, 768, 1440], indirect=True)
def test_no_page_is_wider_than_the_window(tab: Page, pages: list[Path]) -> None:
    wide = {}
    for path in pages:
        tab.goto(path.as_uri())
        if found := tab.evaluate(OVERFLOW):
            wide[path.stem] = found
    assert wide == {}


@pytest.mark.parametrize("tab", [390, 1440], indirect=True)
def test_twice_the_text_loses_nothing(tab: Page, pages: list[Path]) -> None:
    wide = {}
    for path in pages:
        tab.goto(path.as_uri())
        tab.add_style_tag(content="html { font-size: 200%; }")
        if found := tab.evaluate(OVERFLOW):
            wide[path.stem] = found
    assert wide == {}


@pytest.mark.parametrize("tab", [360, 1440], indirect=True)
def test_whatever_is_pressed_is_large_enough_for_a_thumb(tab: Page, pages: list[Path]) -> None:
    small = {}
    for path in pages:
        tab.goto(path.as_uri())
        least = 60 if path.stem.startswith(("family", "field", "resident", "kiosk-", "kiosk.")) else 44
        if found := tab.evaluate(SMALL, least):
            small[path.stem] = found
    assert small == {}


@pytest.mark.parametrize("tab", [1440], indirect=True)
def test_the_door_list_prints_without_the_shell(tab: Page, pages: list[Path]) -> None:
    path = next(path for path in pages if path.stem.startswith("door-list."))
    tab.goto(path.as_uri())
    tab.emulate_media(media="print")
    assert tab.locator("nav.nav-wide").is_hidden()
    assert tab.locator(".door").count() == 4
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
