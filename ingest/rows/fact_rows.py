"""What the detector, the causes and the grace period stated in a turn enters; its rows, in that order, leave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from ingest import metrics
from ingest.causes import OutageFact, OutageMoved, OutageTold
from ingest.detector import CheckDue, CheckEnded, Crossing, Fact, OutageBegan, OutageEnded, Withdrawal
from ingest.groups.grace import CheckHeld, CheckLetGo
from kaimen.clock import as_datetime
from kaimen.database import Connection, notify, queries

_SQL = queries("ingest")

StoredFact = Fact | OutageFact | OutageTold | OutageMoved | CheckHeld | CheckLetGo


def _maybe(ms: int | None) -> datetime | None:
    return None if ms is None else as_datetime(ms)


def write_facts(connection: Connection, facts: Sequence[StoredFact]) -> None:
    """Write facts in the order in which the detector stated them: alerts reads happenings by id."""
    if not facts:
        return
    cursors = []
    with connection.pipeline():
        for fact in facts:
            kind, values = _fact_row(fact)
            cursors.append((kind, connection.execute(_SQL[f"write_{kind}"], values)))
    for kind, cursor in cursors:
        if cursor.rowcount == 1:
            metrics.FACTS.labels(kind).inc()
        else:
            # Repeated after a rebuild, or an end without its begin: nothing to tell alerts, but to be seen.
            metrics.FACTS_UNMATCHED.labels(kind).inc()
    notify(connection, "kaimen_happenings")


def _fact_row(fact: StoredFact) -> tuple[str, dict[str, Any]]:
    match fact:
        case Crossing():
            return "crossing", {
                "household_id": fact.household_id,
                "stage": fact.stage,
                "at": as_datetime(fact.at_ms),
                "announced_at": as_datetime(fact.announced_ms),
                "evidence_at": as_datetime(fact.evidence_ms),
                "evidence": Jsonb(fact.evidence),
                "inactive_ms": fact.inactive_ms,
                "elapsed_ms": fact.elapsed_ms,
                "thresholds_ms": list(fact.thresholds_ms),
            }
        case Withdrawal():
            return "withdrawal", {
                "household_id": fact.household_id,
                "stage": fact.stage,
                "announced_at": as_datetime(fact.announced_ms),
                "withdrawn_at": as_datetime(fact.withdrawn_ms),
                "evidence_at": as_datetime(fact.evidence_ms),
                "evidence": Jsonb(fact.evidence),
                "late": fact.late,
            }
        case CheckDue():
            return "check_due", _check_row(fact)
        case CheckEnded():
            return "check_ended", {
                "household_id": fact.household_id,
                "step": fact.step,
                "check_evidence_at": as_datetime(fact.check_evidence_ms),
                "ended_at": as_datetime(fact.ended_ms),
                "evidence_at": as_datetime(fact.evidence_ms),
                "evidence": Jsonb(fact.evidence),
            }
        case OutageFact(outage, cause, told):
            return "outage_began" if told else "outage_noted", {
                "device_id": outage.device_id,
                "cause": cause.kind.value,
                "cause_id": cause.cause_id,
                "began_at": as_datetime(outage.began_ms),
                "heard_at": _maybe(outage.heard_ms),
            }
        case OutageEnded():
            return "outage_ended", {
                "device_id": fact.device_id,
                "began_at": as_datetime(fact.began_ms),
                "ended_at": as_datetime(fact.ended_ms),
            }
        case OutageTold():
            return "outage_told", {
                "device_id": fact.device_id,
                "began_at": as_datetime(fact.began_ms),
                "cause": fact.cause.kind.value,
                "cause_id": fact.cause.cause_id,
                "told_at": as_datetime(fact.at_ms),
            }
        case OutageMoved():
            return "outage_moved", {
                "device_id": fact.device_id,
                "began_at": as_datetime(fact.began_ms),
                "cause": fact.cause.kind.value,
                "cause_id": fact.cause.cause_id,
                "from_cause": fact.before.kind.value,
                "from_cause_id": fact.before.cause_id,
                "moved_at": as_datetime(fact.at_ms),
            }
        case CheckHeld(check, held_cause, until_ms):
            return "check_held", {
                **_check_row(check),
                "cause": held_cause.value,
                "held_until": as_datetime(until_ms),
            }
        case CheckLetGo(check, at_ms, why):
            return "check_let_go", {
                **_check_row(check),
                "ended_at": as_datetime(at_ms),
                "ended_as": why.value,
            }
        case OutageBegan():
            raise AssertionError("an outage is written with its cause")


def _check_row(check: CheckDue) -> dict[str, Any]:
    return {
        "household_id": check.household_id,
        "step": check.step,
        "at": as_datetime(check.at_ms),
        "noticed_at": as_datetime(check.noticed_ms),
        "evidence_at": as_datetime(check.evidence_ms),
        "evidence": Jsonb(check.evidence),
        "inactive_ms": check.inactive_ms,
    }
