"""Kills and their table: a town and a place enter; what was lost, doubled or different leaves."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alerts.faults import POINTS
from kaimen.clock import as_ms
from tests.kills.found import FoundAt, format_table
from tests.kills.life import CONTEXT, STEPS, Life, has_ended, live, start, wall_after
from tests.unit.alerts.receiver import Receiver, run_receiver
from tests.unit.alerts.town import MORNING, Town

LIFE_WITHIN_S = 60

_FINAL = {
    "cases": (
        "SELECT household_id, number, cause, stage, check_step, state, outcome, stage_at, deadline_at, next_action,"
        " next_action_at, holder_id, lease_expires_at, version FROM cases"
    ),
    "tasks": "SELECT household_id, kind, role, state, start_at, due_at, assignee_id FROM tasks",
    "entries": "SELECT c.number, e.words, e.at, e.fact FROM case_entries e JOIN cases c ON c.id = e.case_id",
    "messages": (
        "SELECT c.number, o.step, o.person, o.channel, o.repetition, o.state, o.not_before"
        " FROM outbox o JOIN cases c ON c.id = o.case_id"
    ),
    "happenings": "SELECT id, kind, handled_at IS NULL AS waits FROM happenings",
}

#: A message of a life. A turn that is rolled back burns ids, so the keys of two lives may differ: what they stand
#: for may not.
_KEYS = (
    "SELECT o.idempotency_key AS key, c.number, o.step, o.person, o.channel, o.repetition"
    " FROM outbox o JOIN cases c ON c.id = o.case_id"
)

_CHANNELS = ("webhook", "asked", "console")
_PASSINGS = range(1, 4)
#: How often a morning comes by at places that have nothing to do with a channel.
_OFTEN = {"turn_claimed": 7, "turn_decided": 7}


def cuts_at(place: str) -> list[list[str]]:
    """Return all ways to be cut at a place: each channel, and the first, second and third time.

    Some places are passed only by a life that finds what another one left behind: then both are cut.
    """
    if place == "courier_lost_noted":
        # The console's rows are never leased: nobody finds one that somebody lost.
        return [[f"courier_sent@{channel}:{time}", place] for time in _PASSINGS for channel in _CHANNELS[:2]]
    if place == "courier_asked":
        befores = ("courier_sent", "courier_before_send", "courier_recording")
        return [[f"{before}@asked:{time}", place] for time in _PASSINGS for before in befores]
    if place.startswith("courier_") and place != "courier_start":
        return [[f"{place}@{channel}:{time}"] for time in _PASSINGS for channel in _CHANNELS]
    return [[f"{place}:{time}"] for time in range(1, _OFTEN.get(place, 1) + 1)]


@dataclass
class Found(FoundAt):
    """What the kills at one place of alerts did; a copy of a message is allowed, one beyond the kills is not."""

    COLUMNS = (
        ("rounds", "rounds"), ("kills", "kills"), ("lost", "lost"), ("doubled", "doubled"), ("beyond", "beyond"),
        ("foreign", "other_key"),
    )  # fmt: skip
    NOTHING = ("lost", "other_key", "beyond")

    rounds: int = 0
    doubled: int = 0
    beyond: int = 0
    other_key: int = 0


def tell_a_story(town: Town) -> None:
    """Write what ingest would: a call, a visit, a check, a door opened again, and a door gone silent."""
    town.household("h1", helpers=["neighbour_watcher"])
    town.household("h2", family=["daughter"])
    town.household("h3")
    town.household("h4")
    town.crosses("h1", 2)
    for stage in (1, 2, 3):
        town.crosses("h2", stage)
    town.withdraws(town.crosses("h3", 2))
    town.check_due("h4", 2)
    town.goes_out("door-h1")


class Killing:
    """One town in which the same morning is lived again and again."""

    def __init__(self, town: Town, receiver: Receiver, folder: Path) -> None:
        self.town, self.receiver = town, receiver
        self.asked_file = folder / "asked"
        tell_a_story(town)
        self.expected = self._morning([])
        self.expected_sent, foreign = self._sent()
        assert not foreign

    def kill_at(self, place: str, rounds: int) -> Found:
        """Live the morning so often, cut at ``place`` in each of the ways there are, one after the other."""
        found = Found(place)
        ways = cuts_at(place)
        for number in range(rounds):
            cuts = ways[number % len(ways)]
            rows = self._morning(cuts)
            found.rounds += 1
            found.kills += self.kills
            if self.kills != len(cuts):
                found.different.append(f"nobody died at {cuts[self.kills]}")
            self._compare(found, rows)
        return found

    def _compare(self, found: Found, rows: dict[str, list[str]]) -> None:
        sent, foreign = self._sent()
        found.lost += len(set(self.expected_sent) - set(sent))
        found.other_key += foreign + len(set(sent) - set(self.expected_sent))
        found.doubled += sum((sent - self.expected_sent).values())
        # One copy too many of one message for one kill is what is permitted, and no more.
        most = max((sent - self.expected_sent).values(), default=0)
        found.beyond += max(0, most - self.kills)
        for table, expected in self.expected.items():
            other = Counter(expected)
            other.subtract(rows[table])
            found.different += [f"{table}: {row} ({count:+})" for row, count in other.items() if count]

    def _morning(self, cuts: list[str]) -> dict[str, list[str]]:
        """Live one morning from its beginning; each cut ends one life, and another goes on where it was."""
        self._forget()
        self.kills = 0
        step, lives = 0, 0
        while step < len(STEPS):
            cut = cuts[lives] if lives < len(cuts) else ""
            reached = CONTEXT.Value("i", step)
            process = start(live, self._life(lives), step, cut, reached)
            has_ended(process, within_s=LIFE_WITHIN_S)
            if process.exitcode not in (0, -signal.SIGKILL):
                raise AssertionError(f"a life ended with {process.exitcode} at {cut or 'no place'}")
            self.kills += process.exitcode != 0
            step = int(reached.value)
            lives += 1
        return {table: self._rows(query) for table, query in _FINAL.items()}

    def _life(self, lives: int) -> Life:
        return Life(
            self.town.url, as_ms(MORNING), self.asked_file, self.receiver.url, self.town.users["clerk"],
            wall_after(lives),
        )  # fmt: skip

    def _rows(self, query: str) -> list[str]:
        return sorted(
            " ".join(f"{name}={value}" for name, value in row.items()) for row in self.town.rows(query)
        )

    def _sent(self) -> tuple[Counter[str], int]:
        """Return how often each message arrived, and how many copies carried a key that belongs to no message."""
        asked = self.asked_file.read_text().split() if self.asked_file.exists() else []
        arrived = Counter([*self.receiver.keys(), *asked])
        words = {row.pop("key"): " ".join(map(str, row.values())) for row in self.town.rows(_KEYS)}
        known = Counter({words[key]: count for key, count in arrived.items() if key in words})
        return known, sum(count for key, count in arrived.items() if key not in words)

    def _forget(self) -> None:
        """Take back everything alerts wrote; the facts stay as ingest left them."""
        self.receiver.received.clear()
        self.asked_file.unlink(missing_ok=True)
        self.town.rows(
            "TRUNCATE cases, case_numbers, case_entries, case_households, tasks, outbox, deliveries, sendings,"
            " service_progress, channel_states RESTART IDENTITY CASCADE"
        )
        self.town.rows("UPDATE happenings SET handled_at = NULL")


@contextmanager
def killing(town: Town, folder: Path) -> Iterator[Killing]:
    with run_receiver() as receiver:
        yield Killing(town, receiver, folder)


__all__ = ["POINTS", "Found", "Killing", "format_table", "killing"]
