"""The fixtures every test may ask for, and the marks that follow from them; no fixture lives here."""

from __future__ import annotations

import pytest

pytest_plugins = [
    "tests.fix_hypothesis",
    "tests.fix_clock",
    "tests.fix_database",
    "tests.fix_broker",
    "tests.fix_browser",
]

_MARK_BY_FIXTURE = {
    "database_server": "integration",
    "broker": "integration",
    "chromium": "browser",
}


@pytest.hookimpl(tryfirst=True)  # before anybody selects by mark
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts a server or a browser, so that nobody has to remember it."""
    for item in items:
        for fixture, mark in _MARK_BY_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
