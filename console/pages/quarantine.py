"""Quarantine: messages that could not be stored, each with its reason, and sending one through again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from console.scope import Section
from console.seat import CheckedForm, Seat, entering, not_here
from console.views import devices as devices_views
from kaimen.database import Connection, notify, queries
from kaimen.vocabulary import QuarantineReason

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.QUARANTINE))]
PAGE = 50
SAMPLE_LENGTH = 120


def load_rows(
    connection: Connection,
    community_id: str | None,
    *,
    before: int | None = None,
    row_id: int | None = None,
    waiting: bool | None = None,
    limit: int = PAGE + 1,
) -> list[dict[str, Any]]:
    return connection.execute(
        queries("console")["quarantine_rows"],
        {"community_id": community_id, "before": before, "id": row_id, "waiting": waiting, "limit": limit},
    ).fetchall()


def load_waiting(connection: Connection, community_id: str | None) -> int:
    row = connection.execute(
        queries("console")["quarantine_waiting"], {"community_id": community_id}
    ).fetchone()
    return int(row["waiting"]) if row else 0


@router.get("/quarantine")
def quarantine(seat: Guard, before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None) -> Response:
    community_id = seat.viewer.community_id
    with seat.transaction() as connection:
        rows = load_rows(connection, community_id, before=before)
        page = devices_views.QuarantinePage(
            rows=tuple(_row(row) for row in rows[:PAGE]),
            waiting=load_waiting(connection, community_id),
            newer_url="/quarantine" if before else None,
            older_url=f"/quarantine?before={rows[PAGE - 1]['id']}" if len(rows) > PAGE else None,
        )
        return seat.answer(connection, "quarantine.html", page, section=Section.QUARANTINE)


def _row(row: Mapping[str, Any]) -> devices_views.QuarantineRow:
    return devices_views.QuarantineRow(
        id=row["id"],
        received_at=row["received_at"],
        topic=row["topic"],
        reason=QuarantineReason(row["reason"]),
        detail=row["detail"],
        payload_bytes=row["payload_bytes"],
        copies=row["copies"],
        device_id=row["device_id"],
        sample=printable(bytes(row["sample"] or b"")),
        replayed_at=row["replayed_at"],
        replay_url=None if row["replayed_at"] is not None else f"/quarantine/{row['id']}/replay",
        answered_at=row["answered_at"],
        answer_url=None
        if row["replayed_at"] is not None or row["answered_at"] is not None
        else f"/quarantine/{row['id']}/answer",
    )


def printable(payload: bytes) -> str:
    """Return the beginning of a payload with a dot for every byte that is not plain text."""
    text = payload[:SAMPLE_LENGTH].decode("utf-8", errors="replace")
    return "".join(character if character.isprintable() else "·" for character in text)


def _ask_replay(connection: Connection, row_id: int) -> bool:
    """Ask the running ingest to take a message again, in its own words; false where it was cut when filed.

    The statement is ingest's; its module is not imported, because it brings the compiled detector with it.
    """
    asked = connection.execute(queries("ingest")["ask_replay"], {"ids": [row_id]}).fetchall()
    notify(connection, "kaimen_registry")
    return bool(asked)


@router.post("/quarantine/{row_id}/replay", dependencies=[CheckedForm])
def replay(seat: Guard, row_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    with seat.transaction() as connection:
        if not load_rows(connection, seat.viewer.community_id, row_id=row_id, limit=1):
            raise not_here()
        asked = _ask_replay(connection, row_id)
        seat.audit(
            connection,
            "quarantine_replayed",
            purpose="maintenance",
            object_kind="quarantine",
            object_id=str(row_id),
        )
    return seat.go("/quarantine", "notice.replay_asked" if asked else "notice.replay_impossible")


@router.post("/quarantine/{row_id}/answer", dependencies=[CheckedForm])
def answer(seat: Guard, row_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    """Somebody has dealt with a message that can never be stored: it asks for nobody any more."""
    with seat.transaction() as connection:
        if not load_rows(connection, seat.viewer.community_id, row_id=row_id, limit=1):
            raise not_here()
        answered = connection.execute(
            queries("console")["answer_quarantined"],
            {"id": row_id, "now": seat.now, "by": f"user:{seat.viewer.user_id}"},
        ).fetchone()
        if answered is not None:
            seat.audit(
                connection,
                "quarantine_answered",
                purpose="maintenance",
                object_kind="quarantine",
                object_id=str(row_id),
            )
    return seat.go("/quarantine", "notice.quarantine_answered")
