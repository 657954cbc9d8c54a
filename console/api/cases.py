"""Cases for programs: filters or an id enter; a page of cases, or one as far as the viewer sees it, leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from console.api.answering import instant
from console.api.asking import (
    LIMIT_DEFAULT,
    After,
    Limit,
    RowId,
    Seated,
)
from console.api.lists import LISTED_IS_SEEN, Asked, Door, enter_list, list_question
from console.api.models import (
    CaseDetail,
    CasePage,
    answers,
)
from console.identity.sessions import same_until
from console.loaders import cases as case_loader
from console.loaders.cases import LoadedCase
from console.loaders.timeline import load_timeline
from console.scope import Act, Sight, Viewer, may_act
from console.seat import STATEMENT_TIMEOUT_MS, RefusedError, Seat, SignInNeededError
from kaimen.database import Connection, queries
from kaimen.vocabulary import CaseCause, Role, Stage

router = APIRouter()

StageName = Literal["warning", "call", "visit"]
StateName = Literal["open", "notified", "owned", "working", "closed"]


_LISTED = answers(CasePage)
_LISTED["responses"][304] = {"description": "nothing changed since the ETag that If-None-Match names"}


@router.get("/api/cases", **_LISTED)
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
    asked = Asked(limit, after, stage, None if state is None else tuple(sorted(state)), household, cause)
    viewer, headers = seat.viewer, seat.request.headers
    if viewer.role not in LISTED_IS_SEEN:
        # What a helper is shown of a task hangs on its start, what police are shown on consents: asked anew each time.
        return Response(_page_one_by_one(seat, asked), media_type="application/json")
    door, lists = Door(viewer, asked), seat.services.lists
    wall, timeout = seat.services.wall_now(), str(STATEMENT_TIMEOUT_MS)
    with seat.transaction() as connection:
        row = enter_list(connection, viewer, asked, token_hash=seat.token_hash, wall=wall, timeout=timeout)
        if not row["open"]:
            raise SignInNeededError
        page = lists.page(connection, door, row["stamps"])
        until = same_until(row, viewer, seat.services.factor_rule, now=wall)
        if until is not None:
            question = list_question(connection, viewer, asked, token_hash=seat.token_hash, timeout=timeout)
            door = replace(door, seat=row["seat"].encode(), same_until=until, question=question)
    if seat.session is not None:
        lists.keep_door(seat.token_hash, seat.request.scope["query_string"], door)
    return page.answer(headers.get("if-none-match"), headers.get("accept-encoding"))


def _page_one_by_one(seat: Seat, asked: Asked) -> bytes:
    with seat.transaction() as connection:
        ids = _load_ids(connection, seat.viewer, asked)
        found = case_loader.load_cases(connection, seat.reader(connection), ids[: asked.limit])
    page = {
        "items": [_item_of(case) for case in found],
        "next": ids[asked.limit - 1] if len(ids) > asked.limit else None,
    }
    return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()


def _load_ids(connection: Connection, viewer: Viewer, asked: Asked) -> list[int]:
    values = asked.filters(viewer)
    if viewer.role is Role.POLICE_OFFICER:
        values["states"] = [item for item in asked.states or _OPEN_STATES if item != "closed"]
    rows = connection.execute(
        queries("console")["api_case_ids"],
        {
            **values,
            "households": None,
            "causes": None,
            "only_visit": viewer.role is Role.POLICE_OFFICER,
            "task_role": viewer.role.value if viewer.is_helper else None,
            "user_id": viewer.user_id,
        },
    ).fetchall()
    return [row["id"] for row in rows]


_OPEN_STATES: tuple[StateName, ...] = ("open", "notified", "owned", "working")


def _item_of(case: LoadedCase) -> dict[str, Any]:
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
        "holder_id": row["holder_id"],
        "next_action": row["next_action"] or None,
        "next_action_at": instant(row["next_action_at"]),
        "outcome": row["outcome"],
        "closed_at": instant(row["closed_at"]),
    }


def case_of(connection: Connection, seat: Seat, case_id: int) -> LoadedCase:
    case = case_loader.load_case(connection, seat.reader(connection), case_id)
    if case is None:
        raise RefusedError(404)
    return case


@router.get("/api/cases/{case_id}", **answers(CaseDetail))
def case_detail(seat: Seated, case_id: RowId) -> dict[str, Any]:
    with seat.transaction() as connection:
        case = case_of(connection, seat, case_id)
        detail = detail_of(connection, seat, case)
        if case.sight is Sight.NAMED:
            seat.audit(
                connection, "case_read", purpose="api", object_kind="case", object_id=str(case_id),
                household=case.row["household_id"],
            )  # fmt: skip
    return detail


def detail_of(connection: Connection, seat: Seat, case: LoadedCase) -> dict[str, Any]:
    detail = _item_of(case)
    if case.sight <= Sight.PLACE or seat.viewer.role is Role.FAMILY:
        return detail
    timeline = load_timeline(connection, case)
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
