"""Cases as they stand in their rows: a key or an id enters, the case with its tasks and grounds leaves, locked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alerts.ahead import Question, Reads
from alerts.keys import Key, bare_key, key_of_case, lock
from alerts.rules.case import CaseFacts, TaskFacts
from alerts.rules.grading import parse_grounds
from alerts.rules.policies import policy_values
from kaimen.database import Connection, queries
from kaimen.policy import LadderPolicy
from kaimen.vocabulary import CaseCause, CaseState, Outcome, Stage, TaskKind, TaskState

_SQL = queries("alerts")


def load_open_case(connection: Reads, key: Key) -> CaseFacts | None:
    """Return the open case of a key, locked."""
    row = connection.execute(*_open_case(key)).fetchone()
    return None if row is None else _load_case(connection, row, key)


def _open_case(key: Key) -> Question:
    if key.signal is not None:
        return _SQL["open_subject_case"], {"cause": key.signal.value, "subject": key.cause_key}
    if key.household_id is not None:
        return _SQL["open_inactivity_case"], {"household_id": key.household_id}
    return _SQL["open_technical_case"], {"cause_key": key.cause_key}


def questions_of_case(case_id: int, key: Key) -> Iterator[Question]:
    """Yield what :func:`load_open_case` asks of a case whose id is known, to be asked ahead."""
    yield _open_case(key)
    yield _SQL["case_tasks"], {"case_id": case_id}
    yield _SQL["case_annunciated"], {"case_id": case_id}
    if key.signal is not None:
        yield _SQL["standing_signals"], {"case_id": case_id}
    if key.is_of_inactivity:
        yield _SQL["standing_stages"], {"household_id": key.household_id}
        yield _SQL["standing_checks"], {"household_id": key.household_id}


def load_case(connection: Connection, case_id: int) -> tuple[CaseFacts, Key] | None:
    """Return a case and its key after waiting for the key's lock; None where there is no such case."""
    found = connection.execute(_SQL["case_key"], {"id": case_id}).fetchone()
    if found is None:
        return None
    lock(connection, bare_key(found))
    row = connection.execute(_SQL["case_by_id"], {"id": case_id}).fetchone()
    assert row is not None, "cases are never deleted"
    key = key_of_case(row)
    return _load_case(connection, row, key), key


def case_of_task(connection: Connection, task_id: int) -> int | None:
    row = connection.execute(_SQL["case_of_task"], {"id": task_id}).fetchone()
    return None if row is None else int(row["case_id"])


def _load_case(connection: Reads, row: Mapping[str, Any], key: Key) -> CaseFacts:
    case_id = {"case_id": row["id"]}
    tasks = connection.execute(_SQL["case_tasks"], case_id).fetchall()
    annunciated = connection.execute(_SQL["case_annunciated"], case_id).fetchall()
    values = {name: row[name] for name in CASE_COLUMNS}
    return CaseFacts(
        **values,
        cause=CaseCause(row["cause"]),
        stage=Stage(row["stage"]),
        state=CaseState(row["state"]),
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
        policy=LadderPolicy(**policy_values(row["policy"])),
        tasks=tuple(_task(task) for task in tasks),
        annunciated={item["step"]: item["count"] for item in annunciated},
        standing=frozenset(item["stage"] for item in load_standing(connection, key)),
        checks=frozenset(item["step"] for item in load_checks(connection, key)),
        outages=_load_outages(connection, key),
        signals=_load_signals(connection, row["id"], key),
        grounds=parse_grounds(row["grade"], row["grounds"]),
    )


CASE_COLUMNS = (
    "id", "number", "community_id", "household_id", "cause_key", "check_step", "opened_at", "stage_at",
    "deadline_at", "evidence_at", "evidence", "next_action", "next_action_at", "holder_id", "lease_expires_at",
    "held_until", "held_reason", "visit_begun_at", "proposal", "proposal_at", "remote_well_count", "signal_count",
    "closed_at", "closed_by", "reopened_from", "version",
)  # fmt: skip


TASK_COLUMNS = (
    "id", "role", "created_at", "start_at", "due_at", "assignee_id", "claimed_at", "begun_at", "done_at", "done_by",
    "outcome", "contacted", "witness", "note",
)  # fmt: skip


def _task(row: Mapping[str, Any]) -> TaskFacts:
    values = {name: row[name] for name in TASK_COLUMNS}
    return TaskFacts(kind=TaskKind(row["kind"]), state=TaskState(row["state"]), **values)


def load_standing(connection: Reads, key: Key) -> list[dict[str, Any]]:
    """Return the stages that stand announced for a household, as far as happenings were handled."""
    if not key.is_of_inactivity:
        return []
    return connection.execute(_SQL["standing_stages"], {"household_id": key.household_id}).fetchall()


def load_checks(connection: Reads, key: Key) -> list[dict[str, Any]]:
    """Return the checks that stand due for a household, as far as happenings were handled."""
    if not key.is_of_inactivity:
        return []
    return connection.execute(_SQL["standing_checks"], {"household_id": key.household_id}).fetchall()


def _load_outages(connection: Reads, key: Key) -> frozenset[int]:
    if key.household_id is not None or key.signal is not None:
        return frozenset()
    args = {"cause": key.cause, "cause_id": key.cause_id, "community_id": key.community_id}
    return frozenset(row["id"] for row in connection.execute(_SQL["standing_outages"], args))


def _load_signals(connection: Reads, case_id: int, key: Key) -> frozenset[int]:
    if key.signal is None:
        return frozenset()
    rows = connection.execute(_SQL["standing_signals"], {"case_id": case_id})
    return frozenset(row["signal_id"] for row in rows)
