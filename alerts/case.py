"""The facts of a case and what may be decided about it, as frozen types: rows enter, decisions leave; pure.

``CaseFacts`` is a row of ``cases`` together with its tasks and with what stands against the household: announced
stages not withdrawn, checks not ended, outages not over. ``_at`` values are aware datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias

from alerts.grading import UNGRADED, Grounds
from alerts.roster import CommunityDuty
from kaimen.policy import CauseLadder, LadderPolicy
from kaimen.vocabulary import CaseCause, CaseState, Contacted, Outcome, Role, Stage, TaskKind, TaskState

#: These two have rules of their own; every other cause is worked through its ladder in the policy.
OWN_RULES = frozenset({CaseCause.INACTIVITY, CaseCause.TECHNICAL})


class Reason(StrEnum):
    """Why a decision is as it is; the value is also the catalogue key of the case's entry."""

    # What ingest told.
    OPENED = "opened"
    RAISED = "raised"
    CROSSED_AGAIN = "crossed_again"
    NOT_SEEN = "not_seen"
    ALREADY_ANSWERED = "already_answered"
    LOWERED = "lowered"
    EVIDENCE_NOTED = "evidence_noted"
    EVIDENCE_DURING_VISIT = "evidence_during_visit"
    CLOSING_PROPOSED = "closing_proposed"
    CLOSED_BY_EVIDENCE = "closed_by_evidence"
    NOTHING_OPEN = "nothing_open"
    OUTAGE_OPENED = "outage_opened"
    NEVER_HEARD = "never_heard"
    OUTAGE_JOINED = "outage_joined"
    OUTAGE_PARTLY_OVER = "outage_partly_over"
    CLOSED_RESTORED = "closed_restored"
    CLOSED_FOLDED = "closed_folded"
    SET_ASIDE = "set_aside"
    NOTICE_RAISED = "notice_raised"
    QUARANTINE_WAITS = "quarantine_waits"
    REMOTE_ONLY = "remote_only"
    SIGNALLED = "signalled"
    SIGNALLED_AGAIN = "signalled_again"
    SIGNAL_ENDED = "signal_ended"
    CLOSED_BY_ITSELF = "closed_by_itself"
    BACK_ASKED = "back_asked"
    BACK_BY_EVIDENCE = "back_by_evidence"
    REVIEW_ASKED = "review_asked"
    # What the clock said.
    LISTED = "listed"
    STARTED = "started"
    LEASE_EXPIRED = "lease_expired"
    SHIFT_ENDED = "shift_ended"
    ON_DUTY = "on_duty"
    HOLD_ENDED = "hold_ended"
    NOT_CONFIRMED = "not_confirmed"
    CALL_OVERDUE = "call_overdue"
    VISIT_PASSED_ON = "visit_passed_on"
    VISIT_OVERDUE = "visit_overdue"
    DEVICE_CHECK_OVERDUE = "device_check_overdue"
    REOPENED = "reopened"
    NOTHING_DUE = "nothing_due"
    TASK_OVERDUE = "task_overdue"
    TOLD_FURTHER = "told_further"
    CLOSED_UNANSWERED = "closed_unanswered"
    # What a person did.
    CLAIMED = "claimed"
    RELEASED = "released"
    NOTED = "noted"
    VISIT_BEGUN = "visit_begun"
    CLOSED_BY_OUTCOME = "closed_by_outcome"
    NO_ANSWER_TRY_AGAIN = "no_answer_try_again"
    NO_ANSWER_NEXT_STEP = "no_answer_next_step"
    SENSOR_FAULT_NOTED = "sensor_fault_noted"
    SECOND_PERSON_ASKED = "second_person_asked"
    DEVICE_CHECKED = "device_checked"
    CLOSING_CONFIRMED = "closing_confirmed"
    CLOSING_REJECTED = "closing_rejected"
    HELD = "held"
    HANDED_OVER = "handed_over"
    SHIFT_ACCEPTED = "shift_accepted"
    REMOTE_WELL = "remote_well"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    CONSENT_WITHDRAWN_PROPOSED = "consent_withdrawn_proposed"
    ABSENCE_RESTORED = "absence_restored"
    WORD_DOUBTED = "word_doubted"
    MET = "met"


class Refusal(StrEnum):
    """Why an act is not possible now."""

    UNKNOWN = "unknown"
    CASE_CLOSED = "case_closed"
    TASK_ENDED = "task_ended"
    HELD_BY_ANOTHER = "held_by_another"
    NOT_THE_HOLDER = "not_the_holder"
    WRONG_TASK = "wrong_task"
    NOT_AN_OUTCOME = "not_an_outcome"
    HOW_IS_MISSING = "how_is_missing"
    WITNESS_IS_MISSING = "witness_is_missing"
    ABSENCE_NEEDS_END = "absence_needs_end"
    ABSENCE_TOO_LONG = "absence_too_long"
    NOTHING_PROPOSED = "nothing_proposed"
    SECOND_PERSON_NEEDED = "second_person_needed"
    REASON_IS_MISSING = "reason_is_missing"
    HOLD_NEEDS_END = "hold_needs_end"
    HOLD_TOO_LONG = "hold_too_long"
    NOTE_IS_EMPTY = "note_is_empty"
    NOTE_TOO_LONG = "note_too_long"
    UNKNOWN_ROLE = "unknown_role"
    REMOTE_TOO_OFTEN = "remote_too_often"
    NOT_A_TIME = "not_a_time"
    WHO_IS_MISSING = "who_is_missing"


class ActRefused(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """The state of the case does not allow the act; ``reason`` is a :class:`Refusal`."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


class NextAction(StrEnum):
    """What happens at ``next_action_at`` unless somebody acts before."""

    LIST = "list"
    CALL_STARTS = "call_starts"
    CALL_DUE = "call_due"
    VISIT_STARTS = "visit_starts"
    VISIT_DUE = "visit_due"
    DEVICE_CHECK_DUE = "device_check_due"
    CONFIRM_DUE = "confirm_due"
    LEASE_ENDS = "lease_ends"
    HOLD_ENDS = "hold_ends"
    ANNUNCIATE_AGAIN = "annunciate_again"
    TASK_STARTS = "task_starts"
    TASK_DUE = "task_due"
    TELL_FURTHER = "tell_further"


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """One act asked of one role; ``id`` is None until it is written."""

    kind: TaskKind
    role: str
    state: TaskState
    created_at: datetime
    start_at: datetime
    due_at: datetime
    id: int | None = None
    assignee_id: int | None = None
    claimed_at: datetime | None = None
    begun_at: datetime | None = None
    done_at: datetime | None = None
    done_by: int | None = None
    outcome: str | None = None
    contacted: str | None = None
    witness: str | None = None
    note: str | None = None

    @property
    def is_open(self) -> bool:
        return self.state in (TaskState.OPEN, TaskState.CLAIMED)


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """One case, its tasks in order of creation, and what stands against its household."""

    cause: CaseCause
    community_id: str
    household_id: str | None
    cause_key: str | None
    opened_at: datetime
    stage_at: datetime
    policy: LadderPolicy
    id: int | None = None
    number: str = ""
    stage: Stage = Stage.NORMAL
    check_step: int = 0
    state: CaseState = CaseState.OPEN
    deadline_at: datetime | None = None
    evidence_at: datetime | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    next_action: str = ""
    next_action_at: datetime | None = None
    holder_id: int | None = None
    lease_expires_at: datetime | None = None
    held_until: datetime | None = None
    held_reason: str | None = None
    visit_begun_at: datetime | None = None
    proposal: Mapping[str, Any] | None = None
    proposal_at: datetime | None = None
    remote_well_count: int = 0
    grounds: Grounds = UNGRADED
    signal_count: int = 0
    outcome: Outcome | None = None
    closed_at: datetime | None = None
    closed_by: str | None = None
    reopened_from: int | None = None
    version: int = 0
    tasks: tuple[TaskFacts, ...] = ()
    standing: frozenset[int] = frozenset()
    checks: frozenset[int] = frozenset()
    outages: frozenset[int] = frozenset()
    signals: frozenset[int] = frozenset()
    annunciated: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.state is not CaseState.CLOSED

    @property
    def ladder(self) -> CauseLadder | None:
        """The ladder of the case's cause; None where the cause has rules of its own."""
        return None if self.cause in OWN_RULES else self.policy.causes[self.cause.value]

    @property
    def rank(self) -> int:
        """How pressing: of inactivity the heavier of stage and check step, of another cause its priority."""
        if self.ladder is not None:
            return self.ladder.priority
        return max(int(self.stage), min(self.check_step, 3))

    @property
    def lease_ms(self) -> int:
        return self.ladder.lease_ms if self.ladder is not None else self.policy.lease_ms(self.rank)

    @property
    def sla_ms(self) -> int:
        return self.ladder.sla_ms if self.ladder is not None else self.policy.sla_ms(self.rank)

    @property
    def open_tasks(self) -> tuple[TaskFacts, ...]:
        return tuple(task for task in self.tasks if task.is_open)

    @property
    def is_reported_deceased(self) -> bool:
        return self.proposal is not None and self.proposal.get("kind") == Outcome.DECEASED.value

    def is_owned(self, now: datetime) -> bool:
        return self.lease_expires_at is not None and self.lease_expires_at > now


# --- what may happen to a case ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Crossing:
    """The household entered a stage; ``gone`` where that was withdrawn before we came to handle it.

    A policy may have more thresholds than three: what is beyond VISIT is worked on as VISIT.
    """

    stage: int
    at: datetime
    announced_at: datetime
    evidence_at: datetime
    evidence: Mapping[str, Any]
    inactive_ms: int
    elapsed_ms: int
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An announced stage stands no more."""

    stage: int
    withdrawn_at: datetime
    evidence_at: datetime
    evidence: Mapping[str, Any]
    late: bool


@dataclass(frozen=True, slots=True)
class CheckDue:
    """Time nobody saw keeps the household from a stage; somebody must look all the same."""

    step: int
    at: datetime
    noticed_at: datetime
    evidence_at: datetime
    evidence: Mapping[str, Any]
    inactive_ms: int
    gone: bool = False


@dataclass(frozen=True, slots=True)
class CheckEnded:
    step: int
    ended_at: datetime
    evidence_at: datetime
    evidence: Mapping[str, Any]
    late: bool


@dataclass(frozen=True, slots=True)
class OutageBegan:
    outage_id: int
    device_id: str
    cause: str
    cause_id: str
    began_at: datetime
    heard_at: datetime | None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class OutageEnded:
    outage_id: int
    device_id: str
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class OutageMoved:
    """An outage belongs to another cause than was told: this one."""

    outage_id: int
    device_id: str
    cause: str
    cause_id: str
    from_cause: str
    from_cause_id: str
    began_at: datetime
    heard_at: datetime | None
    moved_at: datetime
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Signal:
    """Something was signalled that is no inactivity: a call for help, a forced door, strangers, a fault.

    ``subject`` is what it is about (``household:…``, ``device:…``): one open case per cause and subject. ``gone``
    where what was signalled was over before we came to handle it.
    """

    signal_id: int
    cause: CaseCause
    kind: str
    subject: str
    at: datetime
    evidence: Mapping[str, Any]
    gone: bool = False


@dataclass(frozen=True, slots=True)
class OutageLeft:
    """The same, as the case it was told under sees it."""

    outage_id: int
    device_id: str
    cause: str
    to_cause: str
    to_cause_id: str
    moved_at: datetime


@dataclass(frozen=True, slots=True)
class SignalEnded:
    """What was signalled is over; ``reason`` is ingest's."""

    signal_id: int
    ended_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class OpenedWhileAway:
    """A door opened inside a declared absence; ``certain``: it was she herself, or somebody met her at home."""

    absence_id: int
    subject: str
    evidence_at: datetime
    evidence: Mapping[str, Any]
    certain: bool


@dataclass(frozen=True, slots=True)
class WellToReview:
    """One of the wells drawn at random: another person looks whether it was one."""

    subject: str
    recorded_by: int
    at: datetime
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TimerDue:
    """The case's ``next_action_at`` has come."""


@dataclass(frozen=True, slots=True)
class ConsentWithdrawn:
    """The household no longer agrees to be watched."""


@dataclass(frozen=True, slots=True)
class StandsUnanswered:
    """A case was closed, but what it stood for stands on and nothing has answered it."""

    closed_case_id: int
    stage: Stage
    check_step: int
    at: datetime
    evidence_at: datetime
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WorkSetAside:
    """Something of this community could not be handled (or, ``over``, all of it could be by now)."""

    over: bool = False


@dataclass(frozen=True, slots=True)
class QuarantineWaits:
    """Messages of a site could not be stored and nobody has answered (or, ``over``, none waits by now)."""

    site_id: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class RemoteOnly:
    """For days nobody has heard or seen her and no door opened: only keys were pressed."""

    evidence_at: datetime


@dataclass(frozen=True, slots=True)
class ShiftEnded:
    """The holder's shift is over and nobody has taken the case over by name."""

    user_id: int
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class AcceptShift:
    """Somebody takes over by name what the one before her held."""

    user_id: int
    role: str
    from_user_id: int


@dataclass(frozen=True, slots=True)
class Claim:
    user_id: int
    role: str


@dataclass(frozen=True, slots=True)
class Release:
    user_id: int


@dataclass(frozen=True, slots=True)
class AddNote:
    user_id: int
    note: str


@dataclass(frozen=True, slots=True)
class BeginVisit:
    user_id: int
    task_id: int


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    user_id: int
    task_id: int
    outcome: Outcome
    contacted: Contacted | None = None
    witness: str | None = None
    note: str = ""
    absence_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConfirmClosing:
    user_id: int
    confirmed: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    user_id: int
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class HandOver:
    user_id: int
    to_role: Role
    note: str = ""


@dataclass(frozen=True, slots=True)
class RemoteWell:
    """She (or one who heard from her) pressed a key: nobody spoke with her, nobody saw her."""

    via: str
    user_id: int | None = None
    how: str = "remote"
    recorded_by: str = ""


@dataclass(frozen=True, slots=True)
class MetHer:
    """Somebody spoke with her, saw her or handed her a meal, outside of any case; ``witness`` is that person."""

    how: str
    witness: str
    at: datetime
    recorded_by: str = ""


Fact: TypeAlias = (
    Crossing
    | Withdrawal
    | CheckDue
    | CheckEnded
    | OutageBegan
    | OutageMoved
    | OutageEnded
    | Signal
    | SignalEnded
)
Act: TypeAlias = (
    Claim | Release | AddNote | BeginVisit | RecordOutcome | ConfirmClosing | Hold | HandOver | RemoteWell
)
Happening: TypeAlias = (
    Fact
    | ShiftEnded
    | AcceptShift
    | OutageLeft
    | TimerDue
    | ConsentWithdrawn
    | StandsUnanswered
    | WorkSetAside
    | QuarantineWaits
    | RemoteOnly
    | OpenedWhileAway
    | WellToReview
    | Act
)


# --- what a decision asks for beside the new case -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the timeline; ``words`` is a catalogue key."""

    words: Reason
    args: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class Annunciate:
    """Tell people that the case asks for them; who, by which channel, is the roster's matter."""

    step: str
    repetition: int
    not_before: datetime
    roles: tuple[Role, ...]
    family: bool = False
    outside: bool = True


@dataclass(frozen=True, slots=True)
class SupersedeMessages:
    """Whatever is planned and not yet sent for this case goes to nobody."""


@dataclass(frozen=True, slots=True)
class ConfirmMessages:
    """A person has answered: the annunciations of this case count as confirmed."""


@dataclass(frozen=True, slots=True)
class RecordVerified:
    """A person's word becomes evidence for the detector.

    ``real_evidence_at``, of a remote word: when she was last heard, seen or opened. ``recorded_by`` is who wrote it
    down, where that is not the witness.
    """

    at: datetime
    how: str
    witness: str
    real_evidence_at: datetime | None = None
    recorded_by: str = ""


@dataclass(frozen=True, slots=True)
class DeclareAbsence:
    from_at: datetime
    to_at: datetime
    reason: str
    declared_by: str


@dataclass(frozen=True, slots=True)
class ReportSensorFault:
    """The household's door device is in fault: a technical case asks for it to be looked at."""

    user_id: int


@dataclass(frozen=True, slots=True)
class EndWatch:
    """Nobody is left to be watched: the consent to watch ends."""


@dataclass(frozen=True, slots=True)
class FoldHousehold:
    """The technical case stands for every household of this device's door from ``from_at`` on."""

    device_id: str
    from_at: datetime


@dataclass(frozen=True, slots=True)
class UnfoldHousehold:
    device_id: str
    to_at: datetime


@dataclass(frozen=True, slots=True)
class JoinSignal:
    """The case stands for this signal too."""

    signal_id: int


@dataclass(frozen=True, slots=True)
class LeaveSignal:
    """What was signalled is over."""

    signal_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class EndAbsence:
    """She was back at ``at``: what was declared beyond it holds no more."""

    absence_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class RestoreAbsence:
    """It was somebody else: what was declared holds on from ``from_at``, as a row of its own."""

    absence_id: int
    from_at: datetime
    declared_by: str


@dataclass(frozen=True, slots=True)
class AskReview:
    """A well was drawn for a second look."""

    recorded_by: int
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DoubtWord:
    """The word that closed a case was not one: it is taken back, and the rule counts on from before it."""

    case_id: int
    doubted_by: str


Action: TypeAlias = (
    Entry
    | Annunciate
    | SupersedeMessages
    | ConfirmMessages
    | RecordVerified
    | DeclareAbsence
    | ReportSensorFault
    | EndWatch
    | FoldHousehold
    | UnfoldHousehold
    | JoinSignal
    | LeaveSignal
    | EndAbsence
    | RestoreAbsence
    | AskReview
    | DoubtWord
)


@dataclass(frozen=True, slots=True)
class Decision:
    """The reason, the case as it shall be (None: none was opened), and what else shall be written."""

    reason: Reason
    case: CaseFacts | None
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision must know of the world beside the case itself.

    ``helpers`` are the helper roles that somebody of this household's contacts has, in the order in which they
    are asked; ``answered_at`` is the newest word of a person that she is well, or the begin of an absence that holds
    now; ``queue`` counts the people of the community who are asked after before her, and ``staff`` those who may ask;
    ``folded`` says that a technical case stands for this household; ``remote_well_count`` counts key presses since she
    was last heard, seen or opened; ``grounds`` is what was known of her when a stage was reached; ``review_drawn`` that
    this well is looked at again; ``cannot_phone`` that nobody of the household can be spoken to by telephone.
    ``helpers`` may be asked at this hour, each for ``helper_waits_ms`` where it is said; ``duty`` is who of the
    community is at work when.
    """

    community_id: str = ""
    household_id: str | None = None
    helpers: tuple[str, ...] = ()
    answered_at: datetime | None = None
    queue: int = 0
    staff: int = 1
    folded: bool = False
    remote_well_count: int = 0
    remote_well_max: int = 2
    real_evidence_at: datetime | None = None
    grounds: Grounds = UNGRADED
    review_drawn: bool = False
    cannot_phone: bool = False
    helper_waits_ms: Mapping[str, int] = field(default_factory=dict)
    duty: CommunityDuty | None = None


def stage_of(thresholds_passed: int) -> Stage:
    """Return the stage people work at after so many thresholds."""
    return Stage(min(thresholds_passed, Stage.VISIT))


def after(now: datetime, span_ms: int) -> datetime:
    """Return ``now`` plus milliseconds."""
    return now + timedelta(milliseconds=span_ms)


def with_task(case: CaseFacts, task: TaskFacts) -> CaseFacts:
    """Return the case with one more task."""
    return replace(case, tasks=(*case.tasks, task))


def with_changed_task(case: CaseFacts, old: TaskFacts, new: TaskFacts) -> CaseFacts:
    """Return the case with one task replaced."""
    return replace(case, tasks=tuple(new if task is old else task for task in case.tasks))


def without_open_tasks(case: CaseFacts, *kinds: TaskKind) -> CaseFacts:
    """Return the case with its open tasks (of ``kinds``, or all) superseded."""
    return replace(
        case,
        tasks=tuple(
            replace(task, state=TaskState.SUPERSEDED)
            if task.is_open and (not kinds or task.kind in kinds)
            else task
            for task in case.tasks
        ),
    )
