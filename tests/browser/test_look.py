"""Every sample page in a real browser: nothing overflows, nothing is too small to hit, also at twice the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

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


#: Both at once, after the window has the width that was asked for; no button is too small where ``least`` is 0.
LOOK = f"""([width, least]) => {{
  if (document.documentElement.clientWidth !== width) throw new Error(`${{document.documentElement.clientWidth}} px`);
  return {{ wide: ({OVERFLOW})(), small: least ? ({SMALL})(least) : [] }};
}}"""


@pytest.fixture(scope="module", params=["zh", "en"])
def pages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_pages(tmp_path_factory.mktemp("pages"), list(PAGES), request.param)


@pytest.fixture
def tab(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": request.param, "height": 800})
    yield context.new_page()
    context.close()


@dataclass(frozen=True)
class Findings:
    """What is wrong with which page at which width of the window."""

    wide: dict[str, list[str]] = field(default_factory=dict)
    wide_at_twice_the_text: dict[str, list[str]] = field(default_factory=dict)
    small: dict[str, list[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def findings(chromium: Browser, pages: list[Path]) -> Iterator[Findings]:
    """Every page, read once and looked at in every width: reading it again for each would take minutes."""
    context = chromium.new_context(viewport={"width": 1440, "height": 800})
    tab, found = context.new_page(), Findings()

    # What costs time is a change of the window, so that each width is gone to once, and by the shortest way.
    screen = context.new_cdp_session(tab)

    def widen(width: int) -> None:
        form = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        screen.send("Emulation.setDeviceMetricsOverride", form)

    widen(1440)
    for path in pages:
        tab.goto(path.as_uri())
        least = 60 if path.stem.startswith(("family", "field", "resident", "kiosk-", "kiosk.")) else 44
        for width in (1440, 768, 360):
            if width != 1440:
                widen(width)
            seen = tab.evaluate(LOOK, [width, least if width != 768 else 0])
            if seen["wide"]:
                found.wide[f"{path.stem} at {width}"] = seen["wide"]
            if seen["small"]:
                found.small[f"{path.stem} at {width}"] = seen["small"]
        tab.evaluate("document.documentElement.style.fontSize = '200%'")
        for width in (390, 1440):
            widen(width)
            if seen := tab.evaluate(LOOK, [width, 0])["wide"]:
                found.wide_at_twice_the_text[f"{path.stem} at {width}"] = seen
    yield found
    context.close()


def test_no_page_is_wider_than_the_window(findings: Findings) -> None:
    assert findings.wide == {}


def test_twice_the_text_loses_nothing(findings: Findings) -> None:
    assert findings.wide_at_twice_the_text == {}


def test_whatever_is_pressed_is_large_enough_for_a_thumb(findings: Findings) -> None:
    assert findings.small == {}


@pytest.mark.parametrize("tab", [1440], indirect=True)
def test_the_door_list_prints_without_the_shell(tab: Page, pages: list[Path]) -> None:
    path = next(path for path in pages if path.stem.startswith("door-list."))
    tab.goto(path.as_uri())
    tab.emulate_media(media="print")
    assert tab.locator("nav.nav-wide").is_hidden()
    assert tab.locator(".door").count() == 4
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # Who let it out of the house and when; nothing that can only be pressed.
    assert tab.locator(".print-line").is_visible()
    assert not [button for button in tab.locator("main button").all() if button.is_visible()]
    tab.emulate_media(media="screen")
    assert tab.locator(".print-line").is_hidden()


@pytest.mark.parametrize("tab", [360], indirect=True)
def test_whoever_puts_a_door_up_reads_on_a_phone_that_it_moved(tab: Page, pages: list[Path]) -> None:
    tab.goto(next(path for path in pages if path.stem.startswith("devices.")).as_uri())
    assert tab.locator("small.trial").is_visible()
