"""A street whose doors speak on the machine's own clock, and what may be taken from under ingest while they do.

Nothing here is simulated but the doors: PostgreSQL, NATS and ingest are the real programs, each its own process.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from kaimen.clock import SystemClock
from kaimen.schema import migrate
from tests.fix_servers import PostgresServer, Program, free_port, wait_until
from tests.integration.ingest_street import HOUR, Door, Publisher, count, lay_out, rows

REPOSITORY = Path(__file__).parents[2]
WALL = SystemClock()
BEFORE_S = 5.0


@dataclass
class Doors:
    """Doors that open in turn and beat; every event is kept until the broker has answered for it."""

    broker_url: str
    number: int = 8
    per_s: float = 20.0
    sent: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    publisher: Publisher | None = None

    def start(self) -> None:
        began_ms = WALL.now_ms() - HOUR
        self.doors = [
            Door(f"door-{index}", boot=f"{index:016x}", booted_ms=began_ms)
            for index in range(1, self.number + 1)
        ]
        self.publisher = Publisher(self.broker_url)
        self.thread = threading.Thread(target=self._speak)
        self.thread.start()

    def _speak(self) -> None:
        assert self.publisher is not None
        client = self.publisher._client
        beat_at = 0.0
        while not self.stop.wait(1 / self.per_s):
            door = self.doors[self.sent % len(self.doors)]
            # paho keeps it over every loss of the connection until the broker has answered.
            client.publish(*door.opening(WALL.now_ms()), qos=1)
            self.sent += 1
            if time.monotonic() >= beat_at:
                beat_at = time.monotonic() + 5
                for each in self.doors:
                    client.publish(*each.heartbeat(WALL.now_ms()), qos=0)

    def end(self) -> None:
        self.stop.set()
        if self.thread is not None:
            self.thread.join()

    def close(self) -> None:
        self.end()
        if self.publisher is not None:
            self.publisher.close()


@dataclass
class Ingest:
    """The ingest service, with what it says of itself."""

    program: Program
    port: int

    def health(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return str(json.load(answer)["detail"])
        except urllib.error.HTTPError as error:
            return str(json.load(error)["detail"])
        except OSError:
            return "no answer"

    def listens(self) -> bool:
        """Whether a group is served here and nothing is amiss; others may be another worker's."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return "listening" in json.load(answer)["detail"]
        except OSError:
            return False


def launch(
    database_url: str, broker_url: str, folder: Path, environment: Mapping[str, str] | None = None
) -> Ingest:
    """Start ingest without waiting for it."""
    port = free_port()
    given = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "KAIMEN_DATABASE_URL": database_url,
        "KAIMEN_BROKER_URL": broker_url,
        "KAIMEN_METRICS_PORT": str(port),
        "KAIMEN_LOG_FORMAT": "text",
        "KAIMEN_INGEST_LEASE_S": "5",
        **(environment or {}),
    }
    log = folder / f"ingest-{time.monotonic_ns()}.log"
    program = Program("ingest", [sys.executable, "-m", "ingest"], log, given, REPOSITORY)
    program.start()
    return Ingest(program, port)


@contextlib.contextmanager
def ingest(
    database_url: str,
    broker_url: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    within_s: float = 180,
) -> Iterator[Ingest]:
    found = launch(database_url, broker_url, folder, environment)
    try:
        found.program.wait_until(found.listens, within_s=within_s)
        yield found
    finally:
        if found.program.is_alive():
            found.program.stop()


@contextlib.contextmanager
def world(
    postgres: PostgresServer,
    broker_url: str,
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    doors_url: str | None = None,
    lay_out_more: Callable[[str], None] = lambda _url: None,
) -> Iterator[tuple[str, Doors, Ingest]]:
    """Run ingest and eight doors that open, and give them a moment; yields the database's address with them.

    ``doors_url`` is the broker's address for the doors, where they sign in as somebody else than ingest.
    """
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE kaimen")
    url = postgres.url("kaimen")
    migrate(url)
    doors = Doors(doors_url or broker_url)
    lay_out(url, homes=doors.number, watched_from_ms=WALL.now_ms() - HOUR)
    lay_out_more(url)
    with ingest(url, broker_url, folder, environment) as service:
        doors.start()
        try:
            wait_until(lambda: count(url, "door_events") > 0, "the first event is stored", within_s=120)
            time.sleep(BEFORE_S)
            yield url, doors, service
        finally:
            doors.close()


@dataclass(frozen=True)
class Outcome:
    """What is left after an experiment, beside what was sent."""

    sent: int
    stored: int
    twice: int
    crossings: int
    quarantined: int

    @property
    def is_true(self) -> bool:
        return self.sent == self.stored and not (self.twice or self.crossings or self.quarantined)

    def words(self) -> str:
        return (
            f"sent {self.sent}, stored {self.stored}, stored twice {self.twice},"
            f" false crossings {self.crossings}, quarantined {self.quarantined}"
        )


def say(words: str, began: float) -> None:
    print(f"{time.monotonic() - began:8.1f} s  {words}", flush=True)


def rows_of(url: str, statement: LiteralString) -> list[tuple[Any, ...]]:
    """Ask on a connection of its own, again for as long as the database is away."""
    while True:
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                return connection.execute(statement).fetchall()
        except psycopg.OperationalError:
            time.sleep(0.2)


def outcome(url: str, doors: Doors, *, within_s: float = 180, more: int = 0) -> Outcome:
    """Wait until everything that was sent is stored, and count."""
    doors.end()
    with contextlib.suppress(TimeoutError):
        wait_until(
            lambda: count(url, "door_events") >= doors.sent + more,
            "all is stored",
            within_s=within_s,
            poll_s=0.2,
        )
    twice = rows(
        url,
        "SELECT count(*) AS n FROM (SELECT 1 FROM door_events GROUP BY device_no, boot, seq HAVING count(*) > 1) AS d",
    )
    return Outcome(
        doors.sent + more,
        count(url, "door_events"),
        twice[0]["n"],
        count(url, "stage_crossings"),
        count(url, "quarantine"),
    )


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own, so that it may be full; needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m,mode=755"
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


def fill(folder: Path) -> Path:
    """Take all the room there is."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 20)):
            pass
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(512)):
            pass
    return ballast
