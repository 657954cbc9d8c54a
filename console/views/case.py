"""The alarm console and a case."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from console.views.evidence import EvidenceChart
from console.views.grounds import Beside, CaseGrounds, Grounds, HouseholdLine, Incident, Technical
from console.views.household_books import BookPerson
from console.views.parts import Act, Contact, DayLine, Form, HouseholdName, Mark, Phrase
from console.views.registry import TEMPLATES
from console.views.technical import CutRow
from kaimen.vocabulary import (
    CaseState,
    Contacted,
    Grade,
    Outcome,
    Role,
    TaskKind,
    TaskState,
)


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One row of the alarm console: who, how long, why, what next, who has it, by when."""

    id: int
    number: str
    mark: Mark
    state: CaseState
    url: str  # selects it: /alarms?tab=…&case=…
    page_url: str  # /cases/{id}
    household: HouseholdName | None = None
    technical: Technical | None = None
    incident: Incident | None = None
    grade: Grade | None = None  # of inactivity alone
    line: DayLine | None = None
    grounds: Grounds | None = None
    act: TaskKind | None = None
    begun_at: datetime | None = None  # somebody stands at the door since then
    next_action: str = ""  # what happens at ``due_at`` where no task is open: list, hold_ends, …
    due_at: datetime | None = None
    holder: str | None = None
    holder_role: Role | None = None
    holder_for: str = ""  # for whom the holder stands in now, and took it
    held_until: datetime | None = None
    held_reason: str | None = None
    proposal_at: datetime | None = None  # when the evidence was, or the word, that proposes closing
    proposal_by: str = ""  # evidence, deceased; empty: nothing is proposed
    closed_at: datetime | None = None
    outcome: Outcome | None = None
    unacknowledged: bool = False
    next_act: Act | None = None


class Tab(StrEnum):
    ALL = "all"
    UNCLAIMED = "unclaimed"
    WORKING = "working"
    HELD = "held"
    ON_TEST = "on_test"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class TabItem:
    tab: Tab
    url: str
    count: int


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """What happened; the same thing ``count`` times in a row is told once, since ``first_at``."""

    at: datetime
    phrase: Phrase
    who: str | None = None
    who_role: Role | None = None
    note: str | None = None
    count: int = 1
    first_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Who else has a most pressing case now; ``at`` is None where her task is not the one that is looked at."""

    user_id: int
    name: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskView:
    """One act asked of one role. ``form`` is there where this reader may record an outcome now."""

    id: int
    kind: TaskKind
    state: TaskState
    role: str
    due_at: datetime
    start_at: datetime | None = None
    household: HouseholdName | None = None
    case_number: str = ""
    incident: Incident | None = None  # of every cause but the days, and silence of devices
    mark: Mark = Mark.NORMAL
    url: str = ""
    assignee: str | None = None
    assignee_for: str = ""  # for whom whoever has it stands in now
    begun_at: datetime | None = None
    done_at: datetime | None = None
    done_by: str | None = None
    outcome: Outcome | None = None
    contacted: Contacted | None = None
    witness: str | None = None
    note: str | None = None
    outcomes: tuple[Outcome, ...] = ()
    form: Form | None = None
    technical: Technical | None = None  # which device or gateway is to be checked
    held: Held | None = None  # what is recorded ends what somebody else has: she is named first


@dataclass(frozen=True, slots=True)
class NextStep:
    """The box with the ONE primary button."""

    act: TaskKind | None  # None: wait for the next instant (the case says which)
    due_at: datetime | None = None
    assignee: str | None = None
    assignee_role: Role | None = None
    accepted_at: datetime | None = None
    starts_at: datetime | None = None  # a call of the night starts in the morning
    primary: Act | None = None
    others: tuple[Act, ...] = ()
    begun_at: datetime | None = None  # the visitor stands at the door


@dataclass(frozen=True, slots=True)
class ReviewedWord:
    """The "well" that a second look is about; ``own``: the reader recorded it, and somebody else answers."""

    by: str
    at: datetime
    act: TaskKind
    contacted: Contacted | None
    witness: str
    case_number: str
    case_url: str
    own: bool


@dataclass(frozen=True, slots=True)
class CaseView:
    """One case as the aside and the case page show it."""

    row: CaseRow
    opened_at: datetime
    policy_version: int
    next_step: NextStep | None = None
    timeline: tuple[TimelineEntry, ...] = ()  # newest first
    contacts: tuple[Contact, ...] = ()
    tasks: tuple[TaskView, ...] = ()
    chart: EvidenceChart | None = None
    households: tuple[HouseholdLine, ...] = ()  # technical: whom it stands for, longest unseen first
    known: CaseGrounds | None = None
    word: ReviewedWord | None = None
    beside: tuple[Beside, ...] = ()
    note_form: Form | None = None
    hold_form: Form | None = None
    hand_over_form: Form | None = None
    hand_over_roles: tuple[str, ...] = ()
    confirm_form: Form | None = None  # proposal at VISIT: yes or no
    reveal_purposes: tuple[str, ...] = ()  # this reader may see the full name, once, for one of these
    reveal_form: Form = field(default_factory=Form)
    still_there: tuple[BookPerson, ...] = ()  # closed by a death: who still stands in the books of the home


@dataclass(frozen=True, slots=True)
class AlarmsPage:
    """The alarm console. ``chosen`` says that the reader chose ``selected`` (on a phone it becomes the page)."""

    tab: Tab
    tabs: tuple[TabItem, ...]
    rows: tuple[CaseRow | CutRow, ...]  # a cut stands where the first of its cases does, for all of them
    selected: CaseView | None = None
    chosen: bool = False
    more_url: str | None = None
    watched_count: int = 0
    last_pulse_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CasePage:
    case: CaseView
    back_url: str = "/alarms"
    back_name: str = "alarms"  # a word below ``nav.``


TEMPLATES["alarms.html"] = (AlarmsPage, "/alarms")  # ?tab= ?case= ?after=; fragments: list, aside
TEMPLATES["case.html"] = (CasePage, "/cases/{id}")  # fragment: case
