"""Messages that could not be stored, for programs: a page enters, its rows leave."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from console.api.answering import instant
from console.api.asking import (
    LIMIT_DEFAULT,
    After,
    Limit,
    Seated,
    entering,
)
from console.api.models import (
    QuarantinePage,
    answers,
)
from console.pages.quarantine import load_rows, printable
from console.scope import Section

router = APIRouter()


@router.get("/api/quarantine", **answers(QuarantinePage))
def quarantine(
    seat: Seated, limit: Limit = LIMIT_DEFAULT, after: After = None, waiting: bool | None = None
) -> dict[str, Any]:
    """List messages that could not be stored, newest first."""
    entering(seat, Section.QUARANTINE)
    with seat.transaction() as connection:
        rows = load_rows(connection, seat.viewer.community_id, before=after, waiting=waiting, limit=limit + 1)
    items = [
        {
            "id": row["id"],
            "received_at": instant(row["received_at"]),
            "topic": row["topic"],
            "device": row["device_id"],
            "reason": row["reason"],
            "detail": row["detail"],
            "payload_bytes": row["payload_bytes"],
            "sample": printable(bytes(row["sample"] or b"")),
            "copies": row["copies"],
            "replayed_at": instant(row["replayed_at"]),
        }
        for row in rows[:limit]
    ]
    return {"items": items, "next": rows[limit - 1]["id"] if len(rows) > limit else None}
