"""The facts of a case and of what is around it, as frozen types: rows enter, copies with changes leave; pure.

``CaseFacts`` is a row of ``cases`` together with its tasks and with what stands against the household: announced
stages not withdrawn, checks not ended, outages not over. ``_at`` values are aware datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from alerts.duty.roster import CommunityDuty
from alerts.rules.grading import UNGRADED, Grounds
from kaimen.policy import CauseLadder, LadderPolicy
from kaimen.vocabulary import CaseCause, CaseState, Outcome, Stage, TaskKind, TaskState

#: These two have rules of their own; every other cause is worked through its ladder in the policy.
OWN_RULES = frozenset({CaseCause.INACTIVITY, CaseCause.TECHNICAL})


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
