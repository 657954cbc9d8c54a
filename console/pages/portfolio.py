"""The property director's page: all her communities in numbers, the gravest first; never a name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from console.loaders.overview import load_portfolio
from console.scope import Section
from console.seat import Seat, entering
from console.views.screens import PortfolioPage

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.PORTFOLIO))]


@router.get("/portfolio")
def portfolio(seat: Guard, fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        page = PortfolioPage(load_portfolio(connection, seat.viewer.community_ids, now=seat.now))
        return seat.answer(connection, "portfolio.html", page, section=Section.PORTFOLIO, fragment=fragment)
