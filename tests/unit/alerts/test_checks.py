"""Whom to ask after first: longest unseen, then frailest; the same whatever order they came in."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from alerts.rules.checks import Resident, Unseen, frailty_of, in_order, places

NOW = datetime(2025, 11, 20, tzinfo=UTC)


def unseen(name: str, step: int, hours: int, frailty: int = 0) -> Unseen:
    return Unseen(name, step, NOW - timedelta(hours=hours), frailty)


def test_order_does_not_depend_on_how_they_came() -> None:
    people = [
        unseen("a", 3, 73),
        unseen("b", 2, 60, frailty=4),
        unseen("c", 2, 71),
        unseen("d", 2, 50),
    ]
    for shuffled in itertools.permutations(people):
        assert [one.household_id for one in in_order(shuffled)] == ["a", "b", "c", "d"]
    assert places(people) == {"a": 0, "b": 1, "c": 2, "d": 3}


@pytest.mark.parametrize(
    ("resident", "frailty"),
    [
        (Resident(), 0),
        (Resident(birth_year=1960), 0),
        (Resident(birth_year=1950), 1),
        (Resident(birth_year=1935), 3),
        (Resident(category="独居"), 1),
        (Resident(category="disabled", birth_year=1940), 4),
        (Resident(category="severely_disabled", birth_year=1930, hard_of_hearing=True), 7),
    ],
)
def test_age_care_and_hearing_make_frail(resident: Resident, frailty: int) -> None:
    assert frailty_of([resident], year=2025) == frailty


def test_the_frailest_of_a_household_counts_and_an_unknown_one_is_not_frail() -> None:
    assert frailty_of([Resident(), Resident(birth_year=1930)], year=2025) == 3
    assert frailty_of([], year=2025) == 0
