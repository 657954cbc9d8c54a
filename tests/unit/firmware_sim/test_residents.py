"""Households enter; what happens at their doors is repeatable, may be cut anywhere, and looks like life."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim.community import make_community
from firmware_sim.people import Household, HouseholdKind, Irregularity
from firmware_sim.residents import (
    DAY_MS,
    HOUR_MS,
    ActKind,
    EpisodeKind,
    acts,
    day_of,
    declared_absences,
    episodes,
    is_long_holiday,
    start_of,
    weekday_of,
)

START_MS = 1_761_955_200_000
COMMUNITY = make_community(42, 300, 40, "baihe", START_MS)
THROUGH_THE_DOOR = {ActKind.GO_OUT, ActKind.COME_IN, ActKind.CALLER, ActKind.FAMILY_IN}


def _gaps_h(household: Household, days: int) -> list[float]:
    times = [
        act.at_ms
        for act in acts(household, START_MS, START_MS + days * DAY_MS)
        if act.kind in THROUGH_THE_DOOR
    ]
    return [(right - left) / HOUR_MS for left, right in pairwise(times)]


@settings(max_examples=40, deadline=None)
@given(
    index=st.integers(0, 299),
    cuts=st.lists(st.integers(0, 20 * DAY_MS), min_size=1, max_size=4),
)
def test_a_span_cut_anywhere_gives_the_same_acts(index: int, cuts: list[int]) -> None:
    household = COMMUNITY.households[index]
    end_ms = START_MS + 20 * DAY_MS
    whole = list(acts(household, START_MS, end_ms))
    edges = [START_MS, *(START_MS + cut for cut in sorted(cuts)), end_ms]
    pieces = [act for left, right in pairwise(edges) for act in acts(household, left, right)]
    assert pieces == whole
    assert [act.at_ms for act in whole] == sorted(act.at_ms for act in whole)


def test_gaps_look_like_those_of_public_recordings() -> None:
    daily, middle, over_day = [], [], []
    for household in COMMUNITY.watched[::2]:
        gaps = _gaps_h(household, 365)
        daily.append(len(gaps) / 365)
        middle.append(median(gaps))
        over_day.append(sum(gap > 24 for gap in gaps))
    assert all(2 <= passages <= 9 for passages in daily)
    assert 1.2 <= median(middle) <= 3
    # Recorded homes had none to about eighty gaps of more than a day in a year.
    assert max(over_day) <= 95 and 8 <= median(over_day) <= 45


def test_some_are_away_some_fall_and_some_of_it_was_told() -> None:
    year = START_MS + 365 * DAY_MS
    found = [(home, span) for home in COMMUNITY.watched for span in episodes(home, START_MS, year)]
    assert {span.kind for _home, span in found} == set(EpisodeKind)
    declared = [span for _home, span in found if span.declared]
    assert 0 < len(declared) < len(found)
    assert all(span.kind is not EpisodeKind.FALL for span in declared)
    for home in COMMUNITY.watched:
        for absence in declared_absences(home, START_MS, year):
            assert absence.from_ms < absence.to_ms <= absence.from_ms + 90 * DAY_MS


def test_behind_the_door_of_one_who_fell_nothing_stirs_until_staff_comes() -> None:
    year = START_MS + 3 * 365 * DAY_MS
    fallen = [
        (home, span)
        for home in COMMUNITY.watched
        for span in episodes(home, START_MS, year)
        if span.kind is EpisodeKind.FALL and home.helper_token is not None and home.has_reader
    ]
    assert fallen
    for home, span in fallen:
        assert span.found_ms is not None
        quiet = [
            act
            for act in acts(home, span.from_ms, span.found_ms)
            if act.kind not in (ActKind.STRANGER, ActKind.REFUSED, ActKind.OFFICE_UNLOCK)
        ]
        assert quiet == []
        first = next(act for act in acts(home, span.found_ms, span.to_ms) if act.token or act.hold_ms > 0)
        assert first.kind is ActKind.HELPER_IN and first.token == home.helper_token


def test_nobody_leaves_an_empty_home_twice() -> None:
    alone = [item for item in COMMUNITY.watched if item.kind is HouseholdKind.LIVING_ALONE]
    for household in alone:
        token = household.dwellers[0].token
        own = [
            act.kind
            for act in acts(household, START_MS, START_MS + 60 * DAY_MS)
            if act.token == token and act.kind in (ActKind.GO_OUT, ActKind.COME_IN)
        ]
        twice = sum(left == right == ActKind.GO_OUT for left, right in pairwise(own))
        assert twice == 0


def test_indoor_sensors_are_silent_while_the_only_dweller_is_out() -> None:
    household = next(
        item for item in COMMUNITY.watched if item.motion_id and item.kind is HouseholdKind.LIVING_ALONE
    )
    token, out = household.dwellers[0].token, False
    stirred = 0
    for act in acts(household, START_MS, START_MS + 60 * DAY_MS):
        if act.token == token and act.kind in (ActKind.GO_OUT, ActKind.COME_IN):
            out = act.kind is ActKind.GO_OUT
        elif act.kind is ActKind.MOTION:
            stirred += 1
            assert not out
    assert stirred > 500


def test_an_empty_home_is_quiet_unless_somebody_lives_there_against_the_books() -> None:
    month = START_MS + 30 * DAY_MS
    empty = [item for item in COMMUNITY.households if item.kind is HouseholdKind.VACANT]
    counts = {item.household_id: len(list(acts(item, START_MS, month))) for item in empty}
    for household in empty:
        lived_in = household.irregularity is Irregularity.VACANT_BUT_OPENED
        assert (counts[household.household_id] > 20) == lived_in


def test_workers_go_out_on_weekdays_in_the_morning() -> None:
    worker = next(item for item in COMMUNITY.households if item.kind is HouseholdKind.FAMILY)
    token = worker.dwellers[0].token
    mornings = [0] * 7
    for act in acts(worker, START_MS, START_MS + 12 * 7 * DAY_MS):
        local_h = (act.at_ms + 8 * HOUR_MS) % DAY_MS / HOUR_MS
        if act.kind is ActKind.GO_OUT and act.token == token and local_h < 9:
            mornings[weekday_of(day_of(act.at_ms))] += 1
    assert min(mornings[:5]) > 6 and max(mornings[5:]) < 3


def test_days_of_habit_begin_at_four_in_the_morning_of_shanghai() -> None:
    monday = 1_763_928_000_000  # 2025-11-24 04:00 +08:00
    day = day_of(monday)
    assert start_of(day) == monday
    assert day_of(monday - 1) == day - 1
    assert weekday_of(day) == 0


def test_the_long_holidays_are_known() -> None:
    holiday = day_of(1_759_284_000_000)  # 2025-10-01 10:00 +08:00
    assert is_long_holiday(holiday) and is_long_holiday(holiday + 6) and not is_long_holiday(holiday + 7)
    new_year = day_of(1_771_300_800_000)  # 2026-02-17 12:00 +08:00
    assert is_long_holiday(new_year - 1) and is_long_holiday(new_year + 6)
    assert not is_long_holiday(new_year + 7)


def test_now_and_then_an_elder_who_is_watched_calls_for_help_and_nobody_else_does() -> None:
    watched = [household for household in COMMUNITY.households if household.watched]
    others = [household for household in COMMUNITY.households if not household.watched][:20]
    assert 3 <= sum(_calls_for_help(household, 120) for household in watched) <= 25
    assert not any(_calls_for_help(household, 60) for household in others)


def _calls_for_help(household: Household, days: int) -> int:
    found = acts(household, START_MS, START_MS + days * DAY_MS)
    return sum(act.kind is ActKind.SOS for act in found)
