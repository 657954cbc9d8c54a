"""Early watch on a real database: only by consent, never over a sensor that was not heard, and once."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from ingest.backfill import backfill
from ingest.early.loop import EarlyLoop
from kaimen.clock import ManualClock, as_datetime
from kaimen.database import connect
from kaimen.settings import IngestSettings
from tests.integration.ingest_street import BEGIN_MS, DAY, HOUR, MINUTE, Door, lay_out, rows

pytestmark = pytest.mark.integration
DAYS = 16
TICK_MS = 15 * MINUTE
#: 00:00 in Shanghai after the story's begin.
MIDNIGHT_MS = (BEGIN_MS + 8 * HOUR) // DAY * DAY + DAY - 8 * HOUR


def put_in_sensor(url: str) -> Door:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO devices (id, site_id, kind, heartbeat_s, supervision_s, registered_at)"
            " VALUES ('motion-1', 'west-gate', 'motion', 3600, 10800, %s)",
            (as_datetime(BEGIN_MS),),
        )
        connection.execute("INSERT INTO household_sensors VALUES ('h-1', 'motion-1')")
    return Door("motion-1")


def agree(url: str, purpose: str = "early_watch") -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES ('h-1', %s, 'she', %s)",
            (purpose, as_datetime(BEGIN_MS)),
        )


def live(url: str, sensor: Door, door: Door, *, heard_until_ms: int) -> int:
    """Sixteen usual days, then nothing but heartbeats until ``heard_until_ms``; return the last day's midnight."""
    history: list[tuple[int, str, bytes]] = []
    for day in range(DAYS):
        for minute in range(7 * 60, 22 * 60, 30):
            at = MIDNIGHT_MS + day * DAY + minute * MINUTE
            history.append((at + 100, *sensor.opening(at, type="Motion", state=None)))
    end = MIDNIGHT_MS + DAYS * DAY
    for at in range(end - 90 * MINUTE, heard_until_ms, HOUR):
        history.append((at, *sensor.heartbeat(at)))
    for at in range(BEGIN_MS, end + 2 * DAY, HOUR):
        history.append((at, *door.heartbeat(at)))
    backfill(url, sorted(history), until_ms=end + DAY)
    return end


def watch(url: str) -> tuple[EarlyLoop, ManualClock, Any]:
    clock = ManualClock(BEGIN_MS)
    loop = EarlyLoop(
        IngestSettings(database_url=url),
        clock=clock,
        open_connection=lambda: connect(url, service="early", autocommit=True),
        stop=threading.Event(),
    )
    return loop, clock, connect(url, service="early", autocommit=True)


def tick_through(url: str, from_ms: int, to_ms: int) -> None:
    loop, clock, connection = watch(url)
    with connection:
        for at in range(from_ms, to_ms + 1, TICK_MS):
            clock.advance_to(at)
            loop.turn(connection)


def early_signals(url: str) -> list[dict[str, Any]]:
    return rows(url, "SELECT * FROM signals WHERE kind = 'early_watch'")


def test_a_home_that_agreed_is_told_of_once_and_its_state_is_shown(database_url: str) -> None:
    lay_out(database_url)
    sensor, door = put_in_sensor(database_url), Door("door-1")
    agree(database_url)
    end = live(database_url, sensor, door, heard_until_ms=MIDNIGHT_MS + (DAYS + 1) * DAY)
    tick_through(database_url, end, end + 20 * HOUR)
    (signal,) = early_signals(database_url)
    assert end < signal["at"].timestamp() * 1000 < end + 18 * HOUR
    assert signal["household_id"] == "h-1" and signal["evidence"]["method"] == "hazard"
    assert rows(database_url, f"SELECT 1 FROM happenings WHERE kind = 'signal' AND fact_id = {signal['id']}")
    (state,) = rows(database_url, "SELECT * FROM early_states")
    assert state["learned_days"] >= 14 and state["reason"].startswith("over")
    tick_through(database_url, end, end + 20 * HOUR)  # a worker started anew
    assert len(early_signals(database_url)) == 1


def test_nothing_is_kept_of_who_did_not_agree_and_all_is_ended_by_withdrawing(database_url: str) -> None:
    lay_out(database_url)
    sensor, door = put_in_sensor(database_url), Door("door-1")
    end = live(database_url, sensor, door, heard_until_ms=MIDNIGHT_MS + (DAYS + 1) * DAY)
    tick_through(database_url, end, end + 20 * HOUR)
    assert early_signals(database_url) == [] == rows(database_url, "SELECT * FROM early_states")
    agree(database_url)
    tick_through(database_url, end, end + 20 * HOUR)
    assert len(early_signals(database_url)) == 1
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE consents SET withdrawn_at = now() WHERE purpose = 'early_watch'")
    tick_through(database_url, end + 21 * HOUR, end + 21 * HOUR)
    assert rows(database_url, "SELECT * FROM early_states") == []
    assert [row["reason"] for row in rows(database_url, "SELECT reason FROM signal_ends")] == ["not_watched"]


def test_a_sensor_that_fell_silent_itself_tells_nothing_of_her(database_url: str) -> None:
    lay_out(database_url)
    sensor, door = put_in_sensor(database_url), Door("door-1")
    agree(database_url)
    end = live(database_url, sensor, door, heard_until_ms=MIDNIGHT_MS + DAYS * DAY - 30 * MINUTE)
    tick_through(database_url, end, end + 23 * HOUR)
    assert early_signals(database_url) == []
    (state,) = rows(database_url, "SELECT reason FROM early_states")
    assert state["reason"] == "not_known"
