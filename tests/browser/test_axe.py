"""Sample pages before axe-core: nothing that WCAG 2.2 AA forbids, in both languages, wide and narrow, light and dark.

Every third page is judged, each in one language, window and scheme, the next one in another; with
``KAIMEN_TEST_AXE=all`` every page is judged in all of them, which takes minutes. axe-core comes out of a package and
is never stored here.
"""

from __future__ import annotations

import os
from importlib.resources import files
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.gallery import write_pages
from tests.browser.samples_more import PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LOOKS = tuple((width, scheme) for width in (1440, 360) for scheme in ("light", "dark"))
JUDGE = """async () => {
  const found = await axe.run(document, {
    resultTypes: ['violations'],
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
  });
  return found.violations.flatMap((v) => v.nodes.slice(0, 3).map(
    (n) => `${v.id}: ${n.target.join(' ')} ${n.html.slice(0, 120)} ${(n.any[0] || n.all[0] || n.none[0] || {}).message || ''}`));
}"""


def _judge(tab: Page, script: str, width: int, scheme: str) -> list[str]:
    tab.set_viewport_size({"width": width, "height": 900})
    tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    if not tab.evaluate("'axe' in window"):
        tab.evaluate(script)
    found: list[str] = tab.evaluate(JUDGE)
    return found


def test_no_page_has_a_barrier_that_axe_finds(chromium: Browser, tmp_path: Path) -> None:
    script = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    context = chromium.new_context()
    context.set_default_timeout(60_000)
    tab, wrong = context.new_page(), {}
    everything = os.environ.get("KAIMEN_TEST_AXE") == "all"
    turns = cycle([(language, look) for look in LOOKS for language in ("zh", "en")])
    for name in list(PAGES)[:: 1 if everything else 3]:
        judged = (
            [(language, look) for look in LOOKS for language in ("zh", "en")] if everything else [next(turns)]
        )
        for language, (width, scheme) in judged:
            (path,) = write_pages(tmp_path, [name], language)
            tab.goto(path.as_uri())
            if found := _judge(tab, script, width, scheme):
                wrong[f"{path.stem} {width} {scheme}"] = found
    context.close()
    assert wrong == {}, "\n".join(f"{page}\n  " + "\n  ".join(found) for page, found in wrong.items())
