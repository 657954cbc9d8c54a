"""Migrations while services run: a program that does not know the newest fence writes nothing more."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import psycopg
import pytest

from alerts.worker import Worker
from ingest.detector import Registry
from ingest.groups import leases
from ingest.rows.book import Book
from ingest.store import Store, Turn
from kaimen import fence
from kaimen.clock import ManualClock, as_ms
from kaimen.database import connect, open_pool
from kaimen.fence import KNOWN_FENCE, SchemaFencedError
from kaimen.schema import Migration, list_migrations, migrate
from tests.fix_servers import wait_until

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, tzinfo=UTC)
NOW_MS = as_ms(NOW)
LATER = Migration(9001, "later", None, "-- fencing\nCREATE TABLE later ()")
HARMLESS = Migration(9002, "harmless", None, "CREATE TABLE harmless ()")


def step_forward(url: str, *steps: Migration) -> None:
    migrate(url, migrations=[*list_migrations(), *steps])


def fenced_by(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT version FROM schema_fence").fetchone()
    assert row is not None
    return int(row[0])


def test_this_program_knows_the_fence_of_the_schema_it_brings(database_url: str) -> None:
    assert fenced_by(database_url) == KNOWN_FENCE > 0


def test_after_a_fencing_migration_neither_alerts_nor_ingest_writes(database_url: str) -> None:
    pool = open_pool(database_url, service="test", size_max=2)
    worker = Worker(pool=pool, clock=ManualClock(NOW_MS), name="old")
    book = Book(Registry({}, {}, {}), {}, {}, ())
    with pool, connect(database_url, service="old ingest", autocommit=True) as connection:
        leases.provision(connection, 1)
        lease = leases.acquire(connection, group_no=0, groups=1, worker="old@here:1", duration_s=60)
        assert lease is not None
        worker.turn()
        first = Store().write(connection, lease, book, Turn(NOW_MS, NOW_MS))

        step_forward(database_url, HARMLESS)
        worker.turn()
        assert Store().write(connection, lease, book, Turn(NOW_MS, NOW_MS)) == first + 1

        step_forward(database_url, LATER, HARMLESS)
        with pytest.raises(SchemaFencedError, match="upgrade the program"):
            worker.turn()
        with pytest.raises(SchemaFencedError, match="upgrade the program"):
            Store().write(connection, lease, book, Turn(NOW_MS + 1000, NOW_MS + 1000))
        row = connection.execute("SELECT batch FROM ingest_leases").fetchone()
        assert row is not None and row["batch"] == first + 1


def test_a_fencing_migration_waits_for_the_transaction_that_writes(database_url: str) -> None:
    done = threading.Event()

    def upgrade() -> None:
        step_forward(database_url, LATER)
        done.set()

    thread = threading.Thread(target=upgrade)
    with (
        connect(database_url, service="writer") as writer,
        connect(database_url, service="eyes", autocommit=True) as eyes,
    ):
        fence.enter(writer)
        thread.start()
        waits = "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_until(lambda: bool((eyes.execute(waits).fetchone() or {"n": 0})["n"]), "the migration waits")
        writer.execute("INSERT INTO communities (id, name) VALUES ('c', 'written before the fence')")
        assert not done.is_set()
        writer.commit()
        thread.join(60)
        assert done.is_set()
        with pytest.raises(SchemaFencedError):
            fence.enter(writer)
