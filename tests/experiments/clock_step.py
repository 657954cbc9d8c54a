"""The clock of the services is set by an hour and back while doors speak on true time; what was written leaves.

The offset is libfaketime's, read anew from a file every second: ingest and alerts see a machine whose wall clock was
set, and everything else of them is as it is. Doors, the broker and PostgreSQL keep the true time.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from kaimen.clock import as_datetime
from tests.experiments.away import recover, watch
from tests.experiments.stage import REPOSITORY, WALL, Ingest, Outcome, rows_of, say, world
from tests.fix_servers import Program, nats_server, postgres_server, wait_until
from tests.integration.ingest_street import DAY, SECOND, Door, Publisher, device_id, lay_out

STEPS = ("+3600", "-3600")
SITE = "quiet"
LIBRARY = "libfaketimeMT.so.1"
FOLDERS = ("/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime")
#: Two days in silence but for a moment: a case that a person has to answer, with a deadline within the hour.
CALL_IN_S = 25
BEAT_EVERY_S = 5.0


def library() -> Path:
    """Return where libfaketime is."""
    for folder in (os.environ.get("KAIMEN_TEST_FAKETIME", ""), *FOLDERS):
        if folder and (Path(folder) / LIBRARY).exists():
            return Path(folder) / LIBRARY
    raise SystemExit(
        "libfaketime is not here: apt-get install libfaketime, or name its folder in KAIMEN_TEST_FAKETIME"
    )


class Wall:
    """The wall clock of the services."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "wall"
        self.set("+0")

    def set(self, offset: str) -> None:
        # In one step: a file that is read while it is written would be another time.
        other = self._file.with_suffix(".new")
        other.write_text(f"{offset}\n")
        other.replace(self._file)

    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }


@contextlib.contextmanager
def alerts(url: str, folder: Path, environment: dict[str, str]) -> Iterator[Program]:
    given = {
        **os.environ, "PYTHONPATH": str(REPOSITORY), "KAIMEN_DATABASE_URL": url, "KAIMEN_LOG_FORMAT": "text",
        **environment,
    }  # fmt: skip
    program = Program("alerts", [sys.executable, "-m", "alerts"], folder / "alerts.log", given, REPOSITORY)
    program.start()
    try:
        yield program
    finally:
        if program.is_alive():
            program.stop()


class Quiet:
    """A home that has been silent for two days but for a moment, whose door says that it was watched."""

    def __init__(self, broker_url: str) -> None:
        self._publisher = Publisher(broker_url)
        self.crosses_ms = WALL.now_ms() + CALL_IN_S * SECOND
        self._door = Door(device_id(1, SITE), SITE, "00000000000000ff", self.crosses_ms - 3 * DAY)
        self._publisher.send(*self._door.opening(self.crosses_ms - 2 * DAY))

    def beat(self) -> None:
        self._publisher._client.publish(*self._door.heartbeat(WALL.now_ms()), qos=0)

    def close(self) -> None:
        self._publisher.close()


def _told(url: str) -> list[tuple[object, ...]]:
    """What people were told and asked to do."""
    return rows_of(url, "SELECT (SELECT count(*) FROM case_entries), (SELECT count(*) FROM tasks),"
                        " (SELECT count(*) FROM outbox)")  # fmt: skip


def clock_set(seconds: float, folder: Path) -> Outcome:
    """The clock of the server is set by an hour, forward and back, and put right again each time."""
    began, began_ms = time.monotonic(), WALL.now_ms()
    wall = Wall(folder)
    with (
        postgres_server(durable=True) as postgres,
        nats_server() as broker,
        world(
            postgres, broker.url, folder, environment=wall.environment(),
            lay_out_more=lambda url: lay_out(url, site=SITE, watched_from_ms=began_ms - 4 * DAY),
        ) as (url, doors, service),
        alerts(url, folder, wall.environment()),
    ):  # fmt: skip
        quiet = Quiet(broker.url)
        try:
            wait_until(lambda: _beat_until(quiet, url), "she has a case and somebody is asked", within_s=120)
            say(f"one home has a case: {_told(url)[0]} entries, tasks, messages", began)
            for step in STEPS:
                _step(url, wall, step, min(seconds, 90.0), began, service)
                quiet.beat()
            # The quiet home's own opening is one more than the doors sent.
            found = recover(url, doors, service, began, more=1)
        finally:
            quiet.close()
        return _judge(url, found, quiet, began_ms, began)


def _beat_until(quiet: Quiet, url: str) -> bool:
    quiet.beat()
    time.sleep(1)
    # Not any task: where her opening is admitted late, a visit was asked for first, for a home that nobody had seen.
    return rows_of(url, "SELECT count(*) FROM tasks WHERE kind = 'call' AND state = 'open'")[0][0] > 0


def _step(url: str, wall: Wall, step: str, seconds: float, began: float, service: Ingest) -> None:
    before = _told(url)
    wall.set(step)
    say(f"the clock was set by {step} s", began)
    watch(service, seconds, began)
    after = _told(url)
    say(f"told to people meanwhile: {'nothing' if after == before else (before, after)}", began)
    assert after == before, "somebody was told something at a wrong time"
    wall.set("+0")
    say("the clock was put right", began)
    wait_until(service.listens, "ingest listens again", within_s=300, poll_s=0.2)
    say("ingest listens", began)


def _judge(url: str, found: Outcome, quiet: Quiet, began_ms: int, began: float) -> Outcome:
    now_ms = WALL.now_ms()
    with psycopg.connect(url, autocommit=True) as connection:
        astray = connection.execute(
            "SELECT (SELECT count(*) FROM door_events WHERE received_at NOT BETWEEN %(from)s AND %(to)s),"
            " (SELECT count(*) FROM happenings WHERE at > %(to)s), (SELECT count(*) FROM cases WHERE opened_at > %(to)s)",
            {"from": as_datetime(began_ms - SECOND), "to": as_datetime(now_ms + SECOND)},
        ).fetchone()
        crossings = connection.execute(
            "SELECT household_id, stage, (extract(epoch FROM at) * 1000)::bigint FROM stage_crossings ORDER BY stage"
        ).fetchall()
    say(f"dated by the wrong clock: events, facts, cases {astray}; crossings {crossings}", began)
    wanted = [(f"h-{SITE}-1", stage, quiet.crosses_ms - (2 - stage) * DAY) for stage in (1, 2)]
    false = len(set(crossings) ^ set(wanted)) + sum(astray or (1,))
    judged = Outcome(found.sent, found.stored, found.twice, false, found.quarantined)
    say(judged.words(), began)
    return judged
