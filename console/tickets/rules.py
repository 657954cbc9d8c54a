"""Rules of a police look-up: what is asked, by whom and who agrees enter; limits, refusals and deadlines leave; pure.

Two people stand behind every look-up: the officer who asks, and a second one or a supervisor. Where life is at risk
the result comes first and the supervisor's word within a day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from console.scope import LegalBasis, LookUp, PurposeClass, Viewer
from kaimen.vocabulary import Role

WINDOW_WITHOUT_SUPERVISOR = timedelta(hours=24)
TICKET_STANDS = timedelta(hours=24)
REVIEW_WITHIN = timedelta(hours=24)
DELAY_MAX = timedelta(days=365)
REASON_LENGTH_MIN = 4
REASON_LENGTH_MAX = 500
SUBJECT_LENGTH_MAX = 60
BUILDINGS_MAX = 50
#: Emergencies are never refused for their number; from this one on in a day each is shown to the auditor.
EMERGENCIES_NOTED_FROM = 3
URGENT = frozenset({PurposeClass.LIFE_RISK, PurposeClass.MISSING_PERSON, PurposeClass.RESCUE})


class TicketState(StrEnum):
    """Where a ticket stands; each but the first is an end of asking."""

    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Limit(StrEnum):
    """What of a look-up goes beyond a second officer's word: a supervisor decides."""

    LONG_WINDOW = "long_window"
    SEVERAL_BUILDINGS = "several_buildings"
    NAMED_PERSON = "named_person"
    DELAY = "delay"


class TicketRefusal(StrEnum):
    """Why a ticket is not taken, decided or read; said in words below ``error.``."""

    NEVER_TRAINED = "never_trained"
    TRAINING_OVER = "training_over"
    DAY_USED_UP = "look_ups_of_day_used"
    NO_REASON = "reason_is_missing"
    NOT_URGENT = "not_life_at_risk"
    DELAY_IN_PAST = "delay_in_past"
    DELAY_TOO_LONG = "delay_too_long"
    OWN_TICKET = "second_person_needed"
    SUPERVISOR_NEEDED = "supervisor_needed"
    DECIDED_ALREADY = "decided_already"
    NOT_AN_ANSWER = "not_an_answer"


class Answer(StrEnum):
    GRANT = "grant"
    REFUSE = "refuse"


class Review(StrEnum):
    """What a supervisor says of an emergency afterwards, and an auditor of any look."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not_justified"


@dataclass(frozen=True, slots=True)
class Asking:
    """A look-up with what decides beside it: how much of the day is used, how many buildings the place has."""

    look_up: LookUp
    subject: str
    building_count: int
    reason: str
    delayed_until: datetime | None
    asked_today: int
    asked_today_max: int

    @property
    def is_emergency(self) -> bool:
        return self.look_up.basis is LegalBasis.EMERGENCY


def training_refusal(trained_until: date | None, today: date) -> TicketRefusal | None:
    """Say why somebody may not look up today for want of training; None: she may."""
    if trained_until is None:
        return TicketRefusal.NEVER_TRAINED
    return TicketRefusal.TRAINING_OVER if trained_until < today else None


def limits_of(asking: Asking) -> tuple[Limit, ...]:
    """Name what of this look-up a supervisor has to agree to."""
    return tuple(_limits(asking))


def _limits(asking: Asking) -> Iterable[Limit]:
    look_up = asking.look_up
    assert look_up.from_at is not None and look_up.to_at is not None
    if look_up.to_at - look_up.from_at > WINDOW_WITHOUT_SUPERVISOR:
        yield Limit.LONG_WINDOW
    if asking.building_count > 1:
        yield Limit.SEVERAL_BUILDINGS
    if asking.subject:
        yield Limit.NAMED_PERSON
    if asking.delayed_until is not None:
        yield Limit.DELAY


def refuse_asking(asking: Asking, now: datetime) -> dict[str, TicketRefusal]:
    """Say by field what keeps the ticket from being taken, beside what ``scope.refuse_look_up`` says."""
    found: dict[str, TicketRefusal] = {}
    if not asking.is_emergency and asking.asked_today >= asking.asked_today_max:
        found[""] = TicketRefusal.DAY_USED_UP
    purpose = asking.look_up.purpose
    if asking.is_emergency and purpose is not None and purpose not in URGENT:
        found["basis"] = TicketRefusal.NOT_URGENT
    if (asking.is_emergency or asking.delayed_until is not None) and not is_reason(asking.reason):
        found["reason"] = TicketRefusal.NO_REASON
    if asking.delayed_until is not None:
        if asking.delayed_until <= now:
            found["delay"] = TicketRefusal.DELAY_IN_PAST
        elif asking.delayed_until > now + DELAY_MAX:
            found["delay"] = TicketRefusal.DELAY_TOO_LONG
    return found


def is_reason(text: str) -> bool:
    return REASON_LENGTH_MIN <= len(text.strip()) <= REASON_LENGTH_MAX


@dataclass(frozen=True, slots=True)
class TicketFacts:
    """What decides about a stored ticket; ``granted_wall`` is the machine's time, the others the community's."""

    community_id: str
    asked_by: int
    state: TicketState
    emergency: bool
    limits: tuple[str, ...]
    granted_wall: datetime | None = None
    review_due_at: datetime | None = None
    reviewed_at: datetime | None = None

    @property
    def review_owed(self) -> bool:
        return self.review_due_at is not None and self.reviewed_at is None


def may_see_ticket(viewer: Viewer, facts: TicketFacts) -> bool:
    """Say whether a ticket is there for this person: police of the community see that it was asked, not its rows."""
    police = viewer.role in (Role.POLICE_OFFICER, Role.POLICE_SUPERVISOR)
    return police and viewer.community_id is not None and viewer.community_id == facts.community_id


def refuse_answer(
    viewer: Viewer, facts: TicketFacts, answer: Answer | None, reason: str
) -> TicketRefusal | None:
    """Say why this person's word on a ticket does not count; None: it does.

    A second officer may agree to what is within the limits; she may refuse anything, with a reason, as a supervisor
    may. A supervisor always says why.
    """
    if answer is None:
        return TicketRefusal.NOT_AN_ANSWER
    if viewer.user_id == facts.asked_by:
        return TicketRefusal.OWN_TICKET
    if facts.state is not TicketState.ASKED:
        return TicketRefusal.DECIDED_ALREADY
    if viewer.role is not Role.POLICE_SUPERVISOR:
        if facts.limits and answer is Answer.GRANT:
            return TicketRefusal.SUPERVISOR_NEEDED
        if answer is Answer.GRANT:
            return None
    return None if is_reason(reason) else TicketRefusal.NO_REASON


def refuse_review(
    viewer: Viewer, facts: TicketFacts, review: Review | None, reason: str
) -> TicketRefusal | None:
    """Say why a review does not count; None: it does."""
    if viewer.user_id == facts.asked_by:
        return TicketRefusal.OWN_TICKET
    if viewer.role is not Role.POLICE_SUPERVISOR:
        return TicketRefusal.SUPERVISOR_NEEDED
    if not facts.review_owed:
        return TicketRefusal.DECIDED_ALREADY
    if review is None:
        return TicketRefusal.NOT_AN_ANSWER
    return None if is_reason(reason) else TicketRefusal.NO_REASON


def stands(facts: TicketFacts, wall: datetime) -> bool:
    """Say whether rows may still be read under the ticket."""
    granted = facts.state is TicketState.GRANTED and facts.granted_wall is not None
    return granted and facts.granted_wall is not None and wall < facts.granted_wall + TICKET_STANDS


def review_overdue(facts: TicketFacts, now: datetime) -> bool:
    return facts.review_owed and facts.review_due_at is not None and facts.review_due_at < now


#: Below this nothing is published as a number, nought included: the difference of two tables tells as much.
PUBLISHED_FROM = 5


def publish(count: int) -> int | None:
    """Return a count as the public may see it; None is said as "fewer than 5"."""
    return count if count >= PUBLISHED_FROM else None
