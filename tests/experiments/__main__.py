"""``python -m tests.experiments NAME [--seconds N]``: something is taken away under load and given back; a report leaves.

Ends with 1 where an event was lost or stored twice, or something false was told. ``database``, ``broker``,
``database-disk``, ``broker-disk``, ``all``. The disks need root.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from kaimen.schema import migrate
from tests.experiments.stage import WALL, Doors, Ingest, Outcome, fill, ingest, outcome, small_disk
from tests.fix_servers import NatsServer, PostgresServer, nats_server, postgres_server, wait_until
from tests.integration.ingest_street import HOUR, count, lay_out

BEFORE_S = 5.0


@contextlib.contextmanager
def everything(
    postgres: PostgresServer, broker: NatsServer, folder: Path
) -> Iterator[tuple[str, Doors, Ingest]]:
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE kaimen")
    url = postgres.url("kaimen")
    migrate(url)
    doors = Doors(broker.url)
    lay_out(url, homes=doors.number, watched_from_ms=WALL.now_ms() - HOUR)
    with ingest(url, broker.url, folder) as service:
        doors.start()
        try:
            wait_until(lambda: count(url, "door_events") > 0, "the first event is stored", within_s=120)
            time.sleep(BEFORE_S)
            yield url, doors, service
        finally:
            doors.close()


def say(words: str, began: float) -> None:
    print(f"{time.monotonic() - began:8.1f} s  {words}", flush=True)


def watch(service: Ingest, seconds: float, began: float) -> None:
    """Say each change of what ingest says of itself for a while."""
    said, deadline = "", time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (words := service.health()) != said:
            said = words
            say(f"ingest: {words}", began)
        time.sleep(min(0.5, max(0.0, deadline - time.monotonic())))


def recover(url: str, doors: Doors, service: Ingest, began: float) -> Outcome:
    back = time.monotonic()
    wait_until(lambda: service.health() == "listening", "ingest listens again", within_s=300, poll_s=0.1)
    say(f"ingest listens again, {time.monotonic() - back:.1f} s after it could", began)
    time.sleep(BEFORE_S)
    found = outcome(url, doors)
    say(found.words(), began)
    return found


def database_away(seconds: float, folder: Path) -> Outcome:
    """PostgreSQL is killed, stays away, and is started again."""
    began = time.monotonic()
    with (
        postgres_server(durable=True) as postgres,
        nats_server() as broker,
        everything(postgres, broker, folder) as (url, doors, service),
    ):
        postgres.program.kill()
        say("PostgreSQL killed", began)
        watch(service, seconds, began)
        postgres.start_again()
        say("PostgreSQL started", began)
        return recover(url, doors, service, began)


def broker_away(seconds: float, folder: Path) -> Outcome:
    """The broker is killed, stays away, and is started again; doors keep what it has not answered for."""
    began = time.monotonic()
    with (
        postgres_server(durable=True) as postgres,
        nats_server() as broker,
        everything(postgres, broker, folder) as (url, doors, service),
    ):
        broker.program.kill()
        say("broker killed", began)
        watch(service, seconds, began)
        broker.start_again()
        say("broker started", began)
        return recover(url, doors, service, began)


def database_disk_full(seconds: float, folder: Path) -> Outcome:
    """The disk of PostgreSQL fills up under load, and has room again later."""
    began = time.monotonic()
    with (
        small_disk(folder / "disk", 400) as disk,
        _temporary_in(disk),
        postgres_server(durable=True, settings={"max_wal_size": "64MB", "min_wal_size": "32MB"}) as postgres,
        nats_server_in(folder) as broker,
        everything(postgres, broker, folder) as (url, doors, service),
    ):
        ballast = fill(disk)
        say("the disk of PostgreSQL is full", began)
        watch(service, seconds, began)
        ballast.unlink()
        say("there is room again", began)
        if not postgres.program.is_alive():
            say("PostgreSQL had ended itself: started as kaimen up does", began)
            postgres.start_again()
        return recover(url, doors, service, began)


def broker_disk_full(seconds: float, folder: Path) -> Outcome:
    """The disk of the broker fills up under load, and has room again later."""
    began = time.monotonic()
    with (
        postgres_server(durable=True) as postgres,
        small_disk(folder / "disk", 100) as disk,
        nats_server_in(disk) as broker,
        everything(postgres, broker, folder) as (url, doors, service),
    ):
        ballast = fill(disk)
        say("the disk of the broker is full", began)
        watch(service, seconds, began)
        ballast.unlink()
        say("there is room again", began)
        before = count(url, "door_events")
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: count(url, "door_events") > before, "events go on", within_s=30, poll_s=0.5)
        if count(url, "door_events") == before:
            say("the broker still writes nothing: started anew by hand", began)
            broker.program.kill()
            broker.start_again()
        return recover(url, doors, service, began)


@contextlib.contextmanager
def nats_server_in(folder: Path) -> Iterator[NatsServer]:
    with _temporary_in(folder), nats_server() as broker:
        yield broker


@contextlib.contextmanager
def _temporary_in(folder: Path) -> Iterator[None]:
    """Let what is started now make its folder there."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


EXPERIMENTS: dict[str, Callable[[float, Path], Outcome]] = {
    "database": database_away,
    "broker": broker_away,
    "database-disk": database_disk_full,
    "broker-disk": broker_disk_full,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.experiments", description=__doc__)
    parser.add_argument("name", choices=[*EXPERIMENTS, "all"])
    parser.add_argument("--seconds", type=float, default=600.0, help="how long it stays away [600]")
    asked = parser.parse_args()
    good = True
    for name in EXPERIMENTS if asked.name == "all" else [asked.name]:
        print(f"--- {name}, {asked.seconds:g} s: {EXPERIMENTS[name].__doc__}", flush=True)
        with tempfile.TemporaryDirectory(prefix="kaimen-experiment-") as folder:
            Path(folder).chmod(0o755)
            found = EXPERIMENTS[name](asked.seconds, Path(folder))
        print("nothing lost, nothing false" if found.is_true else "NOT AS IT SHOULD BE", flush=True)
        good = good and found.is_true
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
