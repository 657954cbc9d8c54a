"""Which community a person of several works for now: a choice enters, her session's community leaves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from console.identity import sessions as identity
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


@router.post("/position", dependencies=[CheckedForm])
def choose_position(seat: SignedIn, position: Annotated[str, Form(max_length=20)] = "") -> Response:
    """Work in another of her positions from now on; empty: in her first. Written down in the role she goes on with."""
    assert seat.session is not None
    if position and not (position.isascii() and position.isdecimal() and int(position) < 2**63):
        raise not_here()
    with seat.transaction() as connection:
        viewer = identity.choose_position(
            connection, seat.session, int(position) if position else None, rule=seat.services.factor_rule,
            now=seat.services.wall_now(),
        )  # fmt: skip
        if viewer is None:
            raise not_here()
        seat.audit(
            connection, "position_chosen", purpose="work", object_kind="user", object_id=str(viewer.user_id),
            role=viewer.role.value, community=viewer.community_id,
        )  # fmt: skip
    return seat.go(arrival_of(viewer), "notice.position_chosen")
