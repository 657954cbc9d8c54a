"""A visit on a phone: the form of four parts, the door nobody opens, several doors' results, and acts sent late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Form, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from alerts import acts
from console import late, visiting
from console.duty.line import load_duty_line
from console.identity import sessions as identity
from console.loaders import cases as loader
from console.loaders.cases import LoadedCase
from console.loaders.households import Row
from console.loaders.tasks import load_tasks, task_view
from console.metrics import ACTS
from console.pages import tasks
from console.pages.case import notice_of, refusal_word
from console.pages.recording import NotTakenError, audit_task, doing_of, record
from console.pages.sessions import session_here
from console.scope import Act, Section, Sight
from console.seat import (
    CheckedForm,
    RefusedError,
    Seat,
    check_origin,
    entering,
    session_cookie,
)
from console.services import services_of
from console.views import case as case_views
from console.views import parts as view_parts
from console.views import visits as visits_views
from console.visiting import PARTS, Doing, Step, VisitForm, VisitRefusedError
from console.words import load_words
from kaimen.database import Connection
from kaimen.vocabulary import TaskKind

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.TASKS, Section.POLICE))]
TaskId = tasks.TaskId
RESULTS_MAX = 40
Word = Annotated[str, Form(max_length=40)]
Note = Annotated[str, Form(max_length=2_000)]
Person = Annotated[str, Form(max_length=200)]
Doer = Callable[[Connection, Row, LoadedCase, Doing], str | None]


def _open(connection: Connection, seat: Seat, task_id: int) -> tuple[Row, LoadedCase, case_views.TaskView]:
    task, case = tasks.load(connection, seat, task_id)
    return task, case, task_view(task, case, seat.reader(connection))


def _name(seat: Seat, task: Row, case: LoadedCase) -> view_parts.HouseholdName:
    if case.household is None:
        return view_parts.HouseholdName(id="", label=case.row["number"])
    name = case.household.name
    near = tasks.is_near(seat, task, case)
    return replace(name, name=case.household.row["name"] or "") if near else name


# --- The form of four parts --------------------------------------------------------------------------------------


@router.get("/tasks/{task_id}/visit")
def visit(seat: Guard, task_id: TaskId) -> Response:
    with seat.transaction() as connection:
        task, case, view = _open(connection, seat, task_id)
        return _show_form(connection, seat, task, case, view, view_parts.Form())


def _show_form(
    connection: Connection, seat: Seat, task: Row, case: LoadedCase, view: case_views.TaskView,
    form: view_parts.Form, *, status: int = 200,
) -> Response:  # fmt: skip
    may = loader.may_record(seat.viewer, task, case) and view.done_at is None
    page = visits_views.VisitPage(
        view, _name(seat, task, case), form if may else None,
        tuple(row["at"] for row in visiting.load_forms(connection, task["id"])), f"/tasks/{task['id']}",
        tasks.address_words(connection, seat.reader(connection), _name(seat, task, case)),
        load_duty_line(connection, community_id=case.row["community_id"]),
    )  # fmt: skip
    return seat.answer(
        connection, "visit.html", page, section=Section.TASKS, status=status, live=False,
        path=f"/tasks/{task['id']}/visit",
    )  # fmt: skip


@router.post("/tasks/{task_id}/visit", dependencies=[CheckedForm])
def record_visit(
    seat: Guard, task_id: TaskId, place: Word = "", second_person: Person = "",
    health: Word = "", economy: Word = "", safety: Word = "", need: Word = "",
    health_note: Note = "", economy_note: Note = "", safety_note: Note = "", need_note: Note = "",
) -> Response:  # fmt: skip
    values = {
        "place": place, "second_person": second_person, "health": health, "economy": economy, "safety": safety,
        "need": need, "health_note": health_note, "economy_note": economy_note, "safety_note": safety_note,
        "need_note": need_note,
    }  # fmt: skip
    form = form_of(values)
    errors = visiting.check_form(form)
    with seat.transaction() as connection:
        ended = late.find_ended(connection, seat.viewer, task_id)
        if ended is not None and not errors:
            helped = _late_form(
                connection,
                seat,
                form,
                ended,
                Doing(ended.id, ended.case_id, ended.household_id, seat.viewer.user_id, seat.now, seat.now),
            )
            return seat.go("/tasks", "notice.visit_form_urgent" if helped else "notice.said_late")
        task, case, view = _open(connection, seat, task_id)
        if errors:
            return _show_form(connection, seat, task, case, view, view_parts.Form(values, errors), status=422)
        doing = doing_of(seat, task, case)
        helped = visiting.record_form(connection, form, doing)
        audit_task(connection, seat, "visit_form", task, doing)
    ACTS.labels(act="visit_form", result="done").inc()
    return seat.go(f"/tasks/{task_id}", "notice.visit_form_urgent" if helped else "notice.visit_form")


def _late_form(
    connection: Connection, seat: Seat, form: VisitForm, ended: late.EndedTask, doing: Doing
) -> bool:
    """Write a form of a visit that was passed on meanwhile: what is urgent calls for help whatever became of it."""
    helped = visiting.record_form(connection, form, doing)
    tasks.audit_late(connection, seat, ended)
    ACTS.labels(act="visit_form", result="late").inc()
    return helped


def form_of(values: dict[str, str]) -> VisitForm:
    """Return the form of what was typed."""
    return VisitForm(
        values.get("place", ""), {part: values.get(part, "") for part in PARTS},
        {part: values.get(f"{part}_note", "") for part in PARTS}, values.get("second_person", ""),
    )  # fmt: skip


# --- A door nobody opens -----------------------------------------------------------------------------------------


@router.get("/tasks/{task_id}/entry")
def entry(seat: Guard, task_id: TaskId) -> Response:
    with seat.transaction() as connection:
        task, case, view = _open(connection, seat, task_id)
        return _show_entry(connection, seat, task, case, view, view_parts.Form())


def _show_entry(
    connection: Connection, seat: Seat, task: Row, case: LoadedCase, view: case_views.TaskView,
    form: view_parts.Form, *, status: int = 200,
) -> Response:  # fmt: skip
    may = loader.may_record(seat.viewer, task, case) and view.done_at is None
    near = tasks.is_near(seat, task, case)
    rows = visiting.load_steps(connection, task["id"])
    names = [row["step"] for row in rows]
    key_steps = (Step.KEY_HANDED_OUT.value, Step.KEY_RETURNED.value)
    following = next((step.value for step in Step if step.value not in names), Step.KEY_RETURNED.value)
    page = visits_views.EntryPage(
        view,
        _name(seat, task, case),
        form if may else None,
        following,
        tuple(step.value for step in Step),
        tuple(
            visits_views.StepDone(
                row["step"], row["at"], row["by"],
                # Where a key is, the visitor alone reads, and while she visits.
                row["who"] if near or row["step"] not in key_steps else "", row["note"],
            )
            for row in rows
            if case.sight >= Sight.MASKED
        ),
        visiting.is_key_out(names),
        tasks.address_words(connection, seat.reader(connection), _name(seat, task, case)),
        tasks.contacts_of(connection, seat.reader(connection), case, near=near, with_elder=False),
        f"/tasks/{task['id']}",
        frozenset(step.value for step in visiting.NEEDS_WHO),
        load_duty_line(connection, community_id=case.row["community_id"]),
    )  # fmt: skip
    return seat.answer(
        connection, "entry.html", page, section=Section.TASKS, status=status, live=False,
        path=f"/tasks/{task['id']}/entry",
    )  # fmt: skip


@router.post("/tasks/{task_id}/entry", dependencies=[CheckedForm])
def record_entry(
    seat: Guard, task_id: TaskId, step: Word = "", who: Person = "", note: Note = ""
) -> Response:
    values = {"step": step, "who": who, "note": note}
    with seat.transaction() as connection:
        task, case, view = _open(connection, seat, task_id)
        doing = doing_of(seat, task, case)
        try:
            visiting.record_step(connection, step, who, note, doing)
        except VisitRefusedError as error:
            where = "who" if error.refusal is visiting.VisitRefusal.WHO_IS_MISSING else ""
            form = view_parts.Form(values, {where: error.refusal.value})
            return _show_entry(connection, seat, task, case, view, form, status=409)
        audit_task(connection, seat, "entry_step", task, doing)
    ACTS.labels(act="entry_step", result="done").inc()
    return seat.go(f"/tasks/{task_id}/entry", "notice.entry_step")


# --- Several doors on one page, each its own act -----------------------------------------------------------------


@router.get("/visits/results")
def results(seat: Annotated[Seat, Depends(entering(Section.TASKS))]) -> Response:
    with seat.transaction() as connection:
        return _show_results(connection, seat, {})


def _show_results(
    connection: Connection, seat: Seat, forms: dict[int, view_parts.Form], *, status: int = 200
) -> Response:
    kinds = (TaskKind.VISIT, TaskKind.CALL)
    found = [
        view
        for view in load_tasks(connection, seat.reader(connection), done=False, kinds=kinds).views
        if view.form is not None and view.household is not None
    ]
    page = visits_views.ResultsPage(
        tuple(
            visits_views.DoorResult(view, forms.get(view.id, view_parts.Form()))
            for view in found[:RESULTS_MAX]
        ),
        max(0, len(found) - RESULTS_MAX),
    )
    return seat.answer(
        connection, "visit_results.html", page, section=Section.TASKS, status=status, live=False,
        path="/visits/results",
    )  # fmt: skip


@router.post("/visits/results/{task_id}", dependencies=[CheckedForm])
def record_result(
    seat: Guard, task_id: TaskId, outcome: Word = "", contacted: Word = "", witness: Person = "", note: Note = "",
    absence_until: Word = "",
) -> Response:  # fmt: skip
    """One door's result; there is no act for several people at once."""
    values = {
        "outcome": outcome, "contacted": contacted, "witness": witness, "note": note,
        "absence_until": absence_until,
    }  # fmt: skip
    with seat.transaction() as connection:
        if tasks.is_said_again(connection, seat, task_id, outcome):
            return seat.go("/visits/results", "notice.outcome")
        if tasks.keep_late(connection, seat, task_id, values):
            return seat.go("/visits/results", "notice.said_late")
        task, case, _view = _open(connection, seat, task_id)
        doing = doing_of(seat, task, case)
        try:
            with connection.transaction():
                decision = record(connection, seat, task, values, doing)
                audit_task(connection, seat, Act.OUTCOME.value, task, doing)
        except NotTakenError as error:
            form = view_parts.Form(values, error.errors)
            return _show_results(connection, seat, {task_id: form}, status=error.status)
    ACTS.labels(act=Act.OUTCOME.value, result="done").inc()
    return seat.go("/visits/results", notice_of(decision))


# --- Acts a phone kept while it had no signal --------------------------------------------------------------------


class SentAct(BaseModel):
    """One act as the phone sends it; both instants are the phone's, in milliseconds, and only their distance counts."""

    key: UUID
    task_id: int = Field(ge=1, le=2**63 - 1)
    kind: str = Field(
        pattern="^(begin|outcome|form|step)$"
    )  # a photo comes as a form: console/pages/visit_photos.py
    fields: dict[str, Annotated[str, Field(max_length=2_000)]] = Field(default_factory=dict, max_length=20)
    done_ms: int = Field(ge=0, le=2**53)
    sent_ms: int = Field(ge=0, le=2**53)


@router.get("/field/session")
def field_session(request: Request, seat: Guard) -> Response:
    """Who is signed in on this phone, and the token her acts are sent with."""
    return session_here(request, seat)


@router.post("/field/acts")
def field_act(request: Request, seat: Guard, act: Annotated[SentAct, Body()]) -> Response:
    """Do one act once, dated by its own time; the answer says so in words a person reads."""
    check_phone(request)
    doers: dict[str, Doer] = {
        "begin": lambda connection, task, _case, doing: notice_of(
            acts.begin_visit(connection, task_id=task["id"], user_id=doing.user_id, now=doing.at)
        ),
        "outcome": lambda connection, task, _case, doing: notice_of(
            record(connection, seat, task, dict(act.fields), doing)
        ),
        "form": lambda connection, _task, _case, doing: _form_done(connection, act, doing),
        "step": lambda connection, _task, _case, doing: _step_done(connection, act, doing),
    }
    return do_sent(seat, act, doers[act.kind])


def check_phone(request: Request) -> None:
    """Refuse what no page of ours sent in this person's name."""
    services = services_of(request)
    check_origin(request, services)
    token = request.cookies.get(session_cookie(services), "")
    if not identity.same_token(request.headers.get("x-kaimen-csrf", ""), identity.csrf_of(token)):
        raise RefusedError(403, "stale_form")


def do_sent(seat: Seat, act: SentAct, doer: Doer) -> Response:
    """Do what a phone sent, or say in words why not; ``doer`` does it and returns what is to be told."""
    with seat.transaction() as connection:
        # A phone that lost the answer sends again, and its task is done by then.
        done = visiting.find_act(connection, str(act.key), seat.viewer.user_id, act.task_id, act.kind)
        if done is not None:
            ACTS.labels(act=f"field_{act.kind}", result="repeated").inc()
            return _taken(seat, act, done, "repeated", None)
        ended = late.find_ended(connection, seat.viewer, act.task_id) if act.kind in _KEPT_LATE else None
        task, case = ({}, None) if ended is not None else tasks.load(connection, seat, act.task_id)
        try:
            at = visiting.done_at(
                done_ms=act.done_ms, sent_ms=act.sent_ms, now=seat.now,
                task_created_at=task["created_at"] if ended is None else ended.created_at,
                clock=seat.services.clock,
            )  # fmt: skip
            with connection.transaction():
                if ended is not None:
                    return _do_late(connection, seat, act, ended, at)
                assert case is not None
                return _do_once(connection, seat, act, task, case, at, doer)
        except VisitRefusedError as error:
            return _not_taken(seat, {"": error.refusal.value}, 409)
        except NotTakenError as error:
            return _not_taken(seat, error.errors, error.status)
        except acts.ActRefused as error:
            return _not_taken(seat, {"": refusal_word(error)}, 409)
        except LookupError:
            return _not_taken(seat, {"": "not_valid"}, 409)


def _do_once(
    connection: Connection, seat: Seat, act: SentAct, task: Row, case: LoadedCase, at: datetime, doer: Doer
) -> Response:
    household = task["household_id"] or case.row["household_id"]
    doing = Doing(task["id"], case.id, household, seat.viewer.user_id, at, seat.now, str(act.key))
    earlier = visiting.claim_key(connection, doing, act.kind)
    if earlier is not None:
        ACTS.labels(act=f"field_{act.kind}", result="repeated").inc()
        return _taken(seat, act, earlier, "repeated", None)
    # Asked only now: an act that is there already is no longer asked whether it may be.
    doing_of(seat, task, case)
    notice = doer(connection, task, case, doing)
    action = {
        "begin": Act.BEGIN_VISIT.value,
        "outcome": Act.OUTCOME.value,
        "form": "visit_form",
        "step": "entry_step",
        "photo": "visit_photo_taken",
    }
    audit_task(connection, seat, action[act.kind], task, doing)
    ACTS.labels(act=f"field_{act.kind}", result="done").inc()
    return _taken(seat, act, at, "done", notice)


#: What tells how she is; a step or an arrival at a visit that somebody else has now is none.
_KEPT_LATE = frozenset({"outcome", "form"})


def _do_late(
    connection: Connection, seat: Seat, act: SentAct, ended: late.EndedTask, at: datetime
) -> Response:
    """Keep what a phone sends of a visit that ended meanwhile."""
    doing = Doing(
        ended.id, ended.case_id, ended.household_id, seat.viewer.user_id, at, seat.now, str(act.key)
    )
    visiting.claim_key(connection, doing, act.kind)
    notice = "notice.said_late"
    if act.kind == "form":
        form = form_of(dict(act.fields))
        if errors := visiting.check_form(form):
            raise NotTakenError(errors, 422)
        if _late_form(connection, seat, form, ended, doing):
            notice = "notice.visit_form_urgent"
    elif late.keep_words(connection, ended, act.fields, user_id=doing.user_id, at=at):
        tasks.audit_late(connection, seat, ended)
        ACTS.labels(act="field_outcome", result="late").inc()
    else:
        raise NotTakenError({"outcome": "not_an_outcome"}, 422)
    return _taken(seat, act, at, "done", notice, url="/tasks")


def _form_done(connection: Connection, act: SentAct, doing: Doing) -> str:
    form = form_of(dict(act.fields))
    errors = visiting.check_form(form)
    if errors:
        raise NotTakenError(errors, 422)
    helped = visiting.record_form(connection, form, doing)
    return "notice.visit_form_urgent" if helped else "notice.visit_form"


def _step_done(connection: Connection, act: SentAct, doing: Doing) -> str:
    given = act.fields
    visiting.record_step(
        connection, given.get("step", ""), given.get("who", ""), given.get("note", ""), doing
    )
    return "notice.entry_step"


_AFTER = {
    "begin": "/tasks/{id}", "outcome": "/tasks", "form": "/tasks/{id}", "step": "/tasks/{id}/entry",
    "photo": "/tasks/{id}/photos",
}  # fmt: skip


def _taken(
    seat: Seat, act: SentAct, at: datetime, result: str, notice: str | None, *, url: str = ""
) -> Response:
    answer: dict[str, Any] = {
        "result": result, "at": at.isoformat(), "url": url or _AFTER[act.kind].format(id=act.task_id),
    }  # fmt: skip
    response = JSONResponse(answer)
    carried = seat.go(answer["url"], notice)
    for name, value in carried.raw_headers:
        if name == b"set-cookie":
            response.raw_headers.append((name, value))
    return response


def _not_taken(seat: Seat, errors: dict[str, str], status: int) -> Response:
    ACTS.labels(act="field", result="refused").inc()
    words = load_words(seat.language, "Asia/Shanghai", seat.now)
    text = " ".join(words.named("error", word) for word in dict.fromkeys(errors.values()))
    return JSONResponse({"result": "refused", "errors": errors, "words": text}, status)
