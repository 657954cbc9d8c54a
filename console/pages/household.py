"""Households: the list, and one household's page with fourteen days of evidence and what is declared about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Path, Query
from starlette.responses import Response

from console import views
from console.loaders import Reader
from console.loaders import cases as case_loader
from console.loaders.devices import load_devices
from console.loaders.evidence import load_chart, load_openings, load_usual
from console.loaders.households import LoadedHousehold, load_households, thresholds_ms
from console.scope import Section
from console.seat import CheckedForm, Seat, entering, not_here, parse_local_time
from console.views import AbsenceView, ConsentView
from console.views import Form as FormView
from kaimen.database import Connection, queries

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.HOUSEHOLDS))]
HouseholdId = Annotated[str, Path(max_length=100)]
PAGE = 60
ABSENCE_MAX = timedelta(days=30)
ABSENCE_REASONS = ("travel", "hospital", "relatives", "other")
CONSENT_PURPOSES = ("watch", "notify_family", "exact_times", "share_with_police", "early_watch")


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
        page = views.HouseholdsPage(
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
        found = _load(connection, seat.reader(connection), household_id)
        if fragment is None:
            seat.audit(
                connection, "household_read", purpose="care", object_kind="household", object_id=household_id
            )
        return _answer(connection, seat, found, fragment=fragment)


def _load(connection: Connection, reader: Reader, household_id: str) -> LoadedHousehold:
    found = load_households(connection, reader, [household_id]).get(household_id)
    if found is None:
        raise not_here()
    return found


def _answer(
    connection: Connection,
    seat: Seat,
    found: LoadedHousehold,
    *,
    fragment: str | None = None,
    form: FormView | None = None,
    status: int = 200,
) -> Response:
    reader, row = seat.reader(connection), found.row
    device_rows = connection.execute(
        queries("console")["household_devices"], {"household_id": row["id"]}
    ).fetchall()
    contacts = connection.execute(queries("console")["contacts"], {"ids": [row["id"]]}).fetchall()
    grounds = found.grounds
    if grounds is not None:
        grounds = replace(grounds, usual=load_usual(connection, reader, row))
    page = views.HouseholdPage(
        household=found.name,
        line=found.line,
        grounds=grounds,
        chart=load_chart(connection, reader, row) if found.line is not None else None,
        tenure=row["tenure"],
        policy=row["policy_id"],
        thresholds_ms=thresholds_ms(row),
        watched_from=row["watched_from"],
        hard_of_hearing=bool(row["hard_of_hearing"]),
        openings=load_openings(connection, reader, row["id"], named=row["case_id"] is not None),
        absences=_absences(connection, reader, row["id"], has_case=row["case_id"] is not None),
        absence_form=form or FormView(),
        consents=_consents(connection, row["id"]),
        devices=load_devices(connection, reader, ids=[item["device_id"] for item in device_rows]).rows,
        contacts=tuple(case_loader.contact_of(item, named=False, with_phone=False) for item in contacts),
        case_url=None if row["case_id"] is None else f"/cases/{row['case_id']}",
        case_number=row["case_number"],
        past_cases=_past_cases(connection, reader, row["id"]),
        log_url=_log_url(device_rows),
        looked_url=f"/looked?household={row['id']}",
    )
    return seat.answer(
        connection, "household.html", page, section=Section.HOUSEHOLDS, fragment=fragment, status=status,
        path=f"/households/{row['id']}",
    )  # fmt: skip


def _log_url(device_rows: list[dict[str, Any]]) -> str | None:
    return f"/access-log?door={device_rows[0]['device_id']}" if device_rows else None


def _past_cases(connection: Connection, reader: Reader, household_id: str) -> tuple[views.CaseRow, ...]:
    rows = connection.execute(queries("console")["past_case_ids"], {"household_id": household_id}).fetchall()
    cases = case_loader.load_cases(connection, reader, [row["id"] for row in rows])
    return tuple(case_loader.row_of(case, reader) for case in cases)


def _absences(
    connection: Connection, reader: Reader, household_id: str, *, has_case: bool
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
        for purpose in CONSENT_PURPOSES
    )  # fmt: skip


@router.post("/households/{household_id}/absences", dependencies=[CheckedForm])
def declare_absence(
    seat: Guard,
    household_id: HouseholdId,
    reason: Annotated[str, Form(max_length=20)] = "",
    from_text: Annotated[str, Form(alias="from", max_length=40)] = "",
    to_text: Annotated[str, Form(alias="to", max_length=40)] = "",
) -> Response:
    values = {"reason": reason, "from": from_text, "to": to_text}
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        found = _load(connection, reader, household_id)
        errors = write_absence(connection, seat, reader, household_id, values)
        if errors:
            return _answer(connection, seat, found, form=FormView(values, errors), status=422)
    return seat.go(f"/households/{household_id}", "notice.absence_declared")


def check_absence(
    values: dict[str, str], zone: str, now: datetime
) -> tuple[dict[str, str], datetime | None, datetime | None]:
    """Say what is wrong with a declared absence; nothing: it may be written."""
    errors: dict[str, str] = {}
    begin = parse_local_time(values["from"], zone) if values["from"].strip() else now
    end = parse_local_time(values["to"], zone)
    if values["reason"] not in ABSENCE_REASONS:
        errors["reason"] = "reason_is_missing"
    if begin is None:
        errors["from"] = "not_a_time"
    if end is None:
        errors["to"] = "absence_needs_end"
    elif begin is not None and (end <= begin or end <= now):
        errors["to"] = "from_after_to"
    elif begin is not None and end - begin > ABSENCE_MAX:
        errors["to"] = "absence_too_long"
    return errors, begin, end


def write_absence(
    connection: Connection, seat: Seat, reader: Reader, household_id: str, values: dict[str, str]
) -> dict[str, str]:
    """Write a declared absence with its audit entry; return what is wrong with it instead, where it is."""
    errors, begin, end = check_absence(values, reader.zone, reader.now)
    if errors:
        return errors
    sql = queries("console")
    span = {"household_id": household_id, "from_at": begin, "to_at": end}
    overlaps = connection.execute(sql["absence_overlaps"], span).fetchone()
    if overlaps and overlaps["overlaps"]:
        return {"": "absence_overlaps"}
    row = connection.execute(
        sql["absence_add"],
        {**span, "reason": values["reason"], "declared_by": seat.viewer.display_name, "now": seat.now},
    ).fetchone()
    assert row is not None
    seat.audit(
        connection, "absence_declared", purpose="absence", object_kind="household", object_id=household_id,
        absence=row["id"],
    )  # fmt: skip
    return {}


@router.post("/households/{household_id}/absences/{absence_id}/end", dependencies=[CheckedForm])
def end_absence(
    seat: Guard, household_id: HouseholdId, absence_id: Annotated[int, Path(ge=1, le=2**63 - 1)]
) -> Response:
    with seat.transaction() as connection:
        _load(connection, seat.reader(connection), household_id)
        ended = connection.execute(
            queries("console")["absence_end"],
            {"id": absence_id, "household_id": household_id, "now": seat.now},
        ).rowcount
        if ended:
            seat.audit(
                connection, "absence_ended", purpose="absence", object_kind="household", object_id=household_id,
                absence=absence_id,
            )  # fmt: skip
    return seat.go(f"/households/{household_id}", "notice.absence_ended" if ended else None)
