"""What a pressed key does: a call's key and a digit enter, one transaction's rows and what to say leave.

The same for every gateway, for calls we placed and for calls back. A first answer stands; only a call for help is
heard after it. Nothing here speaks: who calls it says thank you after the commit, and not before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg.types.json import Jsonb

from alerts import acts
from alerts.keys import Key, lock
from alerts.sending.outbox import apply_receipt
from alerts.voice.keypad import Audience, Meaning, meaning_of
from kaimen.database import Connection, notify, queries

_SQL = queries("alerts.voice")


class Effect(StrEnum):
    """What an answer came to; the value is also the catalogue key of the case's entry."""

    WELL = "phone_well"
    WELL_NOT_COUNTED = "phone_well_not_counted"
    NUMBER_NOT_TRUSTED = "phone_number_not_trusted"
    HELP = "phone_help"
    TAKES_CARE = "phone_takes_care"
    CANNOT = "phone_cannot"
    ACCEPTED = "phone_accepted"
    TAKEN = "phone_taken"
    HEARD = "phone_test_heard"
    CASE_CLOSED = "phone_case_closed"
    WRONG_KEY = "wrong_key"
    ALREADY = "already"


#: What is said after each; None: the key meant nothing.
SAID: dict[Effect, str | None] = {
    Effect.WELL: "thanks.well",
    Effect.WELL_NOT_COUNTED: "thanks.noted",
    Effect.NUMBER_NOT_TRUSTED: "thanks.noted",
    Effect.HELP: "thanks.help",
    Effect.TAKES_CARE: "thanks.takes_care",
    Effect.CANNOT: "thanks.cannot",
    Effect.ACCEPTED: "thanks.accepts",
    Effect.TAKEN: "taken",
    Effect.HEARD: "thanks.heard",
    Effect.CASE_CLOSED: "taken",
    Effect.ALREADY: "thanks.noted",
    Effect.WRONG_KEY: None,
}


@dataclass(frozen=True, slots=True)
class Callee:
    """Who is rung: ``trusted`` says that a key pressed there counts as this person's word."""

    person: str
    number: str
    language: str
    trusted: bool


def load_callee(connection: Connection, person: str, now: datetime) -> Callee | None:
    """Return the number of a pseudonym (``person:…``, ``user:…``); None where it cannot be rung."""
    kind, _, name = person.partition(":")
    if kind == "user" and name.isdigit():
        row = connection.execute(_SQL["callee_user"], {"id": int(name)}).fetchone()
        if row is None or not row["active"]:
            return None
        return Callee(person, row["phone"], row["language"], trusted=True)
    row = connection.execute(_SQL["callee_person"], {"id": name, "now": now}).fetchone()
    if kind != "person" or row is None or not row["phone"] or not row["has_phone"]:
        return None
    return Callee(person, row["phone"], row["language"], trusted=row["trusted"])


def take_digit(
    connection: Connection,
    *,
    key: str,
    digit: str,
    attempt: int | None,
    now: datetime,
    wall: datetime,
    digit_at: datetime | None = None,
) -> Effect:
    """Write what a digit means for the call of ``key``, in the caller's transaction.

    Raises
    ------
    LookupError
        If there is no such call.
    """
    found = connection.execute(_SQL["household_of_call"], {"key": key}).fetchone()
    if found is None:
        raise LookupError("no such call")
    # The household first, then its calls: whoever answers another call for her waits here, and not with a lock.
    if found["household_id"] is not None:
        lock(connection, Key("", household_id=found["household_id"]))
    call = connection.execute(_SQL["call_by_key"], {"key": key}).fetchone()
    assert call is not None
    audience = Audience(call["audience"])
    meaning = meaning_of(audience, digit)
    if meaning is None:
        return Effect.WRONG_KEY
    if call["state"] in ("answered", "superseded") and meaning is not Meaning.HELP:
        if call["state"] == "answered" and call["meaning"] == meaning.value:
            return Effect(call["effect"])
        return Effect.ALREADY if call["state"] == "answered" else Effect.TAKEN
    if call["meaning"] == Meaning.HELP.value:
        return Effect.HELP
    effect = _apply(connection, call, meaning, now)
    _note(connection, call, meaning, effect, now)
    if attempt is not None:
        values = {"call_id": call["id"], "attempt": attempt, "digit": digit, "wall": wall}
        connection.execute(_SQL["confirm_attempt"], {**values, "digit_at": digit_at or wall})
    if call["case_id"] is not None:
        notify(connection, "kaimen_cases", str(call["case_id"]))
    return effect


def _apply(connection: Connection, call: dict[str, Any], meaning: Meaning, now: datetime) -> Effect:
    match meaning:
        case Meaning.HELP:
            return _ask_for_help(connection, call, now)
        case Meaning.WELL:
            return _say_well(connection, call, now)
        case Meaning.TAKES_CARE:
            _supersede_others(connection, call)
            return Effect.TAKES_CARE
        case Meaning.CANNOT:
            values = {name: call[name] for name in ("case_id", "step", "audience")}
            connection.execute(_SQL["hurry_next"], {**values, "now": now})
            notify(connection, "kaimen_outbox")
            return Effect.CANNOT
        case Meaning.ACCEPTS:
            return _accept(connection, call, now)
        case Meaning.HEARD:
            return Effect.HEARD


def _say_well(connection: Connection, call: dict[str, Any], now: datetime) -> Effect:
    callee = load_callee(connection, call["person"], now)
    if callee is None or not callee.trusted:
        return Effect.NUMBER_NOT_TRUSTED
    try:
        with connection.transaction():
            acts.record_remote_well(connection, household_id=call["household_id"], via="phone", now=now)
    except acts.ActRefused:
        return Effect.WELL_NOT_COUNTED
    return Effect.WELL


def _ask_for_help(connection: Connection, call: dict[str, Any], now: datetime) -> Effect:
    # From whichever number, and also where the case is closed by now: a call for help is never weighed.
    values = {"key": f"phone:{call['key']}", "household_id": call["household_id"], "now": now}
    evidence = Jsonb({"kind": "phone", "key": "2"})
    row = connection.execute(_SQL["insert_help"], {**values, "evidence": evidence}).fetchone()
    if row is not None:
        connection.execute(_SQL["insert_happening"], {**values, "fact_id": row["id"]})
        notify(connection, "kaimen_happenings")
    return Effect.HELP


def _accept(connection: Connection, call: dict[str, Any], now: datetime) -> Effect:
    if call["case_state"] == "closed":
        return Effect.CASE_CLOSED
    kind, _, name = call["person"].partition(":")
    if kind == "user":
        try:
            with connection.transaction():
                acts.claim(connection, case_id=call["case_id"], user_id=int(name), now=now)
        except acts.ActRefused:
            return Effect.TAKEN
    _supersede_others(connection, call)
    return Effect.ACCEPTED


def _supersede_others(connection: Connection, call: dict[str, Any]) -> None:
    values = {name: call[name] for name in ("case_id", "id", "audience")}
    connection.execute(_SQL["supersede_others"], values)


def _note(
    connection: Connection, call: dict[str, Any], meaning: Meaning, effect: Effect, now: datetime
) -> None:
    values = {"id": call["id"], "meaning": meaning.value, "effect": effect.value, "now": now}
    connection.execute(_SQL["answer_call"], values)
    apply_receipt(connection, call["outbox_id"], state="confirmed", now=now, detail=effect.value)
    write_delivery(connection, call["outbox_id"], "confirmed", effect.value, now)
    kind, _, name = call["person"].partition(":")
    user_id = int(name) if kind == "user" else None
    write_entry(connection, call, effect.value, now, user_id=user_id)


def write_entry(
    connection: Connection, call: dict[str, Any], words: str, now: datetime, *, user_id: int | None = None
) -> None:
    """Write one line of the case's timeline for a call; the same line is written once, and a test belongs to no case."""
    if call["case_id"] is None:
        return
    args = {"case_id": call["case_id"], "words": words, "now": now, "user_id": user_id}
    fact = f"call:{call['id']}:{words}"
    connection.execute(
        _SQL["insert_entry"], {**args, "args": Jsonb({"audience": call["audience"]}), "fact": fact}
    )


def write_delivery(
    connection: Connection,
    outbox_id: int,
    result: str,
    detail: str,
    now: datetime,
    provider_id: str | None = None,
) -> None:
    """Write one delivery row of a call."""
    values = {"outbox_id": outbox_id, "result": result, "detail": detail, "now": now}
    connection.execute(_SQL["insert_delivery"], {**values, "provider_id": provider_id})
