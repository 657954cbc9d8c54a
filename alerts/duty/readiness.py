"""Whether somebody can be reached at every minute: a community's duty and ``now`` enter, gaps leave; pure.

A CALL needs the desk, or the guard who does the desk's work; a VISIT one of them, or a grid worker on duty. Reachable
is who may sign in and has an address on an open channel; where no channel needs one, the console has to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

from alerts.duty.roster import REST_DAYS, WORKDAYS, CommunityDuty, on_duty, stretches
from kaimen.vocabulary import Role

AHEAD = timedelta(days=14)
#: From the first of December the coming year has to be known: its first week is planned in the weeks before.
HOLIDAYS_AHEAD = timedelta(days=31)


class Need(StrEnum):
    CALL = "call"
    VISIT = "visit"


_ANSWER: dict[Need, tuple[Role, ...]] = {
    Need.CALL: (Role.PROPERTY_CLERK, Role.GUARD),
    Need.VISIT: (Role.PROPERTY_CLERK, Role.GUARD, Role.GRID_WORKER),
}


class GapReason(StrEnum):
    """How to mend it: put somebody on duty, or give those on duty an address."""

    NOBODY_ON_DUTY = "nobody_on_duty"
    NOT_REACHABLE = "not_reachable"


@dataclass(frozen=True, slots=True)
class Gap:
    """``[from_at, to_at)`` in which nobody can be reached for ``need``."""

    need: Need
    from_at: datetime
    to_at: datetime
    reason: GapReason


def decide_covered(duty: CommunityDuty, need: Need, at: datetime) -> GapReason | None:
    """Say why nobody is reachable for ``need`` at ``at``; None where somebody is."""
    found = [
        duty.people[person] for role in _answering(duty, need) for person in on_duty(duty, role, at).people
    ]
    if any(person.reachable for person in found):
        return None
    return GapReason.NOT_REACHABLE if found else GapReason.NOBODY_ON_DUTY


def _answering(duty: CommunityDuty, need: Need) -> tuple[Role, ...]:
    # Without a roster nobody knows which grid worker is at work: none can be counted on. The desk and the gate are
    # told as a whole role then, and somebody of it may be there.
    return tuple(
        role for role in _ANSWER[need] if role is not Role.GRID_WORKER or duty.has_roster(Role.GRID_WORKER)
    )


def find_gaps(duty: CommunityDuty, *, now: datetime, ahead: timedelta = AHEAD) -> list[Gap]:
    """Return the gaps of ``[now, now + ahead)`` in order; a community without staff and rosters is one long gap."""
    to_at = now + ahead
    found: list[Gap] = []
    for need in Need:
        bounds = {now, to_at}
        for role in _answering(duty, need):
            bounds |= {item.from_at for item in stretches(duty, role, now, to_at)}
        ordered = sorted(bounds)
        for begin, end in pairwise(ordered):
            reason = decide_covered(duty, need, begin)
            if reason is None:
                continue
            last = found[-1] if found else None
            if last is not None and (last.need, last.reason, last.to_at) == (need, reason, begin):
                found[-1] = Gap(need, last.from_at, end, reason)
            else:
                found.append(Gap(need, begin, end, reason))
    return sorted(found, key=lambda gap: (gap.from_at, gap.need))


def without_known(gaps: Sequence[Gap], known: Sequence[Gap]) -> list[Gap]:
    """Return what of ``gaps`` is not part of a known gap of the same need.

    A change that mends one of two gaps is no worse than none: refusing it would forbid mending.
    """
    found: list[Gap] = []
    for gap in gaps:
        pieces = [(gap.from_at, gap.to_at)]
        for old in known:
            if old.need is gap.need:
                pieces = [rest for piece in pieces for rest in _cut(piece, old)]
        found += [Gap(gap.need, from_at, to_at, gap.reason) for from_at, to_at in pieces]
    return found


def _cut(piece: tuple[datetime, datetime], old: Gap) -> list[tuple[datetime, datetime]]:
    from_at, to_at = piece
    if old.to_at <= from_at or old.from_at >= to_at:
        return [piece]
    rests = [(from_at, old.from_at), (old.to_at, to_at)]
    return [(begin, end) for begin, end in rests if begin < end]


def unknown_years(duty: CommunityDuty, *, now: datetime, ahead: timedelta = AHEAD) -> list[int]:
    """Return the years ahead whose holidays nobody has entered, where a rule of the community asks for them.

    The coming year is among them from the first of December on, however short ``ahead`` is.
    """
    asks = any(
        rule.days in (WORKDAYS, REST_DAYS) for roster in duty.rosters.values() for rule in roster.rules
    )
    if not asks:
        return []
    zone = ZoneInfo(duty.zone)
    first, last = now.astimezone(zone).year, (now + max(ahead, HOLIDAYS_AHEAD)).astimezone(zone).year
    return [year for year in range(first, last + 1) if year not in duty.holidays.years]


class DayMark(StrEnum):
    HOLIDAY = "holiday"
    MAKE_UP = "make_up"
    UNKNOWN_YEAR = "unknown_year"


def mark_of(duty: CommunityDuty, day: date) -> tuple[DayMark, str] | None:
    """Return what is particular about a local day, and the holiday's name."""
    if day in duty.holidays.holidays:
        return DayMark.HOLIDAY, duty.holidays.holidays[day]
    if day in duty.holidays.workdays:
        return DayMark.MAKE_UP, ""
    if day.year not in duty.holidays.years:
        return DayMark.UNKNOWN_YEAR, ""
    return None
