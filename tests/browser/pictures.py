"""The pictures of the README and the docs: a running demo enters, PNG files below 200 kB each leave.

Start ``kaimen up --demo --dir DIR`` in an empty directory, look at nothing, and run ``python -m tests.browser.pictures
DIR OUT``: the clock waits for who comes first, and the morning at which a demo begins is the scene.
A file that would be larger is reduced to a palette where Pillow is there; nothing else needs it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BYTES_MAX = 200_000
EXACT_COLOURS = 128
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


# --- The pictures ------------------------------------------------------------------------------------------------


def take_scene(studio: Studio) -> None:
    with studio.page("property_clerk") as page:
        studio.go(page, "/alarms")
        chosen = page.locator(".row:has(.mark-high)").last.get_attribute("href") or "/alarms"
        home = _home_of(studio, page, chosen)
        studio.go(page, chosen)
        page.mouse.move(700, 880)
        studio.take(page, "console")
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
        page.add_style_tag(content="main { padding: 14mm; } .strip, .print-line { padding-inline: 14mm; }")
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


def take_demo(studio: Studio) -> None:
    """The page the clock is steered from: time runs while it is open, so that it comes last."""
    with studio.page("property_clerk") as page:
        studio.go(page, "/alarms")
        home = _home_of(
            studio, page, page.locator(".row:has(.mark-high)").last.get_attribute("href") or "/alarms"
        )
        # No higher than the screen: below it stand the demo's passwords.
        studio.go(page, "/demo" + _selected(home))
        studio.take(page, "demo")


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
    parser.add_argument(
        "--only", choices=["scene", "demo"], help="all but the demo's own page, or that alone"
    )
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    sign_ins = json.loads((chosen.folder / "demo-sign-ins.json").read_text(encoding="utf-8"))

    from playwright.sync_api import sync_playwright

    program = os.environ.get("KAIMEN_TEST_CHROMIUM") or shutil.which("chromium")
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *alone])
        studio = Studio(browser, chosen.url, sign_ins, chosen.out)
        if chosen.only != "demo":
            take_scene(studio)
        if chosen.only != "scene":
            take_demo(studio)
        browser.close()


if __name__ == "__main__":
    main()
