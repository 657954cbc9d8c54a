"""The first day, when nobody is asked to ring yet: an early result enters, a call that was asked and done leaves; pure.

It is written down like any call or visit, so that figures, reviews and whoever looks back find it among them.
"""

from __future__ import annotations

from datetime import datetime

from alerts.rules.actions import Decision, Entry
from alerts.rules.answers import decide_seen, task_done
from alerts.rules.case import CaseFacts, Circumstances, TaskFacts, with_task
from alerts.rules.happenings import EarlyResult, RecordOutcome
from alerts.rules.reasons import ActRefused, Reason, Refusal
from kaimen.vocabulary import CaseCause, Contacted, Outcome, Role, TaskKind, TaskState

_ASKED = (TaskKind.CALL, TaskKind.VISIT)


def is_early(case: CaseFacts) -> bool:
    """Say whether this is a case of a first day about which nobody was asked to ring or to go yet."""
    asked = any(task.kind in _ASKED for task in case.open_tasks)
    return case.is_open and case.cause is CaseCause.INACTIVITY and case.rank <= 1 and not asked


def decide_early(case: CaseFacts, act: EarlyResult, now: datetime, around: Circumstances) -> Decision:
    """Take what somebody found before she was asked: well closes the case, no answer is noted and moves no timer.

    Raises
    ------
    ActRefused
        ``case_closed``, ``not_early``, ``not_an_outcome``, ``how_is_missing``, ``witness_is_missing``.
    """
    if not case.is_open:
        raise ActRefused(Refusal.CASE_CLOSED)
    if not is_early(case) or case.proposal is not None:
        raise ActRefused(Refusal.NOT_EARLY)
    kind = TaskKind.VISIT if act.contacted is Contacted.SAW else TaskKind.CALL
    task = TaskFacts(
        kind, Role.PROPERTY_CLERK, TaskState.CLAIMED, now, now, now, assignee_id=act.user_id, claimed_at=now
    )
    with_it = with_task(case, task)
    said = RecordOutcome(act.user_id, 0, act.outcome, act.contacted, act.witness)
    if act.outcome is Outcome.WELL:
        return decide_seen(with_it, task, said, now, None, around)
    if act.outcome is not Outcome.NO_ANSWER:
        raise ActRefused(Refusal.NOT_AN_OUTCOME)
    # Who does not answer on the first day is no further on: the second day comes when it would have come.
    tried = task_done(with_it, task, said, now)
    entry = Entry(Reason.NO_ANSWER_EARLY, {}, None, act.user_id)
    return Decision(Reason.NO_ANSWER_EARLY, tried, (entry,))
