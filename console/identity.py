"""Who is asking: passwords, sessions and API tokens enter, a signed-in viewer or a refusal leaves.

Sessions are transport, so their times are wall time, also where the community's clock runs faster. Only hashes of
tokens are stored; the token against forged forms is derived from the session's own token, which the database does
not have, so there is no further key to lose.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from psycopg.errors import UniqueViolation

from console.scope import HELPER_ROLES, Viewer
from kaimen.database import Connection, Pool, queries, transaction
from kaimen.vocabulary import Role

PASSWORD_LENGTH_MIN = 10
PASSWORD_LENGTH_MAX = 256
NAME_LENGTH_MAX = 64
FAILURES_MAX = 5
FAILURES_WINDOW = timedelta(minutes=15)
SEEN_EVERY = timedelta(minutes=1)
HASHING_PATIENCE_S = 5
API_TOKEN_PREFIX = "kaimen_"  # noqa: S105 - the part of every token that scanners can recognise

_hasher = PasswordHasher()
# Each verification takes 64 MiB: two at once is what the smallest machine can bear.
_hashing = threading.BoundedSemaphore(2)
_nobody_hash = _hasher.hash(secrets.token_urlsafe(32))


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long a session lives without being used, and at most."""

    idle: timedelta
    absolute: timedelta


# A desk may be quiet for a whole night and must not go dark.
_DESK = SessionLimits(timedelta(hours=24), timedelta(days=7))
_PHONE = SessionLimits(timedelta(days=30), timedelta(days=90))
_LIMITS = {
    **dict.fromkeys(
        (Role.POLICE_OFFICER, Role.POLICE_SUPERVISOR, Role.AUDITOR),
        SessionLimits(timedelta(minutes=30), timedelta(hours=12)),
    ),
    Role.ADMIN: SessionLimits(timedelta(hours=1), timedelta(hours=12)),
    Role.FAMILY: _PHONE,
    Role.RESIDENT: _PHONE,
    **dict.fromkeys(HELPER_ROLES, _PHONE),
}


def limits_of(role: Role) -> SessionLimits:
    return _LIMITS.get(role, _DESK)


class SignInRefusal(StrEnum):
    """Why nobody was signed in; an unknown name and a wrong password are the same."""

    WRONG = "wrong"
    LOCKED = "locked"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Session:
    """A viewer with the session it came through."""

    viewer: Viewer
    token_hash: bytes
    created_at: datetime
    expires_at: datetime
    csrf: str


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One of a person's own sessions, for the list in which it can be ended."""

    id: str
    created_at: datetime
    seen_at: datetime
    agent: str
    current: bool


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def csrf_of(token: str) -> str:
    """Derive the token for forms from a cookie's token; knowing one does not give the other."""
    return hmac.digest(token.encode(), b"kaimen form", "sha256").hex()


def same_token(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


def hash_password(password: str) -> str:
    """Return an argon2id hash; raises ``ValueError`` for a password too short or too long."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise ValueError(f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters")
    with _hashing:
        return _hasher.hash(password)


def password_fits(stored: str | None, password: str) -> bool | None:
    """Say whether a password is the stored one; None where too many are being checked just now."""
    # Unknown names cost the same time as known ones.
    if not _hashing.acquire(timeout=HASHING_PATIENCE_S):
        return None
    try:
        fits = _hasher.verify(stored or _nobody_hash, password)
    except (VerificationError, InvalidHashError):
        return False
    finally:
        _hashing.release()
    return fits and stored is not None


def address_group(address: str) -> str:
    """Return what counts as one address: IPv4 whole, IPv6 by its /64, anything else as one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network(f"{parsed}/64", strict=False).network_address) + "/64"


def add_user(
    connection: Connection,
    *,
    name: str,
    display_name: str,
    password: str,
    role: Role,
    community_id: str | None,
    now: datetime,
    language: str = "zh",
    households: dict[str, str] | None = None,
) -> int:
    """Add a person who signs in; ``households`` maps ids to what she is there ("女儿").

    Raises
    ------
    ValueError
        If the name is taken or the password does not fit.
    """
    sql = queries("console")
    try:
        row = connection.execute(
            sql["user_add"],
            {
                "name": name,
                "display_name": display_name,
                "password_hash": hash_password(password),
                "role": role.value,
                "community_id": community_id,
                "language": language,
                "now": now,
            },
        ).fetchone()
    except UniqueViolation as error:
        raise ValueError(f"somebody signs in as {name!r} already") from error
    assert row is not None
    for household_id, words in (households or {}).items():
        connection.execute(
            sql["user_household_add"],
            {"user_id": row["id"], "household_id": household_id, "relation_words": words},
        )
    return int(row["id"])


def sign_in(
    pool: Pool, *, name: str, password: str, address: str, agent: str, now: datetime
) -> tuple[str, Viewer] | SignInRefusal:
    """Check a password and open a session; the token is returned once and never stored.

    Failures are counted by (name, address), so that nobody can lock out a person who sits elsewhere. ``now`` is
    wall time. No connection is held while the password is hashed.
    """
    sql = queries("console")
    name, place = name.strip()[:NAME_LENGTH_MAX], address_group(address)
    pair = {"name": name, "address": place, "since": now - FAILURES_WINDOW, "now": now}
    with transaction(pool) as connection:
        failures = connection.execute(sql["sign_in_failures"], pair).fetchone()
        user = connection.execute(sql["user_by_name"], {"name": name}).fetchone()
    assert failures is not None
    if failures["count"] >= FAILURES_MAX:
        return SignInRefusal.LOCKED
    stored = user["password_hash"] if user and user["disabled_at"] is None else None
    fits = password_fits(stored, password[:PASSWORD_LENGTH_MAX])
    if fits is None:
        return SignInRefusal.BUSY
    with transaction(pool) as connection:
        if not fits or user is None:
            connection.execute(sql["sign_in_failed"], pair)
            return SignInRefusal.WRONG
        connection.execute(sql["sign_in_forget"], pair)
        viewer = _viewer(connection, user)
        return open_session(connection, viewer=viewer, agent=agent, now=now), viewer


def open_session(connection: Connection, *, viewer: Viewer, agent: str, now: datetime) -> str:
    """Store a new session's hash and return its token of 256 random bits."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        queries("console")["session_open"],
        {
            "token_hash": hash_token(token),
            "user_id": viewer.user_id,
            "now": now,
            "expires_at": now + limits_of(viewer.role).absolute,
            "agent": agent[:200],
        },
    )
    return token


def _viewer(connection: Connection, user: dict[str, object]) -> Viewer:
    sql = queries("console")
    rows = connection.execute(sql["user_households"], {"user_id": user["id"]}).fetchall()
    places = connection.execute(sql["user_places"], {"user_id": user["id"]}).fetchall()
    held = frozenset(row["community_id"] for row in places)
    chosen = user.get("chosen_community_id")
    community = chosen if chosen in held else user["community_id"]
    return Viewer(
        user_id=int(str(user["id"])),
        name=str(user["name"]),
        display_name=str(user["display_name"]),
        role=Role(str(user["role"])),
        community_id=None if community is None else str(community),
        language=str(user["language"]),
        household_ids=frozenset(row["household_id"] for row in rows if row["blocked_at"] is None),
        blocked_ids=frozenset(row["household_id"] for row in rows if row["blocked_at"] is not None),
        community_ids=held,
    )


def find_session(connection: Connection, token: str, *, now: datetime, used: bool = True) -> Session | None:
    """Return who a session token stands for; None where it is unknown, expired or idle too long.

    ``used`` says that a person did something; a page that refreshes itself keeps no session alive.
    """
    sql = queries("console")
    row = connection.execute(sql["session_find"], {"token_hash": hash_token(token)}).fetchone()
    if row is None or not _lives(row, now):
        return None
    if used and now - row["seen_at"] >= SEEN_EVERY:
        connection.execute(sql["session_seen"], {"token_hash": row["token_hash"], "now": now})
    return Session(
        _viewer(connection, row),
        bytes(row["token_hash"]),
        row["created_at"],
        row["expires_at"],
        csrf_of(token),
    )


def _lives(row: dict[str, Any], now: datetime) -> bool:
    idle: timedelta = now - row["seen_at"]
    return bool(row["expires_at"] > now) and idle <= limits_of(Role(row["role"])).idle


def session_stands(connection: Connection, token_hash: bytes, *, now: datetime) -> bool:
    """Say whether a session a stream came through still lives."""
    row = connection.execute(queries("console")["session_find"], {"token_hash": token_hash}).fetchone()
    return row is not None and _lives(row, now)


def find_api_token(connection: Connection, token: str, *, now: datetime) -> Viewer | None:
    """Return whom a bearer token stands for; None where it is unknown, expired or its person disabled."""
    row = connection.execute(
        queries("console")["api_token_find"], {"token_hash": hash_token(token), "now": now}
    ).fetchone()
    return None if row is None else _viewer(connection, row)


def add_api_token(
    connection: Connection, *, user_id: int, name: str, now: datetime, expires_at: datetime | None = None
) -> str:
    """Store a new bearer token's hash and return the token, once."""
    token = API_TOKEN_PREFIX + secrets.token_urlsafe(32)
    connection.execute(
        queries("console")["api_token_add"],
        {
            "token_hash": hash_token(token),
            "user_id": user_id,
            "name": name,
            "now": now,
            "expires_at": expires_at,
        },
    )
    return token


def choose_community(connection: Connection, session: Session, community_id: str) -> bool:
    """Make one of the viewer's communities the active one of this session; False where it is none of hers."""
    if community_id not in session.viewer.community_ids:
        return False
    values = {"token_hash": session.token_hash, "community_id": community_id}
    connection.execute(queries("console")["session_place"], values)
    return True


def end_session(connection: Connection, token_hash: bytes) -> None:
    connection.execute(queries("console")["session_end"], {"token_hash": token_hash})


def list_sessions(connection: Connection, session: Session, *, now: datetime) -> list[SessionLine]:
    """Return the viewer's own sessions, newest first; the id is a prefix of the hash and opens nothing."""
    rows = connection.execute(
        queries("console")["session_list"], {"user_id": session.viewer.user_id, "now": now}
    ).fetchall()
    return [
        SessionLine(
            bytes(row["token_hash"]).hex()[:16], row["created_at"], row["seen_at"], row["agent"],
            bytes(row["token_hash"]) == session.token_hash,
        )
        for row in rows
    ]  # fmt: skip


def revoke_session(connection: Connection, viewer: Viewer, line_id: str) -> bool:
    """End one of the viewer's own sessions by the id of its line."""
    cursor = connection.execute(
        queries("console")["session_revoke"], {"user_id": viewer.user_id, "prefix": line_id}
    )
    return cursor.rowcount > 0


def forget_expired(connection: Connection, *, now: datetime) -> None:
    """Delete expired sessions and failures that no longer count."""
    sql = queries("console")
    connection.execute(sql["session_forget"], {"now": now})
    connection.execute(sql["failures_forget"], {"before": now - FAILURES_WINDOW})
