"""Tasks: a loaded case or a reader enters; what is to be done, and what may be recorded of it, leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.rules.case import OWN_RULES
from console.loaders import Reader
from console.loaders.case_rows import MARKS, incident_of, load_technical
from console.loaders.cases import LoadedCase, load_cases, may_record, outcome_in
from console.loaders.households import Row
from console.scope import Sight, Viewer
from console.views.case import Held, ReviewedWord, TaskView
from console.views.grounds import Technical
from console.views.parts import Form
from kaimen.database import Connection, queries
from kaimen.vocabulary import (
    CaseCause,
    Contacted,
    Outcome,
    Role,
    TaskKind,
    TaskState,
)

#: What may be recorded for each kind of task; what closes without a person is not in it.
OUTCOMES = {
    TaskKind.CALL: (
        Outcome.WELL, Outcome.HELPED, Outcome.NO_ANSWER, Outcome.AWAY, Outcome.HOSPITAL, Outcome.OTHER,
    ),
    TaskKind.VISIT: (
        Outcome.WELL, Outcome.HELPED, Outcome.NO_ANSWER, Outcome.AWAY, Outcome.HOSPITAL,
        Outcome.SENSOR_FAULT, Outcome.DECEASED, Outcome.OTHER,
    ),
    TaskKind.DEVICE_CHECK: (Outcome.RESTORED, Outcome.SENSOR_FAULT),
    TaskKind.CONFIRM_CLOSING: (),
}  # fmt: skip


def task_view(task: Row, case: LoadedCase, reader: Reader, *, technical: Technical | None = None) -> TaskView:
    """Make the view of a task; the form is there where this reader may record an outcome now."""
    kind, state = TaskKind(task["kind"]), TaskState(task["state"])
    is_open = state in (TaskState.OPEN, TaskState.CLAIMED)
    may = is_open and not is_own_word(reader.viewer, case) and may_record(reader.viewer, task, case)
    return TaskView(
        id=task["id"],
        kind=kind,
        state=state,
        role=task["role"],
        due_at=task["due_at"],
        start_at=task["start_at"],
        household=None
        if case.household is None or case.facts.cause is CaseCause.ABSENCE
        else case.household.name,
        case_number=case.row["number"],
        incident=incident_of(case),
        mark=MARKS[min(case.row["stage"] if case.facts.cause in OWN_RULES else case.row["priority"], 3)],
        url=f"/tasks/{task['id']}",
        assignee=task["assignee_name"],
        assignee_for=case.row["holder_for"] or "" if task["assignee_id"] == case.row["holder_id"] else "",
        begun_at=task["begun_at"],
        done_at=task["done_at"],
        done_by=task["done_by_name"],
        outcome=outcome_in(task["outcome"]),
        contacted=None if task["contacted"] is None else Contacted(task["contacted"]),
        witness=task["witness"],
        note=task["note"],
        outcomes=outcomes_of(case, kind) if may else (),
        form=Form() if may else None,
        technical=technical,
        held=held_by_another(task, case, reader) if may else None,
    )


def held_by_another(task: Row, case: LoadedCase, reader: Reader) -> Held | None:
    """Return who else has a case that may only be ended knowing so; as ``alerts.rules.answers.is_anothers`` does."""
    row = case.row
    leased = row["lease_expires_at"] is not None and row["lease_expires_at"] > reader.now
    me = reader.viewer.user_id
    if not leased or row["holder_id"] == me or task["assignee_id"] == me:
        return None
    if case.facts.cause in OWN_RULES or row["priority"] < 3:
        return None
    at = task["claimed_at"] if task["assignee_id"] == row["holder_id"] else None
    return Held(row["holder_id"], row["holder_name"] or "", at)


def is_own_word(viewer: Viewer, case: LoadedCase) -> bool:
    """Say whether a second look is about what the viewer herself recorded: somebody else answers."""
    return case.facts.cause is CaseCause.REVIEW and case.row["evidence"].get("recorded_by") == viewer.user_id


def load_word(connection: Connection, reader: Reader, case: LoadedCase) -> ReviewedWord | None:
    """Return what a second look is about: who recorded whose word, when and how she heard it."""
    if case.facts.cause is not CaseCause.REVIEW or case.sight < Sight.MASKED:
        return None
    said = case.row["evidence"]
    asked = {key: said.get(key) for key in ("case", "task", "recorded_by")}
    row = connection.execute(queries("console")["reviewed_word"], asked).fetchone()
    if row is None:
        return None
    return ReviewedWord(
        by=row["display_name"] or "",
        at=datetime.fromisoformat(said["at"]),
        act=TaskKind(row["kind"] or TaskKind.CALL),
        contacted=Contacted(said["how"]) if said.get("how") in set(Contacted) else None,
        witness=row["witness"] or "",
        case_number=row["number"],
        case_url=f"/cases/{row['id']}" if reader.viewer.role is Role.PROPERTY_CLERK else "",
        own=is_own_word(reader.viewer, case),
    )


def outcomes_of(case: LoadedCase, kind: TaskKind) -> tuple[Outcome, ...]:
    """Return what may be recorded of a task: of a cause with a ladder what its snapshot says."""
    if case.facts.cause in OWN_RULES:
        return OUTCOMES[kind]
    stored = case.row["policy"].get("causes", {}).get(case.facts.cause.value, {})
    return tuple(Outcome(word) for word in stored.get("outcomes", ()))


@dataclass(frozen=True, slots=True)
class LoadedTasks:
    """The most pressing tasks, at most two hundred, and how many there are besides."""

    views: tuple[TaskView, ...]
    more: int


def load_tasks(
    connection: Connection, reader: Reader, *, done: bool, kinds: Sequence[TaskKind] | None = None
) -> LoadedTasks:
    """Return the tasks the reader may be shown, of some kinds or of all: what is most pressing first."""
    rows = connection.execute(
        queries("console")["task_ids"],
        {
            "community_id": reader.viewer.community_id,
            "user_id": reader.viewer.user_id,
            "role": reader.viewer.role.value,
            "all": not reader.viewer.is_helper,
            "done": done,
            "kinds": None if kinds is None else [kind.value for kind in kinds],
            "since": reader.day_begin,
        },
    ).fetchall()
    views_found: list[TaskView] = []
    cases = {
        case.id: case for case in load_cases(connection, reader, list({row["case_id"]: 0 for row in rows}))
    }
    technical = load_technical(connection, reader, list(cases.values()))
    for row in rows:
        case = cases.get(row["case_id"])
        task = next((task for task in case.tasks if task["id"] == row["id"]), None) if case else None
        if case is None or task is None:
            continue
        views_found.append(task_view(task, case, reader, technical=technical.get(case.id)))
    return LoadedTasks(tuple(views_found), rows[0]["total"] - len(rows) if rows else 0)
