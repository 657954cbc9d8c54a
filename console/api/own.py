"""What is the asker's own: who she is, and her sessions, which she may end."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from console.api.answering import instant
from console.api.asking import (
    Seated,
    Writing,
)
from console.api.models import (
    Me,
    SessionList,
    answers,
)
from console.identity import sessions as identity
from console.seat import RefusedError, SignedIn

router = APIRouter()


@router.get("/api/me", **answers(Me))
def me(seat: Seated) -> dict[str, Any]:
    viewer = seat.viewer
    return {
        "name": viewer.name,
        "display_name": viewer.display_name,
        "role": viewer.role.value,
        "community": viewer.community_id,
        "households": sorted(viewer.household_ids),
        "language": viewer.language,
        "csrf": seat.csrf or None,
        "now": instant(seat.now),
    }


@router.get("/api/sessions", **answers(SessionList))
def sessions(seat: SignedIn) -> dict[str, Any]:
    """List the viewer's own sessions."""
    assert seat.session is not None
    with seat.transaction() as connection:
        lines = identity.list_sessions(connection, seat.session, now=seat.services.wall_now())
    return {
        "items": [
            {
                "id": line.id,
                "created_at": instant(line.created_at),
                "seen_at": instant(line.seen_at),
                "agent": line.agent,
                "current": line.current,
            }
            for line in lines
        ]
    }


@router.delete("/api/sessions/{line_id}", status_code=204)
def end_session(seat: Writing, line_id: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]) -> Response:
    """End one of the viewer's own sessions."""
    with seat.transaction() as connection:
        if not identity.revoke_session(connection, seat.viewer, line_id):
            raise RefusedError(404)
    return Response(status_code=204)
