"""What is owed next and what its time having come means: a case and ``now`` enter, a case or decision leaves; pure.

Every open case leaves this file with a ``next_action_at`` in the future.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from alerts.duty.roster import desk_at
from alerts.rules.actions import Action, Annunciate, Decision, EndAbsence, Entry, SupersedeMessages
from alerts.rules.case import CaseFacts, Circumstances, TaskFacts, after, with_changed_task, with_task
from alerts.rules.ending import closed
from alerts.rules.holds import decide_hold, is_night
from alerts.rules.reasons import NextAction, Reason
from alerts.sending.recipients import next_in_chain
from kaimen.policy import calls_start_at, next_list_time
from kaimen.vocabulary import CaseCause, CaseState, Grade, Outcome, Role, Stage, TaskKind, TaskState

#: A moment that has come already is looked at again after this long, never "at once for ever".
_SOONEST = timedelta(seconds=1)
#: As many as there are people at the desk are asked after at once; each further turn is due this much later.
_PACE_MS = 10 * 60_000
_PACE_MAX_MS = 20 * 3_600_000

_STARTS = {TaskKind.CALL: NextAction.CALL_STARTS, TaskKind.VISIT: NextAction.VISIT_STARTS}
_DUE = {
    TaskKind.CALL: NextAction.CALL_DUE,
    TaskKind.VISIT: NextAction.VISIT_DUE,
    TaskKind.DEVICE_CHECK: NextAction.DEVICE_CHECK_DUE,
    TaskKind.CONFIRM_CLOSING: NextAction.CONFIRM_DUE,
    TaskKind.RESPOND: NextAction.TASK_DUE,
    TaskKind.LOOK_INTO: NextAction.TASK_DUE,
    TaskKind.CONFIRM_BACK: NextAction.TASK_DUE,
    TaskKind.REVIEW: NextAction.TASK_DUE,
}


# --- what comes next -------------------------------------------------------------------------------------------


def planned(case: CaseFacts, now: datetime) -> CaseFacts:
    """Return the open case with its next action, always after ``now``; a closed one unchanged."""
    if not case.is_open:
        return case
    at, action = min(_moments(case, now))
    return replace(case, next_action=action.value, next_action_at=max(at, now + _SOONEST))


def _moments(case: CaseFacts, now: datetime) -> Iterator[tuple[datetime, NextAction]]:
    # Neither a claim nor a hold keeps the next ones from being told.
    yield from ((at, NextAction.TELL_FURTHER) for at, _ in _told_later(case) if at > now)
    if case.held_until is not None and case.held_until > now:
        yield case.held_until, NextAction.HOLD_ENDS
        return
    if case.lease_expires_at is not None:
        yield case.lease_expires_at, NextAction.LEASE_ENDS
    if case.proposal is not None:
        yield from (_task_moment(case, task, now) for task in _proposal_tasks(case))
    elif case.is_owned(now):
        return
    else:
        yield from (_task_moment(case, task, now) for task in case.open_tasks)
    yield from _list_moment(case, now)


def _list_moment(case: CaseFacts, now: datetime) -> Iterator[tuple[datetime, NextAction]]:
    # Without a task a case comes up again with the list: nothing may wait for ever.
    if not case.open_tasks or (case.proposal is not None and not _proposal_tasks(case)):
        yield next_list_time(case.policy, now), NextAction.LIST


def _task_moment(case: CaseFacts, task: TaskFacts, now: datetime) -> tuple[datetime, NextAction]:
    if task.start_at > now and (task.kind in _STARTS or case.ladder is not None):
        return task.start_at, _STARTS.get(task.kind, NextAction.TASK_STARTS)
    if task.due_at > now:
        return task.due_at, _DUE[task.kind]
    if task.kind is TaskKind.DEVICE_CHECK:
        # A technical case annunciates once: overdue it stands on its page, and comes up with the list.
        return next_list_time(case.policy, now), NextAction.LIST
    # Nobody is told of an overdue call by night, so nothing is gained by looking at it every half hour either.
    told_at = call_starts_at(case, now) if task.kind is TaskKind.CALL else starts_at(case, now)
    return after(told_at, case.lease_ms), NextAction.ANNUNCIATE_AGAIN


def _told_later(case: CaseFacts) -> tuple[tuple[datetime, str], ...]:
    """Return when whom else a cause's ladder tells, counted from the beginning of the case."""
    ladder = case.ladder
    return () if ladder is None else tuple((after(case.opened_at, ms), role) for ms, role in ladder.then)


def call_starts_at(case: CaseFacts, now: datetime) -> datetime:
    """Say when the case's call may start: in the morning for one of the night, at once where all inside is silent."""
    if case.grounds.grade is Grade.HIGH and case.stage >= case.check_step:
        return now
    return calls_start_at(case.policy, now)


def starts_at(case: CaseFacts, now: datetime) -> datetime:
    """Say from when on people are asked to act on a case of a cause with a ladder; of any other: now."""
    if case.ladder is None:
        return now
    if case.ladder.with_list:
        return next_list_time(case.policy, now)
    return calls_start_at(case.policy, now) if case.ladder.by_day else now


def _proposal_tasks(case: CaseFacts) -> tuple[TaskFacts, ...]:
    return tuple(task for task in case.open_tasks if task.kind is TaskKind.CONFIRM_CLOSING)


# --- telling people --------------------------------------------------------------------------------------------


def step_name(case: CaseFacts) -> str:
    """Return the step that an annunciation of the case belongs to, for its key; it never leaves the house."""
    if case.proposal is not None:
        return "confirm"
    if case.cause is CaseCause.TECHNICAL:
        return "technical"
    if case.ladder is not None:
        return case.cause.value
    if case.stage >= case.check_step:
        return case.stage.api_name
    return f"not_seen_{case.check_step}"


def annunciate(
    case: CaseFacts, not_before: datetime, *, also: tuple[Role, ...] = (), further: str = ""
) -> tuple[CaseFacts, tuple[Action, ...]]:
    """Plan one annunciation of the case as it is now, in place of whatever was planned and is not sent yet.

    ``further`` names the role that is told from now on as well.
    """
    step = f"{step_name(case)}_{further}" if further else step_name(case)
    repetition = case.annunciated.get(step, 0)
    wanted = Annunciate(
        step=step,
        repetition=repetition,
        not_before=not_before,
        roles=(*dict.fromkeys((*_roles(case), *also)),),
        family=repetition == 0 and not further and _family_is_told(case),
        outside=_is_told_outside(case),
    )
    changed = replace(case, annunciated={**case.annunciated, step: repetition + 1})
    return changed, (SupersedeMessages(), wanted)


def _is_told_outside(case: CaseFacts) -> bool:
    if case.ladder is not None:
        return case.ladder.outside
    return case.rank != 1 and not case.is_reported_deceased


def _roles(case: CaseFacts) -> tuple[Role, ...]:
    if case.ladder is not None:
        known = (role for role in case.ladder.told)
        later = (role for _, role in case.ladder.then if f"{case.cause.value}_{role}" in case.annunciated)
        return (Role.PROPERTY_CLERK, *(Role(role) for role in (*known, *later)))
    # Whoever is asked to phone or to go is told, and the desk always.
    asked = (Role(task.role) for task in case.open_tasks if task.kind in (TaskKind.CALL, TaskKind.VISIT))
    roles = dict.fromkeys((Role.PROPERTY_CLERK, *asked))
    # Police see a named case from VISIT on, not before.
    if case.proposal is None and case.stage is Stage.VISIT:
        roles[Role.POLICE_OFFICER] = None
    return (*roles,)


def _family_is_told(case: CaseFacts) -> bool:
    if case.ladder is not None:
        return case.ladder.family
    # Once for each stage: whom the desk leaves waiting is no reason to frighten her daughter every half hour.
    return case.cause is CaseCause.INACTIVITY and case.proposal is None and case.stage >= case.check_step


def annunciate_by_rank(
    case: CaseFacts, now: datetime, around: Circumstances
) -> tuple[CaseFacts, tuple[Action, ...]]:
    """Annunciate when people of this rank are told; a case told of by day counts as notified."""
    if case.cause is CaseCause.TECHNICAL or case.proposal is not None:
        case, actions = annunciate(case, now)
        return _notified(case), actions
    if case.ladder is not None:
        at = starts_at(case, now)
        case, actions = annunciate(case, at)
        return (_notified(case) if at <= now else case), actions
    of_check = case.check_step > case.stage
    held = decide_hold(
        rank=case.rank,
        of_check=of_check,
        now=now,
        policy=case.policy,
        around=around,
        grade=case.grounds.grade,
    )
    if held.not_before is None:
        return case, (SupersedeMessages(),)
    case, actions = annunciate(case, held.not_before)
    return (_notified(case) if held.not_before <= now else case), actions


def _notified(case: CaseFacts) -> CaseFacts:
    return replace(case, state=CaseState.NOTIFIED) if case.state is CaseState.OPEN else case


# --- the act owed ----------------------------------------------------------------------------------------------


def with_owed_task(case: CaseFacts, now: datetime, around: Circumstances) -> CaseFacts:
    """Return the case with the act its rank asks for, unless that is asked for already."""
    kinds = {task.kind for task in case.open_tasks}
    if case.rank >= 3 and TaskKind.VISIT not in kinds:
        return with_visit(case, now, around)
    if case.rank == 2 and not kinds & {TaskKind.CALL, TaskKind.VISIT}:
        start_at = call_starts_at(case, now)
        if around.cannot_phone:
            # Ringing a telephone that nobody hears loses a day: a neighbour goes where a call would be made.
            return with_visit(case, now, around, start_at=start_at)
        return with_call(case, start_at, now, around)
    if case.rank <= 1:
        return replace(case, deadline_at=after(now, case.policy.sla_ms(case.rank)))
    return case


def with_call(case: CaseFacts, start_at: datetime, now: datetime, around: Circumstances) -> CaseFacts:
    """Return the case with a call task that starts at ``start_at``; checks of a mass outage are paced."""
    due_at = after(start_at, case.policy.sla_ms(2) + _pace_ms(case, around))
    task = TaskFacts(TaskKind.CALL, desk_at(around.duty, start_at), TaskState.OPEN, now, start_at, due_at)
    return replace(with_task(case, task), deadline_at=due_at)


def with_visit(
    case: CaseFacts,
    now: datetime,
    around: Circumstances,
    *,
    role: str | None = None,
    start_at: datetime | None = None,
) -> CaseFacts:
    """Return the case with a visit task for ``role``, or for the first of the chain not asked yet.

    ``start_at`` lets a visit in place of a call wait for the morning, as the call would.
    """
    start_at = start_at or now
    night = is_night(case.policy, start_at)
    chosen = role or next_in_chain(around, _asked(case), night=night, at=start_at)
    if chosen is None:
        chosen = next_in_chain(around, (), night=night, at=start_at)
    assert chosen is not None
    at_work = chosen not in around.helpers and chosen != Role.GRID_WORKER
    span_ms = (
        case.policy.sla_ms(3) if at_work else around.helper_waits_ms.get(chosen, case.policy.visit_lease_ms)
    )
    due_at = after(start_at, span_ms + _pace_ms(case, around))
    task = TaskFacts(TaskKind.VISIT, chosen, TaskState.OPEN, now, start_at, due_at)
    deadline_at = after(start_at, case.policy.sla_ms(3) + _pace_ms(case, around))
    if any(old.kind is TaskKind.VISIT for old in case.tasks) and case.deadline_at is not None:
        deadline_at = case.deadline_at
    return replace(with_task(case, task), deadline_at=deadline_at)


def _asked(case: CaseFacts) -> set[str]:
    return {task.role for task in case.tasks if task.kind is TaskKind.VISIT}


def _pace_ms(case: CaseFacts, around: Circumstances) -> int:
    if case.check_step <= case.stage:
        return 0
    return min(around.queue // max(1, around.staff) * _PACE_MS, _PACE_MAX_MS)


# --- its time has come -----------------------------------------------------------------------------------------


def decide_timer(case: CaseFacts, now: datetime, around: Circumstances) -> Decision:
    """Say what the passing of time does to an open case: expiry annunciates again, an owed act passes on."""
    if case.next_action_at is not None and case.next_action_at > now:
        return Decision(Reason.NOTHING_DUE, case)
    untold = [
        role
        for at, role in _told_later(case)
        if at <= now and f"{step_name(case)}_{role}" not in case.annunciated
    ]
    if untold:
        return _tell_further(case, untold, now)
    if case.held_until is not None:
        if case.held_until > now:
            return Decision(Reason.NOTHING_DUE, planned(case, now))
        case = replace(case, held_until=None, held_reason=None)
        case = case if case.is_owned(now) else unowned(case)
        return _again(case, Reason.HOLD_ENDED, now, around)
    if case.lease_expires_at is not None and case.lease_expires_at <= now:
        return _again(unowned(case), Reason.LEASE_EXPIRED, now, around)
    if case.proposal is not None:
        if all(task.due_at <= now for task in _proposal_tasks(case)):
            return _again(case, Reason.NOT_CONFIRMED, now, around)
        return Decision(Reason.NOTHING_DUE, planned(case, now))
    if case.is_owned(now):
        return Decision(Reason.NOTHING_DUE, planned(case, now))
    return _decide_tasks(case, now, around)


def _tell_further(case: CaseFacts, roles: list[str], now: datetime) -> Decision:
    actions: list[Action] = [Entry(Reason.TOLD_FURTHER, {"to": roles[-1]})]
    for role in roles:
        case, told = annunciate(case, now, also=(Role(role),), further=role)
        # What is planned for the others stays planned: one more is told, nobody is told instead.
        actions += [action for action in told if not isinstance(action, SupersedeMessages)]
    return Decision(Reason.TOLD_FURTHER, planned(case, now), tuple(actions))


def _decide_tasks(case: CaseFacts, now: datetime, around: Circumstances) -> Decision:
    overdue = {task.kind: task for task in case.open_tasks if task.due_at <= now}
    if TaskKind.VISIT in overdue:
        return _pass_on(case, overdue[TaskKind.VISIT], now, around)
    if TaskKind.CALL in overdue:
        case = _to_the_desk(case, overdue[TaskKind.CALL], now, around)
        return _again(case, Reason.CALL_OVERDUE, now, around)
    if overdue and case.ladder is not None:
        return _decide_ladder_overdue(case, next(iter(overdue.values())), now, around)
    if TaskKind.DEVICE_CHECK in overdue:
        first = case.next_action == NextAction.DEVICE_CHECK_DUE.value
        entries = (Entry(Reason.DEVICE_CHECK_OVERDUE),) if first else ()
        return Decision(Reason.DEVICE_CHECK_OVERDUE, planned(case, now), entries)
    started = [task for task in case.open_tasks if task.start_at <= now]
    if started and case.state is CaseState.OPEN:
        case = planned(replace(case, state=CaseState.NOTIFIED), now)
        return Decision(Reason.STARTED, case, (Entry(Reason.STARTED, {"kind": started[0].kind.value}),))
    if not case.open_tasks:
        return _decide_list(case, now)
    return Decision(Reason.NOTHING_DUE, planned(case, now))


def _to_the_desk(case: CaseFacts, task: TaskFacts, now: datetime, around: Circumstances) -> CaseFacts:
    """Give an overdue call to who does the desk's work by now: whoever is told of it must be able to take it."""
    role = desk_at(around.duty, now)
    if task.role not in (Role.PROPERTY_CLERK, Role.GUARD) or task.role == role:
        return case
    return with_changed_task(case, task, replace(task, role=role))


def _decide_ladder_overdue(
    case: CaseFacts, task: TaskFacts, now: datetime, around: Circumstances
) -> Decision:
    """Nobody has answered in time: the ladder's own ending, or everybody is told again."""
    assert case.ladder is not None
    if not case.ladder.ends_with:
        return _again(case, Reason.TASK_OVERDUE, now, around, {"kind": task.kind.value})
    decision = closed(
        case, Outcome(case.ladder.ends_with), now, by="clock", reason=Reason.CLOSED_UNANSWERED, args={}
    )
    if case.cause is not CaseCause.ABSENCE or case.evidence_at is None:
        return decision
    return replace(decision, actions=(*decision.actions, EndAbsence(absence_of(case), case.evidence_at)))


def absence_of(case: CaseFacts) -> int:
    """Return the absence that a question is about; its number is the subject's."""
    return int((case.cause_key or "").partition(":")[2])


def _decide_list(case: CaseFacts, now: datetime) -> Decision:
    first = case.state is CaseState.OPEN
    case = planned(_notified(case), now)
    return Decision(Reason.LISTED, case, (Entry(Reason.LISTED),) if first else ())


def _pass_on(case: CaseFacts, overdue: TaskFacts, now: datetime, around: Circumstances) -> Decision:
    role = next_in_chain(around, _asked(case), night=is_night(case.policy, now), at=now)
    if role is None:
        return _again(case, Reason.VISIT_OVERDUE, now, around)
    case = with_changed_task(case, overdue, replace(overdue, state=TaskState.SUPERSEDED))
    case = with_visit(case, now, around, role=role)
    return _again(case, Reason.VISIT_PASSED_ON, now, around, {"from": overdue.role, "to": role})


def _again(
    case: CaseFacts,
    reason: Reason,
    now: datetime,
    around: Circumstances,
    args: dict[str, str] | None = None,
) -> Decision:
    case, actions = annunciate_by_rank(case, now, around)
    return Decision(reason, planned(case, now), (Entry(reason, args or {}), *actions))


def unowned(case: CaseFacts) -> CaseFacts:
    """Return the case without its holder; the tasks the holder had are open again."""
    tasks = tuple(
        replace(task, state=TaskState.OPEN, assignee_id=None, claimed_at=None)
        if task.state is TaskState.CLAIMED
        else task
        for task in case.tasks
    )
    state = CaseState.NOTIFIED if case.state in (CaseState.OWNED, CaseState.WORKING) else case.state
    return replace(case, holder_id=None, lease_expires_at=None, state=state, tasks=tasks)
