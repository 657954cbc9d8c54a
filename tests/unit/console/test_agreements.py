"""What may be asked of the watching itself: thresholds and reasons enter, a refusal in a word or none leaves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.agreements import THRESHOLD_HOURS, AskRefusal, refuse_reason, refuse_thresholds


@pytest.mark.parametrize(
    ("policy", "hours", "refusal"),
    [
        ("mandated", (24, 48, 72), None),
        ("mandated", (12, 24, 36), None),
        ("mandated", (24, 48, 73), AskRefusal.MANDATED),
        ("mandated", (25, 48, 72), AskRefusal.MANDATED),
        ("frail", (48, 96, 144), None),
        ("frail", (3, 24, 48), AskRefusal.NOT_HOURS),
        ("frail", (24, 48, 721), AskRefusal.NOT_HOURS),
        ("frail", (24, 48), AskRefusal.NOT_HOURS),
        ("frail", (24, 24, 48), AskRefusal.NOT_RISING),
        ("frail", (48, 24, 72), AskRefusal.NOT_RISING),
        ("", (24, 48, 72), AskRefusal.NO_POLICY),
        ("a b", (24, 48, 72), AskRefusal.NO_POLICY),
        ("frail\n", (24, 48, 72), AskRefusal.NO_POLICY),
    ],
)
def test_thresholds_rise_and_the_mandated_ones_are_never_slower(
    policy: str, hours: tuple[int, ...], refusal: AskRefusal | None
) -> None:
    assert refuse_thresholds(policy, hours) == refusal


@given(st.tuples(st.integers(), st.integers(), st.integers()))
def test_what_is_taken_is_within_its_bounds(hours: tuple[int, int, int]) -> None:
    if refuse_thresholds("mandated", hours) is None:
        first, second, third = hours
        assert THRESHOLD_HOURS[0] <= first < second < third
        assert first <= 24
        assert second <= 48
        assert third <= 72


@pytest.mark.parametrize("reason", ["", "ab", "x" * 201, "a\nb c"])
def test_a_reason_is_a_line_that_says_something(reason: str) -> None:
    assert refuse_reason(reason) is AskRefusal.NO_REASON
    assert refuse_reason("换电池") is None
