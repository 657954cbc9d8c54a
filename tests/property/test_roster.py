"""Who is on duty, held against a minute-by-minute reading of the same rules that shares nothing with the program.

The oracle walks every minute of some weeks in UTC, reads the wall clock at each, and decides by local dates and the
first minute at which clocks showed a wall time; it knows neither boundaries nor instants computed from wall times.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.duty.holidays import HolidayTable, own_holidays
from alerts.duty.readiness import Need, find_gaps, without_known
from alerts.duty.roster import (
    CommunityDuty,
    Deputy,
    DutyRoster,
    Ground,
    Override,
    Person,
    Rule,
    Shift,
    Swap,
    instant_of,
    on_duty,
    stretches,
)
from kaimen.vocabulary import Role

CLERK = Role.PROPERTY_CLERK
MINUTE = timedelta(minutes=1)
#: Around the days on which clocks change, and around two Chinese holidays with make-up days.
BEGINS = {
    "Asia/Shanghai": (datetime(2026, 2, 12, tzinfo=UTC), datetime(2026, 9, 17, tzinfo=UTC)),
    "Europe/Berlin": (datetime(2026, 3, 26, tzinfo=UTC), datetime(2026, 10, 22, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 3, 5, tzinfo=UTC), datetime(2026, 10, 29, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 4, 2, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)),
}
LENGTH = timedelta(days=7)
PEOPLE = (1, 2, 3, 4, 5)

walls = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
people = st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=3, unique=True).map(tuple)
week_days = st.lists(
    st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1, max_size=4, unique=True
).map(" ".join)
days = st.sampled_from(["every", "workdays", "rest_days"]) | week_days


@st.composite
def spans(draw: st.DrawFn, begin: datetime) -> tuple[datetime, datetime]:
    from_at = begin + draw(st.integers(0, 6 * 24 * 60)) * MINUTE
    return from_at, from_at + draw(st.integers(1, 2_000)) * MINUTE


@st.composite
def duties(draw: st.DrawFn) -> tuple[CommunityDuty, datetime]:
    zone = draw(st.sampled_from(sorted(BEGINS)))
    begin = draw(st.sampled_from(BEGINS[zone]))
    bound = st.none() | st.integers(0, 6).map(lambda count: begin.date() + timedelta(days=count))
    rules = st.builds(Rule, days, walls, walls, people, bound, bound)

    def some(kind: type, *fields: st.SearchStrategy) -> tuple:
        of_span = st.tuples(spans(begin), *fields).map(lambda item: kind(*item[0], *item[1:]))
        return tuple(draw(st.lists(of_span, max_size=2)))

    one = st.sampled_from(PEOPLE)
    roster = DutyRoster(
        tuple(draw(st.lists(rules, max_size=4))),
        some(Shift, one, st.integers(1, 3)),
        some(Override, people, st.booleans()),
        some(Swap, one, one),
    )
    known = draw(st.sets(st.sampled_from(PEOPLE), min_size=3))
    duty = CommunityDuty(
        "c1",
        zone,
        {CLERK: roster},
        some(Deputy, one, one),
        {person: Person(person, f"p{person}", CLERK, draw(st.booleans())) for person in sorted(known)},
        own_holidays(),
    )
    return duty, begin


def local(zone: str, at: datetime) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


class Minutes:
    """Every minute of a time with its wall clock; finds the first minute at which clocks show a time or later."""

    def __init__(self, zone: str, begin: datetime) -> None:
        self.start = begin - timedelta(days=3)
        count = int((LENGTH + timedelta(days=6)) / MINUTE)
        self.shown = [local(zone, self.start + n * MINUTE) for n in range(count)]
        # What clocks have shown at most so far: it never goes back, so "first or later" is a search.
        self.highest = list(self.shown)
        for n in range(1, count):
            self.highest[n] = max(self.highest[n], self.highest[n - 1])

    def first(self, wall: datetime) -> datetime:
        import bisect

        return self.start + bisect.bisect_left(self.highest, wall) * MINUTE


def oracle_is_workday(day: date, table: HolidayTable) -> bool:
    return day in table.workdays or (day not in table.holidays and day.isoweekday() <= 5)


def oracle(duty: CommunityDuty, minutes: Minutes, begin: datetime) -> list[tuple[int, ...]]:
    """The people on duty in each minute."""
    roster = duty.rosters[CLERK]
    count = int(LENGTH / MINUTE)
    plan: list[list[int]] = [[] for _ in range(count)]
    for rule in roster.rules:
        for offset in range(-2, 9):
            day = (begin + timedelta(days=offset)).date()
            if (rule.first_day and day < rule.first_day) or (rule.last_day and day > rule.last_day):
                continue
            works = oracle_is_workday(day, duty.holidays)
            name = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day.isoweekday() - 1]
            if not (
                rule.days == "every"
                or (rule.days == "workdays" and works)
                or (rule.days == "rest_days" and not works)
                or (rule.days not in ("workdays", "rest_days") and name in rule.days)
            ):
                continue
            until = day if rule.end > rule.start else day + timedelta(days=1)
            first = minutes.first(datetime.combine(day, rule.start))
            end = minutes.first(datetime.combine(until, rule.end))
            for n in range(count):
                if first <= begin + n * MINUTE < end:
                    plan[n] += [person for person in rule.people if person not in plan[n]]
    for n in range(count):
        at = begin + n * MINUTE
        shifts = sorted((s for s in roster.shifts if s.from_at <= at < s.to_at), key=lambda s: s.position)
        now = [s.person for s in shifts] or plan[n]
        for override in roster.overrides:
            if override.from_at <= at < override.to_at:
                now = now + list(override.people) if override.adds else list(override.people)
        for swap in roster.swaps:
            if swap.from_at <= at < swap.to_at:
                now = [swap.taker if person == swap.giver else person for person in now]
        for person in list(now):
            deputy, path = person, [person]
            while True:
                standing = [
                    d.deputy
                    for d in duty.deputies
                    # Whoever may not sign in, or does not work in this role, takes nobody's place in it.
                    if d.person == deputy and d.from_at <= at < d.to_at and d.deputy in duty.people
                ]
                if not standing:
                    break
                deputy = standing[-1]
                if deputy in path:
                    deputy = person
                    break
                path.append(deputy)
            now = [deputy if found == person else found for found in now]
        plan[n] = [person for place, person in enumerate(now) if person not in now[:place]]
    return [tuple(person for person in now if person in duty.people) for now in plan]


@settings(max_examples=12, deadline=None)
@given(duties())
def test_every_minute_has_the_people_the_oracle_finds(case: tuple[CommunityDuty, datetime]) -> None:
    duty, begin = case
    expected = oracle(duty, Minutes(duty.zone, begin), begin)
    found: list[tuple[int, ...]] = []
    for item in stretches(duty, CLERK, begin, begin + LENGTH):
        found += [item.on_duty.people] * int((item.to_at - item.from_at) / MINUTE)
    assert found == expected
    for n in range(0, len(expected), 487):
        assert on_duty(duty, CLERK, begin + n * MINUTE).people == expected[n]


@settings(max_examples=12, deadline=None)
@given(duties())
def test_a_gap_is_exactly_the_minutes_without_a_reachable_person(
    case: tuple[CommunityDuty, datetime],
) -> None:
    duty, begin = case
    expected = oracle(duty, Minutes(duty.zone, begin), begin)
    gaps = [gap for gap in find_gaps(duty, now=begin, ahead=LENGTH) if gap.need is Need.CALL]
    for n, people_then in enumerate(expected):
        at = begin + n * MINUTE
        reachable = any(duty.people[person].reachable for person in people_then)
        assert reachable != any(gap.from_at <= at < gap.to_at for gap in gaps)
    assert without_known(gaps, gaps) == []


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(sorted(BEGINS)), which=st.integers(0, 1), cuts=st.sets(walls, min_size=1, max_size=5)
)
def test_shifts_that_meet_leave_no_second_to_nobody_and_none_to_two(
    zone: str, which: int, cuts: set[time]
) -> None:
    ordered = sorted(cuts)
    rules = tuple(
        Rule("every", start, end, (person,))
        for person, (start, end) in enumerate(zip(ordered, [*ordered[1:], ordered[0]], strict=True), 1)
    )
    everybody = {person: Person(person, "p", CLERK) for person in range(1, 6)}
    duty = CommunityDuty("c1", zone, {CLERK: DutyRoster(rules)}, (), everybody)
    begin = BEGINS[zone][which]
    for item in stretches(duty, CLERK, begin, begin + LENGTH):
        assert len(item.on_duty.people) == 1
        assert item.on_duty.ground is Ground.RULE
    assert find_gaps(duty, now=begin) == []


def test_an_hour_that_clocks_skip_ends_where_it_would_have_begun() -> None:
    assert instant_of("Europe/Berlin", datetime(2026, 3, 29, 2, 30)) == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert instant_of("Europe/Berlin", datetime(2026, 3, 29, 3, 0)) == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_of_an_hour_that_clocks_repeat_the_first_one_counts() -> None:
    assert instant_of("Europe/Berlin", datetime(2026, 10, 25, 2, 30)) == datetime(
        2026, 10, 25, 0, 30, tzinfo=UTC
    )
