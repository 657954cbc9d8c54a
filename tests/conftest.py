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
    "tests.proof.fix_proof",
]

_MARKS_BY_FIXTURE = {
    "database_server": ("integration",),
    "broker": ("integration",),
    "chromium": ("browser", "one_store"),
}


#: The files that take longest, the longest first: begun last, one of them would run alone at the end.
_LONG_FILES = (
    "test_stack_up.py",
    "test_through_broker.py",
    "test_look.py",
    "test_voice_calls.py",
    "test_alerts_kills.py",
    "test_ingest_crashes.py",
    "test_who_may.py",
    "test_watched_community.py",
    "test_ten_thousand_homes.py",
    "test_keys_work.py",
    "test_keys_home.py",
    "test_journeys.py",
)


@pytest.hookimpl(tryfirst=True)  # before anybody selects by mark
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what starts a server or a browser, so that nobody has to remember it; leave out what is shown elsewhere."""
    for item in items:
        for fixture, marks in _MARKS_BY_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                for mark in marks:
                    item.add_marker(mark)
    done: set[pytest.Item] = set()
    if os.environ.get("KAIMEN_TEST_EMBEDDED_DONE"):
        done |= {item for item in items if _ran_with_make_test(item)}
    if os.environ.get("KAIMEN_TEST_DATABASE_TIMESCALE"):
        done |= {
            item for item in items if item.get_closest_marker("one_store") and _store_of(item) == "plain"
        }
        done |= {item for item in items if _is_a_pair_too_many(item)}
    if done:
        config.hook.pytest_deselected(items=list(done))
        items[:] = [item for item in items if item not in done]


def _store_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("database_server")


def _is_a_pair_too_many(item: pytest.Item) -> bool:
    """Say whether both its store and its broker are shown by other pairs of the same test.

    A broker knows nothing of how events are stored: what runs on each store and on each broker need not run on each
    pair of them. ``KAIMEN_TEST_PAIRS=all`` runs them all.
    """
    callspec = getattr(item, "callspec", None)
    if callspec is None or os.environ.get("KAIMEN_TEST_PAIRS") == "all":
        return False
    if not os.environ.get("KAIMEN_TEST_BROKER_MOSQUITTO") or item.get_closest_marker("one_store"):
        return False
    pair = (callspec.params.get("database_server"), callspec.params.get("broker"))
    return pair in (("plain", "mosquitto"), ("timescale", "nats"))


def _ran_with_make_test(item: pytest.Item) -> bool:
    """Say whether ``make test`` has just run this very test on the embedded servers."""
    apart = {"slow", "browser", "packaging", "simulation"}
    if any(mark.name in apart for mark in item.iter_markers()):
        return False
    return "timescale" not in item.nodeid and "mosquitto" not in item.nodeid


class _LongFilesFirst:
    """Another hook of the same name, after the order of chance was made."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        places = {name: place for place, name in enumerate(_LONG_FILES)}
        items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_LongFilesFirst(), "long_files_first")
