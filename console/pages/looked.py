"""Who looked: what was read and done about people, by whom and why, as the audit chain has it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from console.loaders.households import load_households
from console.scope import Section
from console.seat import Seat, entering, not_here
from console.views import admin as admin_views
from kaimen.database import queries
from kaimen.vocabulary import Role

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.WHO_LOOKED))]
PAGE = 100


@router.get("/looked")
def looked(
    seat: Guard,
    household: Annotated[str, Query(max_length=100)] = "",
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> Response:
    is_admin = seat.viewer.role is Role.ADMIN
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        name = None
        if household:
            found = load_households(connection, reader, [household]).get(household)
            if found is None:
                raise not_here()
            name = found.name
        rows = connection.execute(
            queries("console")["looks"],
            {
                "before": before,
                "household_id": household or None,
                "community_id": seat.viewer.community_id,
                "limit": PAGE + 1,
                "now": seat.now,
                "for_family": False,
            },
        ).fetchall()
        page = admin_views.LookedPage(
            rows=tuple(
                # An administrator keeps the machine: that somebody looked, never at whom.
                admin_views.LookRow(
                    row["at"], row["who"], row["role"], row["action"], row["purpose"],
                    "" if is_admin else row["household_label"] or "",
                )
                for row in rows[:PAGE]
            ),
            household=name,
            newer_url=_url(household, None) if before else None,
            older_url=_url(household, rows[PAGE - 1]["id"]) if len(rows) > PAGE else None,
        )  # fmt: skip
        return seat.answer(connection, "looked.html", page, section=Section.WHO_LOOKED)


def _url(household: str, before: int | None) -> str:
    pairs = {"household": household, "before": "" if before is None else str(before)}
    return "/looked?" + urlencode({key: value for key, value in pairs.items() if value})
