"""Signs, openings and spans enter, a grade and a rhythm leave; neither keeps a stage waiting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.rules.grading import (
    Grounds,
    Signs,
    UsualGap,
    decide_grade,
    find_usual_gap,
    format_grounds,
    parse_grounds,
)
from alerts.rules.happenings import Crossing
from alerts.rules.reasons import Reason
from kaimen.vocabulary import CaseState, Grade, Stage, TaskKind
from tests.unit.alerts.story import Story, at

NOW = datetime(2025, 11, 17, 1, 0, tzinfo=UTC)
ZONE = "Asia/Shanghai"
DAY = timedelta(days=1)
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("signs", "grade"),
    [
        (Signs(), Grade.UNGRADED),
        (Signs(heard=False, usual=(9,) * 14), Grade.UNGRADED),
        (Signs(heard=True, usual=(9,) * 14), Grade.HIGH),
        (Signs(heard=True, since_opening=1, recent=0, usual=(9,) * 14), Grade.MIDDLE),
        (Signs(heard=True, since_opening=40, recent=4, usual=(9,) * 14), Grade.MIDDLE),
        (Signs(heard=True, since_opening=40, recent=5, usual=(9,) * 14), Grade.LOW),
        (Signs(heard=True, since_opening=40, recent=40, usual=(9, 9)), Grade.MIDDLE),
        (Signs(heard=True, since_opening=1, recent=1, usual=(0,) * 14), Grade.MIDDLE),
    ],
)
def test_grades(signs: Signs, grade: Grade) -> None:
    assert decide_grade(signs) is grade


@given(
    st.builds(
        Signs, st.booleans(), st.integers(0, 50), st.integers(0, 50), st.lists(st.integers(0, 50)).map(tuple)
    )
)
def test_more_signs_never_grade_higher(signs: Signs) -> None:
    order = [Grade.HIGH, Grade.MIDDLE, Grade.LOW]
    more = Signs(signs.heard, signs.since_opening + 1, signs.recent + 1, signs.usual)
    if signs.heard:
        assert order.index(decide_grade(more)) >= order.index(decide_grade(signs))


@pytest.mark.parametrize("grade", list(Grade))
@pytest.mark.parametrize("stage", [Stage.WARNING, Stage.CALL, Stage.VISIT])
def test_no_grade_suppresses_a_stage(grade: Grade, stage: Stage) -> None:
    story = Story(grounds=Grounds(grade=grade, as_of=at()))
    assert story.crosses(stage).reason is Reason.OPENED
    assert story.open_case.stage is stage and story.open_case.grounds.grade is grade
    story.until(at(hour=17))
    assert stage.api_name in story.steps_told()


def test_a_call_of_the_night_waits_unless_all_inside_is_silent() -> None:
    for grade, told_by_night in [(Grade.HIGH, True), (Grade.MIDDLE, False), (Grade.UNGRADED, False)]:
        story = Story(grounds=Grounds(grade=grade, as_of=at(hour=2)))
        story.now = at(hour=2)
        story.crosses(Stage.CALL)
        assert bool(story.sent) is told_by_night
        assert (story.open_case.state is CaseState.NOTIFIED) is told_by_night
        starts = next(task.start_at for task in story.open_case.tasks if task.kind is TaskKind.CALL)
        assert starts == (at(hour=2) if told_by_night else at(hour=7))


def test_a_check_of_the_night_waits_whatever_the_sensors_say() -> None:
    story = Story(grounds=Grounds(grade=Grade.HIGH, as_of=at(hour=2)))
    story.now = at(hour=2)
    story.check_due(2)
    assert story.sent == []


def test_the_grade_is_of_the_newest_stage() -> None:
    story = Story(grounds=Grounds(grade=Grade.LOW, as_of=at()))
    story.crosses(Stage.WARNING)
    story.around = Story(grounds=Grounds(grade=Grade.HIGH, as_of=at(day=1))).around
    story.now = at(day=1)
    story.happens(Crossing(2, at(day=1), at(day=1), at(day=-1), {"kind": "opening"}, 0, 0))
    assert story.open_case.grounds.grade is Grade.HIGH


def daily(days: int, *hours: int, until: datetime = NOW) -> list[datetime]:
    midnight = datetime(2025, 11, 16, 16, 0, tzinfo=UTC)
    return [midnight - back * DAY + timedelta(hours=hour) for back in range(1, days + 1) for hour in hours]


def test_her_own_rhythm_is_median_and_95th_percentile_of_watched_gaps() -> None:
    # 10 hours between morning and evening, 14 until the next morning; one day in ten she stays in after the morning.
    openings = [at for at in daily(70, 8, 12, 18) if at.hour != 10 or (NOW - at).days % 10]
    gap = find_usual_gap(openings, [], until=NOW, watched_from=LONG_AGO, zone=ZONE)
    assert gap is not None and gap.days == 60
    assert (gap.median_ms, gap.p95_ms) == (6 * 3_600_000, 14 * 3_600_000)


def test_one_passage_told_twice_is_no_gap() -> None:
    openings = [at + timedelta(seconds=seconds) for at in daily(30, 8) for seconds in (0, 20)]
    gap = find_usual_gap(openings, [], until=NOW, watched_from=LONG_AGO, zone=ZONE)
    assert gap is not None and gap.median_ms == 86_400_000


def test_gaps_that_were_not_watched_are_no_habit() -> None:
    openings = daily(30, 8)
    holiday = [(NOW - 20 * DAY, NOW - 5 * DAY)]
    without = [at for at in openings if not NOW - 20 * DAY < at < NOW - 5 * DAY]
    gap = find_usual_gap(without, holiday, until=NOW, watched_from=LONG_AGO, zone=ZONE)
    assert gap is not None and gap.p95_ms == 86_400_000 and gap.days == 60


def test_a_few_days_are_no_habit() -> None:
    assert find_usual_gap(daily(3, 8), [], until=NOW, watched_from=NOW - 3 * DAY, zone=ZONE) is None
    assert find_usual_gap([], [], until=NOW, watched_from=LONG_AGO, zone=ZONE) is None


def test_grounds_come_back_as_they_were_stored() -> None:
    full = Grounds(Grade.LOW, NOW, 3, NOW - DAY, "out", "direction", NOW, UsualGap(1, 2, 60), NOW, NOW - DAY)
    assert parse_grounds("low", format_grounds(full)) == full
    assert parse_grounds("ungraded", format_grounds(Grounds())) == Grounds()
