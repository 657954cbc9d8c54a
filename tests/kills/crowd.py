"""Several services under a thousand open cases, killed at random: a number of households and seconds enter, a tally leaves."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from alerts.channels.console import ConsoleChannel
from alerts.sending.courier import Courier
from kaimen.clock import ManualClock, SystemClock, as_ms, set_clock
from tests.fix_servers import wait_until
from tests.kills.life import act_for_ever, serve, start
from tests.unit.alerts.killed import webhook
from tests.unit.alerts.receiver import run_receiver
from tests.unit.alerts.town import Town

_LEASES_OVER_MS = 120_000
_SETTLED_WITHIN_S = 300.0

_MANY = """
INSERT INTO households (id, site_id, label, building, unit, floor, room, watched_from)
  SELECT 'm' || n, 's1', 'm' || n, '3', '1', 12, '01', '2025-01-01' FROM generate_series(1, %(many)s) n;
INSERT INTO consents (household_id, purpose, given_by, given_at)
  SELECT 'm' || n, 'watch', 'her', '2025-01-01' FROM generate_series(1, %(many)s) n;
INSERT INTO stage_crossings (household_id, stage, at, announced_at, evidence_at, evidence, inactive_ms, elapsed_ms,
    thresholds_ms)
  SELECT 'm' || n, 2, %(now)s, %(now)s, %(now)s - interval '2 days', '{"kind": "opening"}', 172800000, 172800000,
    ARRAY[86400000, 172800000, 259200000] FROM generate_series(1, %(many)s) n;
INSERT INTO happenings (kind, fact_id, household_id, at)
  SELECT 'crossing', id, household_id, at FROM stage_crossings ORDER BY id
"""

_LEFT = """
SELECT (SELECT count(*) FROM happenings WHERE handled_at IS NULL)
  + (SELECT count(*) FROM cases WHERE state <> 'closed' AND next_action_at <= %s) AS count
"""

#: When every open case has come to its next step.
_NEXT = "SELECT max(next_action_at) AS at FROM cases WHERE state <> 'closed'"


@dataclass
class Tally:
    """What came of the kills; ``lost`` and ``beyond`` must be 0."""

    households: int
    rounds: int
    tellings: int
    kills: int
    messages: int
    lost: int
    unplanned: int
    copies: int
    beyond: int
    unfinished: int


def settle_many(town: Town, many: int) -> None:
    """Write the facts of many households that cross into the second day at once."""
    with psycopg.connect(town.url, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(_MANY, {"many": many, "now": town.now})  # type: ignore[arg-type]


class _Services:
    """Processes by name, started again whenever one is killed."""

    def __init__(self, town: Town, clock_file: Path, hook_url: str, count: int) -> None:
        self._args = (town.url, str(clock_file), hook_url)
        self._town, self._clock_file = town, clock_file
        self.running: dict[str, Any] = {f"w{number}": None for number in range(count)}
        self.running["clerk"] = None
        self.kills = 0
        for name in self.running:
            self._start(name)

    def _start(self, name: str) -> None:
        url, clock_file, hook_url = self._args
        if name == "clerk":
            self.running[name] = start(act_for_ever, url, clock_file, self._town.users["clerk"], self.kills)
        else:
            self.running[name] = start(serve, url, clock_file, f"{name}-{self.kills}", hook_url)

    def kill_one(self, chance: random.Random) -> None:
        name = chance.choice(sorted(self.running))
        process = self.running[name]
        assert process.is_alive(), f"{name} ended by itself with {process.exitcode}"
        process.kill()
        process.join(20)
        self.kills += 1
        self._start(name)

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()
            process.join(20)


def kill_in_the_crowd(
    town: Town, folder: Path, *, many: int, seconds: float, workers: int = 3, seed: int = 1
) -> Tally:
    """Let services work on ``many`` open cases for so long while one of them is killed several times a second."""
    chance = random.Random(seed)
    clock_file = folder / "clock.json"
    set_clock(clock_file, speed=0, now_ms=as_ms(town.now))
    settle_many(town, many)
    rounds = 0
    with run_receiver() as receiver:
        services = _Services(town, clock_file, receiver.url, workers)
        try:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                time.sleep(chance.uniform(0.1, 0.9))
                services.kill_one(chance)
                if not _left(town):
                    rounds += 1
                    _go_to_next_step(town, clock_file)
            _wait_for_every_step(town)
            if not rounds:  # a slow machine: what is told a second time is looked at all the same
                rounds += 1
                _go_to_next_step(town, clock_file)
                services.kill_one(chance)
                _wait_for_every_step(town)
        finally:
            services.stop()
        # What a killed courier held is due once its lease is over.
        wall = ManualClock(SystemClock().now_ms() + _LEASES_OVER_MS)
        channels = {"console": ConsoleChannel(), "webhook": webhook(receiver.url)}
        courier = Courier(town.pool, town.clock, channels, "last", "http://127.0.0.1:8000", wall=wall)
        while courier.send_one():
            pass
        return _tally(town, Counter(receiver.keys()), many=many, rounds=rounds, kills=services.kills)


def _go_to_next_step(town: Town, clock_file: Path) -> None:
    town.at(town.rows(_NEXT)[0]["at"])
    set_clock(clock_file, speed=0, now_ms=as_ms(town.now))


def _wait_for_every_step(town: Town) -> None:
    wait_until(lambda: not _left(town), "every step is done", within_s=_SETTLED_WITHIN_S, poll_s=0.2)


def _left(town: Town) -> int:
    return int(town.rows(_LEFT, town.now)[0]["count"])


def _tally(town: Town, arrived: Counter[str], *, many: int, rounds: int, kills: int) -> Tally:
    planned = {
        (row["household_id"], row["channel"], row["repetition"]): row
        for row in town.rows(
            "SELECT c.household_id, o.channel, o.repetition, o.state, o.idempotency_key AS key"
            " FROM outbox o JOIN cases c ON c.id = o.case_id"
        )
    }
    # All homes are alike: what one was told, and how often, every other one was told too.
    repetitions = max((repetition for _, _, repetition in planned), default=0) + 1
    wanted = {
        (f"m{number}", channel, repetition)
        for number in range(1, many + 1)
        for channel in ("console", "webhook")
        for repetition in range(repetitions)
    }
    # What the next telling has replaced before it was sent went to nobody, and need not.
    due = {where for where in wanted if where in planned and planned[where]["state"] != "superseded"}
    sent = {key for key, row in planned.items() if row["channel"] == "webhook" and row["key"] in arrived}
    return Tally(
        households=many,
        rounds=rounds,
        tellings=repetitions,
        kills=kills,
        messages=len(planned),
        lost=len(wanted - set(planned)) + len({w for w in due if w[1] == "webhook"} - sent),
        unplanned=len(set(planned) - wanted) + len(set(arrived) - {row["key"] for row in planned.values()}),
        copies=sum(arrived.values()) - len(arrived),
        beyond=max(0, sum(arrived.values()) - len(arrived) - kills),
        unfinished=sum(
            planned[where]["state"] not in ("delivered", "accepted", "confirmed") for where in due
        ),
    )
