"""What the duty pages show: a community's duty, its gaps and a person's own matters enter, frozen views leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from alerts.duty.readiness import AHEAD, Gap, find_gaps, mark_of, unknown_years
from alerts.duty.roster import DUTY_ROLES, WEEK_DAYS, CommunityDuty, Rule, stretches
from console.views.parts import Choice, DutyLine, Form

RULES_MAX = 12


@dataclass(frozen=True, slots=True)
class Turn:
    """People who are on from an instant until another, and why; ``people`` are names in order."""

    from_at: datetime
    to_at: datetime
    people: tuple[str, ...]
    ground: str


@dataclass(frozen=True, slots=True)
class RoleDay:
    role: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class BareSpan:
    """A span in which nobody can be reached, said once for everything it leaves undone: call, visit."""

    needs: tuple[str, ...]
    from_at: datetime
    to_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class DutyDay:
    """One local day; ``mark`` is holiday, make_up, unknown_year or empty, ``name`` the holiday's."""

    day: date
    mark: str
    name: str
    roles: tuple[RoleDay, ...]
    gaps: tuple[BareSpan, ...]


@dataclass(frozen=True, slots=True)
class DutyPage:
    """``may_manage``: the viewer writes rosters; ``mine``: is in one; ``may_name``: may name a deputy of hers."""

    community_id: str
    communities: tuple[Choice, ...]
    days: tuple[DutyDay, ...]
    gaps: tuple[BareSpan, ...]
    years: tuple[int, ...]
    roles: tuple[tuple[str, bool], ...]
    without_address: tuple[str, ...]
    may_manage: bool
    mine: bool
    swaps: tuple[Mapping[str, Any], ...] = ()
    offers: tuple[Mapping[str, Any], ...] = ()
    in_hand: tuple[Mapping[str, Any], ...] = ()
    colleagues: tuple[Choice, ...] = ()
    deputies: tuple[Mapping[str, Any], ...] = ()
    may_name: bool = False
    feed: Mapping[str, Any] | None = None
    feed_url: str = ""
    tests: tuple[Mapping[str, Any], ...] = ()
    user_id: int = 0
    line: DutyLine | None = None
    form: Form = field(default_factory=Form)
    refusal: Gap | None = None


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One line of the editor as it is typed."""

    index: int
    days: str = "every"
    listed: tuple[str, ...] = ()
    start: str = ""
    end: str = ""
    people: str = ""
    first_day: str = ""
    last_day: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class RosterPage:
    community_id: str
    role: str
    has_roster: bool
    rows: tuple[RuleRow, ...]
    people: tuple[Mapping[str, Any], ...]
    overrides: tuple[Mapping[str, Any], ...]
    deputies: tuple[Mapping[str, Any], ...]
    names: Mapping[int, str]
    form: Form = field(default_factory=Form)
    refusal: Gap | None = None
    week_days: tuple[str, ...] = WEEK_DAYS


def make_days(duty: CommunityDuty, *, now: datetime) -> tuple[DutyDay, ...]:
    """Return the days from today on, with who is on, what is particular about each, and its gaps."""
    zone = ZoneInfo(duty.zone)
    gaps = find_gaps(duty, now=now)
    roles = [role for role in DUTY_ROLES if duty.has_roster(role)]
    turns = {role: stretches(duty, role, now, now + AHEAD) for role in roles}
    first = now.astimezone(zone).date()
    found = []
    for count in range(AHEAD.days + 1):
        day = first + timedelta(days=count)
        begin, end = _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
        mark = mark_of(duty, day)
        of_day = tuple(
            RoleDay(
                role.value,
                tuple(
                    Turn(
                        max(item.from_at, begin), min(item.to_at, end),
                        tuple(duty.people[person].name for person in item.on_duty.people), item.on_duty.ground.value,
                    )
                    for item in turns[role]
                    if item.from_at < end and item.to_at > begin
                ),
            )
            for role in roles
        )  # fmt: skip
        # A gap of several days says on each of them only what is bare on that day.
        inside = tuple(
            replace(gap, from_at=max(gap.from_at, begin), to_at=min(gap.to_at, end))
            for gap in gaps
            if gap.from_at < end and gap.to_at > begin
        )
        name = mark[1] if mark else ""
        found.append(DutyDay(day, mark[0].value if mark else "", name, of_day, bare_spans(inside)))
    return tuple(found)


def bare_spans(gaps: Sequence[Gap]) -> tuple[BareSpan, ...]:
    """Return the gaps in order, those of the same hours as one."""
    found: dict[tuple[datetime, datetime, str], list[str]] = {}
    for gap in gaps:
        found.setdefault((gap.from_at, gap.to_at, gap.reason.value), []).append(gap.need.value)
    return tuple(
        BareSpan(tuple(needs), from_at, to_at, reason) for (from_at, to_at, reason), needs in found.items()
    )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, datetime.min.time(), tzinfo=zone)


def make_page(duty: CommunityDuty, *, now: datetime, **further: Any) -> DutyPage:
    """Return the page of a community; ``further`` are the fields that belong to the viewer."""
    return DutyPage(
        community_id=duty.community_id,
        days=make_days(duty, now=now),
        gaps=bare_spans(find_gaps(duty, now=now)),
        years=tuple(unknown_years(duty, now=now)),
        roles=tuple((role.value, duty.has_roster(role)) for role in DUTY_ROLES),
        without_address=tuple(
            person.name
            for person in duty.people.values()
            if not set(DUTY_ROLES).isdisjoint(person.roles) and not person.personal
        ),
        **further,
    )


def rows_of(rules: Sequence[Rule], names: Mapping[int, str]) -> tuple[RuleRow, ...]:
    """Return the editor's lines for stored rules, and two empty ones."""
    rows = [
        RuleRow(
            index,
            "listed" if rule.days.split()[0] in WEEK_DAYS else rule.days,
            tuple(rule.days.split()) if rule.days.split()[0] in WEEK_DAYS else (),
            rule.start.strftime("%H:%M"),
            rule.end.strftime("%H:%M"),
            "、".join(names.get(person, "?") for person in rule.people),
            rule.first_day.isoformat() if rule.first_day else "",
            rule.last_day.isoformat() if rule.last_day else "",
        )
        for index, rule in enumerate(rules)
    ]
    return with_empty(rows)


def with_empty(rows: Sequence[RuleRow]) -> tuple[RuleRow, ...]:
    """Return the lines with two empty ones after them, as long as there is room."""
    count = len(rows)
    return (*rows, *(RuleRow(index) for index in range(count, min(count + 2, RULES_MAX))))
