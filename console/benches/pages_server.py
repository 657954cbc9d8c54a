"""One worker of the console for the bench: an address of a database and a port enter; served until it is ended.

Beside the console's own routes stands the peer: the list of cases as the framework's documentation teaches it, with
the guard and the scope that every other route of the console has, so that both know who asks and see what she may.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import uvicorn
from pydantic import BaseModel
from starlette.responses import Response

from console.__main__ import CONNECTIONS_MAX, TRUSTED_S
from console.api.asking import Seated
from console.api.lists import case_items
from console.app import create_app
from console.services import Services
from kaimen.clock import SystemClock
from kaimen.database import open_pool, queries
from kaimen.settings import ConsoleSettings

PEER_PATH = "/bench/cases"
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
