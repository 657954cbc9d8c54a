"""The access log of a community: filters enter, door events leave, as a page or a table; who held a card is not in it.

Every reading is recorded: what the doors of many did says much of each. What is taken out stands, with its purpose,
before everybody whose door is in it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query
from starlette.responses import Response

from console.audit.sealing import digest, write_csv
from console.loaders import Reader
from console.loaders import log as loader
from console.scope import RevealPurpose, Section
from console.seat import CheckedForm, Seat, entering, parse_local_time
from console.views import log as log_views
from console.views.parts import Form as FormView
from kaimen.database import Connection

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.ACCESS_LOG))]
Word = Annotated[str, Query(max_length=64)]
WINDOW_DEFAULT = timedelta(days=1)
WINDOW_MAX = timedelta(days=31)
#: So many rows are taken out at once; whoever needs more asks for fewer doors or days.
EXPORT_MAX = 5_000
#: What the page is read for: it stands in the trace and on the paper.
_READ_FOR = "care"
_COLUMNS = (
    "occurred_at", "received_at", "door", "device", "home", "type", "state", "direction", "method", "whose", "reason", "origin", "clock",
)  # fmt: skip
FormWord = Annotated[str, Form(max_length=64)]


@router.get("/access-log")
def access_log(
    seat: Guard,
    door: Word = "",
    building: Word = "",
    unit: Word = "",
    from_text: Annotated[str, Query(alias="from", max_length=40)] = "",
    to_text: Annotated[str, Query(alias="to", max_length=40)] = "",
    type: Word = "",
    method: Word = "",
    origin: Word = "",
    place: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    return _show(
        seat, log_views.LogFilter(door, building, unit, from_text, to_text, type, method, origin), place
    )


def _show(
    seat: Seat, filter_: log_views.LogFilter, place: str = "", *, refused: FormView | None = None
) -> Response:
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        query, errors = _read_filter(filter_, reader)
        found = (
            loader.LogPage(())
            if errors
            else loader.load_log(connection, reader, query, loader.parse_place(place))
        )
        if not errors:
            _note(connection, seat, "access_log_read", _READ_FOR, query)
        doors, buildings, units = loader.load_choices(connection, reader)
        page = log_views.AccessLogPage(
            filter=filter_,
            rows=found.rows,
            doors=doors,
            buildings=buildings,
            units=units,
            types=loader.TYPES,
            methods=loader.METHODS,
            errors=errors,
            from_at=None if errors else query.from_at,
            to_at=None if errors else min(query.to_at, reader.now),
            purpose=_READ_FOR,
            newer_url=_url(filter_, found.newer),
            older_url=_url(filter_, found.older),
            purposes=tuple(item.value for item in RevealPurpose),
            export_form=refused or FormView(),
        )
        status = 422 if errors or refused else 200
        return seat.answer(connection, "access_log.html", page, section=Section.ACCESS_LOG, status=status)


@router.post("/access-log/export", dependencies=[CheckedForm])
def export(
    seat: Guard,
    purpose: FormWord = "",
    door: FormWord = "",
    building: FormWord = "",
    unit: FormWord = "",
    from_text: Annotated[str, Form(alias="from", max_length=40)] = "",
    to_text: Annotated[str, Form(alias="to", max_length=40)] = "",
    type: FormWord = "",
    method: FormWord = "",
    origin: FormWord = "",
) -> Response:
    """Take out as a table what the page shows; who took it, for what and how much of it is written down."""
    filter_ = log_views.LogFilter(door, building, unit, from_text, to_text, type, method, origin)
    if purpose not in set(RevealPurpose):
        return _show(seat, filter_, refused=FormView({}, {"purpose": "purpose_missing"}))
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        query, errors = _read_filter(filter_, reader)
        found = (
            loader.LogPage(())
            if errors
            else loader.load_log(connection, reader, query, None, size=EXPORT_MAX)
        )
        if not errors and found.older is None:
            table = write_csv(_COLUMNS, (_cells(row) for row in found.rows))
            _note(
                connection, seat, "access_log_exported", purpose, query,
                rows=len(found.rows), digest=digest(table), households=sorted(found.households),
            )  # fmt: skip
            headers = {"Content-Disposition": 'attachment; filename="access-log.csv"'}
            return Response(table, media_type="text/csv; charset=utf-8", headers=headers)
    return _show(
        seat, filter_, refused=FormView({"purpose": purpose}, {} if errors else {"": "export_too_long"})
    )


def _note(
    connection: Connection, seat: Seat, action: str, purpose: str, query: loader.LogQuery, **detail: Any
) -> None:
    """Write down who read the log or took it out, and what was asked of it."""
    place = {"door": query.door, "building": query.building, "unit": query.unit}
    seat.audit(
        connection, action, purpose=purpose, object_kind="access_log", object_id=seat.viewer.community_id or "all",
        since=query.from_at.isoformat(), until=query.to_at.isoformat(),
        **{key: value for key, value in place.items() if value}, **detail,
    )  # fmt: skip


def _cells(row: log_views.LogRow) -> tuple[str, ...]:
    return (
        row.occurred_at.isoformat(), row.received_at.isoformat(), row.door, row.device_id,
        row.household.label if row.household else "", row.type, row.state or "", row.direction or "",
        row.method or "", row.whose or "", row.reason or "", "replayed" if row.replayed else "live", row.clock,
    )  # fmt: skip


def _read_filter(filter_: log_views.LogFilter, reader: Reader) -> tuple[loader.LogQuery, dict[str, str]]:
    errors = {}
    to_at = (
        parse_local_time(filter_.to_text, reader.zone)
        if filter_.to_text
        else reader.now + timedelta(minutes=5)
    )
    if to_at is None:
        errors["to"] = "not_a_time"
        to_at = reader.now
    from_at = (
        parse_local_time(filter_.from_text, reader.zone) if filter_.from_text else to_at - WINDOW_DEFAULT
    )
    if from_at is None:
        errors["from"] = "not_a_time"
        from_at = to_at - WINDOW_DEFAULT
    if from_at >= to_at:
        errors["to"] = "from_after_to"
    elif to_at - from_at > WINDOW_MAX:
        errors["to"] = "window_too_long"
    if filter_.origin not in ("", "live", "replayed"):
        errors["origin"] = "not_valid"
    query = loader.LogQuery(
        from_at,
        to_at,
        filter_.door,
        filter_.building,
        filter_.unit,
        "",
        filter_.type,
        filter_.method,
        filter_.origin,
    )
    return query, errors


def _url(filter_: log_views.LogFilter, place: loader.Place | None) -> str | None:
    if place is None:
        return None
    pairs = {
        "door": filter_.door, "building": filter_.building, "unit": filter_.unit, "from": filter_.from_text,
        "to": filter_.to_text, "type": filter_.type, "method": filter_.method, "origin": filter_.origin,
        "place": place.format(),
    }  # fmt: skip
    return "/access-log?" + urlencode({key: value for key, value in pairs.items() if value})
