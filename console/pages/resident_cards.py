"""A resident's cards, visitor passes and terminal code: lists and forms enter and leave; a secret is shown once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path
from starlette.responses import Response

from console import residents
from console.pages.resident import Guard, home_of
from console.scope import Section
from console.seat import CheckedForm, Seat, not_here
from console.views.parts import Form as FormView
from console.views.screens import CardRow, CardsPage
from kaimen.database import Connection, queries

router = APIRouter()
#: How long a pass may hold, as the form offers it.
PASS_LASTS = {
    "hours2": timedelta(hours=2), "day": timedelta(days=1), "days3": timedelta(days=3), "week": timedelta(days=7),
}  # fmt: skip
#: A token in an address is its hash's beginning: addresses stand in histories.
Handle = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
_SQL = queries("console", "residents.sql")


@router.get("/resident/cards")
def cards(seat: Guard) -> Response:
    with seat.transaction() as connection:
        return _answer(connection, seat)


def _rows(connection: Connection, seat: Seat) -> list[dict[str, Any]]:
    values = {"household_id": home_of(seat.viewer), "now": seat.now}
    return connection.execute(_SQL["cards"], values).fetchall()


def _token(connection: Connection, seat: Seat, handle: str) -> str:
    found = [row["token"] for row in _rows(connection, seat) if residents.handle_of(row["token"]) == handle]
    if not found:
        raise not_here()
    return str(found[0])


def _answer(
    connection: Connection,
    seat: Seat,
    *,
    form: FormView | None = None,
    shown: str | None = None,
    kind: str = "",
    until: datetime | None = None,
    status: int = 200,
) -> Response:
    rows = _rows(connection, seat)
    page = CardsPage(
        cards=tuple(_card(row) for row in rows if row["class"] != "visitor"),
        passes=tuple(_card(row) for row in rows if row["class"] == "visitor"),
        form=form or FormView(),
        shown=shown,
        shown_kind=kind,
        shown_until=until,
        has_code=connection.execute(_SQL["code_stands"], {"household_id": home_of(seat.viewer)}).fetchone()
        is not None,
    )
    return seat.answer(
        connection, "resident_cards.html", page, section=Section.RESIDENT_CARDS, status=status,
        path="/resident/cards", live=False,
    )  # fmt: skip


def _card(row: dict[str, Any]) -> CardRow:
    can_end = row["class"] != "visitor" or row["issued_at"] is not None
    return CardRow(
        ending=row["token"][-4:],
        kind=row["class"],
        mine=row["class"] == "resident",
        valid_to=row["valid_to"],
        lost_at=row["lost_at"],
        url=f"/resident/cards/{residents.handle_of(row['token'])}"
        if can_end and row["lost_at"] is None
        else None,
    )


@router.post("/resident/cards/{handle}/lost", dependencies=[CheckedForm])
def lost(seat: Guard, handle: Handle) -> Response:
    """A lost card counts for nobody from now on: whoever finds it is not she. The desk is asked to see to it."""
    with seat.transaction() as connection:
        token = _token(connection, seat, handle)
        home = home_of(seat.viewer)
        values = {"household_id": home, "token": token, "now": seat.now}
        if connection.execute(_SQL["card_lost"], values).fetchone() is None:
            raise not_here()
        place = connection.execute(_SQL["home"], {"household_id": home}).fetchone()
        assert place is not None
        residents.ask_desk(
            connection, community_id=place["community_id"], kind="card_lost", household_id=home,
            credential=token, now=seat.now,
        )  # fmt: skip
        seat.audit(connection, "card_lost", purpose="care", object_kind="household", object_id=home)
    return seat.go("/resident/cards", "notice.card_lost")


@router.post("/resident/passes", dependencies=[CheckedForm])
def issue(seat: Guard, lasts: Annotated[str, Form(max_length=10)] = "") -> Response:
    """Give a guest a pass: the number and the picture are on this answer and nowhere else."""
    with seat.transaction() as connection:
        home = home_of(seat.viewer)
        if lasts not in PASS_LASTS:
            form = FormView({"lasts": lasts}, {"lasts": "required"})
            return _answer(connection, seat, form=form, status=422)
        values = {"household_id": home, "now": seat.now}
        count = connection.execute(_SQL["pass_count"], values).fetchone()
        if count is not None and count["count"] >= residents.PASSES_MAX:
            form = FormView({"lasts": lasts}, {"": "too_many_passes"})
            return _answer(connection, seat, form=form, status=409)
        place = connection.execute(_SQL["home"], values).fetchone()
        if place is None:
            raise not_here()
        until = seat.now + PASS_LASTS[lasts]
        shown = residents.make_pass(
            connection, seat.services, household_id=home, site_id=place["site_id"],
            user_id=seat.viewer.user_id, to_at=until, now=seat.now,
        )  # fmt: skip
        response = _answer(connection, seat, shown=shown, kind="pass", until=until)
        seat.audit(connection, "pass_issued", purpose="care", object_kind="household", object_id=home)
        return response


@router.post("/resident/cards/{handle}/end", dependencies=[CheckedForm])
def end(seat: Guard, handle: Handle) -> Response:
    """Take a pass back."""
    with seat.transaction() as connection:
        home = home_of(seat.viewer)
        values = {"household_id": home, "token": _token(connection, seat, handle), "now": seat.now}
        if connection.execute(_SQL["pass_end"], values).fetchone() is None:
            raise not_here()
        seat.audit(connection, "pass_ended", purpose="care", object_kind="household", object_id=home)
    return seat.go("/resident/cards", "notice.pass_ended")


@router.post("/resident/code", dependencies=[CheckedForm])
def code(seat: Guard) -> Response:
    """Make a code for the terminal in the entrance hall; the one before ends."""
    with seat.transaction() as connection:
        home = home_of(seat.viewer)
        made = residents.make_code(connection, seat.services, home, seat.now)
        response = _answer(connection, seat, shown=made, kind="code")
        seat.audit(connection, "code_made", purpose="care", object_kind="household", object_id=home)
        return response
