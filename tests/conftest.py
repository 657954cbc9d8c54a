"""The fixtures every test may ask for, and the marks that follow from them; no fixture lives here."""

from __future__ import annotations

import os

import pytest

pytest_plugins = [
    "tests.fix_hypothesis",
    "tests.fix_clock",
    "tests.fix_database",
    "tests.fix_broker",
    "tests.fix_browser",
    "tests.fix_chance",
]

_MARK_BY_FIXTURE = {
    "database_server": "integration",
    "broker": "integration",
    "chromium": "browser",
}


@pytest.hookimpl(tryfirst=True)  # before anybody selects by mark
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what starts a server or a browser, so that nobody has to remember it."""
    for item in items:
        for fixture, mark in _MARK_BY_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
    if os.environ.get("KAIMEN_TEST_EMBEDDED_DONE"):
        done = [item for item in items if _ran_with_make_test(item)]
        config.hook.pytest_deselected(items=done)
        items[:] = [item for item in items if item not in set(done)]


def _ran_with_make_test(item: pytest.Item) -> bool:
    """Say whether ``make test`` has just run this very test on the embedded servers."""
    apart = {"slow", "browser", "packaging", "simulation"}
    if any(mark.name in apart for mark in item.iter_markers()):
        return False
    return "timescale" not in item.nodeid and "mosquitto" not in item.nodeid
