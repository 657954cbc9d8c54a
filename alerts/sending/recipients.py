"""Who is told and who is sent: a roster and an annunciation enter, planned messages and roles leave; pure.

Recipients are pseudonyms (``community:ID/ROLE``, ``user:ID``); names and numbers are looked up by the channel that
needs them, when it needs them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from itertools import groupby

from alerts.duty.roster import CommunityDuty, Ground, on_duty, rostered_now
from alerts.rules.actions import Annunciate
from alerts.rules.case import Circumstances
from alerts.sending.delivery import after_quiet, answer_within, breaks_quiet, lane_of
from kaimen.vocabulary import CaseCause, Role, Stage

#: The three helper roles in the order in which they are asked, then the grid worker.
HELPER_ORDER = (Role.NEIGHBOUR_WATCHER, Role.STAIRWELL_LIAISON, Role.SAFETY_GUARDIAN, Role.GRID_WORKER)

CONSOLE = "console"
VOICE = "voice"
_KEY_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Address:
    """One of a recipient's addresses, in her order; ``role`` is that of somebody who signs in, else empty."""

    id: int
    recipient: str
    channel: str
    language: str = ""
    zone: str = "Asia/Shanghai"
    quiet_from: time | None = None
    quiet_until: time | None = None
    role: str = ""


@dataclass(frozen=True, slots=True)
class Roster:
    """Who can be reached for one case; family only with the consent to notify the family.

    ``outside_channels`` have one address for everybody; ``community`` are groups of this community's own, which take
    the place of the same channel's one address.
    """

    community_id: str
    family_user_ids: tuple[int, ...] = ()
    outside_channels: tuple[str, ...] = ()
    family: tuple[Address, ...] = ()
    staff: tuple[Address, ...] = ()
    community: tuple[Address, ...] = ()
    duty: CommunityDuty | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A role that an annunciation is for, its people on duty in the order in which they are told, and the ground."""

    role: str
    people: tuple[int, ...]
    ground: Ground

    @property
    def by_roster(self) -> bool:
        """Say whether those people are told and nobody else of the role."""
        return self.ground not in (Ground.WHOLE_ROLE, Ground.NOBODY)


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """One message; ``position`` counts a recipient's channels, the first is 0, and each follows the one before."""

    person: str
    channel: str
    not_before: datetime | None = None
    address_id: int | None = None
    language: str = ""
    position: int = 0


def visit_chain(around: Circumstances, *, night: bool, at: datetime | None = None) -> tuple[str, ...]:
    """Return the roles asked to go to the door, in order: helpers by day, who is on duty by night and at the end.

    Where rosters are kept, the guard on duty goes before the desk, and a grid worker on duty is asked with the helpers.
    """
    grid = at is not None and rostered_now(around.duty, Role.GRID_WORKER, at)
    helpers = tuple(
        role for role in HELPER_ORDER if role in around.helpers or (grid and role is Role.GRID_WORKER)
    )
    guard = (Role.GUARD,) if at is not None and rostered_now(around.duty, Role.GUARD, at) else ()
    desk = (*guard, Role.PROPERTY_CLERK)
    return (*desk, *helpers) if night else (*helpers, *desk)


def next_in_chain(
    around: Circumstances, asked: Collection[str], *, night: bool, at: datetime | None = None
) -> str | None:
    """Return the first role nobody of which was asked yet; None when the chain is exhausted."""
    return next((role for role in visit_chain(around, night=night, at=at) if role not in asked), None)


def decide_told(wanted: Annunciate, roster: Roster) -> tuple[Told, ...]:
    """Say who of each role is told: those on duty when it is told, or the whole role where no roster says who.

    Where nobody is at the desk, the guard on duty is told as well: an alarm is never left to an empty chair.
    """
    roles: list[str] = list(wanted.roles)
    if roster.duty is None:
        return tuple(Told(role, (), Ground.WHOLE_ROLE) for role in roles)
    found = [(role, on_duty(roster.duty, role, wanted.not_before)) for role in roles]
    desk = next((item for role, item in found if role == Role.PROPERTY_CLERK), None)
    if desk is not None and not desk and Role.GUARD not in roles:
        guard = on_duty(roster.duty, Role.GUARD, wanted.not_before)
        found += [(Role.GUARD, guard)] if guard else []
    return tuple(Told(role, item.people, item.ground) for role, item in found)


def plan_messages(wanted: Annunciate, roster: Roster) -> list[PlannedMessage]:
    """Turn one annunciation into one message for each recipient and channel.

    A recipient with several addresses has a chain: the second is used when the first was refused or not answered in
    time. ``not_before`` None means the annunciation's own instant.
    """
    told = decide_told(wanted, roster)
    planned = [PlannedMessage(f"community:{roster.community_id}/{item.role}", CONSOLE) for item in told]
    if wanted.family:
        planned += [PlannedMessage(f"user:{user_id}", CONSOLE) for user_id in roster.family_user_ids]
    if wanted.outside:
        planned += _to_community(roster)
        for item in told:
            planned += _to_role(item, roster, wanted)
    # What is no emergency goes to nobody outside but her family: the morning list, and whether she is back.
    if wanted.family and (wanted.outside or wanted.step in (Stage.WARNING.api_name, CaseCause.ABSENCE.value)):
        planned += _chains(roster.family, wanted)
    return planned


def choose_rung(told: Iterable[Told], phones: Sequence[tuple[int, str]]) -> list[int]:
    """Return whose telephones ring, in order: of those with one (``phones``: id and role) who is on duty.

    Where nobody on duty has one, the desk's ring as without a roster: somebody has to hear it.
    """
    has_phone = {person for person, _ in phones}
    rung = [person for item in told if item.by_roster for person in item.people if person in has_phone]
    if not rung:
        rung = [person for person, role in phones if role == Role.PROPERTY_CLERK]
    return list(dict.fromkeys(rung))


def _to_community(roster: Roster) -> Iterator[PlannedMessage]:
    person = f"community:{roster.community_id}"
    own = {item.channel for item in roster.community}
    for item in roster.community:
        yield PlannedMessage(person, item.channel, address_id=item.id, language=item.language)
    for channel in roster.outside_channels:
        # A community has no telephone: whom to ring is planned apart.
        if channel not in own and channel != VOICE:
            yield PlannedMessage(person, channel)


def _to_role(told: Told, roster: Roster, wanted: Annunciate) -> Iterator[PlannedMessage]:
    """Those on duty one after another, whatever their quiet hours are; without a roster everybody of the role."""
    addresses = [item for item in roster.staff if item.role == told.role]
    if told.by_roster:
        places = {f"user:{person}": place for place, person in enumerate(told.people)}
        theirs = [item for item in roster.staff if item.recipient in places]
        if theirs:
            yield from _in_turn(sorted(theirs, key=lambda item: places[item.recipient]), wanted)
            return
    yield from _chains(addresses, wanted)


def _in_turn(addresses: list[Address], wanted: Annunciate) -> Iterator[PlannedMessage]:
    wait = answer_within(lane_of(wanted.step))
    for position, item in enumerate(addresses):
        at = wanted.not_before + position * wait
        yield PlannedMessage(item.recipient, item.channel, at, item.id, item.language, position)


def _chains(addresses: Iterable[Address], wanted: Annunciate) -> Iterator[PlannedMessage]:
    wait = answer_within(lane_of(wanted.step))
    for recipient, chain in groupby(addresses, key=lambda item: item.recipient):
        at = wanted.not_before
        for position, item in enumerate(chain):
            if not breaks_quiet(wanted.step):
                at = after_quiet(at, quiet_from=item.quiet_from, quiet_until=item.quiet_until, zone=item.zone)
            yield PlannedMessage(recipient, item.channel, at, item.id, item.language, position)
            at += wait


def idempotency_key(*, case_id: int, step: str, person: str, channel: str, repetition: int) -> str:
    """Return the key that every copy of one message carries; opaque, so that it tells a receiver nothing."""
    parts = "\x1f".join((str(case_id), step, person, channel, str(repetition)))
    return "msg_" + hashlib.sha256(parts.encode()).hexdigest()[:_KEY_LENGTH]
