"""What is known of a household besides the silence: a connection and its id enter, the grounds of a case leave.

Read when a stage is reached; what comes later is the console's to show.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from alerts.rules.grading import (
    GAP_DAYS_BACK,
    RECENT,
    USUAL_SIGN_DAYS,
    Grounds,
    Signs,
    UsualGap,
    decide_grade,
    find_usual_gap,
)
from kaimen.database import Connection, queries

_SQL = queries("alerts")
#: A lock that was last heard of so long ago says nothing of now.
_LOCK_BACK = timedelta(days=7)
#: More than whatever is said of an opening lies from it.
_BESIDE_AN_OPENING = timedelta(minutes=1)


def load_grounds(
    connection: Connection, household_id: str, *, evidence_at: datetime, now: datetime
) -> Grounds:
    """Return what is known of a household at ``now`` whose last evidence of life was at ``evidence_at``."""
    of_her = {"household_id": household_id, "now": now}
    signs = _load_signs(connection, of_her, evidence_at=evidence_at, now=now)
    presence = connection.execute(_SQL["presence"], of_her).fetchone()
    stands = connection.execute(_SQL["door_stands"], {**of_her, "since": now - _LOCK_BACK}).fetchone()
    return Grounds(
        grade=decide_grade(signs),
        as_of=now,
        sign_count=signs.since_opening,
        last_sign_at=signs.last_at,
        presumed=presence["state"] if presence else "unsure",
        presumed_by=str(presence["ground"].get("reason", "not_judged")) if presence else "not_judged",
        presumed_since=presence["since_at"] if presence else None,
        usual_gap=load_usual_gap(connection, household_id, until=evidence_at),
        door_open_since=stands["door_open_since"] if stands else None,
        unlocked_since=stands["unlocked_since"] if stands else None,
    )


def _load_signs(
    connection: Connection, of_her: dict[str, Any], *, evidence_at: datetime, now: datetime
) -> Signs:
    sensors = connection.execute(_SQL["inside_sensors"], of_her).fetchall()
    nos = [row["no"] for row in sensors]
    if not nos:
        return Signs()
    recent_from = max(evidence_at, now - RECENT)
    seen = connection.execute(
        _SQL["signs_inside"], {"nos": nos, "since": evidence_at, "recent": recent_from, "now": now}
    ).fetchone()
    assert seen is not None
    # Days that lie wholly before the last opening: the silence itself is no part of what is usual.
    first_day = (now - evidence_at) // timedelta(days=1) + 1
    last_day = first_day + USUAL_SIGN_DAYS - 1
    usual = connection.execute(
        _SQL["signs_usual"],
        {
            "nos": nos,
            "now": now,
            "span": now - recent_from,
            "first_day": first_day,
            "last_day": last_day,
            "since": now - timedelta(days=last_day + 1),
            "until": now - timedelta(days=first_day),
        },
    ).fetchall()
    return Signs(
        heard=all(row["heard"] for row in sensors) or seen["since_opening"] > 0,
        since_opening=seen["since_opening"],
        recent=seen["recent"],
        usual=tuple(row["signs"] for row in usual),
        last_at=seen["last_at"],
    )


def load_usual_gap(connection: Connection, household_id: str, *, until: datetime) -> UsualGap | None:
    """Return her own rhythm up to ``until``; None where too little of it was watched."""
    home = connection.execute(_SQL["watched_from"], {"household_id": household_id}).fetchone()
    if home is None or home["watched_from"] is None:
        return None
    since = until - timedelta(days=GAP_DAYS_BACK + 1)
    span = {
        "household_id": household_id,
        "since": since,
        "until": until,
        # Whatever says of an opening whose it was; as values, so that no other days are planned over.
        "near_since": since - _BESIDE_AN_OPENING,
        "near_until": until + _BESIDE_AN_OPENING,
    }
    openings = connection.execute(_SQL["own_openings"], span).fetchall()
    unwatched = connection.execute(_SQL["unwatched_spans"], span).fetchall()
    return find_usual_gap(
        [row["occurred_at"] for row in openings],
        [(row["from_at"], row["to_at"]) for row in unwatched],
        until=until,
        watched_from=home["watched_from"],
        zone=home["zone"],
    )
