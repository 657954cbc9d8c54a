"""Streams, policies and recordings enter; looking back must say what the rule for one household says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.detector import Detector, Registry
from ingest.detector.gaps import QUARTER_S, SPAN_MAX, count_crossings, find_long_spans, spans_between
from ingest.detector.rule import HouseholdRule
from ingest.judging import _Admitter, _Counts
from ingest.look_back.backtest import HouseholdPast, Past, Policy, household_past
from ingest.registry_file import parse_registry
from tests.property.strategies_wire import random_case
from tests.seeds import slow_seeds

SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000

recordings = st.lists(
    st.lists(st.integers(0, 5_000).map(lambda at: at + 100), max_size=40).map(sorted), max_size=6
)


def flat(homes: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    instants = np.asarray([at for home in homes for at in home], np.uint32)
    return instants, np.cumsum([0, *(len(home) for home in homes)])


@settings(max_examples=150, deadline=None)
@given(recordings, st.integers(1, 50), st.integers(1, 3))
def test_every_long_span_is_found_and_none_between_households(
    homes: list[list[int]], least: int, threads: int
) -> None:
    expected, begin = [], 0
    for home in homes:
        expected += [begin + n for n, (a, b) in enumerate(pairwise(home)) if (b - a) // 60 >= least]
        begin += len(home)
    spans = spans_between(*flat(homes), unit=60, threads=threads)
    assert find_long_spans(spans, least, threads=threads).tolist() == expected
    instants, offsets = flat(homes)
    same = spans_between(instants.astype(np.int64) * SECOND, offsets, unit=60 * SECOND)
    assert same.tolist() == spans.tolist()


def test_a_span_longer_than_can_be_said_is_found_by_every_policy() -> None:
    instants = np.asarray([0, 46 * 86_400, 46 * 86_400 + QUARTER_S], np.uint32)
    spans = spans_between(instants, np.asarray([0, 3]))
    assert spans.tolist() == [SPAN_MAX, 1, 0]
    assert find_long_spans(spans, 4 * 24 * 400).tolist() == [0]
    for days, stages in ((46, [0]), (45, [1]), (2, [1])):
        said = {"from_s": 0, "until_s": 46 * 86_400 + QUARTER_S, "thresholds_s": [[days * 86_400]]}
        counts = count_crossings(instants, np.asarray([0, 3]), spans=spans, **said)
        assert counts.tolist() == [stages] == count_crossings(instants, np.asarray([0, 3]), **said).tolist()


def test_a_thread_takes_its_own_share_of_many_openings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.detector.gaps._SLICE", 1_000)
    chance = np.random.default_rng(5)
    homes = [sorted(chance.integers(0, 1_000_000, size).tolist()) for size in (5_000, 1, 0, 7_321, 2)]
    spans = spans_between(*flat(homes), unit=60)
    one = find_long_spans(spans, 15)
    assert len(one) > 10
    for threads in (2, 3, 50):
        assert spans_between(*flat(homes), unit=60, threads=threads).tolist() == spans.tolist()
        assert find_long_spans(spans, 15, threads=threads).tolist() == one.tolist()


@settings(max_examples=150, deadline=None)
@given(
    recordings,
    st.lists(st.lists(st.integers(1, 3_000), min_size=3, max_size=3).map(sorted), min_size=1, max_size=4),
    st.integers(1, 3),
)
def test_a_fully_watched_year_counts_what_the_definition_counts(
    homes: list[list[int]], policies: list[list[int]], threads: int
) -> None:
    from_s, until_s = 100, 6_000
    counts = count_crossings(
        *flat(homes), from_s=from_s, until_s=until_s, thresholds_s=policies, threads=threads
    )
    for policy, counted in zip(policies, counts.tolist(), strict=True):
        expected = [0, 0, 0]
        for home in homes:
            for start, end in pairwise([*sorted({from_s, *home}), until_s + 1]):
                for stage, limit in enumerate(policy):
                    expected[stage] += start + limit < end
        assert counted == expected
    for unit in (10, 60):  # in tens of seconds the longest are longer than can be said
        if min(map(min, policies)) < unit:
            continue
        spans = spans_between(*flat(homes), unit=unit)
        again = count_crossings(
            *flat(homes),
            from_s=from_s,
            until_s=until_s,
            thresholds_s=policies,
            spans=spans,
            unit_s=unit,
            threads=threads,
        )
        assert again.tolist() == counts.tolist()


def rules_of(seed: int) -> tuple[dict[str, HouseholdRule], int]:
    """A nasty stream's households as the rule knows them at its end."""
    messages, document, until_ms = random_case(seed)
    registry: Registry = parse_registry(document)
    start = min(item.watched_from_ms for item in registry.households.values())
    detector = Detector(registry, now_ms=min(start, until_ms), retain=True)
    admitter = _Admitter(registry, _Counts())
    for message in messages:
        if message["received_at"] > until_ms:
            continue
        line = admitter.admit(message["topic"], message["payload"], message["received_at"])
        if line is not None and line.heartbeat is not None:
            detector.take_heartbeat(line.address.device_id, line.heartbeat, received_ms=line.received_ms)
        for event in line.events if line is not None else ():
            detector.take_event(line.address.device_id, event, received_ms=line.received_ms)
    rules = {name: detector.rule_of(name) for name in detector.watched_households()}
    return {
        name: rule for name, rule in rules.items() if rule.household.watched_from_ms <= until_ms
    }, until_ms


def expected_of(rules: dict[str, HouseholdRule], thresholds_ms: tuple[int, ...] | None, until_ms: int):
    crossings, checks = [], []
    for name, rule in rules.items():
        household = rule.household
        if thresholds_ms is not None:
            rule.household = replace(household, thresholds_ms=thresholds_ms)
        history = rule.history(until_ms)
        rule.household = household
        crossings += [(item.at_ms, name, item.stage) for item in history.crossings]
        checks += [(item.at_ms, item.step) for item in history.checks]
    return sorted(crossings), sorted(checks)


@pytest.mark.parametrize("seed", [*range(40), *slow_seeds(range(40, 120))])
def test_looking_back_says_what_the_rule_says(seed: int) -> None:
    rules, until_ms = rules_of(seed)
    begin = min((rule.household.watched_from_ms for rule in rules.values()), default=until_ms) - HOUR
    step = max((until_ms - begin) // 5, 1)
    days = [*range(begin, until_ms, step), until_ms + step]
    past = Past([household_past(rule, until_ms) for rule in rules.values()], days)
    chosen = [
        None,
        (30 * SECOND, 90 * SECOND),
        (HOUR, 5 * HOUR, 9 * HOUR),
        (DAY, 2 * DAY, 3 * DAY),
        (60 * DAY,),
    ]
    outcomes = past.judge([Policy(str(thresholds), thresholds) for thresholds in chosen])
    for thresholds, outcome in zip(chosen, outcomes, strict=True):
        crossings, checks = expected_of(rules, thresholds, until_ms)
        assert [(at, name, stage) for name, stage, at in outcome.crossings] == crossings
        for stage in range(1, outcome.stages.shape[1] + 1):
            for day, (low, high) in enumerate(pairwise(days)):
                assert outcome.stages[day, stage - 1] == sum(
                    low <= at < high for at, _, s in crossings if s == stage
                )
                assert outcome.checks[day, stage - 1] == sum(
                    low <= at < high for at, s in checks if s == stage
                )
        assert len(crossings) == outcome.stages.sum()


@pytest.mark.parametrize("seed", [*range(15), *slow_seeds(range(15, 40))])
def test_what_was_seen_absent_and_unseen_fills_the_watch(seed: int) -> None:
    rules, until_ms = rules_of(seed)
    begin = min((rule.household.watched_from_ms for rule in rules.values()), default=until_ms)
    past = Past([household_past(rule, until_ms) for rule in rules.values()], [begin, until_ms])
    absent = watched = watch = 0
    for rule in rules.values():
        history = rule.history(until_ms)
        low = rule.household.watched_from_ms
        watch += until_ms - low
        edges = sorted(
            {
                low,
                until_ms,
                *(e for s in [*history.absences, *history.watched] for e in s if low <= e <= until_ms),
            }
        )
        for a, b in pairwise(edges):
            away = any(x <= a and b <= y for x, y in history.absences)
            absent += (b - a) * away
            watched += (b - a) * (not away and any(x <= a and b <= y for x, y in history.watched))
    assert past.seen.watchable_ms.tolist() == [watch]
    assert past.seen.absent_ms.tolist() == [absent]
    assert past.seen.watched_ms.tolist() == [watched]
    assert past.seen.unseen_ms.tolist() == [watch - absent - watched]


def test_a_community_without_households_has_nothing_to_tell() -> None:
    past = Past([], [0, DAY, 2 * DAY])
    (outcome,) = past.judge([Policy("in force")])
    assert outcome.stages.tolist() == [[0, 0, 0], [0, 0, 0]] and outcome.crossings == ()
    assert past.seen.unseen_ms.tolist() == [0, 0]


def test_blind_time_brings_nobody_nearer_to_a_visit() -> None:
    """Silent for four days, watched for the first and the last twelve hours of them: one warning, late, and checks."""
    watched = ((0, 12 * HOUR), (4 * DAY - 12 * HOUR, 4 * DAY))
    home = HouseholdPast("h-1", (DAY, 2 * DAY, 3 * DAY), 0, (0, 4 * DAY + 1), (True, False), watched, ())
    past = Past([home], [0, DAY, 2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY])
    in_force, longer = past.judge([Policy("in force"), Policy("longer", (2 * DAY, 3 * DAY, 4 * DAY))])
    assert in_force.crossings == (("h-1", 1, 4 * DAY),)
    assert in_force.checks.sum(axis=0).tolist() == [1, 1, 1]
    assert longer.crossings == () and longer.checks.sum(axis=0).tolist() == [1, 1, 1]
    assert (past.seen.unseen_ms / DAY).tolist() == [0.5, 1.0, 1.0, 0.5, 0.0]
