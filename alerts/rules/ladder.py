"""The ladder: a case, what happened and ``now`` enter, the new case, further writes and the reason leave; pure.

One open inactivity case per household: a crossing raises the stage of the same case and annunciates anew. Evidence
closes WARNING and CALL by itself, unless a visit was begun; at VISIT it proposes and a person confirms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from alerts.rules.actions import Decision, Entry
from alerts.rules.answers import decide_act
from alerts.rules.case import CaseFacts, Circumstances, stage_of, without_open_tasks
from alerts.rules.closing import DURING_VISIT, proposed
from alerts.rules.early import decide_early
from alerts.rules.ending import closed
from alerts.rules.happenings import (
    AcceptShift,
    CheckDue,
    CheckEnded,
    ConsentWithdrawn,
    Crossing,
    EarlyResult,
    Happening,
    OpenedWhileAway,
    OutageBegan,
    OutageEnded,
    OutageLeft,
    OutageMoved,
    QuarantineWaits,
    RemoteOnly,
    ShiftEnded,
    Signal,
    SignalEnded,
    StandsUnanswered,
    TimerDue,
    WellToReview,
    Withdrawal,
    WorkSetAside,
)
from alerts.rules.holds import is_answered
from alerts.rules.reasons import Reason
from alerts.rules.shifts import decide_shift_accepted, decide_shift_ended
from alerts.rules.signals import decide_opened_while_away, decide_review, decide_signal, decide_signal_ended
from alerts.rules.technical import (
    decide_outage_began,
    decide_outage_ended,
    decide_outage_left,
    decide_quarantine,
    decide_set_aside,
)
from alerts.rules.timers import annunciate_by_rank, decide_timer, planned, unowned, with_owed_task
from kaimen.policy import LadderPolicy
from kaimen.vocabulary import CaseCause, CaseState, Outcome, Stage, TaskKind

#: Words of the evidence that is the begin of a declared absence.
_ABSENCE_KINDS = frozenset({"absence", "absence_began"})


def decide(
    case: CaseFacts | None, happening: Happening, now: datetime, policy: LadderPolicy, around: Circumstances
) -> Decision:
    """Say what becomes of a case; the one entry to every rule of this package.

    ``policy`` is the one in force and counts only where a case is opened; an open case keeps its snapshot. The
    case that leaves is closed or has a next action after ``now``.

    Raises
    ------
    ActRefused
        If the happening is a person's act that the state of the case does not allow.
    """
    match happening:
        case Crossing():
            return _decide_crossing(case, happening, now, policy, around)
        case Withdrawal():
            return _decide_withdrawal(case, happening, now, around)
        case CheckDue():
            return _decide_check_due(case, happening, now, policy, around)
        case CheckEnded():
            return _decide_check_ended(case, happening, now, around)
        case OutageBegan() | OutageMoved():
            return decide_outage_began(case, happening, now, policy, around)
        case OutageEnded():
            return decide_outage_ended(case, happening, now)
        case OutageLeft():
            return decide_outage_left(case, happening, now)
        case QuarantineWaits():
            return decide_quarantine(case, happening, now, policy, around)
        case StandsUnanswered():
            return _decide_unanswered(case, happening, now, policy, around)
        case WorkSetAside():
            return decide_set_aside(case, happening, now, policy, around)
        case RemoteOnly():
            return _decide_remote_only(case, happening, now, policy, around)
        case Signal():
            return decide_signal(case, happening, now, policy, around)
        case SignalEnded():
            return decide_signal_ended(case, happening, now)
        case OpenedWhileAway():
            return decide_opened_while_away(case, happening, now, policy, around)
        case WellToReview():
            return decide_review(case, happening, now, policy, around)
        case _ if case is None:
            return Decision(Reason.NOTHING_OPEN, None)
        case TimerDue():
            return decide_timer(case, now, around) if case.is_open else Decision(Reason.NOTHING_DUE, case)
        case ConsentWithdrawn():
            return _decide_consent_withdrawn(case, now)
        case ShiftEnded():
            return decide_shift_ended(case, happening, now, around)
        case AcceptShift():
            return decide_shift_accepted(case, happening, now, around)
        case EarlyResult():
            return decide_early(case, happening, now, around)
        case _:
            return decide_act(case, happening, now, around)


# --- crossings and checks ----------------------------------------------------------------------------------------


def _decide_crossing(
    case: CaseFacts | None, fact: Crossing, now: datetime, policy: LadderPolicy, around: Circumstances
) -> Decision:
    if case is None and is_answered(fact.evidence_at, around):
        return Decision(Reason.ALREADY_ANSWERED, None)
    reason = Reason.OPENED if case is None else Reason.CROSSED_AGAIN
    if case is not None and fact.stage > case.stage:
        reason = Reason.RAISED
    old = case or _new_inactivity_case(around, policy, opened_at=fact.announced_at, at=fact.at)
    stage = stage_of(max(old.stage, fact.stage))
    new = replace(
        old,
        stage=stage,
        stage_at=fact.at if stage > old.stage else old.stage_at,
        standing=old.standing | {fact.stage},
        evidence_at=fact.evidence_at,
        evidence=fact.evidence,
    )
    args = {"stage": fact.stage, "inactive_ms": fact.inactive_ms, "elapsed_ms": fact.elapsed_ms}
    return _climbed(new, reason, args, gone=fact.gone, now=now, around=around)


def _decide_check_due(
    case: CaseFacts | None, fact: CheckDue, now: datetime, policy: LadderPolicy, around: Circumstances
) -> Decision:
    if case is None and is_answered(fact.evidence_at, around):
        return Decision(Reason.ALREADY_ANSWERED, None)
    old = case or _new_inactivity_case(around, policy, opened_at=fact.noticed_at, at=fact.at)
    new = replace(
        old,
        check_step=max(old.check_step, fact.step),
        checks=old.checks | {fact.step},
        evidence_at=fact.evidence_at,
        evidence=fact.evidence,
    )
    args = {"step": fact.step, "inactive_ms": fact.inactive_ms}
    if case is not None and new.rank <= case.rank:
        # She climbs in the case she has, marked "not seen since"; people were told of this rank already.
        return Decision(Reason.NOT_SEEN, planned(new, now), (Entry(Reason.NOT_SEEN, args),))
    return _climbed(new, Reason.NOT_SEEN, args, gone=fact.gone, now=now, around=around)


def _climbed(
    case: CaseFacts,
    reason: Reason,
    args: Mapping[str, Any],
    *,
    gone: bool,
    now: datetime,
    around: Circumstances,
) -> Decision:
    """Ask for the act of the case's rank and annunciate it; nobody is told of what is gone by now."""
    entry = Entry(reason, args)
    if case.is_reported_deceased:
        return Decision(reason, planned(case, now), (entry,))
    if case.proposal is not None:
        # Silence after the evidence that proposed closing: the proposal is spent.
        case = without_open_tasks(replace(case, proposal=None, proposal_at=None), TaskKind.CONFIRM_CLOSING)
    case = replace(case, held_until=None, held_reason=None, grounds=around.grounds)
    if case.state is CaseState.OWNED:
        case = unowned(case)
    if gone:
        return Decision(reason, planned(case, now), (entry,))
    case = with_owed_task(case, now, around)
    case, actions = annunciate_by_rank(case, now, around)
    return Decision(reason, planned(case, now), (entry, *actions))


def _new_inactivity_case(
    around: Circumstances, policy: LadderPolicy, *, opened_at: datetime, at: datetime
) -> CaseFacts:
    assert around.household_id is not None
    return CaseFacts(
        cause=CaseCause.INACTIVITY,
        community_id=around.community_id,
        household_id=around.household_id,
        cause_key=None,
        opened_at=opened_at,
        stage_at=at,
        policy=policy,
        remote_well_count=around.remote_well_count,
    )


def _decide_unanswered(
    case: CaseFacts | None, fact: StandsUnanswered, now: datetime, policy: LadderPolicy, around: Circumstances
) -> Decision:
    if case is not None:
        return Decision(Reason.NOTHING_DUE, case)
    new = replace(
        _new_inactivity_case(around, policy, opened_at=now, at=fact.at),
        stage=fact.stage,
        check_step=fact.check_step,
        standing=frozenset(range(1, fact.stage + 1)),
        checks=frozenset(range(1, fact.check_step + 1)),
        evidence_at=fact.evidence_at,
        evidence=fact.evidence,
        reopened_from=fact.closed_case_id,
    )
    return _climbed(new, Reason.REOPENED, {"stage": fact.stage}, gone=False, now=now, around=around)


def _decide_remote_only(
    case: CaseFacts | None, fact: RemoteOnly, now: datetime, policy: LadderPolicy, around: Circumstances
) -> Decision:
    """Somebody goes and looks, whatever anyone pressed."""
    if case is not None and (case.stage is Stage.VISIT or case.visit_begun_at is not None):
        return Decision(Reason.NOTHING_DUE, case)
    old = case or _new_inactivity_case(around, policy, opened_at=now, at=now)
    new = replace(old, stage=Stage.VISIT, stage_at=now, evidence_at=fact.evidence_at)
    args = {"evidence_at": fact.evidence_at.isoformat()}
    return _climbed(new, Reason.REMOTE_ONLY, args, gone=False, now=now, around=around)


# --- evidence ----------------------------------------------------------------------------------------------------


def _decide_withdrawal(
    case: CaseFacts | None, fact: Withdrawal, now: datetime, around: Circumstances
) -> Decision:
    if case is None:
        return Decision(Reason.NOTHING_OPEN, None)
    new = replace(case, standing=case.standing - {fact.stage})
    outcome = Outcome.LATE_EVIDENCE if fact.late else Outcome.RESUMED
    return _take_evidence(new, fact, outcome, {"stage": fact.stage}, now, around)


def _decide_check_ended(
    case: CaseFacts | None, fact: CheckEnded, now: datetime, around: Circumstances
) -> Decision:
    if case is None:
        return Decision(Reason.NOTHING_OPEN, None)
    new = replace(case, checks=case.checks - {fact.step})
    outcome = Outcome.LATE_EVIDENCE if fact.late else Outcome.RESUMED
    return _take_evidence(new, fact, outcome, {"step": fact.step}, now, around)


def _take_evidence(
    case: CaseFacts,
    fact: Withdrawal | CheckEnded,
    outcome: Outcome,
    args: Mapping[str, Any],
    now: datetime,
    around: Circumstances,
) -> Decision:
    args = {**args, "evidence_at": fact.evidence_at.isoformat()}
    if case.is_reported_deceased:
        return _noted(case, Reason.EVIDENCE_NOTED, args, now)
    if case.visit_begun_at is not None:
        # The helper's own key leaves no credential: an opening while somebody is there says nothing of her.
        seen = {"evidence_at": fact.evidence_at.isoformat(), "evidence": dict(fact.evidence)}
        case = replace(case, evidence={**case.evidence, DURING_VISIT: seen})
        return _noted(case, Reason.EVIDENCE_DURING_VISIT, args, now)
    if case.standing or case.checks:
        return _lowered(case, args, now, around)
    if fact.evidence.get("kind") in _ABSENCE_KINDS:
        outcome = Outcome.AWAY
    if case.stage is Stage.VISIT:
        return proposed(case, outcome, fact.evidence_at, fact.evidence, now)
    return closed(case, outcome, now, by="evidence", reason=Reason.CLOSED_BY_EVIDENCE, args=args)


def _noted(case: CaseFacts, reason: Reason, args: Mapping[str, Any], now: datetime) -> Decision:
    return Decision(reason, planned(case, now), (Entry(reason, args),))


def _lowered(case: CaseFacts, args: Mapping[str, Any], now: datetime, around: Circumstances) -> Decision:
    """Ask for no more than what still stands; a case that reached VISIT waits for a person all the same."""
    if case.stage is Stage.VISIT:
        return _noted(case, Reason.EVIDENCE_NOTED, args, now)
    stage = stage_of(max(case.standing, default=0))
    new = replace(case, stage=stage, check_step=max(case.checks, default=0))
    if new.rank == case.rank:
        return _noted(new, Reason.EVIDENCE_NOTED, args, now)
    heavier = [TaskKind.VISIT] if new.rank == 2 else [TaskKind.VISIT, TaskKind.CALL]
    new = unowned(without_open_tasks(new, *heavier))
    entry = Entry(Reason.LOWERED, args)
    asked = with_owed_task(new, now, around) if new.rank == 2 else new
    if len(asked.tasks) == len(new.tasks):
        return Decision(Reason.LOWERED, planned(new, now), (entry,))
    # It had come straight to a visit: the call that is left was asked of nobody yet.
    asked, actions = annunciate_by_rank(asked, now, around)
    return Decision(Reason.LOWERED, planned(asked, now), (entry, *actions))


def _decide_consent_withdrawn(case: CaseFacts, now: datetime) -> Decision:
    if case.is_open and case.cause is CaseCause.ABSENCE:
        return closed(
            case, Outcome.CONSENT_WITHDRAWN, now, by="consent", reason=Reason.CONSENT_WITHDRAWN, args={}
        )
    if not case.is_open or case.cause is not CaseCause.INACTIVITY or case.proposal is not None:
        return Decision(Reason.NOTHING_DUE, case)
    if case.stage is Stage.VISIT or case.visit_begun_at is not None:
        decision = proposed(case, Outcome.CONSENT_WITHDRAWN, now, {"kind": "consent_withdrawn"}, now)
        return replace(decision, reason=Reason.CONSENT_WITHDRAWN_PROPOSED)
    return closed(
        case, Outcome.CONSENT_WITHDRAWN, now, by="consent", reason=Reason.CONSENT_WITHDRAWN, args={}
    )
