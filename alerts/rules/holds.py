"""When people are told: a rank, the clock and the circumstances enter, an instant and its reason leave; pure.

Crossings are exact and every case is on the console at once; this file only says when a message may go out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alerts.rules.case import Circumstances
from kaimen.policy import LadderPolicy, calls_start_at, next_list_time
from kaimen.vocabulary import Grade


class HoldReason(StrEnum):
    AT_ONCE = "at_once"
    MORNING_LIST = "morning_list"
    QUIET_HOURS = "quiet_hours"
    FOLDED = "folded"
    GRADED_HIGH = "graded_high"


@dataclass(frozen=True, slots=True)
class HoldDecision:
    """``not_before`` is None where nobody is told of this household by itself."""

    reason: HoldReason
    not_before: datetime | None


def decide_hold(
    *,
    rank: int,
    of_check: bool,
    now: datetime,
    policy: LadderPolicy,
    around: Circumstances,
    grade: Grade = Grade.UNGRADED,
) -> HoldDecision:
    """Say when people are told of a case that has reached ``rank`` (1 list, 2 call, 3 visit).

    A check whose household lies under an outage is told with the outage (one technical case for the building),
    until it asks for a visit: three hundred doors behind one dead gateway are not three hundred alarms. A call of
    the night waits for the morning, unless sensors inside were heard and saw nothing since the last opening.
    """
    if of_check and around.folded and rank < 3:
        return HoldDecision(HoldReason.FOLDED, None)
    if rank <= 1:
        return HoldDecision(HoldReason.MORNING_LIST, next_list_time(policy, now))
    if rank == 2 and grade is Grade.HIGH and not of_check:
        return HoldDecision(HoldReason.GRADED_HIGH, now)
    if rank == 2:
        start_at = calls_start_at(policy, now)
        return HoldDecision(HoldReason.AT_ONCE if start_at == now else HoldReason.QUIET_HOURS, start_at)
    return HoldDecision(HoldReason.AT_ONCE, now)


def is_night(policy: LadderPolicy, now: datetime) -> bool:
    """Say whether helpers are left to sleep and the duty desk goes itself."""
    return calls_start_at(policy, now) > now


def is_answered(evidence_at: datetime, around: Circumstances) -> bool:
    """Say whether somebody answered for her, or declared her away, after what a fact counts from.

    Such a fact was found before the detector had heard of the answer; it withdraws it by itself.
    """
    return around.answered_at is not None and evidence_at < around.answered_at
