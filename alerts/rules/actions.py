"""What a decision asks for beside the new case: entries, messages and evidence, as frozen types; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from alerts.rules.case import CaseFacts
from alerts.rules.reasons import Reason
from kaimen.vocabulary import Role


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
