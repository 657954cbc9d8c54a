"""Workers, nodes of the broker and PostgreSQL killed at random under load; a duration enters, what differed leaves.

Two workers share two groups; the broker is three nodes; doors at four sites open all the while, and go to another node
when theirs is gone. Beside them live silent homes: each opened its door a day ago but for a moment, and its door says
ever since that nothing happened. So each must cross into the first stage at an instant that is known beforehand, while
everything is being killed: that, and nothing else, is what a run without kills would announce.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from ingest.rows.book import is_of_group
from kaimen.schema import migrate
from tests.experiments.stage import REPOSITORY, WALL, Outcome, rows_of, say
from tests.fix_cluster import NatsCluster, nats_cluster
from tests.fix_servers import Program, postgres_server, wait_until
from tests.integration.door_sender import Sender
from tests.integration.ingest_street import DAY, HOUR, Door, device_id, household_id, lay_out

GROUPS, SILENT = 2, 40
EVERY_S = 0.1
BEAT_EVERY_S = 10.0
FIRST_CROSSING_S = 60.0
SETTLED_WITHIN_S = 300.0


def sites_of_groups(each: int) -> list[str]:
    """Return names of sites, as many of each group."""
    found: dict[int, list[str]] = {group: [] for group in range(GROUPS)}
    number = 0
    while any(len(names) < each for names in found.values()):
        name = f"site-{number}"
        group = next(group for group in found if is_of_group(name, group, GROUPS))
        if len(found[group]) < each:
            found[group].append(name)
        number += 1
    return [name for names in found.values() for name in names]


@dataclass
class SilentHomes:
    """Homes that opened a day ago; their doors beat over whichever node is there."""

    url: str
    cluster: NatsCluster
    site: str
    seconds: float
    expected: dict[str, int] = field(default_factory=dict)
    doors: list[Door] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        now_ms = WALL.now_ms()
        lay_out(self.url, homes=SILENT, site=self.site, watched_from_ms=now_ms - 2 * DAY)
        self.sender = Sender(self.cluster.url, Door("door-of-nobody", site=self.site))
        self.first: list[tuple[str, bytes]] = []
        for number in range(1, SILENT + 1):
            door = Door(
                device_id(number, self.site), self.site, f"{random.getrandbits(64):016x}", now_ms - 2 * DAY
            )
            spread_ms = int(max(0.0, self.seconds - FIRST_CROSSING_S) * 1000 * number / SILENT)
            at_ms = now_ms - DAY + int(FIRST_CROSSING_S * 1000) + spread_ms
            self.first.append(door.opening(at_ms))
            self.expected[household_id(number, self.site)] = at_ms + DAY
            self.doors.append(door)
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def start(self) -> None:
        self.sender.send(self.first)
        self._thread.start()

    def _beat(self) -> None:
        while not self.stop.wait(BEAT_EVERY_S):
            for door in self.doors:
                self.sender.beat(*door.heartbeat(WALL.now_ms()))

    def end(self) -> None:
        self.stop.set()
        self.sender.end()


@contextlib.contextmanager
def workers(url: str, broker_url: str, folder: Path) -> Iterator[list[Program]]:
    """Run two ingest processes that share the groups."""
    made = []
    for number in (1, 2):
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "KAIMEN_DATABASE_URL": url,
            "KAIMEN_BROKER_URL": broker_url,
            "KAIMEN_LOG_FORMAT": "text",
            "KAIMEN_INGEST_WORKER": f"ingest-{number}",
            "KAIMEN_INGEST_GROUPS": str(GROUPS),
            "KAIMEN_INGEST_LEASE_S": "5",
        }
        log = folder / f"ingest-{number}.log"
        program = Program("ingest", [sys.executable, "-m", "ingest"], log, environment, REPOSITORY)
        program.start()
        made.append(program)
    try:
        yield made
    finally:
        for program in made:
            if program.is_alive():
                program.stop()


class Killer:
    """Kills one thing after the other, and starts it again as ``kaimen up`` or a service manager does."""

    def __init__(self, seed: int, targets: dict[str, tuple[Program, Callable[[], None]]]) -> None:
        self._chance = random.Random(seed)
        self._targets = targets
        self.kills: Counter[str] = Counter()

    def kill_one(self) -> None:
        name = self._chance.choice(sorted(self._targets))
        program, start = self._targets[name]
        program.kill()
        self.kills[name.split()[0]] += 1
        # Now and then it stays away for longer than a moment.
        time.sleep(self._chance.choice([0.0, 0.0, 1.0, 4.0]))
        start()

    def go_on(self, seconds: float, began: float) -> None:
        said, deadline = time.monotonic(), time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(self._chance.uniform(1.0, 8.0))
            self.kill_one()
            if time.monotonic() - said > 60:
                said = time.monotonic()
                say(f"killed so far: {dict(self.kills)}", began)


def random_kills(seconds: float, folder: Path) -> Outcome:
    """Workers, broker nodes and PostgreSQL are killed at random while doors open at four sites."""
    began = time.monotonic()
    with postgres_server(durable=True) as postgres, nats_cluster(ack_wait="2s") as cluster:
        with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE kaimen")
        url = postgres.url("kaimen")
        migrate(url)
        sites = sites_of_groups(2)
        for site in sites:
            lay_out(url, site=site, watched_from_ms=WALL.now_ms() - HOUR)
        silent = SilentHomes(url, cluster, "silent", seconds)
        with workers(url, cluster.url, folder) as (first, second), contextlib.ExitStack() as stack:
            wait_until(lambda: _both_listen(folder), "both groups are served", within_s=180, poll_s=0.5)
            senders = [
                Sender(
                    cluster.url, Door(device_id(1, site), site, booted_ms=WALL.now_ms() - HOUR),
                    every_s=EVERY_S, at_ms=lambda _seq: WALL.now_ms(),
                )
                for site in sites
            ]  # fmt: skip
            for sender in senders:
                stack.callback(sender.end)
                sender.sending.set()
            stack.callback(silent.end)
            silent.start()
            say("everything runs", began)
            nodes = {
                f"node {number}": (node.program, lambda node=node: _node_back(cluster, node.program))
                for number, node in enumerate(cluster.nodes)
            }
            killer = Killer(
                1,
                {
                    "worker 1": (first, first.start),
                    "worker 2": (second, second.start),
                    "PostgreSQL": (postgres.program, postgres.start_again),
                    **nodes,
                },
            )
            killer.go_on(seconds, began)
            say(f"killed: {dict(killer.kills)}", began)
            for sender in senders:
                sender.sending.clear()
            return _judge(url, [*senders, silent.sender], silent, began)


def _node_back(cluster: NatsCluster, program: Program) -> None:
    program.start()
    # A cluster of three stands the loss of one: the next kill comes when it is whole again.
    cluster.wait_until_ready()


def _both_listen(folder: Path) -> bool:
    logs = "".join(path.read_text() for path in folder.glob("ingest-*.log"))
    return logs.count("listening") >= GROUPS


def _judge(url: str, senders: list[Sender], silent: SilentHomes, began: float) -> Outcome:
    for sender in senders:
        wait_until(sender.all_answered, "everything is answered for", within_s=SETTLED_WITHIN_S, poll_s=0.2)
    sent = sum(sender.sent for sender in senders)
    with contextlib.suppress(TimeoutError):
        wait_until(
            lambda: (
                rows_of(url, "SELECT count(*) FROM door_events")[0][0] >= sent
                and len(_crossings(url)) >= len(silent.expected)
            ),
            "all is stored and judged", within_s=SETTLED_WITHIN_S, poll_s=0.5,
        )  # fmt: skip
    wanted = Counter((household, 1, at_ms) for household, at_ms in silent.expected.items())
    found = Counter(_crossings(url))
    missing, more = wanted - found, found - wanted
    say(
        f"{found.total()} crossings of {wanted.total()}: {missing.total()} missing, {more.total()} others",
        began,
    )
    for crossing in [*missing, *more][:10]:
        say(f"  {crossing}", began)
    twice = rows_of(url, "SELECT device_no, boot, seq FROM door_events GROUP BY 1, 2, 3 HAVING count(*) > 1")
    judged = Outcome(
        sent,
        rows_of(url, "SELECT count(*) FROM door_events")[0][0],
        len(twice),
        missing.total() + more.total(),
        rows_of(url, "SELECT count(*) FROM quarantine")[0][0],
    )
    say(judged.words(), began)
    return judged


def _crossings(url: str) -> list[tuple[str, int, int]]:
    found = rows_of(
        url, "SELECT household_id, stage, (extract(epoch FROM at) * 1000)::bigint FROM stage_crossings"
    )
    return [(str(household), int(stage), int(at_ms)) for household, stage, at_ms in found]
