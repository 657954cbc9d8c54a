"""The watchdog on a real database: every fault is found, a healthy system is silent, a restart is survived and said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from alerts.channels import ChannelSettingsError
from alerts.watchdog.channel import NotToldError, Told, Ways, open_ways
from alerts.watchdog.rules import Check
from alerts.watchdog.service import Watchdog
from kaimen.clock import ManualClock, as_datetime
from kaimen.settings import WatchdogSettings
from tests.fix_servers import postgres_server
from tests.integration.console_world import World, build_world
from tests.unit.alerts.receiver import run_receiver

pytestmark = [pytest.mark.slow, pytest.mark.one_store]


class RunningClock(ManualClock):
    """Community time at the pace of a wall's."""

    speed = 1.0

    def wall_seconds(self, span_ms: int) -> float:
        return span_ms / 1000 / self.speed


@dataclass
class Post:
    """The watchdog's own channel: what it was handed."""

    told: list[Told] = field(default_factory=list)
    works: bool = True

    def checks(self) -> list[str]:
        return [item.check.value for told in self.told for item in told.findings]

    def ended(self) -> list[str]:
        return [item.check.value for told in self.told for item in told.ended]


class PostWays(Ways):
    post: Post

    @property
    def has_channel(self) -> bool:
        return True

    def tell(self, told: Told, wall: Any) -> None:
        if not self.post.works:
            raise NotToldError("the line is dead")
        self.post.told.append(told)


@dataclass
class Kennel:
    """A watchdog over the small world of the console, and the services it watches, played by ``work``."""

    world: World
    dog: Watchdog
    post: Post

    def work(self, *services: str) -> None:
        for service in services or ("ingest", "alerts"):
            self.world.write(
                "UPDATE service_progress SET at = %s, turn = turn + 1 WHERE service = %s",
                self.world.now,
                service,
            )
        self.world.write("UPDATE ingest_leases SET expires_at = %s", self.world.now + timedelta(seconds=15))

    def minutes(self, count: int, *services: str) -> None:
        for _ in range(count):
            self.world.clock.advance_to(self.world.clock.now_ms() + 60_000)
            self.work(*services)
            self.dog.turn()

    def found(self) -> set[str]:
        rows = self.world.rows(
            "SELECT check_name FROM watchdog_findings WHERE found_at IS NOT NULL AND ended_at IS NULL"
        )
        return {row["check_name"] for row in rows}


def make_kennel(url: str, **settings: Any) -> Kennel:
    clock = RunningClock(ManualClock(1_763_712_000_000).now_ms())
    world = build_world(url, clock)
    world.write("INSERT INTO ingest_leases (group_no, groups, expires_at) VALUES (0, 1, %s)", world.now)
    post = Post()
    ways = PostWays()
    ways.post = post
    chosen = {"watchdog_clock_s": 1e9, "watchdog_database_s": 0.0, **settings}
    dog = Watchdog(WatchdogSettings(database_url=url, **chosen), clock, ways, wall=clock)
    return Kennel(world, dog, post)


@pytest.fixture
def kennel(database_url: str) -> Iterator[Kennel]:
    made = make_kennel(database_url)
    yield made
    made.dog.close()
    made.world.close()


def test_a_healthy_system_is_silent(kennel: Kennel) -> None:
    kennel.minutes(20)
    assert kennel.found() == set()
    assert kennel.post.told == []
    assert kennel.world.rows("SELECT turned_at FROM watchdog_beats")[0]["turned_at"] == kennel.world.now


def _lost_future(world: World) -> None:
    world.write("UPDATE cases SET next_action_at = %s WHERE id = %s", world.now, world.case_ids["wang"])


def _message(world: World, *, lane: int = 0, channel: str = "sms", years: int = 0) -> None:
    at = world.now - timedelta(days=365 * years)
    world.write(
        "INSERT INTO outbox (case_id, step, person, channel, idempotency_key, template, state, created_at,"
        " not_before, lane) VALUES (%s, 'visit', 'community:wenchang', %s, %s, 'case', 'planned', %s, %s, %s)",
        world.case_ids["wang"], channel, f"key-{channel}-{years}", at, at, lane,
    )  # fmt: skip


def _happening(world: World, *, failed: bool = False) -> None:
    world.write(
        "INSERT INTO happenings (kind, fact_id, household_id, at, retry_at) VALUES ('crossing', 1, 'h-wang', %s, %s)",
        world.now - timedelta(days=4_000), world.now if failed else None,
    )  # fmt: skip


def _nobody(world: World) -> None:
    world.write("DELETE FROM tasks WHERE case_id = %s", world.case_ids["wang"])
    world.write("DELETE FROM case_entries WHERE case_id = %s", world.case_ids["wang"])
    world.write("DELETE FROM cases WHERE id = %s", world.case_ids["wang"])


FAULTS: dict[Check, tuple[Callable[[World], None], int]] = {
    Check.CASE_WITHOUT_FUTURE: (_lost_future, 4),
    Check.NOBODY_ANSWERS: (_nobody, 4),
    Check.OUTBOX_WAITS: (_message, 5),
    Check.NOBODY_REACHED: (_message, 12),
    Check.HAPPENING_WAITS: (_happening, 4),
    Check.HAPPENING_SET_ASIDE: (lambda world: _happening(world, failed=True), 3),
}


@pytest.mark.parametrize("check", FAULTS)
def test_a_fault_is_found_told_and_its_end_is_told_too(kennel: Kennel, check: Check) -> None:
    inject, minutes = FAULTS[check]
    kennel.minutes(2)
    inject(kennel.world)
    kennel.minutes(minutes)
    assert check.value in kennel.found()
    assert check.value in kennel.post.checks()
    kennel.world.write(
        "UPDATE cases SET next_action_at = %s WHERE state <> 'closed'", kennel.world.now + timedelta(days=1)
    )
    kennel.world.write("UPDATE outbox SET state = 'accepted'")
    kennel.world.write("UPDATE happenings SET handled_at = %s", kennel.world.now)
    kennel.world.write("UPDATE household_states SET stage = 0 WHERE household_id = 'h-wang'")
    kennel.minutes(1)
    assert kennel.found() == set()
    assert check.value in kennel.post.ended()


@pytest.mark.parametrize("service", ["ingest", "alerts"])
def test_a_service_that_finishes_no_turn_is_found(kennel: Kennel, service: str) -> None:
    kennel.minutes(2)
    other = {"ingest": "alerts", "alerts": "ingest"}[service]
    kennel.minutes(6, other)
    assert Check.SERVICE_STANDS.value in kennel.found()
    subjects = {item.subject for told in kennel.post.told for item in told.findings}
    assert subjects == {service}
    kennel.minutes(2)
    assert kennel.found() == set()


def test_a_service_that_was_never_there_is_found(kennel: Kennel) -> None:
    kennel.world.write("DELETE FROM service_progress WHERE service = 'ingest'")
    kennel.minutes(5)
    assert kennel.found() == {Check.SERVICE_STANDS.value}


def test_doors_nobody_listens_to_and_clocks_that_run_ahead_are_found(database_url: str) -> None:
    kennel = make_kennel(database_url, watchdog_clock_s=30.0)
    kennel.minutes(1)
    kennel.world.write("UPDATE service_progress SET at = at + interval '5 minutes' WHERE service = 'ingest'")
    kennel.world.write("UPDATE ingest_leases SET expires_at = NULL")
    for _ in range(2):
        kennel.world.clock.advance_to(kennel.world.clock.now_ms() + 60_000)
        kennel.dog.turn()
    # The story's clock stands years from the database's own: that is found as well.
    wrong = kennel.world.rows("SELECT subject FROM watchdog_findings WHERE check_name = 'clock_wrong'")
    assert {row["subject"] for row in wrong} == {"ingest", "database"}
    assert Check.LEASE_LOST.value in kennel.found()
    kennel.dog.close()
    kennel.world.close()


def test_what_was_forgotten_years_ago_is_found(kennel: Kennel) -> None:
    _message(kennel.world, years=9)
    _happening(kennel.world)
    kennel.minutes(4)
    assert {Check.OUTBOX_WAITS.value, Check.HAPPENING_WAITS.value} <= kennel.found()


def test_a_finding_is_told_again_with_growing_distance_not_at_every_turn(kennel: Kennel) -> None:
    _happening(kennel.world)
    kennel.minutes(60)
    assert 3 <= kennel.post.checks().count(Check.HAPPENING_WAITS.value) <= 5


def test_a_channel_that_fails_is_tried_at_the_next_turn(kennel: Kennel) -> None:
    _happening(kennel.world)
    kennel.post.works = False
    kennel.minutes(5)
    assert kennel.post.told == []
    kennel.post.works = True
    kennel.minutes(1)
    assert Check.HAPPENING_WAITS.value in kennel.post.checks()


def test_a_day_a_minute_makes_no_false_finding(kennel: Kennel) -> None:
    """At 1440 times the pace every case is overdue at some instant of every minute, and is worked on."""
    RunningClock.speed = 1_440.0
    try:
        wall = ManualClock(kennel.world.clock.now_ms())
        kennel.dog.wall = wall
        for turn in range(15):
            wall.advance_to(wall.now_ms() + 60_000)
            kennel.world.clock.advance_to(kennel.world.clock.now_ms() + 86_400_000)
            kennel.work()
            kennel.world.write(
                "UPDATE ingest_leases SET expires_at = %s", as_datetime(wall.now_ms() + 15_000)
            )
            kennel.world.write(
                "UPDATE cases SET next_action_at = %s", kennel.world.now - timedelta(minutes=turn)
            )
            kennel.world.write("UPDATE outbox SET state = 'delivered'")
            _message(kennel.world, channel=f"sms{turn}")
            kennel.dog.turn()
        assert kennel.found() == set()
        assert kennel.post.told == []
    finally:
        RunningClock.speed = 1.0


def test_a_paused_clock_makes_no_finding(kennel: Kennel) -> None:
    wall = ManualClock(kennel.world.clock.now_ms())
    kennel.dog.wall = wall
    kennel.dog.clock = ManualClock(kennel.world.clock.now_ms())
    for _ in range(10):
        wall.advance_to(wall.now_ms() + 60_000)
        kennel.world.write("UPDATE ingest_leases SET expires_at = %s", as_datetime(wall.now_ms() + 15_000))
        kennel.dog.turn()
    assert kennel.found() == set()


def test_a_database_restart_is_survived_and_said() -> None:
    from kaimen.schema import migrate

    with postgres_server() as server:
        with psycopg.connect(server.admin_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE watched")
        url = server.url("watched")
        migrate(url)
        kennel = make_kennel(url)
        kennel.minutes(2)
        kennel.world.close()
        server.program.kill()
        kennel.world.clock.advance_to(kennel.world.clock.now_ms() + 60_000)
        (away,) = kennel.dog.turn()
        # Without a database it says so all the same, once, and not at the very next turn again.
        assert away.check is Check.DATABASE_AWAY
        kennel.world.clock.advance_to(kennel.world.clock.now_ms() + 60_000)
        kennel.dog.turn()
        assert kennel.post.checks() == [Check.DATABASE_AWAY.value]
        server.start_again()
        kennel.world.clock.advance_to(kennel.world.clock.now_ms() + 60_000)
        assert all(item.check is not Check.DATABASE_AWAY for item in kennel.dog.turn())
        assert Check.DATABASE_AWAY.value in kennel.post.ended()
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT ended_at - suspected_at FROM watchdog_findings WHERE check_name = 'database_away'"
            ).fetchone()
        assert row == (timedelta(minutes=2),)
        kennel.dog.close()


# --- The ways out ------------------------------------------------------------------------------------------------


def test_a_signed_post_a_program_and_a_ping_leave_the_house(database_url: str, tmp_path: Path) -> None:
    program = tmp_path / "tell"
    program.write_text(f"#!/bin/sh\ncat > {tmp_path}/heard.json\n")
    program.chmod(0o700)
    with run_receiver() as receiver:
        ways = open_ways(
            WatchdogSettings(
                watchdog_webhook_url=receiver.url,
                watchdog_webhook_secret="whsec_" + "A" * 32,
                watchdog_program=program,
                watchdog_ping_url=receiver.url,
                watchdog_private_hosts=("127.0.0.1",),
            )
        )
        kennel = make_kennel(database_url)
        kennel.dog.ways = ways
        kennel.minutes(1)
        assert [headers["webhook-id"] for headers, _ in receiver.received] == ["followed a redirect"]  # a GET
        _happening(kennel.world)
        kennel.minutes(4)
        posted = [body for headers, body in receiver.received if "webhook-signature" in headers]
    (body,) = posted
    assert json.loads(body)["findings"][0]["check"] == "happening_waits"
    assert json.loads((tmp_path / "heard.json").read_text()) == json.loads(body)
    # While a fault stands the far switch hears nothing: its silence is the alarm.
    beat = kennel.world.rows("SELECT pinged_at, turned_at FROM watchdog_beats")[0]
    assert beat["pinged_at"] < beat["turned_at"]
    kennel.dog.close()
    kennel.world.close()


def test_a_way_that_cannot_work_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ChannelSettingsError, match="KAIMEN_WATCHDOG_PROGRAM"):
        open_ways(WatchdogSettings(watchdog_program=tmp_path / "nothing"))
    with pytest.raises(ChannelSettingsError, match="KAIMEN_WATCHDOG_PING_URL"):
        open_ways(WatchdogSettings(watchdog_ping_url="ftp://far.example"))


def test_a_demo_reaches_loopback_only() -> None:
    ways = open_ways(WatchdogSettings(demo=True, watchdog_ping_url="https://192.0.2.1/ping"))
    assert not ways.say_alive()
