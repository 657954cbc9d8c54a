"""A stream and a registry that changes under it enter; whoever takes over what changed must know what everybody judged
anew would show, and what a detector built from the last registry shows.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ingest.detector import Detector, Registry
from ingest.detector.changes import RegistryChanges, bearers, differences
from ingest.detector.engine import pulse_at_or_after
from ingest.detector.facts import Fact, HouseholdView, Taken
from ingest.detector.state import PULSE_MS
from ingest.registry_file import parse_registry
from kaimen.policy import HOUR_MS
from kaimen.vocabulary import (
    Absence,
    Credential,
    CredentialClass,
    Device,
    DoorBinding,
    DoorRole,
    Household,
    Verified,
)
from tests.property.strategies_wire import random_case
from tests.property.test_detector_restore import Stored, feed, key, lines_of
from tests.seeds import slow_seeds


def copy_of(registry: Registry) -> Registry:
    return Registry(dict(registry.devices), dict(registry.households), dict(registry.credentials))


def changes_between(before: Registry, after: Registry, shown: dict[str, set[str]]) -> RegistryChanges:
    credentials = differences(before.credentials, after.credentials)
    passed = {
        device_id for token in bearers(before.credentials, credentials) for device_id in shown.get(token, ())
    }
    return RegistryChanges(
        differences(before.devices, after.devices),
        differences(before.households, after.households),
        credentials,
        frozenset(passed),
    )


class Office:
    """Changes a registry as an office would, by chance."""

    def __init__(self, registry: Registry, chance: random.Random) -> None:
        self._first = copy_of(registry)
        self._chance = chance
        self._new = 0

    def change(self, registry: Registry, now_ms: int) -> None:
        for _ in range(self._chance.randint(1, 3)):
            known = registry.households or self._first.households
            household = self._chance.choice(list(known.values()))
            act = self._chance.choice(
                [
                    self._household,
                    self._household,
                    self._doors,
                    self._doors,
                    self._moved,
                    self._device,
                    self._credential,
                ]
            )
            act(registry, household, now_ms)

    def _household(self, registry: Registry, household: Household, now_ms: int) -> None:
        low, high = sorted(self._chance.sample(range(now_ms - 40 * HOUR_MS, now_ms + 40 * HOUR_MS, 1000), 2))
        others: list[dict[str, Any]] = [
            {"absences": (*household.absences, Absence(low, high))},
            {"absences": ()},
            {"verified": (*household.verified, Verified(min(low, now_ms), f"verified_contacts:{low}"))},
            {"verified": ()},
            {
                "thresholds_ms": tuple(
                    self._chance.randint(1, 30) * HOUR_MS + n * 30 * HOUR_MS for n in range(3)
                )
            },
            {"watched_from_ms": low},
            {"consent": not household.consent},
        ]
        registry.households[household.household_id] = replace(household, **self._chance.choice(others))

    def _doors(self, registry: Registry, household: Household, now_ms: int) -> None:
        doors = list(household.doors)
        if doors and self._chance.random() < 0.5:
            doors.remove(self._chance.choice(doors))
        if self._chance.random() < 0.7:
            from_ms = now_ms - self._chance.randint(0, 30) * HOUR_MS if self._chance.random() < 0.3 else None
            to_ms = now_ms + self._chance.randint(0, 30) * HOUR_MS if self._chance.random() < 0.3 else None
            role = self._chance.choice(list(DoorRole))
            doors.append(DoorBinding(self._chance.choice(list(registry.devices)), role, from_ms, to_ms))
        registry.households[household.household_id] = replace(household, doors=tuple(doors))

    def _moved(self, registry: Registry, household: Household, now_ms: int) -> None:
        if self._chance.random() < 0.5:
            registry.households.pop(household.household_id, None)
            return
        known = self._first.households
        found = self._chance.choice(
            [household_id for household_id in known if household_id not in registry.households] or [""]
        )
        if not found:
            self._new += 1
            found = f"new-{self._new}"
        source = known.get(found, household)
        registry.households[found] = replace(source, household_id=found)

    def _device(self, registry: Registry, household: Household, now_ms: int) -> None:
        bound = {door.device_id for home in registry.households.values() for door in home.doors}
        if self._chance.random() < 0.3:
            self._new += 1
            device_id = f"device-{self._new}"
            registry.devices[device_id] = Device(device_id, household.site_id, 180_000)
        elif self._chance.random() < 0.3 and (
            free := [name for name in registry.devices if name not in bound and name.startswith("device-")]
        ):
            del registry.devices[self._chance.choice(free)]
        else:
            device = self._chance.choice(list(registry.devices.values()))
            registry.devices[device.device_id] = replace(
                device, supervision_ms=self._chance.randint(1, 60) * 60_000
            )

    def _credential(self, registry: Registry, household: Household, now_ms: int) -> None:
        tokens = [*self._first.credentials, *registry.credentials, "c-new"]
        token = self._chance.choice(tokens)
        if self._chance.random() < 0.3:
            registry.credentials.pop(token, None)
            return
        owner = self._chance.choice([household.household_id, None])
        registry.credentials[token] = Credential(token, self._chance.choice(list(CredentialClass)), owner)


@dataclass
class Watcher:
    """A detector with what it said, and what readers see of each home."""

    detector: Detector
    stored: Stored = field(default_factory=Stored)
    facts: list[Fact] = field(default_factory=list)
    views: dict[str, HouseholdView] = field(default_factory=dict)

    def pulse(self, at_ms: int) -> list[tuple[str, str]]:
        facts = self.detector.pulse(at_ms)
        self.stored.take(self.detector, facts)
        self.views |= {view.household_id: view for view in self.detector.take_changed_views()}
        return sorted(map(key, facts))

    def seen(self, now_ms: int) -> dict[str, tuple[Any, ...]]:
        return {
            name: as_seen(self.views[name], now_ms)
            for name in sorted(self.detector.watched_households())
            if name in self.views
        }


def as_seen(view: HouseholdView, now_ms: int) -> tuple[Any, ...]:
    inactive_ms = (
        view.base_ms + now_ms - view.anchor_ms
        if view.known and view.absent_until_ms is None
        else view.settled_ms
    )
    return (
        view.known, view.stage, view.check_step, view.evidence_ms, sorted(view.evidence.items()),
        inactive_ms, view.absent_until_ms, view.door_open_since_ms, view.in_fault,
    )  # fmt: skip


@pytest.mark.parametrize("seed", [*range(10), 31, 313, *slow_seeds(range(32, 80))])
def test_taking_over_what_changed_shows_what_judging_everybody_anew_would(seed: int) -> None:
    messages, document, until_ms = random_case(seed, very_late=False)
    first = parse_registry(document)
    lines = [line for line in lines_of(messages, first) if line.received_ms <= until_ms]
    chance = random.Random(seed)
    start_ms = min(household.watched_from_ms for household in first.households.values())
    reached = pulse_at_or_after(start_ms)
    pulsed = reached - PULSE_MS
    registry = copy_of(first)
    office = Office(first, chance)
    some, everybody = (Watcher(Detector(copy_of(first), now_ms=reached)) for _ in range(2))
    shown: dict[str, set[str]] = {}
    told: list[list[Taken]] = [[], []]
    changed = set(chance.sample(range(len(lines)), k=min(8, len(lines))))

    def pulse(at_ms: int) -> None:
        """Pulse both at each instant at which one has work, as a service does that pulses each second."""
        nonlocal pulsed
        while pulsed < at_ms:
            due_ms = min(watcher.detector.next_due_ms() for watcher in (some, everybody))
            dirty = any(watcher.detector.has_work(pulsed + PULSE_MS) for watcher in (some, everybody))
            pulsed = pulsed + PULSE_MS if dirty else min(at_ms, max(due_ms, pulsed + PULSE_MS))
            assert some.pulse(pulsed) == everybody.pulse(pulsed), f"seed {seed}"

    for number, line in enumerate(lines):
        second = pulse_at_or_after(line.received_ms)
        if second > reached:
            pulse(second - PULSE_MS)
            reached = second
        if number in changed:
            before = copy_of(registry)
            office.change(registry, reached)
            some.detector.take_changes(changes_between(before, registry, shown))
            everybody.detector.replace_registry(copy_of(registry))
        for taken, watcher in zip(told, (some, everybody), strict=True):
            taken += (
                feed(watcher.detector, line, watcher.stored)
                if line.address.device_id in registry.devices
                else []
            )
        for event in line.events:
            if event.cred:
                shown.setdefault(event.cred, set()).add(line.address.device_id)
    reached = max(reached, until_ms // PULSE_MS * PULSE_MS)
    pulse(reached)
    assert told[0] == told[1], f"seed {seed}"
    assert some.seen(reached) == everybody.seen(reached), f"seed {seed}"
    anew = Watcher(some.stored.build(copy_of(registry), reached))
    anew.pulse(reached)
    shows = anew.seen(reached)  # nothing of a home whose watching is put off; what was seen before stands
    assert {name: view for name, view in some.seen(reached).items() if name in shows} == shows, f"seed {seed}"
