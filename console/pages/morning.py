"""The morning list: a grid enters, the board by stage and the list that is printed for the round leave.

A result is one press on a card: who spoke with her stands once above the board, by what means is the press itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query
from starlette.responses import Response

from console.loaders import Reader
from console.loaders import morning as loader
from console.loaders.households import LoadedHousehold, load_households
from console.metrics import ACTS
from console.pages import tasks
from console.pages.case import notice_of
from console.pages.recording import NotTakenError, audit_task, doing_of, record
from console.scope import Act, Section
from console.seat import CheckedForm, Seat, entering
from console.views import parts as view_parts
from console.views.morning import DoorListPage, MorningPage, QuickResult
from kaimen.database import Connection
from kaimen.policy import LadderPolicy, next_list_time
from kaimen.vocabulary import Contacted, Outcome

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.MORNING))]
Grid = Annotated[str, Query(max_length=64)]
NextTask = Annotated[int | None, Query(alias="next", ge=1, le=2**63 - 1)]
NextHome = Annotated[str | None, Query(alias="home", max_length=100)]
DOORS_MAX = 200


@router.get("/morning")
def morning(
    seat: Guard, grid: Grid = "", after: NextTask = None, home: NextHome = None, fragment: str | None = None
) -> Response:
    with seat.transaction() as connection:
        return show(connection, seat, grid, after=after, home=home, fragment=fragment)


def show(
    connection: Connection,
    seat: Seat,
    grid: str,
    *,
    after: int | None = None,
    home: str | None = None,
    fragment: str | None = None,
    form: view_parts.Form | None = None,
    status: int = 200,
) -> Response:
    """Answer with the board; the keys stand behind the task ``after``, or the home ``home``, answered just now."""
    reader = seat.reader(connection)
    columns, results = loader.load_board(connection, reader, grid, after_task=after, after_home=home)
    policy = LadderPolicy(zone=reader.zone)
    page = MorningPage(
        list_at=latest_list_time(policy, reader.now),
        watched_count=sum(column.count for column in columns),
        columns=columns,
        next_list_at=next_list_time(policy, reader.now),
        grid=grid,
        grids=loader.load_grids(connection, reader),
        results=results,
        witness=seat.viewer.display_name,
        form=form or view_parts.Form(),
    )
    path = "/morning" + (f"?{urlencode({'grid': grid})}" if grid else "")
    return seat.answer(
        connection, "morning.html", page, section=Section.MORNING, fragment=fragment, status=status, path=path
    )


_RESULTS: dict[str, dict[str, str]] = {
    QuickResult.SPOKE: {"outcome": Outcome.WELL.value, "contacted": Contacted.SPOKE.value},
    QuickResult.SAW: {"outcome": Outcome.WELL.value, "contacted": Contacted.SAW.value},
    QuickResult.NO_ANSWER: {"outcome": Outcome.NO_ANSWER.value},
}


@router.post("/morning/results/{task_id}", dependencies=[CheckedForm])
def record_result(
    seat: Guard,
    task_id: tasks.TaskId,
    result: Annotated[str, Form(max_length=20)] = "",
    witness: Annotated[str, Form(max_length=200)] = "",
    grid: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """One home's result by one press, and on to the next; there is no act for several people at once."""
    values = dict(_RESULTS.get(result, {"outcome": ""}))
    if values["outcome"] == Outcome.WELL:
        values["witness"] = witness
    onward = "/morning?" + urlencode({"next": task_id, **({"grid": grid} if grid else {})})
    with seat.transaction() as connection:
        if tasks.is_said_again(connection, seat, task_id, values["outcome"]):
            return seat.go(onward, "notice.outcome")
        task, case = tasks.load(connection, seat, task_id)
        doing = doing_of(seat, task, case)
        try:
            with connection.transaction():
                decision = record(connection, seat, task, values, doing)
                audit_task(connection, seat, Act.OUTCOME.value, task, doing)
        except NotTakenError as error:
            ACTS.labels(act=Act.OUTCOME.value, result="refused").inc()
            form = view_parts.Form({"witness": witness}, error.errors)
            return show(connection, seat, grid, form=form, status=error.status)
    ACTS.labels(act=Act.OUTCOME.value, result="done").inc()
    return seat.go(onward, notice_of(decision))


@router.get("/morning/print")
def door_list(seat: Guard, grid: Grid = "") -> Response:
    """The doors to go to, in walking order; the names are masked on paper too."""
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        ordered = _load_walk(connection, reader, grid)
        page = DoorListPage(
            latest_list_time(LadderPolicy(zone=reader.zone), reader.now),
            tuple(found.in_list() for found in ordered),
            seat.viewer.display_name,
        )
        seat.audit(
            connection, "door_list_printed", purpose="visit", object_kind="community",
            object_id=str(seat.viewer.community_id), households=[found.row["id"] for found in ordered],
        )  # fmt: skip
        # What is on its way to paper stands still.
        return seat.answer(connection, "door_list.html", page, section=Section.MORNING, live=False)


def _load_walk(connection: Connection, reader: Reader, grid: str) -> list[LoadedHousehold]:
    ids = loader.load_ids(connection, reader, grid)
    wanted = [key for kind in loader.WITH_CARDS for key in ids[kind]]
    households = load_households(connection, reader, wanted[:DOORS_MAX])
    return sorted(
        households.values(),
        key=lambda found: (
            found.row["building"], found.row["unit"], found.row["floor"], found.row["room"],
        ),
    )  # fmt: skip


def latest_list_time(policy: LadderPolicy, now: datetime) -> datetime:
    """Say when the list that is valid now went out."""
    candidate = next_list_time(policy, now - timedelta(days=1))
    while (following := next_list_time(policy, candidate)) <= now:
        candidate = following
    return candidate
