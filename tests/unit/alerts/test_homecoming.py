"""Expected home by five: when the family is told, and when not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from alerts.sending.homecoming import Expectation, Verdict, decide_expected, is_news, notice_key
from alerts.sending.messages import LANGUAGES, render_texts

#: Monday, five in the afternoon in Shanghai.
FIVE = datetime(2025, 11, 17, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BY_FIVE = Expectation(time(17, 0), (1, 2, 3, 4, 5), FIVE - timedelta(days=3), "Asia/Shanghai", state="out")


@pytest.mark.parametrize(
    ("expected", "now", "verdict"),
    [
        (BY_FIVE, FIVE - MINUTE, Verdict.NOT_YET),
        (BY_FIVE, FIVE, Verdict.TELL),
        (BY_FIVE, FIVE + timedelta(hours=4), Verdict.TOO_LATE),
        (BY_FIVE, FIVE - timedelta(days=1), Verdict.NOT_TODAY),
        (replace(BY_FIVE, told_day="2025-11-17"), FIVE + MINUTE, Verdict.TOLD),
        (replace(BY_FIVE, told_day="2025-11-14"), FIVE + MINUTE, Verdict.TELL),
        (replace(BY_FIVE, state="in"), FIVE + MINUTE, Verdict.HOME),
        (replace(BY_FIVE, home_at=FIVE - timedelta(hours=1)), FIVE + MINUTE, Verdict.HOME),
        (replace(BY_FIVE, home_at=FIVE - timedelta(hours=20)), FIVE + MINUTE, Verdict.TELL),
        (replace(BY_FIVE, state="unsure"), FIVE + MINUTE, Verdict.TELL),
        (replace(BY_FIVE, reason="absence_declared"), FIVE + MINUTE, Verdict.AWAY),
        (replace(BY_FIVE, set_at=FIVE + MINUTE), FIVE + 2 * MINUTE, Verdict.SET_AFTERWARDS),
    ],
)
def test_who_is_not_home_by_five_is_told_once_and_in_time(
    expected: Expectation, now: datetime, verdict: Verdict
) -> None:
    found, by_at = decide_expected(expected, now)
    assert found is verdict
    assert by_at.astimezone(UTC).hour == 9


def test_a_homecoming_that_arrives_late_is_no_news() -> None:
    assert is_news(FIVE, FIVE + MINUTE)
    assert not is_news(FIVE, FIVE + timedelta(hours=3))


def test_the_text_says_neither_who_nor_where_nor_whether() -> None:
    link = "https://kaimen.example/family"
    texts = render_texts("coming_home", number="", link=link)
    assert set(texts) == set(LANGUAGES)
    assert all(text.endswith(link) and len(text) < 120 for text in texts.values())
    assert notice_key("home:1", 2) != notice_key("home:1", 3)
    assert "home" not in notice_key("home:1", 2)
