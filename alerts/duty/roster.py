"""Who is on duty: a community's rosters and an instant enter, the people in order and the ground leave; pure.

Rules are said in local wall time. A wall time stands for the first instant at which clocks show it or later, so two
shifts that meet at one wall time meet at one instant, also in the night in which clocks change: there is no minute
that belongs to nobody because of it, and none that belongs to both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from alerts.duty.holidays import NO_HOLIDAYS, HolidayTable
from kaimen.vocabulary import Role

#: Roles that may be worked in shifts.
DUTY_ROLES = (Role.PROPERTY_CLERK, Role.GUARD, Role.GRID_WORKER, Role.POLICE_OFFICER)
WEEK_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY, WORKDAYS, REST_DAYS = "every", "workdays", "rest_days"
#: A deputy's deputy's deputy stands in; longer chains are a circle.
DEPUTIES_IN_ROW_MAX = 5
_DAY = timedelta(days=1)


class Ground(StrEnum):
    """Why these people; the value is also a catalogue key below ``duty.ground``."""

    WHOLE_ROLE = "whole_role"  # the role has no roster
    RULE = "rule"
    SHIFT = "shift"
    OVERRIDE = "override"
    SWAP = "swap"
    DEPUTY = "deputy"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signs in and may: ``reachable`` by the means this installation has, ``personal`` by her own.

    ``role`` is the first she holds in the community, ``others`` are those she holds beside it there.
    """

    id: int
    name: str
    role: str
    reachable: bool = True
    personal: bool = False
    others: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.role, *self.others)

    def works_with(self, other: Person) -> bool:
        """Say whether both hold one role, so that one may stand in for the other."""
        return not set(self.roles).isdisjoint(other.roles)


@dataclass(frozen=True, slots=True)
class Rule:
    """On ``days`` from ``start`` until ``end`` (not later than start: of the next day), ``people`` in order.

    ``days`` is ``every``, ``workdays``, ``rest_days`` or week days (``"mon tue"``); ``first_day`` and ``last_day``
    bound the days on which the shift begins.
    """

    days: str
    start: time
    end: time
    people: tuple[int, ...]
    first_day: date | None = None
    last_day: date | None = None

    def begins_on(self, day: date, holidays: HolidayTable) -> bool:
        """Say whether a shift of this rule begins on a local ``day``."""
        if (self.first_day and day < self.first_day) or (self.last_day and day > self.last_day):
            return False
        if self.days == EVERY:
            return True
        if self.days in (WORKDAYS, REST_DAYS):
            return holidays.is_workday(day) == (self.days == WORKDAYS)
        return WEEK_DAYS[day.weekday()] in self.days.split()

    def span(self, day: date, zone: str) -> tuple[datetime, datetime]:
        """Return the instants between which a shift that begins on ``day`` lasts; the end is not part of it."""
        last = day if self.end > self.start else day + _DAY
        return instant_of(zone, datetime.combine(day, self.start)), instant_of(
            zone, datetime.combine(last, self.end)
        )


@dataclass(frozen=True, slots=True)
class Span:
    """``[from_at, to_at)``."""

    from_at: datetime
    to_at: datetime

    def holds_at(self, at: datetime) -> bool:
        return self.from_at <= at < self.to_at


@dataclass(frozen=True, slots=True)
class Shift(Span):
    """A shift of one person at instants of its own."""

    person: int
    position: int = 1


@dataclass(frozen=True, slots=True)
class Override(Span):
    """Other people for once, or further ones (``adds``)."""

    people: tuple[int, ...]
    adds: bool = False


@dataclass(frozen=True, slots=True)
class Swap(Span):
    """The taker works in the giver's place; both agreed."""

    giver: int
    taker: int


@dataclass(frozen=True, slots=True)
class Deputy(Span):
    """Somebody stands in for a person wherever she would be on duty in a role both hold."""

    person: int
    deputy: int


@dataclass(frozen=True, slots=True)
class DutyRoster:
    """The roster of one role; overrides in the order in which they were made."""

    rules: tuple[Rule, ...] = ()
    shifts: tuple[Shift, ...] = ()
    overrides: tuple[Override, ...] = ()
    swaps: tuple[Swap, ...] = ()


@dataclass(frozen=True, slots=True)
class CommunityDuty:
    """A community's rosters by role, the people who may sign in there, and who stands in for whom."""

    community_id: str = ""
    zone: str = "Asia/Shanghai"
    rosters: Mapping[str, DutyRoster] = field(default_factory=dict)
    deputies: tuple[Deputy, ...] = ()
    people: Mapping[int, Person] = field(default_factory=dict)
    holidays: HolidayTable = NO_HOLIDAYS

    def has_roster(self, role: str) -> bool:
        return role in self.rosters


@dataclass(frozen=True, slots=True)
class OnDuty:
    """The people on duty in order, and the ground; nobody where none of those meant may sign in."""

    people: tuple[int, ...]
    ground: Ground

    def __bool__(self) -> bool:
        return bool(self.people)


@lru_cache(maxsize=16_384)
def instant_of(zone: str, wall: datetime) -> datetime:
    """Return the first instant (UTC) at which clocks of ``zone`` show the naive ``wall`` or later.

    An hour that clocks skip ends where it would have begun; of an hour they repeat the first one counts.
    """
    place = ZoneInfo(zone)
    first = wall.replace(tzinfo=place, fold=0).astimezone(UTC)
    if first.astimezone(place).replace(tzinfo=None) == wall:
        return first
    # A skipped hour: the change lies between what its old and its new offset make of the wall time.
    before, after = sorted((first, wall.replace(tzinfo=place, fold=1).astimezone(UTC)))
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(place).replace(tzinfo=None) >= wall:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)


def on_duty(duty: CommunityDuty, role: str, at: datetime) -> OnDuty:
    """Return who of ``role`` is on duty at ``at``, in the order in which they are asked.

    Shifts of a calendar stand instead of rules, an override instead of both, then swaps and deputies are applied;
    whoever may not sign in any more is left out.
    """
    roster = duty.rosters.get(role)
    if roster is None:
        people, ground = (
            tuple(item.id for item in duty.people.values() if role in item.roles),
            Ground.WHOLE_ROLE,
        )
    else:
        people, ground = _meant(roster, duty, at)
        for swap in roster.swaps:
            if swap.holds_at(at) and swap.giver in people:
                people, ground = _replaced(people, swap.giver, swap.taker), Ground.SWAP
    for person in people:
        deputy = deputy_of(duty, person, role, at)
        if deputy != person:
            people, ground = _replaced(people, person, deputy), Ground.DEPUTY
    people = tuple(dict.fromkeys(person for person in people if person in duty.people))
    return OnDuty(people, ground if people else Ground.NOBODY)


def _meant(roster: DutyRoster, duty: CommunityDuty, at: datetime) -> tuple[tuple[int, ...], Ground]:
    shifts = sorted(
        (shift for shift in roster.shifts if shift.holds_at(at)), key=lambda shift: shift.position
    )
    people, ground = tuple(shift.person for shift in shifts), Ground.SHIFT
    if not shifts:
        people, ground = tuple(_by_rules(roster, duty, at)), Ground.RULE
    for override in roster.overrides:
        if override.holds_at(at):
            people = (*people, *override.people) if override.adds else override.people
            ground = Ground.OVERRIDE
    return people, ground


def _by_rules(roster: DutyRoster, duty: CommunityDuty, at: datetime) -> Iterator[int]:
    today = at.astimezone(ZoneInfo(duty.zone)).date()
    for rule in roster.rules:
        # A skipped midnight may date an instant a day on: three days hold every shift of at most 24 hours.
        for day in (today - _DAY, today, today + _DAY):
            if rule.begins_on(day, duty.holidays):
                from_at, to_at = rule.span(day, duty.zone)
                if from_at <= at < to_at:
                    yield from rule.people
                    break


def _replaced(people: tuple[int, ...], old: int, new: int) -> tuple[int, ...]:
    return tuple(new if person == old else person for person in people)


def deputy_of(duty: CommunityDuty, person: int, role: str, at: datetime) -> int:
    """Return who stands in for a person in a role, a deputy's deputy included.

    Herself where nobody does, where her deputy does not work in that role (any more), or all are in a circle.
    """
    found, seen = person, {person}
    for _ in range(DEPUTIES_IN_ROW_MAX):
        standing = [
            item.deputy
            for item in duty.deputies
            if item.person == found
            and item.holds_at(at)
            and item.deputy in duty.people
            and role in duty.people[item.deputy].roles
        ]
        if not standing:
            return found
        found = standing[-1]
        if found in seen:
            return person
        seen.add(found)
    return found


def desk_at(duty: CommunityDuty | None, at: datetime) -> Role:
    """Return who does the desk's work at ``at``: the guard where a roster has a guard on duty and nobody at the desk."""
    if duty is None or on_duty(duty, Role.PROPERTY_CLERK, at):
        return Role.PROPERTY_CLERK
    return Role.GUARD if on_duty(duty, Role.GUARD, at) else Role.PROPERTY_CLERK


def rostered_now(duty: CommunityDuty | None, role: str, at: datetime) -> bool:
    """Say whether a roster of ``role`` has somebody on duty at ``at``; a role without a roster has not."""
    return duty is not None and duty.has_roster(role) and bool(on_duty(duty, role, at))


def changes(duty: CommunityDuty, role: str, from_at: datetime, to_at: datetime) -> list[datetime]:
    """Return the instants in ``(from_at, to_at)`` at which who is on duty for ``role`` may change, in order."""
    roster = duty.rosters.get(role, DutyRoster())
    spans: list[tuple[datetime, datetime]] = [
        (span.from_at, span.to_at)
        for span in (*roster.shifts, *roster.overrides, *roster.swaps, *duty.deputies)
    ]
    zone = ZoneInfo(duty.zone)
    day, last = from_at.astimezone(zone).date() - _DAY, to_at.astimezone(zone).date() + _DAY
    while day <= last:
        spans += [rule.span(day, duty.zone) for rule in roster.rules if rule.begins_on(day, duty.holidays)]
        day += _DAY
    return sorted({at.astimezone(UTC) for span in spans for at in span if from_at < at < to_at})


@dataclass(frozen=True, slots=True)
class Stretch(Span):
    """A time in which the same people are on duty on the same ground."""

    on_duty: OnDuty


def stretches(duty: CommunityDuty, role: str, from_at: datetime, to_at: datetime) -> list[Stretch]:
    """Return who is on duty for ``role`` throughout ``[from_at, to_at)``, in order, without a hole."""
    bounds = [from_at, *changes(duty, role, from_at, to_at), to_at]
    found: list[Stretch] = []
    for begin, end in pairwise(bounds):
        now = on_duty(duty, role, begin)
        if found and found[-1].on_duty == now:
            found[-1] = Stretch(found[-1].from_at, end, now)
        else:
            found.append(Stretch(begin, end, now))
    return found


def shift_ended_at(duty: CommunityDuty, person: Person, now: datetime) -> datetime | None:
    """Return when the last shift of somebody ended who is off duty at ``now``; None where she is on, or was not lately.

    Looked for over two days; a person of a role without a roster has no shifts.
    """
    ends = []
    for role in person.roles:
        if not duty.has_roster(role):
            continue
        lately = [
            item
            for item in stretches(duty, role, now - 2 * _DAY, now + timedelta(seconds=1))
            if person.id in item.on_duty.people
        ]
        ends += [item.to_at for item in lately[-1:]]
    # On duty in one of her roles is on duty.
    return None if not ends or max(ends) > now else max(ends)
