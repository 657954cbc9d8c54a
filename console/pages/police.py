"""For community police: counts per building, named cases from VISIT on, and look-ups that leave a trace."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Query
from starlette.responses import Response

from console import views
from console.loaders import Reader
from console.loaders import cases as case_loader
from console.loaders import log as log_loader
from console.metrics import LOOK_UPS
from console.scope import LegalBasis, LookUp, LookUpRefusal, PurposeClass, Section, refuse_look_up
from console.seat import CheckedForm, RefusedError, Seat, entering, not_here, parse_local_time
from kaimen.database import Connection, queries

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.POLICE))]
Text = Annotated[str, Form(max_length=100)]
CASES_SHOWN = 100
TICKETS_SHOWN = 20
TICKET_STANDS = timedelta(hours=24)

_FIELDS = {
    LookUpRefusal.NO_PURPOSE: "purpose",
    LookUpRefusal.NO_CASE_NUMBER: "case_number",
    LookUpRefusal.NO_LEGAL_BASIS: "basis",
    LookUpRefusal.NO_PLACE: "door",
    LookUpRefusal.NO_TIME: "from",
    LookUpRefusal.WINDOW_EMPTY: "to",
    LookUpRefusal.WINDOW_TOO_LONG: "to",
    LookUpRefusal.WINDOW_IN_FUTURE: "from",
}


@router.get("/police")
def police(seat: Guard, fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        cases = _load_named(connection, reader)
        buildings = connection.execute(
            queries("console")["police_buildings"], {"community_id": seat.viewer.community_id}
        ).fetchall()
        page = views.PolicePage(
            buildings=tuple(
                views.BuildingCount(
                    row["building"], row["watched"], row["warning"], row["call"], row["visit"], row["unknown"]
                )
                for row in buildings
            ),
            cases=tuple(_case_row(case, reader) for case in cases),
            tickets=_load_tickets(connection, seat),
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


def _pressing(case: case_loader.LoadedCase) -> tuple[int, datetime]:
    """The gravest first, then whoever was seen the longest ago."""
    return -int(case.row["priority"]), case.row["evidence_at"] or case.row["opened_at"]


def _case_row(case: case_loader.LoadedCase, reader: Reader) -> views.CaseRow:
    return replace(case_loader.row_of(case, reader), url=f"/cases/{case.id}")


def _load_tickets(connection: Connection, seat: Seat) -> tuple[views.TicketRow, ...]:
    rows = connection.execute(
        queries("console")["audit_of_actor"],
        {"actor": f"user:{seat.viewer.user_id}", "actions": ["look_up"], "limit": TICKETS_SHOWN},
    ).fetchall()
    return tuple(_ticket_row(row, int(row["detail"].get("rows", 0))) for row in rows)


def _ticket_row(row: dict[str, Any], count: int) -> views.TicketRow:
    detail = row["detail"]
    return views.TicketRow(
        detail.get("ticket") or f"L-{row['id']}",
        row["at"],
        row["purpose"],
        detail["case_number"],
        detail["place"],
        count,
    )


# --- Look-up: a ticket first, then the rows under its number -------------------------------------------------------


@router.get("/police/look-up")
def look_up_page(
    seat: Guard,
    ticket: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    place: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """The form; with a ticket of one's own, its rows, each reading of which is written down with its count."""
    with seat.transaction() as connection:
        if ticket is None:
            return _answer(connection, seat, views.Form(_day_before(seat, seat.reader(connection).zone)))
        opened = _load_ticket(connection, seat, ticket)
        return _answer_rows(connection, seat, opened, log_loader.parse_place(place))


def _day_before(seat: Seat, zone: str) -> dict[str, str]:
    """The window most often asked for: the day before now."""
    local = seat.now.astimezone(ZoneInfo(zone))
    return {"from": f"{local - timedelta(days=1):%Y-%m-%dT%H:%M}", "to": f"{local:%Y-%m-%dT%H:%M}"}


def _load_ticket(connection: Connection, seat: Seat, ticket: int) -> dict[str, Any]:
    row = connection.execute(
        queries("console")["audit_by_id"],
        {"id": ticket, "actor": f"user:{seat.viewer.user_id}", "action": "ticket_opened"},
    ).fetchone()
    if row is None:
        raise not_here()
    if seat.services.wall_now() - datetime.fromisoformat(row["detail"]["opened_wall"]) > TICKET_STANDS:
        raise RefusedError(404)
    return row


def _answer(
    connection: Connection, seat: Seat, form: views.Form, *, status: int = 200, **result: Any
) -> Response:
    doors, buildings, units = log_loader.load_choices(connection, seat.reader(connection))
    page = views.LookUpPage(
        form=form,
        purposes=tuple(item.value for item in PurposeClass),
        bases=tuple(item.value for item in LegalBasis),
        doors=doors,
        buildings=buildings,
        units=units,
        **result,
    )
    return seat.answer(connection, "look_up.html", page, section=Section.LOOK_UP, status=status)


def _local(text: str, zone: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M}"


def _answer_rows(
    connection: Connection, seat: Seat, opened: dict[str, Any], place: log_loader.Place | None
) -> Response:
    reader, detail = seat.reader(connection), opened["detail"]
    query = log_loader.LogQuery(
        datetime.fromisoformat(detail["from"]), datetime.fromisoformat(detail["to"]),
        detail["door"], detail["building"], detail["unit"],
    )  # fmt: skip
    found = log_loader.load_log(connection, reader, query, place, with_holders=True)
    number = f"L-{opened['id']}"
    seat.audit(
        connection, "look_up", purpose=opened["purpose"], object_kind="access_log", object_id=number, ticket=number,
        rows=len(found.rows), households=sorted(found.households),
        **{key: detail[key] for key in ("case_number", "basis", "place", "from", "to")},
    )  # fmt: skip
    LOOK_UPS.labels(result="read").inc()
    page_url = "/police/look-up?" + urlencode({"ticket": opened["id"]})
    form = views.Form(
        {key: detail[key] for key in ("case_number", "basis", "door", "building", "unit")}
        | {
            "purpose": opened["purpose"],
            "from": _local(detail["from"], reader.zone),
            "to": _local(detail["to"], reader.zone),
        }
    )
    return _answer(
        connection,
        seat,
        form,
        ticket=_ticket_row({**opened, "detail": {**detail, "ticket": number}}, len(found.rows)),
        rows=found.rows,
        watermark=f"{seat.viewer.display_name} · {number} · {detail['case_number']} · {seat.now.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}",
        newer_url=f"{page_url}&place={found.newer.format()}" if found.newer else None,
        older_url=f"{page_url}&place={found.older.format()}" if found.older else None,
    )


@router.post("/police/look-up", dependencies=[CheckedForm])
def open_ticket(
    seat: Guard,
    purpose: Text = "",
    case_number: Text = "",
    basis: Text = "",
    door: Text = "",
    building: Text = "",
    unit: Text = "",
    from_text: Annotated[str, Form(alias="from", max_length=40)] = "",
    to_text: Annotated[str, Form(alias="to", max_length=40)] = "",
) -> Response:
    values = {
        "purpose": purpose, "case_number": case_number.strip(), "basis": basis, "door": door, "building": building,
        "unit": unit, "from": from_text, "to": to_text,
    }  # fmt: skip
    with seat.transaction() as connection:
        zone = seat.reader(connection).zone
        asked = LookUp(
            purpose=PurposeClass(purpose) if purpose in {item.value for item in PurposeClass} else None,
            case_number=case_number,
            basis=LegalBasis(basis) if basis in {item.value for item in LegalBasis} else None,
            place=door or building,
            from_at=parse_local_time(from_text, zone),
            to_at=parse_local_time(to_text, zone),
        )
        refusals = refuse_look_up(asked, seat.now)
        if refusals:
            LOOK_UPS.labels(result="refused").inc()
            errors = {_FIELDS[refusal]: refusal.value for refusal in reversed(refusals)}
            return _answer(connection, seat, views.Form(values, errors), status=422)
        assert asked.from_at is not None and asked.to_at is not None and asked.purpose is not None
        number = seat.audit(
            connection, "ticket_opened", purpose=asked.purpose.value, object_kind="access_log", object_id=door or building,
            case_number=values["case_number"], basis=basis, place=" ".join(filter(None, (door, building, unit))),
            door=door, building=building, unit=unit,
            **{"from": asked.from_at.astimezone(UTC).isoformat(), "to": asked.to_at.astimezone(UTC).isoformat()},
            opened_wall=seat.services.wall_now().isoformat(),
        )  # fmt: skip
    LOOK_UPS.labels(result="opened").inc()
    return seat.go(f"/police/look-up?ticket={number}")
