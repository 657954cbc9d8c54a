"""Declared absences: a form enters, a row with its audit entry or the reason why not leaves.

An absence begins now or later, lasts 30 days at most, and is prolonged by a person, to 90 days in all.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Path
from starlette.responses import Response

from alerts.acts import is_rung_on_new_numbers
from console.loaders import Reader
from console.pages.household import Guard, HouseholdId, answer_household, load_one
from console.seat import CheckedForm, Seat, parse_local_time
from console.views.parts import Form as FormView
from kaimen.database import Connection, queries

router = APIRouter()
AbsenceId = Annotated[int, Path(ge=1, le=2**63 - 1)]
ABSENCE_MAX = timedelta(days=30)
#: How the desk knows, where a voice on a changed number may be anybody's.
KNOWN_BY = ("saw", "relative", "papers")
ABSENCE_REASONS = ("travel", "hospital", "relatives", "other")
#: A form takes a while to fill in; more than this is the past.
BACK_DATED = timedelta(minutes=5)


@router.post("/households/{household_id}/absences", dependencies=[CheckedForm])
def declare_absence(
    seat: Guard,
    household_id: HouseholdId,
    reason: Annotated[str, Form(max_length=20)] = "",
    from_text: Annotated[str, Form(alias="from", max_length=40)] = "",
    to_text: Annotated[str, Form(alias="to", max_length=40)] = "",
    known_by: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    values = {"reason": reason, "from": from_text, "to": to_text, "known_by": known_by}
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        found = load_one(connection, reader, household_id)
        errors = _refuse_a_voice(connection, household_id, known_by, seat.now)
        errors = errors or write_absence(connection, seat, reader, household_id, values)
        if errors:
            return answer_household(connection, seat, found, form=FormView(values, errors), status=422)
    return seat.go(f"/households/{household_id}", "notice.absence_declared")


def _refuse_a_voice(
    connection: Connection, household_id: str, known_by: str, now: datetime
) -> dict[str, str]:
    """Ask how the desk knows, where every number of the home was changed and none counts yet."""
    if known_by in KNOWN_BY or not is_rung_on_new_numbers(connection, now, household_id=household_id):
        return {}
    return {"known_by": "absence_on_new_number"}


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
    elif begin < now - BACK_DATED:
        # What was counted stays counted: an absence told of afterwards would undo warnings that people acted on.
        errors["from"] = "absence_backdated"
    else:
        begin = max(begin, now)
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
        absence=row["id"], **{key: values[key] for key in ("known_by",) if values.get(key)},
    )  # fmt: skip
    return {}


@router.post("/households/{household_id}/absences/{absence_id}/renew", dependencies=[CheckedForm])
def renew_absence(
    seat: Guard,
    household_id: HouseholdId,
    absence_id: AbsenceId,
    to_text: Annotated[str, Form(alias="to", max_length=40)] = "",
    known_by: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Prolong a standing absence: to 30 days from now at most, and to 90 days in all."""
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        found = load_one(connection, reader, household_id)
        to_at = parse_local_time(to_text, reader.zone)
        renewed = 0
        typed = {"to": to_text, "known_by": known_by}
        errors = _refuse_a_voice(connection, household_id, known_by, seat.now)
        if errors:
            renewing = (absence_id, FormView(typed, errors))
            return answer_household(connection, seat, found, renewing=renewing, status=422)
        if to_at is not None:
            renewed = connection.execute(
                queries("console")["absence_renew"],
                {
                    "id": absence_id, "household_id": household_id, "to_at": to_at, "now": seat.now,
                    "renewed_by": seat.viewer.display_name, "renewed_max": ABSENCE_MAX,
                },
            ).rowcount  # fmt: skip
        if not renewed:
            word = "absence_needs_end" if to_at is None else "absence_not_renewed"
            form = FormView(typed, {"to": word})
            return answer_household(connection, seat, found, renewing=(absence_id, form), status=422)
        seat.audit(
            connection, "absence_renewed", purpose="absence", object_kind="household", object_id=household_id,
            absence=absence_id, **({"known_by": known_by} if known_by in KNOWN_BY else {}),
        )  # fmt: skip
    return seat.go(f"/households/{household_id}", "notice.absence_renewed")


@router.post("/households/{household_id}/absences/{absence_id}/end", dependencies=[CheckedForm])
def end_absence(seat: Guard, household_id: HouseholdId, absence_id: AbsenceId) -> Response:
    with seat.transaction() as connection:
        load_one(connection, seat.reader(connection), household_id)
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
