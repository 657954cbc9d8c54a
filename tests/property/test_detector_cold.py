"""A stream and places to stop enter; devices that hold what is at hand alone must go on as if they held everything."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from ingest.detector import CoveragePoint, Detector, Registry
from ingest.detector.cold import Hot
from ingest.detector.cold import Stored as StoredOfDevice
from ingest.detector.engine import pulse_at_or_after
from ingest.detector.facts import BootBase, Fact
from ingest.detector.state import AWAKE_MAX, FOREVER, PULSE_MS
from ingest.judging import _Line
from ingest.registry_file import parse_registry
from ingest.rows.event_columns import pack_events
from kaimen import wire
from kaimen.policy import HOUR_MS, PAST_MAX_MS
from tests.property.strategies_wire import random_case
from tests.property.test_detector_restore import Stored, feed, key, lines_of, play
from tests.seeds import slow_seeds

#: Fresh streams that are stopped at any place; KAIMEN_TEST_STREAMS=5000 takes a quarter of an hour.
STREAMS_COUNT = int(os.environ.get("KAIMEN_TEST_STREAMS", "2"))


class Kept(Stored):
    """What the database keeps, with what was written down of each device and when."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = 0
        self.changed: dict[tuple[Any, ...], int] = {}
        self.events_then: dict[str, int] = {}
        self.turn_then: dict[str, int] = {}
        self.hots: dict[str, bytes] = {}
        self.went_on = self.relieved = 0

    def take(self, detector: Detector, facts: list[Fact]) -> None:
        before = dict(self.points)
        super().take(detector, facts)
        self.turn += 1
        self.changed.update(
            (name, self.turn) for name, point in self.points.items() if before.get(name) is not point
        )

    def load(self, device_id: str) -> StoredOfDevice:
        packed, rest = pack_events(item for item in self.events if item[0] == device_id)
        points = [point for point in self.points.values() if point.device_id == device_id]
        return StoredOfDevice(packed.get(device_id, {}), [item[1:] for item in rest], points)

    def write_down(self, detector: Detector, devices: Sequence[str], *, let_go: bool) -> None:
        """Write down what is at hand of some devices, as a turn does; ``let_go``: and keep nothing else in memory."""
        self.take(detector, [])
        for device_id in devices:
            hot = detector.hot_of(device_id)
            if hot is None:
                self.hots.pop(device_id, None)
                continue
            self.hots[device_id] = msgspec.msgpack.encode(hot)
            self.events_then[device_id], self.turn_then[device_id] = len(self.events), self.turn
            if let_go:
                detector.cool(hot, self.load, kept_from_ms=detector.pulse_ms - HOUR_MS)

    def relieve(self, detector: Detector, devices: Sequence[str], kept_from_ms: int) -> None:
        """Have some devices hold as little as they can, as where memory is short: at any place, also between pulses."""
        self.take(detector, [])
        for device_id in devices:
            hot = detector.relieved_of(device_id)
            if hot is not None:
                detector.cool(hot, self.load, kept_from_ms=kept_from_ms)
                self.relieved += 1

    def start(self, registry: Registry, now_ms: int, *, awake_max: int = AWAKE_MAX) -> Detector:
        """Build a detector as a start does: what was written down, what came since, and the rest from what is stored."""
        detector = Detector(registry, now_ms=now_ms, awake_max=awake_max)
        events: dict[str, list[tuple[wire.Event, int]]] = {}
        points: dict[str, list[CoveragePoint]] = {}
        boots: dict[str, dict[str, BootBase]] = {}
        for base in self.boots.values():
            boots.setdefault(base.device_id, {})[base.boot] = base
        for number, (device_id, event, received_ms) in enumerate(self.events):
            if number >= self.events_then.get(device_id, 0):
                events.setdefault(device_id, []).append((event, received_ms))
        for name, point in self.points.items():
            if self.changed[name] > self.turn_then.get(point.device_id, -1):
                points.setdefault(point.device_id, []).append(point)
        hots = [msgspec.msgpack.decode(state, type=Hot) for state in self.hots.values()]
        taken = detector.go_on(hots, self.load, events=events, points=points, boots=boots)
        self.went_on += len(taken)
        packed, rest = pack_events(item for item in self.events if item[0] not in taken)
        detector.restore(
            events=rest,
            packed=packed,
            points=[point for point in self.points.values() if point.device_id not in taken],
            boots=[base for base in self.boots.values() if base.device_id not in taken],
            standing=self.crossings.values(),
            checks=self.checks.values(),
            outages=self.outages.values(),
        )
        return detector


def play_cold(
    lines: list[_Line],
    registry: Registry,
    start_ms: int,
    until_ms: int,
    chance: random.Random,
    *,
    let_go: bool,
    packs: bool = False,
    relieves: bool = False,
) -> tuple[list[Fact], Kept]:
    """Run the service's turns; devices are written down now and then, and a start goes on from that.

    ``packs``: what is settled is packed now and then, of devices that hold what is at hand alone too. ``relieves``: some
    hold even less, now and then.
    """
    kept = Kept()
    said: list[Fact] = []
    reached = pulse_at_or_after(start_ms)
    detector = Detector(registry, now_ms=reached)

    def pulse(at_ms: int) -> None:
        facts = detector.pulse(at_ms)
        kept.take(detector, facts)
        said.extend(facts)

    for line in lines:
        second = pulse_at_or_after(line.received_ms)
        if second > reached:
            pulse(reached)
            pulse(second - PULSE_MS)
            reached = second
            if chance.random() < 0.15:
                some = [device_id for device_id in registry.devices if chance.random() < 0.7]
                kept.write_down(detector, some, let_go=let_go)
            if chance.random() < 0.1:
                detector = kept.start(registry, reached - PULSE_MS)
                pulse(reached - PULSE_MS)
            if packs and reached // PULSE_MS % 3 == 0:
                detector.pack(len(registry.devices), reached - PAST_MAX_MS)
        feed(detector, line, kept)
        if relieves and chance.random() < 0.1:
            some = [device_id for device_id in registry.devices if chance.random() < 0.5]
            kept.relieve(detector, some, chance.choice([FOREVER, detector.pulse_ms - 10_000]))
    pulse(max(reached, until_ms // PULSE_MS * PULSE_MS))
    return said, kept


# Beyond the first few: heartbeats that contradict one another inside one folded stretch.
@pytest.mark.parametrize("seed", [*range(5), 673, *slow_seeds([*range(5, 18), 684, 1281])])
def test_a_start_from_what_is_at_hand_changes_no_fact(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PACKED_FROM_EVENTS", "PACKED_FROM_EVENTS_COLD"):
        monkeypatch.setattr(f"ingest.detector.engine.{name}", 1)
    messages, document, until_ms = random_case(seed, very_late=False)
    registry = parse_registry(document)
    lines = [line for line in lines_of(messages, registry) if line.received_ms <= until_ms]
    start = min(household.watched_from_ms for household in registry.households.values())
    straight, _ = play(lines, registry, start, until_ms, set())
    stopped, kept = play_cold(
        lines, registry, start, until_ms, random.Random(seed), let_go=seed % 2 == 0, packs=seed % 4 < 2
    )
    assert sorted(map(key, stopped)) == sorted(map(key, straight)), f"seed {seed}"
    assert kept.went_on > 0 or len(lines) < 50, "no start went on from what was written down"


@pytest.mark.parametrize("first", [0, *slow_seeds(range(4, 80, 4))])
def test_devices_that_hold_as_little_as_they_can_change_no_fact(first: int) -> None:
    count = 0
    for seed in range(first, first + 4):
        messages, document, until_ms = random_case(seed, very_late=False)
        registry = parse_registry(document)
        lines = [line for line in lines_of(messages, registry) if line.received_ms <= until_ms]
        start = min(household.watched_from_ms for household in registry.households.values())
        straight, _ = play(lines, registry, start, until_ms, set())
        relieved, kept = play_cold(
            lines,
            registry,
            start,
            until_ms,
            random.Random(seed),
            let_go=True,
            packs=seed % 2 == 0,
            relieves=True,
        )
        assert sorted(map(key, relieved)) == sorted(map(key, straight)), f"seed {seed}"
        count += kept.relieved
    assert count > 0, "nobody held less"


def test_restarts_change_no_fact_of_fresh_streams() -> None:
    first = random.SystemRandom().randrange(10**9)
    for seed in range(first, first + STREAMS_COUNT):
        messages, document, until_ms = random_case(seed, very_late=False)
        registry = parse_registry(document)
        lines = [line for line in lines_of(messages, registry) if line.received_ms <= until_ms]
        start = min(household.watched_from_ms for household in registry.households.values())
        chance = random.Random(seed)
        straight, _ = play(lines, registry, start, until_ms, set())
        stops = {number for number in range(len(lines)) if chance.random() < 0.05}
        from_rows, _ = play(lines, registry, start, until_ms, stops)
        at_hand, _ = play_cold(lines, registry, start, until_ms, chance, let_go=seed % 2 == 0)
        assert sorted(map(key, from_rows)) == sorted(map(key, straight)), (
            f"seed {seed}, stops {sorted(stops)}"
        )
        assert sorted(map(key, at_hand)) == sorted(map(key, straight)), f"seed {seed}, from what was at hand"
