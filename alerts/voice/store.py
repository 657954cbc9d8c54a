"""Rows of calls: a connection enters, work to do leaves; results enter, rows leave. Every transaction is short.

No transaction stays open while a telephone rings.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from alerts.sending.outbox import apply_receipt
from alerts.voice.answers import Callee, load_callee, write_delivery, write_entry
from alerts.voice.conversation import Course
from alerts.voice.gateway import PERMANENT, Cause, InvalidNumberError, dialled
from alerts.voice.keypad import Audience
from alerts.voice.pacing import GATEWAY_PAUSE, WINDOWS, earliest, next_try
from alerts.voice.wording import CODE_DIGITS
from kaimen import fence
from kaimen.database import Connection, Pool, notify, queries, transaction

_SQL = queries("alerts.voice")

#: Longer than any call may take.
LEASE = timedelta(seconds=200)
CODE_VALID = timedelta(hours=24)
CODES_TRIED_MAX = 20
_PERMANENT = {cause.value for cause in PERMANENT}
DETAIL_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Work:
    """One leased call: ``callee`` is None where there is nobody to ring."""

    id: int
    key: str
    audience: Audience
    code: str
    attempt: int
    fence: int
    outbox_id: int
    case_id: int | None
    community_id: str
    callee: Callee | None
    row: dict[str, Any]

    @property
    def attempt_key(self) -> str:
        """What a provider is given: the same attempt has the same, another attempt another."""
        return f"{self.key}-{self.attempt}"


def hand_over(connection: Connection, *, key: str, wall: datetime) -> bool:
    """Make a call of the outbox row with this key; say whether there is one now.

    The same key again changes nothing.
    """
    for _ in range(CODES_TRIED_MAX):
        values = {"key": key, "wall": wall, "code": _new_code()}
        try:
            with connection.transaction():
                connection.execute(_SQL["hand_over"], values)
        except psycopg.errors.UniqueViolation:
            continue  # somebody else has this code
        notify(connection, "kaimen_calls")
        return connection.execute(_SQL["call_exists"], {"key": key}).fetchone() is not None
    return False


def _new_code() -> str:
    return str(secrets.randbelow(10**CODE_DIGITS)).zfill(CODE_DIGITS)


def lease(pool: Pool, *, owner: str, gateway: str, now: datetime, wall: datetime) -> Work | None:
    """Take the next call and write its attempt; None where nothing can be rung now.

    A call nobody needs any more, one without a number, and one whose number was rung too lately are put where they
    belong on the way.
    """
    while True:
        with transaction(pool) as connection:
            fence.enter(connection)
            args = {"owner": owner, "lease_until": wall + LEASE, "wall": wall}
            row = connection.execute(_SQL["lease_call"], args).fetchone()
            if row is None:
                return None
            work = _prepared(connection, row, gateway, now, wall)
        if work is not None:
            return work


def _prepared(
    connection: Connection, row: dict[str, Any], gateway: str, now: datetime, wall: datetime
) -> Work | None:
    if row["found_as"] == "leased":
        for _ in connection.execute(_SQL["lost_attempts"], {"call_id": row["id"], "wall": wall}).fetchall():
            write_delivery(connection, row["outbox_id"], "uncertain", "the dialler was lost", now)
    if _is_superseded(row, now):
        _release(connection, row, "superseded")
        connection.execute(_SQL["end_message"], {"id": row["outbox_id"], "state": "superseded"})
        return None
    callee = load_callee(connection, row["person"], now)
    number = None
    try:
        number = dialled(callee.number) if callee is not None else None
    except InvalidNumberError:
        callee = None
    if callee is None or number is None:
        _give_up(connection, row, "no_number", now)
        return None
    connection.execute(_SQL["lock_number"], {"number": number})
    placed = _placed(connection, number, wall)
    at = earliest(placed, wall)
    if at > wall:
        _release(connection, row, "planned", at)
        return None
    attempt = int(row["attempts"]) + 1
    values = {"call_id": row["id"], "attempt": attempt, "direction": "out", "gateway": gateway, "wall": wall}
    connection.execute(_SQL["insert_attempt"], values)
    connection.execute(_SQL["count_attempt"], values)
    return Work(
        id=row["id"], key=row["key"], audience=Audience(row["audience"]), code=row["code"], attempt=attempt,
        fence=row["fence"], outbox_id=row["outbox_id"], case_id=row["case_id"], community_id=row["community_id"],
        callee=callee, row=row,
    )  # fmt: skip


def _is_superseded(row: dict[str, Any], now: datetime) -> bool:
    """A machine rings nobody for a case that is closed or that a person has in hand."""
    owned = row["held_until"] is not None and row["held_until"] > now
    return row["case_state"] == "closed" or owned or row["outbox_state"] in ("superseded", "confirmed")


def _placed(connection: Connection, number: str, wall: datetime) -> list[datetime]:
    since = wall - max(window.span for window in WINDOWS)
    rows = connection.execute(_SQL["calls_to_number"], {"number": number, "since": since}).fetchall()
    return [row["placed_at"] for row in rows]


def _release(connection: Connection, row: dict[str, Any], state: str, due_at: datetime | None = None) -> None:
    values = {"id": row["id"], "fence": row["fence"], "state": state, "due_at": due_at}
    connection.execute(_SQL["release_call"], values)


def _give_up(connection: Connection, row: dict[str, Any], why: str, now: datetime) -> None:
    _release(connection, row, "unreached")
    apply_receipt(connection, row["outbox_id"], state="failed", now=now, detail=why)
    write_delivery(connection, row["outbox_id"], "failed_permanent", why, now)
    write_entry(connection, row, "phone_unreached", now)
    if row["case_id"] is None:
        return
    # Nobody was reached: whoever is next need not wait for his turn.
    values = {"case_id": row["case_id"], "step": row["step"], "audience": None, "now": now}
    connection.execute(_SQL["hurry_next"], values)
    notify(connection, "kaimen_outbox")
    notify(connection, "kaimen_cases", str(row["case_id"]))


def finish(
    pool: Pool,
    work: Work,
    course: Course,
    *,
    provider_id: str | None,
    committed_at: datetime | None = None,
    now: datetime,
    wall: datetime,
) -> None:
    """Write how an attempt ended, and when the next one is due or that there is none."""
    with transaction(pool) as connection:
        values = {
            "call_id": work.id,
            "attempt": work.attempt,
            "result": course.result,
            "detail": course.detail[:DETAIL_LENGTH_MAX],
            "answered_at": wall if course.was_answered else None,
            "provider_id": provider_id,
            "committed_at": committed_at,
            "wall": wall,
        }
        connection.execute(_SQL["finish_attempt"], values)
        if course.result == "confirmed":
            return
        answered = course.was_answered
        if course.result in _PERMANENT:
            _give_up(connection, work.row, course.result, now)
            return
        write_delivery(
            connection, work.outbox_id, "answered" if answered else "failed_temporary", course.result, now,
            provider_id,
        )  # fmt: skip
        due_at = _next_due(connection, work, course, wall)
        if due_at is None:
            _give_up(connection, work.row, course.result, now)
        else:
            _release(connection, work.row, "planned", due_at)


def note_provider(pool: Pool, work: Work, provider_id: str) -> None:
    """Remember what the provider calls an attempt: its reports may name nothing else."""
    with transaction(pool) as connection:
        values = {"call_id": work.id, "attempt": work.attempt, "provider_id": provider_id}
        connection.execute(_SQL["note_provider"], values)


def _next_due(connection: Connection, work: Work, course: Course, wall: datetime) -> datetime | None:
    if course.result in (Cause.GATEWAY_DOWN.value, Cause.THROTTLED.value):
        return wall + GATEWAY_PAUSE
    assert work.callee is not None
    counted = connection.execute(_SQL["count_rung"], {"call_id": work.id}).fetchone()
    placed = _placed(connection, dialled(work.callee.number), wall)
    return next_try(counted["rung"] if counted else work.attempt, placed, wall)


def load_recordings(connection: Connection, community_id: str) -> dict[tuple[str, str], bytes]:
    """Return a community's own voices by segment and language."""
    rows = connection.execute(_SQL["recordings"], {"community_id": community_id}).fetchall()
    return {(row["segment"], row["language"]): bytes(row["sound"]) for row in rows}


def recordings_version(connection: Connection, community_id: str) -> tuple[object, ...]:
    """Return what changes whenever a community's recordings change."""
    row = connection.execute(_SQL["recordings_version"], {"community_id": community_id}).fetchone()
    return (row["number"], row["newest"]) if row else ()


# --- calls back ----------------------------------------------------------------------------------------------------


def find_by_code(connection: Connection, code: str, wall: datetime) -> dict[str, Any] | None:
    """Return the outstanding call a code belongs to."""
    values = {"code": code, "since": wall - CODE_VALID}
    return connection.execute(_SQL["call_by_code"], values).fetchone()


def count_failures(connection: Connection, wall: datetime) -> int:
    """Return how many codes of the last hour were none."""
    since = wall - timedelta(hours=1)
    row = connection.execute(_SQL["count_call_back_failures"], {"since": since}).fetchone()
    return int(row["failures"]) if row else 0


def note_failure(connection: Connection, wall: datetime) -> None:
    """Remember a code that is none."""
    connection.execute(_SQL["insert_call_back_failure"], {"wall": wall})


def retire(connection: Connection, wall: datetime) -> None:
    """Let go of codes that mean nothing any more."""
    connection.execute(_SQL["retire_calls"], {"before": wall - CODE_VALID})
