"""Technical cases: outages, what moved between causes, quarantine and work set aside enter; decisions leave; pure.

One case per cause, annunciated once. It stands for the households nobody can see; the people among them who have to
be asked after have cases of their own, which a device coming back does not close.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from alerts.rules.actions import Action, Decision, Entry, FoldHousehold, UnfoldHousehold
from alerts.rules.case import CaseFacts, Circumstances, TaskFacts, after, with_task
from alerts.rules.ending import closed
from alerts.rules.happenings import (
    OutageBegan,
    OutageEnded,
    OutageLeft,
    OutageMoved,
    QuarantineWaits,
    WorkSetAside,
)
from alerts.rules.reasons import Reason
from alerts.rules.timers import annunciate_by_rank, planned
from kaimen.policy import LadderPolicy
from kaimen.vocabulary import CaseCause, Outcome, Role, TaskKind, TaskState

#: What follows ``own:`` in the cause key of the case for happenings that were set aside.
SET_ASIDE_CAUSE = "alerts"
#: Causes beside the outages' own, as the first part of a cause key.
QUARANTINE_CAUSE = "quarantine"
#: What follows ``quarantine:`` where the message's topic names no site we know.
UNKNOWN_SITE = "unknown"
#: The wider, the earlier: into what an outage may be folded.
_WIDTH = ("own", "broker", "site", "gateway", "device")


def cause_key(cause: str, cause_id: str, community_id: str) -> str:
    """Return what folds outages into one technical case; causes above a site get a case per community."""
    everywhere = cause in ("own", "broker") or (cause, cause_id) == (QUARANTINE_CAUSE, UNKNOWN_SITE)
    if everywhere:
        return ":".join(part for part in (cause, cause_id, community_id) if part)
    return f"{cause}:{cause_id}"


def decide_outage_began(
    case: CaseFacts | None,
    fact: OutageBegan | OutageMoved,
    now: datetime,
    policy: LadderPolicy,
    around: Circumstances,
) -> Decision:
    """An outage joins the case of its cause, or opens it; one that moved here does the same."""
    fold = FoldHousehold(fact.device_id, fact.began_at)
    if case is not None:
        new = planned(replace(case, outages=case.outages | {fact.outage_id}), now)
        return Decision(Reason.OUTAGE_JOINED, new, (fold,))
    new = replace(
        new_technical_case(around, policy, cause=fact.cause, cause_id=fact.cause_id, opened_at=fact.began_at),
        evidence_at=fact.heard_at,
        outages=frozenset({fact.outage_id}),
    )
    args = {"cause": fact.cause}
    reason = Reason.OUTAGE_OPENED if fact.heard_at is not None else Reason.NEVER_HEARD
    entry = Entry(reason, args)
    if fact.gone:
        return Decision(reason, planned(new, now), (entry, fold))
    new, actions = asked_to_check_device(new, now, now, around)
    return Decision(reason, new, (entry, fold, *actions))


def decide_outage_ended(case: CaseFacts | None, fact: OutageEnded, now: datetime) -> Decision:
    """A device is heard again; its cause is over with its last device."""
    if case is None:
        return Decision(Reason.NOTHING_OPEN, None)
    new = replace(case, outages=case.outages - {fact.outage_id})
    unfold = UnfoldHousehold(fact.device_id, fact.ended_at)
    if new.outages:
        return Decision(Reason.OUTAGE_PARTLY_OVER, planned(new, now), (unfold,))
    decision = closed(new, Outcome.RESTORED, now, by="evidence", reason=Reason.CLOSED_RESTORED, args={})
    return replace(decision, actions=(*decision.actions, unfold))


def decide_outage_left(case: CaseFacts | None, fact: OutageLeft, now: datetime) -> Decision:
    """An outage turned out to belong to another cause; with its last one the case is part of that cause's.

    Where the other cause is narrower (what stayed silent after an outage of our own), this one is over.
    """
    if case is None:
        return Decision(Reason.NOTHING_OPEN, None)
    new = replace(case, outages=case.outages - {fact.outage_id})
    unfold = UnfoldHousehold(fact.device_id, fact.moved_at)
    if new.outages:
        return Decision(Reason.OUTAGE_PARTLY_OVER, planned(new, now), (unfold,))
    args = {"cause": fact.to_cause, "cause_id": fact.to_cause_id}
    if _WIDTH.index(fact.to_cause) < _WIDTH.index(fact.cause):
        decision = closed(new, Outcome.FOLDED, now, by="evidence", reason=Reason.CLOSED_FOLDED, args=args)
    else:
        decision = closed(new, Outcome.RESTORED, now, by="evidence", reason=Reason.CLOSED_RESTORED, args={})
    return replace(decision, actions=(*decision.actions, unfold))


def decide_set_aside(
    case: CaseFacts | None, fact: WorkSetAside, now: datetime, policy: LadderPolicy, around: Circumstances
) -> Decision:
    """What we could not handle is a fault of our own, and an operator's case until it is handled."""
    return _decide_standing(
        case,
        now,
        policy,
        around,
        over=fact.over,
        reason=Reason.SET_ASIDE,
        cause="own",
        cause_id=SET_ASIDE_CAUSE,
    )


def decide_quarantine(
    case: CaseFacts | None, fact: QuarantineWaits, now: datetime, policy: LadderPolicy, around: Circumstances
) -> Decision:
    """Messages of a site that could not be stored wait for somebody: one case, until none waits."""
    return _decide_standing(
        case, now, policy, around,
        over=fact.over, reason=Reason.QUARANTINE_WAITS, cause=QUARANTINE_CAUSE, cause_id=fact.site_id,
    )  # fmt: skip


def _decide_standing(
    case: CaseFacts | None,
    now: datetime,
    policy: LadderPolicy,
    around: Circumstances,
    *,
    over: bool,
    reason: Reason,
    cause: str,
    cause_id: str,
) -> Decision:
    if over:
        if case is None:
            return Decision(Reason.NOTHING_OPEN, None)
        return closed(case, Outcome.RESTORED, now, by="evidence", reason=Reason.CLOSED_RESTORED, args={})
    if case is not None:
        return Decision(reason, case)
    new = new_technical_case(around, policy, cause=cause, cause_id=cause_id, opened_at=now)
    new, actions = asked_to_check_device(new, now, now, around)
    return Decision(reason, new, (Entry(reason), *actions))


def new_technical_case(
    around: Circumstances, policy: LadderPolicy, *, cause: str, cause_id: str, opened_at: datetime
) -> CaseFacts:
    """Return a technical case nobody has been told of yet."""
    return CaseFacts(
        cause=CaseCause.TECHNICAL,
        community_id=around.community_id,
        household_id=None,
        cause_key=cause_key(cause, cause_id, around.community_id),
        opened_at=opened_at,
        stage_at=opened_at,
        policy=policy,
    )


def asked_to_check_device(
    case: CaseFacts, start_at: datetime, now: datetime, around: Circumstances
) -> tuple[CaseFacts, tuple[Action, ...]]:
    """Return the technical case with a device check owed from ``start_at`` on, and its one annunciation."""
    due_at = after(start_at, case.policy.device_sla_ms)
    task = TaskFacts(TaskKind.DEVICE_CHECK, Role.PROPERTY_CLERK, TaskState.OPEN, now, start_at, due_at)
    case = replace(with_task(case, task), deadline_at=due_at)
    case, actions = annunciate_by_rank(case, now, around)
    return planned(case, now), actions
