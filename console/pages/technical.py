"""Technical causes: what keeps homes from being seen, what to do about it, and who is asked after meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from console.loaders import technical as loader
from console.loaders.one_place import load_places, read_for
from console.scope import Section
from console.seat import Seat, entering

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.TECHNICAL))]


@router.get("/technical")
def technical(
    seat: Guard,
    place: Annotated[str, Query(max_length=64)] = "",
    name: Annotated[str, Query(max_length=64)] = "",
    fragment: str | None = None,
) -> Response:
    with seat.transaction() as connection:
        reader = read_for(connection, seat.reader(connection), place)
        if reader is None:
            choice = load_places(connection, "/technical", name=name.strip())
            return seat.answer(
                connection, "places.html", choice, section=Section.TECHNICAL, fragment=fragment
            )
        page = replace(loader.load_page(connection, reader), place=place)
        return seat.answer(connection, "technical.html", page, section=Section.TECHNICAL, fragment=fragment)
