"""The JSON API: a bearer token or a session enters, the same scopes as the pages hold, JSON leaves.

Shapes are a stable contract (``api_models``): fields are added, never renamed. Instants are ISO 8601 in UTC with
``Z``; every error is a problem as in RFC 9457, with ``code`` and ``mend`` beside.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from alerts import acts
from console.api.lists import case_items
from console.api.models import (
    CaseDetail,
    CasePage,
    HouseholdItem,
    HouseholdPage,
    Me,
    QuarantinePage,
    SessionList,
    answers,
)
from console.api.scopes import may_use
from console.identity import sessions as identity
from console.identity import tokens
from console.loaders import Reader
from console.loaders import cases as case_loader
from console.loaders.cases import LoadedCase
from console.loaders.households import LoadedHousehold, evidence_kind, inactive_ms, load_households
from console.metrics import ACTS
from console.pages.quarantine import load_rows, printable
from console.quiet import quiet_day
from console.scope import Act, Section, Sight, Viewer, causes_of, may_act, may_enter
from console.seat import RefusedError, Seat, SignedIn, SignInNeededError, check_origin, find_seat
from console.services import Services, services_of
from console.stream import Change, Filter, TooManyClientsError
from kaimen.database import Connection, queries
from kaimen.vocabulary import CaseCause, Contacted, Outcome, Role, Stage

router = APIRouter()

PROBLEM_TYPE = "application/problem+json"
LIMIT_DEFAULT = 50
LIMIT_MAX = 200
#: Without the elder's consent to exact times her family is told parts of a day.
COARSE = timedelta(hours=6)

_ERRORS: dict[int, tuple[str, str, str]] = {
    400: ("bad_request", "the request could not be read", "send what the description of this address asks for"),
    401: ("not_signed_in", "nobody is signed in", "send a bearer token, or sign in at /sign-in"),
    403: ("not_allowed", "this is not for your role", "ask whoever keeps the roles of your community"),
    404: ("not_found", "there is nothing here that you may see", "check the id; what is out of scope is not found either"),
    405: ("wrong_method", "this address does not take that method", "use the method of the description"),
    409: ("not_possible_now", "the state does not allow this act", "read the case again and decide anew"),
    413: ("too_large", "the body is larger than 64 KiB", "send less"),
    414: ("too_long", "the query is longer than 8 KiB", "ask for less at once"),
    422: ("not_valid", "a value is missing or not of its kind", "mend the named fields"),
    429: ("too_many", "too many requests or open streams", "wait a little, then try again"),
    500: ("failed", "something went wrong on our side", "try again; tell the operator the request id"),
    503: ("away", "the database is away", "try again in a few seconds"),
}  # fmt: skip

_MENDS = {
    "scope_missing": "make a token with the scope this address needs, on the page My sign-ins",
    "factor_due": "set up the second step of signing in at /account/second-factor",
    "password_due": "change the password at /account/password",
    "stale_form": "send the session's token as X-CSRF-Token; GET /api/me tells it",
    "other_site": "send writes from the console's own address, or with a bearer token",
}


def error_response(status: int, code: str | None = None, detail: str = "", mend: str = "") -> JSONResponse:
    """An error in the one shape all errors have."""
    default_code, default_detail, default_mend = _ERRORS.get(status, _ERRORS[500 if status >= 500 else 400])
    body = {
        "code": code or default_code,
        "detail": detail or default_detail,
        "mend": mend or _MENDS.get(code or "", default_mend),
    }
    headers = {"WWW-Authenticate": 'Bearer realm="kaimen"'} if status == 401 else None
    # What it is in general says the status; what it is here, ``code``. ``error`` is the shape of before.
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        **body,
        "error": body,
    }
    return JSONResponse(problem, status, headers=headers, media_type=PROBLEM_TYPE)


def instant(at: datetime | None) -> str | None:
    """Format an instant; None stays None."""
    if at is None:
        return None
    text = at.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


# --- Who asks --------------------------------------------------------------------------------------------------


def seated(
    request: Request, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Seat:
    """Return the seat of a bearer token or, without one, of a session."""
    services = services_of(request)
    if authorization is None:
        seat = find_seat(request)
        if seat is None:
            raise SignInNeededError
        return seat
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > 200:
        raise SignInNeededError
    with services.transaction() as connection:
        found = tokens.find_token(connection, token.strip(), now=services.wall_now())
    if found is None:
        raise SignInNeededError
    route = getattr(request.scope.get("route"), "path", "")
    if not may_use(request.method, route, found.scopes):
        raise RefusedError(403, "scope_missing")
    return Seat(request, services, None, found.viewer, services.now(), identity.hash_token(token.strip()))


Seated = Annotated[Seat, Depends(seated)]


def writing(
    request: Request, seat: Seated, x_csrf_token: Annotated[str, Header(include_in_schema=False)] = ""
) -> Seat:
    """The guard of writes: a browser's session has to prove that our own page sent it; a bearer token need not."""
    if seat.session is not None:
        check_origin(request, seat.services)
        if not identity.same_token(x_csrf_token, seat.session.csrf):
            raise RefusedError(403, "stale_form")
    return seat


Writing = Annotated[Seat, Depends(writing)]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
After = Annotated[int | None, Query(ge=1, le=2**63 - 1)]


def _entering(seat: Seat, *sections: Section) -> None:
    if not any(may_enter(seat.viewer, section) for section in sections):
        raise RefusedError(403)


@router.get("/api/me", **answers(Me))
def me(seat: Seated) -> dict[str, Any]:
    viewer = seat.viewer
    return {
        "name": viewer.name,
        "display_name": viewer.display_name,
        "role": viewer.role.value,
        "community": viewer.community_id,
        "households": sorted(viewer.household_ids),
        "language": viewer.language,
        "csrf": seat.csrf or None,
        "now": instant(seat.now),
    }


# --- Cases -----------------------------------------------------------------------------------------------------

StageName = Literal["warning", "call", "visit"]
StateName = Literal["open", "notified", "owned", "working", "closed"]


@router.get("/api/cases", **answers(CasePage))
def cases(
    seat: Seated,
    limit: Limit = LIMIT_DEFAULT,
    after: After = None,
    stage: StageName | None = None,
    state: Annotated[list[StateName] | None, Query()] = None,
    household: Annotated[str | None, Query(max_length=100)] = None,
    cause: CaseCause | None = None,
) -> Response:
    """List the cases the viewer may see, newest first; ``next`` goes into ``after`` for the following page."""
    viewer, services = seat.viewer, seat.services
    states = None if state is None else tuple(sorted(state))
    asked = (limit, after, stage, states, household, cause)

    def make() -> bytes:
        with seat.transaction() as connection:
            ids = _load_ids(connection, viewer, limit + 1, after, stage, state, household, cause)
            items = _items_of(connection, seat, ids[:limit])
        following = json.dumps(ids[limit - 1] if len(ids) > limit else None)
        return f'{{"items":{items},"next":{following}}}'.encode()

    # What a helper is shown of a task hangs on its start, what police are shown on consents: asked anew each time.
    version = services.hub.version if viewer.role is Role.PROPERTY_CLERK else None
    body = services.bodies.get((viewer.role, viewer.community_id, asked), version, make)
    return Response(body, media_type="application/json")


def _items_of(connection: Connection, seat: Seat, ids: list[int]) -> str:
    """The items as JSON; in the database where the list itself decides who sees what, else one by one."""
    if seat.viewer.role in _LISTED_IS_SEEN:
        return case_items(connection, ids)
    found = case_loader.load_cases(connection, seat.reader(connection), ids)
    return json.dumps([_case_item(case) for case in found], ensure_ascii=False, separators=(",", ":"))


#: For these roles ``api_case_ids`` and ``see_case`` say the same, and whoever sees a case sees its household.
_LISTED_IS_SEEN = frozenset({Role.PROPERTY_CLERK, Role.ADMIN, Role.FAMILY})


def _load_ids(
    connection: Connection,
    viewer: Viewer,
    limit: int,
    after: int | None,
    stage: str | None,
    states: list[StateName] | None,
    household: str | None,
    cause: CaseCause | None,
) -> list[int]:
    seen = causes_of(viewer.role)
    if seen is not None and cause is not None and cause not in seen:
        return []
    if viewer.role is Role.POLICE_OFFICER:
        states = [item for item in states or list(_OPEN_STATES) if item != "closed"]
    rows = connection.execute(
        queries("console")["api_case_ids"],
        {
            "after": after,
            "community_id": _community_of(viewer),
            "households": sorted(viewer.household_ids) if viewer.role is Role.FAMILY else None,
            "household_id": household,
            "stage": None if stage is None else Stage[stage.upper()].value,
            "states": states,
            "cause": None if cause is None else cause.value,
            "causes": None if seen is None else sorted(item.value for item in seen),
            "only_visit": viewer.role is Role.POLICE_OFFICER,
            "task_role": viewer.role.value if viewer.is_helper else None,
            "user_id": viewer.user_id,
            "limit": limit,
        },
    ).fetchall()
    return [row["id"] for row in rows]


_OPEN_STATES: tuple[StateName, ...] = ("open", "notified", "owned", "working")


def _community_of(viewer: Viewer) -> str | None:
    """The community a list is cut to; nobody but an administrator and a family stands outside of one."""
    if viewer.role is Role.FAMILY or (viewer.role is Role.ADMIN and viewer.community_id is None):
        return None
    return viewer.community_id or ""


def _case_item(case: LoadedCase) -> dict[str, Any]:
    row = case.row
    return {
        "id": case.id,
        "number": row["number"],
        "household": row["household_id"] if case.sight >= Sight.MASKED else None,
        "stage": Stage(min(row["stage"], 3)).api_name if row["stage"] else None,
        "check_step": row["check_step"],
        "state": row["state"],
        "cause": row["cause"],
        "priority": row["priority"],
        "grade": row["grade"] if case.facts.cause is CaseCause.INACTIVITY else None,
        "signal_count": row["signal_count"],
        "opened_at": instant(row["opened_at"]),
        "stage_at": instant(row["stage_at"]),
        "deadline_at": instant(row["deadline_at"]),
        "last_evidence_at": instant(row["evidence_at"]),
        "holder": row["holder_name"],
        "next_action": row["next_action"] or None,
        "next_action_at": instant(row["next_action_at"]),
        "outcome": row["outcome"],
        "closed_at": instant(row["closed_at"]),
    }


def _load_case(connection: Connection, seat: Seat, case_id: int) -> LoadedCase:
    case = case_loader.load_case(connection, seat.reader(connection), case_id)
    if case is None:
        raise RefusedError(404)
    return case


@router.get("/api/cases/{case_id}", **answers(CaseDetail))
def case_detail(seat: Seated, case_id: RowId) -> dict[str, Any]:
    with seat.transaction() as connection:
        case = _load_case(connection, seat, case_id)
        detail = _case_detail(connection, seat, case)
        if case.sight is Sight.NAMED:
            seat.audit(
                connection, "case_read", purpose="api", object_kind="case", object_id=str(case_id),
                household=case.row["household_id"],
            )  # fmt: skip
    return detail


def _case_detail(connection: Connection, seat: Seat, case: LoadedCase) -> dict[str, Any]:
    detail = _case_item(case)
    if case.sight <= Sight.PLACE or seat.viewer.role is Role.FAMILY:
        return detail
    timeline = case_loader.load_timeline(connection, case)
    return {
        **detail,
        "evidence": case.row["evidence"],
        "grounds": case.row["grounds"],
        "beside": [
            {"id": other.id, "number": other.row["number"], "cause": other.row["cause"]}
            for other in case_loader.load_beside(connection, seat.reader(connection), case)
        ],
        "policy_version": case.row["policy"].get("version", 1),
        "held_until": instant(case.row["held_until"]),
        "held_reason": case.row["held_reason"],
        "proposal_at": instant(case.row["proposal_at"]),
        "tasks": [_task_item(task) for task in case.tasks],
        "timeline": [
            {
                "at": instant(entry.at),
                "word": entry.phrase.word,
                "args": {
                    name: instant(value) if isinstance(value, datetime) else value
                    for name, value in entry.phrase.args.items()
                },
                "who": entry.who,
                "note": entry.note,
            }
            for entry in timeline
        ],
        "acts": [act.value for act in Act if act is not Act.REVEAL and may_act(seat.viewer, act, case.facts)],
    }


def _task_item(task: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": task["id"],
        "kind": task["kind"],
        "role": task["role"],
        "state": task["state"],
        "start_at": instant(task["start_at"]),
        "due_at": instant(task["due_at"]),
        "assignee": task["assignee_name"],
        "begun_at": instant(task["begun_at"]),
        "done_at": instant(task["done_at"]),
        "outcome": task["outcome"],
    }


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NoteBody(_Body):
    note: str = Field(min_length=1, max_length=2_000)


class HoldBody(_Body):
    reason: str = Field(min_length=1, max_length=2_000)
    until: datetime


class HandOverBody(_Body):
    to_role: Role
    note: str = Field(default="", max_length=2_000)


class ConfirmBody(_Body):
    confirmed: bool
    note: str = Field(default="", max_length=2_000)


class OutcomeBody(_Body):
    outcome: Outcome
    contacted: Contacted | None = None
    witness: str | None = Field(default=None, max_length=200)
    note: str = Field(default="", max_length=2_000)
    absence_until: datetime | None = None


def _aware(at: datetime | None) -> datetime | None:
    if at is not None and at.tzinfo is None:
        raise RefusedError(422, "not_a_time")
    return at


def _perform(
    seat: Seat, case_id: int, act: Act, do: Callable[[Connection], Any], kind: str, object_id: int
) -> Response:
    """Do an act in one transaction with its audit entry; answer with the case as it is then."""
    with seat.transaction() as connection:
        case = _load_case(connection, seat, case_id)
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
        body = _case_detail(connection, seat, after) if after else {"id": case_id}
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
    return _on_case(seat, case_id, Act.HOLD, acts.hold, reason=body.reason.strip(), until=_aware(body.until))


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
        note=body.note.strip(), absence_until=_aware(body.absence_until),
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


# --- Households ------------------------------------------------------------------------------------------------


@router.get("/api/households", **answers(HouseholdPage))
def households(
    seat: Seated, limit: Limit = LIMIT_DEFAULT, after: Annotated[str | None, Query(max_length=100)] = None
) -> dict[str, Any]:
    """List the households the viewer may see, by id."""
    _entering(seat, Section.HOUSEHOLDS, Section.FAMILY)
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        rows = connection.execute(
            queries("console")["api_household_ids"],
            {
                "community_id": _community_of(seat.viewer),
                "households": _own_of(seat.viewer),
                "after": after,
                "limit": limit + 1,
            },
        ).fetchall()
        ids = [row["id"] for row in rows]
        found = load_households(connection, reader, ids[:limit])
        items = [_household_item(connection, found[key], reader) for key in ids[:limit] if key in found]
    return {"items": items, "next": ids[limit - 1] if len(ids) > limit else None}


@router.get("/api/households/{household_id}", **answers(HouseholdItem))
def household_detail(seat: Seated, household_id: Annotated[str, Path(max_length=100)]) -> dict[str, Any]:
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        found = load_households(connection, reader, [household_id]).get(household_id)
        if found is None:
            raise RefusedError(404)
        return _household_item(connection, found, reader)


def _own_of(viewer: Viewer) -> list[str] | None:
    """The households a relative's list is cut to; a blocked relative's are in it, as on a quiet day."""
    return sorted(viewer.household_ids | viewer.blocked_ids) if viewer.role is Role.FAMILY else None


def _household_item(connection: Connection, found: LoadedHousehold, reader: Reader) -> dict[str, Any]:
    if found.row["id"] in reader.viewer.blocked_ids:
        found = quiet_day(found, reader)
    row = found.row
    item: dict[str, Any] = {
        "id": row["id"],
        "label": row["label"],
        "building": row["building"],
        "unit": row["unit"],
        "room": row["room"],
        "name": found.name.name or None,
        "watched": found.line is not None,
        "known": None, "not_known_since": None, "inactive_s": None, "stage": None, "check_step": None,
        "last_evidence": None, "last_evidence_kind": None, "absent_until": None, "as_of": None,
        "case": row["case_id"],
    }  # fmt: skip
    consents = _family_consents(connection, row["id"]) if reader.viewer.role is Role.FAMILY else None
    if found.line is None or (consents is not None and "notify_family" not in consents):
        item["watched"] = found.line is not None and consents is None
        return item
    inactive_s = inactive_ms(row, reader.seen_until) // 1000
    evidence_at = row["evidence_at"]
    if consents is not None and "exact_times" not in consents:
        inactive_s = inactive_s // int(COARSE.total_seconds()) * int(COARSE.total_seconds())
        evidence_at = _coarse(evidence_at, reader.zone)
    item.update(
        known=row["known"],
        not_known_since=instant(row["not_known_since"]),
        inactive_s=inactive_s,
        stage=Stage(min(row["stage"], 3)).api_name,
        check_step=row["check_step"],
        last_evidence=instant(evidence_at),
        last_evidence_kind=evidence_kind(row["evidence"]).value,
        # That a home stands empty is told to nobody by the way; her own family declared it.
        absent_until=instant(row["absent_until"]) if reader.viewer.role is Role.FAMILY else None,
        as_of=instant(reader.seen_until),
    )
    return item


def _family_consents(connection: Connection, household_id: str) -> set[str]:
    rows = connection.execute(queries("console")["consents"], {"household_id": household_id}).fetchall()
    return {row["purpose"] for row in rows if row["withdrawn_at"] is None}


def _coarse(at: datetime, zone: str) -> datetime:
    local = at.astimezone(ZoneInfo(zone))
    hours = int(COARSE.total_seconds()) // 3600
    return local.replace(hour=local.hour // hours * hours, minute=0, second=0, microsecond=0)


# --- Quarantine, sessions --------------------------------------------------------------------------------------


@router.get("/api/quarantine", **answers(QuarantinePage))
def quarantine(
    seat: Seated, limit: Limit = LIMIT_DEFAULT, after: After = None, waiting: bool | None = None
) -> dict[str, Any]:
    """List messages that could not be stored, newest first."""
    _entering(seat, Section.QUARANTINE)
    with seat.transaction() as connection:
        rows = load_rows(connection, seat.viewer.community_id, before=after, waiting=waiting, limit=limit + 1)
    items = [
        {
            "id": row["id"],
            "received_at": instant(row["received_at"]),
            "topic": row["topic"],
            "device": row["device_id"],
            "reason": row["reason"],
            "detail": row["detail"],
            "payload_bytes": row["payload_bytes"],
            "sample": printable(bytes(row["sample"] or b"")),
            "copies": row["copies"],
            "replayed_at": instant(row["replayed_at"]),
        }
        for row in rows[:limit]
    ]
    return {"items": items, "next": rows[limit - 1]["id"] if len(rows) > limit else None}


@router.get("/api/sessions", **answers(SessionList))
def sessions(seat: SignedIn) -> dict[str, Any]:
    """List the viewer's own sessions."""
    assert seat.session is not None
    with seat.transaction() as connection:
        lines = identity.list_sessions(connection, seat.session, now=seat.services.wall_now())
    return {
        "items": [
            {
                "id": line.id,
                "created_at": instant(line.created_at),
                "seen_at": instant(line.seen_at),
                "agent": line.agent,
                "current": line.current,
            }
            for line in lines
        ]
    }


@router.delete("/api/sessions/{line_id}", status_code=204)
def end_session(seat: Writing, line_id: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]) -> Response:
    """End one of the viewer's own sessions."""
    with seat.transaction() as connection:
        if not identity.revoke_session(connection, seat.viewer, line_id):
            raise RefusedError(404)
    return Response(status_code=204)


# --- The stream ------------------------------------------------------------------------------------------------


def filter_for(viewer: Viewer) -> Filter:
    """Say what a viewer is told of a change: ids within the scope, that something changed, or nothing."""

    def tell(change: Change) -> dict[str, Any] | None:
        if change.object_id is None:
            return {}
        if viewer.role in (Role.FAMILY, Role.RESIDENT):
            mine = change.household_id is not None and change.household_id in viewer.household_ids
            return _named(change) if mine else None
        if viewer.role is Role.ADMIN:
            return _named(change) if change.technical else {}
        if viewer.role is Role.PROPERTY_DIRECTOR:
            return {} if change.community_id in viewer.community_ids else None
        if viewer.community_id is None or viewer.community_id != change.community_id:
            return None
        if viewer.role is Role.PROPERTY_CLERK:
            return _named(change)
        if viewer.role is Role.POLICE_OFFICER and change.named_for_police:
            return _named(change)
        return {}

    return tell


def _named(change: Change) -> dict[str, Any]:
    name = "case" if change.kind == "cases" else "household"
    return {name: int(change.object_id or 0) if name == "case" else change.object_id}


@router.get("/stream")
@router.get("/api/stream", responses={200: {"content": {"text/event-stream": {}}}}, response_class=Response)
async def stream(
    request: Request,
    authorization: Annotated[str | None, Header()] = None,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Response:
    """Follow changes as server-sent events; ``refetch`` says that some were missed."""
    seat = await asyncio.to_thread(seated, request, authorization)
    services = seat.services

    async def stands() -> bool:
        return await asyncio.to_thread(_still_stands, services, seat, authorization)

    source = services.hub.follow(filter_for(seat.viewer), last_id=last_event_id, stands=stands)
    try:
        first = await anext(source)
    except TooManyClientsError:
        return error_response(429)

    async def body() -> AsyncIterator[bytes]:
        try:
            yield first
            async for part in source:
                yield part
        finally:
            await source.aclose()

    return StreamingResponse(
        body(),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _still_stands(services: Services, seat: Seat, authorization: str | None) -> bool:
    """Say whether the session or the token a stream came through was not ended meanwhile."""
    with services.transaction() as connection:
        if seat.session is None:
            token = (authorization or "").partition(" ")[2].strip()
            return tokens.find_token(connection, token, now=services.wall_now()) is not None
        return identity.session_stands(connection, seat.session.token_hash, now=services.wall_now())


__all__ = ["error_response", "filter_for", "router"]
