"""Ingest and the edge killed at every named place: a place and a number of runs enter; what differed leaves.

A run is four days of a street (``street_days``) in a fresh database. The process that dies is followed by another one;
at the end the broker must hold nothing more for it, and the rows must be those of a run in which nobody died.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from console.doctor.broker import Admin, messages_waiting
from edge.faults import POINTS as EDGE_POINTS
from ingest.faults import POINTS as INGEST_POINTS
from ingest.faults import STOP_POINTS, TAKE_OVER_POINTS
from ingest.subscriber import client_id_of, subscriptions_of
from kaimen.clock import as_datetime, set_clock
from tests.fix_database import DatabaseServer
from tests.fix_servers import NatsServer, nats_server, speaks_mqtt, wait_until
from tests.integration.ingest_street import BEGIN_MS, Publisher, lay_out
from tests.kills.found import FoundAt, format_table
from tests.kills.ingest_life import is_cut, live_edge, live_ingest
from tests.kills.life import has_ended, start
from tests.kills.sessions import make_session
from tests.kills.street_days import HOMES, Step, live_days

POINTS = (*INGEST_POINTS, *EDGE_POINTS)
#: A day of a street that is lived while the machine has ten times as much to do.
RUN_WITHIN_S = 600.0
_WORDS_KEPT_MAX = 4_000
#: What multiprocessing says of a life when the process that started it has ended.
_NOBODY_KNOWS = 255
#: Passed once for each message; the others once for each turn.
_FOR_EACH_MESSAGE = frozenset({"edge_mid_answer", "edge_published"})
_CUTS_A_STREET = 10
_ASKED_FOR_EVENTS = frozenset(INGEST_POINTS) - {*TAKE_OVER_POINTS, *STOP_POINTS, "mid_ack"}
_EDGE_ID, _SPOOL = "edge-1", "spool.sqlite"

_EVENTS = (
    "SELECT d.id AS device, e.boot, e.seq, e.occurred_at, e.received_at, e.type, e.state, e.opens, e.plausible"
    " FROM door_events e JOIN devices d ON d.no = e.device_no ORDER BY 1, 2, 3, 4"
)
#: A frame that comes to the edge again is stamped with its receipt again, and so refused as another message.
_REFUSALS = (
    "SELECT DISTINCT topic, reason, (convert_from(payload, 'UTF8')::jsonb - 'rx')::text AS payload FROM quarantine"
    f" WHERE device_id <> '{_EDGE_ID}'"
)
#: What alerts is told, without the instants at which we noticed it: on a clock that stands those are a start's own.
#: Checks are not compared: after a time of our own deafness they wait for the devices (grace), and should.
_FACTS = {
    "crossings": (
        "SELECT c.household_id, c.stage, c.at, c.evidence_at, c.evidence, w.evidence_at AS withdrawn_by"
        " FROM stage_crossings c LEFT JOIN crossing_withdrawals w ON w.crossing_id = c.id ORDER BY 3, 1, 2"
    ),
}
_DONE = f"""
SELECT (SELECT count(*) FROM door_events) AS events,
  (SELECT count(*) FROM ({_REFUSALS}) AS different) AS refused,
  (SELECT at FROM service_progress WHERE service = 'ingest') AS at
"""


@dataclass
class Found(FoundAt):
    """What the kills at one place of ingest or the edge did."""

    COLUMNS = (
        ("killed", "kills"), ("streets", "streets"), ("other kills", "other_kills"), ("events sent", "sent"),
        ("lost", "lost"), ("twice", "twice"),
    )  # fmt: skip
    NOTHING = ("lost", "twice")

    streets: int = 0
    other_kills: int = 0
    sent: int = 0
    twice: int = 0

    @property
    def good_so_far(self) -> bool:
        return super().good

    @property
    def good(self) -> bool:
        return self.good_so_far and self.kills > 0

    def add(self, other: Found) -> None:
        """Count another part of the same place in."""
        for name in ("kills", "lost", "streets", "other_kills", "sent", "twice"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.different += other.different


Rows = dict[str, list[str]]


def cuts_at(place: str, street: int) -> list[str]:
    """Return where the lives of a street end, one after the other: at the first, second … time a life comes by.

    To take a group over there must be something to take over, so those lives follow ones that died in a turn.
    """
    if place in TAKE_OVER_POINTS:
        again = [place] * (_CUTS_A_STREET // 2)
        return ["before_commit@events:2", *again, "after_commit@events:2", *again]
    if place in STOP_POINTS:
        return [place] * len(live_days())
    kind = "@events" if place in _ASKED_FOR_EVENTS else ""
    most = 9 if place in _FOR_EACH_MESSAGE else 3
    return [f"{place}{kind}:{1 + (street + 2 * cut) % most}" for cut in range(_CUTS_A_STREET)]


def every_cut(points: Sequence[str]) -> list[str]:
    """Return one cut at each of the places, for a street that passes them all."""
    return [f"{place}@events:1" if place in _ASKED_FOR_EVENTS else place for place in points]


class _Lives:
    """A service that is started again whenever it died; the first ones die where they are told to."""

    def __init__(
        self, target: Callable[..., None], settings: dict[str, Any], cuts: list[str], log: Path
    ) -> None:
        self._target, self._settings, self._cuts, self._log = target, settings, cuts, log
        self.kills: list[str] = []
        self._process = self._begin()

    def _begin(self) -> Any:
        cut = self._next_cut()
        return start(self._target, self._settings, cut, str(self._log))

    def _next_cut(self) -> str:
        return self._cuts[len(self.kills)] if len(self.kills) < len(self._cuts) else ""

    def look_after(self) -> None:
        """Start it again if it was cut; another end is a fault."""
        if not has_ended(self._process):
            return
        if self._process.exitcode == _NOBODY_KNOWS:
            # Says nothing of the service: who starts the lives, and hears how they end, is gone itself.
            raise RuntimeError("the process that starts lives was ended by somebody")
        if not is_cut(self._process.exitcode):
            raise AssertionError(f"ended with {self._process.exitcode}:\n{self._log.read_text()[-4000:]}")
        self.kills.append(self._next_cut())
        self._process = self._begin()

    def ask_to_stop(self) -> None:
        """Let a life that dies at its stop come to it."""
        if self._next_cut() in STOP_POINTS:
            self._process.terminate()

    def end(self) -> None:
        if self._process.exitcode == _NOBODY_KNOWS:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        self._process.kill()
        has_ended(self._process, within_s=20)


@dataclass
class _World:
    """What outlives a run: servers, a template of the database, a publisher at either end."""

    folder: Path
    database: DatabaseServer
    template: str
    central: NatsServer
    source: NatsServer
    publishers: dict[str, Publisher]

    def is_drained(self, folder: Path, *, through_edge: bool) -> bool:
        """Say whether everything that was sent has come through; looked at in the order in which a message goes.

        Rows that are enough do not say so: the edge may have one thing twice and another one not yet.
        """
        if through_edge and (_waiting_at(self.source, f"{_EDGE_ID}-source") or _spooled(folder)):
            return False
        return not _waiting_at(self.central, client_id_of(0, 1))


def _waiting_at(server: NatsServer, name: str) -> int:
    settings = Path(server.program.arguments[2]).read_text()
    port = int(settings.split("listen: 127.0.0.1:")[1].split()[0])
    return messages_waiting(Admin(port, "", "", 2**32), name)


def _spooled(folder: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{folder / _SPOOL}?mode=ro", uri=True)) as spool:
        return int(spool.execute("SELECT count(*) FROM message WHERE retain = 0").fetchone()[0])


class Matrix:
    """Runs of one world, one after the other."""

    def __init__(self, world: _World) -> None:
        self._world = world
        self._expected: dict[bool, Rows] = {}

    def kill_at(
        self,
        place: str,
        kills: int,
        *,
        found: Found | None = None,
        note: Callable[[Found], None] = lambda _street: None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> Found:
        """Let streets live until so many lives were cut at ``place``; go on from ``found``, and note each street."""
        found = found or Found(place)
        while found.good_so_far and found.kills < kills and not is_over():
            street = Found(place)
            try:
                self.live(street, cuts_at(place, found.streets), through_edge=place in EDGE_POINTS)
            except (AssertionError, TimeoutError) as error:
                street.streets += 1
                street.different.append(f"street {found.streets}: {error}"[:_WORDS_KEPT_MAX])
            else:
                if not street.kills:
                    street.different.append(f"street {found.streets}: nobody died at {place}")
            found.add(street)
            note(street)
        return found

    def live(self, found: Found, cuts: list[str], *, through_edge: bool) -> list[str]:
        """Let one street live with these cuts; return those that were made."""
        rows, made = self._run(cuts, through_edge=through_edge)
        self.compare(found, rows, self.expected(through_edge=through_edge))
        at_place = sum(
            cut == found.place or cut.startswith((f"{found.place}:", f"{found.place}@")) for cut in made
        )
        found.streets += 1
        found.kills += at_place
        found.other_kills += len(made) - at_place
        return made

    def expected(self, *, through_edge: bool) -> Rows:
        """Return the rows of a run in which nobody died."""
        if through_edge not in self._expected:
            self._expected[through_edge], kills = self._run([], through_edge=through_edge)
            assert not kills
        return self._expected[through_edge]

    def compare(self, found: Found, rows: Rows, expected: Rows) -> None:
        """Add to ``found`` what is missing, there twice, or otherwise not as expected."""
        found.sent += len(expected["events"])
        for table, wanted in expected.items():
            more, fewer = Counter(rows[table]), Counter(wanted)
            if table == "events":
                found.lost += (fewer - more).total()
                found.twice += (more - fewer).total()
            found.different += [f"{table}: {row} (-)" for row in (fewer - more).elements()]
            found.different += [f"{table}: {row} (+)" for row in (more - fewer).elements()]

    def _run(self, cuts: list[str], *, through_edge: bool) -> tuple[Rows, list[str]]:
        world = self._world
        name = f"kills_{secrets.token_hex(6)}"
        url = world.database.create(name, world.template)
        folder = world.folder / name
        folder.mkdir()
        try:
            with self._living(url, folder, cuts, through_edge=through_edge) as lives:
                cut = lives[-1]
                with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
                    for step in live_days():
                        set_clock(folder / "clock.json", speed=0, now_ms=step.at_ms)
                        # Before anybody has read the new time, what is sent now would lie in the future.
                        self._await(lambda step=step: _is_there(connection, step), lives)
                        self._world.publishers["source" if through_edge else "central"].send_all(
                            step.messages
                        )
                        self._await(lambda step=step: _is_done(connection, step), lives)
                        cut.ask_to_stop()
                self._await(lambda: world.is_drained(folder, through_edge=through_edge), lives)
                kills = cut.kills
            return _read(url), kills
        finally:
            world.database.drop(name)
            shutil.rmtree(folder)

    def _await(self, is_so: Callable[[], bool], lives: list[_Lives]) -> None:
        def look() -> bool:
            for life in lives:
                life.look_after()
            return is_so()

        wait_until(look, "the street has lived its day", within_s=RUN_WITHIN_S)

    @contextlib.contextmanager
    def _living(
        self, url: str, folder: Path, cuts: list[str], *, through_edge: bool
    ) -> Iterator[list[_Lives]]:
        world = self._world
        clock = folder / "clock.json"
        set_clock(clock, speed=0, now_ms=BEGIN_MS)
        # What an earlier run left in a session is not this run's; and without a session nothing would be kept.
        make_session(world.central.mqtt_port, client_id_of(0, 1), subscriptions_of(0, 1))
        shared = {"broker_url": world.central.url, "clock": f"file:{clock}", "log_format": "text"}
        worker = {
            **shared,
            "database_url": url,
            "ingest_lease_s": 2,
            "ingest_redelivery_s": 1,
            "ingest_batch_events_max": 4,
        }
        lives = [_Lives(live_ingest, worker, [] if through_edge else cuts, folder / "ingest.log")]
        if through_edge:
            assert speaks_mqtt(world.central.mqtt_port, _EDGE_ID)
            make_session(world.source.mqtt_port, f"{_EDGE_ID}-source", [("#", 1)])
            gateway = {
                **shared, "edge_source_url": world.source.url, "edge_forward": True, "edge_id": _EDGE_ID,
                "edge_spool": folder / _SPOOL, "edge_credential_key": "key",
            }  # fmt: skip
            lives.append(_Lives(live_edge, gateway, cuts, folder / "edge.log"))
        try:
            yield lives
        finally:
            for life in lives:
                life.end()


def _is_there(connection: psycopg.Connection[Any], step: Step) -> bool:
    row = connection.execute(_DONE).fetchone()
    return bool(row["at"] is not None and row["at"] >= as_datetime(step.at_ms))


def _is_done(connection: psycopg.Connection[Any], step: Step) -> bool:
    row = connection.execute(_DONE).fetchone()
    return bool(row["events"] >= step.events_after and row["refused"] >= step.refused_after)


def _read(url: str) -> Rows:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        queries = {"events": _EVENTS, "refusals": f"{_REFUSALS} ORDER BY 1, 2, 3", **_FACTS}
        found = {name: connection.execute(query).fetchall() for name, query in queries.items()}
    return {
        table: [" ".join(f"{name}={value}" for name, value in row.items()) for row in rows]
        for table, rows in found.items()
    }


@contextlib.contextmanager
def matrices(database: DatabaseServer, folder: Path, number: int) -> Iterator[list[Matrix]]:
    """Run so many worlds beside one another over one PostgreSQL, each with the brokers that its kills need."""
    from kaimen.schema import migrate

    template = f"kills_template_{secrets.token_hex(6)}"
    url = database.create(template)
    migrate(url)
    lay_out(url, homes=HOMES)
    with contextlib.ExitStack() as stack:
        stack.callback(database.drop, template)
        yield [Matrix(stack.enter_context(_world(database, folder, template))) for _ in range(number)]


@contextlib.contextmanager
def _world(database: DatabaseServer, folder: Path, template: str) -> Iterator[_World]:
    """Two brokers, with short waits for what was not answered, and who speaks to them."""
    with (
        nats_server(ack_wait="500ms") as central,
        nats_server(ack_wait="500ms") as source,
        contextlib.ExitStack() as stack,
    ):
        publishers = {"central": Publisher(central.url), "source": Publisher(source.url)}
        for publisher in publishers.values():
            stack.callback(publisher.close)
        yield _World(folder, database, template, central, source, publishers)


@contextlib.contextmanager
def matrix(database: DatabaseServer, folder: Path) -> Iterator[Matrix]:
    """Run one world."""
    with matrices(database, folder, 1) as (made,):
        yield made


__all__ = ["POINTS", "Found", "Matrix", "cuts_at", "every_cut", "format_table", "matrices", "matrix"]
