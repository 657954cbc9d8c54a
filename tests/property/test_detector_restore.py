"""A stream and a place to stop enter; a detector rebuilt from what was stored must go on as if never stopped."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ingest.detector import CheckDue, CoveragePoint, Crossing, Detector, OutageBegan, Registry, Withdrawal
from ingest.detector.engine import pulse_at_or_after
from ingest.detector.facts import BootBase, CheckEnded, Fact, OutageEnded, Taken
from ingest.detector.state import PULSE_MS
from ingest.judging import _Admitter, _Counts, _Line
from ingest.registry_file import parse_registry
from ingest.rows.event_columns import pack_events
from kaimen import wire
from kaimen.policy import PAST_MAX_MS
from tests.property.strategies_wire import random_case
from tests.seeds import slow_seeds


@dataclass
class Stored:
    """What the database keeps."""

    events: list[tuple[str, wire.Event, int]] = field(default_factory=list)
    points: dict[tuple[Any, ...], CoveragePoint] = field(default_factory=dict)
    boots: dict[tuple[str, str], BootBase] = field(default_factory=dict)
    crossings: dict[tuple[Any, ...], Crossing] = field(default_factory=dict)
    checks: dict[tuple[Any, ...], CheckDue] = field(default_factory=dict)
    outages: dict[tuple[Any, ...], OutageBegan] = field(default_factory=dict)

    def take(self, detector: Detector, facts: list[Fact]) -> None:
        for point in detector.take_changed_points():
            key = (point.device_id, point.boot, point.seq_last, point.opens, point.first_up_ms)
            self.points[key] = point
        for base in detector.take_changed_boots():
            self.boots[(base.device_id, base.boot)] = base
        for fact in facts:
            self._take_fact(fact)

    def _take_fact(self, fact: Fact) -> None:
        match fact:
            case Crossing():
                self.crossings[(fact.household_id, fact.stage)] = fact
            case Withdrawal():
                del self.crossings[(fact.household_id, fact.stage)]
            case CheckDue():
                self.checks[(fact.household_id, fact.step)] = fact
            case CheckEnded():
                del self.checks[(fact.household_id, fact.step)]
            case OutageBegan():
                self.outages[(fact.device_id,)] = fact
            case OutageEnded():
                del self.outages[(fact.device_id,)]

    def build(self, registry: Registry, now_ms: int) -> Detector:
        detector = Detector(registry, now_ms=now_ms)
        packed, events = pack_events(self.events)
        detector.restore(
            events=events,
            packed=packed,
            points=self.points.values(),
            boots=self.boots.values(),
            standing=self.crossings.values(),
            checks=self.checks.values(),
            outages=self.outages.values(),
        )
        return detector


def lines_of(messages: list[dict[str, Any]], registry: Registry) -> Iterator[_Line]:
    admitter = _Admitter(registry, _Counts())
    for message in messages:
        line = admitter.admit(message["topic"], message["payload"], message["received_at"])
        if line is not None:
            yield line


def feed(detector: Detector, line: _Line, stored: Stored) -> list[Taken]:
    """Take a line message by message; return what the detector said of its events."""
    said: list[Taken] = []
    device_id = line.address.device_id
    if line.heartbeat is not None:
        detector.take_heartbeat(device_id, line.heartbeat, received_ms=line.received_ms)
    for event in line.events:
        said.append(detector.take_event(device_id, event, received_ms=line.received_ms))
        stored.events.append((device_id, event, line.received_ms))
    return said


def play(
    lines: list[_Line],
    registry: Registry,
    start_ms: int,
    until_ms: int,
    stops: set[int],
    packs: frozenset[int] = frozenset(),
) -> tuple[list[Fact], Detector]:
    """Run the service's turns: pulse up to each message's second; rebuild from what is stored at ``stops``."""
    stored = Stored()
    said: list[Fact] = []
    reached = pulse_at_or_after(start_ms)
    detector = Detector(registry, now_ms=reached)

    def pulse(at_ms: int) -> None:
        facts = detector.pulse(at_ms)
        stored.take(detector, facts)
        said.extend(facts)

    for number, line in enumerate(lines):
        second = pulse_at_or_after(line.received_ms)
        if second > reached:
            pulse(reached)
            pulse(second - PULSE_MS)
            reached = second
            if number in stops:
                detector = stored.build(registry, reached - PULSE_MS)
                pulse(reached - PULSE_MS)
        if number in packs:
            detector.pack(len(registry.devices), reached - PAST_MAX_MS)
        feed(detector, line, stored)
    pulse(max(reached, until_ms // PULSE_MS * PULSE_MS))
    return said, detector


def key(fact: Fact) -> tuple[str, str]:
    return type(fact).__name__, repr(fact)


@pytest.mark.parametrize("seed", [*range(12), *slow_seeds(range(12, 60))])
def test_packing_what_is_settled_changes_no_fact(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.detector.engine.PACKED_FROM_EVENTS", 1)
    messages, document, until_ms = random_case(seed, very_late=False)
    registry = parse_registry(document)
    lines = [line for line in lines_of(messages, registry) if line.received_ms <= until_ms]
    start = min(household.watched_from_ms for household in registry.households.values())
    packs = frozenset(range(0, len(lines), 3))
    straight, _ = play(lines, registry, start, until_ms, set())
    packed, _ = play(lines, registry, start, until_ms, set(), packs)
    assert sorted(map(key, packed)) == sorted(map(key, straight)), f"seed {seed}"


# Heartbeats that came twice: the copy of a stretch's first took the place of the stretch where it is stored.
@pytest.mark.parametrize(
    ("seed", "stop"), [(589936665, 50), (135923377, 86), (135923409, 64), (135923115, 69), (135923031, 198)]
)
def test_a_heartbeat_that_came_twice_costs_no_watched_time_at_a_restart(seed: int, stop: int) -> None:
    messages, document, until_ms = random_case(seed, very_late=False)
    registry = parse_registry(document)
    lines = [line for line in lines_of(messages, registry) if line.received_ms <= until_ms]
    start = min(household.watched_from_ms for household in registry.households.values())
    straight, _ = play(lines, registry, start, until_ms, set())
    stopped, _ = play(lines, registry, start, until_ms, {stop})
    assert sorted(map(key, stopped)) == sorted(map(key, straight))


# Beyond the first few: heartbeats late by minutes that contradict those folded around them, and stretches that a base
# that moved placed in the future.
@pytest.mark.parametrize("seed", [*range(12), 977, *slow_seeds(range(12, 60))])
def test_a_restart_at_any_point_changes_no_fact(seed: int) -> None:
    messages, document, until_ms = random_case(seed, very_late=False)
    registry = parse_registry(document)
    lines = [line for line in lines_of(messages, registry) if line.received_ms <= until_ms]
    start = min(household.watched_from_ms for household in registry.households.values())
    chance = random.Random(seed)
    stops = set(chance.sample(range(len(lines)), k=min(4, len(lines)))) if lines else set()
    straight, _ = play(lines, registry, start, until_ms, set())
    stopped, _ = play(lines, registry, start, until_ms, stops)
    assert sorted(map(key, stopped)) == sorted(map(key, straight)), f"seed {seed}, stops {sorted(stops)}"
