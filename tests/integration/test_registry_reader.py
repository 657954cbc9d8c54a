"""A registry that changes by chance enters; what a reader took over change by change is what a whole read gives."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any, LiteralString, cast

import pytest

from ingest.rows.book import Book, is_of_group, load_book
from ingest.rows.registry_reader import WHOLE_EVERY_S, RegistryReader
from ingest.signals.store import DoorFacts, DoorTurn, Register, load_homes
from kaimen.clock import as_datetime
from kaimen.database import Connection, connect
from tests.integration.many_homes import BEGIN_MS, DAY, HOUR, lay_out_many, many_homes
from tests.seeds import slow_seeds

pytestmark = pytest.mark.one_store

#: Each a statement of one change; ``a`` and ``b`` are homes, ``n`` a number that was never used.
CHANGES: tuple[LiteralString, ...] = (
    "UPDATE households SET watched_from = %(at)s WHERE id = %(a)s",
    "UPDATE households SET watched_from = NULL WHERE id = %(a)s",
    "UPDATE households SET policy_id = 'strict' WHERE id = %(a)s",
    "UPDATE households SET label = 'moved-' || %(n)s WHERE id = %(a)s",
    "UPDATE devices SET supervision_s = %(n)s + 60 WHERE id = %(d)s",
    "UPDATE devices SET retired_at = %(at)s WHERE id = %(d)s",
    "UPDATE devices SET gateway_id = CASE WHEN gateway_id IS NULL THEN 'gw-1' END WHERE id = %(d)s",
    "UPDATE devices SET kind = 'motion' WHERE id = %(d)s",
    "INSERT INTO devices (id, site_id, kind, registered_at) VALUES ('n-' || %(n)s, 'west-gate', 'controller', %(at)s)",
    "DELETE FROM devices WHERE id LIKE 'n-%%' AND NOT EXISTS (SELECT 1 FROM household_doors WHERE device_id = devices.id)",
    "INSERT INTO household_doors (household_id, device_id, role, to_at)"
    " SELECT %(a)s, id, 'dwelling', %(soon)s FROM devices WHERE id LIKE 'n-%%' LIMIT 1",
    "INSERT INTO household_doors (household_id, device_id, role) VALUES (%(a)s, %(d)s, 'shared') ON CONFLICT DO NOTHING",
    "UPDATE household_doors SET to_at = %(soon)s WHERE household_id = %(a)s",
    "UPDATE household_doors SET household_id = %(b)s WHERE household_id = %(a)s AND role = 'shared'"
    " AND NOT EXISTS (SELECT 1 FROM household_doors o WHERE o.household_id = %(b)s)",
    "DELETE FROM household_doors WHERE household_id = %(a)s",
    "UPDATE consents SET withdrawn_at = %(at)s WHERE household_id = %(a)s AND withdrawn_at IS NULL",
    "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES (%(a)s, 'watch', 'she', %(at)s)"
    " ON CONFLICT DO NOTHING",
    "INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)"
    " VALUES (%(a)s, %(at)s, %(soon)s, 'travel', 'she', %(at)s)",
    "UPDATE absences SET revoked_at = %(at)s WHERE household_id = %(a)s",
    "INSERT INTO verified_contacts (household_id, at, how, witness, recorded_at) VALUES (%(a)s, %(at)s, 'spoke', 'w', %(at)s)",
    "INSERT INTO credentials (token, class, household_id) VALUES ('c-' || %(n)s, 'resident', %(a)s)",
    "INSERT INTO credentials (token, class) VALUES ('s-' || %(n)s, 'staff')",
    "UPDATE credentials SET household_id = %(b)s WHERE household_id = %(a)s",
    "UPDATE credentials SET household_id = NULL, class = 'guard' WHERE household_id = %(a)s",
    "UPDATE credentials SET household_id = %(a)s, class = 'visitor' WHERE token LIKE 's-%%'",
    "DELETE FROM credentials WHERE household_id = %(a)s",
    "INSERT INTO households (id, site_id, label, building, unit, floor, room, watched_from)"
    " VALUES ('x-' || %(n)s, 'west-gate', 'x-' || %(n)s, '1', '1', 1, '1', %(at)s)",
    "INSERT INTO policies (id, version, thresholds_s, valid_from) VALUES ('strict', %(n)s, ARRAY[%(n)s, 9999], %(at)s)",
    "INSERT INTO policies (id, version, thresholds_s, valid_from) VALUES ('strict', %(n)s, ARRAY[%(n)s, 9999], %(soon)s)",
    "INSERT INTO persons (id, household_id, relation) VALUES ('p-' || %(n)s, %(a)s, 'resident')",
    "UPDATE persons SET category = 'community_correction' WHERE household_id = %(a)s",
    "UPDATE communities SET commissioning_s = %(n)s",
)  # fmt: skip


class _Office:
    def __init__(self, connection: Connection, chance: random.Random) -> None:
        self._connection, self._chance, self._n = connection, chance, 1

    def change(self, now_ms: int) -> None:
        self._n += 1
        values = {
            "a": f"h-{self._chance.randint(1, 6)}", "b": f"h-{self._chance.randint(1, 6)}",
            "d": f"d-{self._chance.randint(1, 6)}", "n": self._n, "at": as_datetime(now_ms),
            "soon": as_datetime(now_ms + self._chance.randint(1, 5) * HOUR),
        }  # fmt: skip
        statement = self._chance.choice(CHANGES)
        self._connection.execute(
            cast(LiteralString, statement.replace("'c-' || %(n)s", "'c-' || %(n)s::int")), values
        )


@pytest.mark.parametrize("seed", [1, *slow_seeds(range(2, 8))])
def test_changes_taken_over_one_by_one_give_what_a_whole_read_gives(database_url: str, seed: int) -> None:
    lay_out_many(database_url, 6, behind_gateway=3)
    chance = random.Random(seed)
    with (
        connect(database_url, service="test", autocommit=True) as ours,
        connect(database_url, service="test", autocommit=True) as theirs,
    ):
        office = _Office(theirs, chance)
        reader = RegistryReader(0, 1)
        now_ms = BEGIN_MS
        book = reader.read(ours, now_ms=now_ms)
        doors = DoorFacts()
        for _ in range(50):
            now_ms += chance.randint(1, HOUR)
            for _ in range(chance.randint(0, 3)):
                office.change(now_ms)
            changes = reader.read_changes(ours, book, now_ms=now_ms)
            book.registry.take(changes.registry)
            book.take(changes)
            _assert_same(book, load_book(ours, now_ms=now_ms))
            assert not reader.read_changes(ours, book, now_ms=now_ms), "nothing changed since"
            register = Register(book.device_no, book.household_no, book.registry.credentials)
            doors.write(ours, register, DoorTurn(now_ms), token=1)
            assert doors._homes is not None
            with ours.transaction():
                assert doors._homes.homes == load_homes(ours, register, now_ms=now_ms)


def _assert_same(book: Book, whole: Book) -> None:
    assert book.registry == whole.registry
    assert book.device_no == whole.device_no and book.household_no == whole.household_no
    assert {item.device_id: item for item in book.wiring} == {item.device_id: item for item in whole.wiring}


def test_a_change_that_is_committed_after_a_later_one_is_not_missed(database_url: str) -> None:
    lay_out_many(database_url, 2)
    with (
        connect(database_url, service="test", autocommit=True) as ours,
        connect(database_url, service="test") as slow,
        connect(database_url, service="test", autocommit=True) as quick,
    ):
        reader = RegistryReader(0, 1)
        book = reader.read(ours, now_ms=BEGIN_MS)
        move = "UPDATE households SET watched_from = %s WHERE id = %s"
        slow.execute(move, (as_datetime(BEGIN_MS + DAY), "h-1"))
        quick.execute(move, (as_datetime(BEGIN_MS + DAY), "h-2"))
        first = reader.read_changes(ours, book, now_ms=BEGIN_MS)
        assert set(first.registry.households) == {"h-2"}
        book.registry.take(first.registry)
        slow.commit()
        assert set(reader.read_changes(ours, book, now_ms=BEGIN_MS).registry.households) == {"h-1"}


def test_what_changed_without_a_note_is_found_by_the_whole_read_that_comes_in_any_case(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out_many(database_url, 2)
    with connect(database_url, service="test", autocommit=True) as ours:
        # While anything older is under way on the server, notes are read again; those of laying out are not meant.
        ours.execute("DELETE FROM registry_changes")
        reader = RegistryReader(0, 1)
        book = reader.read(ours, now_ms=BEGIN_MS)
        ours.execute("ALTER TABLE households DISABLE TRIGGER households_changed")
        ours.execute(
            "UPDATE households SET watched_from = %s WHERE id = 'h-1'", (as_datetime(BEGIN_MS + DAY),)
        )
        assert not reader.read_changes(ours, book, now_ms=BEGIN_MS)
        begun = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: begun + WHOLE_EVERY_S * 2)
        found = reader.read_changes(ours, book, now_ms=BEGIN_MS)
        assert set(found.registry.households) == {"h-1"}
        book.registry.take(found.registry)
        assert not reader.read_changes(ours, book, now_ms=BEGIN_MS)


def test_what_a_start_reads_of_every_home_is_read_before_a_turn_whose_time_is_the_leases(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_turn: list[bool] = []
    writing = False
    write = DoorFacts.write

    def noting_write(*words: Any, **more: Any) -> None:
        nonlocal writing
        writing = True
        write(*words, **more)
        writing = False

    def noting_load(*words: Any, **more: Any) -> dict[str, Any]:
        in_turn.append(writing)
        return load_homes(*words, **more)

    monkeypatch.setattr(DoorFacts, "write", noting_write)
    monkeypatch.setattr("ingest.signals.store.load_homes", noting_load)
    with many_homes(database_url, 2) as community:
        community.start_ingest()
    assert in_turn == [False]


_SITE = """
WITH community AS (INSERT INTO communities (id, name) VALUES (%(community)s, '') ON CONFLICT DO NOTHING),
     site AS (INSERT INTO sites (id, community_id, name) VALUES (%(site)s, %(community)s, '')),
     door AS (INSERT INTO devices (id, site_id, kind, registered_at) VALUES (%(site)s || '-d', %(site)s, 'controller', %(at)s)),
     home AS (INSERT INTO households (id, site_id, label, building, unit, floor, room, watched_from)
              VALUES (%(site)s || '-h', %(site)s, '1', '1', '1', 1, '1', %(at)s)),
     bound AS (INSERT INTO household_doors (household_id, device_id, role) VALUES (%(site)s || '-h', %(site)s || '-d', 'dwelling')),
     away AS (INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)
              VALUES (%(site)s || '-h', %(at)s, %(at)s::timestamptz + interval '1 day', 'travel', 'she', %(at)s)),
     agreed AS (INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES (%(site)s || '-h', 'watch', 'she', %(at)s))
INSERT INTO credentials (token, class, household_id) VALUES (%(site)s || '-c', 'resident', %(site)s || '-h')
"""


def test_a_group_reads_its_own_homes_and_of_others_the_cards_that_show_nobody_lives_there(
    database_url: str,
) -> None:
    def sites(ours: bool) -> Iterator[str]:
        return (f"s{n}" for n in range(100) if is_of_group(f"s{n}", 1, 4) is ours)

    own, other = sites(True), sites(False)
    ours_a, theirs_a, theirs_b, new_b = next(own), next(other), next(other), next(own)
    with connect(database_url, service="test", autocommit=True) as connection:

        def found(site: str, community: str) -> None:
            connection.execute(_SITE, {"site": site, "community": community, "at": as_datetime(BEGIN_MS)})

        def follow() -> None:
            changes = reader.read_changes(connection, book, now_ms=BEGIN_MS)
            book.registry.take(changes.registry)
            book.take(changes)
            whole = load_book(connection, now_ms=BEGIN_MS, group_no=1, groups=4)
            assert (book.sites, book.registry) == (whole.sites, whole.registry)

        found(ours_a, "a"), found(theirs_a, "a"), found(theirs_b, "b")
        add = "INSERT INTO credentials (token, class, household_id) VALUES (%s, %s, %s)"
        connection.execute(add, ("guard", "guard", None))
        connection.execute(add, ("pass", "visitor", f"{theirs_a}-h"))
        reader = RegistryReader(1, 4)
        book = reader.read(connection, now_ms=BEGIN_MS)
        assert list(book.household_no) == [f"{ours_a}-h"] and list(book.device_no) == [f"{ours_a}-d"]
        assert [home.absences != () for home in book.registry.households.values()] == [True]
        assert book.registry.credentials.keys() == {f"{ours_a}-c", "pass", "guard"}
        found(new_b, "b")
        connection.execute(add, ("pass-b", "visitor", f"{theirs_b}-h"))
        connection.execute(add, ("hers", "resident", f"{theirs_b}-h"))
        follow()
        assert book.household_no.keys() == {f"{ours_a}-h", f"{new_b}-h"}
        assert book.registry.credentials.keys() == {f"{ours_a}-c", f"{new_b}-c", "pass", "pass-b", "guard"}
        move = "UPDATE households SET site_id = %s, label = 'new' WHERE id = %s"
        connection.execute(move, (ours_a, f"{theirs_b}-h"))  # comes to us, and one of ours goes
        connection.execute(move, (theirs_a, f"{new_b}-h"))
        follow()
        assert book.registry.credentials.keys() == {
            f"{ours_a}-c",
            f"{theirs_b}-c",
            "hers",
            "pass",
            "pass-b",
            "guard",
        }
        register = Register(book.device_no, book.household_no, book.registry.credentials, book.sites)
        with connection.transaction():
            assert load_homes(connection, register, now_ms=BEGIN_MS).keys() == book.household_no.keys()
