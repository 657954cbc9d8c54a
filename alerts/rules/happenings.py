"""What may happen to a case: facts of ingest, the clock's and people's acts, as frozen types; pure.

``_at`` values are aware datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from kaimen.vocabulary import CaseCause, Contacted, Outcome, Role, Stage


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
    """What somebody found; ``instead_of`` is who has the case now, as far as this person was told."""

    user_id: int
    task_id: int
    outcome: Outcome
    contacted: Contacted | None = None
    witness: str | None = None
    note: str = ""
    absence_until: datetime | None = None
    instead_of: int | None = None


@dataclass(frozen=True, slots=True)
class EarlyResult:
    """Somebody rang or went on the first day, before anybody was asked to."""

    user_id: int
    outcome: Outcome
    contacted: Contacted | None = None
    witness: str | None = None


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
    | EarlyResult
    | Act
)
