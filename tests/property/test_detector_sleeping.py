"""A stream enters; a detector whose devices sleep whenever they may must say what one says that never lets them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ingest.detector import Detector, HouseholdView
from ingest.detector.engine import pulse_at_or_after
from ingest.detector.facts import Fact
from ingest.detector.state import FOREVER, PULSE_MS
from ingest.judging import _Line
from ingest.registry_file import parse_registry
from kaimen.policy import HOUR_MS
from tests.property.strategies_wire import random_case
from tests.property.test_detector_cold import Kept
from tests.property.test_detector_restore import feed, key, lines_of
from tests.seeds import slow_seeds

#: Streams in which heartbeats went past devices that slept.
SPOKEN_PAST = {4, 5}


class Told(Kept):
    """What the database keeps, and every view that was told."""

    def __init__(self) -> None:
        super().__init__()
        self.views: list[HouseholdView] = []
        self.past = 0

    def take(self, detector: Detector, facts: list[Fact]) -> None:
        super().take(detector, facts)
        self.views += detector.take_changed_views()

    def take_passed(self, detector: Detector, before_ms: int = FOREVER) -> None:
        """Write what waits of sleeping devices, beside all that changed."""
        self.take(detector, [])
        some = len(detector._tracks)
        points, bases = detector.take_passed(before_ms, some // 2)
        more = detector.take_passed(before_ms)
        for point in [*points, *more[0]]:
            name = (point.device_id, point.boot, point.seq_last, point.opens, point.first_up_ms)
            self.points[name], self.changed[name] = point, self.turn
        self.boots |= {(base.device_id, base.boot): base for base in [*bases, *more[1]]}


def play(
    lines: list[_Line], registry: Any, start_ms: int, until_ms: int, chance: random.Random, *, sleeps: bool
) -> tuple[list[Fact], Told]:
    """Run the service's turns, each device let go of now and then; with ``sleeps`` all that may sleep do after each step."""
    told = Told()
    said: list[Fact] = []
    reached = pulse_at_or_after(start_ms)
    awake_max = 0 if sleeps else 1_000_000
    detector = Detector(registry, now_ms=reached, awake_max=awake_max)

    def pulse(at_ms: int) -> None:
        facts = detector.pulse(at_ms)
        if chance.random() < 0.3:
            detector.rest()
        told.take(detector, facts)
        said.extend(facts)
        rest()

    def rest() -> None:
        if sleeps:
            told.past += len(detector._told)
            detector.rest()

    for line in lines:
        second = pulse_at_or_after(line.received_ms)
        if second > reached:
            pulse(reached)
            pulse(second - PULSE_MS)
            reached = second
            dice = chance.random()
            some = [device_id for device_id in registry.devices if chance.random() < 0.7]
            if dice < 0.1:
                told.take(detector, [])
                for device_id in some:
                    detector.wake([device_id])
                    told.take(detector, [])
                    hot = detector.hot_of(device_id)
                    if hot is not None:
                        told.write_down(detector, [device_id], let_go=False)
                        detector.cool(hot, told.load, kept_from_ms=reached - HOUR_MS)
            elif dice < 0.15:
                detector.replace_registry(registry)
            elif dice < 0.2:
                told.take_passed(detector, reached - HOUR_MS)
            elif dice < 0.25:
                told.take_passed(detector)
                detector = told.start(registry, reached - PULSE_MS, awake_max=awake_max)
                rest()
                pulse(reached - PULSE_MS)
        feed(detector, line, told)
        rest()
    pulse(max(reached, until_ms // PULSE_MS * PULSE_MS))
    told.take_passed(detector)
    return said, told


@pytest.mark.parametrize("seed", [1, 3, 4, 5, 6, *slow_seeds([0, 2, *range(7, 24)])])
def test_sleep_changes_no_fact_and_no_view(seed: int) -> None:
    messages, document, until_ms = random_case(seed, very_late=False)
    registry = parse_registry(document)
    lines = [line for line in lines_of(messages, registry) if line.received_ms <= until_ms]
    start = min(household.watched_from_ms for household in registry.households.values())
    awake, waking = play(lines, registry, start, until_ms, random.Random(seed), sleeps=False)
    slept, sleeping = play(lines, registry, start, until_ms, random.Random(seed), sleeps=True)
    assert list(map(key, slept)) == list(map(key, awake)), f"seed {seed}"
    assert sleeping.views == waking.views
    assert sleeping.boots == waking.boots
    assert sleeping.points == waking.points
    assert sleeping.past > 0 or seed not in SPOKEN_PAST, sleeping.past
