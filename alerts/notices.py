"""Notices of our own machines: what a monitoring system says enters, a technical case opens or ends.

One case for each group of the sender's, however many alerts are in it, so that a full disk on ten machines rings
once; it goes the way of every technical case, over the same channels.
"""

from __future__ import annotations

from datetime import datetime

from alerts.case_rows import load_open_case
from alerts.keys import Key, lock
from alerts.rules.actions import Decision, Entry
from alerts.rules.case import Circumstances
from alerts.rules.ending import closed
from alerts.rules.reasons import Reason
from alerts.rules.technical import asked_to_check_device, cause_key, new_technical_case
from alerts.saving import save
from alerts.surroundings import load_surroundings
from kaimen.database import Connection
from kaimen.policy import LadderPolicy
from kaimen.vocabulary import Outcome

NOTICE_CAUSE = "notice"


def take_notice(
    connection: Connection, *, community_id: str, name: str, is_over: bool, now: datetime
) -> Decision:
    """Open the case of a notice, or end it; told again it changes nothing. ``name`` is shown to the desk."""
    cause_id = f"{name}@{community_id}"
    key = Key(
        community_id,
        cause=NOTICE_CAUSE,
        cause_id=cause_id,
        cause_key=cause_key(NOTICE_CAUSE, cause_id, community_id),
    )
    lock(connection, key)
    case = load_open_case(connection, key)
    surroundings = load_surroundings(connection, key, now=now, outside_channels=())
    if is_over:
        decision = (
            Decision(Reason.NOTHING_OPEN, None)
            if case is None
            else closed(case, Outcome.RESTORED, now, by="evidence", reason=Reason.CLOSED_RESTORED, args={})
        )
    elif case is not None:
        decision = Decision(Reason.NOTICE_RAISED, case)
    else:
        decision = _opened(surroundings.policy, surroundings.around, cause_id, now)
    save(connection, case, decision, surroundings, now=now)
    return decision


def _opened(policy: LadderPolicy, around: Circumstances, cause_id: str, now: datetime) -> Decision:
    new = new_technical_case(around, policy, cause=NOTICE_CAUSE, cause_id=cause_id, opened_at=now)
    new, actions = asked_to_check_device(new, now, now, around)
    return Decision(Reason.NOTICE_RAISED, new, (Entry(Reason.NOTICE_RAISED), *actions))
