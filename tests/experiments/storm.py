"""Hundreds of gateways lose their broker at once; how they come back to it, and what that does to what is said, leaves.

Each gateway is the edge's own ``Link`` with its back-off, in one process; each keeps an opening of its door until the
broker has answered for it.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from edge.link import Inbox, Link, LinkUp, Published
from kaimen.broker import parse_broker_urls
from kaimen.logs import set_up_logs
from tests.experiments.stage import WALL, Outcome, outcome, say, world
from tests.fix_servers import nats_server, postgres_server, wait_until
from tests.integration.ingest_street import HOUR, Door, device_id, lay_out

GATEWAYS = int(os.environ.get("KAIMEN_TEST_GATEWAYS", "500"))
SITE = "storm"
AWAY_S_MAX = 60.0


@dataclass
class Gateways:
    """Links of many gateways, one inbox and one thread that answers for them all."""

    broker_url: str
    number: int
    site: str = SITE
    attempts: list[float] = field(default_factory=list)
    up_at: dict[int, float] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    opened: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Connect one after the other, as gateways that were put in over months have."""
        addresses = parse_broker_urls(self.broker_url)
        self._inboxes = [Inbox() for _ in range(self.number)]
        booted_ms = WALL.now_ms()
        self._doors = [
            Door(device_id(number + 1, self.site), self.site, f"{number:016x}", booted_ms)
            for number in range(self.number)
        ]
        self._epochs = [0] * self.number
        self._links = [
            Link(
                "central", addresses, client_id=f"gw-{self.site}-{number}", inbox=self._inboxes[number],
                on_attempt=lambda: self.attempts.append(time.monotonic()),
            )
            for number in range(self.number)
        ]  # fmt: skip
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        for number, link in enumerate(self._links):
            link.start()
            if number % 20 == 19:
                wait_until(
                    lambda up=number: len(self.up_at) > up,
                    "gateways are connected",
                    within_s=120,
                    poll_s=0.05,
                )

    def _serve(self) -> None:
        while not self._stop.wait(0.01):
            for number, inbox in enumerate(self._inboxes):
                for item in inbox.take(items_max=10, wait_s=0):
                    if isinstance(item, LinkUp):
                        self.up_at[number] = time.monotonic()
                        self._epochs[number] = item.epoch
                        self._say_opening(number)
                    elif isinstance(item, Published):
                        self.answered.add(number)

    def _say_opening(self, number: int) -> None:
        """Send the opening that waits, for the first time or again."""
        if number in self.answered or not self.opened:
            return
        self._links[number].publish(self._epochs[number], *self._messages[number], qos=1)

    def open_all(self) -> None:
        """Let every door open while no broker is there."""
        self.answered.clear()
        self._messages = [door.opening(WALL.now_ms()) for door in self._doors]
        self.opened += self.number

    def stop(self) -> None:
        ending = [threading.Thread(target=link.stop) for link in self._links]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()
        self._stop.set()
        self._thread.join()


def come_back(gateways: Gateways, away_s: float, kill: object, start: object) -> list[float]:
    """Take the broker away and give it back; return when each gateway was up again, seconds after its start, sorted."""
    assert callable(kill) and callable(start)
    kill()
    gateways.up_at.clear()
    gateways.attempts.clear()
    gateways.open_all()
    time.sleep(away_s)
    start()
    began = time.monotonic()
    wait_until(
        lambda: len(gateways.up_at) == gateways.number and len(gateways.answered) == gateways.number,
        "every gateway is back and was answered for", within_s=300, poll_s=0.05,
    )  # fmt: skip
    return sorted(max(0.0, at - began) for at in gateways.up_at.values())


def gateways_come_back(seconds: float, folder: Path) -> Outcome:
    """The broker is away for a while; hundreds of gateways find it again by themselves, and ingest goes on beside."""
    # Each gateway has two threads and a connection.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    set_up_logs("storm", level="ERROR")  # five hundred times that nobody is there says nothing
    began = time.monotonic()
    away_s = min(seconds, AWAY_S_MAX)

    def lay_out_storm(url: str) -> None:
        lay_out(url, homes=GATEWAYS, site=SITE, watched_from_ms=WALL.now_ms() - HOUR)

    with (
        postgres_server(durable=True) as postgres,
        nats_server() as broker,
        world(postgres, broker.url, folder, lay_out_more=lay_out_storm) as (url, doors, service),
    ):
        gateways = Gateways(broker.url, GATEWAYS)
        gateways.start()
        try:
            say(f"{GATEWAYS} gateways are connected", began)
            back = come_back(gateways, away_s, broker.program.kill, broker.start_again)
            tries = Counter(int(at) for at in gateways.attempts)
            say(
                f"away {away_s:g} s: {len(gateways.attempts)} attempts, at most {max(tries.values())} in one second;"
                f" back after p50 {back[len(back) // 2]:.1f} s, all after {back[-1]:.1f} s", began,
            )  # fmt: skip
            wait_until(lambda: service.health() == "listening", "ingest listens again", within_s=300)
        finally:
            gateways.stop()
        found = outcome(url, doors, more=gateways.opened)
        say(found.words(), began)
        return found
