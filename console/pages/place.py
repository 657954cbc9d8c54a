"""Which community a person of several works for now: a choice enters, her session's community leaves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from console import identity
from console.pages.sign_in import arrival_of
from console.seat import CheckedForm, SignedIn, not_here

router = APIRouter()


@router.post("/place", dependencies=[CheckedForm])
def choose(seat: SignedIn, community: Annotated[str, Form(max_length=100)] = "") -> Response:
    """Work for another of her communities from now on; it is shown on every page, and written down."""
    assert seat.session is not None
    with seat.transaction() as connection:
        if not identity.choose_community(connection, seat.session, community):
            raise not_here()
        seat.audit(
            connection, "place_chosen", purpose="work", object_kind="community", object_id=community,
            community=community,
        )  # fmt: skip
    return seat.go(arrival_of(seat.viewer), "notice.place_chosen")
