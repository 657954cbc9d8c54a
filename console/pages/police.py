"""For community police: counts per building and named cases from VISIT on; look-ups have pages of their own."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from console.loaders import Reader
from console.loaders import cases as case_loader
from console.loaders.case_rows import row_of
from console.scope import Section
from console.seat import Seat, entering
from console.tickets import store
from console.tickets.shown import view_ticket
from console.views import case as case_views
from console.views import police as police_views
from kaimen.database import Connection, queries
from kaimen.vocabulary import CaseCause

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.POLICE))]
CASES_SHOWN = 100
TICKETS_SHOWN = 20


@router.get("/police")
def police(seat: Guard, fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        cases = _load_named(connection, reader)
        buildings = connection.execute(
            queries("console")["police_buildings"], {"community_id": seat.viewer.community_id}
        ).fetchall()
        page = police_views.PolicePage(
            buildings=tuple(
                police_views.BuildingCount(
                    row["building"], row["watched"], row["warning"], row["call"], row["visit"], row["unknown"]
                )
                for row in buildings
            ),
            cases=tuple(_case_row(case, reader) for case in cases),
            tickets=tuple(
                view_ticket(ticket, seat.viewer, seat.now, seat.services.wall_now())
                for ticket in store.load_tickets(
                    connection, seat, asked_by=seat.viewer.user_id, limit=TICKETS_SHOWN
                )
            ),
        )
        if cases and fragment is None:
            seat.audit(
                connection, "cases_listed", purpose="case", object_kind="community",
                object_id=str(seat.viewer.community_id), households=[case.row["household_id"] for case in cases],
            )  # fmt: skip
        return seat.answer(connection, "police.html", page, section=Section.POLICE, fragment=fragment)


def _load_named(connection: Connection, reader: Reader) -> list[case_loader.LoadedCase]:
    rows = connection.execute(
        queries("console")["api_case_ids"],
        {
            "after": None, "community_id": reader.viewer.community_id, "households": None, "household_id": None,
            "stage": None, "states": ["open", "notified", "owned", "working"], "cause": None, "causes": None,
            "only_visit": True, "task_role": None, "user_id": reader.viewer.user_id, "limit": CASES_SHOWN,
        },
    ).fetchall()  # fmt: skip
    cases = case_loader.load_cases(connection, reader, [row["id"] for row in rows])
    return sorted(cases, key=_pressing)


def _pressing(case: case_loader.LoadedCase) -> tuple[int, bool, datetime]:
    """The gravest first, among them who calls for help, then whoever was seen the longest ago."""
    calls = case.facts.cause in (CaseCause.SOS, CaseCause.DURESS)
    return -int(case.row["priority"]), not calls, case.row["evidence_at"] or case.row["opened_at"]


def _case_row(case: case_loader.LoadedCase, reader: Reader) -> case_views.CaseRow:
    return replace(row_of(case, reader), url=f"/cases/{case.id}")
