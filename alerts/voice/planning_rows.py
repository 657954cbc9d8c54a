"""The calls of one annunciation as rows of the outbox: a case and an annunciation enter, messages leave."""

from __future__ import annotations

from datetime import datetime

from psycopg.types.json import Jsonb

from alerts.rules.actions import Annunciate
from alerts.sending.recipients import VOICE, Roster, choose_rung, decide_told, idempotency_key
from alerts.voice.keypad import Audience
from alerts.voice.planning import Callee, PlannedCall, plan_calls
from kaimen.database import Connection, queries

_SQL = queries("alerts.voice")


def write_calls(
    connection: Connection, case_id: int, wanted: Annunciate, roster: Roster, now: datetime
) -> int:
    """Write the calls of an annunciation in its transaction; return how many."""
    found = connection.execute(_SQL["household_of_case"], {"case_id": case_id}).fetchone()
    calls = find_calls(connection, found["household_id"] if found else None, wanted, roster, now)
    for call in calls:
        key = idempotency_key(
            case_id=case_id, step=wanted.step, person=call.person, channel=VOICE, repetition=wanted.repetition
        )
        values = {
            "case_id": case_id, "step": wanted.step, "person": call.person, "repetition": wanted.repetition,
            "key": key, "args": Jsonb({"case_id": case_id, "audience": call.audience.value}), "now": now,
            "not_before": call.not_before, "channel": VOICE,
        }  # fmt: skip
        connection.execute(_SQL["insert_message"], values)
    return len(calls)


def find_calls(
    connection: Connection, household_id: str | None, wanted: Annunciate, roster: Roster, now: datetime
) -> tuple[PlannedCall, ...]:
    """Return the calls of an annunciation; nothing is written, so that a dry run may ask as well."""
    if not wanted.outside:
        return ()
    callees = _load_callees(connection, household_id, wanted, roster, now)
    return plan_calls(wanted.step, wanted.repetition, wanted.not_before, callees)


def _load_callees(
    connection: Connection, household_id: str | None, wanted: Annunciate, roster: Roster, now: datetime
) -> list[Callee]:
    values = {"household_id": household_id, "community_id": roster.community_id, "now": now}
    of_household = connection.execute(_SQL["callees_of_household"], values).fetchall()
    phones = connection.execute(_SQL["staff_of_community"], values).fetchall()
    staff = choose_rung(decide_told(wanted, roster), [(row["user_id"], row["role"]) for row in phones])
    return [
        *(Callee(f"person:{row['person_id']}", Audience(row["audience"])) for row in of_household),
        *(Callee(f"user:{user_id}", Audience.STAFF) for user_id in staff),
    ]
