"""The first day's walk: a running demo enters, one small picture for each click of ``docs/walk.md`` leaves.

Start ``kaimen up --demo --dir DIR`` and run ``python -m tests.browser.walk OUT [--url URL]``. Each person
signs in with one click on the demo's sign-in page, as a visitor does; the clicks are counted, and more than three fail.
Pictures are reduced where Pillow is there.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.browser.keys import Keyboard
from tests.browser.pictures import ARGUMENTS, few_colours

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CLICKS_MAX = 3
BYTES_MAX = 80_000
DESK = (1440, 900)
PHONE = (390, 844)
NARROW = (360, 740)
DESK_SHOWN_WIDTH = 960


@dataclass
class Walk:
    """One person's way: clicks are counted, and the picture after each is kept."""

    page: Page
    name: str
    out: Path
    clicks: int = 0

    def click(self, what: str, *, then: str = "", picture: bool = True) -> None:
        self.clicks += 1
        if self.clicks > CLICKS_MAX:
            raise AssertionError(f"{self.name} needs more than {CLICKS_MAX} clicks")
        self.page.locator(what).first.click()
        if then:
            self.page.wait_for_selector(then)
        self.page.wait_for_load_state()
        if picture:
            self.take()

    def take(self) -> None:
        if self.page.locator("body[data-stream]").count():
            self.page.wait_for_selector("body.is-live")
        path = self.out / f"walk-{self.name}-{self.clicks}.png"
        self.page.screenshot(path=path)
        reduce(path)
        size = path.stat().st_size
        print(f"{path.name}: {size:,} bytes{' TOO LARGE' if size > BYTES_MAX else ''}  {self.page.url}")


def reduce(path: Path) -> None:
    """Store a picture with few colours, a desk's at two thirds of its width, where Pillow is at hand."""
    try:
        from PIL import Image  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    if picture.width > DESK_SHOWN_WIDTH:
        height = picture.height * DESK_SHOWN_WIDTH // picture.width
        picture = picture.resize((DESK_SHOWN_WIDTH, height), Image.Resampling.LANCZOS)
    few_colours(picture).save(path, optimize=True)


@contextmanager
def person(
    browser: Browser,
    url: str,
    out: Path,
    name: str,
    user: str,
    size: tuple[int, int] = DESK,
    *,
    pictures: bool = True,
) -> Iterator[Walk]:
    """Sit down at the sign-in page and choose who one is: the first click."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale="zh-CN", timezone_id="Asia/Shanghai"
    )
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.goto(url)
    walk = Walk(page, name, out)
    walk.click(f"form:has(input[name=name][value={user}]) button", picture=False)
    page.wait_for_url(lambda where: "/sign-in" not in where)
    if pictures:
        walk.take()
    yield walk
    context.close()


def clerk(browser: Browser, url: str, out: Path) -> None:
    with person(browser, url, out, "clerk", "clerk") as walk:
        walk.click("main .row:has(.mark-mid)", then=".aside form[action$='/claim']", picture=False)
        walk.click(".aside form[action$='/claim'] button", then="[role=status]")


def officer(browser: Browser, url: str, out: Path) -> None:
    with person(browser, url, out, "officer", "officer") as walk:
        walk.click("main a[href^='/police/look-up']")


def family(browser: Browser, url: str, out: Path) -> None:
    with person(browser, url, out, "family", "family", PHONE):
        pass


def helper(browser: Browser, url: str, out: Path) -> None:
    with person(browser, url, out, "helper", "watcher", PHONE) as walk:
        walk.click("main .row:has-text('上门询问')")
        walk.click("form[action$='/begin'] button", then="[role=status]")


def elder(browser: Browser, url: str, out: Path) -> None:
    with person(browser, url, out, "elder", "resident", PHONE) as walk:
        walk.click("a[href='/resident/looked']")


def installer(browser: Browser, url: str, out: Path) -> None:
    with person(browser, url, out, "installer", "admin") as walk:
        walk.click("nav a[href='/devices']")
        walk.click("main .tabs a[href*='troubled']")


def director(browser: Browser, url: str, out: Path) -> None:
    with person(browser, url, out, "director", "director"):
        pass


def committee(browser: Browser, url: str, out: Path) -> None:
    with person(browser, url, out, "committee", "committee"):
        pass


def auditor(browser: Browser, url: str, out: Path) -> None:
    with person(browser, url, out, "auditor", "auditor"):
        pass


def supervisor(browser: Browser, url: str, out: Path) -> None:
    """Nothing waits on the demo's first morning: an officer asks first, by keyboard."""
    with person(browser, url, out, "asking", "officer", pictures=False) as asking:
        hands = Keyboard(asking.page, url, "zh")
        hands.begin("/police/look-up")
        hands.choose("purpose", "missing_person")
        hands.write("京公(2026)1105号", name="case_number")
        hands.pick("basis", "case_file")
        hands.to(name="door", tag="select")
        hands.press("ArrowDown")
        hands.write("未永福", name="subject")
        hands.to(tag="button", action="/police/look-up")
        hands.enter("/police/tickets/*")
    with person(browser, url, out, "supervisor", "supervisor", NARROW, pictures=False) as walk:
        walk.click("main a[href^='/police/tickets/']", then="[name=reason]", picture=False)
        walk.page.locator("[name=reason]").scroll_into_view_if_needed()
        walk.take()


def terminal(browser: Browser, url: str, out: Path) -> None:
    """The terminal of the hall, in English on the narrowest window; what a card is held to has the focus."""
    with person(browser, url, out, "installing", "admin", pictures=False) as installing:
        page = installing.page
        hands = Keyboard(page, url, "zh")
        hands.begin("/admin/kiosks")
        hands.write("1 栋大堂", name="place")
        hands.to(tag="button", action="/admin/kiosks")
        hands.enter("/admin/kiosks")
        path = urlsplit(page.inner_text("main code")).path
    context = browser.new_context(viewport={"width": NARROW[0], "height": NARROW[1]})
    walk = Walk(context.new_page(), "terminal", out)
    Keyboard(walk.page, url, "en").begin(f"{path}?language=en")
    walk.click("a[href*='/away']", then="[name=days]")
    context.close()


WALKS: tuple[Callable[[Browser, str, Path], None], ...] = (
    clerk, officer, family, helper, elder, installer, director, committee, auditor, supervisor, terminal,
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--only", choices=[walk.__name__ for walk in WALKS])
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)

    from playwright.sync_api import sync_playwright

    program = os.environ.get("KAIMEN_TEST_CHROMIUM") or shutil.which("chromium")
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[*ARGUMENTS, "--lang=zh-CN", *alone],
            env={**os.environ, "LANGUAGE": "zh_CN"},
        )
        for walk in WALKS:
            if chosen.only in (None, walk.__name__):
                walk(browser, chosen.url, chosen.out)
        browser.close()


if __name__ == "__main__":
    main()
