"""Rows go to the database while a turn is still being judged: a turn that fails leaves none of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ingest import replay
from ingest.admission import Message
from ingest.arrays.reader import Columns
from ingest.groups import group_state, leases
from ingest.groups.group_state import GroupState
from ingest.groups.holding import Holding
from ingest.groups.leases import Lease
from ingest.rows.book import load_book
from ingest.rows.unsaved import Coverage
from ingest.store import Store, Turn, Writing
from kaimen import wire
from kaimen.database import Connection, connect
from kaimen.settings import IngestSettings
from tests.integration.ingest_street import BEGIN_MS, DAY, HOUR, MINUTE, SECOND, Door, lay_out, rows

pytestmark = [pytest.mark.integration, pytest.mark.one_store]

NOW_MS = BEGIN_MS + 4 * DAY


@dataclass
class Group:
    url: str
    connection: Connection
    lease: Lease
    store: Store
    state: GroupState

    def stored(self) -> list[int]:
        """Return the positions of the first door's rows, as somebody else sees them."""
        found = rows(
            self.url,
            "SELECT seq FROM door_events e JOIN devices d ON d.no = e.device_no AND d.id = 'door-1' ORDER BY seq",
        )
        return [row["seq"] for row in found]

    def batch(self) -> int:
        [row] = rows(self.url, "SELECT batch FROM ingest_leases")
        return int(row["batch"])

    def turn(self, messages: list[tuple[str, bytes]], writing: Writing) -> Turn:
        """Judge messages, each sent on as soon as it is judged."""
        given = [Message(topic, payload, NOW_MS) for topic, payload in messages]
        self.state.apply(given, NOW_MS, tell=writing.take)
        return self.state.draft(NOW_MS)


@pytest.fixture
def group(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Group]:
    monkeypatch.setattr(group_state, "ROWS_AT_ONCE", 1)
    lay_out(database_url, homes=2)
    with connect(database_url, service="test", autocommit=True) as connection:
        leases.provision(connection, 1)
        lease = leases.acquire(connection, group_no=0, groups=1, worker="a@here:1", duration_s=60)
        assert lease is not None
        book = load_book(connection, now_ms=NOW_MS)
        rebuilt = replay.rebuild(connection, book, now_ms=NOW_MS)
        state = GroupState(
            book, rebuilt.detector, rebuilt.causes, Coverage(HOUR), pulse_ms=NOW_MS, loader=rebuilt.loader,
            reader=Columns.reader(),
        )  # fmt: skip
        store = Store()
        # From here on there are partitions for what is of these hours.
        topic, payload = Door("door-2", boot="00000000000000cd").opening(NOW_MS - 2 * HOUR)
        state.apply([Message(topic, payload, NOW_MS)], NOW_MS)
        turn = state.draft(NOW_MS)
        store.write(connection, lease, book, turn)
        state.confirm(turn)
        yield Group(database_url, connection, lease, store, state)


def said_at(door: Door, *ats: int) -> list[tuple[str, bytes]]:
    return [door.opening(at) for at in ats]


def array_of(door: Door, from_ms: int) -> tuple[str, bytes]:
    return door.topic("evb"), wire.format_batch([door.event(from_ms + n * SECOND) for n in range(8)])


def test_rows_on_their_way_are_nobodys_before_the_turn_is_committed(group: Group) -> None:
    door = Door()
    messages = [
        *said_at(door, *(NOW_MS - HOUR + n * SECOND for n in range(3))),
        array_of(door, NOW_MS - MINUTE),
    ]
    with group.store.begin(group.connection, group.lease, group.state.book, now_ms=NOW_MS) as writing:
        turn = group.turn(messages, writing)
        assert writing._events_taken == 3, "what is judged is on its way"
        assert group.stored() == []
        writing.finish(turn)
        assert group.stored() == []
    assert group.stored() == list(range(1, 12))


def test_a_turn_that_fails_while_it_is_judged_leaves_nothing(group: Group) -> None:
    before, messages = group.batch(), said_at(Door(), *(NOW_MS - HOUR + n * SECOND for n in range(5)))
    with (
        pytest.raises(RuntimeError, match="judged no further"),
        group.store.begin(group.connection, group.lease, group.state.book, now_ms=NOW_MS) as writing,
    ):
        group.turn(messages, writing)
        assert writing._events_taken == 4
        raise RuntimeError("judged no further")
    assert group.stored() == []
    assert group.batch() == before
    with group.store.begin(group.connection, group.lease, group.state.book, now_ms=NOW_MS) as writing:
        writing.finish(group.state.turn)
    assert group.stored() == [1, 2, 3, 4, 5]
    assert group.batch() == before + 1


def test_what_is_of_a_day_without_partition_waits_for_the_end_of_the_turn(group: Group) -> None:
    door, other = Door(), Door(boot="00000000000000ab", booted_ms=BEGIN_MS - 40 * DAY)
    messages = [
        *said_at(door, NOW_MS - HOUR),
        *said_at(other, NOW_MS - 30 * DAY, NOW_MS - 3 * DAY),
        *said_at(door, NOW_MS - MINUTE),
    ]
    with group.store.begin(group.connection, group.lease, group.state.book, now_ms=NOW_MS) as writing:
        turn = group.turn(messages, writing)
        assert writing._events_taken == 1
        assert group.stored() == [], "nobody is kept from reading while the turn is judged"
        writing.finish(turn)
    assert group.stored() == [1, 1, 2, 2]


def test_a_turn_without_news_begins_no_transaction(group: Group) -> None:
    before = group.batch()
    with group.store.begin(group.connection, group.lease, group.state.book, now_ms=NOW_MS):
        group.state.apply([], NOW_MS)
    assert group.batch() == before


def test_while_a_turn_is_written_what_is_committed_is_read_beside_it(
    database_url: str, broker_url: str
) -> None:
    opened: list[Connection] = []

    def open_connection() -> Connection:
        opened.append(connect(database_url, service="test", autocommit=True))
        return opened[-1]

    holding = Holding(
        IngestSettings(database_url=database_url, broker_url=broker_url), 0, open_connection=open_connection,
        sharing=None, say=lambda words, good: None, registry_changed=lambda: None,
    )  # fmt: skip
    ours = holding.connected()
    assert holding.reading() is ours
    with ours.transaction():
        ours.execute("SELECT 1")
        beside = holding.reading()
        assert beside is not ours
        assert holding.reading() is beside
    assert holding.reading() is ours
    holding.close()
    assert len(opened) == 2
    assert all(connection.closed for connection in opened)
