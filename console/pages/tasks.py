"""Visits and calls: the list of what is asked of the reader, and one task on a phone in a stairwell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path
from starlette.responses import Response

from alerts import acts
from console import late
from console.duty.line import load_duty_line
from console.loaders import Reader
from console.loaders import cases as loader
from console.loaders.case_rows import RUNG_OR_SEEN, load_technical
from console.loaders.cases import LoadedCase
from console.loaders.contacts import contact_of, hides_place
from console.loaders.households import Row
from console.loaders.tasks import load_tasks, load_word, task_view
from console.metrics import ACTS
from console.pages.absences import ABSENCE_MAX
from console.pages.case import notice_of, refusal_word
from console.scope import Act, Section, Sight, show_name
from console.seat import CheckedForm, RefusedError, Seat, entering, not_here, parse_local_time
from console.views import case as case_views
from console.views import parts as view_parts
from console.views import tasks as tasks_views
from kaimen.database import Connection, queries
from kaimen.vocabulary import Contacted, Outcome, TaskKind, TaskState

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.TASKS, Section.DEVICES, Section.POLICE))]
TaskId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/tasks")
def tasks(seat: Annotated[Seat, Depends(entering(Section.TASKS))], fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        tasks_open = load_tasks(connection, reader, done=False)
        page = tasks_views.TasksPage(
            tasks_open.views,
            load_tasks(connection, reader, done=True).views,
            _stands_in(connection, seat),
            tasks_open.more,
        )
        return seat.answer(connection, "tasks.html", page, section=Section.TASKS, fragment=fragment)


def _stands_in(connection: Connection, seat: Seat) -> tuple[tasks_views.StandsIn, ...]:
    asked = {"user_id": seat.viewer.user_id, "now": seat.now}
    rows = connection.execute(queries("console")["stands_in_for"], asked).fetchall()
    return tuple(tasks_views.StandsIn(row["display_name"], row["to_at"]) for row in rows)


@router.get("/tasks/{task_id}")
def task_page(seat: Guard, task_id: TaskId, fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        if gone := _gone(connection, seat, task_id):
            return gone
        task, case = load(connection, seat, task_id)
        if fragment is None and case.row["household_id"] is not None and is_near(seat, task, case):
            seat.audit(
                connection, "task_read", purpose=task["kind"], object_kind="task", object_id=str(task_id),
                household=case.row["household_id"], case=case.id,
            )  # fmt: skip
        return _answer(connection, seat, task, case, fragment=fragment)


def _gone(connection: Connection, seat: Seat, task_id: int) -> Response | None:
    """Lead a helper on whose task is done, or somebody else's now: she had it, or did it, and is told so."""
    if not seat.viewer.is_helper:
        return None
    if late.find_ended(connection, seat.viewer, task_id) is not None:
        return seat.go("/tasks", "notice.task_gone")
    if late.is_answered_by(connection, task_id, seat.viewer.user_id):
        return seat.go("/tasks", "notice.task_told")
    return None


def load(connection: Connection, seat: Seat, task_id: int) -> tuple[Row, LoadedCase]:
    found = loader.load_task_case(connection, seat.reader(connection), task_id)
    if found is None:
        raise not_here()
    return found


def is_near(seat: Seat, task: Row, case: LoadedCase) -> bool:
    """Say whether this person needs the full name and the telephone: she has the task, or the case."""
    mine = seat.viewer.user_id in (task["assignee_id"], case.row["holder_id"])
    is_open = task["state"] in (TaskState.OPEN, TaskState.CLAIMED)
    return is_open and mine and case.sight >= Sight.MASKED


def _answer(
    connection: Connection,
    seat: Seat,
    task: Row,
    case: LoadedCase,
    *,
    fragment: str | None = None,
    form: view_parts.Form | None = None,
    status: int = 200,
) -> Response:
    reader = seat.reader(connection)
    view = task_view(task, case, reader, technical=load_technical(connection, reader, [case]).get(case.id))
    if form is not None and view.form is not None:
        view = replace(view, form=form)
    near = is_near(seat, task, case)
    page = _field_page(connection, reader, view, case, near=near)
    if form is not None and view.form is None:
        page = replace(page, refused=form)
    return seat.answer(
        connection, "field.html", page, section=Section.TASKS, fragment=fragment, status=status,
        path=f"/tasks/{view.id}",
    )  # fmt: skip


def _field_page(
    connection: Connection, reader: Reader, view: case_views.TaskView, case: LoadedCase, *, near: bool
) -> tasks_views.FieldPage:
    household = case.household
    name = household.name if household else view_parts.HouseholdName(id="", label=case.row["number"])
    full = (household.row["name"] or "") if household else ""
    if near:
        name = replace(name, name=full)
    # One that was begun by somebody whose hold has run out is nobody's: whoever comes next begins anew.
    to_begin = view.begun_at is None or view.assignee is None
    may_begin = view.kind is TaskKind.VISIT and to_begin and view.form is not None
    # Who has not taken it reads neither the door nor the number: without this she could only say she failed.
    may_take = view.kind in _TAKEN and not near and view.form is not None and view.held is None
    by_phone = view.kind in _BY_PHONE or case.facts.cause in RUNG_OR_SEEN
    return tasks_views.FieldPage(
        task=view,
        household=name,
        call_name=full
        if near
        else show_name(full, case.sight)
        if full and case.sight >= Sight.MASKED
        else "",
        line=household.line if household else None,
        address_words=address_words(connection, reader, name),
        hard_of_hearing=bool(household and household.row["hard_of_hearing"] and case.sight >= Sight.MASKED),
        begin_url=f"/tasks/{view.id}/begin" if may_begin else None,
        take_url=f"/tasks/{view.id}/take" if may_take else None,
        contacts=contacts_of(connection, reader, case, near=near, with_elder=by_phone),
        by_phone=by_phone,
        duty_line=load_duty_line(connection, community_id=case.row["community_id"]),
        word=load_word(connection, reader, case),
        back_url="/tasks",
    )


def address_words(connection: Connection, reader: Reader, name: view_parts.HouseholdName) -> str:
    """What is said to 120: community, building, unit, door."""
    community = connection.execute(
        queries("console")["community"], {"id": reader.viewer.community_id}
    ).fetchone()
    place = f"{name.building} 栋 {name.unit} 单元 {name.room}" if name.building and name.unit else name.label
    return f"{community['name'] if community else ''} {place}".strip()


def contacts_of(
    connection: Connection, reader: Reader, case: LoadedCase, *, near: bool, with_elder: bool
) -> tuple[view_parts.Contact, ...]:
    """Whom to ring: on a call task she herself first, then the others in order."""
    if case.row["household_id"] is None or case.sight < Sight.MASKED or hides_place(case):
        return ()
    sql = queries("console")
    values = {"ids": [case.row["household_id"]], "now": reader.now}
    rows = connection.execute(sql["contacts"], values).fetchall()
    others = tuple(contact_of(row, named=near, with_phone=near) for row in rows)
    elder = case.household.row if case.household else None
    if not with_elder or elder is None or not elder["name"]:
        return others
    asked = {"person_id": elder["person_id"], "now": reader.now}
    herself = view_parts.Contact(
        name=elder["name"] if near else show_name(elder["name"], case.sight), role="resident",
        phone=elder["phone"] if near else None,
        phone_changed=near and connection.execute(sql["number_changed"], asked).fetchone() is not None,
    )  # fmt: skip
    return (herself, *others)


def _perform(
    seat: Seat,
    task_id: int,
    act: Act,
    do: Callable[[Connection, LoadedCase], Any],
    values: dict[str, str] | None = None,
) -> Response:
    with seat.transaction() as connection:
        if gone := _gone(connection, seat, task_id):
            return gone
        task, case = load(connection, seat, task_id)
        if not loader.may_record(seat.viewer, task, case):
            raise RefusedError(403)
        try:
            with connection.transaction():
                decision = do(connection, case)
                seat.audit(
                    connection, act.value, purpose=task["kind"], object_kind="task", object_id=str(task_id),
                    household=case.row["household_id"], case=case.id, **_audited(values),
                )  # fmt: skip
        except acts.ActRefused as error:
            if act is Act.OUTCOME and is_said_again(connection, seat, task_id, (values or {})["outcome"]):
                return _said_again(seat)
            ACTS.labels(act=act.value, result="refused").inc()
            word = refusal_word(error)
            task, case = load(connection, seat, task_id)
            form = view_parts.Form(values or {}, {FIELD_OF_REFUSAL.get(word, ""): word})
            return _answer(connection, seat, task, case, form=form, status=409)
    ACTS.labels(act=act.value, result="done").inc()
    return seat.go("/tasks" if act is Act.OUTCOME else f"/tasks/{task_id}", notice_of(decision))


_TAKEN = frozenset({TaskKind.CALL, TaskKind.RESPOND, TaskKind.LOOK_INTO, TaskKind.REVIEW})
_BY_PHONE = (TaskKind.CALL, TaskKind.REVIEW)
FIELD_OF_REFUSAL = {
    "how_is_missing": "contacted",
    "number_is_new": "contacted",
    "witness_is_missing": "witness",
    "absence_needs_end": "absence_until",
    "absence_too_long": "absence_until",
    "not_an_outcome": "outcome",
    "note_is_empty": "note",
    "note_too_long": "note",
    "held_by_another": "instead_of",
}


def _audited(values: dict[str, str] | None) -> dict[str, str]:
    told = ("outcome", "contacted", "instead_of")
    return {key: value for key, value in (values or {}).items() if key in told and (value or key != told[2])}


@router.post("/tasks/{task_id}/begin", dependencies=[CheckedForm])
def begin(seat: Guard, task_id: TaskId) -> Response:
    return _perform(
        seat, task_id, Act.BEGIN_VISIT,
        lambda connection, _case: acts.begin_visit(
            connection, task_id=task_id, user_id=seat.viewer.user_id, now=seat.now
        ),
    )  # fmt: skip


@router.post("/tasks/{task_id}/take", dependencies=[CheckedForm])
def take(seat: Guard, task_id: TaskId) -> Response:
    """Take a task that begins at once, not at a door: with it come the door, the name and the number."""
    return _perform(
        seat, task_id, Act.CLAIM,
        lambda connection, case: acts.claim(
            connection, case_id=case.id, user_id=seat.viewer.user_id, now=seat.now, role=seat.viewer.role
        ),
    )  # fmt: skip


@router.post("/tasks/{task_id}/outcome", dependencies=[CheckedForm])
def outcome(
    seat: Guard,
    task_id: TaskId,
    outcome: Annotated[str, Form(max_length=40)] = "",
    contacted: Annotated[str, Form(max_length=10)] = "",
    witness: Annotated[str, Form(max_length=200)] = "",
    note: Annotated[str, Form(max_length=2_000)] = "",
    absence_until: Annotated[str, Form(max_length=40)] = "",
    instead_of: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    values = {
        "outcome": outcome, "contacted": contacted, "witness": witness, "note": note, "absence_until": absence_until,
        "instead_of": instead_of,
    }  # fmt: skip
    with seat.transaction() as connection:
        if is_said_again(connection, seat, task_id, outcome):
            return _said_again(seat)
        if keep_late(connection, seat, task_id, values):
            return seat.go("/tasks", "notice.said_late")
        task, case = load(connection, seat, task_id)
        zone = seat.reader(connection).zone
        errors, until = check_outcome(values, zone, seat.now)
        if errors:
            return _answer(connection, seat, task, case, form=view_parts.Form(values, errors), status=422)
    return _perform(
        seat, task_id, Act.OUTCOME,
        lambda connection, _case: acts.record_outcome(
            connection,
            task_id=task_id,
            user_id=seat.viewer.user_id,
            outcome=Outcome(outcome),
            contacted=Contacted(contacted) if contacted else None,
            witness=witness.strip() or None,
            note=note.strip(),
            absence_until=until,
            instead_of=number_in(instead_of),
            now=seat.now,
        ),
        values,
    )  # fmt: skip


def keep_late(connection: Connection, seat: Seat, task_id: int, values: dict[str, str]) -> bool:
    """Keep what was found where the task ended meanwhile; say whether it did, and anything was said."""
    ended = late.find_ended(connection, seat.viewer, task_id)
    if ended is None or not late.keep_words(
        connection, ended, values, user_id=seat.viewer.user_id, at=seat.now
    ):
        return False
    audit_late(connection, seat, ended)
    ACTS.labels(act=Act.OUTCOME.value, result="late").inc()
    return True


def audit_late(connection: Connection, seat: Seat, ended: late.EndedTask) -> None:
    """Write down that somebody wrote into the case of a task that had ended."""
    seat.audit(
        connection, Act.OUTCOME.value, purpose=ended.kind, object_kind="task", object_id=str(ended.id),
        household=ended.household_id, case=ended.case_id,
    )  # fmt: skip


def is_said_again(connection: Connection, seat: Seat, task_id: int, outcome: str) -> bool:
    """Say whether this very person has just recorded this outcome: a form sent twice is no mistake of hers."""
    who = {"id": task_id, "user_id": seat.viewer.user_id, "outcome": outcome}
    return connection.execute(queries("console")["task_answered_by"], who).fetchone() is not None


def _said_again(seat: Seat) -> Response:
    ACTS.labels(act=Act.OUTCOME.value, result="repeated").inc()
    return seat.go("/tasks", "notice.outcome")


def number_in(text: str) -> int | None:
    """Return the number of a person as a form carries it; None where there is none."""
    return int(text) if text.isascii() and text.isdecimal() else None


def check_outcome(values: dict[str, str], zone: str, now: datetime) -> tuple[dict[str, str], datetime | None]:
    errors = {}
    if values["outcome"] not in {item.value for item in Outcome}:
        errors["outcome"] = "not_an_outcome"
    if values["contacted"] and values["contacted"] not in {item.value for item in Contacted}:
        errors["contacted"] = "how_is_missing"
    until = parse_local_time(values["absence_until"], zone) if values["absence_until"] else None
    if values["absence_until"] and until is None:
        errors["absence_until"] = "absence_needs_end"
    elif until is not None and until - now > ABSENCE_MAX:
        errors["absence_until"] = "absence_too_long"
    elif until is not None and until <= now:
        errors["absence_until"] = "from_after_to"
    return errors, until
