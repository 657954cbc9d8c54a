"""How a case ends: a case, an outcome and ``now`` enter, the decision that leaves nothing open leaves; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from alerts.rules.actions import Decision, Entry, SupersedeMessages
from alerts.rules.case import CaseFacts, without_open_tasks
from alerts.rules.reasons import Reason
from kaimen.vocabulary import CaseState, Outcome


def closed(
    case: CaseFacts,
    outcome: Outcome,
    now: datetime,
    *,
    by: str,
    reason: Reason,
    args: Mapping[str, Any],
    user_id: int | None = None,
    note: str | None = None,
) -> Decision:
    """Return the decision that ends a case: no task, no lease, no message is left of it."""
    ended = replace(
        without_open_tasks(case),
        state=CaseState.CLOSED,
        outcome=outcome,
        closed_at=now,
        closed_by=by,
        next_action="",
        next_action_at=None,
        holder_id=None,
        lease_expires_at=None,
        held_until=None,
        held_reason=None,
        proposal=None,
        proposal_at=None,
    )
    entry = Entry(reason, {**args, "outcome": outcome.value}, note, user_id)
    return Decision(reason, ended, (entry, SupersedeMessages()))
