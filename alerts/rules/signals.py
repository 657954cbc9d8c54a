"""Cases of every cause that is neither inactivity nor silence of a device: a signal and ``now`` enter, a decision leaves.

What each cause asks for is data (``CauseLadder``); this file only walks it. One open case per cause and subject: the
same thing again is folded into it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from alerts.duty.roster import desk_at
from alerts.rules.actions import Action, Decision, EndAbsence, Entry, JoinSignal, LeaveSignal
from alerts.rules.case import CaseFacts, Circumstances, TaskFacts, after, with_task
from alerts.rules.ending import closed
from alerts.rules.happenings import OpenedWhileAway, Signal, SignalEnded, WellToReview
from alerts.rules.reasons import Reason
from alerts.rules.timers import annunciate, annunciate_by_rank, planned, starts_at, unowned
from kaimen.policy import CauseLadder, LadderPolicy
from kaimen.vocabulary import CaseCause, CaseState, Outcome, Role, SignalKind, Stage, TaskKind, TaskState

#: What each kind of signal is worked on as.
CAUSE_OF_SIGNAL: Mapping[SignalKind, CaseCause] = {
    SignalKind.SOS: CaseCause.SOS,
    SignalKind.DURESS: CaseCause.DURESS,
    SignalKind.DOOR_FORCED: CaseCause.DOOR_FORCED,
    SignalKind.DOOR_HELD: CaseCause.DOOR_HELD,
    SignalKind.STRANGER_DENIALS: CaseCause.STRANGER,
    SignalKind.EXPIRED_PASS: CaseCause.CREDENTIAL,
    SignalKind.CANCELLED_CARD: CaseCause.CREDENTIAL,
    SignalKind.VACANT_OPENED: CaseCause.DWELLING,
    SignalKind.LEASE_ENDED_CREDENTIAL: CaseCause.DWELLING,
    SignalKind.MORE_CREDENTIALS: CaseCause.DWELLING,
    SignalKind.DEVICE_FAULT: CaseCause.DEVICE_FAULT,
    SignalKind.BATTERY_LOW: CaseCause.BATTERY,
    SignalKind.EARLY_WATCH: CaseCause.EARLY_WATCH,
}
#: About people, wherever they are; every other cause is about a door where there is one.
_OF_HOUSEHOLDS = frozenset({CaseCause.SOS, CaseCause.DURESS, CaseCause.DWELLING})

#: Of a thing that repeats the first few are told one by one, then every so-many-th.
REPEATS_TOLD = 5
REPEATS_TOLD_EVERY = 20


def subject_of(cause: CaseCause, household_id: str | None, device_id: str | None) -> str:
    """Return what a signal is about: one case is open for each cause and subject.

    Raises
    ------
    LookupError
        If the signal names neither a household nor a device.
    """
    if household_id is not None and (cause in _OF_HOUSEHOLDS or device_id is None):
        return f"household:{household_id}"
    if device_id is None:
        raise LookupError("a signal of neither a household nor a device")
    return f"device:{device_id}"


def decide_signal(
    case: CaseFacts | None, fact: Signal, now: datetime, policy: LadderPolicy, around: Circumstances
) -> Decision:
    """Open a case for a signal, or fold it into the one that is open."""
    join = JoinSignal(fact.signal_id)
    args = {"signal": fact.kind, "at": fact.at.isoformat()}
    if case is not None:
        return _again(case, fact, join, args, now, around)
    new = opened(fact.cause, fact.subject, fact.at, fact.evidence, policy, around)
    new = replace(new, signals=frozenset({fact.signal_id}), signal_count=1)
    entry = Entry(Reason.SIGNALLED, args)
    if fact.gone and _ladder(new).ends_by_itself:
        # Over before anybody could be told; its end follows and closes the case.
        return Decision(Reason.SIGNALLED, planned(new, now), (entry, join))
    new, actions = asked(new, now, around)
    return Decision(Reason.SIGNALLED, new, (entry, join, *actions))


def _again(
    case: CaseFacts,
    fact: Signal,
    join: JoinSignal,
    args: Mapping[str, Any],
    now: datetime,
    around: Circumstances,
) -> Decision:
    count = case.signal_count + 1
    case = replace(
        case,
        signals=case.signals | {fact.signal_id},
        signal_count=count,
        evidence_at=fact.at,
        evidence=fact.evidence,
    )
    actions: list[Action] = [join]
    if count <= REPEATS_TOLD or count % REPEATS_TOLD_EVERY == 0:
        actions.append(Entry(Reason.SIGNALLED_AGAIN, {**args, "count": count}))
    # Who calls for help a second time has not been helped: whoever let it lie is told again at once.
    if _ladder(case).priority >= 3 and not case.is_owned(now) and case.held_until is None:
        case, told = annunciate_by_rank(case, now, around)
        actions += told
    return Decision(Reason.SIGNALLED_AGAIN, planned(case, now), tuple(actions))


def decide_signal_ended(case: CaseFacts | None, fact: SignalEnded, now: datetime) -> Decision:
    """Take note that what was signalled is over; causes that end by themselves close with their last signal."""
    if case is None:
        return Decision(Reason.NOTHING_OPEN, None)
    leave = LeaveSignal(fact.signal_id, fact.ended_at)
    case = replace(case, signals=case.signals - {fact.signal_id})
    args = {"ended_at": fact.ended_at.isoformat()}
    if case.signals or not _ladder(case).ends_by_itself:
        return Decision(Reason.SIGNAL_ENDED, planned(case, now), (Entry(Reason.SIGNAL_ENDED, args), leave))
    decision = closed(case, Outcome.RESTORED, now, by="evidence", reason=Reason.CLOSED_BY_ITSELF, args=args)
    return replace(decision, actions=(*decision.actions, leave))


# --- is she back? ------------------------------------------------------------------------------------------------


def decide_opened_while_away(
    case: CaseFacts | None,
    fact: OpenedWhileAway,
    now: datetime,
    policy: LadderPolicy,
    around: Circumstances,
) -> Decision:
    """An opening inside a declared absence: her own card says she is back, of any other a person is asked."""
    end = EndAbsence(fact.absence_id, fact.evidence_at)
    if fact.certain:
        if case is None:
            return Decision(Reason.BACK_BY_EVIDENCE, None, (end,))
        return _back(case, Reason.BACK_BY_EVIDENCE, now, end, by="evidence")
    if case is not None:
        return Decision(Reason.NOTHING_DUE, case)
    new = opened(CaseCause.ABSENCE, fact.subject, fact.evidence_at, fact.evidence, policy, around)
    new = replace(new, opened_at=now, stage_at=now, signal_count=1)
    new, actions = asked(new, now, around)
    entry = Entry(Reason.BACK_ASKED, {"evidence_at": fact.evidence_at.isoformat()})
    return Decision(Reason.BACK_ASKED, new, (entry, *actions))


def _back(case: CaseFacts, reason: Reason, now: datetime, end: EndAbsence, *, by: str) -> Decision:
    decision = closed(case, Outcome.BACK, now, by=by, reason=reason, args={})
    return replace(decision, actions=(*decision.actions, end))


# --- a second look -----------------------------------------------------------------------------------------------


def decide_review(
    case: CaseFacts | None, fact: WellToReview, now: datetime, policy: LadderPolicy, around: Circumstances
) -> Decision:
    """Ask another person whether a recorded well was one: of the desk or, where nobody else sits there, of the grid."""
    if case is not None:
        return Decision(Reason.NOTHING_DUE, case)
    evidence = {**fact.evidence, "recorded_by": fact.recorded_by}
    new, actions = asked(
        replace(opened(CaseCause.REVIEW, fact.subject, fact.at, evidence, policy, around), signal_count=1),
        now,
        around,
        role=_reviewer(fact.recorded_by, around),
    )
    return Decision(Reason.REVIEW_ASKED, new, (Entry(Reason.REVIEW_ASKED), *actions))


def _reviewer(recorded_by: int, around: Circumstances) -> str | None:
    """Return whose task a second look is, where the desk is one person: it would wait for ever for another."""
    people = (
        []
        if around.duty is None
        else [item for item in around.duty.people.values() if item.id != recorded_by]
    )
    if not people or any(Role.PROPERTY_CLERK in item.roles for item in people):
        return None
    return Role.GRID_WORKER if any(Role.GRID_WORKER in item.roles for item in people) else None


# --- shared ------------------------------------------------------------------------------------------------------


def opened(
    cause: CaseCause,
    subject: str,
    at: datetime,
    evidence: Mapping[str, Any],
    policy: LadderPolicy,
    around: Circumstances,
) -> CaseFacts:
    """Return a new case of a cause that nobody has been asked or told of yet."""
    return CaseFacts(
        cause=cause,
        community_id=around.community_id,
        household_id=around.household_id,
        cause_key=subject,
        opened_at=at,
        stage_at=at,
        policy=policy,
        evidence_at=at,
        evidence=evidence,
    )


def asked(
    case: CaseFacts, now: datetime, around: Circumstances, *, role: str | None = None
) -> tuple[CaseFacts, tuple[Action, ...]]:
    """Return the case with its ladder's task, of ``role`` where that is given, and its first annunciation."""
    ladder = _ladder(case)
    start_at = starts_at(case, now)
    due_at = after(start_at, ladder.sla_ms)
    task = TaskFacts(
        TaskKind(ladder.task),
        role or _asked_role(ladder, around, start_at),
        TaskState.OPEN,
        now,
        start_at,
        due_at,
    )
    case = replace(with_task(case, task), deadline_at=due_at)
    case, actions = annunciate_by_rank(case, now, around)
    return planned(case, now), actions


def _asked_role(ladder: CauseLadder, around: Circumstances, at: datetime) -> str:
    """Return whose task it is: what cannot wait is the guard's while nobody is at the desk.

    What is hidden from whoever may stand at that door waits for the desk and the police.
    """
    urgent = ladder.outside and not ladder.hides_place and ladder.role == Role.PROPERTY_CLERK
    return desk_at(around.duty, at) if urgent else ladder.role


def tried_again(
    case: CaseFacts, task: TaskFacts, reason: Reason, entry: Entry, start_at: datetime, now: datetime
) -> Decision:
    """Ask for the same act once more from ``start_at`` on."""
    due_at = after(start_at, case.sla_ms)
    again = TaskFacts(task.kind, task.role, TaskState.OPEN, now, start_at, due_at)
    case = replace(
        unowned(case), state=CaseState.NOTIFIED, held_until=None, held_reason=None, deadline_at=due_at
    )
    case, actions = annunciate(with_task(case, again), start_at)
    return Decision(reason, planned(case, now), (entry, *actions))


def _ladder(case: CaseFacts) -> CauseLadder:
    assert case.ladder is not None and case.stage is Stage.NORMAL
    return case.ladder
