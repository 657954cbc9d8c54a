"""The page about other policies: a director asks, ingest's reader answers in numbers; who may not ask learns nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from ingest.look_back.reader import ATTEMPTS_MAX, Reader
from ingest.look_back.starter import LookBackStarter
from kaimen.clock import ManualClock
from kaimen.database import connect
from tests.integration.console_world import World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

ASKED = {
    "community": "wenchang",
    "days": "7",
    "purpose": "staffing",
    "warning": "20",
    "call": "40",
    "visit": "60",
}


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("console.pages.look_back.WAIT_S", 0.0)
    built = build_world(database_url, manual_clock)
    built.write(
        "INSERT INTO service_progress (service, at, turn) VALUES ('ingest', %s, 1)"
        " ON CONFLICT (service) DO UPDATE SET at = excluded.at",
        built.now,
    )
    yield built
    built.pool.close()


def answer(world: World) -> int:
    with connect(world.url, service="test", autocommit=True) as connection:
        return Reader(world.url).answer_all(connection)


def test_what_is_asked_is_written_down_and_answered_in_numbers(world: World) -> None:
    world.write("UPDATE service_progress SET at = %s WHERE service = 'ingest'", world.now - timedelta(days=2))
    browser = world.browser("director")
    assert "还没有人问过" in browser.get("/look-back").text
    sent = world.post(browser, "/look-back", **ASKED)
    assert sent.status_code == 303, sent.text
    waiting = browser.get(sent.headers["location"])
    assert waiting.headers["refresh"] == "1" and "<progress" in waiting.text
    again = {**ASKED, "warning": "", "call": "", "visit": "", "preset": "36-60-84", "keep": "20-40-60"}
    beside = world.post(world.browser("admin"), "/look-back", **again)
    assert answer(world) == 2
    found = browser.get(sent.headers["location"])
    assert "refresh" not in found.headers
    assert '<svg class="backtest-chart"' in found.text and "20 · 40 · 60" in found.text
    for private in ("王秀英", "h-wang", "3-1-1201"):
        assert private not in found.text
    first, second = world.rows("SELECT report FROM look_backs ORDER BY id")
    assert [policy["name"] for policy in second["report"]["policies"]] == [
        "in force", "20h,40h,60h", "36h,60h,84h"
    ]  # fmt: skip
    text = browser.get(beside.headers["location"]).text
    assert "20 · 40 · 60" in text and "36 · 60 · 84" in text
    assert len(first["report"]["days"]) == 7  # up to where ingest has worked, not up to now
    assert first["report"]["to"] == (world.now - timedelta(days=2, hours=-8)).date().isoformat()
    entries = world.rows("SELECT * FROM audit_entries WHERE action = 'policy_looked_back' ORDER BY id")
    assert [(entry["purpose"], entry["object_id"], entry["role"]) for entry in entries] == [
        ("staffing", "wenchang", "property_director"), ("staffing", "wenchang", "admin")
    ]  # fmt: skip
    assert entries[1]["detail"]["policies"] == ["20-40-60", "36-60-84"]


def test_what_does_not_fit_is_said_and_another_directors_community_is_not_there(world: World) -> None:
    browser = world.browser("director")
    for wrong in (
        {"warning": "40", "call": "20"},
        {"warning": "nan"},
        {"days": "8"},
        {"purpose": "curiosity"},
    ):
        refused = world.post(browser, "/look-back", **{**ASKED, **wrong})
        assert refused.status_code == 422 and "field-error" in refused.text
    assert world.rows("SELECT * FROM look_backs") == []
    world.write(
        "DELETE FROM user_communities WHERE user_id = %s AND community_id = 'binhe'",
        world.user_ids["director"],
    )
    assert world.post(browser, "/look-back", **{**ASKED, "community": "binhe"}).status_code == 404
    assert browser.get("/look-back?community=binhe").status_code == 404
    world.post(world.browser("admin"), "/look-back", **{**ASKED, "community": "binhe"})
    (asked,) = world.rows("SELECT id FROM look_backs")
    assert browser.get(f"/look-back?asked={asked['id']}").status_code == 404
    assert browser.get("/look-back?asked=x").status_code == 404
    # Questions do not pile up.
    assert [world.post(browser, "/look-back", **ASKED).status_code for _ in range(4)] == [303, 303, 303, 422]


def test_ingest_starts_a_reader_and_one_that_dies_is_followed_but_not_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAIMEN_DATABASE_URL", world.url)
    browser = world.browser("director")
    given_up = world.post(browser, "/look-back", **ASKED)
    world.write("UPDATE look_backs SET attempts = %s", ATTEMPTS_MAX)
    sent = world.post(browser, "/look-back", **ASKED)
    world.write("UPDATE look_backs SET attempts = %s WHERE attempts = 0", ATTEMPTS_MAX - 1)
    stop = threading.Event()
    starter = LookBackStarter(
        open_connection=lambda: connect(world.url, service="test", autocommit=True), stop=stop
    )
    thread = threading.Thread(target=starter.run)
    thread.start()
    try:
        with connect(world.url, service="test", autocommit=True) as connection:
            connection.execute("LISTEN kaimen_look_backs")
            for _ in range(120):
                if world.rows("SELECT id FROM look_backs WHERE report IS NOT NULL"):
                    break
                list(connection.notifies(timeout=1.0, stop_after=1))
        assert "backtest-chart" in browser.get(sent.headers["location"]).text
        assert 'role="alert"' in browser.get(given_up.headers["location"]).text
    finally:
        stop.set()
        thread.join()
    assert not starter.is_reading()
