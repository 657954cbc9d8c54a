"""A page in the machine's own chromium, where there is one; nothing is downloaded.

``KAIMEN_TEST_CHROMIUM`` names another program than the ``chromium`` of the path. With ``CI`` set, a missing
browser fails the test instead of skipping it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def _find_chromium() -> str:
    named = os.environ.get("KAIMEN_TEST_CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("chromium-browser")
    if found:
        return found
    reason = "no chromium on this machine (Debian: apt-get install chromium)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


# Not for the session: while playwright is there its loop runs in this thread, and no other test could run one.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One headless browser for the tests of a file."""
    program = _find_chromium()
    from playwright.sync_api import sync_playwright

    # Chromium cannot put root into its sandbox; the pages it sees here are all our own.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    # A microphone that hums, for the one page that records; it is asked for like any other.
    arguments += ["--use-fake-device-for-media-stream"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh page with no cookies, in Chinese and in Shanghai, as our users' are."""
    context = chromium.new_context(locale="zh-CN", timezone_id="Asia/Shanghai")
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()
