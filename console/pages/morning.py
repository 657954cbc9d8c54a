"""The morning list: a grid enters, the board by stage and the list that is printed for the round leave."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from console import views
from console.loaders import Reader
from console.loaders.households import load_households
from console.scope import Section
from console.seat import Seat, entering
from console.views import MorningColumn, MorningKind
from kaimen.database import Connection, queries
from kaimen.policy import LadderPolicy, next_list_time

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.MORNING))]
Grid = Annotated[str, Query(max_length=64)]
CARDS_MAX = 60


@router.get("/morning")
def morning(seat: Guard, grid: Grid = "", fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        ids = _load_ids(connection, reader, grid)
        shown = [key for kind in _WITH_CARDS for key in ids[kind][:CARDS_MAX]]
        households = load_households(connection, reader, shown)
        columns = tuple(
            MorningColumn(
                kind,
                len(found),
                tuple(
                    households[key].in_list()
                    for key in (found[:CARDS_MAX] if kind in _WITH_CARDS else ())
                    if key in households
                ),
            )
            for kind, found in ids.items()
        )
        policy = LadderPolicy(zone=reader.zone)
        page = views.MorningPage(
            list_at=latest_list_time(policy, reader.now),
            watched_count=sum(len(found) for found in ids.values()),
            columns=columns,
            next_list_at=next_list_time(policy, reader.now),
            grid=grid,
            grids=_load_grids(connection, reader),
        )
        return seat.answer(connection, "morning.html", page, section=Section.MORNING, fragment=fragment)


@router.get("/morning/print")
def door_list(seat: Guard, grid: Grid = "") -> Response:
    """The doors to go to, in walking order; the names are masked on paper too."""
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        ids = _load_ids(connection, reader, grid)
        wanted = [
            key
            for kind in (MorningKind.VISIT, MorningKind.CALL, MorningKind.WARNING, MorningKind.UNKNOWN)
            for key in ids[kind]
        ]
        households = load_households(connection, reader, wanted[:200])
        ordered = sorted(
            households.values(),
            key=lambda found: (
                found.row["building"], found.row["unit"], found.row["floor"], found.row["room"],
            ),
        )  # fmt: skip
        page = views.DoorListPage(
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


_WITH_CARDS = (MorningKind.VISIT, MorningKind.CALL, MorningKind.WARNING, MorningKind.UNKNOWN)


def _load_ids(connection: Connection, reader: Reader, grid: str) -> dict[MorningKind, list[str]]:
    ids: dict[MorningKind, list[str]] = {kind: [] for kind in MorningKind}
    rows = connection.execute(
        queries("console")["morning_states"], {"community_id": reader.viewer.community_id, "grid": grid}
    ).fetchall()
    for row in rows:
        ids[_kind_of(row)].append(row["id"])
    return ids


def _kind_of(row: dict[str, object]) -> MorningKind:
    stage = int(str(row["stage"]))
    if row["absent_until"] is not None:
        return MorningKind.AWAY
    if stage:
        return (MorningKind.WARNING, MorningKind.CALL, MorningKind.VISIT)[min(stage, 3) - 1]
    return MorningKind.NORMAL if row["known"] and not row["check_step"] else MorningKind.UNKNOWN


def _load_grids(connection: Connection, reader: Reader) -> tuple[views.Choice, ...]:
    rows = connection.execute(
        queries("console")["grids"], {"community_id": reader.viewer.community_id}
    ).fetchall()
    return tuple(views.Choice(row["grid"], row["grid"]) for row in rows)


def latest_list_time(policy: LadderPolicy, now: datetime) -> datetime:
    """Say when the list that is valid now went out."""
    candidate = next_list_time(policy, now - timedelta(days=1))
    while (following := next_list_time(policy, candidate)) <= now:
        candidate = following
    return candidate
