"""Decisions as rows: a decision enters, the case, its tasks and every further action are written.

Everything here runs inside the caller's transaction, under the lock of the case's key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from psycopg.types.json import Jsonb

from alerts.ahead import Rows
from alerts.case_rows import CASE_COLUMNS, TASK_COLUMNS, load_open_case
from alerts.keys import Key, lock
from alerts.rules.actions import (
    Action,
    Annunciate,
    AskReview,
    ConfirmMessages,
    Decision,
    DeclareAbsence,
    DoubtWord,
    EndAbsence,
    EndWatch,
    Entry,
    FoldHousehold,
    JoinSignal,
    LeaveSignal,
    RecordVerified,
    ReportSensorFault,
    RestoreAbsence,
    SupersedeMessages,
    UnfoldHousehold,
)
from alerts.rules.case import CaseFacts, Circumstances
from alerts.rules.grading import format_grounds
from alerts.rules.happenings import WellToReview
from alerts.rules.policies import format_policy
from alerts.rules.reasons import Reason
from alerts.rules.signals import decide_review
from alerts.rules.technical import asked_to_check_device, cause_key, new_technical_case
from alerts.sending.outbox import supersede_messages, write_messages
from alerts.surroundings import Surroundings
from kaimen.database import Connection, notify, queries
from kaimen.vocabulary import CaseCause

_SQL = queries("alerts")
_OUTBOX = queries("alerts.sending", "outbox.sql")


#: Nobody spoke with her and nobody saw her: as ``verified_contacts.is_remote`` has it.
REMOTE_WORDS = frozenset({"remote", "order", "button"})


class CaseChangedError(RuntimeError):
    """A case was changed by somebody who does not take its lock: the turn is to be done again."""


@dataclass(frozen=True, slots=True)
class Written:
    """What saving a decision wrote: the case's id and how many messages were planned."""

    case_id: int | None
    messages: int


def save(
    connection: Connection,
    old: CaseFacts | None,
    decision: Decision,
    surroundings: Surroundings,
    *,
    now: datetime,
    fact: str | None = None,
) -> Written:
    """Write a decision: the case, its tasks, and every further action, in the caller's transaction.

    ``fact`` names the happening; the first entry carries it, so that it can be written once only.

    Raises
    ------
    CaseChangedError
        If the case is no longer as it was read.
    """
    new = decision.case
    if new is None:
        _write_without_case(connection, decision, surroundings, now=now)
        return Written(None, 0)
    case_id = new.id
    changed: Rows | None = None
    if case_id is None:
        case_id = _insert_case(connection, new)
    elif new != old:
        changed = connection.execute(_SQL["update_case"], _case_values(new))
    _write_tasks(connection, case_id, old, new)
    messages = 0
    # Whom the desk leaves waiting is annunciated again; what the family is being told meanwhile goes on.
    keep_step = next(
        (item.step for item in decision.actions if isinstance(item, Annunciate) and not item.family), ""
    )
    _write_folding(connection, case_id, new, decision.actions)
    for action in decision.actions:
        if isinstance(action, FoldHousehold | UnfoldHousehold):
            continue
        messages += _write_action(
            connection, case_id, new, action, surroundings, now=now, fact=fact, keep_step=keep_step
        )
        if isinstance(action, Entry):
            fact = None
    if new.cause is CaseCause.TECHNICAL and not new.is_open:
        connection.execute(_SQL["end_all_households"], {"case_id": case_id, "at": now})
    notify(connection, "kaimen_cases", str(case_id))
    # Looked at last, so that in a pipeline everything of a case is one journey.
    if changed is not None and changed.fetchone() is None:
        raise CaseChangedError(f"case {case_id}")
    return Written(case_id, messages)


def _case_values(case: CaseFacts) -> dict[str, Any]:
    return {
        **{name: getattr(case, name) for name in CASE_COLUMNS},
        "cause": case.cause.value,
        "stage": int(case.stage),
        "state": case.state.value,
        "outcome": None if case.outcome is None else case.outcome.value,
        "evidence": Jsonb(dict(case.evidence)),
        "proposal": None if case.proposal is None else Jsonb(dict(case.proposal)),
        "policy": Jsonb(format_policy(case.policy, case.cause)),
        "priority": min(case.rank, 3) if case.cause is not CaseCause.TECHNICAL else 0,
        "grade": case.grounds.grade.value,
        "grounds": Jsonb(format_grounds(case.grounds)),
    }


def _insert_case(connection: Connection, case: CaseFacts) -> int:
    day = case.opened_at.astimezone(ZoneInfo(case.policy.zone)).date()
    args = {"community_id": case.community_id, "day": day}
    counted = connection.execute(_SQL["next_case_number"], args).fetchone()
    assert counted is not None
    number = f"{day:%Y-%m%d}-{counted['last']:03d}"
    row = connection.execute(_SQL["insert_case"], {**_case_values(case), "number": number}).fetchone()
    assert row is not None
    return int(row["id"])


def _write_tasks(connection: Connection, case_id: int, old: CaseFacts | None, new: CaseFacts) -> None:
    known = {} if old is None else {task.id: task for task in old.tasks}
    for index, task in enumerate(new.tasks):
        values = {name: getattr(task, name) for name in TASK_COLUMNS}
        values |= {"kind": task.kind.value, "state": task.state.value}
        if task.id is None:
            further = {
                "case_id": case_id,
                "household_id": new.household_id,
                "fact": f"case:{case_id}:{index + 1}",
            }
            connection.execute(_SQL["insert_task"], {**values, **further})
        elif known.get(task.id) != task:
            connection.execute(_SQL["update_task"], values)


def _write_without_case(
    connection: Connection, decision: Decision, surroundings: Surroundings, *, now: datetime
) -> None:
    for action in decision.actions:
        match action:
            case RecordVerified():
                _write_verified(connection, None, action, surroundings.around, now)
            case EndAbsence() | RestoreAbsence():
                write_absence_change(connection, action, now)


def write_absence_change(connection: Connection, action: EndAbsence | RestoreAbsence, now: datetime) -> None:
    """End a declared absence at the evidence inside it, or let what was declared hold on as a new row."""
    if isinstance(action, EndAbsence):
        connection.execute(_SQL["end_absence"], asdict(action))
        return
    # The new row first: it takes the end that the old one is about to lose.
    connection.execute(_SQL["restore_absence"], {**asdict(action), "now": now})
    connection.execute(_SQL["end_absence"], {"absence_id": action.absence_id, "at": action.from_at})


def _ask_review(
    connection: Connection, case_id: int, action: AskReview, surroundings: Surroundings, now: datetime
) -> int:
    """Open the case that asks another person; its key is the closed case, so it is opened once."""
    around = surroundings.around
    subject = f"case:{case_id}"
    happening = WellToReview(subject, action.recorded_by, now, {**action.evidence, "case": case_id})
    decision = decide_review(None, happening, now, surroundings.policy, around)
    return save(connection, None, decision, surroundings, now=now).messages


def _write_action(
    connection: Connection,
    case_id: int,
    case: CaseFacts,
    action: Action,
    surroundings: Surroundings,
    *,
    now: datetime,
    fact: str | None,
    keep_step: str = "",
) -> int:
    """Write one action; return how many messages it planned."""
    match action:
        case Entry():
            _write_entry(connection, case_id, action, now, fact)
        case Annunciate():
            return write_messages(connection, case_id, action, surroundings.roster, now)
        case SupersedeMessages():
            supersede_messages(connection, case_id, keep_step=keep_step)
        case ConfirmMessages():
            connection.execute(_OUTBOX["confirm_messages"], {"case_id": case_id, "now": now})
        case RecordVerified():
            _write_verified(connection, case_id, action, surroundings.around, now)
        case DeclareAbsence():
            values = {**asdict(action), "household_id": case.household_id, "now": now}
            connection.execute(_SQL["insert_absence"], values)
        case ReportSensorFault():
            _report_sensor_fault(connection, case, action, surroundings, now)
        case JoinSignal():
            connection.execute(_SQL["join_signal"], {"signal_id": action.signal_id, "case_id": case_id})
        case LeaveSignal():
            connection.execute(_SQL["leave_signal"], asdict(action))
        case EndAbsence() | RestoreAbsence():
            write_absence_change(connection, action, now)
        case DoubtWord():
            connection.execute(_SQL["doubt_word"], {**asdict(action), "now": now})
        case AskReview():
            return _ask_review(connection, case_id, action, surroundings, now)
        case EndWatch():
            connection.execute(_SQL["end_watch"], {"household_id": case.household_id, "now": now})
            connection.execute(_SQL["supersede_household_messages"], {"household_id": case.household_id})
        case FoldHousehold() | UnfoldHousehold():
            raise AssertionError("households are folded together, not one by one")
    return 0


def _write_folding(connection: Connection, case_id: int, case: CaseFacts, actions: Sequence[Action]) -> None:
    """Write whom a technical case stands for after everything that was decided: a device's newest word counts."""
    newest = {a.device_id: a for a in actions if isinstance(a, FoldHousehold | UnfoldHousehold)}
    folded = [action for action in newest.values() if isinstance(action, FoldHousehold)]
    unfolded = [action for action in newest.values() if isinstance(action, UnfoldHousehold)]
    if folded:
        values = {"devices": [a.device_id for a in folded], "ats": [a.from_at for a in folded]}
        connection.execute(_SQL["fold_households"], {"case_id": case_id, **values})
    if unfolded and case.is_open:  # a closed one stands for nobody anyway
        values = {"devices": [a.device_id for a in unfolded], "outages": list(case.outages)}
        at = max(action.to_at for action in unfolded)
        connection.execute(_SQL["unfold_households"], {"case_id": case_id, "at": at, **values})


def _write_entry(connection: Connection, case_id: int, entry: Entry, now: datetime, fact: str | None) -> None:
    connection.execute(
        _SQL["insert_entry"],
        {
            "case_id": case_id,
            "at": now,
            "words": entry.words.value,
            "args": Jsonb(dict(entry.args)),
            "note": entry.note,
            "user_id": entry.user_id,
            "fact": fact,
        },
    )


def _write_verified(
    connection: Connection, case_id: int | None, word: RecordVerified, around: Circumstances, now: datetime
) -> None:
    values = {
        **asdict(word),
        "household_id": around.household_id,
        "case_id": case_id,
        "succession": around.remote_well_count + 1 if word.how in REMOTE_WORDS else 0,
        "now": now,
    }
    connection.execute(_SQL["insert_verified"], values)


def _report_sensor_fault(
    connection: Connection,
    case: CaseFacts,
    report: ReportSensorFault,
    surroundings: Surroundings,
    now: datetime,
) -> None:
    """Open a technical case for each own door of the household that has none."""
    rows = connection.execute(_SQL["dwelling_devices"], {"household_id": case.household_id, "now": now})
    keys = [
        Key(
            row["community_id"],
            cause="device",
            cause_id=row["device_id"],
            cause_key=cause_key("device", row["device_id"], row["community_id"]),
        )
        for row in rows.fetchall()
    ]
    # All locks before the first row: a worker holds such a lock while it waits for a row.
    for key in keys:
        lock(connection, key)
    for key in keys:
        if load_open_case(connection, key) is None:
            _open_device_case(connection, key, report, surroundings, now)


def _open_device_case(
    connection: Connection, key: Key, report: ReportSensorFault, surroundings: Surroundings, now: datetime
) -> None:
    around = replace(surroundings.around, community_id=key.community_id)
    new = new_technical_case(
        around, surroundings.policy, cause=key.cause, cause_id=key.cause_id, opened_at=now
    )
    new, actions = asked_to_check_device(new, now, now, surroundings.around)
    entry = Entry(Reason.SENSOR_FAULT_NOTED, {}, None, report.user_id)
    decision = Decision(Reason.SENSOR_FAULT_NOTED, new, (entry, FoldHousehold(key.cause_id, now), *actions))
    save(connection, None, decision, surroundings, now=now)
