"""Several workers at one database and one broker: they share the groups, and who is cut off can do no harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from ingest.groups import leases
from ingest.groups.leases import LeaseLostError
from ingest.rows.book import load_book
from ingest.store import Store, Turn, open_turn
from kaimen.database import connect, connection_settings
from kaimen.wire import shard_of
from tests.cut import Cut
from tests.fix_servers import nats_server, wait_until
from tests.integration.ingest_street import (
    BEGIN_MS,
    HOUR,
    MINUTE,
    SECOND,
    Door,
    count,
    device_id,
    ingest_process,
    lay_out,
    publishing,
    rows,
    street,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.one_store]


def sites_of_every_group(groups: int) -> list[str]:
    """Return one site id for each group, in the order of the groups."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < groups:
        site = f"site-{number}"
        found.setdefault(shard_of(site) * groups // 256, site)
        number += 1
    return [found[group] for group in range(groups)]


def holders(url: str) -> list[str]:
    """Return the name of each group's holder, without machine and process."""
    return [
        (row["worker"] or "").partition("@")[0]
        for row in rows(url, "SELECT worker FROM ingest_leases ORDER BY group_no")
    ]


def held_by(url: str, **wanted: int) -> Callable[[], bool]:
    return lambda: all(holders(url).count(name) == number for name, number in wanted.items())


def connections(url: str) -> int:
    """Return how many connections the workers' groups have to the database."""
    open_now = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()"
    return int(rows(url, f"{open_now} AND application_name LIKE 'kaimen ingest%%'")[0]["n"])


def test_workers_share_the_groups_as_they_come_and_go(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    sites = sites_of_every_group(4)
    for site in sites:
        lay_out(database_url, site=site)
    doors = [Door(device_id(1, site), site=site) for site in sites]
    four = {"KAIMEN_INGEST_GROUPS": "4"}
    with (
        street(database_url, broker_url, tmp_path) as made,
        publishing(broker_url) as publisher,
        ingest_process(made, tmp_path, KAIMEN_INGEST_WORKER="first", **four),
    ):
        wait_until(held_by(database_url, first=4), "one has all", within_s=60)
        with ingest_process(made, tmp_path, KAIMEN_INGEST_WORKER="second", **four) as second:
            wait_until(held_by(database_url, first=2, second=2), "they share", within_s=60)
            wait_until(lambda: second.last_words(200).count("listening") == 2, "the second listens")
            # A connection for each group that is served, and one of each worker to wait for the others.
            wait_until(
                lambda: connections(database_url) <= 4 + 2, "no connection stands for a group of another"
            )
            made.move_clock(BEGIN_MS + HOUR, wait=False)
            for door in doors:
                publisher.send(*door.opening(BEGIN_MS + SECOND))
            made.wait_for("door_events", 4)
            second.kill()
            for door in doors:
                publisher.send(*door.opening(BEGIN_MS + MINUTE))
            wait_until(held_by(database_url, first=4), "the first has all again", within_s=60)
            made.wait_for("door_events", 8)
    assert rows(database_url, "SELECT worker FROM ingest_workers WHERE worker LIKE 'first%%'") == []
    assert holders(database_url) == [""] * 4


def test_a_worker_cut_off_from_the_database_is_succeeded_and_does_nothing_twice(
    database_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    door = Door()
    with (
        nats_server(ack_wait="1s") as broker,
        Cut.before(database_url) as wire,
        street(database_url, broker.url, tmp_path) as made,
        publishing(broker.url) as publisher,
    ):
        made.move_clock(BEGIN_MS + HOUR, wait=False)
        with ingest_process(
            made, tmp_path, KAIMEN_INGEST_WORKER="first", KAIMEN_DATABASE_URL=wire.url(database_url)
        ) as first:
            wait_until(lambda: "listening" in first.last_words(), "the first listens")
            for index in range(5):
                publisher.send(*door.opening(BEGIN_MS + index * SECOND))
            made.wait_for("door_events", 5)
            with ingest_process(made, tmp_path, KAIMEN_INGEST_WORKER="second") as second:
                wire.cut()
                # The first one still has the session: it takes these, and cannot store them.
                for index in range(5):
                    publisher.send(*door.opening(BEGIN_MS + MINUTE + index * SECOND))
                made.wait_for("door_events", 10)
                assert "listening" in second.last_words()
                wire.mend()
                wait_until(lambda: "lease lost" in first.last_words(), "the first learns it", within_s=60)
                publisher.send(*door.opening(BEGIN_MS + 2 * MINUTE))
                made.wait_for("door_events", 11)
                assert holders(database_url) == ["second"]
    stored = rows(database_url, "SELECT seq FROM door_events ORDER BY seq")
    assert [row["seq"] for row in stored] == list(range(1, 12))


def test_a_worker_cut_off_inside_its_transaction_does_not_hold_the_group_for_ever(database_url: str) -> None:
    lay_out(database_url)
    with (
        connect(database_url, service="cut off", autocommit=True) as cut_off,
        connect(database_url, service="successor", autocommit=True) as successor,
    ):
        leases.provision(cut_off, 1)
        old = leases.acquire(cut_off, group_no=0, groups=1, worker="one@here:1", duration_s=1)
        assert old is not None
        book = load_book(cut_off, now_ms=BEGIN_MS)
        # It has locked the row, and is never heard again.
        cut_off.execute("BEGIN")
        open_turn(cut_off, old, None)
        found: list[leases.Lease] = []

        def taken() -> bool:
            lease = leases.acquire(successor, group_no=0, groups=1, worker="two@there:2", duration_s=60)
            found.extend([lease] if lease is not None else [])
            return lease is not None

        assert not taken()
        wait_until(taken, "the successor takes the group", within_s=60)
        assert found[0].abandoned
        with pytest.raises(psycopg.Error):
            cut_off.execute("COMMIT")
        with pytest.raises(LeaseLostError):
            Store().write(successor, old, book, Turn(BEGIN_MS, BEGIN_MS))
    assert count(database_url, "ingest_leases", "token = 2") == 1


def test_of_several_hosts_the_one_that_takes_writes_is_wanted() -> None:
    assert connection_settings("postgresql://a,b:5433/kaimen")["target_session_attrs"] == "read-write"
    assert "target_session_attrs" not in connection_settings("postgresql://a/kaimen")
    assert "target_session_attrs" not in connection_settings(
        "postgresql://a,b/kaimen?target_session_attrs=any"
    )
    assert "connect_timeout" not in connection_settings("postgresql://a/kaimen?connect_timeout=3")
