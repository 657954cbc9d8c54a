"""Households: the list, and one household's page with fourteen days of evidence and what is declared about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from alerts.acts import is_rung_on_new_numbers
from console.loaders import Reader
from console.loaders import cases as case_loader
from console.loaders.case_rows import row_of
from console.loaders.contacts import contact_of
from console.loaders.devices import load_devices
from console.loaders.evidence import load_chart, load_openings, load_usual
from console.loaders.households import LoadedHousehold, hide_presence, load_households, thresholds_ms
from console.loaders.registered import load_registered
from console.pages.consents import PURPOSES
from console.scope import RevealPurpose, Section
from console.seat import Seat, entering, not_here
from console.views import case as case_views
from console.views import household as household_views
from console.views.doors import PresenceView
from console.views.household import AbsenceView, ConsentView, CrossedDoor
from console.views.parts import Form as FormView
from kaimen.database import Connection, queries

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.HOUSEHOLDS))]
HouseholdId = Annotated[str, Path(max_length=100)]
PAGE = 60
CROSSED_WITHIN = timedelta(days=7)


@router.get("/households")
def households(
    seat: Guard,
    query: Annotated[str, Query(max_length=64)] = "",
    state: Annotated[str, Query(max_length=16)] = "",
    after: Annotated[int, Query(ge=0, le=100_000)] = 0,
    fragment: str | None = None,
) -> Response:
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        wanted = query.strip()
        rows = connection.execute(
            queries("console")["household_ids"],
            {
                "community_id": seat.viewer.community_id,
                "households": None,
                "query": wanted,
                "pattern": "%" + _literal(wanted) + "%",
                "state": state,
                "limit": PAGE,
                "offset": after,
            },
        ).fetchall()
        ids = [row["id"] for row in rows]
        found = load_households(connection, reader, ids)
        total = rows[0]["total"] if rows else 0
        page = household_views.HouseholdsPage(
            rows=tuple(found[key].in_list() for key in ids if key in found),
            query=query,
            state=state,
            total=total,
            newer_url=_page_url(query, state, max(0, after - PAGE)) if after else None,
            older_url=_page_url(query, state, after + PAGE) if after + PAGE < total else None,
        )
        return seat.answer(connection, "households.html", page, section=Section.HOUSEHOLDS, fragment=fragment)


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _page_url(query: str, state: str, after: int) -> str:
    return "/households?" + urlencode({"query": query, "state": state, "after": after})


@router.get("/households/{household_id}")
def household(seat: Guard, household_id: HouseholdId, fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        found = load_one(connection, seat.reader(connection), household_id)
        if fragment is None:
            seat.audit(
                connection, "household_read", purpose="care", object_kind="household", object_id=household_id
            )
        return answer_household(connection, seat, found, fragment=fragment)


def load_one(connection: Connection, reader: Reader, household_id: str) -> LoadedHousehold:
    """Return a household this reader may see; what is not there and what is not the reader's are the same."""
    found = load_households(connection, reader, [household_id]).get(household_id)
    if found is None:
        raise not_here()
    return found


def answer_household(
    connection: Connection,
    seat: Seat,
    found: LoadedHousehold,
    *,
    fragment: str | None = None,
    form: FormView | None = None,
    source_form: FormView | None = None,
    renewing: tuple[int, FormView] | None = None,
    presence: PresenceView | None = None,
    presence_form: FormView | None = None,
    asked: bool = False,
    status: int = 200,
    live: bool = True,
) -> Response:
    """Show the household's page, with a form as it was sent where something in it was wrong."""
    reader, row = seat.reader(connection), found.row
    device_rows = connection.execute(
        queries("console")["household_devices"], {"household_id": row["id"]}
    ).fetchall()
    contacts = connection.execute(
        queries("console")["contacts"], {"ids": [row["id"]], "now": reader.now}
    ).fetchall()
    grounds = found.grounds
    has_case = row["case_id"] is not None
    if grounds is not None and not has_case:
        grounds = hide_presence(grounds)
    if grounds is not None:
        grounds = replace(grounds, usual=load_usual(connection, reader, row))
    page = household_views.HouseholdPage(
        household=found.name,
        line=found.line,
        grounds=grounds,
        chart=load_chart(connection, reader, row) if found.line is not None else None,
        tenure=row["tenure"],
        policy=row["policy_id"],
        thresholds_ms=thresholds_ms(row),
        watched_from=row["watched_from"],
        hard_of_hearing=bool(row["hard_of_hearing"]),
        openings=tuple(
            opening if has_case or asked else replace(opening, direction=None)
            for opening in (
                load_openings(connection, reader, row, named=has_case) if found.line is not None else ()
            )
        ),
        absences=_absences(connection, reader, row["id"], has_case=has_case, renewing=renewing),
        absence_form=form or FormView(),
        new_numbers=is_rung_on_new_numbers(connection, seat.now, household_id=row["id"]),
        source_form=source_form or FormView() if found.line is not None else None,
        consents=_consents(connection, row["id"]),
        devices=load_devices(connection, reader, ids=[item["device_id"] for item in device_rows]).rows,
        crossed=_crossed(connection, reader, row["id"]),
        contacts=tuple(contact_of(item, named=False, with_phone=False) for item in contacts),
        registered=load_registered(connection, reader, row["id"], {item["role"] for item in contacts}),
        case_url=None if row["case_id"] is None else f"/cases/{row['case_id']}",
        case_number=row["case_number"],
        past_cases=_past_cases(connection, reader, row["id"]),
        log_url=_log_url(device_rows),
        looked_url=f"/looked?household={row['id']}",
        presence=presence,
        presence_asked=asked,
        presence_form=(presence_form or FormView()) if found.line is not None and not asked else None,
        presence_purposes=tuple(item.value for item in RevealPurpose),
    )
    return seat.answer(
        connection, "household.html", page, section=Section.HOUSEHOLDS, fragment=fragment, status=status,
        path=f"/households/{row['id']}", live=live,
    )  # fmt: skip


def _crossed(connection: Connection, reader: Reader, household_id: str) -> tuple[CrossedDoor, ...]:
    values = {"household_id": household_id, "now": reader.now, "since": reader.now - CROSSED_WITHIN}
    rows = connection.execute(queries("console", "doors.sql")["crossed_doors"], values).fetchall()
    return tuple(CrossedDoor(row["device_id"], row["by_label"], row["days"]) for row in rows)


def _log_url(device_rows: list[dict[str, Any]]) -> str | None:
    return f"/access-log?door={device_rows[0]['device_id']}" if device_rows else None


def _past_cases(connection: Connection, reader: Reader, household_id: str) -> tuple[case_views.CaseRow, ...]:
    rows = connection.execute(queries("console")["past_case_ids"], {"household_id": household_id}).fetchall()
    cases = case_loader.load_cases(connection, reader, [row["id"] for row in rows])
    return tuple(row_of(case, reader) for case in cases)


def _absences(
    connection: Connection,
    reader: Reader,
    household_id: str,
    *,
    has_case: bool,
    renewing: tuple[int, FormView] | None,
) -> tuple[AbsenceView, ...]:
    """Declared absences; why she is away is shown only where a case asks for it."""
    rows = connection.execute(queries("console")["absences"], {"household_id": household_id}).fetchall()
    return tuple(
        AbsenceView(
            id=row["id"],
            from_at=row["from_at"],
            to_at=row["to_at"],
            declared_by=row["declared_by"],
            declared_at=row["declared_at"],
            reason=row["reason"] if has_case else None,
            revoked_at=row["revoked_at"],
            end_url=f"/households/{household_id}/absences/{row['id']}/end"
            if row["revoked_at"] is None and row["to_at"] > reader.now
            else None,
            renewed_at=row["renewed_at"],
            renew_url=f"/households/{household_id}/absences/{row['id']}/renew"
            if row["revoked_at"] is None and row["from_at"] <= reader.now < row["to_at"]
            else None,
            renew_form=renewing[1] if renewing is not None and renewing[0] == row["id"] else FormView(),
        )
        for row in rows
    )


def _consents(connection: Connection, household_id: str) -> tuple[ConsentView, ...]:
    rows = connection.execute(queries("console")["consents"], {"household_id": household_id}).fetchall()
    by_purpose = {row["purpose"]: row for row in rows}
    return tuple(
        ConsentView(
            purpose, by_purpose[purpose]["given_by"], by_purpose[purpose]["given_at"],
            by_purpose[purpose]["withdrawn_at"],
        )
        if purpose in by_purpose
        else ConsentView(purpose)
        for purpose in PURPOSES
    )  # fmt: skip
