"""When people are told."""

from __future__ import annotations

import pytest

from alerts.rules.case import Circumstances
from alerts.rules.holds import HoldReason, decide_hold, is_answered, is_night
from kaimen.policy import LadderPolicy
from tests.unit.alerts.story import at

POLICY = LadderPolicy()


def hold(rank: int, hour: int, *, of_check: bool = False, folded: bool = False) -> tuple[HoldReason, object]:
    around = Circumstances(folded=folded)
    decision = decide_hold(rank=rank, of_check=of_check, now=at(hour=hour), policy=POLICY, around=around)
    return decision.reason, decision.not_before


@pytest.mark.parametrize(
    ("rank", "hour", "reason", "not_before"),
    [
        (1, 9, HoldReason.MORNING_LIST, at(hour=17)),
        (1, 17, HoldReason.MORNING_LIST, at(day=1, hour=8, minute=30)),
        (2, 9, HoldReason.AT_ONCE, at(hour=9)),
        (2, 23, HoldReason.QUIET_HOURS, at(day=1, hour=7)),
        (2, 3, HoldReason.QUIET_HOURS, at(hour=7)),
        (3, 3, HoldReason.AT_ONCE, at(hour=3)),
    ],
)
def test_each_rank_has_its_hour(rank: int, hour: int, reason: HoldReason, not_before: object) -> None:
    assert hold(rank, hour) == (reason, not_before)


def test_a_whole_building_under_an_outage_is_told_once_and_visits_are_told_each() -> None:
    assert hold(2, 9, of_check=True, folded=True) == (HoldReason.FOLDED, None)
    assert hold(3, 9, of_check=True, folded=True) == (HoldReason.AT_ONCE, at(hour=9))
    assert hold(2, 9, of_check=False, folded=True) == (HoldReason.AT_ONCE, at(hour=9))


def test_night_is_when_nobody_is_called() -> None:
    assert [is_night(POLICY, at(hour=hour)) for hour in (6, 7, 21, 22)] == [True, False, False, True]


def test_only_what_counts_from_before_the_answer_is_answered() -> None:
    around = Circumstances(answered_at=at(hour=9))
    assert is_answered(at(hour=8), around)
    assert not is_answered(at(hour=9), around)
    assert not is_answered(at(hour=8), Circumstances())
