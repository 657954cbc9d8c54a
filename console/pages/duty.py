"""Who is on duty: a viewer enters, fourteen days with gaps and her own swaps, hand-overs and calendar leave."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import Response

from alerts.acts import ActRefused
from alerts.duty.readiness import Gap
from alerts.duty.roster import CommunityDuty, Swap
from alerts.duty.shifts import accept_case, offer_case
from alerts.duty.store import (
    Change,
    RosterRefusedError,
    RosterWordsError,
    answer_swap,
    ask_swap,
    load_duty,
    load_reach,
)
from console.duty.calendar import write_feed
from console.duty.forms import parse_span
from console.duty.line import load_duty_line
from console.duty.shown import make_page
from console.scope import Section
from console.seat import CheckedForm, RefusedError, Seat, entering, not_here
from console.services import services_of
from console.views.parts import Choice
from console.views.parts import Form as FormView
from console.words import load_words
from kaimen.database import Connection, queries
from kaimen.vocabulary import Role

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.DUTY))]
RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Community = Annotated[str | None, Query(max_length=100)]
Text = Annotated[str, Form(max_length=500)]
Number = Annotated[int, Form(ge=1, le=2**63 - 1)]
_SQL = queries("console", "duty.sql")
_ROSTER = queries("alerts.duty", "roster.sql")
FEED_TOKEN_BYTES = 32


def choose_community(connection: Connection, seat: Seat, asked: str | None) -> str:
    """Return the community a page is about: the viewer's own; one of all where she has all of them."""
    own = seat.viewer.community_id
    if own is not None:
        if asked not in (None, "", own):
            raise not_here()
        return own
    known = [row["id"] for row in connection.execute(_SQL["communities"])]
    if not known:
        raise RefusedError(404, "no_community")
    if asked and asked in known:
        return str(asked)
    if asked:
        raise not_here()
    return str(known[0])


def load_for(connection: Connection, community_id: str) -> CommunityDuty:
    duty = load_duty(connection, community_id)
    if duty is None:
        raise not_here()
    return load_reach(connection, duty)


def show(
    connection: Connection,
    seat: Seat,
    community_id: str,
    *,
    feed_url: str = "",
    form: FormView | None = None,
    refusal: Gap | None = None,
    status: int = 200,
) -> Response:
    """Answer with the page of a community's duty."""
    duty = load_for(connection, community_id)
    viewer = seat.viewer
    may_manage = viewer.role is Role.ADMIN
    args: dict[str, Any] = {"community_id": community_id, "user_id": viewer.user_id, "now": seat.now}
    args |= {"since": seat.now, "states": ["asked"]}
    swaps = [_swap(row, duty) for row in connection.execute(_ROSTER["duty_swaps"], args)]
    communities = connection.execute(_SQL["communities"]).fetchall() if viewer.community_id is None else []
    names = {person.id: person.name for person in duty.people.values()}
    deputies = tuple(
        {**row, "person": names[row["user_id"]], "deputy": names[row["deputy_id"]]}
        for row in connection.execute(_ROSTER["duty_deputies"], args).fetchall()
        if row["user_id"] in names and row["deputy_id"] in names
    )
    tests: list[dict[str, Any]] = []
    if may_manage:
        month = seat.now.date().replace(day=1)
        tests = connection.execute(_ROSTER["live_tests"], {**args, "since": month}).fetchall()
    page = make_page(
        duty,
        now=seat.now,
        communities=tuple(Choice(row["id"], row["name"]) for row in communities),
        may_manage=may_manage,
        mine=viewer.user_id in duty.people and duty.has_roster(viewer.role),
        swaps=tuple(row for row in swaps if viewer.user_id in (row["giver_id"], row["taker_id"])),
        offers=tuple(connection.execute(_ROSTER["handovers_open"], args).fetchall()),
        in_hand=tuple(connection.execute(_ROSTER["cases_in_hand"], args).fetchall()),
        colleagues=tuple(
            Choice(str(person.id), person.name)
            for person in duty.people.values()
            if viewer.role in person.roles and person.id != viewer.user_id
        ),
        deputies=deputies,
        may_name=viewer.user_id in duty.people and viewer.community_id is not None,
        feed=connection.execute(_SQL["feed_standing"], args).fetchone(),
        feed_url=feed_url,
        tests=tuple(tests),
        user_id=viewer.user_id,
        line=load_duty_line(connection, community_id=community_id),
        form=form or FormView(),
        refusal=refusal,
    )
    return seat.answer(
        connection, "duty.html", page, section=Section.DUTY, status=status, path="/duty", live=not feed_url
    )


def _swap(row: Mapping[str, Any], duty: CommunityDuty) -> dict[str, Any]:
    names = {person.id: person.name for person in duty.people.values()}
    return {**row, "giver": names.get(row["giver_id"], "?"), "taker": names.get(row["taker_id"], "?")}


@router.get("/duty")
def duty(seat: Guard, community: Community = None) -> Response:
    with seat.transaction() as connection:
        return show(connection, seat, choose_community(connection, seat, community))


def make_change(connection: Connection, seat: Seat, community_id: str) -> Change:
    return Change(connection, community_id, f"user:{seat.viewer.user_id}", seat.now)


def own_community(seat: Seat) -> str:
    """Return the viewer's community; whoever has all of them is in no roster."""
    if seat.viewer.community_id is None:
        raise not_here()
    return seat.viewer.community_id


# --- swaps -------------------------------------------------------------------------------------------------------


@router.post("/duty/swaps", dependencies=[CheckedForm])
def swap(
    seat: Guard,
    taker: Number,
    from_at: Text = "",
    to_at: Text = "",
    back_from_at: Text = "",
    back_to_at: Text = "",
    note: Text = "",
) -> Response:
    """Ask a colleague to take a shift of mine, perhaps for one of hers."""
    community_id = own_community(seat)
    typed = {
        "from_at": from_at,
        "to_at": to_at,
        "back_from_at": back_from_at,
        "back_to_at": back_to_at,
        "note": note,
    }
    with seat.transaction() as connection:
        zone = load_for(connection, community_id).zone
        span = parse_span(from_at, to_at, zone)
        back = parse_span(back_from_at, back_to_at, zone) if back_from_at or back_to_at else None
        if span is None or (back is None and (back_from_at or back_to_at)):
            return show(
                connection, seat, community_id, form=FormView(typed, {"from_at": "not_a_time"}), status=422
            )
        try:
            swap_id = ask_swap(
                make_change(connection, seat, community_id), seat.viewer.role,
                Swap(*span, seat.viewer.user_id, taker), back, note=note.strip(),
            )  # fmt: skip
        except RosterWordsError as error:
            return show(
                connection, seat, community_id, form=FormView(typed, {"": f"duty.{error}"}), status=422
            )
        _audit(connection, seat, "duty_swap_asked", swap_id)
    return seat.go("/duty", "notice.duty_swap_asked")


@router.post("/duty/swaps/{swap_id}/{answer}", dependencies=[CheckedForm])
def answer(seat: Guard, swap_id: RowId, answer: Annotated[str, Path(max_length=20)]) -> Response:
    """Accept or decline by name, or take back what one asked."""
    states = {"accept": "accepted", "decline": "declined", "withdraw": "withdrawn"}
    community_id = own_community(seat)
    if answer not in states:
        raise not_here()
    try:
        with seat.transaction() as connection:
            change = make_change(connection, seat, community_id)
            if not answer_swap(change, swap_id, user_id=seat.viewer.user_id, state=states[answer]):
                raise not_here()
            _audit(connection, seat, f"duty_swap_{states[answer]}", swap_id)
    except RosterRefusedError as error:
        with seat.transaction() as connection:
            return show(connection, seat, community_id, refusal=error.gaps[0], status=409)
    return seat.go("/duty", f"notice.duty_swap_{states[answer]}")


def _audit(connection: Connection, seat: Seat, action: str, object_id: object) -> None:
    seat.audit(connection, action, purpose="duty", object_kind="duty", object_id=str(object_id))


# --- hand-over ---------------------------------------------------------------------------------------------------


@router.post("/duty/handover", dependencies=[CheckedForm])
def offer(seat: Guard, case_id: Number, to_user_id: Number, note: Text = "") -> Response:
    """Offer a case one holds to somebody of the next shift."""
    try:
        with seat.transaction() as connection:
            offer_case(
                connection, case_id=case_id, user_id=seat.viewer.user_id, to_user_id=to_user_id, note=note.strip(),
                now=seat.now,
            )  # fmt: skip
            seat.audit(
                connection,
                "case_offered",
                purpose="case",
                object_kind="case",
                object_id=str(case_id),
                to=to_user_id,
            )
    except ActRefused as error:
        raise not_here() from error
    return seat.go("/duty", "notice.duty_offered")


@router.post("/duty/handover/{handover_id}/accept", dependencies=[CheckedForm])
def accept(seat: Guard, handover_id: RowId) -> Response:
    """Take over by name."""
    try:
        with seat.transaction() as connection:
            case_id = accept_case(
                connection, handover_id=handover_id, user_id=seat.viewer.user_id, now=seat.now
            )
            seat.audit(
                connection, "case_taken_over", purpose="case", object_kind="case", object_id=str(case_id)
            )
    except ActRefused as error:
        raise not_here() from error
    return seat.go("/duty", "shift_accepted")


# --- calendar ----------------------------------------------------------------------------------------------------


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


@router.post("/duty/feed", dependencies=[CheckedForm])
def make_feed(seat: Guard) -> Response:
    """Give the viewer a calendar address, shown this once; the one she had ends."""
    community_id = own_community(seat)
    token = secrets.token_urlsafe(FEED_TOKEN_BYTES)
    wall = seat.services.wall_now()
    with seat.transaction() as connection:
        values = {"user_id": seat.viewer.user_id, "now": seat.now, "wall": wall, "token_hash": _hash(token)}
        connection.execute(_SQL["leaver_feeds"], values)
        connection.execute(_SQL["feed_make"], values)
        _audit(connection, seat, "duty_feed_made", seat.viewer.user_id)
        url = f"{seat.services.settings.public_url.rstrip('/')}/duty/feed/{token}.ics"
        return show(connection, seat, community_id, feed_url=url)


@router.post("/duty/feed/revoke", dependencies=[CheckedForm])
def revoke_feed(seat: Guard) -> Response:
    with seat.transaction() as connection:
        wall = seat.services.wall_now()
        connection.execute(_SQL["leaver_feeds"], {"user_id": seat.viewer.user_id, "wall": wall})
        _audit(connection, seat, "duty_feed_revoked", seat.viewer.user_id)
    return seat.go("/duty", "notice.duty_feed_revoked")


@router.get("/duty/feed/{token}.ics")
def feed(request: Request, token: Annotated[str, Path(max_length=100)]) -> Response:
    """One person's shifts for her calendar program; the address itself is the key."""
    services = services_of(request)
    now: datetime = services.now()
    with services.transaction() as connection:
        values = {"token_hash": _hash(token), "wall": services.wall_now()}
        row = connection.execute(_SQL["feed_read"], values).fetchone()
        found = load_duty(connection, row["community_id"]) if row and row["community_id"] else None
    if row is None or found is None:
        raise not_here()
    words = load_words(row["language"], found.zone, now)
    title, standing_in = words.say("duty.feed_title"), words.say("duty.feed_standing_in")
    return Response(
        write_feed(found, row["id"], title=title, standing_in=standing_in, now=now),
        media_type="text/calendar; charset=utf-8",
        headers={"Content-Disposition": 'inline; filename="duty.ics"'},
    )
