"""What a shift's end does to a case: a case, who is off or takes over, and ``now`` enter, a decision leaves; pure.

Whoever goes home takes no case along. One that was offered and accepted by name is the next one's; any other is
nobody's again and is annunciated at once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from alerts.rules.actions import Decision, Entry
from alerts.rules.answers import decide_act
from alerts.rules.case import CaseFacts, Circumstances
from alerts.rules.happenings import AcceptShift, Claim, ShiftEnded
from alerts.rules.reasons import ActRefused, Reason, Refusal
from alerts.rules.timers import annunciate_by_rank, planned, unowned
from kaimen.vocabulary import CaseState


def decide_shift_ended(case: CaseFacts, fact: ShiftEnded, now: datetime, around: Circumstances) -> Decision:
    """Take the case from a holder who is off duty, and tell people again.

    Not where she took or renewed it after her shift (she stays for it), and not while she stands at the door: the
    lease of a visit is short and ends by itself.
    """
    if not case.is_open or case.holder_id != fact.user_id or not case.is_owned(now):
        return Decision(Reason.NOTHING_DUE, case)
    if case.visit_begun_at is not None or _claimed_at(case) >= fact.ended_at:
        return Decision(Reason.NOTHING_DUE, case)
    entry = Entry(Reason.SHIFT_ENDED, {"ended_at": fact.ended_at.isoformat()}, None, fact.user_id)
    if case.held_until is not None and case.held_until > now:
        return Decision(Reason.SHIFT_ENDED, planned(unowned(case), now), (entry,))
    case, actions = annunciate_by_rank(unowned(case), now, around)
    return Decision(Reason.SHIFT_ENDED, planned(case, now), (entry, *actions))


def _claimed_at(case: CaseFacts) -> datetime:
    assert case.lease_expires_at is not None
    return case.lease_expires_at - timedelta(milliseconds=case.lease_ms)


def decide_shift_accepted(
    case: CaseFacts, act: AcceptShift, now: datetime, around: Circumstances
) -> Decision:
    """Make the one who accepts the holder, with a lease of her own.

    Raises
    ------
    ActRefused
        ``case_closed``; ``not_the_holder`` where the one who offered it does not hold it any more.
    """
    if not case.is_open:
        raise ActRefused(Refusal.CASE_CLOSED)
    if case.holder_id != act.from_user_id or not case.is_owned(now):
        raise ActRefused(Refusal.NOT_THE_HOLDER)
    claimed = decide_act(unowned(case), Claim(act.user_id, act.role), now, around)
    assert claimed.case is not None
    new = claimed.case
    if case.state is CaseState.WORKING:
        new = replace(new, state=CaseState.WORKING)
    entry = Entry(Reason.SHIFT_ACCEPTED, {}, None, act.user_id)
    further = tuple(action for action in claimed.actions if not isinstance(action, Entry))
    return Decision(Reason.SHIFT_ACCEPTED, new, (entry, *further))
