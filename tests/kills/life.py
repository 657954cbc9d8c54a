"""One life of the alerts side in a process of its own: a database, a step and a place to die enter; rows leave.

The same code that the service runs, in the order in which a morning goes: facts are turned into cases, messages are
sent, a clerk takes a case, half an hour passes, what is due is told again. A provider that can be asked writes what
it was sent into a file; the other one is a webhook receiver.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from alerts import acts
from alerts.acts import ActRefused
from alerts.channels import AfterDoubt, Channel, Message, Receipt, Traits
from alerts.channels.console import ConsoleChannel
from alerts.channels.webhook import WebhookChannel, parse_target
from alerts.sending.courier import Courier
from alerts.worker import Worker
from kaimen.clock import FileClock, ManualClock, SystemClock, as_datetime
from kaimen.database import Pool, open_pool, transaction

OUTSIDE = ("webhook", "asked")
_KEY = bytes(range(32))
_LATER = timedelta(minutes=31)
#: Where a life begins, and where each of its steps begins; a life that was cut goes on with its last one.
STEPS = ("turn", "send", "act", "turn_later", "send_later")


@dataclass(frozen=True)
class AskedChannel:
    """A provider that knows what it was sent: it keeps the keys in a file, and can be asked for one."""

    file: Path
    name: str = "asked"
    is_real: bool = False
    traits: Traits = field(default_factory=lambda: Traits(after_doubt=AfterDoubt.ASK))

    def deliver(self, message: Message) -> Receipt:
        with self.file.open("a") as file:
            file.write(f"{message.key}\n")
        return Receipt("accepted", provider_id=message.key)

    def find(self, message: Message) -> Receipt | None:
        known = self.file.exists() and message.key in self.file.read_text().split()
        return Receipt("accepted", provider_id=message.key) if known else None


@dataclass(frozen=True)
class Life:
    """What a process is told before it begins."""

    url: str
    begin_ms: int
    asked_file: Path
    hook_url: str
    clerk: int
    #: Wall time of the couriers: a later life begins when the leases of the one before it have run out.
    wall_ms: int

    def channels(self) -> dict[str, Channel]:
        target = parse_target(self.hook_url, ("127.0.0.1",), demo=False)
        return {
            "console": ConsoleChannel(),
            "webhook": WebhookChannel(target, _KEY, answer_within_s=30),
            "asked": AskedChannel(self.asked_file),
        }


class _Doing:
    """The steps of one life, each of which may be begun again."""

    def __init__(self, life: Life, pool: Pool) -> None:
        self.life, self.pool = life, pool
        self.now = as_datetime(life.begin_ms)

    def step(self, name: str) -> None:
        later = name.endswith("_later")
        clock = ManualClock(self.life.begin_ms + (int(_LATER.total_seconds() * 1000) if later else 0))
        if name == "act":
            self._claim(as_datetime(clock.now_ms()))
        elif name.startswith("turn"):
            _run_worker(
                Worker(pool=self.pool, clock=clock, name="w", outside_channels=OUTSIDE), self.life.url
            )
        else:
            # As in the service: one for each channel, so that the console's go in batches.
            for channel in self.life.channels().values():
                courier = Courier(
                    self.pool, clock, {channel.name: channel}, f"k/{channel.name}", "http://127.0.0.1:8000",
                    wall=ManualClock(self.life.wall_ms),
                )  # fmt: skip
                _run_courier(courier)

    def _claim(self, now: datetime) -> None:
        with transaction(self.pool) as connection:
            row = connection.execute(
                "SELECT id, holder_id FROM cases WHERE household_id = 'h1' AND state <> 'closed'"
            ).fetchone()
            # Who sees that the case is hers already does not take it again.
            if row is not None and row["holder_id"] is None:
                acts.claim(connection, case_id=row["id"], user_id=self.life.clerk, now=now)


class _StopWhenIdle(threading.Event):
    """Asks a loop to stop once it has found nothing to do."""


def _run_worker(worker: Worker, url: str) -> None:
    stop = _StopWhenIdle()
    turn = Worker.turn

    def turn_until_idle(self: Worker) -> Any:
        report = turn(self)
        if not (report.more or report.handled or report.timers):
            stop.set()
        return report

    Worker.turn = turn_until_idle  # type: ignore[method-assign]
    try:
        worker.run(stop, database_url=url, turn_s=0.001, scaled=False)
    finally:
        Worker.turn = turn  # type: ignore[method-assign]


def _run_courier(courier: Courier) -> None:
    stop = _StopWhenIdle()

    class Wake(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            stop.set()
            return True

    courier.wake = Wake()
    courier.run(stop, wait_s=0.001)


def live(life: Life, first_step: int, die_at: str, reached: Any) -> None:
    """Live from a step on; die at a place where one is named. ``reached`` is shared with who started the process."""
    if die_at:
        os.environ["KAIMEN_TEST_KILL_AT"] = die_at
    pool = open_pool(life.url, service="life", size_max=2)
    doing = _Doing(life, pool)
    for number in range(first_step, len(STEPS)):
        reached.value = number
        doing.step(STEPS[number])
    reached.value = len(STEPS)
    pool.close()


def share(url: str, now_ms: int, name: str) -> None:
    """Be one of several workers, and its courier, on a clock that stands; end when nothing is left to do."""
    pool = open_pool(url, service=name, size_max=3)
    clock = ManualClock(now_ms)
    worker = Worker(pool=pool, clock=clock, name=name, claim_max=7)
    courier = Courier(pool, clock, {"console": ConsoleChannel()}, name, "http://127.0.0.1:8000")
    idle = 0
    while idle < 5:
        report = worker.turn()
        sent = courier.send_some()
        idle = 0 if report.handled or report.timers or report.more or sent else idle + 1
    pool.close()


def serve(url: str, clock_file: str, name: str, hook_url: str) -> None:
    """Be one of several services: a worker and its couriers on a clock of a file, until somebody kills it."""
    pool = open_pool(url, service=name, size_max=6)
    clock = FileClock(Path(clock_file))
    target = parse_target(hook_url, ("127.0.0.1",), demo=False)
    channels: dict[str, Channel] = {
        "console": ConsoleChannel(),
        "webhook": WebhookChannel(target, _KEY, answer_within_s=20),
    }
    stop = threading.Event()
    couriers = [
        Courier(pool, clock, {channel.name: channel}, f"{name}/{channel.name}", "http://127.0.0.1:8000")
        for channel in channels.values()
    ]
    for courier in couriers:
        threading.Thread(target=courier.run, args=(stop,), kwargs={"wait_s": 0.05}, daemon=True).start()
    # Short turns: even on a slow machine some are done between two kills.
    worker = Worker(pool=pool, clock=clock, name=name, claim_max=20, outside_channels=("webhook",))
    worker.run(stop, database_url=url, turn_s=0.05, scaled=False)


def act_for_ever(url: str, clock_file: str, clerk: int, seed: int) -> None:
    """Be a clerk: take cases, give them back, write notes, until somebody kills it."""
    chance = random.Random(seed)
    pool = open_pool(url, service="clerk", size_max=1)
    clock = FileClock(Path(clock_file))
    while True:
        with transaction(pool) as connection:
            row = connection.execute(
                "SELECT id FROM cases WHERE state <> 'closed' ORDER BY random() LIMIT 1"
            ).fetchone()
        if row is not None:
            try:
                with transaction(pool) as connection:
                    now = as_datetime(clock.now_ms())
                    acts.add_note(connection, case_id=row["id"], user_id=clerk, note="seen", now=now)
            except ActRefused:
                pass
        time.sleep(chance.random() / 20)


#: A server process that has everything imported and no thread: a life costs a fork instead of a start.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.kills.life"])


#: Whoever starts a process asks all others how they ended; of two threads that ask at once one is told nothing.
_ASKING = threading.Lock()


def start(target: Callable[..., None], *args: object) -> Any:
    """Start a process of this file's own functions."""
    process = CONTEXT.Process(target=target, args=args, daemon=True)  # type: ignore[attr-defined]
    with _ASKING:
        process.start()
    return process


def has_ended(process: Any, within_s: float = 0.0) -> bool:
    """Say whether a started process has ended, or does so within some seconds; its exit code is known then."""
    wait([process.sentinel], within_s)
    with _ASKING:
        return not process.is_alive()


def wall_after(kills: int) -> int:
    """Return a wall time at which leases of so many lives before have run out."""
    return SystemClock().now_ms() + kills * 120_000
