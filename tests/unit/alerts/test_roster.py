"""Rosters, holidays and readiness by example: who is on, why, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerts.duty.deputies import acts_for, closes_circle
from alerts.duty.holidays import HolidayTableError, make_year, own_holidays, parse_years
from alerts.duty.readiness import DayMark, GapReason, Need, find_gaps, mark_of, unknown_years, without_known
from alerts.duty.roster import (
    CommunityDuty,
    Deputy,
    DutyRoster,
    Ground,
    Override,
    Person,
    Rule,
    Swap,
    desk_at,
    on_duty,
    shift_ended_at,
)
from alerts.rules.actions import Annunciate
from alerts.sending.recipients import Address, Roster, choose_rung, decide_told, plan_messages
from kaimen.vocabulary import Role, Stage, TaskKind
from tests.unit.alerts.story import Story, at

LI, WANG, ZHAO, SUN = 11, 12, 21, 22
DAY, NIGHT = (time(8), time(18)), (time(18), time(8))
PEOPLE = {
    LI: Person(LI, "李", Role.PROPERTY_CLERK),
    WANG: Person(WANG, "王", Role.PROPERTY_CLERK),
    ZHAO: Person(ZHAO, "赵", Role.GUARD),
    SUN: Person(SUN, "孙", Role.GUARD),
}


def make_duty(**rosters: DutyRoster) -> CommunityDuty:
    return CommunityDuty("c1", rosters=rosters, people=PEOPLE, holidays=own_holidays())


def days_and_nights(**further: object) -> CommunityDuty:
    """Li at the desk by day, Zhao at the gate by night."""
    return make_duty(
        property_clerk=DutyRoster((Rule("every", *DAY, (LI,)),), **further),
        guard=DutyRoster((Rule("every", *NIGHT, (ZHAO,)),)),
    )


def shanghai(*wall: int) -> datetime:
    return datetime(*wall, tzinfo=ZoneInfo("Asia/Shanghai"))


def test_a_make_up_saturday_is_worked_and_a_holiday_thursday_is_not() -> None:
    duty = make_duty(
        property_clerk=DutyRoster((Rule("workdays", *DAY, (LI,)), Rule("rest_days", *DAY, (WANG,))))
    )
    assert on_duty(duty, Role.PROPERTY_CLERK, shanghai(2026, 10, 10, 9)).people == (LI,)
    assert on_duty(duty, Role.PROPERTY_CLERK, shanghai(2026, 10, 1, 9)).people == (WANG,)
    assert on_duty(duty, Role.PROPERTY_CLERK, shanghai(2026, 10, 8, 9)).people == (LI,)


def test_the_announced_year_has_its_thirty_three_days_off_and_six_made_up() -> None:
    table = own_holidays()
    assert len([day for day in table.holidays if day.year == 2026]) == 33
    assert len([day for day in table.workdays if day.year == 2026]) == 6
    assert table.holidays[date(2026, 2, 17)] == "春节"


def test_of_a_year_nobody_announced_nothing_is_assumed_and_readiness_says_so() -> None:
    duty = make_duty(property_clerk=DutyRoster((Rule("workdays", *DAY, (LI,)),)))
    assert on_duty(duty, Role.PROPERTY_CLERK, shanghai(2031, 10, 1, 9)).people == (LI,)
    assert unknown_years(duty, now=shanghai(2030, 12, 25)) == [2030, 2031]
    # Said from the first of December on, before the first shift of the year is planned.
    assert unknown_years(duty, now=shanghai(2026, 11, 30, 23)) == []
    assert unknown_years(duty, now=shanghai(2026, 12, 1)) == [2027]
    assert mark_of(duty, date(2031, 10, 1)) == (DayMark.UNKNOWN_YEAR, "")
    assert unknown_years(days_and_nights(), now=shanghai(2030, 12, 25)) == []


@pytest.mark.parametrize(
    ("holidays", "workdays", "says"),
    [
        ({date(2027, 1, 1): "元旦"}, [date(2027, 1, 4)], "worked anyway"),
        ({date(2026, 1, 1): "元旦"}, [], "does not lie in 2027"),
        ({date(2027, 1, 2): "元旦"}, [date(2027, 1, 2)], "as a holiday and as a workday"),
        ({}, [], "1 to 60 days"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(
    holidays: dict[date, str], workdays: list[date], says: str
) -> None:
    with pytest.raises(HolidayTableError, match=says):
        make_year(2027, holidays, workdays, "notice")


@pytest.mark.parametrize("text", ["years = ", "[x]", "[[years]]\nyear = 2027", '[[years]]\nyear = 2027\nsource = "n"\nholidays = [{ name = "x", from = "2027-01-01" }]'])  # fmt: skip
def test_a_file_that_is_no_table_is_refused_with_words(text: str) -> None:
    with pytest.raises(HolidayTableError):
        parse_years(text)


def test_a_swap_changes_both_shifts_and_only_those() -> None:
    begin, end = shanghai(2026, 5, 6, 8), shanghai(2026, 5, 6, 18)
    duty = days_and_nights(swaps=(Swap(begin, end, LI, WANG),))
    assert on_duty(duty, Role.PROPERTY_CLERK, begin).people == (WANG,)
    assert on_duty(duty, Role.PROPERTY_CLERK, begin).ground is Ground.SWAP
    assert on_duty(duty, Role.PROPERTY_CLERK, begin + timedelta(days=1)).people == (LI,)


def test_deputies_in_a_circle_leave_everybody_where_she_is() -> None:
    span = (shanghai(2026, 5, 6), shanghai(2026, 5, 9))
    duty = CommunityDuty(
        "c1",
        "Asia/Shanghai",
        days_and_nights().rosters,
        (Deputy(*span, LI, WANG), Deputy(*span, WANG, LI)),
        PEOPLE,
    )
    assert on_duty(duty, Role.PROPERTY_CLERK, shanghai(2026, 5, 7, 9)).people == (LI,)


def test_a_deputy_who_does_not_work_in_a_role_takes_nobodys_place_there() -> None:
    span = (shanghai(2026, 5, 6), shanghai(2026, 5, 9))
    both = {**PEOPLE, LI: Person(LI, "李", Role.PROPERTY_CLERK, others=(Role.GUARD,))}
    duty = replace(days_and_nights(), people=both, deputies=(Deputy(*span, LI, SUN),))
    noon = shanghai(2026, 5, 7, 12)
    assert on_duty(duty, Role.PROPERTY_CLERK, noon).people == (LI,)
    assert acts_for(duty, SUN, noon) == (LI,)  # at the gate
    assert acts_for(duty, SUN, span[1]) == ()  # it ends by itself


def test_a_circle_of_deputies_is_one_only_where_their_times_meet() -> None:
    days = [shanghai(2026, 5, day) for day in range(1, 9)]
    standing = (Deputy(days[0], days[4], LI, WANG), Deputy(days[2], days[6], WANG, ZHAO))
    assert closes_circle(standing, Deputy(days[3], days[7], ZHAO, LI))
    assert not closes_circle(standing, Deputy(days[4], days[7], ZHAO, LI))
    assert not closes_circle(standing, Deputy(days[3], days[7], SUN, LI))


def test_whoever_may_not_sign_in_any_more_is_on_no_duty() -> None:
    left = {person: PEOPLE[person] for person in PEOPLE if person != ZHAO}
    duty = CommunityDuty("c1", "Asia/Shanghai", days_and_nights().rosters, (), left)
    assert on_duty(duty, Role.GUARD, shanghai(2026, 5, 7, 23)).ground is Ground.NOBODY
    first = find_gaps(duty, now=shanghai(2026, 5, 7, 12))[0]
    assert first.from_at == shanghai(2026, 5, 7, 18)
    assert first.reason is GapReason.NOBODY_ON_DUTY


def test_somebody_on_duty_without_an_address_is_a_gap_that_says_how_to_mend_it() -> None:
    deaf = {**PEOPLE, ZHAO: Person(ZHAO, "赵", Role.GUARD, reachable=False)}
    duty = CommunityDuty("c1", "Asia/Shanghai", days_and_nights().rosters, (), deaf)
    assert {gap.reason for gap in find_gaps(duty, now=shanghai(2026, 5, 7, 12))} == {GapReason.NOT_REACHABLE}


def test_days_at_the_desk_and_nights_at_the_gate_leave_no_gap() -> None:
    assert find_gaps(days_and_nights(), now=shanghai(2026, 5, 7, 12)) == []


def test_a_minute_between_two_shifts_is_found() -> None:
    duty = make_duty(
        property_clerk=DutyRoster((Rule("every", time(8), time(17, 59), (LI,)),)),
        guard=DutyRoster((Rule("every", *NIGHT, (ZHAO,)),)),
    )
    gaps = find_gaps(duty, now=shanghai(2026, 5, 7, 12))
    assert len([gap for gap in gaps if gap.need is Need.VISIT]) == 14
    assert gaps[0].from_at == shanghai(2026, 5, 7, 17, 59)
    assert gaps[0].to_at - gaps[0].from_at == timedelta(minutes=1)


def test_a_grid_worker_on_duty_answers_for_a_visit_and_not_for_a_call() -> None:
    grid = {**PEOPLE, 31: Person(31, "钱", Role.GRID_WORKER)}
    roster = DutyRoster((Rule("every", *NIGHT, (31,)),))
    duty = CommunityDuty("c1", rosters={**days_and_nights().rosters, "guard": DutyRoster(), "grid_worker": roster}, people=grid)  # fmt: skip
    assert {gap.need for gap in find_gaps(duty, now=shanghai(2026, 5, 7, 12))} == {Need.CALL}


def test_mending_one_of_two_gaps_makes_nothing_worse() -> None:
    full = days_and_nights()
    holes = make_duty(property_clerk=full.rosters["property_clerk"], guard=DutyRoster())
    mended = make_duty(
        property_clerk=full.rosters["property_clerk"],
        guard=DutyRoster(overrides=(Override(shanghai(2026, 5, 7, 18), shanghai(2026, 5, 8, 8), (SUN,)),)),
    )
    now = shanghai(2026, 5, 7, 12)
    assert without_known(find_gaps(mended, now=now), find_gaps(holes, now=now)) == []
    assert without_known(find_gaps(holes, now=now), find_gaps(mended, now=now))[0].from_at == shanghai(
        2026, 5, 7, 18
    )


def test_the_guard_does_the_desks_work_while_nobody_is_at_the_desk() -> None:
    duty = days_and_nights()
    assert desk_at(duty, shanghai(2026, 5, 7, 9)) is Role.PROPERTY_CLERK
    assert desk_at(duty, shanghai(2026, 5, 7, 21)) is Role.GUARD
    assert desk_at(make_duty(), shanghai(2026, 5, 7, 21)) is Role.PROPERTY_CLERK


def test_a_shift_that_is_over_has_an_instant_and_one_that_goes_on_has_none() -> None:
    duty = days_and_nights()
    assert shift_ended_at(duty, PEOPLE[LI], shanghai(2026, 5, 7, 18, 5)) == shanghai(2026, 5, 7, 18)
    assert shift_ended_at(duty, PEOPLE[LI], shanghai(2026, 5, 7, 17, 59)) is None
    assert shift_ended_at(duty, PEOPLE[WANG], shanghai(2026, 5, 7, 18, 5)) is None
    assert shift_ended_at(make_duty(), PEOPLE[LI], shanghai(2026, 5, 7, 18, 5)) is None


# --- who is told -------------------------------------------------------------------------------------------------


def wanted(instant: datetime, *roles: Role) -> Annunciate:
    return Annunciate("visit", 0, instant, roles or (Role.PROPERTY_CLERK,))


def address(number: int, user: int, role: Role, **further: object) -> Address:
    return Address(number, f"user:{user}", "ntfy", role=role, **further)


def test_only_those_on_duty_are_told_one_after_another_and_not_by_their_quiet_hours() -> None:
    duty = make_duty(property_clerk=DutyRoster((Rule("every", time(0), time(0), (WANG, LI)),)))
    staff = (
        address(1, LI, Role.PROPERTY_CLERK, quiet_from=time(0), quiet_until=time(23, 59)),
        address(2, WANG, Role.PROPERTY_CLERK),
        address(3, 99, Role.PROPERTY_CLERK),
    )
    roster = Roster("c1", staff=staff, duty=duty)
    personal = [item for item in plan_messages(wanted(at(hour=23)), roster) if item.address_id]
    assert [(item.person, item.position) for item in personal] == [(f"user:{WANG}", 0), (f"user:{LI}", 1)]
    assert personal[1].not_before == at(hour=23, minute=5)


def test_where_nobody_on_duty_has_an_address_the_whole_role_is_told() -> None:
    duty = make_duty(property_clerk=DutyRoster((Rule("every", time(0), time(0), (WANG,)),)))
    roster = Roster("c1", staff=(address(3, LI, Role.PROPERTY_CLERK),), duty=duty)
    assert [item.person for item in plan_messages(wanted(at()), roster) if item.address_id] == [f"user:{LI}"]


def test_an_empty_desk_is_told_as_a_role_and_the_guard_on_duty_with_it() -> None:
    told = decide_told(wanted(at(hour=23)), Roster("c1", duty=days_and_nights()))
    assert [(item.role, item.people, item.ground) for item in told] == [
        (Role.PROPERTY_CLERK, (), Ground.NOBODY),
        (Role.GUARD, (ZHAO,), Ground.RULE),
    ]


def test_without_rosters_a_role_is_told_as_before() -> None:
    told = decide_told(wanted(at()), Roster("c1", duty=make_duty()))
    assert [item.by_roster for item in told] == [False]


# --- who goes ----------------------------------------------------------------------------------------------------


def test_a_visit_of_the_night_goes_to_the_guard_on_duty_and_is_annunciated_at_once() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER, duty=days_and_nights())
    story.until(at(hour=23))
    story.crosses(Stage.VISIT)
    assert story.open_tasks() == [(TaskKind.VISIT, Role.GUARD)]
    assert story.sent[0].not_before == at(hour=23)
    assert Role.GUARD in story.sent[0].roles


def test_a_visit_nobody_takes_by_night_goes_from_the_guard_to_the_desk_to_the_helpers() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER, duty=days_and_nights())
    story.until(at(hour=23))
    story.crosses(Stage.VISIT)
    asked = [story.open_tasks()[-1][1]]
    for hours in (1, 2):
        story.until(at(hour=23 + hours))
        asked.append(story.open_tasks()[-1][1])
    assert asked == [Role.GUARD, Role.PROPERTY_CLERK, Role.NEIGHBOUR_WATCHER]


def test_by_day_the_guard_on_duty_comes_after_the_helpers_and_before_the_desk() -> None:
    rosters = {**days_and_nights().rosters, "guard": DutyRoster((Rule("every", time(0), time(0), (ZHAO,)),))}
    story = Story(Role.NEIGHBOUR_WATCHER, duty=make_duty(**rosters))
    story.crosses(Stage.VISIT)
    asked = [story.open_tasks()[-1][1]]
    for half_hours in (1, 3):
        story.until(at(hour=9, minute=30 * half_hours))
        asked.append(story.open_tasks()[-1][1])
    assert asked == [Role.NEIGHBOUR_WATCHER, Role.GUARD, Role.PROPERTY_CLERK]


def test_a_helper_with_a_time_of_her_own_is_waited_for_as_long() -> None:
    waits = {Role.NEIGHBOUR_WATCHER: 10 * 60_000}
    story = Story(Role.NEIGHBOUR_WATCHER, Role.SAFETY_GUARDIAN, helper_waits_ms=waits)
    story.crosses(Stage.VISIT)
    story.until(at(minute=10))
    assert story.open_tasks() == [(TaskKind.VISIT, Role.SAFETY_GUARDIAN)]


def test_a_call_while_only_the_guard_is_there_is_the_guards() -> None:
    evenings = make_duty(
        property_clerk=DutyRoster((Rule("every", time(8), time(17), (LI,)),)),
        guard=DutyRoster((Rule("every", time(17), time(8), (ZHAO,)),)),
    )
    story = Story(duty=evenings)
    story.until(at(hour=20))
    story.crosses(Stage.CALL)
    assert story.open_tasks() == [(TaskKind.CALL, Role.GUARD)]


def test_the_telephones_of_those_on_duty_ring_and_the_desks_where_none_of_them_has_one() -> None:
    told = decide_told(wanted(at(hour=23)), Roster("c1", duty=days_and_nights()))
    phones = [(LI, Role.PROPERTY_CLERK), (WANG, Role.PROPERTY_CLERK), (ZHAO, Role.GUARD)]
    assert choose_rung(told, phones) == [ZHAO]
    assert choose_rung(told, phones[:2]) == [LI, WANG]
    assert choose_rung(decide_told(wanted(at()), Roster("c1")), phones) == [LI, WANG]


def test_a_call_the_desk_left_undone_is_the_guards_when_the_desk_goes_home_and_the_desks_again_by_day() -> (
    None
):
    story = Story(duty=days_and_nights())
    story.until(at(hour=17))
    story.crosses(Stage.CALL)
    assert story.open_tasks() == [(TaskKind.CALL, Role.PROPERTY_CLERK)]
    story.until(at(hour=19))
    assert story.open_tasks() == [(TaskKind.CALL, Role.GUARD)]
    assert Role.GUARD in story.sent[-1].roles
    story.until(at(day=1, hour=8, minute=30))
    assert story.open_tasks() == [(TaskKind.CALL, Role.PROPERTY_CLERK)]
