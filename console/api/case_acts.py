"""What programs do to cases and tasks: an act with its words enters, the case as it is then leaves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import JSONResponse, Response

from alerts import acts
from console.api.answering import Body, aware, error_response
from console.api.asking import (
    RowId,
    Writing,
)
from console.api.cases import case_of, detail_of
from console.api.models import (
    CaseDetail,
    answers,
)
from console.loaders import cases as case_loader
from console.metrics import ACTS
from console.scope import Act, may_act
from console.seat import RefusedError, Seat
from kaimen.database import Connection
from kaimen.vocabulary import Contacted, Outcome, Role

router = APIRouter()


class NoteBody(Body):
    note: str = Field(min_length=1, max_length=2_000)


class HoldBody(Body):
    reason: str = Field(min_length=1, max_length=2_000)
    until: datetime


class HandOverBody(Body):
    to_role: Role
    note: str = Field(default="", max_length=2_000)


class ConfirmBody(Body):
    confirmed: bool
    note: str = Field(default="", max_length=2_000)


class OutcomeBody(Body):
    outcome: Outcome
    contacted: Contacted | None = None
    witness: str | None = Field(default=None, max_length=200)
    note: str = Field(default="", max_length=2_000)
    absence_until: datetime | None = None
    instead_of: int | None = Field(
        default=None,
        description="Of a call for help or a duress code that somebody else has: that person's id, as known",
    )


def _perform(
    seat: Seat, case_id: int, act: Act, do: Callable[[Connection], Any], kind: str, object_id: int
) -> Response:
    """Do an act in one transaction with its audit entry; answer with the case as it is then."""
    with seat.transaction() as connection:
        case = case_of(connection, seat, case_id)
        if not may_act(seat.viewer, act, case.facts):
            raise RefusedError(403)
        try:
            with connection.transaction():
                do(connection)
                seat.audit(
                    connection, act.value, purpose="api", object_kind=kind, object_id=str(object_id),
                    household=case.row["household_id"], case=case_id,
                )  # fmt: skip
        except acts.ActRefused as error:
            ACTS.labels(act=act.value, result="refused").inc()
            word = str(getattr(error.reason, "value", error.reason))
            return error_response(409, word, word.replace("_", " "))
        after = case_loader.load_case(connection, seat.reader(connection), case_id)
        body = detail_of(connection, seat, after) if after else {"id": case_id}
    ACTS.labels(act=act.value, result="done").inc()
    return JSONResponse(body)


@router.post("/api/cases/{case_id}/claim", **answers(CaseDetail))
def claim(seat: Writing, case_id: RowId) -> Response:
    return _on_case(seat, case_id, Act.CLAIM, partial(acts.claim, role=seat.viewer.role))


@router.post("/api/cases/{case_id}/release", **answers(CaseDetail))
def release(seat: Writing, case_id: RowId) -> Response:
    return _on_case(seat, case_id, Act.RELEASE, acts.release)


@router.post("/api/cases/{case_id}/note", **answers(CaseDetail))
def note(seat: Writing, case_id: RowId, body: NoteBody) -> Response:
    return _on_case(seat, case_id, Act.NOTE, acts.add_note, note=body.note.strip())


@router.post("/api/cases/{case_id}/hold", **answers(CaseDetail))
def hold(seat: Writing, case_id: RowId, body: HoldBody) -> Response:
    return _on_case(seat, case_id, Act.HOLD, acts.hold, reason=body.reason.strip(), until=aware(body.until))


@router.post("/api/cases/{case_id}/hand-over", **answers(CaseDetail))
def hand_over(seat: Writing, case_id: RowId, body: HandOverBody) -> Response:
    return _on_case(
        seat, case_id, Act.HAND_OVER, acts.hand_over, to_role=body.to_role, note=body.note.strip()
    )


@router.post("/api/cases/{case_id}/confirm-closing", **answers(CaseDetail))
def confirm_closing(seat: Writing, case_id: RowId, body: ConfirmBody) -> Response:
    return _on_case(
        seat,
        case_id,
        Act.CONFIRM_CLOSING,
        acts.confirm_closing,
        confirmed=body.confirmed,
        note=body.note.strip(),
    )


def _on_case(seat: Seat, case_id: int, act: Act, do: Callable[..., Any], **values: Any) -> Response:
    def perform(connection: Connection) -> Any:
        return do(connection, case_id=case_id, user_id=seat.viewer.user_id, now=seat.now, **values)

    return _perform(seat, case_id, act, perform, "case", case_id)


@router.post("/api/tasks/{task_id}/begin", **answers(CaseDetail))
def begin(seat: Writing, task_id: RowId) -> Response:
    return _on_task(seat, task_id, Act.BEGIN_VISIT, acts.begin_visit)


@router.post("/api/tasks/{task_id}/outcome", **answers(CaseDetail))
def outcome(seat: Writing, task_id: RowId, body: OutcomeBody) -> Response:
    return _on_task(
        seat, task_id, Act.OUTCOME, acts.record_outcome,
        outcome=body.outcome, contacted=body.contacted, witness=(body.witness or "").strip() or None,
        note=body.note.strip(), absence_until=aware(body.absence_until), instead_of=body.instead_of,
    )  # fmt: skip


def _on_task(seat: Seat, task_id: int, act: Act, do: Callable[..., Any], **values: Any) -> Response:
    with seat.transaction() as connection:
        found = case_loader.load_task_case(connection, seat.reader(connection), task_id)
        if found is None:
            raise RefusedError(404)
        task, case = found
        if not case_loader.may_record(seat.viewer, task, case):
            raise RefusedError(403)

    def perform(connection: Connection) -> Any:
        return do(connection, task_id=task_id, user_id=seat.viewer.user_id, now=seat.now, **values)

    return _perform(seat, case.id, act, perform, "task", task_id)
