"""The way through the console by role, hours of duty as they are said, and refusals of channels in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerts.duty.readiness import Gap, GapReason, Need
from console.duty.shown import bare_spans
from console.navigation import BAR_MAX, GROUPS, UNFOLDED_MAX, navigation
from console.refusal_words import word_of
from console.scope import Section, sections_of
from console.words import Words
from kaimen.vocabulary import Role

SHANGHAI_MIDNIGHT = datetime(2026, 11, 20, 16, tzinfo=UTC)
WITHIN_A_SCREEN = 13  # lines of 44 px beside head and foot on a screen of 900 px


@pytest.mark.parametrize("role", list(Role))
def test_every_page_of_a_role_stands_once_and_the_daily_ones_first(role: Role) -> None:
    groups = navigation(role, None, {})
    names = [item.name for group in groups for item in group.items]
    assert len(names) == len(set(names)) == len(sections_of(role))
    assert {group.name for group in groups} <= set(GROUPS)
    assert groups[0].items[0].daily
    assert sum(item.daily for group in groups for item in group.items) == min(BAR_MAX, len(names))
    assert not groups[0].foldable


@pytest.mark.parametrize("role", list(Role))
def test_no_navigation_is_longer_than_a_screen_wherever_somebody_is(role: Role) -> None:
    for section in (None, *sections_of(role)):
        groups = navigation(role, section, {}, demo=True)
        lines = sum(1 + (0 if group.foldable and group.folded else len(group.items)) for group in groups)
        assert lines <= WITHIN_A_SCREEN + 1, (role, section)
        here = [group for group in groups if any(item.current for item in group.items)]
        assert all(not (group.foldable and group.folded) for group in here)
        assert len(here) == (0 if section is None else 1)


def test_a_short_navigation_is_not_folded_and_a_folded_group_says_its_number() -> None:
    short = navigation(Role.POLICE_OFFICER, Section.POLICE, {})
    assert sum(len(group.items) for group in short) <= UNFOLDED_MAX
    assert not any(group.foldable for group in short)
    manage = next(
        group
        for group in navigation(Role.PROPERTY_CLERK, Section.ALARMS, {"technical": 1, "devices": 2})
        if group.name == "manage"
    )
    assert manage.foldable and manage.folded and manage.count == 3


def test_hours_nobody_covers_are_said_once_for_call_and_visit() -> None:
    later = SHANGHAI_MIDNIGHT + timedelta(hours=7)
    gaps = [
        Gap(Need.CALL, SHANGHAI_MIDNIGHT, later, GapReason.NOBODY_ON_DUTY),
        Gap(Need.VISIT, SHANGHAI_MIDNIGHT, later, GapReason.NOBODY_ON_DUTY),
        Gap(Need.CALL, later, later + timedelta(hours=1), GapReason.NOT_REACHABLE),
    ]
    found = bare_spans(gaps)
    assert [(span.needs, span.reason) for span in found] == [
        (("call", "visit"), "nobody_on_duty"),
        (("call",), "not_reachable"),
    ]


def test_a_whole_day_is_said_as_one_and_a_day_ends_at_24() -> None:
    words = Words("zh", ZoneInfo("Asia/Shanghai"), SHANGHAI_MIDNIGHT)
    day = timedelta(days=1)
    assert words.hours(SHANGHAI_MIDNIGHT, SHANGHAI_MIDNIGHT + day) == "全天"
    evening = SHANGHAI_MIDNIGHT + timedelta(hours=19)
    assert words.hours(evening, SHANGHAI_MIDNIGHT + day) == "19:00–24:00"
    assert words.hours(SHANGHAI_MIDNIGHT, evening) == "00:00–19:00"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("HTTP 401", "not_let_in"), ("HTTP 429", "too_many"), ("HTTP 503", "their_fault"), ("HTTP 418", "not_taken"),
        ("refused: 45009", "not_taken"), ("no connection: ConnectionRefusedError", "no_line"),
        ("no answer: TimeoutError", "no_answer"), ("no mail address", "no_such_address"),
        ("no approved text for family/zh", "no_text"), ("something new", "other"),
    ],
)  # fmt: skip
def test_a_refusal_is_said_by_what_to_do_about_it(text: str, word: str) -> None:
    assert word_of(text) == word
