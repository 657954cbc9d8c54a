"""Changed telephone numbers before a second person who is not of the desk: what waits leaves; a confirmation enters.

Where one clerk sits at a desk, the community committee or the director of the company is the second person. They see the
home and, once asked for and written down, both numbers; whose name it is they do not.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from console import agreements_homes
from console.pages.agreement_numbers import home_of, is_confirmed, is_taken_back, note
from console.pages.agreements import number_view
from console.pages.device_tests import AgreementId, at_of
from console.scope import Section
from console.seat import CheckedForm, Seat, entering
from console.views import parts as view_parts
from console.views.agreements import SecondPersonPage
from kaimen.database import Connection

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.SECOND_PERSON))]
_PAGE = "/second-person"


@router.get(_PAGE)
def waiting(seat: Guard) -> Response:
    with seat.transaction() as connection:
        return _show(connection, seat)


def _show(
    connection: Connection, seat: Seat, error: str = "", *, status: int = 200, shown: int | None = None
) -> Response:
    rows = agreements_homes.load_numbers(connection, community_id=seat.viewer.community_id, at=at_of(seat))
    rows = [row for row in rows if row["trusted_from"] is None]
    if rows:
        seat.audit(
            connection, "number_changes_read", purpose="administration", object_kind="community",
            object_id=seat.viewer.community_id or "", households=sorted({row["household_id"] for row in rows}),
        )  # fmt: skip
    page = SecondPersonPage(
        tuple(number_view(row, seat.viewer.user_id, shown, page=_PAGE) for row in rows),
        view_parts.Form({}, {"": error} if error else {}),
    )
    return seat.answer(
        connection, "second_person.html", page, section=Section.SECOND_PERSON, status=status, path=_PAGE, live=False
    )  # fmt: skip


@router.post(_PAGE + "/{change_id}/show", dependencies=[CheckedForm])
def show_numbers(seat: Guard, change_id: AgreementId) -> Response:
    """Show both numbers in full to whoever is about to ring them, and write down that she saw them."""
    with seat.transaction() as connection:
        home = home_of(connection, seat, change_id)
        note(connection, seat, "number_change_shown", change_id, home)
        return _show(connection, seat, shown=change_id)


@router.post(_PAGE + "/{change_id}/confirm", dependencies=[CheckedForm])
def confirm(seat: Guard, change_id: AgreementId) -> Response:
    """Confirm the new number as the second person: it counts 72 hours later."""
    done = is_confirmed(seat, change_id)
    return seat.go(_PAGE, "notice.number_confirmed") if done else _waits_no_more(seat)


@router.post(_PAGE + "/{change_id}/refuse", dependencies=[CheckedForm])
def refuse(seat: Guard, change_id: AgreementId) -> Response:
    """Take a change back that nobody made: the number before it is rung again."""
    done = is_taken_back(seat, change_id)
    return seat.go(_PAGE, "notice.number_refused") if done else _waits_no_more(seat)


def _waits_no_more(seat: Seat) -> Response:
    with seat.transaction() as connection:
        return _show(connection, seat, "number_not_waiting", status=409)
