"""A stream and a place to stop enter; a detector that judges only some homes at each pulse after the start must say what one
says that judges all at once, and of those that are owed something before it is due.
"""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import replace

import pytest

from ingest.detector import Registry
from ingest.detector.backlog import Backlog
from ingest.detector.changes import RegistryChanges
from ingest.detector.engine import pulse_at_or_after
from ingest.detector.facts import Fact
from ingest.detector.state import FOREVER
from ingest.registry_file import parse_registry
from tests.property.strategies_wire import random_case
from tests.property.test_detector_restore import Stored, feed, key, lines_of
from tests.property.test_registry_changes import Watcher, copy_of
from tests.seeds import slow_seeds


@pytest.mark.parametrize("seed", [*range(8), *slow_seeds(range(8, 60))])
def test_homes_judged_some_at_a_time_are_told_of_as_all_at_once(seed: int) -> None:
    messages, document, until_ms = random_case(seed, very_late=False)
    registry = parse_registry(document)
    lines = [line for line in lines_of(messages, registry) if line.received_ms <= until_ms]
    chance = random.Random(seed)
    stop = chance.randint(0, len(lines))
    first_ms = pulse_at_or_after(min(home.watched_from_ms for home in registry.households.values()))
    before = Watcher(Stored().build(copy_of(registry), first_ms))
    for line in lines[:stop]:
        feed(before.detector, line, before.stored)
    stopped_ms = max(first_ms, pulse_at_or_after(lines[stop - 1].received_ms) if stop else 0)
    before.pulse(stopped_ms)
    seen = {name: (view.evidence_ms, view.stage) for name, view in before.views.items()}

    at_ms = pulse_at_or_after(stopped_ms + chance.randint(1, 100_000_000))
    at_once, some = (
        Watcher(before.stored.build(copy_of(registry), at_ms), deepcopy(before.stored)) for _ in range(2)
    )
    some.detector.put_off(1, seen)
    watched = len(some.detector.watched_households())
    assert some.detector.backlog_count == (watched if watched > 1 else 0)
    wanted, said = at_once.pulse(at_ms), []
    while some.detector.backlog_count:
        owed = some.detector.owed_ms
        facts: list[Fact] = some.detector.pulse(at_ms)
        some.stored.take(some.detector, facts)
        some.views |= {view.household_id: view for view in some.detector.take_changed_views()}
        said += [key(fact) for fact in facts]
        told = [fact for fact in facts if type(fact).__name__ in ("Crossing", "CheckDue")]
        assert not told or owed <= at_ms, f"seed {seed}: told of a home that was not owed anything"
    said += some.pulse(at_ms)
    assert sorted(said) == sorted(wanted), f"seed {seed}"
    assert some.seen(at_ms) == at_once.seen(at_ms), f"seed {seed}"


def test_who_may_have_to_be_told_of_soonest_is_judged_first() -> None:
    backlog = Backlog()
    backlog.add([4, 5, 6, 7], [300, 100, 200, FOREVER])
    assert backlog.owed_ms() == 100
    assert backlog.take(1) == [5]
    backlog.drop(6)
    assert backlog.owed_ms() == 300
    backlog.add([1], [0])
    assert backlog.take(10) == [1, 4, 7]
    assert (len(backlog), backlog.owed_ms()) == (0, FOREVER)


def test_homes_that_one_import_brings_are_judged_some_at_a_pulse() -> None:
    _, document, _ = random_case(0, very_late=False)
    registry = parse_registry(document)
    home = next(iter(registry.households.values()))
    at_ms = pulse_at_or_after(home.watched_from_ms)
    detector = Stored().build(Registry(dict(registry.devices), {}, {}), at_ms)
    detector.put_off(2, {})
    detector.pulse(at_ms)
    brought = {f"h-{number}": replace(home, household_id=f"h-{number}", consent=True) for number in range(5)}
    detector.take_changes(RegistryChanges(households=brought))
    shown = []
    while detector.backlog_count:
        detector.pulse(at_ms)
        shown.append(len(detector.take_changed_views()))
    assert shown == [2, 2, 1]
