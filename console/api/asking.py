"""Who asks the JSON API and for how much: a bearer token or a session enters, a seat or a refusal leaves."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request

from console.api.scopes import may_use
from console.identity import sessions as identity
from console.identity import tokens
from console.scope import Section, may_enter
from console.seat import RefusedError, Seat, SignInNeededError, check_origin, find_seat
from console.services import services_of

LIMIT_DEFAULT = 50
LIMIT_MAX = 200


def seated(
    request: Request, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Seat:
    """Return the seat of a bearer token or, without one, of a session."""
    services = services_of(request)
    if authorization is None:
        seat = find_seat(request)
        if seat is None:
            raise SignInNeededError
        return seat
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > 200:
        raise SignInNeededError
    with services.transaction() as connection:
        found = tokens.find_token(connection, token.strip(), now=services.wall_now())
    if found is None:
        raise SignInNeededError
    route = getattr(request.scope.get("route"), "path", "")
    if not may_use(request.method, route, found.scopes):
        raise RefusedError(403, "scope_missing")
    return Seat(request, services, None, found.viewer, services.now(), identity.hash_token(token.strip()))


Seated = Annotated[Seat, Depends(seated)]


def writing(
    request: Request, seat: Seated, x_csrf_token: Annotated[str, Header(include_in_schema=False)] = ""
) -> Seat:
    """The guard of writes: a browser's session has to prove that our own page sent it; a bearer token need not."""
    if seat.session is not None:
        check_origin(request, seat.services)
        if not identity.same_token(x_csrf_token, seat.session.csrf):
            raise RefusedError(403, "stale_form")
    return seat


Writing = Annotated[Seat, Depends(writing)]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
After = Annotated[int | None, Query(ge=1, le=2**63 - 1)]


def entering(seat: Seat, *sections: Section) -> None:
    if not any(may_enter(seat.viewer, section) for section in sections):
        raise RefusedError(403)
