"""Looking into the access log: a form makes a ticket; a ticket of one's own that stands shows rows and exports them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Path, Query
from starlette.responses import Response

from console.loaders import log as log_loader
from console.metrics import LOOK_UPS
from console.scope import LegalBasis, LookUp, LookUpRefusal, PurposeClass, Section, refuse_look_up
from console.seat import CheckedForm, Seat, entering, error_page, parse_local_time
from console.tickets import store
from console.tickets.export import export_rows
from console.tickets.rules import (
    BUILDINGS_MAX,
    SUBJECT_LENGTH_MAX,
    Asking,
    TicketRefusal,
    refuse_asking,
    training_refusal,
)
from console.tickets.shown import view_ticket
from console.views import parts as view_parts
from console.views import tickets as tickets_views
from kaimen.database import Connection

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.LOOK_UP))]
Text = Annotated[str, Form(max_length=100)]
TicketId = Annotated[int, Path(ge=1, le=2**63 - 1)]

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


@dataclass(frozen=True, slots=True)
class _Typed:
    """The form as it was sent."""

    values: dict[str, str]
    buildings: tuple[str, ...] = ()


@router.get("/police/look-up")
def look_up_page(
    seat: Guard,
    ticket: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    place: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """The form; with a ticket of one's own that stands, its rows. Every try is written down, refused ones too."""
    with seat.transaction() as connection:
        if ticket is None:
            return _answer(connection, seat, _Typed(_day_before(seat, seat.reader(connection).zone)))
        found = store.read_ticket(connection, ticket)
        if found is None or found.facts.community_id != seat.viewer.community_id:
            return _refuse_unknown(connection, seat, ticket)
        reading = store.read_and_trace(connection, seat, found, log_loader.parse_place(place))
        LOOK_UPS.labels(result=reading.result).inc()
        if reading.result != "read":
            shown = view_ticket(found, seat.viewer, seat.now, seat.services.wall_now())
            return _answer(
                connection, seat, _Typed({}), refused=f"look_up.{reading.result}", ticket=shown, status=403
            )
        return _answer_rows(connection, seat, found, reading)


def _refuse_unknown(connection: Connection, seat: Seat, ticket_id: int) -> Response:
    """Try all the same, so that the try is written down by the database and in the chain; the page is not there."""
    reading = store.read_rows(connection, seat, ticket_id, None)
    assert reading.result != "read"
    seat.audit(
        connection, "look_up_refused", purpose="none", object_kind="access_log", object_id=f"L-{ticket_id}",
        read_id=reading.id, result=reading.result, rows=0,
    )  # fmt: skip
    LOOK_UPS.labels(result=reading.result).inc()
    return error_page(seat.request, 404)


def _day_before(seat: Seat, zone: str) -> dict[str, str]:
    """The window most often asked for: the day before now."""
    local = seat.now.astimezone(ZoneInfo(zone))
    return {"from": f"{local - timedelta(days=1):%Y-%m-%dT%H:%M}", "to": f"{local:%Y-%m-%dT%H:%M}"}


def _answer(
    connection: Connection, seat: Seat, typed: _Typed, *, errors: dict[str, str] | None = None,
    status: int = 200, **result: Any,
) -> Response:  # fmt: skip
    reader = seat.reader(connection)
    doors, buildings, units = log_loader.load_choices(connection, reader)
    officer = store.load_officer(connection, seat, reader.zone)
    untrained = training_refusal(officer.trained_until, seat.now.astimezone(ZoneInfo(reader.zone)).date())
    if untrained is not None and "refused" not in result:
        result["refused"] = f"error.{untrained.value}"
    page = tickets_views.LookUpPage(
        form=view_parts.Form(typed.values, errors or {}),
        purposes=tuple(item.value for item in PurposeClass),
        bases=tuple(item.value for item in LegalBasis),
        doors=doors,
        buildings=buildings,
        chosen_buildings=typed.buildings,
        units=units,
        left_today=max(0, seat.services.settings.console_look_ups_a_day - officer.asked),
        **result,
    )
    return seat.answer(connection, "look_up.html", page, section=Section.LOOK_UP, status=status)


def watermark(seat: Seat, ticket: store.Ticket) -> str:
    """Who reads what, when, under which ticket: over every row on the screen and on paper."""
    document = ticket.row["document_number"]
    return f"{seat.viewer.display_name} · {ticket.number} · {document} · {seat.now.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def _answer_rows(
    connection: Connection, seat: Seat, ticket: store.Ticket, reading: store.Reading
) -> Response:
    url, found = "/police/look-up?" + urlencode({"ticket": ticket.id}), reading.page
    return _answer(
        connection,
        seat,
        _Typed({}),
        ticket=view_ticket(ticket, seat.viewer, seat.now, seat.services.wall_now()),
        rows=found.rows,
        watermark=watermark(seat, ticket),
        newer_url=f"{url}&place={found.newer.format()}" if found.newer else None,
        older_url=f"{url}&place={found.older.format()}" if found.older else None,
    )


@router.post("/police/look-up", dependencies=[CheckedForm])
def open_ticket(
    seat: Guard,
    purpose: Text = "",
    case_number: Text = "",
    basis: Text = "",
    door: Text = "",
    building: Annotated[list[str] | None, Form(max_length=BUILDINGS_MAX)] = None,
    unit: Text = "",
    subject: Annotated[str, Form(max_length=SUBJECT_LENGTH_MAX)] = "",
    reason: Annotated[str, Form(max_length=2_000)] = "",
    delay: Annotated[str, Form(max_length=40)] = "",
    from_text: Annotated[str, Form(alias="from", max_length=40)] = "",
    to_text: Annotated[str, Form(alias="to", max_length=40)] = "",
) -> Response:
    """Take a ticket: it waits for a second person's word, or opens at once where life is at risk."""
    values = {
        "purpose": purpose, "case_number": case_number.strip(), "basis": basis, "door": door, "unit": unit,
        "subject": subject.strip(), "reason": reason.strip(), "delay": delay, "from": from_text, "to": to_text,
    }  # fmt: skip
    buildings = tuple(dict.fromkeys(name for name in building or () if name))
    typed = _Typed(values, buildings)
    place = store.AskedPlace(door, buildings, unit)
    with seat.transaction() as connection:
        zone = seat.reader(connection).zone
        officer = store.load_officer(connection, seat, zone)
        asking = _asking(connection, seat, values, place, zone, officer)
        errors = _errors(seat, asking, values, officer, zone)
        if errors:
            LOOK_UPS.labels(result="refused").inc()
            return _answer(connection, seat, typed, errors=errors, status=422)
        ticket = store.add_ticket(connection, seat, asking, place, emergencies_today=officer.emergencies)
    LOOK_UPS.labels(result="opened").inc()
    if asking.is_emergency:
        return seat.go(f"/police/look-up?ticket={ticket.id}", "notice.ticket_emergency")
    return seat.go(f"/police/tickets/{ticket.id}", "notice.ticket_asked")


def _asking(
    connection: Connection, seat: Seat, values: dict[str, str], place: store.AskedPlace, zone: str,
    officer: store.Officer,
) -> Asking:  # fmt: skip
    purpose, basis = values["purpose"], values["basis"]
    look_up = LookUp(
        purpose=PurposeClass(purpose) if purpose in {item.value for item in PurposeClass} else None,
        case_number=values["case_number"],
        basis=LegalBasis(basis) if basis in {item.value for item in LegalBasis} else None,
        place=place.door or " ".join(place.buildings) or values["subject"],
        from_at=parse_local_time(values["from"], zone),
        to_at=parse_local_time(values["to"], zone),
    )
    return Asking(
        look_up=look_up,
        subject=values["subject"],
        building_count=store.count_buildings(connection, seat, place.door, place.buildings),
        reason=values["reason"],
        delayed_until=parse_local_time(values["delay"], zone) if values["delay"] else None,
        asked_today=officer.asked,
        asked_today_max=seat.services.settings.console_look_ups_a_day,
    )


def _errors(
    seat: Seat, asking: Asking, values: dict[str, str], officer: store.Officer, zone: str
) -> dict[str, str]:
    """Say by field, in words of the catalogue, everything that keeps the ticket from being taken."""
    refusals = refuse_look_up(asking.look_up, seat.now)
    errors: dict[str, str] = {_FIELDS[refusal]: refusal.value for refusal in reversed(refusals)}
    today: datetime = seat.now.astimezone(ZoneInfo(zone))
    untrained: TicketRefusal | None = training_refusal(officer.trained_until, today.date())
    own = refuse_asking(asking, seat.now)
    if untrained is not None:
        own[""] = untrained
    errors.update({name: refusal.value for name, refusal in own.items()})
    if values["delay"] and asking.delayed_until is None:
        errors["delay"] = LookUpRefusal.NO_TIME.value
    return errors


@router.post("/police/tickets/{ticket_id}/export", dependencies=[CheckedForm])
def export(seat: Guard, ticket_id: TicketId) -> Response:
    """Hand out every row of a ticket as one sealed package; the taking is written down before it leaves."""
    with seat.transaction() as connection:
        ticket = store.load_ticket(connection, seat, ticket_id)
        made = export_rows(connection, seat, ticket, watermark(seat, ticket))
    LOOK_UPS.labels(result="exported" if isinstance(made, bytes) else made).inc()
    if not isinstance(made, bytes):
        return error_page(seat.request, 403, f"export_{made}")
    return Response(
        made,
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="kaimen-{ticket.number}.zip"'},
    )
