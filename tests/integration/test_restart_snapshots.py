"""A street's turns enter; a start from what was written down must be one from the rows, whatever happened between."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from psycopg.pq import TransactionStatus

from ingest import replay
from ingest.admission import Message
from ingest.arrays.reader import Columns
from ingest.groups import group_state, leases
from ingest.groups.group_state import GroupState
from ingest.replay import Rebuilt
from ingest.restart import rows, snapshots
from ingest.restart.rows import TAIL_MS
from ingest.restart.snapshots import Snapshots
from ingest.rows.book import Book, load_book
from ingest.rows.unsaved import Coverage
from ingest.store import Store
from kaimen import wire
from kaimen.clock import as_datetime
from kaimen.database import Connection, connect
from tests.integration.ingest_street import BEGIN_MS, DAY, HOUR, MINUTE, SECOND, Door, lay_out

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

HOMES = 4
#: More of them, and others: KAIMEN_TEST_ROUNDS=40 KAIMEN_TEST_SEED=7.
ROUNDS, SEED = int(os.environ.get("KAIMEN_TEST_ROUNDS", "2")), int(os.environ.get("KAIMEN_TEST_SEED", "1"))
TOKEN = "card-of-nobody-else"


def from_storage(door: Door, from_ms: int) -> tuple[str, bytes]:
    """An array such as an edge sends that could not speak: openings and closings, a minute apart."""
    states = ("Open", "Closed") * 4
    events = [
        door.event(from_ms + number * MINUTE, state=state, hist=True) for number, state in enumerate(states)
    ]
    return door.topic("evb"), wire.format_batch(events)


class Street:
    """One group as the service runs it, turn by turn, with a block written down in every turn that may have one."""

    def __init__(self, connection: Connection, beside: Connection, owner: Connection) -> None:
        self.connection, self.beside, self.owner = connection, beside, owner
        leases.provision(connection, 1)
        lease = leases.acquire(connection, group_no=0, groups=1, worker="a@here:1", duration_s=60)
        assert lease is not None
        self.lease = lease
        self.store = Store()
        self.now_ms = BEGIN_MS
        self.doors = [Door(f"door-{number}", boot=f"{number:016x}") for number in range(1, HOMES + 1)]
        self.writes_down = True
        self.start()

    def rebuilt(self, *, by_snapshot: bool) -> tuple[Book, Rebuilt]:
        book = load_book(self.connection, now_ms=self.now_ms)
        rebuilt = replay.rebuild(self.connection, book, now_ms=self.now_ms, by_snapshot=by_snapshot)
        return book, rebuilt

    def start(self) -> Rebuilt:
        """Begin anew, as a process does."""
        self.coverage = Coverage(10 * MINUTE)
        book, rebuilt = self.rebuilt(by_snapshot=True)
        self.snapshots = Snapshots("0", 1e-9 if self.writes_down else 0)
        self.snapshots.begin(rebuilt.restart, HOMES)
        rebuilt.loader.reading = self.reading
        self.state = GroupState(
            book, rebuilt.detector, rebuilt.causes, self.coverage, pulse_ms=self.now_ms // 1000 * 1000,
            grace=rebuilt.grace, losses=rebuilt.losses, loader=rebuilt.loader, reader=Columns.reader(),
        )  # fmt: skip
        return rebuilt

    def turn(self, messages: Iterable[tuple[str, bytes]], now_ms: int) -> None:
        self.now_ms = now_ms
        given = [Message(topic, payload, now_ms) for topic, payload in messages]
        with self.store.begin(self.connection, self.lease, self.state.book, now_ms=now_ms) as writing:
            self.state.apply(given, now_ms, tell=writing.take if self.state.has_pulsed else None)
            turn = self.state.draft(now_ms)
            self.snapshots.draft(self.state, turn)
            writing.finish(turn)
        self.state.confirm(turn)
        self.snapshots.confirm(self.state, turn)

    def reading(self) -> Connection:
        """As in service: rows of the turn that is being written are not committed."""
        idle = self.connection.info.transaction_status is TransactionStatus.IDLE
        return self.connection if idle else self.beside

    def live(self, chance: random.Random, hours: int) -> None:
        """Openings, heartbeats, gaps, arrays from storage, copies, restarts of devices, and starts of our own."""
        sent: list[tuple[str, bytes]] = []
        until_ms = self.now_ms + hours * HOUR
        while self.now_ms < until_ms:
            at = self.now_ms + chance.choice([SECOND, MINUTE, 20 * MINUTE, 3 * HOUR])
            said: list[tuple[str, bytes]] = []
            for door in self.doors:
                dice = chance.random()
                if dice < 0.35:
                    said.append(door.opening(at - chance.choice([0, 5, 400])))
                elif dice < 0.45:
                    said.append(door.opening(at, type="AccessTaken", state=None, cred=TOKEN, method="card"))
                elif dice < 0.48:
                    door.seq += 1  # lost for good, or for now
                elif dice < 0.51:
                    said.append(door.opening(at - chance.choice([HOUR, 7 * HOUR, 30 * HOUR])))
                elif dice < 0.53:
                    said.append(from_storage(door, at - chance.choice([HOUR, 7 * HOUR, 30 * HOUR])))
                elif dice < 0.55 and sent:
                    said.append(chance.choice(sent))
                elif dice < 0.57:
                    door.boot, door.booted_ms, door.seq = f"{chance.getrandbits(60):016x}", at - SECOND, 0
                elif dice < 0.85:
                    said.append(door.heartbeat(at))
            sent += said
            self.turn(said, at)
            if chance.random() < 0.08:
                self.start()
                self.turn([], at + SECOND)

    def written(self) -> list[dict[str, Any]]:
        return self.connection.execute("SELECT * FROM detector_snapshots ORDER BY block_no").fetchall()

    def assert_a_start_is_the_same(self, *, devices: int | None = None) -> Rebuilt:
        """Start in both ways and compare everything that can be asked; return the start from what was written down."""
        _, quick = self.rebuilt(by_snapshot=True)
        _, whole = self.rebuilt(by_snapshot=False)
        assert whole.restart.devices == 0
        if devices is not None:
            assert quick.restart.devices == devices
        both = [quick.detector, whole.detector]
        at = self.now_ms // 1000 * 1000
        assert quick.pulse_ms == whole.pulse_ms
        facts, expected = ([repr(fact) for fact in detector.pulse(at)] for detector in both)
        assert facts == expected
        views, shown = ([repr(view) for view in detector.take_changed_views()] for detector in both)
        assert views == shown
        for device in range(1, HOMES + 1):
            ours, theirs = (detector.rule_of(f"h-{device}").dwelling[0][1] for detector in both)
            assert (ours.heard_ms(), ours.watched()) == (theirs.heard_ms(), theirs.watched())
        later = at + 3 * DAY
        facts, expected = ([repr(fact) for fact in detector.pulse(later)] for detector in both)
        assert facts == expected
        for number in range(1, HOMES + 1):
            ours_then, theirs_then = (detector.rule_of(f"h-{number}").history(later) for detector in both)
            assert ours_then == theirs_then
        return quick


@pytest.fixture
def street(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Street]:
    monkeypatch.setattr(snapshots, "BLOCK_EVERY_S", 0.0)
    monkeypatch.setattr(group_state, "ROWS_AT_ONCE", 1)
    lay_out(database_url, homes=HOMES)
    with (
        connect(database_url, service="test", autocommit=True) as connection,
        connect(database_url, service="beside", autocommit=True) as beside,
        connect(database_url, service="owner", autocommit=True) as owner,
    ):
        for ours in (connection, beside):
            ours.execute("SET ROLE kaimen_ingest")  # under the login it has in service, and its rights
        yield Street(connection, beside, owner)


def test_a_start_at_any_point_is_one_from_the_rows(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(SEED)
    used = 0
    for number in range(ROUNDS):
        monkeypatch.setattr(rows, "BLOCK_DEVICES", (1, 32)[number % 2])  # a turn takes several blocks, or one
        street.writes_down = True
        street.start()
        street.live(chance, 20)
        street.writes_down = False  # from here on there is a tail
        street.start()
        street.live(chance, 5)
        used += street.assert_a_start_is_the_same().restart.devices
    assert used > 0, "no start went on from what was written down"


def settle(street: Street) -> None:
    """Some quiet hours, every door opened each of them; all of it is written down."""
    for hour in range(4):
        at = street.now_ms + HOUR
        street.turn([door.opening(at - hour) for door in street.doors], at)
    street.turn([], street.now_ms + MINUTE)


def test_only_what_came_since_is_read(street: Street) -> None:
    settle(street)
    quick = street.assert_a_start_is_the_same(devices=HOMES)
    assert quick.event_count == 0
    street.writes_down = False
    street.start()
    street.turn([street.doors[0].opening(street.now_ms + HOUR)], street.now_ms + HOUR)
    quick = street.assert_a_start_is_the_same(devices=HOMES)
    assert quick.event_count == 1
    [block] = street.written()
    assert block["floor_at"] >= as_datetime(street.now_ms - 4 * HOUR)
    assert len(block["state"]) < HOMES * 1_000, "state, not events"


def test_a_turn_takes_along_all_blocks_that_came_due_since_the_one_before(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BLOCK_DEVICES", 1)
    monkeypatch.setattr(snapshots, "BLOCK_EVERY_S", 60.0)
    seconds = [1_000.0]
    monkeypatch.setattr(snapshots, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    street.start()

    def turn_after(wait_s: float) -> int:
        seconds[0] += wait_s
        street.turn([], street.now_ms + int(wait_s * SECOND))
        return sum(row["written_at"] == as_datetime(street.now_ms) for row in street.written())

    street.turn([door.opening(street.now_ms) for door in street.doors], street.now_ms + SECOND)
    assert len(street.written()) == 1
    assert turn_after(30) == 0
    assert turn_after(90) == 2
    assert turn_after(3_600) == 1, "a round ends where all were taken once"
    assert turn_after(3_600) == HOMES
    street.assert_a_start_is_the_same(devices=HOMES)


def test_what_comes_too_late_for_the_tail_drops_the_block(street: Street) -> None:
    settle(street)
    street.turn([], street.now_ms + 10 * HOUR)
    assert len(street.written()) == 1
    late = street.doors[0].opening(street.now_ms - 2 * TAIL_MS)
    street.writes_down = False
    street.start()
    street.turn([late], street.now_ms + MINUTE)
    assert street.written() == []
    street.assert_a_start_is_the_same(devices=0)


def test_an_array_that_goes_on_from_before_the_tail_drops_the_block(street: Street) -> None:
    settle(street)
    door, silent_from_ms = street.doors[0], street.now_ms
    street.turn([], street.now_ms + 10 * HOUR)
    assert len(street.written()) == 1
    street.writes_down = False
    street.start()
    street.turn([from_storage(door, silent_from_ms + MINUTE)], street.now_ms + MINUTE)
    assert street.written() == []
    street.assert_a_start_is_the_same(devices=0)


def test_a_changed_absence_policy_or_consent_is_judged_by_what_holds_now(street: Street) -> None:
    settle(street)
    street.owner.execute(
        "INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)"
        " VALUES ('h-1', %(from)s, %(to)s, 'travel', 'she', %(from)s)",
        {"from": as_datetime(street.now_ms - 10 * HOUR), "to": as_datetime(street.now_ms + DAY)},
    )
    street.owner.execute("UPDATE consents SET withdrawn_at = given_at WHERE household_id = 'h-2'")
    street.owner.execute("UPDATE devices SET supervision_s = 60 WHERE id = 'door-3'")
    _, quick = street.rebuilt(by_snapshot=True)
    _, whole = street.rebuilt(by_snapshot=False)
    assert quick.restart.devices == HOMES
    later = street.now_ms // 1000 * 1000 + 2 * DAY
    assert repr(quick.detector.pulse(later)) == repr(whole.detector.pulse(later))
    assert quick.detector.watched_households() == whole.detector.watched_households()


DAMAGES = {
    "state = set_byte(state, 20, 255 - get_byte(state, 20))": "checksum",
    "state = substr(state, 1, 40)": "checksum",
    "layout = layout + 1": "layout",
    "batch = batch + 1000": "batch",
    "block_no = block_no + 1": "checksum",
}


def test_what_is_not_sound_is_not_used_and_said(street: Street) -> None:
    settle(street)
    for damage, reason in DAMAGES.items():
        street.owner.execute(f"UPDATE detector_snapshots SET {damage}")  # type: ignore[arg-type]
        quick = street.assert_a_start_is_the_same(devices=0)
        assert list(quick.restart.unsound.values()) == [reason], damage
        street.writes_down = False
        street.start()
        street.turn([], street.now_ms + SECOND)
        assert street.written() == [], "what is not sound goes with the first turn"
        street.writes_down = True
        street.start()
        street.turn([], street.now_ms + SECOND)
        assert len(street.written()) == 1


def test_nothing_of_who_is_deleted_stays_written_down(street: Street) -> None:
    at = street.now_ms + HOUR
    door = street.doors[0]
    street.turn([door.opening(at, type="AccessTaken", state=None, cred=TOKEN, method="card")], at)
    street.turn([], at + SECOND)
    [block] = street.written()
    assert TOKEN.encode() in bytes(block["state"]), "her newest evidence is there as long as she is"
    number = street.owner.execute("SELECT no FROM households WHERE id = 'h-1'").fetchone()
    assert number is not None
    street.owner.execute("SELECT forget_events_of(%s, %s, NULL)", (number["no"], [TOKEN]))
    assert street.written() == []
    # Who remembers her still writes nothing down, and knows that it has to read anew.
    street.turn([], at + 2 * SECOND)
    assert street.written() == [] and street.snapshots.is_recalled(street.connection)
    street.start()
    street.turn([], at + 3 * SECOND)
    [block] = street.written()
    assert TOKEN.encode() not in bytes(block["state"])
    assert not street.snapshots.is_recalled(street.connection)


def test_while_somebody_takes_events_away_nothing_is_written_down(street: Street, database_url: str) -> None:
    settle(street)
    with connect(database_url, service="deletion") as deleting:
        deleting.execute("SELECT forget_events_of(NULL, '{}', NULL)")
        street.turn([], street.now_ms + SECOND)  # does not wait for whoever deletes
        deleting.commit()
    assert street.written() == []


def test_another_grouping_leaves_nothing_behind(street: Street) -> None:
    settle(street)
    street.owner.execute("UPDATE detector_snapshots SET groups = 2")
    assert street.assert_a_start_is_the_same(devices=0).restart.found == []
    street.start()
    street.turn([], street.now_ms + SECOND)
    assert {row["groups"] for row in street.written()} <= {1}
