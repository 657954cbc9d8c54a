"""A message's own page: the code of its link enters, a recipient's word that she has seen it leaves.

Opening the page confirms nothing: chat platforms open links by themselves to show what is behind them. The page says
a case number and asks; it knows no name, no door and no state.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, Response

from alerts.sending.outbox import apply_receipt, find_by_token, tell_people
from console.duty.line import load_duty_line
from console.rendering import render
from console.seat import check_origin, not_here, outer_shell
from console.services import services_of
from console.views import channels as channels_views
from console.views.parts import DutyLine
from kaimen.database import Connection

router = APIRouter()
Token = Annotated[str, Path(pattern="^[a-z2-7]{16}$")]


@router.get("/m/{token}")
def ask(request: Request, token: Token) -> Response:
    with services_of(request).transaction() as connection:
        row = find_by_token(connection, token)
        line = _line_of(connection, row)
    if row is None or row["template"] == "proof":
        raise not_here()
    state = "thanks" if row["state"] == "confirmed" else "over" if row["case_state"] == "closed" else "ask"
    page = channels_views.SeenPage(row["number"] or "", state, token, row["template"], line)
    return _answer(request, page)


@router.post("/m/{token}")
def seen(request: Request, token: Token) -> Response:
    """Take her word: the chain of her channels ends, and the case's timeline says on which she was reached."""
    services = services_of(request)
    check_origin(request, services)
    now = services.now()
    with services.transaction() as connection:
        row = find_by_token(connection, token)
        if row is None or row["template"] == "proof":
            raise not_here()
        if row["state"] != "confirmed":
            apply_receipt(connection, row["id"], state="confirmed", now=now)
            if row["case_id"] is not None:
                tell_people(
                    connection, case_id=row["case_id"], outbox_id=row["id"], words="message_seen",
                    channel=row["channel"], now=now,
                )  # fmt: skip
        line = _line_of(connection, row)
    page = channels_views.SeenPage(row["number"] or "", "thanks", token, row["template"], line)
    return _answer(request, page)


def _line_of(connection: Connection, row: dict[str, Any] | None) -> DutyLine | None:
    """Whom to ask what it is about: a relative without an account can look nowhere."""
    if row is None or row["community_id"] is None:
        return None
    return load_duty_line(connection, community_id=row["community_id"])


def _answer(request: Request, page: channels_views.SeenPage) -> Response:
    response = HTMLResponse(render("seen.html", shell=outer_shell(request), page=page))
    response.headers["X-Robots-Tag"] = "noindex"
    return response
