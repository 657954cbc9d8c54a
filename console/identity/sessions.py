"""Who is asking: passwords, sessions and API tokens enter, a signed-in viewer or a refusal leaves.

Sessions are transport, so their times are wall time, also where the community's clock runs faster. Only hashes of
tokens are stored; the token against forged forms is derived from the session's own token, which the database does
not have, so there is no further key to lose.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from psycopg.errors import UniqueViolation

from console.identity import attempts, second_factor
from console.identity.attempts import address_group
from console.identity.second_factor import FactorRule
from console.scope import HELPER_ROLES, Viewer
from kaimen.database import Connection, queries
from kaimen.vocabulary import Role

PASSWORD_LENGTH_MIN = 10
PASSWORD_LENGTH_MAX = 256
NAME_LENGTH_MAX = 64
#: A browser that was not used here for so long is a stranger again.
DEVICE_KNOWN_FOR = timedelta(days=180)
DEVICES_KEPT = 20
#: Between the right password and the code of the second factor.
STEP_LIVES = timedelta(minutes=10)
SEEN_EVERY = timedelta(minutes=1)
HASHING_PATIENCE_S = 5
API_TOKEN_PREFIX = "kaimen_"  # noqa: S105 - the part of every token that scanners can recognise

#: Opens a transaction of the console itself, for what nobody is signed in for yet.
Transact = Callable[[], AbstractContextManager[Connection]]
_OWN = queries("console", "identity.sql")
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
    WAIT = "wait"
    BUSY = "busy"


class Must(StrEnum):
    """What somebody signed in has to do before she sees anything else."""

    FACTOR = "factor"
    PASSWORD = "password"  # noqa: S105 - a word, not one


@dataclass(frozen=True, slots=True)
class Refused:
    """Nobody was signed in; ``wait`` is how long until the next attempt is looked at."""

    why: SignInRefusal
    wait: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Opened:
    """A session stands; its token is said here once and never stored. ``failures``: since the last sign-in."""

    token: str
    viewer: Viewer
    failures: int = 0


@dataclass(frozen=True, slots=True)
class CodeAwaited:
    """The password was right and the second factor is due; the token opens the page for the code alone."""

    token: str
    viewer: Viewer


@dataclass(frozen=True, slots=True)
class Asker:
    """Where somebody signs in from: address, the browser's own name of itself, and its token if it was here before."""

    address: str
    agent: str
    device_token: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A viewer with the session it came through."""

    viewer: Viewer
    token_hash: bytes
    created_at: datetime
    expires_at: datetime
    csrf: str
    has_factor: bool = False
    factor_due_at: datetime | None = None
    password_due: bool = False

    def must(self, rule: FactorRule, now: datetime) -> Must | None:
        """What comes before everything else; ``now`` is wall time."""
        if self.password_due:
            return Must.PASSWORD
        needed = self.viewer.role in rule.roles and not self.has_factor
        return (
            Must.FACTOR if needed and self.factor_due_at is not None and self.factor_due_at <= now else None
        )


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
    transact: Transact, *, name: str, password: str, asker: Asker, rule: FactorRule, now: datetime
) -> Opened | CodeAwaited | Refused:
    """Check a password; where the person has a second factor, its code is asked for next.

    Failures are counted by name and place, so that nobody makes a person wait who sits elsewhere. ``now`` is wall
    time; ``transact`` opens transactions of the console itself. No connection is held while the password is hashed.
    """
    name = name.strip()[:NAME_LENGTH_MAX]
    with transact() as connection:
        place, shared = place_of(connection, name, asker, now)
        begun = attempts.begin(connection, name=name, place=place, now=now, shared=shared)
        user = connection.execute(_OWN["user_standing"], {"name": name}).fetchone()
    if isinstance(begun, timedelta):
        return Refused(SignInRefusal.WAIT, begun)
    stored = user["password_hash"] if user and user["disabled_at"] is None else None
    fits = password_fits(stored, password[:PASSWORD_LENGTH_MAX])
    with transact() as connection:
        if fits is None:
            attempts.forget(connection, begun)
            return Refused(SignInRefusal.BUSY)
        if not fits or user is None:
            return Refused(SignInRefusal.WRONG)
        attempts.succeed(connection, begun)
        viewer = viewer_of(connection, user)
        if user["has_factor"]:
            return await_code(connection, viewer, now=now)
        return complete(connection, viewer, asker=asker, rule=rule, now=now)


def place_of(connection: Connection, name: str, asker: Asker, now: datetime) -> tuple[str, bool]:
    """Where attempts are counted: at the browser that signed this person in before, else at the address others share."""
    if 20 <= len(asker.device_token) <= 100:
        hashed = hash_token(asker.device_token)
        values = {"token_hash": hashed, "name": name, "since": now - DEVICE_KNOWN_FOR}
        if connection.execute(_OWN["device_known"], values).fetchone() is not None:
            return f"device:{hashed.hex()[:32]}", False
    return address_group(asker.address), True


def await_code(connection: Connection, viewer: Viewer, *, now: datetime) -> CodeAwaited:
    """Remember for some minutes that the first factor was right."""
    token = secrets.token_urlsafe(32)
    values = {
        "token_hash": hash_token(token), "user_id": viewer.user_id, "now": now, "expires_at": now + STEP_LIVES,
    }  # fmt: skip
    connection.execute(_OWN["step_make"], values)
    return CodeAwaited(token, viewer)


def find_step(connection: Connection, token: str, *, now: datetime) -> Viewer | None:
    """Whose code is awaited by the browser with this token."""
    row = connection.execute(_OWN["step_find"], {"token_hash": hash_token(token), "now": now}).fetchone()
    return None if row is None else viewer_of(connection, row)


def check_code(
    transact: Transact, *, token: str, code: str, asker: Asker, rule: FactorRule, key: bytes, now: datetime
) -> Opened | Refused | None:
    """Check the code of the second factor; None where no password was given, or too long ago.

    Only who knows the password comes here, so wrong codes are counted by name wherever they come from; a browser
    that signed in before waits for its own alone.
    """
    with transact() as connection:
        viewer = find_step(connection, token, now=now)
        if viewer is None:
            return None
        place, shared = place_of(connection, viewer.name, asker, now)
        place = "code" if shared else f"code:{place}"
        begun = attempts.begin(connection, name=viewer.name, place=place, now=now, shared=False)
    if isinstance(begun, timedelta):
        return Refused(SignInRefusal.WAIT, begun)
    with transact() as connection:
        if not second_factor.check(connection, viewer.user_id, code, key=key, now=now):
            return Refused(SignInRefusal.WRONG)
        attempts.succeed(connection, begun)
        connection.execute(_OWN["step_end"], {"token_hash": hash_token(token)})
        return complete(connection, viewer, asker=asker, rule=rule, now=now)


def complete(
    connection: Connection, viewer: Viewer, *, asker: Asker, rule: FactorRule, now: datetime,
    factor_outside: bool = False,
) -> Opened:  # fmt: skip
    """Open the session of somebody who has shown everything that is asked of her."""
    values = {
        "user_id": viewer.user_id, "now": now, "due_at": rule.due_at(frozenset({viewer.role}), now),
    }  # fmt: skip
    row = connection.execute(_OWN["user_signed_in"], values).fetchone()
    token = open_session(connection, viewer=viewer, agent=asker.agent, now=now)
    if factor_outside:
        connection.execute(_OWN["session_outside"], {"token_hash": hash_token(token)})
    return Opened(token, viewer, row["failures_before"] if row else 0)


def know_device(connection: Connection, user_id: int, token: str, *, now: datetime) -> None:
    """Remember a browser somebody signed in with; only its hash is stored."""
    values = {"token_hash": hash_token(token), "user_id": user_id, "now": now, "limit": DEVICES_KEPT}
    connection.execute(_OWN["device_seen"], values)
    connection.execute(_OWN["devices_trim"], values)


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


def viewer_of(connection: Connection, user: dict[str, Any]) -> Viewer:
    """Return who a stored person is, in the position that is active."""
    sql = queries("console")
    rows = connection.execute(sql["user_households"], {"user_id": user["id"]}).fetchall()
    places = connection.execute(sql["user_places"], {"user_id": user["id"]}).fetchall()
    return _viewer(
        user,
        homes=[row["household_id"] for row in rows if row["blocked_at"] is None],
        blocked=[row["household_id"] for row in rows if row["blocked_at"] is not None],
        held=[row["community_id"] for row in places],
    )


def _viewer(
    user: dict[str, Any], *, homes: Iterable[str], blocked: Iterable[str], held: Iterable[str]
) -> Viewer:
    places = frozenset(held)
    chosen = user.get("chosen_community_id")
    community = chosen if chosen in places else user["community_id"]
    if user.get("position_id") is not None:
        # A position beside the first is of one place, and of nobody's first position's places.
        community = user["community_id"]
        places = frozenset() if community is None else frozenset({str(community)})
    return Viewer(
        user_id=int(str(user["id"])),
        name=str(user["name"]),
        display_name=str(user["display_name"]),
        role=Role(str(user["role"])),
        community_id=None if community is None else str(community),
        language=str(user["language"]),
        household_ids=frozenset(homes),
        blocked_ids=frozenset(blocked),
        community_ids=places,
    )


def find_session(connection: Connection, token: str, *, now: datetime, used: bool = True) -> Session | None:
    """Return who a session token stands for; None where it is unknown, expired or idle too long.

    One statement, which needs no scope: whoever has a token is told whose it is. ``used`` says that a person did something; a page that refreshes itself keeps no session alive.
    """
    sql = queries("console")
    row = connection.execute(sql["seat_find"], {"token_hash": hash_token(token)}).fetchone()
    session = None if row is None else session_of(row, token, now=now)
    if row is None or session is None:
        return None
    if used and is_to_be_marked(row, now):
        connection.execute(sql["session_seen"], {"token_hash": row["token_hash"], "now": now})
    return session


def session_of(row: dict[str, Any], token: str, *, now: datetime) -> Session | None:
    """Return the session of a row of find_seat; None where it is over or idle too long."""
    if not _lives(row, now):
        return None
    return Session(
        _viewer(row, homes=row["homes"], blocked=row["blocked"], held=row["held"]),
        bytes(row["token_hash"]),
        row["created_at"],
        row["expires_at"],
        csrf_of(token),
        row["has_factor"],
        row["factor_due_at"],
        row["password_due"],
    )


def is_to_be_marked(row: dict[str, Any], now: datetime) -> bool:
    """Say whether it is time to write down that a session is used."""
    return bool(now - row["seen_at"] >= SEEN_EVERY)


def same_until(row: dict[str, Any], viewer: Viewer, rule: FactorRule, *, now: datetime) -> datetime | None:
    """Say until when a row of find_seat that reads the same says the same: her session lives, nothing is due of it.

    None where it does not say so now: nobody's or another's, over, to be marked as used, or something has to be done
    first.
    """
    session = session_of(row, "", now=now) if row["token_hash"] else None
    if session is None or session.viewer != viewer or is_to_be_marked(row, now) or session.must(rule, now):
        return None
    ends = [row["expires_at"], row["seen_at"] + min(SEEN_EVERY, limits_of(viewer.role).idle)]
    if session.factor_due_at is not None:
        ends.append(session.factor_due_at)
    until: datetime = min(ends)
    return until if now < until else None


def _lives(row: dict[str, Any], now: datetime) -> bool:
    idle: timedelta = now - row["seen_at"]
    return bool(row["expires_at"] > now) and idle <= limits_of(Role(row["role"])).idle


def session_stands(connection: Connection, token_hash: bytes, *, now: datetime) -> bool:
    """Say whether a session a stream came through still lives."""
    row = connection.execute(queries("console")["session_find"], {"token_hash": token_hash}).fetchone()
    return row is not None and _lives(row, now)


def new_api_token() -> str:
    return API_TOKEN_PREFIX + secrets.token_urlsafe(32)


def choose_position(
    connection: Connection, session: Session, position_id: int | None, *, rule: FactorRule, now: datetime
) -> Viewer | None:
    """Make one of the person's positions the active one of this session, None for her first; None where it is not hers.

    The session lives no longer than the new role's sessions do, and the role's second factor becomes due.
    """
    user_id = session.viewer.user_id
    row: dict[str, Any] | None
    if position_id is None:
        row = connection.execute(_OWN["user_standing_by_id"], {"user_id": user_id}).fetchone()
    else:
        found = connection.execute(_OWN["positions"], {"user_id": user_id}).fetchall()
        row = next((position for position in found if position["id"] == position_id), None)
    if row is None:
        return None
    role = Role(row["role"])
    values = {
        "user_id": user_id, "token_hash": session.token_hash, "position_id": position_id, "community_id": None,
        "expires_at": session.created_at + limits_of(role).absolute, "due_at": rule.due_at(frozenset({role}), now),
    }  # fmt: skip
    connection.execute(_OWN["session_short"], values)
    connection.execute(_OWN["user_factor_due"], values)
    return replace(session.viewer, role=role, community_id=row["community_id"])


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
            row["line_id"], row["created_at"], row["seen_at"], row["agent"],
            session.token_hash.hex().startswith(row["line_id"]),
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
    values = {
        "now": now, "before": now - attempts.FAILURES_REMEMBERED, "devices_before": now - DEVICE_KNOWN_FOR,
    }  # fmt: skip
    connection.execute(queries("console")["session_forget"], values)
