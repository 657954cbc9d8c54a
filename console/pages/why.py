"""What speaks for a home: words of the resident are recorded, and any past instant can be asked why all was well.

A form or an instant enters; a row with who and how, or what was known then, leaves. Both are written down.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from alerts import acts
from console.loaders.why import load_why
from console.pages.case import refusal_word
from console.pages.household import Guard, HouseholdId, answer_household, load_one
from console.scope import Section
from console.seat import CheckedForm, Seat, parse_local_time
from console.views import household as household_views
from console.views import parts as view_parts
from kaimen.database import Connection
from kaimen.vocabulary import EvidenceSource

router = APIRouter()
_FIELD_OF = {"witness_is_missing": "who", "who_is_missing": "who", "not_a_time": "at"}


@router.get("/households/{household_id}/why")
def why(seat: Guard, household_id: HouseholdId, at: Annotated[str, Query(max_length=40)] = "") -> Response:
    """Show why all was thought well at an instant; the question is written down with it."""
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        found = load_one(connection, reader, household_id)
        at_instant = parse_local_time(at, reader.zone) if at else None
        if at_instant is None or at_instant > seat.now:
            errors = {"at": "not_a_time" if at_instant is None else "not_come_yet"} if at else {}
            page = household_views.WhyPage(found.name, view_parts.Form({"at": at}, errors))
            return _shown(connection, seat, page, 422 if errors else 200)
        known = load_why(connection, household_id, at_instant, now=seat.now)
        seat.audit(
            connection, "why_read", purpose="care", object_kind="household", object_id=household_id,
            asked_at=at_instant.isoformat(),
        )  # fmt: skip
        form = view_parts.Form({"at": at})
        if known is None:
            return _shown(connection, seat, household_views.WhyPage(found.name, form, at_instant), 200)
        page = household_views.WhyPage(
            household=found.name,
            form=form,
            at=known.at,
            watched=True,
            newest=known.newest,
            before=known.before,
            inactive_ms=known.inactive_ms,
            blind_ms=0 if known.absent_until else known.elapsed_ms - known.inactive_ms,
            stage=min(known.stage, 3),
            known=known.known,
            watched_until=known.watched_until,
            absent_until=known.absent_until,
            forgotten=known.forgotten,
        )
        return _shown(connection, seat, page, 200)


def _shown(connection: Connection, seat: Seat, page: household_views.WhyPage, status: int) -> Response:
    return seat.answer(
        connection, "why.html", page, section=Section.HOUSEHOLDS, status=status, live=False,
        path=f"/households/{page.household.id}/why",
    )  # fmt: skip


def record_word(
    connection: Connection,
    seat: Seat,
    household_id: str,
    *,
    source: EvidenceSource,
    who: str,
    at: datetime,
) -> None:
    """Write down a meal, an order or a pressed button, with its audit entry.

    Raises
    ------
    ActRefused
        Without who it was, for an instant that is not in the last day, or where too many keys were pressed before.
    """
    recorded_by = f"user:{seat.viewer.user_id}"
    if not who.strip():
        raise acts.ActRefused(acts.Refusal.WHO_IS_MISSING)
    if source is EvidenceSource.MEAL:
        acts.record_met(
            connection, household_id=household_id, how=source, witness=who, at=at, now=seat.now,
            recorded_by=recorded_by,
        )  # fmt: skip
    else:
        # What nobody saw is dated when it reached us: nobody can press a button for yesterday.
        acts.record_remote_well(
            connection, household_id=household_id, via=who.strip(), now=seat.now,
            user_id=seat.viewer.user_id, source=source, recorded_by=recorded_by,
        )  # fmt: skip
    seat.audit(
        connection, "evidence_recorded", purpose=source.value, object_kind="household", object_id=household_id
    )


@router.post("/households/{household_id}/evidence", dependencies=[CheckedForm])
def evidence(
    seat: Guard,
    household_id: HouseholdId,
    source: Annotated[str, Form(max_length=20)] = "",
    who: Annotated[str, Form(max_length=200)] = "",
    at: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Record a meal, an order or a pressed button: evidence with who and how."""
    values = {"source": source, "who": who, "at": at}
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        found = load_one(connection, reader, household_id)
        at_instant = parse_local_time(at, reader.zone) if at.strip() else seat.now
        errors = {}
        if source not in {item.value for item in EvidenceSource}:
            errors["source"] = "how_is_missing"
        if at_instant is None:
            errors["at"] = "not_a_time"
        if not errors and at_instant is not None:
            try:
                with connection.transaction():
                    record_word(
                        connection, seat, household_id, source=EvidenceSource(source), who=who, at=at_instant
                    )
            except acts.ActRefused as error:
                word = refusal_word(error)
                errors[_FIELD_OF.get(word, "")] = word
        if errors:
            form = view_parts.Form(values, errors)
            return answer_household(connection, seat, found, source_form=form, status=422)
    return seat.go(f"/households/{household_id}", "notice.evidence_recorded")
