"""Seconds enter; a server or the room on its disk is taken away for so long and given back, and what was left leaves."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from console.stack import supervisor as supervising
from console.stack.folder import StackFolder, read_json
from console.stack.nats import Nats, open_nats
from tests.experiments.stage import Doors, Ingest, Outcome, fill, outcome, say, small_disk, world
from tests.fix_servers import NatsServer, PostgresServer, free_port, nats_server, postgres_server, wait_until
from tests.integration.ingest_street import SITE, count

AFTER_S = 5.0


def watch(service: Ingest, seconds: float, began: float) -> None:
    """Say each change of what ingest says of itself for a while."""
    said, deadline = "", time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (words := service.health()) != said:
            said = words
            say(f"ingest: {words}", began)
        time.sleep(min(0.5, max(0.0, deadline - time.monotonic())))


def recover(url: str, doors: Doors, service: Ingest, began: float, *, more: int = 0) -> Outcome:
    """Wait until ingest listens again without anybody's hand, and compare."""
    back = time.monotonic()
    wait_until(service.listens, "ingest listens again", within_s=300, poll_s=0.1)
    say(f"ingest listens again, {time.monotonic() - back:.1f} s after it could", began)
    time.sleep(AFTER_S)
    found = outcome(url, doors, more=more)
    say(found.words(), began)
    return found


def server_away(name: str) -> Callable[[float, Path], Outcome]:
    """Return the experiment in which that server is killed, stays away, and is started again."""

    def experiment(seconds: float, folder: Path) -> Outcome:
        began = time.monotonic()
        with (
            postgres_server(durable=True) as postgres,
            nats_server() as broker,
            world(postgres, broker.url, folder) as (url, doors, service),
        ):
            server: PostgresServer | NatsServer = postgres if name == "PostgreSQL" else broker
            server.program.kill()
            say(f"{name} killed", began)
            watch(service, seconds, began)
            server.start_again()
            say(f"{name} started", began)
            return recover(url, doors, service, began)

    experiment.__doc__ = (
        f"{name} is killed, stays away, and is started again; doors keep what was not answered for."
    )
    return experiment


def database_disk_full(seconds: float, folder: Path) -> Outcome:
    """The disk of PostgreSQL fills up under load, and has room again later."""
    began = time.monotonic()
    with (
        small_disk(folder / "disk", 400) as disk,
        temporary_in(disk),
        postgres_server(durable=True, settings={"max_wal_size": "64MB", "min_wal_size": "32MB"}) as postgres,
        nats_server_in(folder) as broker,
        world(postgres, broker.url, folder) as (url, doors, service),
    ):
        _take_room(disk, "PostgreSQL", service, seconds, began)
        if not postgres.program.is_alive():
            say("PostgreSQL had ended itself: started as kaimen up does", began)
            postgres.start_again()
        return recover(url, doors, service, began)


def broker_disk_full(seconds: float, folder: Path) -> Outcome:
    """The disk of the broker of ``kaimen up`` fills up under load, and has room again later."""
    began = time.monotonic()
    with (
        postgres_server(durable=True) as postgres,
        small_disk(folder / "disk", 100) as disk,
        supervised_broker(disk, folder) as (nats, mark),
        world(postgres, _url_of(nats, "ingest"), folder, doors_url=_url_of(nats, "street")) as (
            url,
            doors,
            service,
        ),
    ):
        before = read_json(mark)
        _take_room(disk, "the broker", service, seconds, began)
        there = count(url, "door_events")
        wait_until(lambda: read_json(mark) != before, "the broker is started anew", within_s=60, poll_s=0.05)
        say("the supervisor has started the broker anew", began)
        wait_until(lambda: count(url, "door_events") > there, "events go on", within_s=60, poll_s=0.1)
        say("events go on", began)
        return recover(url, doors, service, began)


@contextlib.contextmanager
def supervised_broker(disk: Path, folder: Path) -> Iterator[tuple[Nats, Path]]:
    """Run the broker as ``kaimen up`` does, its store on a disk of its own; yields where its process is noted, too."""
    stack = StackFolder(disk)
    nats = open_nats(
        stack, stack.load_secrets(), mqtt_port=free_port(), client_port=free_port(), site_id=SITE
    )
    for name in ("run", "log"):
        (folder / name).mkdir()
    supervisor = supervising.Supervisor(folder / "run", folder / "log", quiet=True)
    supervisor.start(
        supervising.Program(
            "nats", nats.arguments(), is_ready=nats.is_ready, before_start=nats.make_ready_to_start,
            why_start_anew=nats.why_start_anew,
        )
    )  # fmt: skip
    watching = threading.Thread(target=supervisor.watch)
    watching.start()
    try:
        yield nats, folder / "run" / "nats.json"
    finally:
        supervisor.ask_to_stop()
        watching.join()
        supervisor.stop()


def _url_of(nats: Nats, name: str) -> str:
    user = next(user for user in nats.users if user.name == name)
    return nats.url.replace("mqtt://", f"mqtt://{user.name}:{user.password}@")


def _take_room(disk: Path, whose: str, service: Ingest, seconds: float, began: float) -> None:
    ballast = fill(disk)
    say(f"the disk of {whose} is full", began)
    watch(service, seconds, began)
    ballast.unlink()
    say("there is room again", began)


@contextlib.contextmanager
def nats_server_in(folder: Path) -> Iterator[NatsServer]:
    with temporary_in(folder), nats_server() as broker:
        yield broker


@contextlib.contextmanager
def temporary_in(folder: Path) -> Iterator[None]:
    """Let what is started now make its folder there."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
