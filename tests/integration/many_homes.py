"""Many homes on the real ingest loop and the real alerts worker, over one real database; only the broker is left out.

Batches are handed to the loop as the subscriber would hand them, and community time is moved by hand. Nothing of
ours is replaced: admission, detector, causes, grace, store, lease and worker are the service's own.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from alerts.worker import Worker
from ingest import pulse, replay
from ingest.admission import Message
from ingest.pulse import GroupLoop
from kaimen import wire
from kaimen.clock import ManualClock, as_datetime
from kaimen.database import connect, open_pool
from kaimen.settings import IngestSettings
from tests.fix_clock import STORY_BEGINS_MS
from tests.fix_servers import wait_until
from tests.integration.ingest_street import Door, rows

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
BEGIN_MS = STORY_BEGINS_MS
SITE = "west-gate"
#: What was put in before the story begins: nobody waits for a first word.
REGISTERED = as_datetime(BEGIN_MS - 30 * DAY)


def lay_out_many(url: str, homes: int, *, behind_gateway: int = 0) -> None:
    """Register homes h-1 … each with a door d-1 …; the first ``behind_gateway`` doors speak through gw-1.

    Beside a gateway the other doors need to speak every two hours only, so that a test can pass ten of them quickly.
    """
    values = {"homes": homes, "behind": behind_gateway, "at": as_datetime(BEGIN_MS), "registered": REGISTERED}
    with psycopg.connect(url) as connection:
        for statement in (
            "INSERT INTO communities (id, name) VALUES ('c-1', 'West')",
            "INSERT INTO sites (id, community_id, name) VALUES ('west-gate', 'c-1', 'Gate')",
            "INSERT INTO devices (id, site_id, kind, registered_at) VALUES ('gw-1', 'west-gate', 'gateway', %(registered)s)",
            "INSERT INTO devices (id, site_id, kind, gateway_id, supervision_s, registered_at)"
            " SELECT 'd-' || n, 'west-gate', 'controller', CASE WHEN n <= %(behind)s THEN 'gw-1' END,"
            " CASE WHEN %(behind)s = 0 OR n <= %(behind)s THEN 180 ELSE 7200 END, %(registered)s"
            " FROM generate_series(1, %(homes)s) n",
            "INSERT INTO households (id, site_id, label, building, unit, floor, room, watched_from)"
            " SELECT 'h-' || n, 'west-gate', 'h-' || n, '1', '1', 1, n::text, %(at)s FROM generate_series(1, %(homes)s) n",
            "INSERT INTO household_doors (household_id, device_id, role)"
            " SELECT 'h-' || n, 'd-' || n, 'dwelling' FROM generate_series(1, %(homes)s) n",
            "INSERT INTO consents (household_id, purpose, given_by, given_at)"
            " SELECT 'h-' || n, 'watch', 'she', %(at)s FROM generate_series(1, %(homes)s) n",
        ):
            connection.execute(statement, values)


@dataclass(frozen=True)
class _Batch:
    messages: Sequence[Message]
    now_ms: int
    arrays_bytes: int = 0


@dataclass
class FedSource:
    """Batches put in by the test, in place of the broker's connection."""

    clock: ManualClock
    is_connected: bool = True
    _batches: queue.Queue[_Batch] = field(default_factory=queue.Queue)
    _done: threading.Event = field(default_factory=threading.Event)

    @property
    def is_idle(self) -> bool:
        return self._batches.empty()

    waited_ms: int = 0

    def tell(self, topic: str, payload: bytes) -> bool:
        return True

    def may_connect(self) -> bool:
        return True

    def connect(self) -> None:
        self.is_connected = True

    def disconnect(self) -> None:
        pass

    def take(self, *, messages_max: int, wait_s: float, gather_s: float, arrays_bytes_max: int) -> _Batch:
        try:
            return self._batches.get(timeout=0.01)
        except queue.Empty:
            return _Batch((), self.clock.now_ms())

    def acknowledge(self, batch: _Batch) -> None:
        if batch.messages:
            self._done.set()

    def feed(self, messages: Sequence[tuple[str, bytes]], now_ms: int) -> None:
        """Hand messages over as received now, and wait until they are committed and answered for."""
        self.hand_over([Message(topic, payload, now_ms) for topic, payload in messages], now_ms)

    def hand_over(self, messages: Sequence[Message], now_ms: int) -> None:
        """The same, for messages with receipts of their own."""
        if not messages:
            return
        self._done.clear()
        self._batches.put(_Batch(messages, now_ms))
        wait_until(self._done.is_set, "the batch is committed", within_s=300, poll_s=0.01)


@dataclass
class Community:
    """Homes with their doors, the ingest loop that hears them, and the worker that makes cases."""

    url: str
    clock: ManualClock
    worker: Worker
    doors: dict[int, Door]
    gateway: Door = field(default_factory=lambda: Door("gw-1", boot="aa" * 8))
    _loop: tuple[threading.Thread, threading.Event, FedSource] | None = None

    def start_ingest(self) -> None:
        stop = threading.Event()
        source = FedSource(self.clock)
        loop = GroupLoop(
            IngestSettings(database_url=self.url, ingest_lease_s=60),
            group_no=0,
            clock=self.clock,
            source=source,
            open_connection=lambda: connect(self.url, service="ingest", autocommit=True),
            rebuild=replay.rebuild,
            stop=stop,
        )
        thread = threading.Thread(target=loop.run, name="ingest")
        thread.start()
        self._loop = (thread, stop, source)
        self.reach()

    def stop_ingest(self) -> None:
        if self._loop is not None:
            thread, stop, _ = self._loop
            stop.set()
            thread.join(120)
            assert not thread.is_alive(), "ingest does not stop"
            self._loop = None

    def reach(self) -> None:
        """Wait until ingest has pulsed up to now."""
        at = as_datetime(self.clock.now_ms())
        wanted = "SELECT 1 FROM service_progress WHERE service = 'ingest' AND at >= %s"
        with psycopg.connect(self.url, autocommit=True) as connection:
            wait_until(
                lambda: connection.execute(wanted, (at,)).fetchone() is not None,
                f"ingest has done its work up to {at}",
                within_s=300,
                poll_s=0.02,
            )

    def move_to(self, now_ms: int, messages: Iterable[tuple[str, bytes]] = ()) -> None:
        """Let community time pass; hand over what arrives at its end."""
        self.clock.advance_to(now_ms)
        listed = list(messages)
        if self._loop is not None:
            if listed:
                self._loop[2].feed(listed, now_ms)
            self.reach()

    def take(self, messages: Sequence[tuple[int, str, bytes]], now_ms: int) -> None:
        """Hand over messages, each with its own receipt, and let ingest reach ``now_ms``."""
        assert self._loop is not None
        self.clock.advance_to(now_ms)
        received = [Message(topic, payload, at) for at, topic, payload in messages]
        self._loop[2].hand_over(received, now_ms)
        self.reach()

    def beat(self, now_ms: int, numbers: Iterable[int], *, gateway: bool = True) -> None:
        """Move to ``now_ms``, where these doors (and the gateway) send their heartbeats."""
        beats = [self.doors[number].heartbeat(now_ms) for number in numbers]
        self.move_to(now_ms, [*beats, self.gateway.heartbeat(now_ms)] if gateway else beats)

    def settle(self) -> None:
        """Let alerts do everything there is to do now."""
        for _ in range(5_000):
            report = self.worker.turn()
            if not (report.more or report.handled or report.timers):
                return
        raise AssertionError("alerts never comes to rest")

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        named = values[0] if len(values) == 1 and isinstance(values[0], dict) else values
        return rows(self.url, statement, named)

    def inactivity(self) -> dict[str, int]:
        """The stage of every household that has, or had, a case of its own."""
        found = self.rows(
            "SELECT household_id, max(stage) AS stage FROM cases WHERE cause = 'inactivity' GROUP BY 1"
        )
        return {row["household_id"]: row["stage"] for row in found}

    def technical(self, *, everything: bool = False) -> list[str]:
        """The causes of open technical cases; of all there ever were, where ``everything``."""
        state = "true" if everything else "state <> 'closed'"
        found = self.rows(f"SELECT cause_key FROM cases WHERE cause = 'technical' AND {state} ORDER BY id")
        return [row["cause_key"] for row in found]


@contextlib.contextmanager
def many_homes(url: str, homes: int, *, behind_gateway: int = 0) -> Iterator[Community]:
    """Lay out the homes and stop at the end what was started.

    Where there is nothing to write ingest says how far it is as often as on the clock of a demo, not once a second:
    a test that passes sixty hours would wait a minute for it.
    """
    lay_out_many(url, homes, behind_gateway=behind_gateway)
    clock = ManualClock(BEGIN_MS)
    pool = open_pool(url, service="alerts")
    doors = {number: Door(f"d-{number}", boot=f"{number:016x}") for number in range(1, homes + 1)}
    community = Community(url, clock, Worker(pool=pool, clock=clock, name="w"), doors)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pulse, "PROGRESS_EVERY_S", pulse.SCALED_PROGRESS_EVERY_S)
            yield community
            community.stop_ingest()
    finally:
        community.stop_ingest()
        pool.close()


def stored_events(door: Door, events: Sequence[wire.Event]) -> tuple[str, bytes]:
    """What a device kept while nobody took it, as it sends it at last."""
    return door.topic("evb"), wire.format_batch(list(events))


# --- the two stories -------------------------------------------------------------------------------------------


def play_our_own_outage(community: Community, homes: int) -> None:
    """Ingest stands still for 24 hours; homes go on as they do, some open, some do not.

    Every tenth home last opened at 2 h ("quiet before"), every other tenth at 20 h ("quiet during"); the rest open at
    20 h and again at 30 h, while nobody hears it.
    """
    before = [number for number in community.doors if number % 10 == 1]
    during = [number for number in community.doors if number % 10 == 2]
    regular = [number for number in community.doors if number % 10 not in (1, 2)]
    hour = BEGIN_MS + HOUR
    community.start_ingest()
    community.move_to(BEGIN_MS + 2 * HOUR, [community.doors[n].opening(hour + HOUR) for n in before])
    community.beat(BEGIN_MS + 20 * HOUR, community.doors)
    openings = [community.doors[n].opening(BEGIN_MS + 20 * HOUR) for n in (*during, *regular)]
    community.move_to(BEGIN_MS + 20 * HOUR + SECOND, openings)
    community.beat(BEGIN_MS + 21 * HOUR, community.doors)
    community.settle()
    assert community.inactivity() == {}
    told_before = len(community.technical(everything=True))
    community.stop_ingest()

    kept = {n: [community.doors[n].event(BEGIN_MS + 30 * HOUR)] for n in regular}
    back = BEGIN_MS + 45 * HOUR
    community.clock.advance_to(back)
    community.start_ingest()
    community.settle()
    assert community.technical() == ["own:ingest:c-1"]
    assert community.inactivity() == {}, "nobody could have been heard yet"
    held = community.rows("SELECT count(*) AS n FROM checks_held WHERE ended_at IS NULL")[0]["n"]
    assert held == homes, "everybody was last seen over a day ago"

    community.beat(back + 20 * SECOND, community.doors)
    community.settle()
    community.move_to(
        back + 40 * SECOND, [stored_events(community.doors[n], events) for n, events in kept.items()]
    )
    community.beat(back + 80 * SECOND, community.doors)
    community.beat(back + 140 * SECOND, community.doors)
    community.beat(back + 200 * SECOND, community.doors)
    community.settle()

    quiet = {f"h-{n}" for n in (*before, *during)}
    assert community.inactivity() == dict.fromkeys(quiet, 1)
    crossed = {
        row["household_id"]: row["at"]
        for row in community.rows("SELECT household_id, at FROM stage_crossings")
    }
    assert crossed == {
        **{f"h-{n}": as_datetime(BEGIN_MS + 26 * HOUR) for n in before},
        **{f"h-{n}": as_datetime(BEGIN_MS + 44 * HOUR) for n in during},
    }, "the door was watched all along: the stage is dated when it was reached"
    assert community.rows("SELECT 1 FROM checks_due") == [], (
        "nobody is asked after whom the devices speak for"
    )
    assert community.rows("SELECT 1 FROM checks_held WHERE ended_at IS NULL") == []
    assert community.technical() == [], "everybody is heard: our own outage is over"
    assert community.technical(everything=True)[told_before:] == ["own:ingest:c-1"], "one case for one cause"
    states = community.rows("SELECT stage, check_step, known FROM household_states")
    assert {(row["stage"], row["check_step"], row["known"]) for row in states} == {(0, 0, True), (1, 0, True)}


def play_a_dead_gateway(community: Community, behind: int) -> None:
    """A gateway dies with its doors, which go on recording; ten hours later all of it comes."""
    base = community.clock.now_ms()
    mine = [number for number in community.doors if number <= behind]
    others = [number for number in community.doors if number > behind]
    everybody_opens = [door.opening(base + SECOND) for door in community.doors.values()]
    community.move_to(base + 2 * SECOND, everybody_opens)
    community.beat(base + MINUTE, community.doors)
    community.settle()
    cases_before, told_before = community.inactivity(), community.technical(everything=True)
    for minute in range(2, 8):
        community.beat(base + minute * MINUTE, others, gateway=False)
        community.settle()
    assert community.technical() == ["gateway:gw-1"]
    assert community.inactivity() == cases_before
    stood_for = community.rows("SELECT count(*) AS n FROM case_households WHERE to_at IS NULL")[0]["n"]
    assert stood_for == behind

    kept = {n: [community.doors[n].event(base + 5 * HOUR)] for n in mine if n % 2}
    for step in range(1, 11):
        community.beat(base + step * HOUR, others, gateway=False)
    community.settle()
    assert community.technical(everything=True)[len(told_before) :].count("gateway:gw-1") == 1
    back = base + 10 * HOUR + MINUTE
    community.beat(back, community.doors)
    community.move_to(
        back + 5 * SECOND, [stored_events(community.doors[n], events) for n, events in kept.items()]
    )
    community.beat(back + MINUTE, community.doors)
    community.settle()
    assert community.technical() == []
    assert community.inactivity() == cases_before, "a dead gateway sends nobody to any door"
    assert community.rows("SELECT 1 FROM checks_due") == []
    newest = community.rows("SELECT household_id, evidence_at FROM household_states")
    opened_late = {
        row["household_id"] for row in newest if row["evidence_at"] == as_datetime(base + 5 * HOUR)
    }
    assert opened_late == {f"h-{n}" for n in kept}
