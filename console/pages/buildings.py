"""Buildings: the map of a community, its buildings in numbers, and every home of some of them as a window."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from console.loaders import buildings as loader
from console.loaders.households import load_households
from console.scope import Section
from console.seat import Seat, entering, not_here
from console.views.buildings import BuildingsPage

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.BUILDINGS))]
Name = Annotated[str, Query(max_length=100)]


@router.get("/buildings")
def buildings(seat: Guard, building: Name = "", home: Name = "", fragment: str | None = None) -> Response:
    """``building`` is drawn alone; a chosen ``home`` stands above its own building."""
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        selected = None
        if home:
            found = load_households(connection, reader, [home]).get(home)
            if found is None:
                raise not_here()
            selected, building = found.in_list(), found.row["building"]
        rows = loader.load_rows(connection, reader, building)
        if building and not any(row.chosen for row in rows):
            raise not_here()
        shown = loader.sections_to_show(rows, building)
        page = BuildingsPage(
            rows,
            loader.load_street(connection, reader, base="/buildings?home=", buildings=shown),
            selected,
            building,
        )
        return seat.answer(connection, "buildings.html", page, section=Section.BUILDINGS, fragment=fragment)
