"""The stream for pages and programs: a viewer enters; changes within her scope leave as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import Response, StreamingResponse

from console.api.answering import error_response
from console.api.asking import (
    seated,
)
from console.identity import sessions as identity
from console.identity import tokens
from console.scope import Viewer
from console.seat import Seat
from console.services import Services
from console.stream import Change, Filter, TooManyClientsError
from kaimen.vocabulary import Role

router = APIRouter()


def filter_for(viewer: Viewer) -> Filter:
    """Say what a viewer is told of a change: ids within the scope, that something changed, or nothing."""

    def tell(change: Change) -> dict[str, Any] | None:
        if change.object_id is None:
            return {}
        if viewer.role in (Role.FAMILY, Role.RESIDENT):
            mine = change.household_id is not None and change.household_id in viewer.household_ids
            return _named(change) if mine else None
        if viewer.role is Role.ADMIN:
            return _named(change) if change.technical else {}
        if viewer.role is Role.PROPERTY_DIRECTOR:
            return {} if change.community_id in viewer.community_ids else None
        if viewer.community_id is None or viewer.community_id != change.community_id:
            return None
        if viewer.role is Role.PROPERTY_CLERK:
            return _named(change)
        if viewer.role is Role.POLICE_OFFICER and change.named_for_police:
            return _named(change)
        return {}

    return tell


def _named(change: Change) -> dict[str, Any]:
    name = "case" if change.kind == "cases" else "household"
    return {name: int(change.object_id or 0) if name == "case" else change.object_id}


@router.get("/stream")
@router.get("/api/stream", responses={200: {"content": {"text/event-stream": {}}}}, response_class=Response)
async def stream(
    request: Request,
    authorization: Annotated[str | None, Header()] = None,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Response:
    """Follow changes as server-sent events; ``refetch`` says that some were missed."""
    seat = await asyncio.to_thread(seated, request, authorization)
    services = seat.services

    async def stands() -> bool:
        return await asyncio.to_thread(_still_stands, services, seat, authorization)

    source = services.hub.follow(filter_for(seat.viewer), last_id=last_event_id, stands=stands)
    try:
        first = await anext(source)
    except TooManyClientsError:
        return error_response(429)

    async def body() -> AsyncIterator[bytes]:
        try:
            yield first
            async for part in source:
                yield part
        finally:
            await source.aclose()

    return StreamingResponse(
        body(),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _still_stands(services: Services, seat: Seat, authorization: str | None) -> bool:
    """Say whether the session or the token a stream came through was not ended meanwhile."""
    with services.transaction() as connection:
        if seat.session is None:
            token = (authorization or "").partition(" ")[2].strip()
            return tokens.find_token(connection, token, now=services.wall_now()) is not None
        return identity.session_stands(connection, seat.session.token_hash, now=services.wall_now())
