"""Whatever is cut — process, database, broker, lease — each acknowledged event is stored exactly once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from prometheus_client import REGISTRY

from ingest.groups import leases
from ingest.groups.leases import LeaseLostError
from ingest.rows.book import load_book
from ingest.store import Store, Turn
from kaimen.clock import as_datetime
from kaimen.database import connect
from kaimen.schema import migrate
from tests.fix_broker import Broker
from tests.fix_servers import PostgresServer, postgres_server, wait_until
from tests.integration.ingest_street import (
    BEGIN_MS,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Door,
    Publisher,
    facts,
    ingest_process,
    lay_out,
    publishing,
    rows,
    street,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def own_postgres() -> Iterator[tuple[PostgresServer, str]]:
    """A database server that the test may kill."""
    with postgres_server(durable=True) as server:
        with psycopg.connect(server.admin_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE kaimen")
        url = server.url("kaimen")
        migrate(url)
        yield server, url


def stored_seqs(url: str) -> list[int]:
    return [row["seq"] for row in rows(url, "SELECT seq FROM door_events ORDER BY seq")]


def send_openings(publisher: Publisher, door: Door, number: int, from_ms: int) -> None:
    for index in range(number):
        publisher.send(*door.opening(from_ms + index * SECOND))


def test_a_worker_killed_between_commit_and_answer_stores_nothing_twice(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    door = Door()
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()  # makes the session: without one the broker would throw the events away
        made.stop()
        made.move_clock(BEGIN_MS + HOUR, wait=False)
        send_openings(publisher, door, 10, BEGIN_MS)
        with ingest_process(made, tmp_path, KAIMEN_TEST_KILL_AT="after_commit@events") as killed:
            wait_until(lambda: not killed.is_alive(), "the worker dies after its commit")
            assert killed.process is not None and killed.process.returncode == -9
        before = stored_seqs(database_url)
        assert before, "the batch was committed"
        # The broker was never answered, so everything comes again; the ledger knows it.
        made.start()
        send_openings(publisher, door, 5, BEGIN_MS + MINUTE)
        made.wait_for("door_events", 15)
        made.move_clock(BEGIN_MS + 2 * HOUR)
    assert stored_seqs(database_url) == list(range(1, 16))


def test_a_worker_killed_under_load_loses_nothing(database_url: str, broker_url: str, tmp_path: Path) -> None:
    lay_out(database_url, homes=4)
    doors = [Door(f"door-{number}") for number in range(1, 5)]
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        made.stop()
        made.move_clock(BEGIN_MS + HOUR, wait=False)
        # Fewer than mosquitto keeps by default for somebody who is away (1,000).
        messages = [door.opening(BEGIN_MS + index * SECOND) for index in range(200) for door in doors]
        sender = threading.Thread(target=publisher.send_all, args=(messages,))
        with ingest_process(made, tmp_path) as first:
            sender.start()
            made.wait_for("door_events", 50)
            first.kill()
        with ingest_process(made, tmp_path):
            sender.join(60)
            made.wait_for("door_events", 800)
    found = rows(database_url, "SELECT device_no, boot, seq, count(*) AS n FROM door_events GROUP BY 1, 2, 3")
    assert len(found) == 800
    assert {row["n"] for row in found} == {1}


def test_the_database_may_restart_under_load(
    own_postgres: tuple[PostgresServer, str], broker_url: str, tmp_path: Path
) -> None:
    server, url = own_postgres
    lay_out(url)
    door = Door()
    with street(url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        made.move_clock(BEGIN_MS + HOUR)
        send_openings(publisher, door, 20, BEGIN_MS)
        server.program.kill()
        send_openings(publisher, door, 20, BEGIN_MS + MINUTE)
        server.start_again()
        send_openings(publisher, door, 20, BEGIN_MS + 2 * MINUTE)
        made.wait_for("door_events", 60)
        made.wait_until_listening()
    assert stored_seqs(url) == list(range(1, 61))


def test_ingest_leaves_the_broker_when_the_database_stays_away_and_comes_back_alone(
    own_postgres: tuple[PostgresServer, str], broker_url: str, tmp_path: Path
) -> None:
    server, url = own_postgres
    lay_out(url)
    door = Door()
    with (
        street(url, broker_url, tmp_path, ingest_database_patience_s=0, ingest_lease_s=60) as made,
        publishing(broker_url) as publisher,
    ):
        worker = made.start()
        made.move_clock(BEGIN_MS + HOUR)
        send_openings(publisher, door, 5, BEGIN_MS)
        made.wait_for("door_events", 5)
        server.program.kill()
        publisher.send(*door.opening(BEGIN_MS + MINUTE))
        (loop,) = worker.loops
        wait_until(lambda: loop.source.is_idle, "ingest has left the broker")
        send_openings(publisher, door, 5, BEGIN_MS + 2 * MINUTE)
        server.start_again()
        made.wait_for("door_events", 11)
        made.wait_until_listening()
    assert stored_seqs(url) == list(range(1, 12))


def test_the_broker_may_be_killed_and_come_back(database_url: str, broker: Broker, tmp_path: Path) -> None:
    if broker.server is None:
        pytest.skip("a shared broker is not ours to kill")
    lay_out(database_url)
    door = Door()
    with street(database_url, broker.url, tmp_path) as made, publishing(broker.url) as publisher:
        worker = made.start()
        made.move_clock(BEGIN_MS + HOUR)
        send_openings(publisher, door, 10, BEGIN_MS)
        broker.server.program.kill()
        wait_until(lambda: not worker.health()[0], "ingest says that it is not connected")
        broker.server.start_again()
        made.wait_until_listening()
        send_openings(publisher, door, 10, BEGIN_MS + MINUTE)
        made.wait_for("door_events", 20)
    assert stored_seqs(database_url) == list(range(1, 21))


def test_a_successor_takes_over_and_the_old_worker_can_no_longer_write(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    door = Door()
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        made.start()
        made.stop()
        made.move_clock(BEGIN_MS + HOUR, wait=False)
        with ingest_process(made, tmp_path, KAIMEN_INGEST_WORKER="first") as first:
            send_openings(publisher, door, 5, BEGIN_MS)
            made.wait_for("door_events", 5)
            # The second stands by for as long as the first renews.
            with ingest_process(made, tmp_path, KAIMEN_INGEST_WORKER="second"):
                first.kill()
                send_openings(publisher, door, 5, BEGIN_MS + MINUTE)
                made.wait_for("door_events", 10)
                (lease,) = rows(database_url, "SELECT token, worker FROM ingest_leases")
                assert lease["worker"].startswith("second@")
    assert stored_seqs(database_url) == list(range(1, 11))


def test_a_worker_whose_token_is_old_writes_nothing(database_url: str) -> None:
    lay_out(database_url)
    with connect(database_url, service="test", autocommit=True) as connection:
        leases.provision(connection, 1)
        old = leases.acquire(connection, group_no=0, groups=1, worker="one@here:1", duration_s=0)
        assert old is not None
        new = leases.acquire(connection, group_no=0, groups=1, worker="two@there:2", duration_s=60)
        assert new is not None and new.token == old.token + 1
        assert leases.acquire(connection, group_no=0, groups=1, worker="three@there:3", duration_s=60) is None
        book = load_book(connection, now_ms=BEGIN_MS)
        with pytest.raises(LeaseLostError):
            Store().write(connection, old, book, Turn(BEGIN_MS, BEGIN_MS))
        with pytest.raises(LeaseLostError):
            leases.renew(connection, old)
        Store().write(connection, new, book, Turn(BEGIN_MS, BEGIN_MS))
    (progress,) = rows(database_url, "SELECT at FROM service_progress")
    assert progress["at"] == as_datetime(BEGIN_MS)


def test_a_worker_that_lost_its_lease_stops_and_asks_again(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    door = Door()
    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        worker = made.start()
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "UPDATE ingest_leases SET token = token + 1, worker = 'thief@there:1',"
                " expires_at = clock_timestamp() + interval '3 seconds'"
            )
        wait_until(lambda: worker.health()[1].startswith("standing by"), "it stands by")
        publisher.send(*door.opening(BEGIN_MS))
        made.wait_until_listening()
        made.wait_for("door_events", 1)
        (lease,) = rows(database_url, "SELECT token FROM ingest_leases")
        assert lease["token"] == 3


def heartbeats_taken() -> float:
    return REGISTRY.get_sample_value("kaimen_ingest_heartbeats_total") or 0.0


def play_four_days(url: str, broker_url: str, folder: Path, *, restarts: tuple[int, ...]) -> None:
    """Two doors open at the begin and report every eight hours; one opens again on the fourth day."""
    lay_out(url, homes=2)
    doors = [Door("door-1"), Door("door-2")]
    with street(url, broker_url, folder) as made, publishing(broker_url) as publisher:
        made.start()
        for door in doors:
            publisher.send(*door.opening(BEGIN_MS))
        made.wait_for("door_events", 2)
        for step in range(1, 13):
            at = BEGIN_MS + step * DAY // 3
            made.move_clock(at)
            if step in restarts:
                made.stop()
                made.start()
            if step == 11:
                publisher.send(*doors[0].opening(at))
                made.wait_for("door_events", 3)
            heard = heartbeats_taken()
            for door in doors:
                publisher.send(*door.heartbeat(at), qos=0)
            wait_until(lambda heard=heard: heartbeats_taken() == heard + len(doors), "heartbeats are taken")


def test_facts_are_the_same_with_and_without_restarts(
    database_url: str, empty_database_url: str, broker_url: str, tmp_path: Path
) -> None:
    migrate(empty_database_url)
    folders = [tmp_path / "through", tmp_path / "restarted"]
    for folder in folders:
        folder.mkdir()
    play_four_days(database_url, broker_url, folders[0], restarts=())
    play_four_days(empty_database_url, broker_url, folders[1], restarts=(2, 5, 9, 12))
    found = facts(database_url)
    assert {(c["household_id"], c["stage"]) for c in found["crossings"]} == {
        ("h-1", 1), ("h-1", 2), ("h-1", 3), ("h-2", 1), ("h-2", 2), ("h-2", 3),
    }  # fmt: skip
    assert facts(empty_database_url) == found
