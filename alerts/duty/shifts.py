"""Shifts and cases as rows: a connection and ``now`` enter; whose shift is over, offers, and monthly tests leave."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from alerts import acts
from alerts.case_rows import load_case
from alerts.duty.deputies import away_since
from alerts.duty.readiness import Need
from alerts.duty.roster import shift_ended_at
from alerts.duty.store import load_duty, load_gaps
from alerts.keys import Key, key_of_case
from alerts.metrics import GAP_MINUTES
from alerts.rules.happenings import ShiftEnded
from alerts.rules.reasons import ActRefused, Refusal
from kaimen.database import Connection, queries

_SQL = queries("alerts.duty", "roster.sql")
#: A call that nobody has ended by then was not answered.
_CALL_PATIENCE = timedelta(hours=2)
#: Tests are begun at this local hour of the first days of a month, when people are at work.
_TEST_FROM_HOUR = 9
NOTE_LENGTH_MAX = 500


def load_shift_ends(connection: Connection, *, now: datetime) -> list[tuple[int, Key, ShiftEnded]]:
    """Return the cases whose holder's shift has ended; whether that takes them away, the rule says."""
    found = []
    for row in connection.execute(_SQL["held_cases"], {"now": now}).fetchall():
        duty = load_duty(connection, row["community_id"])
        person = duty.people.get(row["holder_id"]) if duty is not None else None
        if duty is None or person is None:
            continue
        # A role without a roster has no shifts: what she holds goes on to whoever stands in for her.
        away = None if duty.has_roster(row["role"]) else away_since(duty, person.id, row["role"], now)
        ended_at = away or shift_ended_at(duty, person, now)
        if ended_at is not None:
            found.append((row["id"], key_of_case(row), ShiftEnded(person.id, ended_at)))
    return found


def keep_duty(connection: Connection, *, now: datetime) -> None:
    """End offers that were overtaken, take what calls of tests have told, and ask for this month's tests."""
    connection.execute(_SQL["handovers_overtaken"], {"now": now})
    rows = connection.execute(_SQL["rostered_communities"]).fetchall()
    for row in rows:
        args: dict[str, Any] = {"community_id": row["id"], "now": now, "before": now - _CALL_PATIENCE}
        connection.execute(_SQL["live_tests_answered"], args)
        local = now.astimezone(ZoneInfo(row["zone"]))
        _measure_gaps(connection, row["id"], now)
        if local.hour >= _TEST_FROM_HOUR:
            connection.execute(_SQL["live_tests_open_month"], {**args, "month": local.date().replace(day=1)})


def _measure_gaps(connection: Connection, community_id: str, now: datetime) -> None:
    gaps = load_gaps(connection, community_id, now=now)
    for need in Need:
        minutes = sum((gap.to_at - gap.from_at).total_seconds() / 60 for gap in gaps if gap.need is need)
        GAP_MINUTES.labels(community_id, need.value).set(minutes)


def offer_case(
    connection: Connection, *, case_id: int, user_id: int, to_user_id: int, note: str, now: datetime
) -> None:
    """Offer a case one holds to somebody of the community; an earlier offer of it is taken back by it.

    Raises
    ------
    ActRefused
        ``not_the_holder``, ``unknown``, ``note_too_long``.
    """
    if len(note) > NOTE_LENGTH_MAX:
        raise ActRefused(Refusal.NOTE_TOO_LONG)
    found = load_case(connection, case_id)
    if found is None or found[0].holder_id != user_id or not found[0].is_owned(now):
        raise ActRefused(Refusal.NOT_THE_HOLDER)
    duty = load_duty(connection, found[0].community_id)
    if duty is None or to_user_id not in duty.people or to_user_id == user_id:
        raise ActRefused(Refusal.UNKNOWN)
    if user_id not in duty.people or not duty.people[to_user_id].works_with(duty.people[user_id]):
        raise ActRefused(Refusal.UNKNOWN_ROLE)
    values = {"case_id": case_id, "from_user_id": user_id, "to_user_id": to_user_id, "note": note, "now": now}
    connection.execute(_SQL["handover_insert"], values)


def accept_case(connection: Connection, *, handover_id: int, user_id: int, now: datetime) -> int:
    """Take over by name what was offered; return the case's id.

    Raises
    ------
    ActRefused
        ``unknown`` where nothing is offered to this person (any more); those of the case.
    """
    values = {"id": handover_id, "user_id": user_id, "now": now}
    row = connection.execute(_SQL["handover_take"], values).fetchone()
    if row is None:
        raise ActRefused(Refusal.UNKNOWN)
    acts.take_over(
        connection, case_id=row["case_id"], from_user_id=row["from_user_id"], user_id=user_id, now=now
    )
    return int(row["case_id"])
