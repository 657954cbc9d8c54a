"""Who may see and do what: a viewer and the facts of an object enter, what may be shown leaves; pure.

Every page and every API answer asks here. Out of scope and not there are the same answer to the asker. Masking of
names and telephone numbers happens here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from kaimen.vocabulary import CaseCause, CaseState, Role, Stage, TaskKind, TaskState

LOOK_UP_WINDOW_MAX = timedelta(days=7)
CASE_NUMBER_LENGTH_MAX = 40

HELPER_ROLES = frozenset(
    {Role.NEIGHBOUR_WATCHER, Role.STAIRWELL_LIAISON, Role.SAFETY_GUARDIAN, Role.GRID_WORKER, Role.GUARD}
)


class Section(StrEnum):
    """A part of the console; each is a page or a few."""

    ALARMS = "alarms"
    MORNING = "morning"
    TASKS = "tasks"
    BUILDINGS = "buildings"
    HOUSEHOLDS = "households"
    ACCESS_LOG = "access_log"
    SIGNALS = "signals"
    RENTALS = "rentals"
    DEVICES = "devices"
    TECHNICAL = "technical"
    QUARANTINE = "quarantine"
    FAMILY = "family"
    POLICE = "police"
    LOOK_UP = "look_up"
    TICKETS = "tickets"
    AUDIT = "audit"
    ADMIN = "admin"
    DUTY = "duty"
    DRY_RUN = "dry_run"
    FIGURES = "figures"
    WHO_LOOKED = "who_looked"
    PORTFOLIO = "portfolio"
    LOOK_BACK = "look_back"
    COMMITTEE = "committee"
    RESIDENT = "resident"
    RESIDENT_CARDS = "resident_cards"
    RESIDENT_CONSENTS = "resident_consents"
    RESIDENT_LOOKED = "resident_looked"
    SECOND_PERSON = "second_person"
    DESK_NOTES = "desk_notes"
    KIOSKS = "kiosks"


_SECTIONS: dict[Role, tuple[Section, ...]] = {
    Role.PROPERTY_CLERK: (
        Section.ALARMS, Section.MORNING, Section.TASKS, Section.DESK_NOTES, Section.BUILDINGS, Section.HOUSEHOLDS,
        Section.ACCESS_LOG, Section.SIGNALS, Section.RENTALS, Section.TECHNICAL, Section.DEVICES, Section.QUARANTINE,
        Section.DUTY, Section.DRY_RUN, Section.WHO_LOOKED,
    ),
    Role.POLICE_OFFICER: (
        Section.POLICE, Section.SIGNALS, Section.RENTALS, Section.LOOK_UP, Section.TICKETS, Section.DUTY,
    ),
    Role.FAMILY: (Section.FAMILY,),
    Role.ADMIN: (
        Section.ADMIN, Section.KIOSKS, Section.FIGURES, Section.DUTY, Section.DRY_RUN, Section.LOOK_BACK, Section.TECHNICAL,
        Section.DEVICES, Section.QUARANTINE, Section.WHO_LOOKED,
    ),
    Role.PROPERTY_DIRECTOR: (Section.PORTFOLIO, Section.LOOK_BACK, Section.SECOND_PERSON),
    Role.COMMUNITY_COMMITTEE: (Section.COMMITTEE, Section.SECOND_PERSON),
    Role.RESIDENT: (
        Section.RESIDENT, Section.RESIDENT_CARDS, Section.RESIDENT_CONSENTS, Section.RESIDENT_LOOKED,
    ),
    # Who agrees to a look-up reads none herself, and who judges looks does nothing else.
    Role.POLICE_SUPERVISOR: (Section.TICKETS,),
    Role.AUDITOR: (Section.AUDIT,),
    **dict.fromkeys(HELPER_ROLES, (Section.TASKS,)),
    **dict.fromkeys((Role.GUARD, Role.GRID_WORKER), (Section.TASKS, Section.DUTY)),
}  # fmt: skip


class Sight(IntEnum):
    """How much of a household or a case is shown; each level includes the ones before."""

    NOTHING = 0
    COUNT = 1  # it is in a number, nowhere else
    PLACE = 2  # building and unit, so that a helper can say whether she can go
    MASKED = 3  # door, masked name, state, evidence
    NAMED = 4  # the full name, because this person has to ring or to go


class Act(StrEnum):
    """What people do to cases; the words stand in forms and in the API."""

    CLAIM = "claim"
    RELEASE = "release"
    NOTE = "note"
    BEGIN_VISIT = "begin_visit"
    OUTCOME = "outcome"
    CONFIRM_CLOSING = "confirm_closing"
    HOLD = "hold"
    HAND_OVER = "hand_over"
    REVEAL = "reveal"


class PurposeClass(StrEnum):
    """Why police look into the access log: a closed list, free text is no purpose."""

    MISSING_PERSON = "missing_person"
    LIFE_RISK = "life_risk"
    CRIMINAL_CASE = "criminal_case"
    PUBLIC_ORDER = "public_order"
    RESCUE = "rescue"


class LegalBasis(StrEnum):
    """On what paper a look-up rests."""

    CASE_FILE = "case_file"
    WRITTEN_REQUEST = "written_request"
    EMERGENCY = "emergency"
    CONSENT = "consent"


class RevealPurpose(StrEnum):
    """Why a full name or a reason of absence is read."""

    CALL_BACK = "call_back"
    VISIT = "visit"
    EMERGENCY = "emergency"
    RECORD_CORRECTION = "record_correction"


class LookUpRefusal(StrEnum):
    """Why a look-up is not made; shown in words."""

    NO_PURPOSE = "purpose_missing"
    NO_CASE_NUMBER = "case_number_missing"
    NO_LEGAL_BASIS = "required"
    NO_PLACE = "place_missing"
    NO_TIME = "not_a_time"
    WINDOW_EMPTY = "from_after_to"
    WINDOW_TOO_LONG = "window_too_long"
    WINDOW_IN_FUTURE = "not_valid"


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in person: one role, one community at a time, and for family and residents the households that are theirs.

    ``community_ids`` are all she may choose among; of ``blocked_ids`` she learns what somebody learns whom the elder
    did not agree to tell.
    """

    user_id: int
    name: str
    display_name: str
    role: Role
    community_id: str | None
    language: str = "zh"
    household_ids: frozenset[str] = frozenset()
    blocked_ids: frozenset[str] = frozenset()
    community_ids: frozenset[str] = frozenset()

    @property
    def is_helper(self) -> bool:
        return self.role in HELPER_ROLES


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What decides about a task: whose role it asks, who has it, and in which state it is."""

    role: str
    kind: TaskKind
    state: TaskState
    assignee_id: int | None = None

    @property
    def is_open(self) -> bool:
        return self.state in (TaskState.OPEN, TaskState.CLAIMED)


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What decides about a case; ``shares_with_police`` is the elder's consent, or a hand-over."""

    community_id: str
    household_id: str | None
    cause: CaseCause
    stage: Stage
    state: CaseState
    handed_to_police: bool = False
    shares_with_police: bool = False
    told_police: bool = False
    tasks: tuple[TaskFacts, ...] = field(default=())


def sections_of(role: Role) -> tuple[Section, ...]:
    """Return the parts of the console a role works in; the first is where it arrives."""
    return _SECTIONS[role]


def may_enter(viewer: Viewer, section: Section) -> bool:
    return section in _SECTIONS[viewer.role]


#: Who is shown numbers, or her own page in her own words, and never a case.
_NO_CASES = frozenset({Role.PROPERTY_DIRECTOR, Role.COMMUNITY_COMMITTEE, Role.RESIDENT})
#: Duress is in neither list, whoever asks: the one at the door may be of the family, or the helper.
_FOR_FAMILY = frozenset({CaseCause.INACTIVITY, CaseCause.SOS, CaseCause.ABSENCE})
_FOR_OPERATORS = frozenset({CaseCause.TECHNICAL, CaseCause.DEVICE_FAULT, CaseCause.BATTERY})
#: What the desk settles by itself; police learn nothing of who is away or whose word is looked at again.
_OF_THE_DESK = _FOR_OPERATORS | {CaseCause.ABSENCE, CaseCause.REVIEW}


def causes_of(role: Role) -> frozenset[CaseCause] | None:
    """Return the causes whose cases a role may ever be shown; None: every one, each by its own facts."""
    return {Role.FAMILY: _FOR_FAMILY, Role.ADMIN: _FOR_OPERATORS}.get(role)


def see_case(viewer: Viewer, facts: CaseFacts) -> Sight:
    """Say how much of a case the viewer is shown."""
    if viewer.role in _NO_CASES:
        return Sight.NOTHING
    if viewer.role is Role.FAMILY:
        mine = facts.household_id is not None and facts.household_id in viewer.household_ids
        return Sight.MASKED if mine and facts.cause in _FOR_FAMILY else Sight.NOTHING
    if viewer.role is Role.ADMIN:
        everywhere = viewer.community_id in (None, facts.community_id)
        return Sight.MASKED if everywhere and facts.cause in _FOR_OPERATORS else Sight.NOTHING
    if viewer.community_id is None or viewer.community_id != facts.community_id:
        return Sight.NOTHING
    if viewer.role is Role.PROPERTY_CLERK:
        return Sight.MASKED
    if viewer.role is Role.POLICE_OFFICER:
        return _police_sight(facts)
    return _helper_sight(viewer, facts)


def _police_sight(facts: CaseFacts) -> Sight:
    if facts.cause in _OF_THE_DESK or facts.state is CaseState.CLOSED:
        return Sight.NOTHING
    if facts.cause is not CaseCause.INACTIVITY:
        return Sight.NAMED if facts.told_police or facts.handed_to_police else Sight.NOTHING
    named = facts.stage >= Stage.VISIT or facts.handed_to_police or facts.shares_with_police
    return Sight.NAMED if named else Sight.COUNT


def _helper_sight(viewer: Viewer, facts: CaseFacts) -> Sight:
    return max((see_task(viewer, facts, task) for task in facts.tasks), default=Sight.NOTHING)


def see_task(viewer: Viewer, facts: CaseFacts, task: TaskFacts) -> Sight:
    """Say how much of a task is shown: a helper learns the door and the name once the task is hers."""
    if viewer.role in (Role.PROPERTY_CLERK, Role.ADMIN):
        return see_case(viewer, facts)
    if viewer.role is Role.FAMILY:
        return see_case(viewer, facts) if task.kind is TaskKind.CONFIRM_BACK else Sight.NOTHING
    if viewer.community_id != facts.community_id or not task.is_open:
        return Sight.NOTHING
    if viewer.role is Role.POLICE_OFFICER:
        return see_case(viewer, facts) if task.role == viewer.role else Sight.NOTHING
    if not viewer.is_helper:
        return Sight.NOTHING
    if task.assignee_id == viewer.user_id:
        return Sight.NAMED
    if task.role != viewer.role or task.assignee_id is not None:
        return Sight.NOTHING
    return Sight.NAMED if facts.household_id in viewer.household_ids else Sight.PLACE


_CLERK_ACTS = frozenset(Act)
_HELPER_ACTS = frozenset({Act.CLAIM, Act.RELEASE, Act.NOTE, Act.BEGIN_VISIT, Act.OUTCOME})


def may_act(viewer: Viewer, act: Act, facts: CaseFacts) -> bool:
    """Say whether the role may do this act to a case it sees; whether the case allows it, alerts says."""
    sight = see_case(viewer, facts)
    if viewer.role is Role.PROPERTY_CLERK:
        return sight >= Sight.MASKED and act in _CLERK_ACTS
    if viewer.role is Role.POLICE_OFFICER:
        asked = any(task.role == viewer.role and task.is_open for task in facts.tasks)
        return sight is Sight.NAMED and (act is Act.NOTE or (asked and act in _HELPER_ACTS))
    if viewer.is_helper:
        return sight >= Sight.PLACE and act in _HELPER_ACTS
    if viewer.role is Role.FAMILY:
        # Her family knows best whether she is back; nothing else of a case is theirs to settle.
        return sight >= Sight.MASKED and act is Act.OUTCOME and facts.cause is CaseCause.ABSENCE
    if viewer.role is Role.ADMIN:
        return sight >= Sight.MASKED and act in (Act.CLAIM, Act.RELEASE, Act.NOTE, Act.OUTCOME)
    return False


def see_household(viewer: Viewer, *, household_id: str, community_id: str) -> Sight:
    """Say how much of a household's page is shown outside any case."""
    if viewer.role is Role.FAMILY:
        mine = viewer.household_ids | viewer.blocked_ids
        return Sight.MASKED if household_id in mine else Sight.NOTHING
    if viewer.role is Role.RESIDENT:
        return Sight.NAMED if household_id in viewer.household_ids else Sight.NOTHING
    if viewer.role is Role.PROPERTY_CLERK and viewer.community_id == community_id:
        return Sight.MASKED
    return Sight.NOTHING


def see_place(viewer: Viewer, community_id: str) -> bool:
    """Say whether doors and devices of a community are the viewer's business."""
    if viewer.role is Role.ADMIN:
        return viewer.community_id in (None, community_id)
    return viewer.role is Role.PROPERTY_CLERK and viewer.community_id == community_id


def mask_name(name: str) -> str:
    """Hide the middle of a name: 王秀英 → 王*英, 郑成 → 郑*, Mary Smith → M*** S***."""
    words = name.split()
    if not words:
        return "*"
    if len(words) > 1:
        return " ".join(f"{word[0]}***" for word in words)
    word = words[0]
    if word.isascii():
        return f"{word[0]}***"
    if len(word) <= 2:
        return f"{word[0]}*"
    return f"{word[0]}{'*' * (len(word) - 2)}{word[-1]}"


def mask_phone(phone: str) -> str:
    """Keep the first three and the last four digits: 138****1234; shorter numbers are hidden whole."""
    digits = "".join(character for character in phone if character.isdigit())
    if len(digits) < 9:
        return "*" * len(digits)
    return f"{digits[:3]}****{digits[-4:]}"


def show_name(name: str, sight: Sight) -> str:
    """Return the name as far as ``sight`` goes."""
    if sight >= Sight.NAMED:
        return name
    return mask_name(name) if sight >= Sight.MASKED else "*"


@dataclass(frozen=True, slots=True)
class LookUp:
    """What a police officer asks of the access log; the place is a device, buildings, or a named person's ways."""

    purpose: PurposeClass | None
    case_number: str
    basis: LegalBasis | None
    place: str
    from_at: datetime | None
    to_at: datetime | None


def refuse_look_up(look_up: LookUp, now: datetime) -> tuple[LookUpRefusal, ...]:
    """Say everything that keeps a look-up from being made; nothing: it may be made."""
    return tuple(_refusals(look_up, now))


def _refusals(look_up: LookUp, now: datetime) -> Iterable[LookUpRefusal]:
    if look_up.purpose is None:
        yield LookUpRefusal.NO_PURPOSE
    number = look_up.case_number.strip()
    # A number without digits is an excuse, not a number.
    if not any(character.isdigit() for character in number) or not 4 <= len(number) <= CASE_NUMBER_LENGTH_MAX:
        yield LookUpRefusal.NO_CASE_NUMBER
    if look_up.basis is None:
        yield LookUpRefusal.NO_LEGAL_BASIS
    if not look_up.place.strip():
        yield LookUpRefusal.NO_PLACE
    if look_up.from_at is None or look_up.to_at is None:
        yield LookUpRefusal.NO_TIME
        return
    if look_up.from_at >= look_up.to_at:
        yield LookUpRefusal.WINDOW_EMPTY
    if look_up.to_at - look_up.from_at > LOOK_UP_WINDOW_MAX:
        yield LookUpRefusal.WINDOW_TOO_LONG
    if look_up.from_at > now:
        yield LookUpRefusal.WINDOW_IN_FUTURE
