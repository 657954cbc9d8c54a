"""The pictures of the README and the docs: a running demo enters, PNG files below 200 kB each leave.

Start ``kaimen up --demo --dir DIR --speed 60`` and run ``python -m tests.browser.pictures DIR OUT``. The script
arranges the scene by the demo's own buttons (one gateway unplugged, two cases in work) and lets the clock walk.
A file that would be larger is reduced to a palette where Pillow is there; nothing else needs it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

BYTES_MAX = 200_000
EXACT_COLOURS = 128
GATEWAY = "5-1"
SCENE_WITHIN_S = 180
ARGUMENTS = (
    "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip


class Studio:
    """One browser, one page per role and look; sign-ins as the demo wrote them down."""

    def __init__(self, browser: Browser, url: str, sign_ins: dict[str, dict[str, str]], out: Path) -> None:
        self._browser = browser
        self._url = url
        self._sign_ins = sign_ins
        self._out = out

    @contextmanager
    def page(
        self,
        role: str,
        *,
        width: int = 1440,
        height: int = 900,
        dark: bool = False,
        language: str = "zh",
        paper: bool = False,
    ) -> Iterator[Page]:
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
            bypass_csp=paper,
        )
        context.add_cookies([{"name": "kaimen_language", "value": language, "url": self._url}])
        page = context.new_page()
        page.goto(f"{self._url}/sign-in")
        page.fill("[name=name]", self._sign_ins[role]["user"])
        page.fill("[name=password]", self._sign_ins[role]["password"])
        page.click("main form:has([type=password]) .primary")
        page.wait_for_url(lambda url: not url.endswith("/sign-in"))
        yield page
        context.close()

    def go(self, page: Page, path: str) -> None:
        page.goto(self._url + path)
        if page.locator("body[data-stream]").count():
            page.wait_for_selector("body.is-live")

    def take(self, page: Page, name: str, **options: Any) -> None:
        path = self._out / f"{name}.png"
        page.screenshot(path=path, **options)
        reduce(path)
        size = path.stat().st_size
        print(f"{path.name}: {size:,} bytes" + (" TOO LARGE" if size > BYTES_MAX else ""))


def reduce(path: Path) -> None:
    """Store a picture that is too large with a palette of 256 colours, where Pillow is at hand."""
    if path.stat().st_size <= BYTES_MAX:
        return
    try:
        from PIL import Image  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    few_colours(picture).save(path, optimize=True)


def few_colours(picture: Any) -> Any:
    """Return an RGB picture of Pillow's in a palette of 256 colours."""
    from PIL import Image

    # The colours of large areas and of marks are kept as they are; the edges of letters share what is left.
    counted = sorted(picture.getcolors(1 << 24), reverse=True)[:EXACT_COLOURS]
    rest = picture.quantize(256 - len(counted), method=Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(
        [value for _, colour in counted for value in colour] + rest[: 3 * (256 - len(counted))]
    )
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


# --- The scene ---------------------------------------------------------------------------------------------------


def arrange(studio: Studio) -> None:
    """Unplug a stairwell, wait until it counts as unheard, then stop time and put two cases into work."""
    with studio.page("property_clerk") as page:
        studio.go(page, "/demo")
        row = page.locator(".contacts.scroll li", has_text=_gateway_words())
        if row.locator("[value=unplug]").count():
            row.locator("button").click()
        _speed(studio, page, "720")
        _wait_for(studio, page, "/alarms", ".row:has(.mark-unknown) .day-line")
        _speed(studio, page, "1")
        _claim(studio, page, ".row:has(.mark-mid)")
        _claim(studio, page, ".row:has(.mark-high) >> nth=1")


def _gateway_words() -> str:
    building, unit = GATEWAY.split("-")
    return f"{building} 栋 {unit} 单元"


def _speed(studio: Studio, page: Page, speed: str) -> None:
    studio.go(page, "/demo")
    page.click(f"button[name=speed][value='{speed}']")
    page.wait_for_load_state()


def _wait_for(studio: Studio, page: Page, path: str, what: str) -> None:
    until = time.monotonic() + SCENE_WITHIN_S
    studio.go(page, path)
    while not page.locator(what).count():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not appear on {path}")
        page.wait_for_timeout(2000)


def _claim(studio: Studio, page: Page, rows: str) -> None:
    studio.go(page, "/alarms")
    row: Locator = page.locator(rows).first
    if not row.count():
        return
    number = (row.get_attribute("id") or "").removeprefix("case-")
    studio.go(page, f"/cases/{number}")
    button = page.locator(f"form[action='/cases/{number}/claim'] button")
    if button.count():
        button.first.click()
        page.wait_for_load_state()


# --- The pictures ------------------------------------------------------------------------------------------------


def take_all(studio: Studio) -> None:
    with studio.page("property_clerk") as page:
        studio.go(page, "/alarms")
        chosen = page.locator(".row:has(.mark-high)").last.get_attribute("href") or "/alarms"
        home = _home_of(studio, page, chosen)
        studio.go(page, chosen)
        page.mouse.move(700, 880)
        studio.take(page, "console")
        # No higher than the screen: below it stand the demo's passwords.
        studio.go(page, "/demo" + _selected(home))
        studio.take(page, "demo")
        studio.go(page, home)
        studio.take(page, "household", clip=_upper(page, 1180))
        page.set_viewport_size({"width": 1440, "height": 900})
        studio.go(page, "/signals?days=7")
        studio.take(page, "signals")
        studio.go(page, "/duty")
        studio.take(page, "duty")
    with studio.page("property_clerk", width=794, height=760, paper=True) as page:
        studio.go(page, "/morning/print")
        page.emulate_media(media="print")
        # A screen has no margins; a sheet has the ones the printer gives it.
        page.add_style_tag(content="main { padding: 14mm; } .strip { padding-inline: 14mm; }")
        studio.take(page, "print")
    with studio.page("property_clerk", width=390, height=844) as page:
        studio.go(page, "/alarms")
        studio.take(page, "console-390")
    with studio.page("property_clerk", dark=True) as page:
        studio.go(page, chosen)
        studio.take(page, "dark")
    with studio.page("property_clerk", language="en") as page:
        studio.go(page, chosen)
        studio.take(page, "english")
    with studio.page("family", width=390, height=844) as page:
        studio.go(page, "/family")
        studio.take(page, "family")


def _home_of(studio: Studio, page: Page, chosen: str) -> str:
    studio.go(page, chosen)
    return page.locator(".case-head a").first.get_attribute("href") or "/households"


def _selected(home: str) -> str:
    return f"?home={home.rpartition('/')[2]}"


def _upper(page: Page, height: int) -> dict[str, float]:
    page.set_viewport_size({"width": 1440, "height": height})
    return {"x": 0, "y": 0, "width": 1440, "height": height}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the demo's --dir")
    parser.add_argument("out", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--as-it-stands", action="store_true", help="take the scene as it is")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    sign_ins = json.loads((chosen.folder / "demo-sign-ins.json").read_text(encoding="utf-8"))

    from playwright.sync_api import sync_playwright

    program = os.environ.get("KAIMEN_TEST_CHROMIUM") or shutil.which("chromium")
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *alone])
        studio = Studio(browser, chosen.url, sign_ins, chosen.out)
        if not chosen.as_it_stands:
            arrange(studio)
        take_all(studio)
        browser.close()


if __name__ == "__main__":
    main()
