"""What a person's act does to a case: the case, the act and ``now`` enter, a decision or a refusal leaves; pure.

An outcome must change the rule's input: "well" and "helped" become evidence with a named witness, "away" and
"hospital" a dated absence, "deceased" the end of the watch once a second person confirms. Nothing else is evidence.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from alerts.rules.actions import (
    Action,
    AskReview,
    ConfirmMessages,
    Decision,
    DeclareAbsence,
    DoubtWord,
    EndAbsence,
    EndWatch,
    Entry,
    RecordVerified,
    ReportSensorFault,
    RestoreAbsence,
    SupersedeMessages,
)
from alerts.rules.case import (
    CaseFacts,
    Circumstances,
    TaskFacts,
    after,
    with_changed_task,
    with_task,
    without_open_tasks,
)
from alerts.rules.closing import DURING_VISIT, proposed
from alerts.rules.ending import closed
from alerts.rules.happenings import (
    Act,
    AddNote,
    BeginVisit,
    Claim,
    ConfirmClosing,
    HandOver,
    Hold,
    MetHer,
    RecordOutcome,
    Release,
    RemoteWell,
)
from alerts.rules.holds import is_night
from alerts.rules.reasons import ActRefused, Reason, Refusal
from alerts.rules.signals import tried_again
from alerts.rules.timers import (
    absence_of,
    annunciate,
    annunciate_by_rank,
    planned,
    unowned,
    with_call,
    with_owed_task,
    with_visit,
)
from alerts.sending.recipients import next_in_chain
from kaimen.policy import calls_start_at
from kaimen.vocabulary import CaseCause, CaseState, Contacted, Outcome, Role, TaskKind, TaskState

NOTE_LENGTH_MAX = 2_000
WITNESS_LENGTH_MAX = 200
ABSENCE_MAX = timedelta(days=30)
#: A hold is a wait, not an end: a day at most, two hours where somebody should be at the door.
HOLD_MAX = timedelta(hours=24)
HOLD_AT_VISIT_MAX = timedelta(hours=2)
CALLS_UNANSWERED_MAX = 3
CALL_AGAIN_MS = 30 * 60_000

_DESK = (Role.PROPERTY_CLERK, Role.ADMIN)
_SEEN = (Outcome.WELL, Outcome.HELPED)
_GONE = (Outcome.AWAY, Outcome.HOSPITAL)
_TRIED = (Outcome.NO_ANSWER, Outcome.SENSOR_FAULT)
#: What is asked by telephone, and what of it lets nobody off: the ladder goes on, or a watch begins again.
_BY_PHONE = (TaskKind.CALL, TaskKind.CONFIRM_BACK, TaskKind.REVIEW)
_GOES_ON = (Outcome.NO_ANSWER, Outcome.SENSOR_FAULT, Outcome.BACK, Outcome.DOUBTED)
_DEVICE_OUTCOMES = (Outcome.RESTORED, Outcome.SENSOR_FAULT, Outcome.NO_ANSWER)


def rests_on_a_voice(kind: TaskKind, outcome: Outcome, contacted: Contacted | None) -> bool:
    """Say whether an outcome that ends or holds what is asked rests on what somebody said on the telephone.

    Whoever stands at the door hears her through it; who answers a cry for help says how he learned that it is over.
    """
    if outcome in _GOES_ON or contacted is Contacted.SAW or kind is TaskKind.VISIT:
        return False
    return kind in _BY_PHONE or contacted is Contacted.SPOKE


def decide_act(case: CaseFacts, act: Act, now: datetime, around: Circumstances) -> Decision:
    """Say what an act of one person on one case does.

    Raises
    ------
    ActRefused
        With the reason, where the state of the case does not allow the act.
    """
    _refuse_if(not case.is_open, Refusal.CASE_CLOSED)
    match act:
        case Claim():
            return _claim(case, act, now)
        case Release():
            return _release(case, act, now, around)
        case AddNote():
            return _add_note(case, act)
        case BeginVisit():
            return _begin_visit(case, act, now)
        case RecordOutcome():
            return _record_outcome(case, act, now, around)
        case ConfirmClosing():
            return _confirm_closing(case, act, now, around)
        case Hold():
            return _hold(case, act, now)
        case HandOver():
            return _hand_over(case, act, now)
        case RemoteWell():
            return decide_remote_well(case, act, now, around)


def _refuse_if(is_so: bool, why: Refusal) -> None:
    if is_so:
        raise ActRefused(why)


def _checked_note(note: str) -> str | None:
    note = note.strip()
    _refuse_if(len(note) > NOTE_LENGTH_MAX, Refusal.NOTE_TOO_LONG)
    return note or None


# --- who has it --------------------------------------------------------------------------------------------------


def _claim(case: CaseFacts, act: Claim, now: datetime) -> Decision:
    _refuse_if(case.is_owned(now) and case.holder_id != act.user_id, Refusal.HELD_BY_ANOTHER)
    _refuse_if(_is_her_own_word(case, act.user_id), Refusal.SECOND_PERSON_NEEDED)
    tasks = tuple(_claimed(task, act, now) for task in unowned(case).tasks)
    state = CaseState.WORKING if case.state is CaseState.WORKING else CaseState.OWNED
    case = replace(
        case,
        tasks=tasks,
        state=state,
        holder_id=act.user_id,
        lease_expires_at=after(now, case.lease_ms),
    )
    entry = Entry(Reason.CLAIMED, {}, None, act.user_id)
    return Decision(Reason.CLAIMED, planned(case, now), (entry, ConfirmMessages(), SupersedeMessages()))


def _is_her_own_word(case: CaseFacts, user_id: int) -> bool:
    return case.cause is CaseCause.REVIEW and case.evidence.get("recorded_by") == user_id


def _claimed(task: TaskFacts, act: Claim, now: datetime) -> TaskFacts:
    # What a helper was asked stays asked of the helper, also while the desk has the case.
    if task.is_open and (task.role == act.role or (task.role in _DESK and act.role in _DESK)):
        return replace(task, state=TaskState.CLAIMED, assignee_id=act.user_id, claimed_at=now)
    return task


def _release(case: CaseFacts, act: Release, now: datetime, around: Circumstances) -> Decision:
    _refuse_if(case.holder_id != act.user_id, Refusal.NOT_THE_HOLDER)
    entry = Entry(Reason.RELEASED, {}, None, act.user_id)
    if case.held_until is not None and case.held_until > now:
        return Decision(Reason.RELEASED, planned(unowned(case), now), (entry,))
    case, actions = annunciate_by_rank(unowned(case), now, around)
    return Decision(Reason.RELEASED, planned(case, now), (entry, *actions))


def _add_note(case: CaseFacts, act: AddNote) -> Decision:
    note = _checked_note(act.note)
    _refuse_if(note is None, Refusal.NOTE_IS_EMPTY)
    # A note moves no timer: whoever writes one every half hour has not looked after anybody.
    return Decision(Reason.NOTED, case, (Entry(Reason.NOTED, {}, note, act.user_id),))


def _hold(case: CaseFacts, act: Hold, now: datetime) -> Decision:
    reason = _checked_note(act.reason)
    longest = HOLD_AT_VISIT_MAX if case.rank >= 3 else HOLD_MAX
    _refuse_if(reason is None, Refusal.REASON_IS_MISSING)
    _refuse_if(act.until <= now, Refusal.HOLD_NEEDS_END)
    _refuse_if(act.until - now > longest, Refusal.HOLD_TOO_LONG)
    case = planned(replace(case, held_until=act.until, held_reason=reason), now)
    entry = Entry(Reason.HELD, {"until": act.until.isoformat()}, reason, act.user_id)
    return Decision(Reason.HELD, case, (entry, SupersedeMessages()))


def _hand_over(case: CaseFacts, act: HandOver, now: datetime) -> Decision:
    _refuse_if(act.to_role in (Role.FAMILY, Role.ADMIN), Refusal.UNKNOWN_ROLE)
    kind = _kind_owed(case)
    hidden = case.ladder is not None and case.ladder.hides_place
    # Who lives or helps at that door may be the one she is in fear of.
    _refuse_if(hidden and act.to_role is not Role.POLICE_OFFICER, Refusal.UNKNOWN_ROLE)
    if _is_with(case, kind, act, now):
        # Sent twice: nobody is asked or told again, no clock begins anew, and new words are kept.
        note = _checked_note(act.note)
        said = () if note is None else (Entry(Reason.NOTED, {}, note, act.user_id),)
        return Decision(Reason.HANDED_OVER, case, said)
    case = unowned(without_open_tasks(case, kind))
    due_at = after(now, case.sla_ms)
    case = with_task(case, TaskFacts(kind, act.to_role, TaskState.OPEN, now, now, due_at))
    case, actions = annunciate(replace(case, deadline_at=due_at), now, also=(act.to_role,))
    entry = Entry(Reason.HANDED_OVER, {"to": act.to_role.value}, _checked_note(act.note), act.user_id)
    return Decision(Reason.HANDED_OVER, planned(case, now), (entry, *actions))


def _is_with(case: CaseFacts, kind: TaskKind, act: HandOver, now: datetime) -> bool:
    """Say whether the act is asked of that very role already, and nobody else has the case or waits with it."""
    asked = [task for task in case.open_tasks if task.kind is kind and task.role == act.to_role.value]
    if not asked or (case.held_until is not None and case.held_until > now):
        return False
    started = any(task.start_at <= now for task in asked)
    return started and (
        not case.is_owned(now) or case.holder_id in {task.assignee_id for task in asked} - {act.user_id}
    )


def _kind_owed(case: CaseFacts) -> TaskKind:
    if case.proposal is not None:
        return TaskKind.CONFIRM_CLOSING
    if case.cause is CaseCause.TECHNICAL:
        return TaskKind.DEVICE_CHECK
    if case.ladder is not None:
        return TaskKind(case.ladder.task)
    return TaskKind.VISIT if case.rank >= 3 else TaskKind.CALL


# --- visits and outcomes -----------------------------------------------------------------------------------------


def _task(case: CaseFacts, task_id: int) -> TaskFacts:
    task = next((task for task in case.tasks if task.id == task_id), None)
    if task is None:
        raise ActRefused(Refusal.UNKNOWN)
    _refuse_if(not task.is_open, Refusal.TASK_ENDED)
    return task


def _begin_visit(case: CaseFacts, act: BeginVisit, now: datetime) -> Decision:
    task = _task(case, act.task_id)
    _refuse_if(task.kind is not TaskKind.VISIT, Refusal.WRONG_TASK)
    others = task.begun_at is not None and task.assignee_id != act.user_id
    _refuse_if(others and case.is_owned(now), Refusal.HELD_BY_ANOTHER)
    begun = replace(
        task,
        state=TaskState.CLAIMED,
        assignee_id=act.user_id,
        claimed_at=task.claimed_at or now,
        begun_at=now,
    )
    case = replace(
        with_changed_task(case, task, begun),
        state=CaseState.WORKING,
        holder_id=act.user_id,
        lease_expires_at=after(now, case.policy.visit_lease_ms),
        visit_begun_at=now,
        held_until=None,
        held_reason=None,
    )
    entry = Entry(Reason.VISIT_BEGUN, {}, None, act.user_id)
    return Decision(Reason.VISIT_BEGUN, planned(case, now), (entry, ConfirmMessages(), SupersedeMessages()))


def _record_outcome(case: CaseFacts, act: RecordOutcome, now: datetime, around: Circumstances) -> Decision:
    task = _task(case, act.task_id)
    _refuse_if(task.kind is TaskKind.CONFIRM_CLOSING, Refusal.WRONG_TASK)
    note = _checked_note(act.note)
    if case.ladder is not None:
        return _answered(case, task, act, now, note)
    if task.kind is TaskKind.DEVICE_CHECK:
        return _device_checked(case, task, act, now, around)
    if act.outcome in _SEEN:
        return decide_seen(case, task, act, now, note, around)
    if act.outcome in _GONE:
        return _away(case, task, act, now, note)
    if act.outcome is Outcome.DECEASED:
        return _deceased(task_done(case, task, act, now), act, now, note)
    if act.outcome is Outcome.NO_ANSWER:
        return _no_answer(task_done(case, task, act, now), task, act, now, around)
    if act.outcome is Outcome.SENSOR_FAULT:
        return _sensor_fault(task_done(case, task, act, now), task, act, now)
    if act.outcome is Outcome.OTHER:
        # It ends this case and answers for nobody: where her stage stands on, it is opened again.
        _refuse_if(note is None, Refusal.NOTE_IS_EMPTY)
        return _closed_by_person(task_done(case, task, act, now), Outcome.OTHER, act.user_id, now, note)
    raise ActRefused(Refusal.NOT_AN_OUTCOME)


def task_done(case: CaseFacts, task: TaskFacts, act: RecordOutcome, now: datetime) -> CaseFacts:
    """Return the case with a task of it done as the act says."""
    done = replace(
        task,
        state=TaskState.DONE,
        done_at=now,
        done_by=act.user_id,
        outcome=act.outcome.value,
        contacted=act.contacted.value if act.contacted else None,
        witness=(act.witness or "").strip() or None,
        note=_checked_note(act.note),
    )
    case = with_changed_task(case, task, done)
    if task.kind is TaskKind.VISIT:
        case = replace(case, visit_begun_at=None)
    return case


def decide_seen(
    case: CaseFacts,
    task: TaskFacts,
    act: RecordOutcome,
    now: datetime,
    note: str | None,
    around: Circumstances,
) -> Decision:
    """Take the word of a named person who spoke with her or saw her: it closes the case, and is evidence.

    Raises
    ------
    ActRefused
        Without the means or the name.
    """
    if act.contacted is None:
        raise ActRefused(Refusal.HOW_IS_MISSING)
    witness = (act.witness or "").strip()
    _refuse_if(not 0 < len(witness) <= WITNESS_LENGTH_MAX, Refusal.WITNESS_IS_MISSING)
    evidence = RecordVerified(now, act.contacted.value, witness)
    done = replace(task_done(case, task, act, now), remote_well_count=0)
    further: tuple[Action, ...] = (evidence,)
    if around.review_drawn and act.outcome is Outcome.WELL:
        said = {"how": act.contacted.value, "task": task.id, "case": case.id, "at": now.isoformat()}
        further = (evidence, AskReview(act.user_id, said))
    return _closed_by_person(done, act.outcome, act.user_id, now, note, *further)


def _answered(
    case: CaseFacts, task: TaskFacts, act: RecordOutcome, now: datetime, note: str | None
) -> Decision:
    """Take what a person found about a cause with a ladder; its ladder says which outcomes there are."""
    assert case.ladder is not None
    _refuse_if(act.outcome.value not in case.ladder.outcomes, Refusal.NOT_AN_OUTCOME)
    _refuse_if(act.outcome is Outcome.OTHER and note is None, Refusal.NOTE_IS_EMPTY)
    _refuse_if(_is_her_own_word(case, act.user_id), Refusal.SECOND_PERSON_NEEDED)
    over = is_anothers(case, task, act.user_id, now)
    # Two who answer one cry for help each believe the other goes: nobody ends what another has without having read so.
    _refuse_if(over and act.instead_of != case.holder_id, Refusal.HELD_BY_ANOTHER)
    decision = _found(case, task, act, now, note)
    if not over:
        return decision
    instead = Entry(Reason.ANSWERED_INSTEAD, {}, None, act.user_id)
    return replace(decision, actions=(instead, *decision.actions))


def is_anothers(case: CaseFacts, task: TaskFacts, user_id: int, now: datetime) -> bool:
    """Say whether somebody else has a most pressing case now, and this person was not sent there herself."""
    has = case.is_owned(now) and case.holder_id != user_id
    return has and case.rank >= 3 and task.assignee_id != user_id


def _found(case: CaseFacts, task: TaskFacts, act: RecordOutcome, now: datetime, note: str | None) -> Decision:
    """Say what one outcome of a cause with a ladder leads to."""
    if act.outcome in _SEEN and case.household_id is not None:
        return decide_seen(case, task, act, now, note, Circumstances())
    if act.outcome in _GONE:
        return _away(case, task, act, now, note)
    done = task_done(case, task, act, now)
    if act.outcome in _TRIED:
        # Nobody was there, or it is to be mended: it comes up again until it is over.
        wait_ms = 0 if case.rank >= 3 else case.policy.reopen_after_ms
        entry = Entry(Reason.NO_ANSWER_TRY_AGAIN, {"kind": task.kind.value}, note, act.user_id)
        if act.outcome is Outcome.SENSOR_FAULT:
            entry = Entry(Reason.DEVICE_CHECKED, {"outcome": act.outcome.value}, note, act.user_id)
        return tried_again(done, task, entry.words, entry, after(now, wait_ms), now)
    return _closed_by_person(done, act.outcome, act.user_id, now, note, *_follows(case, act, now))


def _follows(case: CaseFacts, act: RecordOutcome, now: datetime) -> tuple[Action, ...]:
    """Return what an answer changes beside the case."""
    if act.outcome is Outcome.BACK and case.evidence_at is not None:
        return (EndAbsence(absence_of(case), case.evidence_at),)
    if act.outcome is Outcome.NOT_BACK:
        restored = Entry(Reason.ABSENCE_RESTORED, {}, None, act.user_id)
        return (RestoreAbsence(absence_of(case), now, f"user:{act.user_id}"), restored)
    if act.outcome is Outcome.DOUBTED:
        doubted = Entry(Reason.WORD_DOUBTED, {}, None, act.user_id)
        return (DoubtWord(int(case.evidence["case"]), f"user:{act.user_id}"), doubted)
    return ()


def _away(case: CaseFacts, task: TaskFacts, act: RecordOutcome, now: datetime, note: str | None) -> Decision:
    if act.absence_until is None or act.absence_until <= now:
        raise ActRefused(Refusal.ABSENCE_NEEDS_END)
    _refuse_if(act.absence_until - now > ABSENCE_MAX, Refusal.ABSENCE_TOO_LONG)
    reason = "hospital" if act.outcome is Outcome.HOSPITAL else "other"
    absence = DeclareAbsence(now, act.absence_until, reason, f"user:{act.user_id}")
    done = task_done(case, task, act, now)
    return _closed_by_person(done, act.outcome, act.user_id, now, note, absence)


def _closed_by_person(
    case: CaseFacts, outcome: Outcome, user_id: int, now: datetime, note: str | None, *further: Action
) -> Decision:
    decision = closed(
        case,
        outcome,
        now,
        by=f"user:{user_id}",
        reason=Reason.CLOSED_BY_OUTCOME,
        args={},
        user_id=user_id,
        note=note,
    )
    return replace(decision, actions=(ConfirmMessages(), *decision.actions, *further))


def _deceased(case: CaseFacts, act: RecordOutcome, now: datetime, note: str | None) -> Decision:
    evidence = {"kind": Outcome.DECEASED.value}
    decision = proposed(unowned(case), Outcome.DECEASED, now, evidence, now, by=act.user_id)
    if note is None:
        return decision
    return replace(decision, actions=(*decision.actions, Entry(Reason.NOTED, {}, note, act.user_id)))


def _no_answer(
    case: CaseFacts, task: TaskFacts, act: RecordOutcome, now: datetime, around: Circumstances
) -> Decision:
    """Try again or take the next step; that nobody answers says nothing of her."""
    case = _kept_on(case)
    reason = Reason.NO_ANSWER_NEXT_STEP
    if task.kind is TaskKind.CALL and _calls_unanswered(case) < CALLS_UNANSWERED_MAX:
        reason = Reason.NO_ANSWER_TRY_AGAIN
        start_at = calls_start_at(case.policy, after(now, CALL_AGAIN_MS))
        case = with_call(case, start_at, now, around)
    else:
        case = _with_next_visit(case, now, around)
    entry = Entry(reason, {"kind": task.kind.value}, _checked_note(act.note), act.user_id)
    return _told_or_proposed(case, reason, entry, now, around)


def _with_next_visit(case: CaseFacts, now: datetime, around: Circumstances) -> CaseFacts:
    if any(task.kind is TaskKind.VISIT for task in case.open_tasks):
        return case
    asked = {task.role for task in case.tasks if task.kind is TaskKind.VISIT}
    return with_visit(case, now, around, role=next_in_chain(around, asked, night=is_night(case.policy, now)))


def _calls_unanswered(case: CaseFacts) -> int:
    return sum(task.kind is TaskKind.CALL and task.outcome == Outcome.NO_ANSWER.value for task in case.tasks)


def _sensor_fault(case: CaseFacts, task: TaskFacts, act: RecordOutcome, now: datetime) -> Decision:
    """The device is to be mended; whether she is well is as open as before, so the act comes up again."""
    case = _kept_on(case)
    start_at = after(now, case.policy.reopen_after_ms)
    again = TaskFacts(
        task.kind, task.role, TaskState.OPEN, now, start_at, after(start_at, case.policy.sla_ms(case.rank))
    )
    entry = Entry(Reason.SENSOR_FAULT_NOTED, {}, _checked_note(act.note), act.user_id)
    if _ended_during_visit(case):
        return _told_or_proposed(case, Reason.SENSOR_FAULT_NOTED, entry, now, Circumstances())
    case = with_task(case, again)
    case, actions = annunciate(replace(case, deadline_at=again.due_at), start_at)
    further = (entry, ReportSensorFault(act.user_id), *actions)
    return Decision(Reason.SENSOR_FAULT_NOTED, planned(case, now), further)


def _kept_on(case: CaseFacts) -> CaseFacts:
    """Return the case after an act that ended nothing: nobody has it now, people have been told."""
    return replace(unowned(case), state=CaseState.NOTIFIED, held_until=None, held_reason=None)


def _ended_during_visit(case: CaseFacts) -> bool:
    stands = case.standing or case.checks or case.proposal is not None
    return not stands and DURING_VISIT in case.evidence


def _told_or_proposed(
    case: CaseFacts, reason: Reason, entry: Entry, now: datetime, around: Circumstances
) -> Decision:
    """Annunciate what is owed next; where evidence came during the visit, ask whether it was hers instead."""
    if _ended_during_visit(case):
        seen = case.evidence[DURING_VISIT]
        evidence_at = datetime.fromisoformat(seen["evidence_at"])
        decision = proposed(case, Outcome.RESUMED, evidence_at, seen["evidence"], now)
        return replace(decision, reason=reason, actions=(entry, *decision.actions))
    start_at = min((task.start_at for task in case.open_tasks), default=now)
    case, actions = annunciate(case, max(start_at, now))
    return Decision(reason, planned(case, now), (entry, *actions))


def _device_checked(
    case: CaseFacts, task: TaskFacts, act: RecordOutcome, now: datetime, around: Circumstances
) -> Decision:
    _refuse_if(act.outcome not in _DEVICE_OUTCOMES, Refusal.NOT_AN_OUTCOME)
    note = _checked_note(act.note)
    case = task_done(case, task, act, now)
    if act.outcome is Outcome.RESTORED and not case.outages:
        return _closed_by_person(case, Outcome.RESTORED, act.user_id, now, note)
    # Not heard yet, whatever was found: the check comes up again until the device itself is heard.
    start_at = after(now, case.policy.reopen_after_ms)
    due_at = after(start_at, case.policy.device_sla_ms)
    again = TaskFacts(TaskKind.DEVICE_CHECK, Role.PROPERTY_CLERK, TaskState.OPEN, now, start_at, due_at)
    case = replace(with_task(_kept_on(case), again), deadline_at=due_at)
    entry = Entry(Reason.DEVICE_CHECKED, {"outcome": act.outcome.value}, note, act.user_id)
    case, actions = annunciate(case, start_at)
    return Decision(Reason.DEVICE_CHECKED, planned(case, now), (entry, *actions))


# --- the second person, and the key press ------------------------------------------------------------------------


def _confirm_closing(case: CaseFacts, act: ConfirmClosing, now: datetime, around: Circumstances) -> Decision:
    if case.proposal is None:
        raise ActRefused(Refusal.NOTHING_PROPOSED)
    first = case.proposal.get("by")
    _refuse_if(act.confirmed and first == act.user_id, Refusal.SECOND_PERSON_NEEDED)
    note = _checked_note(act.note)
    outcome = Outcome(str(case.proposal["outcome"]))
    confirming = next((task for task in case.open_tasks if task.kind is TaskKind.CONFIRM_CLOSING), None)
    if confirming is not None:
        answer = "confirmed" if act.confirmed else "rejected"
        done = replace(
            confirming, state=TaskState.DONE, done_at=now, done_by=act.user_id, outcome=answer, note=note
        )
        case = with_changed_task(case, confirming, done)
    if act.confirmed:
        return _confirmed(case, outcome, act, now, note)
    spent = {name: value for name, value in case.evidence.items() if name != DURING_VISIT}
    case = replace(_kept_on(case), proposal=None, proposal_at=None, evidence=spent)
    case = with_owed_task(case, now, around)
    entry = Entry(Reason.CLOSING_REJECTED, {"outcome": outcome.value}, note, act.user_id)
    case, actions = annunciate_by_rank(case, now, around)
    return Decision(Reason.CLOSING_REJECTED, planned(case, now), (entry, *actions))


def _confirmed(
    case: CaseFacts, outcome: Outcome, act: ConfirmClosing, now: datetime, note: str | None
) -> Decision:
    decision = closed(
        case,
        outcome,
        now,
        by=f"user:{act.user_id}",
        reason=Reason.CLOSING_CONFIRMED,
        args={},
        user_id=act.user_id,
        note=note,
    )
    further: tuple[Action, ...] = (ConfirmMessages(),)
    if outcome is Outcome.DECEASED:
        further = (*further, EndWatch())
    return replace(decision, actions=(*decision.actions, *further))


def decide_remote_well(
    case: CaseFacts | None, act: RemoteWell, now: datetime, around: Circumstances
) -> Decision:
    """Take a key press as evidence, at most so many times in succession; the detector does the rest.

    Raises
    ------
    ActRefused
        If nobody spoke with her or saw her, and no door opened, since too many such presses.
    """
    count = case.remote_well_count if case is not None else around.remote_well_count
    limit = case.policy.remote_well_max if case is not None else around.remote_well_max
    _refuse_if(max(count, around.remote_well_count) >= limit, Refusal.REMOTE_TOO_OFTEN)
    real_evidence_at = around.real_evidence_at
    if real_evidence_at is None and case is not None:
        real_evidence_at = case.evidence_at
    evidence = RecordVerified(now, act.how, act.via, real_evidence_at, act.recorded_by)
    if case is None:
        return Decision(Reason.REMOTE_WELL, None, (evidence,))
    entry = Entry(Reason.REMOTE_WELL, {"via": act.via}, None, act.user_id)
    return Decision(Reason.REMOTE_WELL, replace(case, remote_well_count=count + 1), (entry, evidence))


#: What was seen or heard is written down the same day, never for tomorrow.
WORD_BACK_MAX = timedelta(hours=24)


def decide_met(act: MetHer, now: datetime) -> Decision:
    """Take the word of somebody who met her as evidence at its own instant; the detector does the rest.

    Raises
    ------
    ActRefused
        Without the name of who met her, or for an instant to come or more than a day ago.
    """
    witness = act.witness.strip()
    _refuse_if(not 0 < len(witness) <= WITNESS_LENGTH_MAX, Refusal.WITNESS_IS_MISSING)
    _refuse_if(not now - WORD_BACK_MAX <= act.at <= now, Refusal.NOT_A_TIME)
    word = RecordVerified(act.at, act.how, witness, None, act.recorded_by)
    return Decision(Reason.MET, None, (word,))
