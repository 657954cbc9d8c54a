"""Tokens of programs: a name, scopes and an end enter, a token leaves once; who it stands for later, as long as it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.api.scopes import Scope
from console.identity import sessions as identity
from console.scope import Viewer
from kaimen.database import Connection, queries

_SQL = queries("console", "identity.sql")

LIVES_DAYS = (7, 30, 90, 365)
TOKENS_MAX = 20
EVERY_SCOPE = tuple(scope.value for scope in Scope)
SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class TokenViewer:
    """Whom a token stands for, and what it is good for."""

    viewer: Viewer
    scopes: frozenset[str]


def make_token(
    connection: Connection, *, user_id: int, name: str, now: datetime, scopes: Iterable[str] = EVERY_SCOPE,
    expires_at: datetime | None = None,
) -> str:  # fmt: skip
    """Store a new token's hash and return the token, once."""
    token = identity.new_api_token()
    values = {
        "token_hash": identity.hash_token(token), "user_id": user_id, "name": name, "now": now,
        "expires_at": expires_at, "scopes": sorted(scopes),
    }  # fmt: skip
    connection.execute(_SQL["token_make"], values)
    return token


def find_token(connection: Connection, token: str, *, now: datetime) -> TokenViewer | None:
    """Whom a token stands for; None where it is unknown, over, revoked, or its person may not sign in."""
    row = connection.execute(
        _SQL["token_find"], {"token_hash": identity.hash_token(token), "now": now}
    ).fetchone()
    if row is None:
        return None
    if row["seen_at"] is None or now - row["seen_at"] >= SEEN_EVERY:
        connection.execute(_SQL["token_seen"], {"token_id": row["token_id"], "now": now})
    return TokenViewer(identity.viewer_of(connection, row), frozenset(row["scopes"]))
