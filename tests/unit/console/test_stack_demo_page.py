"""Who has a case open, and what that does to the demo's clock; when the next door will have been shut for a day."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console.pages.demo import _crossing_ms
from console.pages.demo_readers import LEAVES_FOR_S, READS_FOR_S, Readers, SlowWhileRead, is_read
from console.stack.folder import StackFolder
from console.stack.steering import Steering
from kaimen.clock import ClockSetting, SystemClock, as_ms, write_clock
from kaimen.settings import ConsoleSettings

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "reads"),
    [
        ("/", True),
        ("/alarms", True),
        ("/cases/12", True),
        ("/family", True),
        ("/demo", False),
        ("/account/tokens", False),
    ],
)
def test_on_which_pages_the_street_must_not_run_away(path: str, reads: bool) -> None:
    assert is_read(path) is reads


def test_a_session_reads_until_it_goes_elsewhere() -> None:
    readers = Readers()
    readers.note_page("a", reads=True, now=0)
    readers.note_page("b", reads=True, now=1)
    assert readers.count(2) == 2
    readers.note_page("a", reads=False, now=3)
    assert readers.count(4) == 1


def test_a_page_with_a_stream_is_read_for_as_long_as_the_stream_stands() -> None:
    readers = Readers()
    readers.note_page("a", reads=True, now=0)
    readers.note_stream("a", 1, now=0)
    assert readers.count(100 * READS_FOR_S) == 1
    readers.note_stream("a", -1, now=100 * READS_FOR_S)
    assert readers.count(100 * READS_FOR_S + LEAVES_FOR_S / 2) == 1
    assert readers.count(100 * READS_FOR_S + LEAVES_FOR_S + 1) == 0


def test_no_time_runs_between_two_pages() -> None:
    readers = Readers()
    readers.note_page("a", reads=True, now=0)
    readers.note_stream("a", 1, now=0)
    readers.note_page("a", reads=True, now=50)
    readers.note_stream("a", -1, now=51)
    assert readers.count(51) == readers.count(50 + READS_FOR_S) == 1


def test_a_reader_without_scripts_is_forgotten_after_a_while() -> None:
    readers = Readers()
    readers.note_page("a", reads=True, now=0)
    assert readers.count(READS_FOR_S - 1) == 1
    assert readers.count(READS_FOR_S + 1) == 0
    assert readers.by_session == {}


def crossing_at(*, stage_s: list[int] | None, base_h: float, anchor_h_ago: float) -> datetime | None:
    row = {
        "thresholds_s": stage_s,
        "base_ms": int(base_h * 3_600_000),
        "anchor_at": NOW - timedelta(hours=anchor_h_ago),
    }
    found = _crossing_ms(row, as_ms(NOW))
    return None if found is None else datetime.fromtimestamp(found / 1000, UTC)


def test_the_next_crossing_is_the_first_threshold_that_is_still_ahead() -> None:
    assert crossing_at(stage_s=None, base_h=0, anchor_h_ago=20) == NOW + timedelta(hours=4)
    assert crossing_at(stage_s=None, base_h=0, anchor_h_ago=30) == NOW + timedelta(hours=18)
    # Time that was not watched does not count: the base is what was.
    assert crossing_at(stage_s=None, base_h=10, anchor_h_ago=1) == NOW + timedelta(hours=13)
    assert crossing_at(stage_s=[3_600], base_h=0, anchor_h_ago=2) is None


@pytest.fixture
def steering(tmp_path: Path) -> Steering:
    folder = StackFolder(tmp_path)
    folder.prepare()
    write_clock(folder.clock, ClockSetting(SystemClock().now_ms(), as_ms(NOW), 0.0))
    made = Steering(folder)
    made.begin(None)
    made.play()
    return made


def layer(tmp_path: Path, app: Any) -> SlowWhileRead:
    settings = ConsoleSettings(demo=True, stack_dir=tmp_path)
    return SlowWhileRead(app, SimpleNamespace(settings=settings))


def request(path: str, *, query: str = "", session: str = "s1", referer: str = "") -> dict[str, Any]:
    headers = [(b"cookie", f"kaimen_session={session}".encode()), (b"referer", referer.encode())]
    return {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": headers}


async def nothing() -> dict[str, Any]:
    return {"type": "http.request"}


async def swallow(_message: Any) -> None:
    return None


def test_the_clock_is_slow_exactly_while_somebody_reads(steering: Steering, tmp_path: Path) -> None:
    seen: list[tuple[str, float]] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append((scope["path"], steering.wish().effective_speed))

    async def visit() -> None:
        made = layer(tmp_path, app)
        for path in ("/alarms", "/demo", "/cases/4", "/static/live.js", "/api/cases", "/demo"):
            await made(request(path), nothing, swallow)
        await made(request("/stream", referer="http://x/cases/4"), nothing, swallow)

    asyncio.run(visit())
    assert seen == [
        ("/alarms", 1.0), ("/demo", 1_440.0), ("/cases/4", 1.0), ("/static/live.js", 1.0), ("/api/cases", 1.0),
        ("/demo", 1_440.0), ("/stream", 1.0),
    ]  # fmt: skip


@pytest.mark.parametrize("first", ["/demo", "/api/me"])
def test_the_morning_waits_for_who_comes_first(steering: Steering, tmp_path: Path, first: str) -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        return None

    async def come(path: str) -> None:
        await layer(tmp_path, app)(request(path), nothing, swallow)

    steering.begin(None)
    steering.play()
    asyncio.run(come("/static/live.js"))
    assert steering.wish().effective_speed == 1.0
    asyncio.run(come(first))
    assert steering.wish().effective_speed == 1_440.0


def test_somebody_without_a_session_slows_nobodys_clock(steering: Steering, tmp_path: Path) -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        return None

    async def visit() -> None:
        made = layer(tmp_path, app)
        scope = request("/cases/4")
        scope["headers"] = []
        await made(scope, nothing, swallow)

    steering.welcome()
    asyncio.run(visit())
    assert steering.wish().effective_speed == 1_440.0
