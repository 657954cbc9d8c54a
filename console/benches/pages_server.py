"""One worker of the console for the bench: an address of a database and a port enter; served until it is ended.

Beside the console's own routes stand the peers: the list of cases as the framework's documentation teaches it. One has
the guard and the scope that every other route of the console has, made lean over the years; one a guard as somebody writes
it who has no reason to make it lean, a statement for each thing to be known. Both know who asks and see what she may.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, HTTPException, Request
from pydantic import BaseModel
from starlette.responses import Response

from console.__main__ import CONNECTIONS_MAX, TRUSTED_S
from console.api.asking import Seated
from console.api.lists import case_items
from console.app import create_app
from console.identity.sessions import hash_token
from console.seat import token_of
from console.services import Services, services_of
from kaimen.clock import SystemClock
from kaimen.database import open_pool, queries, transaction
from kaimen.settings import ConsoleSettings

PEER_PATH, ORDINARY_PATH = "/bench/cases", "/bench/ordinary/cases"
#: The same work of both without the guard, the session and the layers that are before every list.
OPEN_PEER_PATH, OPEN_OURS_PATH = "/bench/open/model", "/bench/open/made"
_SQL = queries("console.benches", "pages.sql")


class PlainCase(BaseModel):
    """A case as the API gives it."""

    id: int
    number: str
    household: str | None
    stage: str | None
    check_step: int
    state: str
    cause: str
    priority: int
    grade: str | None
    signal_count: int
    opened_at: datetime
    stage_at: datetime
    deadline_at: datetime | None
    last_evidence_at: datetime | None
    holder: str | None
    next_action: str | None
    next_action_at: datetime | None
    outcome: str | None
    closed_at: datetime | None


class PlainPage(BaseModel):
    """A page of them."""

    items: list[PlainCase]


class CountedPage(PlainPage):
    """A page of them, and how many there are."""

    total: int


def ordinary_guard(request: Request) -> tuple[bytes, dict[str, Any]]:
    """Who asks, as a dependency of the framework: the session, in a transaction of its own."""
    services = services_of(request)
    hashed = hash_token(token_of(request, services) or "")
    with transaction(services.pool) as connection:
        session = connection.execute(_SQL["ordinary_session"], {"token_hash": hashed}).fetchone()
    if session is None or session["expires_at"] <= services.wall_now():
        raise HTTPException(401)
    return hashed, session


OrdinarySeat = Annotated[tuple[bytes, dict[str, Any]], Depends(ordinary_guard)]


def serve(url: str, port: int) -> None:
    """Serve one worker on loopback."""
    settings = ConsoleSettings(database_url=url, console_port=port, console_secure_cookies=False)
    pool = open_pool(url, service="console", trusted_s=TRUSTED_S)
    app = create_app(settings, SystemClock(), pool)
    services: Services = app.state.services

    @app.get(PEER_PATH, response_model=PlainPage)
    def cases(seat: Seated, limit: int) -> Any:
        with seat.transaction() as connection:
            values = {"community_id": seat.viewer.community_id, "limit": limit}
            return {"items": connection.execute(_SQL["plain_cases"], values).fetchall()}

    @app.get(ORDINARY_PATH, response_model=CountedPage)
    def ordinary_cases(seat: OrdinarySeat, limit: int) -> Any:
        hashed, session = seat
        with transaction(pool) as connection:
            values = {"token_hash": hashed, "wall": services.wall_now(), "user_id": session["id"]}
            connection.execute(_SQL["ordinary_scope"], values)
            user = connection.execute(_SQL["ordinary_user"], values).fetchone()
            if user is None or user["role"] != "property_clerk":
                raise HTTPException(403)
            asked = {"community_id": user["community_id"], "limit": limit}
            counted = connection.execute(_SQL["plain_count"], asked).fetchone()
            return {**(counted or {}), "items": connection.execute(_SQL["plain_cases"], asked).fetchall()}

    @app.get(OPEN_PEER_PATH, response_model=PlainPage)
    def open_cases(limit: int) -> Any:
        with services.transaction() as connection:
            values = {"community_id": "c1", "limit": limit}
            return {"items": connection.execute(_SQL["plain_cases"], values).fetchall()}

    @app.get(OPEN_OURS_PATH)
    def made_cases(limit: int) -> Response:
        with services.transaction() as connection:
            connection.execute(queries("console")["plan"], {"mode": "force_generic_plan"})
            rows = connection.execute(_SQL["plain_ids"], {"community_id": "c1", "limit": limit}).fetchall()
            made = case_items(connection, [row["id"] for row in rows])
        items = ",".join(made[row["id"]][1] for row in rows)
        return Response(f'{{"items":[{items}]}}', media_type="application/json")

    uvicorn.run(
        app, host="127.0.0.1", port=port, log_config=None, access_log=False, limit_concurrency=CONNECTIONS_MAX
    )
