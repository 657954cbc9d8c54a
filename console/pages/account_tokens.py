"""One's own tokens for programs: a name, scopes and a term enter; the token is shown once, its row until it is revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path
from starlette.responses import Response

from console.api.scopes import offered_to
from console.identity import tokens
from console.seat import CheckedForm, RefusedError, Seat, SignedIn, not_here
from console.views import parts as view_parts
from console.views.identity import TokenRow, TokensPage
from kaimen.database import Connection, queries

router = APIRouter()
_SQL = queries("console", "identity.sql")
NAME_MAX = 60


def token_rows(rows: list[dict[str, Any]], base: str) -> tuple[TokenRow, ...]:
    """Rows of a person's tokens; ``base`` is the address below which each is revoked."""
    return tuple(
        TokenRow(
            row["name"], tuple(row["scopes"]), row["created_at"], row["expires_at"], row["seen_at"],
            f"{base}/{row['id']}/revoke",
        )
        for row in rows
    )  # fmt: skip


def _show(
    connection: Connection,
    seat: Seat,
    form: view_parts.Form | None = None,
    shown: str = "",
    status: int = 200,
) -> Response:
    values = {"user_id": seat.viewer.user_id, "now": seat.services.wall_now()}
    rows = connection.execute(_SQL["tokens"], values).fetchall()
    page = TokensPage(
        form or view_parts.Form(), token_rows(rows, "/account/tokens"),
        tuple(scope.value for scope in offered_to(seat.viewer.role)), shown,
    )  # fmt: skip
    return seat.answer(
        connection, "account_tokens.html", page, status=status, path="/account/tokens", live=False
    )


@router.get("/account/tokens")
def own_tokens(seat: SignedIn) -> Response:
    with seat.transaction() as connection:
        return _show(connection, seat)


@router.post("/account/tokens", dependencies=[CheckedForm])
def make(
    seat: SignedIn,
    name: Annotated[str, Form(max_length=200)] = "",
    scopes: Annotated[list[str] | None, Form()] = None,
    days: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Make a token with some of the scopes this role may give, for a term of the list."""
    offered = {scope.value for scope in offered_to(seat.viewer.role)}
    if not offered:
        raise RefusedError(403)
    asked = set(scopes or ())
    name = name.strip()
    errors = {}
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        errors["name"] = "required"
    if not asked or asked - offered:
        errors["scopes"] = "required"
    if days not in {str(number) for number in tokens.LIVES_DAYS}:
        errors["days"] = "required"
    wall_now = seat.services.wall_now()
    with seat.transaction() as connection:
        of_her = {"user_id": seat.viewer.user_id, "now": wall_now}
        if not errors and len(connection.execute(_SQL["tokens"], of_her).fetchall()) >= tokens.TOKENS_MAX:
            errors[""] = "too_many_tokens"
        if errors:
            return _show(connection, seat, view_parts.Form({"name": name, "days": days}, errors), status=422)
        token = tokens.make_token(
            connection, user_id=seat.viewer.user_id, name=name, scopes=asked, now=wall_now,
            expires_at=wall_now + timedelta(days=int(days)),
        )  # fmt: skip
        response = _show(connection, seat, shown=token)
        seat.audit(
            connection, "token_made", purpose="administration", object_kind="user",
            object_id=str(seat.viewer.user_id), scopes=sorted(asked), days=int(days),
        )  # fmt: skip
        return response


@router.post("/account/tokens/{token_id}/revoke", dependencies=[CheckedForm])
def revoke(seat: SignedIn, token_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    """End a token of one's own at once."""
    with seat.transaction() as connection:
        values = {
            "token_id": token_id, "user_id": seat.viewer.user_id, "now": seat.services.wall_now(),
        }  # fmt: skip
        if connection.execute(_SQL["token_revoke"], values).rowcount == 0:
            raise not_here()
        seat.audit(
            connection, "token_revoked", purpose="administration", object_kind="user",
            object_id=str(seat.viewer.user_id),
        )  # fmt: skip
    return seat.go("/account/tokens", "notice.token_revoked")
