"""Devices: which door is heard, and which only looks quiet."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from console.loaders import devices as loader
from console.scope import Section
from console.seat import Seat, entering
from console.views import devices as devices_views
from kaimen.database import queries

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.DEVICES))]


@router.get("/devices")
def devices(
    seat: Guard,
    only: Annotated[str, Query(pattern="^(troubled|battery)?$")] = "",
    query: Annotated[str, Query(max_length=64)] = "",
    after: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    fragment: str | None = None,
) -> Response:
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        query = query.strip()
        found = loader.load_devices(
            connection, reader, troubled=only == "troubled", low_battery=only == "battery", query=query, offset=after,
        )  # fmt: skip
        totals = connection.execute(
            queries("console")["device_totals"],
            {"community_id": seat.viewer.community_id, "now": seat.now},
        ).fetchone()
        assert totals is not None
        further = after + loader.PAGE < found.total
        here = f"/devices?only={only}&query={quote(query, safe='')}&after="
        page = devices_views.DevicesPage(
            rows=found.rows,
            total=totals["total"],
            not_known_count=totals["not_known"],
            test_count=totals["on_test"],
            low_battery_count=totals["low_batteries"],
            only=only,
            query=query,
            newer_url=f"{here}{max(0, after - loader.PAGE)}" if after else None,
            older_url=f"{here}{after + loader.PAGE}" if further else None,
        )
        return seat.answer(connection, "devices.html", page, section=Section.DEVICES, fragment=fragment)
