"""Changed telephone numbers at the desk: one person tells the old number, another confirms the new one; a row leaves.

Until then, and for 72 hours more, no key pressed on the new number says that she is well. Whoever hears at the old
number that nobody changed anything takes the change back: that needs no second person.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from alerts.voice import people
from console import agreements_homes
from console.pages.agreements import HowTold, Word, show
from console.pages.device_tests import AgreementId, at_of
from console.scope import Section
from console.seat import CheckedForm, Seat, entering, not_here
from console.views import parts as view_parts
from kaimen.database import Connection

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.HOUSEHOLDS))]
_PAGE = "/agreements"


def home_of(connection: Connection, seat: Seat, change_id: int) -> str:
    home = agreements_homes.is_number_near(connection, change_id, community_id=seat.viewer.community_id)
    if home is None:
        raise not_here()
    return home


def note(connection: Connection, seat: Seat, action: str, change_id: int, home: str) -> None:
    seat.audit(
        connection, action, purpose="administration", object_kind="household", object_id=home, household=home,
        change=change_id,
    )  # fmt: skip


def is_confirmed(seat: Seat, change_id: int) -> bool:
    """Confirm a number as its second person, with the trace; False where nothing waits for one any more."""
    try:
        with seat.transaction() as connection:
            home = home_of(connection, seat, change_id)
            people.confirm_number(connection, change_id=change_id, user_id=seat.viewer.user_id, now=seat.now)
            note(connection, seat, "number_change_confirmed", change_id, home)
    except people.PhoneRefusedError:
        return False
    return True


def is_taken_back(seat: Seat, change_id: int) -> bool:
    """Take a change back, with the trace; False where nothing waits any more."""
    with seat.transaction() as connection:
        home = home_of(connection, seat, change_id)
        done = agreements_homes.refuse_number(connection, change_id, at=at_of(seat))
        if done:
            note(connection, seat, "number_change_refused", change_id, home)
    return done


def _waits_no_more(seat: Seat) -> Response:
    with seat.transaction() as connection:
        return show(connection, seat, view_parts.Form({}, {"": "number_not_waiting"}), status=409)


@router.post(_PAGE + "/numbers/{change_id}/show", dependencies=[CheckedForm])
def show_numbers(seat: Guard, change_id: AgreementId) -> Response:
    """Show both numbers in full to whoever is about to ring them, and write down that she saw them."""
    with seat.transaction() as connection:
        home = home_of(connection, seat, change_id)
        note(connection, seat, "number_change_shown", change_id, home)
        return show(connection, seat, view_parts.Form(), shown=change_id)


@router.post(_PAGE + "/numbers/{change_id}/told", dependencies=[CheckedForm])
def told(seat: Guard, change_id: AgreementId, how: Word = "") -> Response:
    """Write that the old number was told, and how."""
    with seat.transaction() as connection:
        home = home_of(connection, seat, change_id)
        if how not in set(HowTold):
            form = view_parts.Form({}, {f"how-{change_id}": "required"})
            return show(connection, seat, form, status=422)
    try:
        with seat.transaction() as connection:
            people.told_old_number(
                connection, change_id=change_id, user_id=seat.viewer.user_id, how=how, now=seat.now
            )
            note(connection, seat, "number_change_told", change_id, home)
    except people.PhoneRefusedError:
        return _waits_no_more(seat)
    return seat.go(_PAGE, "notice.number_told")


@router.post(_PAGE + "/numbers/{change_id}/confirm", dependencies=[CheckedForm])
def confirm(seat: Guard, change_id: AgreementId) -> Response:
    """Confirm the new number as the second person: it counts 72 hours later."""
    done = is_confirmed(seat, change_id)
    return seat.go(_PAGE, "notice.number_confirmed") if done else _waits_no_more(seat)


@router.post(_PAGE + "/numbers/{change_id}/refuse", dependencies=[CheckedForm])
def refuse(seat: Guard, change_id: AgreementId) -> Response:
    """Take a change back that nobody made: the number before it is rung again."""
    done = is_taken_back(seat, change_id)
    return seat.go(_PAGE, "notice.number_refused") if done else _waits_no_more(seat)
