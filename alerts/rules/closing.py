"""How a case is proposed to end: a case, an outcome and ``now`` enter, a decision that asks a person leaves; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from alerts.rules.actions import Action, Decision, Entry
from alerts.rules.case import CaseFacts, TaskFacts, after, with_task, without_open_tasks
from alerts.rules.reasons import Reason
from alerts.rules.timers import annunciate, planned
from kaimen.vocabulary import Outcome, Role, TaskKind, TaskState

#: Where a case keeps the evidence that came while somebody was at the door.
DURING_VISIT = "during_visit"


def proposed(
    case: CaseFacts,
    outcome: Outcome,
    evidence_at: datetime,
    evidence: Mapping[str, Any],
    now: datetime,
    *,
    by: int | None = None,
) -> Decision:
    """Return the decision that asks a person to confirm an ending; not confirmed, it annunciates again.

    ``by`` is the first person where the outcome needs a second one.
    """
    proposal = {
        "kind": outcome.value if outcome is Outcome.DECEASED else "evidence",
        "outcome": outcome.value,
        "evidence_at": evidence_at.isoformat(),
        "evidence": dict(evidence),
        "by": by,
    }
    case = without_open_tasks(case, TaskKind.CONFIRM_CLOSING)
    task = TaskFacts(
        kind=TaskKind.CONFIRM_CLOSING,
        role=Role.PROPERTY_CLERK,
        state=TaskState.OPEN if by or case.holder_id is None else TaskState.CLAIMED,
        created_at=now,
        start_at=now,
        due_at=after(now, case.policy.confirm_within_ms),
        assignee_id=None if by else case.holder_id,
    )
    case = replace(
        with_task(case, task), proposal=proposal, proposal_at=now, held_until=None, held_reason=None
    )
    case, actions = annunciate(case, now)
    reason = Reason.SECOND_PERSON_ASKED if by else Reason.CLOSING_PROPOSED
    entry: Action = Entry(
        reason, {"outcome": outcome.value, "evidence_at": evidence_at.isoformat()}, None, by
    )
    return Decision(reason, planned(case, now), (entry, *actions))
