"""Figures of alarm management and service levels: a span and a community enter, a table or a CSV file leaves.

Counts alone: no household, no person, no door.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from alerts.figures import Figures, Span, list_communities, load_figures, spans_until
from console.audit.sealing import write_csv
from console.effort import load_effort
from console.scope import Section
from console.seat import RefusedError, Seat, entering, not_here
from console.views import guard as guard_views
from kaimen.database import Connection

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.FIGURES))]
Community = Annotated[str, Query(max_length=64)]
#: How many spans one page shows.
SPANS = {Span.DAY: 31, Span.WEEK: 13, Span.MONTH: 12}
#: Months the effort per watched elder is shown for.
EFFORT_MONTHS = 3
_COLUMNS = (
    "begins_at", "annunciated", "per_operator_hour", "floods", "stale", "chattering", "high", "middle", "low",
    "acknowledge_s", "call_s", "visit_s", "visits_due", "visits_on_time",
)  # fmt: skip


@router.get("/figures")
def figures(seat: Guard, span: Span = Span.DAY, community: Community = "") -> Response:
    with seat.transaction() as connection:
        page = _load(connection, seat, span, community)
        return seat.answer(connection, "figures.html", page, section=Section.FIGURES, live=False)


@router.get("/figures.csv")
def figures_csv(seat: Guard, span: Span = Span.DAY, community: Community = "") -> Response:
    with seat.transaction() as connection:
        page = _load(connection, seat, span, community)
    rows = ([page.community, *(_text(getattr(row, column)) for column in _COLUMNS)] for row in page.rows)
    table = write_csv(("community", *_COLUMNS), rows)
    headers = {"Content-Disposition": f'attachment; filename="figures-{span.value}.csv"'}
    return Response(table, media_type="text/csv; charset=utf-8", headers=headers)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _load(connection: Connection, seat: Seat, span: Span, community: str) -> guard_views.FiguresPage:
    known = [item for item in list_communities(connection) if seat.viewer.community_id in (None, item[0])]
    chosen = next((item for item in known if item[0] == community), None)
    if not known:
        raise RefusedError(404, "no_community")
    if community and chosen is None:
        raise not_here()
    community_id, name, zone = chosen or known[0]
    spans = spans_until(seat.now, span, SPANS[span], zone)
    found = load_figures(connection, community_id, spans, now=seat.now)
    months = spans_until(seat.now, Span.MONTH, EFFORT_MONTHS, zone)
    effort = load_effort(connection, community_id, months, now=seat.now)
    rows = tuple(_row(item, seat) for item in found)
    choices = tuple((item[0], item[1]) for item in known) if len(known) > 1 else ()
    return guard_views.FiguresPage(span.value, rows, name, choices, community_id, effort)


def _row(item: Figures, seat: Seat) -> guard_views.FigureRow:
    return guard_views.FigureRow(
        item.begins_at, item.annunciated, item.per_operator_hour(seat.now), item.floods, item.stale, item.chattering,
        item.high, item.middle, item.low, item.acknowledge_s, item.call_s, item.visit_s, item.visits_due,
        item.visits_on_time,
    )  # fmt: skip
