"""Hands on a keyboard and nothing else: keys enter a page, what stands on it leaves.

There is no mouse here, no script that fills or focuses, and no address typed after the first one but a link somebody was
sent. Wherever Tab comes to rest it can be seen that it does, it stands in the window and nothing covers it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kaimen.clock import ManualClock
from tests.browser.serving import serve_console
from tests.browser.test_look import OVERFLOW, SMALL
from tests.fix_clock import STORY_BEGINS_MS
from tests.fix_database import DatabaseServer, _fresh_name
from tests.integration.console_world import PASSWORD, World, build_world

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: Every person is seen wide and narrow, in Chinese and in English; ``KAIMEN_TEST_PAIRS=all`` shows all four.
LOOKS = [(1440, "zh"), (360, "en")]
if os.environ.get("KAIMEN_TEST_PAIRS") == "all":
    LOOKS += [(1440, "en"), (360, "zh")]
#: More stops than any of these pages has.
STOPS_MAX = 120
#: A machine under load answers late; it is the condition that is waited for.
PATIENCE_MS = 45_000

#: What has the focus, whether that is seen, and whether it stands in the window with nothing over it.
FOCUS = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const drawn = at.querySelector?.('rect, path') ?? at;
  const lit = [at, drawn, at.closest('.option')].filter(Boolean).some((one) => {
    const style = getComputedStyle(one);
    return (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0)
      || (one === drawn && one !== at && parseFloat(style.strokeWidth) >= 3);
  });
  const box = at.getBoundingClientRect();
  const x = Math.min(innerWidth - 1, Math.max(0, box.left + box.width / 2));
  const seenAt = (y) => {
    const over = document.elementFromPoint(x, y);
    return over && (at === over || at.contains(over) || over.contains(at));
  };
  const inside = box.bottom > 0 && box.top < innerHeight;
  const open = inside && [0.25, 0.5, 0.75].some((part) => seenAt(box.top + part * box.height));
  const form = at.form ?? at.closest('form');
  return {
    what: `${at.tagName} ${at.getAttribute('name') ?? ''} ${at.getAttribute('href') ?? at.textContent.trim().slice(0, 30)}`,
    tag: at.tagName.toLowerCase(), href: at.getAttribute('href') ?? '', name: at.getAttribute('name') ?? '',
    value: at.value ?? at.getAttribute('value') ?? '', action: form?.getAttribute('action') ?? '',
    row: at.closest('[data-row]')?.dataset.row ?? '', id: at.id, result: at.dataset.result ?? '',
    details: at.matches('summary') ? [...at.parentElement.querySelectorAll('form')].map((f) => f.getAttribute('action')).join(' ') : '',
    lit, inside, open,
  };
}"""


@dataclass
class Keyboard:
    """One person's keyboard before one page; ``page`` is for reading."""

    page: Page
    url: str
    language: str
    stops: int = 0
    complaints: list[str] = field(default_factory=list)

    # --- What hands can do -------------------------------------------------------------------------------------

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def at(self) -> dict[str, Any]:
        found: dict[str, Any] | None = self.page.evaluate(FOCUS)
        return found or {}

    def to(self, *, back: bool = False, **wanted: str) -> dict[str, Any]:
        """Tab to what is wanted: each value is the end of an href or an action, or the whole of anything else."""
        for _ in range(STOPS_MAX):
            self.press("Shift+Tab" if back else "Tab")
            self.stops += 1
            at = self.at()
            if not at:
                continue
            assert at["lit"], f"the focus cannot be seen on {at['what']} of {self.page.url}"
            assert at["inside"], f"the focus is outside the window on {at['what']} of {self.page.url}"
            assert at["open"], f"the focus is covered on {at['what']} of {self.page.url}"
            if all(_is(at, key, value) for key, value in wanted.items()):
                return at
        raise AssertionError(f"no way by Tab to {wanted} on {self.page.url}")

    def skip(self) -> None:
        """Past the navigation, by the first stop of the page."""
        self.press("Tab")
        assert self.at()["href"] == "#main", self.at()
        assert self.at()["lit"] and self.at()["inside"]
        self.press("Enter")
        self.page.wait_for_function("() => location.hash === '#main'")

    def go_to_row(self, name: str) -> None:
        """Down the list by its own key until a row has the focus."""
        for _ in range(STOPS_MAX):
            if self.at().get("row") == name:
                assert self.at()["lit"] and self.at()["open"], self.at()
                return
            self.press("j")
        raise AssertionError(f"no way by J to {name} on {self.page.url}")

    def hear(self, key: str, then: str = "*") -> None:
        """Press one of the page's own keys, which does what leads to another page."""
        self._mark()
        self.press(key)
        self.arrive(then)

    def follow(self, then: str, **wanted: str) -> None:
        """Tab to a link, Enter, and wait for the page it leads to."""
        self.to(**wanted)
        self.enter(then)

    def enter(self, then: str) -> None:
        """Press Enter where the focus is and wait for the page ``then``, read anew."""
        self._mark()
        self.press("Enter")
        self.arrive(then)

    def arrive(self, then: str) -> None:
        self.page.wait_for_function("() => !window.beforeTheKey", timeout=PATIENCE_MS)
        self.page.wait_for_url(f"**{then}", timeout=PATIENCE_MS)
        self.page.wait_for_load_state()
        self.ready()

    def send(self, then: str) -> None:
        """Press Enter on a form's button; the page that comes says what was done, and the focus is not lost."""
        self.enter(then)
        self.page.wait_for_selector("[role=status]")
        at = self.at()
        assert at, f"the focus was lost by an act that led to {self.page.url}"

    def choose(self, name: str, value: str) -> None:
        """Tab to a group of radios and go by arrows to one of them."""
        first = self.at() if self.at().get("name") == name else self.to(name=name)
        self.press("Space")
        for _ in range(20):
            at = self.at()
            assert at["name"] == name, (first, at)
            assert at["lit"], at
            if at["value"] == value:
                assert self.page.is_checked(f"[name={name}][value='{value}']")
                return
            self.press("ArrowDown")
        raise AssertionError(f"no {value} in {name}")

    def pick(self, name: str, value: str) -> None:
        """Tab to a list and go down to one of its values."""
        self.to(name=name, tag="select")
        for _ in range(60):
            if self.at()["value"] == value:
                return
            self.press("ArrowDown")
        raise AssertionError(f"no {value} in {name}")

    def write(self, text: str, *, back: bool = False, **wanted: str) -> None:
        """Tab to a field and type."""
        self.to(back=back, **wanted)
        self.type(text)

    def date(self, name: str, at: datetime) -> None:
        """Type an instant into a field of date and time, in whichever order this browser asks for its parts."""
        wanted = f"{at:%Y-%m-%dT%H:%M}"
        self.to(name=name)
        orders = (
            (f"{at:%m%d%Y}", f"{at:%I%M%p}"), (f"{at:%Y}", f"{at:%m%d%H%M}"), (f"{at:%d%m%Y}", f"{at:%H%M}"),
        )  # fmt: skip
        for first, then in orders:
            self.type(first)
            self.press("ArrowRight")
            self.type(then)
            if self.at()["value"] == wanted:
                return
            self.press(*["ArrowLeft"] * 6)
        raise AssertionError(f"{name} holds {self.at()['value']} instead of {wanted}")

    def open(self, form_action: str) -> None:
        """Tab to the part of the page that holds a form and unfold it."""
        at = self.to(details=form_action)
        if not self.page.evaluate("() => document.activeElement.parentElement.open"):
            self.press("Enter")
        assert self.page.evaluate("() => document.activeElement.parentElement.open"), at

    # --- Where a person begins ---------------------------------------------------------------------------------

    def begin(self, path: str) -> None:
        """The one address that is typed, or the link of a message."""
        self.page.goto(self.url + path)
        self.ready()

    def sign_in(self, name: str, *, then: str, path: str = "/sign-in") -> None:
        """Choose the language and sign in: the first field has the focus already."""
        self.begin(path)
        if self.language != "zh":
            self.to(name="language")
            self.enter("/sign-in**")
        self.page.wait_for_function("() => document.activeElement?.name === 'name'")
        self.type(name)
        self.press("Tab")
        self.type(PASSWORD)
        self.enter(then)
        assert self.page.get_attribute("html", "lang") == {"zh": "zh-CN", "en": "en"}[self.language]
        self.stops = 0

    def ready(self) -> None:
        """Wait until the page's script has run: keys pressed before that would be lost on nobody's page."""
        self.page.wait_for_selector("body[data-ready]", state="attached")

    def leave(self) -> None:
        """Sign out."""
        self.menu()
        self.to(action="/sign-out", tag="button")
        self.enter("/sign-in")

    def menu(self) -> None:
        """Where the window is narrow, open the sheet of all pages: the last stop of the page is its place."""
        if self.page.locator(".nav-bar > details > summary").is_visible():
            self.to(tag="summary", back=True)
            self.press("Enter")
            self.page.wait_for_selector(".nav-bar > details[open]")

    def is_sound(self, least: int = 44) -> None:
        """Nothing sticks out of the window, and whatever is pressed is large enough."""
        assert self.page.evaluate(OVERFLOW) == []
        assert self.page.evaluate(SMALL, least) == []

    def main(self) -> str:
        return self.page.inner_text("main")

    def _mark(self) -> None:
        self.page.evaluate("() => { window.beforeTheKey = true; }")


def _is(at: dict[str, Any], key: str, value: str) -> bool:
    found = at[key]
    if key in ("href", "action"):
        return bool(found.endswith(value))
    if key == "details":
        return value in found
    return bool(found == value)


# --- One console for each look ----------------------------------------------------------------------------------


@dataclass
class Street:
    """The world a file's people live in, served; nobody in it touches what another one's journey is about."""

    world: World
    url: str
    width: int
    language: str
    found: dict[str, str]

    def local(self, **ahead: float) -> datetime:
        """An instant of the story as a clock in Shanghai shows it."""
        return (self.world.now + timedelta(hours=8, **ahead)).replace(tzinfo=None)


@contextmanager
def open_street(
    server: DatabaseServer, template: str, look: tuple[int, str], furnish: Callable[[World], dict[str, str]]
) -> Iterator[Street]:
    name = _fresh_name("keys")
    url = server.create(name, template)
    world = build_world(url, ManualClock(STORY_BEGINS_MS))
    try:
        # Playwright's loop runs in this thread; what the world's own clients ask for needs one of its own.
        with ThreadPoolExecutor(1) as aside:
            found = aside.submit(furnish, world).result()
        with serve_console(world) as address:
            yield Street(world, address, *look, found)
    finally:
        world.close()
        server.drop(name)


Sit = Callable[[], Keyboard]


@contextmanager
def sit_down(browser: Browser, street: Street) -> Iterator[Sit]:
    """Give each who sits down a browser of her own; every complaint of a browser fails the test."""
    contexts, complaints = [], []

    def one() -> Keyboard:
        context = browser.new_context(
            locale="zh-CN", timezone_id="Asia/Shanghai",
            viewport={"width": street.width, "height": 900 if street.width > 1000 else 740},
            reduced_motion="reduce",
        )  # fmt: skip
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return Keyboard(page, street.url, street.language)

    yield one
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module", params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def look(request: pytest.FixtureRequest) -> tuple[int, str]:
    """How wide the window is, and the language."""
    found: tuple[int, str] = request.param
    return found


@pytest.fixture
def sit(chromium: Browser, street: Street) -> Iterator[Sit]:
    """Let somebody sit down before the street of the file that asks."""
    with sit_down(chromium, street) as one:
        yield one
