"""A street from a fresh seed enters; what the detector says about it must keep its promises, whatever the seed.

Checkers, not expectations: nobody knows beforehand what happens on the street.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest

from firmware_sim.community import make_community
from firmware_sim.drift import DriftLevel
from firmware_sim.faults import LEVELS
from firmware_sim.people import Community
from firmware_sim.street import history
from ingest.admission import AdmittedEvent, AdmittedHeartbeat, admit
from ingest.detector import (
    CheckDue,
    CheckEnded,
    Crossing,
    Detector,
    OutageBegan,
    OutageEnded,
    Registry,
    Withdrawal,
)
from ingest.detector.engine import pulse_at_or_after
from ingest.detector.facts import Fact
from ingest.judging import judge_wire
from ingest.registry_file import parse_registry
from kaimen.policy import DAY_MS

pytestmark = pytest.mark.simulation

START_MS = 1_772_323_200_000  # a whole second; the street is the same at any other
DAYS = 12


@dataclass
class Played:
    words: str
    registry: Registry
    detector: Detector
    facts: list[Fact] = field(default_factory=list)
    messages: list[tuple[int, str, bytes]] = field(default_factory=list)


def play(words: str, community: Community, registry: Registry, faults: str, drift: DriftLevel) -> Played:
    """Run the service's turns over the street: admission, detector, a pulse for every second that matters."""
    until = START_MS + DAYS * DAY_MS
    detector = Detector(registry, now_ms=START_MS)
    played = Played(words, registry, detector)
    reached = START_MS
    for received, topic, payload in history(community, START_MS, until, rates=LEVELS[faults], drift=drift):
        played.messages.append((received, topic, payload))
        second = pulse_at_or_after(received)
        if second > reached:
            for pulse_ms in (reached, second - 1000):
                if detector.has_work(pulse_ms):
                    played.facts += detector.pulse(pulse_ms)
            reached = second
        for item in admit(topic, payload, received, registry):
            if isinstance(item, AdmittedEvent):
                detector.take_event(item.device_id, item.event, received_ms=item.received_ms)
            elif isinstance(item, AdmittedHeartbeat):
                detector.take_heartbeat(item.device_id, item.heartbeat, received_ms=item.received_ms)
    played.facts += detector.pulse(reached) + detector.pulse(max(until, reached))
    return played


@pytest.fixture(scope="module", params=["usual", "harsh"])
def street(request: pytest.FixtureRequest) -> Iterator[Played]:
    seed = int(os.environ.get("KAIMEN_TEST_STREET_SEED", random.SystemRandom().randrange(10**9)))
    community = make_community(seed, households=36, watched=24, start_ms=START_MS, days=DAYS)
    registry = parse_registry(community.to_registry())
    drift = DriftLevel.HARSH if request.param == "harsh" else DriftLevel.GENTLE
    yield play(
        f"KAIMEN_TEST_STREET_SEED={seed}, faults {request.param}", community, registry, request.param, drift
    )


@pytest.fixture(autouse=True)
def _say_the_seed(street: Played) -> None:
    """Every test says it: what a fixture of the module prints is shown beside the first one alone."""
    print(street.words)


def test_no_stage_is_announced_of_time_that_nobody_could_see(street: Played) -> None:
    for fact in street.facts:
        if isinstance(fact, Crossing):
            threshold = fact.thresholds_ms[fact.stage - 1]
            assert fact.inactive_ms >= threshold, fact
            assert fact.inactive_ms <= fact.elapsed_ms, fact
            assert fact.at_ms >= fact.evidence_ms + threshold, fact
            assert fact.at_ms <= fact.announced_ms, fact


def test_no_announced_stage_is_withdrawn_without_newer_evidence_or_an_absence(street: Played) -> None:
    for fact in street.facts:
        if isinstance(fact, Withdrawal):
            absence = fact.evidence.get("kind") in ("absence", "not_watched")
            assert absence or fact.evidence_ms > fact.evidence_before_ms, fact


def test_nothing_stands_twice_and_nothing_ends_that_did_not_stand(street: Played) -> None:
    standing: set[tuple[object, ...]] = set()
    for fact in street.facts:
        match fact:
            case Crossing():
                begun, key = True, ("stage", fact.household_id, fact.stage)
            case Withdrawal():
                begun, key = False, ("stage", fact.household_id, fact.stage)
            case CheckDue():
                begun, key = True, ("check", fact.household_id, fact.step)
            case CheckEnded():
                begun, key = False, ("check", fact.household_id, fact.step)
            case OutageBegan():
                begun, key = True, ("outage", fact.device_id, 0)
            case OutageEnded():
                begun, key = False, ("outage", fact.device_id, 0)
        assert (key in standing) is not begun, fact
        if begun:
            standing.add(key)
        else:
            standing.remove(key)


def test_no_elapsed_threshold_is_without_a_stage_or_a_check(street: Played) -> None:
    now = street.detector.pulse_ms
    standing: dict[str, set[int]] = {
        household_id: set() for household_id in street.detector.watched_households()
    }
    for fact in street.facts:
        if isinstance(fact, Crossing):
            standing[fact.household_id].add(fact.stage)
        elif isinstance(fact, Withdrawal):
            standing[fact.household_id].discard(fact.stage)
    checks: dict[str, set[int]] = {household_id: set() for household_id in standing}
    for fact in street.facts:
        if isinstance(fact, CheckDue):
            checks[fact.household_id].add(fact.step)
        elif isinstance(fact, CheckEnded):
            checks[fact.household_id].discard(fact.step)
    for household_id in standing:
        judgement = street.detector.rule_of(household_id).judge(now)
        if judgement.absent_until_ms is not None:
            continue
        elapsed = now - judgement.evidence.instant_ms
        owed = {
            number
            for number, threshold in enumerate(
                street.registry.households[household_id].thresholds_ms, start=1
            )
            if threshold <= elapsed
        }
        assert owed <= standing[household_id] | checks[household_id], household_id


def test_the_service_announces_what_the_judging_of_the_same_messages_announces(street: Played) -> None:
    lines = [
        {"received_at": received, "topic": topic, "payload": msgspec.json.decode(payload)}
        for received, topic, payload in street.messages
    ]
    report = judge_wire(lines, street.registry, START_MS + DAYS * DAY_MS)
    announced = [
        (fact.household_id, fact.stage, fact.at_ms, fact.announced_ms)
        for fact in street.facts
        if isinstance(fact, Crossing)
    ]
    told = [(row["household"], row["stage"], row["at"], row["announced_at"]) for row in report["announced"]]
    assert sorted(announced) == sorted(told)
