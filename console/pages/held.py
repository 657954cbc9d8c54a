"""Held messages: what a restore keeps back, and an administrator's word on each, enter; what goes out, or not, leaves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query
from starlette.responses import Response

from alerts.sending.holding import HELD_SHOWN_MAX, Hold, drop, end_hold, let_go, load_held, load_hold
from console.scope import Section
from console.seat import CheckedForm, RefusedError, Seat, entering
from console.views import held as held_views
from kaimen.database import Connection

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.ADMIN))]
PATH = "/admin/held"
After = Annotated[int, Query(ge=0, le=2**63 - 1)]


@router.get(PATH)
def held(seat: Guard, after: After = 0) -> Response:
    with seat.transaction() as connection:
        page = _load(connection, seat, after)
        return seat.answer(connection, "held.html", page, section=Section.ADMIN)


def _load(connection: Connection, seat: Seat, after: int) -> held_views.HeldPage:
    hold = load_hold(connection)
    rows = (
        load_held(connection, community_id=seat.viewer.community_id, after=after, limit=HELD_SHOWN_MAX + 1)
        if hold
        else []
    )
    shown = rows[:HELD_SHOWN_MAX]
    return held_views.HeldPage(
        since=hold.begun_at if hold else None,
        reason=hold.reason if hold else "",
        backup_at=hold.backup_at if hold else None,
        waiting=hold.waiting if hold else 0,
        rows=tuple(
            held_views.HeldRow(
                id=row["id"], number=row["number"] or "", channel=row["channel"], planned_at=row["created_at"], case_closed=row["case_closed"],
            )
            for row in shown
        ),
        may_open=hold is not None and seat.viewer.community_id is None,
        newer_url=PATH if after else None,
        older_url=f"{PATH}?after={shown[-1]['id']}" if len(rows) > HELD_SHOWN_MAX else None,
    )  # fmt: skip


@router.post(f"{PATH}/decide", dependencies=[CheckedForm])
def decide(
    seat: Guard,
    act: Annotated[str, Form(max_length=10)],
    ids: Annotated[list[int] | None, Form(max_length=HELD_SHOWN_MAX)] = None,
) -> Response:
    """Let the ticked messages go, or drop them; numbers of another community are passed over."""
    if act not in ("release", "drop"):
        raise RefusedError(404)
    with seat.transaction() as connection:
        mine = _mine(connection, seat, ids or [])
        if act == "release":
            count = let_go(connection, mine, wall=seat.services.wall_now())
        else:
            count = drop(connection, mine)
        if count:
            action = "outbox_released" if act == "release" else "outbox_dropped"
            seat.audit(connection, action, purpose="maintenance", object_kind="outbox", object_id=str(count))
    return seat.go(PATH, f"notice.held_{act}" if count else "notice.held_nothing")


def _mine(connection: Connection, seat: Seat, ids: list[int]) -> list[int]:
    wanted = set(ids)
    found: list[int] = []
    after = min(wanted, default=1) - 1
    while wanted and (rows := load_held(connection, community_id=seat.viewer.community_id, after=after)):
        found += [row["id"] for row in rows if row["id"] in wanted]
        after = rows[-1]["id"]
        if after >= max(wanted):
            break
    return found


@router.post(f"{PATH}/open", dependencies=[CheckedForm])
def open_again(seat: Guard) -> Response:
    """End the hold once a word was said on everything; for the whole installation, by whoever looks after it."""
    if seat.viewer.community_id is not None:
        raise RefusedError(403)
    with seat.transaction() as connection:
        hold: Hold | None = load_hold(connection)
        if hold is None or hold.waiting:
            return seat.go(PATH, "notice.held_waits" if hold else "notice.held_nothing")
        end_hold(connection, by=f"user:{seat.viewer.user_id}", wall=seat.services.wall_now())
        seat.audit(connection, "outbox_opened", purpose="maintenance", object_kind="outbox", object_id="")
    return seat.go("/admin", "notice.held_opened")
