"""The property director's page: all her communities in numbers, the gravest first; never a name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from console.loaders.overview import load_portfolio
from console.scope import Section
from console.seat import Seat, entering
from console.views.parts import Form
from console.views.screens import PortfolioPage

router = APIRouter()
RATE_MAX = 10_000
Guard = Annotated[Seat, Depends(entering(Section.PORTFOLIO))]


@router.get("/portfolio")
def portfolio(
    seat: Guard, rate: Annotated[str, Query(max_length=20)] = "", fragment: str | None = None
) -> Response:
    """Show every community; ``rate`` is what an hour of staff costs, kept nowhere but in the address."""
    an_hour = _read_rate(rate)
    wrong = bool(rate.strip()) and an_hour is None
    with seat.transaction() as connection:
        rows = load_portfolio(connection, seat.viewer.community_ids, now=seat.now)
        page = PortfolioPage(rows, an_hour, Form({"rate": rate}, {"rate": "not_a_rate"} if wrong else {}))
        return seat.answer(
            connection, "portfolio.html", page, section=Section.PORTFOLIO, fragment=fragment,
            status=422 if wrong else 200,
        )  # fmt: skip


def _read_rate(text: str) -> float | None:
    """Read what an hour costs; None where it is no sum from 0 to RATE_MAX."""
    try:
        rate = float(text.strip())
    except ValueError:
        return None
    return rate if 0 <= rate <= RATE_MAX else None
