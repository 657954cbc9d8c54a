"""The watchdog on the console: strips on desk pages, its page, and the list of whom to ring, read with a trace."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from kaimen.clock import ManualClock
from tests.integration.console_world import World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.one_store]


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def _found(world: World, check: str = "nobody_reached") -> None:
    wall = world.app.state.services.wall_now()
    world.write("INSERT INTO watchdog_beats (turned_at) VALUES (%s)", wall)
    world.write(
        "INSERT INTO watchdog_findings (check_name, suspected_at, found_at) VALUES (%s, %s, %s)",
        check,
        wall,
        wall,
    )


@pytest.mark.parametrize("path", ["/alarms", "/morning", "/tasks", "/buildings"])
def test_every_desk_page_says_that_nobody_can_be_phoned(world: World, path: str) -> None:
    clerk = world.browser("clerk")
    assert "从这里联系不到任何人" not in clerk.get(path).text
    _found(world)
    text = clerk.get(path).text
    assert "从这里联系不到任何人" in text
    assert "/watchdog/call-list" in text


def test_a_helper_and_the_family_are_not_frightened_by_it(world: World) -> None:
    _found(world)
    for name, path in (("watcher", "/tasks"), ("family", "/family")):
        assert "从这里联系不到任何人" not in world.browser(name).get(path).text


def test_a_watchdog_that_fell_silent_is_said(world: World) -> None:
    wall = world.app.state.services.wall_now()
    world.write("INSERT INTO watchdog_beats (turned_at) VALUES (%s)", wall - timedelta(minutes=6))
    assert "系统自检没有动静" in world.browser("clerk").get("/alarms").text
    assert "系统自检没有动静" in world.browser("admin").get("/watchdog").text


def test_its_page_says_what_since_when_and_how_to_mend(world: World) -> None:
    _found(world, "database_away")
    text = world.browser("admin").get("/watchdog").text
    assert "数据库没有应答" in text and "检查数据库进程" in text
    assert world.browser("watcher").get("/watchdog").status_code == 403


def test_the_list_of_whom_to_call_is_read_with_a_trace(world: World) -> None:
    text = world.browser("clerk").get("/watchdog/call-list").text
    assert "王秀英" in text and "13900001111" in text
    assert "周别处" not in text  # another community's
    (row,) = world.rows("SELECT object_id, detail FROM audit_entries WHERE action = 'call_list_printed'")
    assert row["object_id"] == "wenchang"
    assert "h-wang" in row["detail"]["households"]


@pytest.mark.parametrize("name", ["watcher", "police", "family", "admin"])
def test_nobody_else_is_given_names_and_numbers(world: World, name: str) -> None:
    assert world.browser(name).get("/watchdog/call-list").status_code == 403
    assert world.rows("SELECT 1 FROM audit_entries WHERE action = 'call_list_printed'") == []
