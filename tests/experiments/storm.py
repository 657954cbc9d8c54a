"""Hundreds of gateways lose their broker at once; how they come back to it, and what that does to what is said, leaves.

Each gateway is the edge's own ``Link`` with its back-off; each keeps an opening of its door until the
broker has answered for it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from edge.link import BACKOFF_FIRST_S, Inbox, Link, LinkUp, Published
from kaimen.broker import parse_broker_urls
from kaimen.logs import set_up_logs
from tests.experiments.stage import WALL, Outcome, outcome, say, world
from tests.fix_servers import nats_server, postgres_server, wait_until
from tests.integration.ingest_street import HOUR, Door, device_id, lay_out

GATEWAYS = int(os.environ.get("KAIMEN_TEST_GATEWAYS", "500"))
A_PROCESS = 250
AWAY_S_MAX = 60.0
#: As the edge does (``edge.upstream``), sooner: a broker that is just starting may take something and never answer.
SWALLOWED_AFTER_S = 20.0


@dataclass
class Gateways:
    """Links of many gateways, one inbox and one thread that answers for them all."""

    broker_url: str
    number: int
    site: str
    attempts: list[float] = field(default_factory=list)
    up_at: dict[int, float] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    opened: int = 0
    backoff_first_s: float = BACKOFF_FIRST_S
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
        self._said_s: dict[int, float] = {}
        self._links = [
            Link(
                "central", addresses, client_id=f"gw-{self.site}-{number}", inbox=self._inboxes[number],
                on_attempt=lambda: self.attempts.append(time.monotonic()), backoff_first_s=self.backoff_first_s,
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
                if number in self._said_s and number not in self.answered:
                    self._leave_if_silent(number)

    def _leave_if_silent(self, number: int) -> None:
        if time.monotonic() - self._said_s[number] >= SWALLOWED_AFTER_S:
            del self._said_s[number]
            self._links[number].reconnect()

    def _say_opening(self, number: int) -> None:
        """Send the opening that waits, for the first time or again."""
        if number in self.answered or not self.opened:
            return
        self._said_s[number] = time.monotonic()
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


@dataclass(frozen=True)
class State:
    """What a fleet has come to since its doors opened."""

    back_at: list[float]
    answered: int
    attempts: list[float]


def run_fleet(told: Connection, broker_url: str, number: int, site: str) -> None:
    """Be a process of gateways: one takes no more, for paho looks at 1,024 open files at most."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_up_logs("storm", level="ERROR")  # five hundred times that nobody is there says nothing
    gateways = Gateways(broker_url, number, site)
    gateways.start()
    told.send("connected")
    while (word := told.recv()) != "stop":
        if word == "open":
            gateways.up_at.clear()
            gateways.attempts.clear()
            gateways.open_all()
        back_at = list(gateways.up_at.values())
        told.send(State(back_at, len(gateways.answered), list(gateways.attempts)))
    gateways.stop()


class Fleets:
    """Several processes of gateways as one."""

    def __init__(self, broker_url: str, number: int) -> None:
        self.number = number
        context = multiprocessing.get_context("spawn")
        self._lines, self._processes = [], []
        for index, share in enumerate(shares_of(number)):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=run_fleet, args=(theirs, broker_url, share, site_of(index)), daemon=True
            )
            process.start()
            self._lines.append(ours)
            self._processes.append(process)
        for line in self._lines:
            assert line.poll(300) and line.recv() == "connected"

    def ask(self, word: str) -> State:
        for line in self._lines:
            line.send(word)
        states: list[State] = []
        for line in self._lines:
            assert line.poll(60), "the gateways' process says nothing"
            states.append(line.recv())
        return State(
            sorted(at for state in states for at in state.back_at),
            sum(state.answered for state in states),
            [at for state in states for at in state.attempts],
        )

    def stop(self) -> None:
        for line, process in zip(self._lines, self._processes, strict=True):
            line.send("stop")
            process.join(60)


def shares_of(number: int) -> list[int]:
    return [min(A_PROCESS, number - done) for done in range(0, number, A_PROCESS)]


def site_of(index: int) -> str:
    return f"storm-{index}"


def gateways_come_back(seconds: float, folder: Path) -> Outcome:
    """The broker is away for a while; hundreds of gateways find it again by themselves, and ingest goes on beside."""
    began = time.monotonic()
    away_s = min(seconds, AWAY_S_MAX)

    def lay_out_storm(url: str) -> None:
        for index, share in enumerate(shares_of(GATEWAYS)):
            lay_out(url, homes=share, site=site_of(index), watched_from_ms=WALL.now_ms() - HOUR)

    with (
        postgres_server(durable=True) as postgres,
        nats_server() as broker,
        world(postgres, broker.url, folder, lay_out_more=lay_out_storm) as (url, doors, service),
    ):
        fleets = Fleets(broker.url, GATEWAYS)
        try:
            say(f"{GATEWAYS} gateways are connected", began)
            broker.program.kill()
            fleets.ask("open")
            time.sleep(away_s)
            broker.start_again()
            started = time.monotonic()

            def all_back() -> bool:
                state = fleets.ask("look")
                return len(state.back_at) == state.answered == GATEWAYS

            wait_until(all_back, "every gateway is back and was answered for", within_s=300, poll_s=0.2)
            state = fleets.ask("look")
            back = [max(0.0, at - started) for at in state.back_at]
            most = max(Counter(int(at) for at in state.attempts).values())
            since = [at for at in state.attempts if at >= started]
            say(
                f"away {away_s:g} s: {len(state.attempts)} attempts, at most {most} in one second"
                f" ({max(Counter(int(at) for at in since).values(), default=0)} after its start);"
                f" back after p50 {back[len(back) // 2]:.1f} s, 90 % {back[len(back) * 9 // 10]:.1f} s, all {back[-1]:.1f} s",
                began,
            )
            wait_until(service.listens, "ingest listens again", within_s=300)
        finally:
            fleets.stop()
        found = outcome(url, doors, more=GATEWAYS)
        say(found.words(), began)
        return found
