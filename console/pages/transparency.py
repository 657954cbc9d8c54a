"""Figures for everybody: how often police looked, for which purpose, how often refused; a community enters, counts leave.

Nobody need be signed in. No number below five is told, nought included; nothing is broken down so far that one look-up
could be found by subtracting.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from console.rendering import render
from console.scope import PurposeClass
from console.seat import RefusedError, find_seat, make_shell, outer_shell
from console.services import services_of
from console.tickets import store
from console.tickets.rules import publish
from console.views import parts as view_parts
from console.views import tickets as tickets_views
from kaimen.database import Connection, queries

router = APIRouter()
_SQL = queries("console", "tickets.sql")
MONTHS_SHOWN = 12


@router.get("/transparency")
def transparency(request: Request, community: Annotated[str, Query(max_length=100)] = "") -> Response:
    """The figures of one community; where there are several and none is named, their names."""
    services, seat = services_of(request), find_seat(request)
    now = services.now()
    with services.transaction() as connection:
        known = {row["id"]: row for row in connection.execute(_SQL["public_communities"]).fetchall()}
        chosen = community or (seat.viewer.community_id if seat else "") or ""
        if not chosen and len(known) == 1:
            chosen = next(iter(known))
        if chosen and chosen not in known:
            raise RefusedError(404)
        page = (
            _figures(connection, known[chosen], now)
            if chosen
            else tickets_views.TransparencyPage(
                communities=tuple(view_parts.Choice(row["id"], row["name"]) for row in known.values())
            )
        )
        shell = make_shell(seat, connection, section=None) if seat else outer_shell(request)
    return HTMLResponse(render("transparency.html", shell=shell, page=page))


def _figures(
    connection: Connection, community: dict[str, Any], now: datetime
) -> tickets_views.TransparencyPage:
    months = _months(now, community["zone"])
    since = datetime.fromisoformat(f"{months[-1]}-01").replace(tzinfo=ZoneInfo(community["zone"]))
    rows = connection.execute(
        _SQL["public_look_ups"], {"community_id": community["id"], "since": since}
    ).fetchall()
    granted: dict[tuple[str, str], int] = defaultdict(int)
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        granted[row["month"], row["purpose"]] += row["granted"]
        for name in ("refused", "emergencies", "delayed"):
            sums[row["month"], name] += row[name]
    purposes = tuple(item.value for item in PurposeClass)
    return tickets_views.TransparencyPage(
        community=community["name"],
        purposes=purposes,
        months=tuple(
            tickets_views.PublicMonth(
                month=month,
                by_purpose=tuple((name, publish(granted[month, name])) for name in purposes),
                refused=publish(sums[month, "refused"]),
                emergencies=publish(sums[month, "emergencies"]),
                delayed=publish(sums[month, "delayed"]),
            )
            for month in months
        ),
        overdue=publish(store.count_overdue(connection, community["id"], now)),
    )


def _months(now: datetime, zone: str) -> list[str]:
    """The present month and those before it, newest first."""
    day = now.astimezone(ZoneInfo(zone)).date().replace(day=1)
    found = []
    for _ in range(MONTHS_SHOWN):
        found.append(f"{day:%Y-%m}")
        day = (day - timedelta(days=1)).replace(day=1)
    return found
