"""Every page in honest sample states as files and pictures: a directory enters, HTML and PNG leave.

``python -m tests.browser.gallery OUT [NAME…]`` — run it, then look. Pictures need chromium.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from console.rendering import render
from kaimen.vocabulary import Role
from tests.browser.samples import shell
from tests.browser.samples_more import PAGES, navigation

STATIC = Path(__file__).parents[2] / "console" / "static"
PHONE_PAGES = ("family", "field")


def write_pages(out: Path, names: list[str], language: str) -> list[Path]:
    written = []
    for name in names:
        template, page, changes = PAGES[name]
        role = changes.get("role", Role.PROPERTY_CLERK)
        if role:
            changes = {**changes, "nav": navigation(role, changes.get("current", ""))}
        html = render(template, shell=shell(language, **changes), page=page())
        html = html.replace("/static/", f"{STATIC.as_uri()}/")
        path = out / f"{name}.{language}.html"
        path.write_text(html, encoding="utf-8")
        written.append(path)
    return written


def take_pictures(pages: list[Path], sizes: list[tuple[int, int]], schemes: list[str]) -> None:
    from playwright.sync_api import sync_playwright

    program = os.environ.get("KAIMEN_TEST_CHROMIUM") or shutil.which("chromium")
    arguments = ["--disable-gpu", "--disable-background-networking", "--no-sandbox"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        for width, height in sizes:
            for scheme in schemes:
                context = browser.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                    java_script_enabled=False,
                )
                tab = context.new_page()
                for path in pages:
                    tab.goto(path.as_uri())
                    tab.screenshot(path=path.with_suffix(f".{width}.{scheme}.png"), full_page=width < 1000)
                context.close()
        browser.close()


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    names = sys.argv[2:] or list(PAGES)
    pages = write_pages(out, names, "zh") + write_pages(out, names, "en")
    take_pictures(pages, [(1440, 900), (390, 844), (360, 780)], ["light", "dark"])


if __name__ == "__main__":
    main()
