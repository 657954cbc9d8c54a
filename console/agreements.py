"""Acts on the watching itself: what one person asks enters; it waits, and is done once another one agrees.

A device on test calls nobody, and a longer threshold lets a silence grow: whoever could do either alone could hide a
death. Who asks never agrees; she may take it back. What is asked of is checked again when it is agreed to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any

from kaimen.database import Connection, queries
from kaimen.policy import HOUR_MS, THRESHOLDS_DEFAULT_MS

_SQL = queries("console", "agreements.sql")
REQUEST_LIVES = timedelta(days=7)
TEST_HOURS = (1, 2, 4, 8)
REASON_LENGTH_MAX = 200
#: No threshold is longer than a month, and none so short that a night's sleep is a warning at once.
THRESHOLD_HOURS = range(4, 721)
MANDATED = "mandated"
_MANDATED_HOURS = tuple(threshold // HOUR_MS for threshold in THRESHOLDS_DEFAULT_MS)
_POLICY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class Kind(StrEnum):
    """What is asked."""

    DEVICE_TEST = "device_test"
    POLICY = "policy"
    HOUSEHOLD = "household"


class AskRefusal(StrEnum):
    """Why something is not asked; the words stand below ``error.`` in the catalogues."""

    NO_REASON = "reason_missing"
    NO_LENGTH = "test_hours"
    NO_DEVICE = "no_such_device"
    TAKEN = "test_taken"
    NO_POLICY = "policy_form"
    NOT_HOURS = "threshold_hours"
    NOT_RISING = "threshold_order"
    MANDATED = "threshold_mandated"


@dataclass(frozen=True, slots=True)
class At:
    """The instants of one turn: community time for what begins and ends, wall time for who asked and agreed."""

    now: datetime
    wall_now: datetime


def refuse_reason(reason: str) -> AskRefusal | None:
    """Say whether a reason is one."""
    fits = 3 <= len(reason) <= REASON_LENGTH_MAX and reason.isprintable()
    return None if fits else AskRefusal.NO_REASON


def refuse_thresholds(policy_id: str, hours: Sequence[int]) -> AskRefusal | None:
    """Say what is wrong with a policy's new thresholds; the mandated one may be stricter, never slower."""
    if not _POLICY_ID.fullmatch(policy_id):
        return AskRefusal.NO_POLICY
    if len(hours) != len(_MANDATED_HOURS) or any(hour not in THRESHOLD_HOURS for hour in hours):
        return AskRefusal.NOT_HOURS
    if any(later <= earlier for earlier, later in pairwise(hours)):
        return AskRefusal.NOT_RISING
    if policy_id == MANDATED and any(hour > most for hour, most in zip(hours, _MANDATED_HOURS, strict=True)):
        return AskRefusal.MANDATED
    return None


def ask_test(
    connection: Connection,
    *,
    device_id: str,
    hours: int,
    reason: str,
    community_id: str | None,
    by: int,
    at: At,
) -> AskRefusal | int:
    """Ask that a device be put on test for some hours; returns the request, or why there is none."""
    wrong = refuse_reason(reason)
    if wrong is not None:
        return wrong
    if hours not in TEST_HOURS:
        return AskRefusal.NO_LENGTH
    values = {"device_id": device_id, "community_id": community_id, "now": at.now, "wall_now": at.wall_now}
    device = connection.execute(_SQL["device_to_test"], values).fetchone()
    if device is None:
        return AskRefusal.NO_DEVICE
    if device["taken"]:
        return AskRefusal.TAKEN
    return _add(
        connection, Kind.DEVICE_TEST, community_id=device["community_id"], device_id=device_id, reason=reason,
        until_at=at.now + timedelta(hours=hours), by=by, at=at,
    )  # fmt: skip


def ask_policy(
    connection: Connection, *, policy_id: str, hours: Sequence[int], reason: str, by: int, at: At
) -> AskRefusal | int:
    """Ask for the next version of a policy, with its thresholds in hours."""
    wrong = refuse_reason(reason) or refuse_thresholds(policy_id, hours)
    if wrong is not None:
        return wrong
    return _add(
        connection,
        Kind.POLICY,
        policy_id=policy_id,
        asked={"hours": list(hours)},
        reason=reason,
        by=by,
        at=at,
    )


def _add(
    connection: Connection,
    kind: Kind,
    *,
    reason: str,
    by: int,
    at: At,
    community_id: str | None = None,
    device_id: str | None = None,
    policy_id: str | None = None,
    asked: Mapping[str, Any] | None = None,
    until_at: datetime | None = None,
) -> int:
    values = {
        "kind": kind.value, "community_id": community_id, "device_id": device_id, "policy_id": policy_id,
        "asked": json.dumps(asked or {}), "reason": reason, "until_at": until_at, "asked_by": by,
        "wall_now": at.wall_now, "expires_at": at.wall_now + REQUEST_LIVES,
    }  # fmt: skip
    row = connection.execute(_SQL["agreement_add"], values).fetchone()
    assert row is not None
    return int(row["id"])


def load_open(
    connection: Connection, kind: Kind, *, community_id: str | None, at: At
) -> list[dict[str, Any]]:
    """Return what waits for a second person."""
    return connection.execute(_SQL["agreements_open"], _of(kind, community_id, at)).fetchall()


def load_running(connection: Connection, *, community_id: str | None, at: At) -> list[dict[str, Any]]:
    """Return the tests that run."""
    return connection.execute(_SQL["tests_running"], _of(Kind.DEVICE_TEST, community_id, at)).fetchall()


def load_policies(connection: Connection, *, now: datetime) -> list[dict[str, Any]]:
    return connection.execute(_SQL["policies_in_force"], {"now": now}).fetchall()


def _of(kind: Kind, community_id: str | None, at: At) -> dict[str, Any]:
    return {"kind": kind.value, "community_id": community_id, "now": at.now, "wall_now": at.wall_now}


def decide(
    connection: Connection,
    request_id: int,
    kind: Kind,
    *,
    agreed: bool,
    community_id: str | None,
    by: int,
    at: At,
) -> dict[str, Any] | None:
    """Agree or refuse, and do what was agreed to; None where it is not there for this person.

    Whoever asked cannot agree; she may refuse her own, which takes it back.
    """
    row = connection.execute(
        _SQL["agreement_lock"], {**_of(kind, community_id, at), "id": request_id}
    ).fetchone()
    if row is None or (agreed and row["asked_by"] == by):
        return None
    own = row["asked_by"] == by
    values = {
        "id": request_id, "state": "agreed" if agreed else "refused", "decided_by": None if own else by,
        "wall_now": at.wall_now,
    }  # fmt: skip
    connection.execute(_SQL["agreement_decide"], values)
    if agreed and kind is Kind.POLICY:
        thresholds_s = [3600 * hour for hour in row["asked"]["hours"]]
        connection.execute(
            _SQL["policy_add"], {"policy_id": row["policy_id"], "thresholds_s": thresholds_s, "now": at.now}
        )
    return row


def end_test(connection: Connection, request_id: int, *, community_id: str | None, at: At) -> str | None:
    """End a test before its time: to watch again needs nobody's agreement. Returns the device, or None."""
    values = {**_of(Kind.DEVICE_TEST, community_id, at), "id": request_id}
    row = connection.execute(_SQL["test_end"], values).fetchone()
    return None if row is None else str(row["device_id"])
