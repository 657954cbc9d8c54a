"""The shapes of the JSON API as models: what is promised, and what the description of the API is made of.

Fields are added, never renamed or removed. The answers themselves are not passed through these models; tests hold
every answer against the description that is made of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from console.scope import Act
from kaimen.vocabulary import (
    CaseCause,
    CaseState,
    EvidenceSource,
    Grade,
    Role,
    TaskKind,
    TaskState,
)

_STAGE = "warning, call or visit; null for cases that follow no ladder of inactivity"


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow")


class ErrorWords(_Shape):
    """The same in the shape of before the problem details."""

    code: str
    detail: str
    mend: str


class Problem(_Shape):
    """What went wrong (RFC 9457), what it is called, and how to mend it."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    mend: str
    error: ErrorWords


class Me(_Shape):
    """Who asks, and the token her browser's writes need."""

    name: str
    display_name: str
    role: Role
    community: str | None
    households: list[str]
    language: str
    csrf: str | None
    now: datetime


class CaseItem(_Shape):
    """A case in a list."""

    id: int
    number: str
    household: str | None
    stage: str | None = Field(description=_STAGE)
    check_step: int
    state: CaseState
    cause: CaseCause
    priority: int
    grade: Grade | None
    signal_count: int
    opened_at: datetime
    stage_at: datetime
    deadline_at: datetime | None
    last_evidence_at: datetime | None
    holder: str | None
    holder_id: int | None
    next_action: str | None
    next_action_at: datetime | None
    outcome: str | None
    closed_at: datetime | None


class CasePage(_Shape):
    """A page of cases; ``next`` goes into ``after``."""

    items: list[CaseItem]
    next: int | None


class TaskItem(_Shape):
    """A task of a case."""

    id: int
    kind: TaskKind
    role: str
    state: TaskState
    start_at: datetime | None
    due_at: datetime | None
    assignee: str | None
    begun_at: datetime | None
    done_at: datetime | None
    outcome: str | None


class TimelineItem(_Shape):
    """What happened in a case, newest first."""

    at: datetime
    word: str
    args: dict[str, Any]
    who: str | None
    note: str | None


class BesideItem(_Shape):
    """Another open case of the same home."""

    id: int
    number: str
    cause: CaseCause


class CaseDetail(CaseItem):
    """A case as far as the viewer sees it; what follows is left out where she sees no more than its line."""

    evidence: dict[str, Any] = Field(default_factory=dict)
    grounds: dict[str, Any] = Field(default_factory=dict)
    beside: list[BesideItem] = Field(default_factory=list)
    policy_version: int = 1
    held_until: datetime | None = None
    held_reason: str | None = None
    proposal_at: datetime | None = None
    tasks: list[TaskItem] = Field(default_factory=list)
    timeline: list[TimelineItem] = Field(default_factory=list)
    acts: list[Act] = Field(default_factory=list)


class HouseholdItem(_Shape):
    """A household and its state; what is not for the viewer is null."""

    id: str
    label: str | None
    building: str | None
    unit: str | None
    room: str | None
    name: str | None
    watched: bool
    known: bool | None
    not_known_since: datetime | None
    inactive_s: int | None
    stage: str | None
    check_step: int | None
    last_evidence: datetime | None
    last_evidence_kind: str | None
    absent_until: datetime | None
    as_of: datetime | None
    case: int | None


class HouseholdPage(_Shape):
    """A page of households; ``next`` goes into ``after``."""

    items: list[HouseholdItem]
    next: str | None


class QuarantineItem(_Shape):
    """A message that could not be stored."""

    id: int
    received_at: datetime
    topic: str
    device: str | None
    reason: str
    detail: str
    payload_bytes: int
    sample: str
    copies: int
    replayed_at: datetime | None


class QuarantinePage(_Shape):
    """A page of quarantined messages."""

    items: list[QuarantineItem]
    next: int | None


class SessionItem(_Shape):
    """One of the viewer's own sessions."""

    id: str
    created_at: datetime
    seen_at: datetime
    agent: str
    current: bool


class SessionList(_Shape):
    """The viewer's own sessions, newest first."""

    items: list[SessionItem]


class EvidenceItem(_Shape):
    """One evidence of life."""

    at: datetime
    kind: str
    device: str | None
    witness: str | None


class Why(_Shape):
    """What was known of a household at an instant; all but the first three are there where it was watched."""

    household: str
    at: datetime
    watched: bool
    evidence: EvidenceItem | None = None
    before: list[EvidenceItem] = Field(default_factory=list)
    inactive_s: int | None = None
    elapsed_s: int | None = None
    stage: str | None = None
    known: bool | None = None
    watched_until: datetime | None = None
    absent: bool | None = None
    coverage_forgotten: bool | None = None


class Recorded(_Shape):
    """A word of the resident, taken down."""

    household: str
    source: EvidenceSource
    recorded_at: datetime


def answers(model: type[BaseModel], status: int = 200) -> dict[str, Any]:
    """What a route's decorator is told: the shape is for the description; the answer is sent as it is."""
    return {
        "responses": {status: {"model": model, "description": "done"}},
        "response_model": None,
        "status_code": status,
    }
