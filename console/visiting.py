"""What people do at a door: an act with its own time enters one transaction, rows and a line of the timeline leave.

An act a phone kept while it had no signal comes with its age; it is done once, whatever the phone sends again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import Any

from psycopg.types.json import Jsonb

from alerts.rules.answers import NOTE_LENGTH_MAX
from kaimen.clock import Clock, FileClock
from kaimen.database import Connection, notify, queries

_SQL = queries("console", "visits.sql")
#: An act older than this is no longer taken by itself: too much may have happened to the case since.
ACT_AGE_MAX = timedelta(hours=24)
#: How far a phone's own two readings of its clock may run backwards.
ACT_AHEAD_MAX = timedelta(minutes=2)
PERSON_LENGTH_MAX = 200


class Finding(StrEnum):
    """What somebody found in one part of the form."""

    WELL = "well"
    ATTENTION = "attention"
    URGENT = "urgent"


class Place(StrEnum):
    INSIDE = "inside"
    AT_THE_DOOR = "at_the_door"
    ELSEWHERE = "elsewhere"


class Step(StrEnum):
    """At a door nobody opens, in the order in which one goes on."""

    FAMILY_PHONED = "family_phoned"
    NEIGHBOURS_ASKED = "neighbours_asked"
    SIGNS_LOOKED_FOR = "signs_looked_for"
    POLICE_PRESENT = "police_present"
    ENTRY_CONSENTED = "entry_consented"
    SECOND_PERSON = "second_person"
    KEY_HANDED_OUT = "key_handed_out"
    ENTERED = "entered"
    KEY_RETURNED = "key_returned"


PARTS = ("health", "economy", "safety", "need")
#: Who answered, agreed, came along or has the key must be named.
NEEDS_WHO = frozenset({Step.POLICE_PRESENT, Step.ENTRY_CONSENTED, Step.SECOND_PERSON, Step.KEY_HANDED_OUT})
#: Nobody goes in alone, or without somebody having agreed.
BEFORE_ENTERING = (Step.ENTRY_CONSENTED, Step.SECOND_PERSON)
#: Who has the key is read on the visitor's own page alone, never in the timeline.
_KEY_STEPS = frozenset({Step.KEY_HANDED_OUT, Step.KEY_RETURNED})


class VisitRefusal(StrEnum):
    """Why something is not taken; words below ``error.``."""

    FORM_INCOMPLETE = "form_incomplete"
    NOTE_MISSING = "urgent_needs_note"
    STEP_UNKNOWN = "not_valid"
    WHO_IS_MISSING = "step_needs_who"
    TOO_LONG = "note_too_long"
    NOT_YET = "entry_not_yet"
    KEY_NOT_OUT = "key_not_out"
    ACT_TOO_OLD = "act_too_old"
    ACT_AHEAD = "act_ahead"
    NO_HOME = "not_valid_home"


class VisitRefusedError(Exception):
    def __init__(self, refusal: VisitRefusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Doing:
    """Who acts on which task, when it was done and when it reached us."""

    task_id: int
    case_id: int
    household_id: str | None
    user_id: int
    at: datetime
    now: datetime
    key: str = ""


@dataclass(frozen=True, slots=True)
class VisitForm:
    place: str
    findings: Mapping[str, str]
    notes: Mapping[str, str] = field(default_factory=dict)
    second_person: str = ""


def done_at(
    *, done_ms: int, sent_ms: int, now: datetime, task_created_at: datetime, clock: Clock
) -> datetime:
    """Return when an act was done, in community time: its age by the phone's own clock, which may show any date.

    Raises
    ------
    VisitRefusedError
        If it is older than a day, or was done after it was sent.
    """
    age = timedelta(milliseconds=sent_ms - done_ms)
    if age < -ACT_AHEAD_MAX:
        raise VisitRefusedError(VisitRefusal.ACT_AHEAD)
    if age > ACT_AGE_MAX:
        raise VisitRefusedError(VisitRefusal.ACT_TOO_OLD)
    speed = clock.setting().speed if isinstance(clock, FileClock) else 1.0
    at = now - max(age, timedelta(0)) * (speed if isfinite(speed) else 1.0)
    # Nothing can be done about a task before it was asked; a clock that was jumped would say so.
    return min(now, max(at, task_created_at))


def check_form(form: VisitForm) -> dict[str, str]:
    """Say what is missing of a form: field to error word; nothing: it is whole."""
    errors = {}
    if form.place not in set(Place):
        errors["place"] = VisitRefusal.FORM_INCOMPLETE.value
    for part in PARTS:
        note = form.notes.get(part, "")
        if form.findings.get(part) not in set(Finding):
            errors[part] = VisitRefusal.FORM_INCOMPLETE.value
        elif form.findings[part] == Finding.URGENT and not note.strip():
            errors[f"{part}_note"] = VisitRefusal.NOTE_MISSING.value
        if len(note) > NOTE_LENGTH_MAX:
            errors[f"{part}_note"] = VisitRefusal.TOO_LONG.value
    if len(form.second_person) > PERSON_LENGTH_MAX:
        errors["second_person"] = VisitRefusal.TOO_LONG.value
    return errors


def record_form(connection: Connection, form: VisitForm, doing: Doing) -> bool:
    """Write a form; return whether it asked for help at once.

    An urgent part is a call for help by whoever stands there: it goes the way of the elder's own button, with its
    ladder, whatever becomes of the case the visit belongs to.
    """
    if check_form(form):
        raise VisitRefusedError(VisitRefusal.FORM_INCOMPLETE)
    if doing.household_id is None:
        raise VisitRefusedError(VisitRefusal.NO_HOME)
    urgent = [part for part in PARTS if form.findings[part] == Finding.URGENT]
    signal_id = _call_for_help(connection, urgent, doing) if urgent else None
    notes = {part: form.notes[part].strip() for part in PARTS if form.notes.get(part, "").strip()}
    connection.execute(
        _SQL["insert_form"],
        {
            "task_id": doing.task_id, "case_id": doing.case_id, "household_id": doing.household_id,
            "user_id": doing.user_id, "at": doing.at, "now": doing.now, "place": form.place,
            "second_person": form.second_person.strip(), "notes": Jsonb(notes), "signal_id": signal_id,
            **{part: form.findings[part] for part in PARTS},
        },
    )  # fmt: skip
    args = {"place": form.place, **{part: form.findings[part] for part in PARTS}}
    words = " · ".join(notes.values()) or None
    _enter(connection, doing, "visit_form_urgent" if urgent else "visit_form", args, words)
    return bool(urgent)


def _call_for_help(connection: Connection, urgent: list[str], doing: Doing) -> int | None:
    row = connection.execute(
        _SQL["insert_help_signal"],
        {
            "key": f"visit:{doing.task_id}:{doing.key or doing.now.isoformat()}",
            "household_id": doing.household_id, "at": doing.at, "now": doing.now,
            "evidence": Jsonb({"kind": "visit_form", "parts": urgent, "task": doing.task_id}),
        },
    ).fetchone()  # fmt: skip
    notify(connection, "kaimen_happenings")
    return None if row is None else int(row["id"])


def record_step(connection: Connection, step: str, who: str, note: str, doing: Doing) -> None:
    """Write one step at a door nobody opens.

    Raises
    ------
    VisitRefusedError
        If the step is none, somebody must be named, or it is not its turn: nobody enters alone or without consent, and
        only a key that is out comes back.
    """
    if step not in set(Step):
        raise VisitRefusedError(VisitRefusal.STEP_UNKNOWN)
    if step in NEEDS_WHO and not who.strip():
        raise VisitRefusedError(VisitRefusal.WHO_IS_MISSING)
    if len(note) > NOTE_LENGTH_MAX or len(who) > PERSON_LENGTH_MAX:
        raise VisitRefusedError(VisitRefusal.TOO_LONG)
    before = [row["step"] for row in connection.execute(_SQL["steps"], {"task_id": doing.task_id}).fetchall()]
    if step == Step.ENTERED and not set(BEFORE_ENTERING) <= set(before):
        raise VisitRefusedError(VisitRefusal.NOT_YET)
    if step == Step.KEY_RETURNED and not is_key_out(before):
        raise VisitRefusedError(VisitRefusal.KEY_NOT_OUT)
    connection.execute(
        _SQL["insert_step"],
        {
            "task_id": doing.task_id, "case_id": doing.case_id, "user_id": doing.user_id, "step": step,
            "at": doing.at, "now": doing.now, "who": who.strip(), "note": note.strip(),
        },
    )  # fmt: skip
    told = [note.strip()] if step in _KEY_STEPS else [who.strip(), note.strip()]
    _enter(connection, doing, "entry_step", {"entry_step": step}, " · ".join(filter(None, told)) or None)


def is_key_out(steps: list[str]) -> bool:
    """Say whether a key was handed out more often than it came back."""
    return steps.count(Step.KEY_HANDED_OUT) > steps.count(Step.KEY_RETURNED)


def load_steps(connection: Connection, task_id: int) -> list[dict[str, Any]]:
    """Return the steps of a task in the order they were done."""
    return connection.execute(_SQL["steps"], {"task_id": task_id}).fetchall()


def load_forms(connection: Connection, task_id: int) -> list[dict[str, Any]]:
    """Return the forms of a task, newest first."""
    return connection.execute(_SQL["forms"], {"task_id": task_id}).fetchall()


def _enter(connection: Connection, doing: Doing, words: str, args: dict[str, str], note: str | None) -> None:
    connection.execute(
        _SQL["insert_entry"],
        {
            "case_id": doing.case_id, "at": doing.at, "words": words, "args": Jsonb(args), "note": note,
            "user_id": doing.user_id,
        },
    )  # fmt: skip
    notify(connection, "kaimen_cases", str(doing.case_id))


def find_act(connection: Connection, key: str, user_id: int, task_id: int, kind: str) -> datetime | None:
    """Return when this very act of this person was done; None where it was not done yet."""
    row = connection.execute(_SQL["act_by_key"], {"key": key}).fetchone()
    if row is None or (row["user_id"], row["task_id"], row["kind"]) != (user_id, task_id, kind):
        return None
    at: datetime = row["at"]
    return at


def claim_key(connection: Connection, doing: Doing, kind: str) -> datetime | None:
    """Take an act's key for this transaction; return when it was done where that act is there already.

    Raises
    ------
    LookupError
        If the key is another person's, or another task's.
    """
    values = {
        "key": doing.key, "user_id": doing.user_id, "task_id": doing.task_id, "kind": kind, "at": doing.at,
        "now": doing.now, "result": "done",
    }  # fmt: skip
    if connection.execute(_SQL["claim_act"], values).fetchone() is not None:
        return None
    row = connection.execute(_SQL["act_by_key"], {"key": doing.key}).fetchone()
    assert row is not None
    if (row["user_id"], row["task_id"], row["kind"]) != (doing.user_id, doing.task_id, kind):
        raise LookupError(doing.key)
    at: datetime = row["at"]
    return at
