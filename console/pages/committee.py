"""The community committee's page: the grids of its community in numbers; no door, no opening, nobody."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from console.loaders.overview import load_committee
from console.scope import Section
from console.seat import Seat, entering

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.COMMITTEE))]


@router.get("/committee")
def committee(seat: Guard, fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        page = load_committee(connection, seat.reader(connection))
        return seat.answer(connection, "committee.html", page, section=Section.COMMITTEE, fragment=fragment)
