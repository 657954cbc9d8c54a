"""Technical causes: what keeps homes from being seen, what to do about it, and who is asked after meanwhile."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from console.loaders import technical as loader
from console.scope import Section
from console.seat import Seat, entering

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.TECHNICAL))]


@router.get("/technical")
def technical(seat: Guard, fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        page = loader.load_page(connection, seat.reader(connection))
        return seat.answer(connection, "technical.html", page, section=Section.TECHNICAL, fragment=fragment)
