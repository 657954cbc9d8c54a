"""What operators do to cases: the console's transaction and an act enter, rows change, a decision leaves.

Every function takes one case or one task: there is no act on several people at once. It waits for the household's
lock, decides, writes the case, its entry (with the user) and what follows, and wakes the listeners of
``kaimen_cases``. Who may act at all is the caller's business; so is the audit row.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from random import SystemRandom

from psycopg.types.json import Jsonb

from alerts.case_rows import case_of_task, load_case, load_open_case
from alerts.duty.deputies import acts_for
from alerts.duty.store import load_duty
from alerts.faults import pass_point
from alerts.keys import Key, lock
from alerts.rules.actions import Decision
from alerts.rules.answers import HOLD_AT_VISIT_MAX, decide_met, decide_remote_well, rests_on_a_voice
from alerts.rules.happenings import (
    AcceptShift,
    Act,
    AddNote,
    BeginVisit,
    Claim,
    ConfirmClosing,
    ConsentWithdrawn,
    EarlyResult,
    HandOver,
    Hold,
    MetHer,
    RecordOutcome,
    Release,
    RemoteWell,
)
from alerts.rules.ladder import decide
from alerts.rules.reasons import ActRefused, Refusal
from alerts.saving import save
from alerts.surroundings import load_surroundings
from kaimen.database import Connection, queries
from kaimen.vocabulary import Contacted, EvidenceSource, Outcome, Role, TaskKind

_ROSTER = queries("alerts.duty", "roster.sql")
#: Nobody may guess which of her wells is looked at again.
_CHANCE = SystemRandom()

__all__ = [
    "ActRefused",
    "Refusal",
    "add_note",
    "begin_visit",
    "claim",
    "confirm_closing",
    "hand_over",
    "hold",
    "is_rung_on_new_numbers",
    "record_early",
    "record_met",
    "record_outcome",
    "record_remote_well",
    "release",
    "settle_consent_withdrawn",
    "take_over",
]


def claim(
    connection: Connection, *, case_id: int, user_id: int, now: datetime, role: Role | None = None
) -> Decision:
    """Take a case for the length of its stage's lease; again before it ends renews it.

    ``role`` is the position she works in now; her first one, where none is given.

    Raises
    ------
    ActRefused
        ``case_closed``, ``held_by_another``, ``unknown``.
    """
    row = connection.execute("SELECT role FROM users WHERE id = %s", (user_id,)).fetchone()
    if row is None:
        raise ActRefused(Refusal.UNKNOWN)
    decision = _act(connection, case_id, Claim(user_id, row["role"] if role is None else role.value), now)
    _tell_acting(connection, case_id, user_id, now)
    return decision


def take_over(
    connection: Connection, *, case_id: int, from_user_id: int, user_id: int, now: datetime
) -> Decision:
    """Take over by name what somebody holds and has offered: her lease ends, one's own begins.

    Raises
    ------
    ActRefused
        ``case_closed``, ``not_the_holder``, ``unknown``.
    """
    row = connection.execute("SELECT role FROM users WHERE id = %s", (user_id,)).fetchone()
    if row is None:
        raise ActRefused(Refusal.UNKNOWN)
    decision = _act(connection, case_id, AcceptShift(user_id, row["role"], from_user_id), now)
    _tell_acting(connection, case_id, user_id, now)
    return decision


def _tell_acting(connection: Connection, case_id: int, user_id: int, now: datetime) -> None:
    """Write into the timeline for whom somebody acts who took the case: once, and still there when she is back."""
    community = connection.execute(_ROSTER["case_community"], {"case_id": case_id}).fetchone()
    duty = None if community is None else load_duty(connection, community["community_id"])
    absent = () if duty is None else acts_for(duty, user_id, now)
    if duty is None or not absent:
        return
    args = {
        "person": duty.people[user_id].name, "people": "、".join(duty.people[other].name for other in absent),
    }  # fmt: skip
    fact = f"acting:{case_id}:{user_id}:{','.join(map(str, absent))}"
    values = {"case_id": case_id, "now": now, "args": Jsonb(args), "user_id": user_id, "fact": fact}
    connection.execute(_ROSTER["acting_for"], values)


def release(connection: Connection, *, case_id: int, user_id: int, now: datetime) -> Decision:
    """Give a case back before its lease ends: it is annunciated again."""
    return _act(connection, case_id, Release(user_id), now)


def settle_consent_withdrawn(connection: Connection, *, household_id: str, now: datetime) -> list[Decision]:
    """Let go of what is open about a home that agreed to be watched and does no more, in the same transaction.

    A case is closed with that reason, never as well; at the third day, or while somebody stands at the door, a person
    decides. A home that agrees still is left as it is.
    """
    rows = connection.execute(
        queries("alerts")["withdrawn_cases_of"], {"household_id": household_id}
    ).fetchall()
    return [_act(connection, row["id"], ConsentWithdrawn(), now) for row in rows]


def add_note(connection: Connection, *, case_id: int, user_id: int, note: str, now: datetime) -> Decision:
    """Write a note into the timeline; no timer moves by it."""
    return _act(connection, case_id, AddNote(user_id, note), now)


def begin_visit(connection: Connection, *, task_id: int, user_id: int, now: datetime) -> Decision:
    """Say that a helper stands at the door: from now on no opening closes the case by itself."""
    return _act(connection, _case_of(connection, task_id), BeginVisit(user_id, task_id), now)


def record_outcome(
    connection: Connection,
    *,
    task_id: int,
    user_id: int,
    outcome: Outcome,
    contacted: Contacted | None = None,
    witness: str | None = None,
    note: str = "",
    absence_until: datetime | None = None,
    instead_of: int | None = None,
    now: datetime,
    lot: float | None = None,
) -> Decision:
    """Record what a call, a visit or another task found.

    ``well`` and ``helped`` need ``contacted`` and the name of the ``witness``; ``away`` and ``hospital`` need
    ``absence_until``, at most 30 days from now; ``deceased`` asks for a second person. A share of the wells is drawn
    by chance and shown to another person; ``lot`` in [0, 1) stands for the chance. Of a call for help or a duress
    code that somebody else has, ``instead_of`` must name who that is: it says that this person was told.

    Raises
    ------
    ActRefused
        ``how_is_missing``, ``witness_is_missing``, ``absence_needs_end``, ``absence_too_long``, ``task_ended``,
        ``case_closed``, ``wrong_task``, ``not_an_outcome``, ``note_too_long``, ``unknown``, ``number_is_new``,
        ``held_by_another``.
    """
    _refuse_new_number(connection, outcome, contacted, now, task_id=task_id)
    act = RecordOutcome(user_id, task_id, outcome, contacted, witness, note, absence_until, instead_of)
    drawn = _CHANCE.random() if lot is None else lot
    return _act(connection, _case_of(connection, task_id), act, now, lot=drawn)


def record_early(
    connection: Connection,
    *,
    case_id: int,
    user_id: int,
    outcome: Outcome,
    contacted: Contacted | None = None,
    witness: str | None = None,
    now: datetime,
) -> Decision:
    """Record what was found on the first day by somebody nobody had asked yet: ``well`` or ``no_answer``.

    Raises
    ------
    ActRefused
        ``not_early``: somebody was asked meanwhile, or it is no case of a first day; otherwise as an outcome's.
    """
    _refuse_new_number(connection, outcome, contacted, now, case_id=case_id)
    act = EarlyResult(user_id, outcome, contacted, witness)
    return _act(connection, case_id, act, now, lot=_CHANCE.random())


def confirm_closing(
    connection: Connection, *, case_id: int, user_id: int, confirmed: bool, note: str = "", now: datetime
) -> Decision:
    """Answer a proposal to close: yes closes, no annunciates the case again."""
    return _act(connection, case_id, ConfirmClosing(user_id, confirmed, note), now)


def hold(
    connection: Connection, *, case_id: int, user_id: int, reason: str, until: datetime, now: datetime
) -> Decision:
    """Wait until ``until`` for a stated reason: a day at most; two hours where a visit is owed or her number is new."""
    # What was said on such a number may be why somebody waits: no longer than where a visit is owed.
    if until - now > HOLD_AT_VISIT_MAX and is_rung_on_new_numbers(connection, now, case_id=case_id):
        raise ActRefused(Refusal.HOLD_ON_NEW_NUMBER)
    return _act(connection, case_id, Hold(user_id, reason, until), now)


def hand_over(
    connection: Connection, *, case_id: int, user_id: int, to_role: Role, note: str = "", now: datetime
) -> Decision:
    """Ask another role for the act the case is waiting for, and tell it at once."""
    return _act(connection, case_id, HandOver(user_id, to_role, note), now)


def record_remote_well(
    connection: Connection,
    *,
    household_id: str,
    via: str,
    now: datetime,
    user_id: int | None = None,
    source: EvidenceSource | None = None,
    recorded_by: str = "",
) -> Decision:
    """Take "I am well" from a key press, a kiosk, an order or a family's button: evidence, but not often in succession.

    ``via`` says who pressed or ordered and on what; ``source`` is None for the telephone.

    Raises
    ------
    ActRefused
        ``remote_too_often``: a person has to speak with her or see her.
    """
    act = RemoteWell(via, user_id, "remote" if source is None else source.value, recorded_by)
    key = Key("", household_id=household_id)
    lock(connection, key)
    case = load_open_case(connection, key)
    surroundings = load_surroundings(connection, key, now=now, outside_channels=())
    decision = decide_remote_well(case, act, now, surroundings.around)
    save(connection, case, decision, surroundings, now=now)
    return decision


def record_met(
    connection: Connection,
    *,
    household_id: str,
    how: Contacted | EvidenceSource,
    witness: str,
    at: datetime,
    now: datetime,
    recorded_by: str = "",
) -> Decision:
    """Take the word of a named person who spoke with her, saw her or handed her a meal, at the instant it happened.

    Raises
    ------
    ActRefused
        ``witness_is_missing``; ``not_a_time``: in the future, or more than a day ago; ``not_an_outcome``: what
        nobody was there for is ``record_remote_well``'s.
    """
    if how in (EvidenceSource.ORDER, EvidenceSource.BUTTON):
        raise ActRefused(Refusal.NOT_AN_OUTCOME)
    key = Key("", household_id=household_id)
    lock(connection, key)
    surroundings = load_surroundings(connection, key, now=now, outside_channels=())
    decision = decide_met(MetHer(how.value, witness, at, recorded_by), now)
    save(connection, None, decision, surroundings, now=now)
    return decision


def is_rung_on_new_numbers(
    connection: Connection,
    now: datetime,
    *,
    household_id: str | None = None,
    task_id: int | None = None,
    case_id: int | None = None,
) -> bool:
    """Say whether every number of a home was changed and none counts yet; of a task's or a case's home likewise."""
    values = {"household_id": household_id, "task_id": task_id, "case_id": case_id, "now": now}
    return connection.execute(queries("alerts")["home_is_rung_on_new_numbers"], values).fetchone() is not None


def _refuse_new_number(
    connection: Connection,
    outcome: Outcome,
    contacted: Contacted | None,
    now: datetime,
    *,
    task_id: int | None = None,
    case_id: int | None = None,
) -> None:
    """Refuse what may have been said by anybody: nothing heard on such numbers ends or holds what is asked."""
    kind = TaskKind.CALL
    if task_id is not None:
        row = connection.execute(queries("alerts")["kind_of_task"], {"task_id": task_id}).fetchone()
        kind = kind if row is None else TaskKind(row["kind"])
    if rests_on_a_voice(kind, outcome, contacted) and is_rung_on_new_numbers(
        connection, now, task_id=task_id, case_id=case_id
    ):
        raise ActRefused(Refusal.NUMBER_IS_NEW)


def _case_of(connection: Connection, task_id: int) -> int:
    case_id = case_of_task(connection, task_id)
    if case_id is None:
        raise ActRefused(Refusal.UNKNOWN)
    return case_id


def _act(
    connection: Connection,
    case_id: int,
    act: Act | AcceptShift | ConsentWithdrawn | EarlyResult,
    now: datetime,
    *,
    lot: float = 1.0,
) -> Decision:
    found = load_case(connection, case_id)
    if found is None:
        raise ActRefused(Refusal.UNKNOWN)
    case, key = found
    # An act tells the desks; what goes outside is the worker's, whose settings name the channels.
    surroundings = load_surroundings(connection, key, now=now, outside_channels=())
    around = replace(surroundings.around, review_drawn=lot < case.policy.reviewed_share)
    decision = decide(case, act, now, surroundings.policy, around)
    save(connection, case, decision, surroundings, now=now)
    pass_point("act_saved")
    return decision
