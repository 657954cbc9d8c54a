"""Communities and grids in numbers: ids and an instant enter, rows without anybody in them leave."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from alerts.duty.store import load_gaps
from console.loaders import Reader
from console.views.screens import CommitteePage, GridRow, GridSize, Kept, PortfolioRow
from kaimen.database import Connection, queries

SLA_OVER = timedelta(days=30)
WEEK = timedelta(days=7)
#: 300 to 500 households are a grid, as the programme says.
GRID_HOMES_MIN = 300
GRID_HOMES_MAX = 500


def load_portfolio(
    connection: Connection, ids: Collection[str], *, now: datetime
) -> tuple[PortfolioRow, ...]:
    """Return one row per community, the gravest first; duty gaps are those of the next fourteen days."""
    rows = connection.execute(
        queries("console", "overview.sql")["portfolio"],
        {"ids": sorted(ids), "now": now, "since": now - SLA_OVER, "week_ago": now - WEEK},
    ).fetchall()
    found = []
    for row in rows:
        gaps = load_gaps(connection, row["id"], now=now)
        found.append(
            PortfolioRow(
                id=row["id"],
                name=row["name"],
                watched=row["watched"],
                stages=(row["day1"], row["day2"], row["day3"]),
                other_cases=row["others"],
                unanswered_since=row["unanswered_since"],
                not_known=row["not_known"],
                gap_count=len(gaps),
                gap_from=gaps[0].from_at if gaps else None,
                gap_reason=gaps[0].reason.value if gaps else "",
                sla=Kept(row["kept"], row["due"]),
                visits=row["visits"],
                calls=row["calls"],
                minutes=row["minutes"],
            )
        )
    return tuple(found)


def size_of(homes: int) -> GridSize:
    """Say whether a grid has as many households as one should."""
    if homes < GRID_HOMES_MIN:
        return GridSize.SMALL
    return GridSize.LARGE if homes > GRID_HOMES_MAX else GridSize.FITS


def load_committee(connection: Connection, reader: Reader) -> CommitteePage:
    """Return the grids of the reader's community; visits are those of this month that are due or done."""
    month = reader.day_begin.replace(day=1)
    rows = connection.execute(
        queries("console", "overview.sql")["grids"],
        {"community_id": reader.viewer.community_id, "now": reader.now, "month_begin": month},
    ).fetchall()
    return CommitteePage(
        rows=tuple(
            GridRow(
                name=row["grid"],
                homes=row["homes"],
                size=size_of(row["homes"]),
                watched=row["watched"],
                stages=(row["day1"], row["day2"], row["day3"]),
                visits=Kept(row["done"], row["due"]),
                without_helper=row["without_helper"],
                consent_missing=row["consent_missing"],
                consent_withdrawn=row["consent_withdrawn"],
            )
            for row in rows
        ),
        month=month,
        size_min=GRID_HOMES_MIN,
        size_max=GRID_HOMES_MAX,
    )
