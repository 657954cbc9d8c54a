"""Who acts for whom: deputies of a community and an instant enter, for whom somebody stands in, and circles, leave; pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from alerts.duty.roster import CommunityDuty, Deputy, deputy_of


def acts_for(duty: CommunityDuty, person: int, at: datetime) -> tuple[int, ...]:
    """Return for whom somebody stands in at ``at``, in any role of hers, in the order in which it was arranged."""
    mine = duty.people.get(person)
    roles = () if mine is None else mine.roles
    absent = dict.fromkeys(
        item.person for item in duty.deputies if item.holds_at(at) and item.person != person
    )
    return tuple(
        other
        for other in absent
        if other in duty.people
        and any(
            role in duty.people[other].roles and deputy_of(duty, other, role, at) == person for role in roles
        )
    )


def away_since(duty: CommunityDuty, person: int, role: str, at: datetime) -> datetime | None:
    """Return since when somebody stands in for a person in a role; None where nobody does."""
    if deputy_of(duty, person, role, at) == person:
        return None
    return max(item.from_at for item in duty.deputies if item.person == person and item.holds_at(at))


def overlaps(duty: CommunityDuty, wanted: Deputy) -> bool:
    """Say whether somebody stands in already, in a role the wanted deputy would stand in for and at some of her hours."""
    roles = set(duty.people[wanted.person].roles) & set(duty.people[wanted.deputy].roles)
    return any(
        item.person == wanted.person
        and max(item.from_at, wanted.from_at) < min(item.to_at, wanted.to_at)
        and item.deputy in duty.people
        and not roles.isdisjoint(duty.people[item.deputy].roles)
        for item in duty.deputies
    )


def closes_circle(deputies: Collection[Deputy], wanted: Deputy) -> bool:
    """Say whether, at some instant of ``wanted``, everybody of a row of deputies would stand in for the next one."""
    return _reaches(deputies, wanted.deputy, wanted.person, wanted.from_at, wanted.to_at, {wanted.deputy})


def _reaches(
    deputies: Collection[Deputy], begin: int, end: int, from_at: datetime, to_at: datetime, seen: set[int]
) -> bool:
    for item in deputies:
        first, last = max(item.from_at, from_at), min(item.to_at, to_at)
        if item.person != begin or first >= last:
            continue
        if item.deputy == end:
            return True
        if item.deputy not in seen and _reaches(
            deputies, item.deputy, end, first, last, {*seen, item.deputy}
        ):
            return True
    return False
