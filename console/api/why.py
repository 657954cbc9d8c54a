"""The JSON API about what speaks for a home: why all was well at an instant, and words of the resident that arrive.

Meals, orders and buttons come from other systems by a bearer token; every answer and every word is written down.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import JSONResponse, Response

from alerts import acts
from console.api.answering import Body, aware, error_response, instant
from console.api.asking import Seated, Writing
from console.api.models import Recorded, Why, answers
from console.loaders.households import load_households
from console.loaders.why import load_why
from console.pages.why import record_word
from console.scope import Section, may_enter
from console.seat import RefusedError, Seat
from console.views.household import KnownEvidence
from kaimen.database import Connection
from kaimen.vocabulary import EvidenceSource, Stage

router = APIRouter()
HouseholdId = Annotated[str, Path(max_length=100)]


def _check(connection: Connection, seat: Seat, household_id: str) -> None:
    if not may_enter(seat.viewer, Section.HOUSEHOLDS):
        raise RefusedError(403)
    if household_id not in load_households(connection, seat.reader(connection), [household_id]):
        raise RefusedError(404)


@router.get("/api/households/{household_id}/why", **answers(Why))
def why(seat: Seated, household_id: HouseholdId, at: Annotated[datetime, Query()]) -> dict[str, Any]:
    """Say what was known of a household at an instant of the past, from what had arrived by then."""
    asked = aware(at)
    assert asked is not None
    if asked > seat.now:
        raise RefusedError(422, "not_valid")
    with seat.transaction() as connection:
        _check(connection, seat, household_id)
        known = load_why(connection, household_id, asked, now=seat.now)
        seat.audit(
            connection, "why_read", purpose="api", object_kind="household", object_id=household_id,
            asked_at=asked.isoformat(),
        )  # fmt: skip
    item: dict[str, Any] = {"household": household_id, "at": instant(asked), "watched": known is not None}
    if known is None:
        return item
    return {
        **item,
        "evidence": _evidence(known.newest),
        "before": [_evidence(one) for one in known.before],
        "inactive_s": known.inactive_ms // 1000,
        "elapsed_s": known.elapsed_ms // 1000,
        "stage": Stage(min(known.stage, 3)).api_name,
        "known": known.known,
        "watched_until": instant(known.watched_until),
        "absent": known.absent_until is not None,
        "coverage_forgotten": known.forgotten,
    }


def _evidence(item: KnownEvidence) -> dict[str, Any]:
    return {"at": instant(item.at), "kind": item.kind.value, "device": item.device, "witness": item.witness}


class EvidenceBody(Body):
    source: EvidenceSource
    who: str = Field(min_length=1, max_length=200)
    at: datetime | None = None


@router.post("/api/households/{household_id}/evidence", **answers(Recorded, 201))
def evidence(seat: Writing, household_id: HouseholdId, body: EvidenceBody) -> Response:
    """Take a meal handed over, an order or a pressed button as a word of the resident, with who and how."""
    with seat.transaction() as connection:
        _check(connection, seat, household_id)
        try:
            with connection.transaction():
                record_word(
                    connection,
                    seat,
                    household_id,
                    source=body.source,
                    who=body.who,
                    at=aware(body.at) or seat.now,
                )
        except acts.ActRefused as error:
            return error_response(409, error.reason.value, error.reason.value.replace("_", " "))
    return JSONResponse(
        {"household": household_id, "source": body.source.value, "recorded_at": instant(seat.now)}, 201
    )
