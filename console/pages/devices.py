"""Devices: which door is heard, and which only looks quiet."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.responses import RedirectResponse, Response

from console.loaders import devices as loader
from console.loaders.one_place import load_places, read_for
from console.scope import Section
from console.seat import Seat, entering
from console.views import devices as devices_views
from kaimen.database import Connection, queries

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.DEVICES))]


@router.get("/devices")
def devices(
    seat: Guard,
    only: Annotated[str, Query(pattern="^(troubled|battery)?$")] = "",
    query: Annotated[str, Query(max_length=64)] = "",
    after: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    place: Annotated[str, Query(max_length=64)] = "",
    name: Annotated[str, Query(max_length=64)] = "",
    fragment: str | None = None,
) -> Response:
    with seat.transaction() as connection:
        query = query.strip()
        reader = read_for(connection, seat.reader(connection), place)
        if reader is None:
            return _choose(connection, seat, query or name.strip(), fragment)
        found = loader.load_devices(
            connection, reader, troubled=only == "troubled", low_battery=only == "battery", query=query, offset=after,
        )  # fmt: skip
        totals = connection.execute(
            queries("console")["device_totals"],
            {"community_id": reader.viewer.community_id, "now": seat.now},
        ).fetchone()
        assert totals is not None
        further = after + loader.PAGE < found.total
        here = f"/devices?{urlencode({'place': place, 'only': only, 'query': query})}&after="
        page = devices_views.DevicesPage(
            rows=found.rows,
            total=totals["total"],
            not_known_count=totals["not_known"],
            test_count=totals["on_test"],
            low_battery_count=totals["low_batteries"],
            only=only,
            query=query,
            place=place,
            newer_url=f"{here}{max(0, after - loader.PAGE)}" if after else None,
            older_url=f"{here}{after + loader.PAGE}" if further else None,
        )
        return seat.answer(connection, "devices.html", page, section=Section.DEVICES, fragment=fragment)


def _choose(connection: Connection, seat: Seat, name: str, fragment: str | None) -> Response:
    """Let one of many communities be chosen; a device's whole id chooses its own."""
    found = connection.execute(queries("console")["community_of_device"], {"id": name}).fetchone()
    if found is not None:
        asked = urlencode({"place": found["community_id"], "query": name})
        return RedirectResponse(f"/devices?{asked}", 303)
    page = load_places(connection, "/devices", name=name)
    return seat.answer(connection, "places.html", page, section=Section.DEVICES, fragment=fragment)
