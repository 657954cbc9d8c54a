"""What leaves the detector: insert-only facts, folded coverage, and views of a household; plain frozen types.

All ``_ms`` values are UTC milliseconds. ``evidence`` is a small dict that says why we thought that she was well
until then (kind, device, boot, seq): enough to find the row, nothing about a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from kaimen.vocabulary import Admission

Evidence = dict[str, Any]


class Taken(msgspec.Struct, frozen=True, gc=False):
    """What became of one message. ``lives``: it is evidence of life for a household's dwelling."""

    admission: Admission
    instant_ms: int | None
    rebased: bool
    household_id: str | None
    lives: bool


class TakenArray(msgspec.Struct, frozen=True, gc=False):
    """What became of an array's events, all of which were accepted at their ``ts``; ``late`` is how many came late."""

    household_id: str | None
    late: int


@dataclass(frozen=True, slots=True)
class Crossing:
    """A household entered a stage. ``at_ms``: when its watched inactivity reached the threshold."""

    household_id: str
    stage: int
    at_ms: int
    announced_ms: int
    evidence_ms: int
    evidence: Evidence = field(hash=False)
    inactive_ms: int
    elapsed_ms: int
    thresholds_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An announced stage that no longer stands, because of newer evidence or an absence."""

    household_id: str
    stage: int
    evidence_before_ms: int
    announced_ms: int
    withdrawn_ms: int
    evidence_ms: int
    evidence: Evidence = field(hash=False)
    late: bool


@dataclass(frozen=True, slots=True)
class CheckDue:
    """Elapsed time passed a threshold that watched inactivity had not reached: nobody could see."""

    household_id: str
    step: int
    at_ms: int
    noticed_ms: int
    evidence_ms: int
    evidence: Evidence = field(hash=False)
    inactive_ms: int


@dataclass(frozen=True, slots=True)
class CheckEnded:
    household_id: str
    step: int
    check_evidence_ms: int
    ended_ms: int
    evidence_ms: int
    evidence: Evidence = field(hash=False)


@dataclass(frozen=True, slots=True)
class OutageBegan:
    """A required device is not known from this pulse on; ``heard_ms`` is None where it never was heard."""

    device_id: str
    began_ms: int
    heard_ms: int | None


@dataclass(frozen=True, slots=True)
class OutageEnded:
    device_id: str
    began_ms: int
    ended_ms: int


Fact = Crossing | Withdrawal | CheckDue | CheckEnded | OutageBegan | OutageEnded


class CoveragePoint(msgspec.Struct, frozen=True, gc=False):
    """Heartbeats of one boot at one position with one counter (-1: none), folded into first and last."""

    device_id: str
    boot: str
    seq_last: int
    opens: int
    first_up_ms: int
    first_ts_ms: int
    first_received_ms: int
    first_clock: str
    last_up_ms: int
    last_ts_ms: int
    last_received_ms: int
    last_clock: str
    by_check_in: bool = False


class BootBase(msgspec.Struct, frozen=True, gc=False):
    """What a boot's base is made of; None where there was no such message."""

    device_id: str
    boot: str
    ntp_up_ms: int | None
    ntp_ts_ms: int | None
    ntp_base_min_ms: int | None
    ntp_base_max_ms: int | None
    received_base_ms: int | None
    rtc_base_ms: int | None
    newest_received_ms: int


class HouseholdView(msgspec.Struct, frozen=True):
    """A household as the detector has it: ``inactive(now) = known ? base + (now - anchor) : settled``."""

    household_id: str
    as_of_ms: int
    known: bool
    not_known_since_ms: int | None
    stage: int
    check_step: int
    evidence_ms: int
    evidence: Evidence
    base_ms: int
    anchor_ms: int
    settled_ms: int
    absent_until_ms: int | None
    door_open_since_ms: int | None
    in_fault: bool
