"""Acts on the people who sign in: what an administrator asks enters; it is done, or waits for a second administrator.

Whatever gives a role that sees far, or a way in as somebody who holds one, is asked by one person and agreed by
another; neither is the person it is about. Times are wall time.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from console.identity import second_factor
from console.identity import sessions as identity
from console.identity.positions import AGREED_ROLES
from kaimen.database import Connection, queries
from kaimen.vocabulary import Role

_SQL = queries("console", "identity.sql")
_CONSOLE = queries("console")

REQUEST_LIVES = timedelta(days=7)


class Kind(StrEnum):
    """What is asked."""

    GIVE_POSITION = "give_position"
    CHANGE_ROLE = "change_role"
    ADD_PERSON = "add_person"
    RESET_FACTOR = "reset_factor"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a word, not one
    TIE_IDENTITY = "tie_identity"


@dataclass(frozen=True, slots=True)
class Asked:
    """One act on one person; what a kind does not need is None."""

    kind: Kind
    user_id: int
    role: Role | None = None
    community_id: str | None = None
    issuer: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it; ``password`` is said once, to whoever did the last step."""

    waits: bool
    password: str = ""


def needs_second(asked: Asked, present_roles: frozenset[Role]) -> bool:
    """Say whether a second administrator has to agree: the role is given, or it is held already."""
    held = set(present_roles)
    if asked.role is not None and asked.kind in (Kind.GIVE_POSITION, Kind.CHANGE_ROLE, Kind.ADD_PERSON):
        held.add(asked.role)
    return bool(held & AGREED_ROLES)


def roles_of(connection: Connection, user_id: int) -> frozenset[Role]:
    """Every role somebody holds, her first and the others."""
    rows = connection.execute(_SQL["shell_positions"], {"user_id": user_id}).fetchall()
    return frozenset(Role(row["role"]) for row in rows)


def ask(connection: Connection, asked: Asked, *, by: int, now: datetime) -> Done:
    """Do it, or write it down for a second administrator."""
    connection.execute(_SQL["person_lock"], {"user_id": asked.user_id})
    if not needs_second(asked, roles_of(connection, asked.user_id)):
        return Done(False, carry_out(connection, asked, by=f"user:{by}", now=now))
    values = {
        "kind": asked.kind.value, "user_id": asked.user_id, "role": asked.role.value if asked.role else None,
        "community_id": asked.community_id, "issuer": asked.issuer, "subject": asked.subject, "asked_by": by,
        "now": now, "expires_at": now + REQUEST_LIVES,
    }  # fmt: skip
    connection.execute(_SQL["request_add"], values)
    return Done(True)


def find_request(
    connection: Connection, request_id: int, *, community_id: str | None, now: datetime
) -> Mapping[str, Any] | None:
    """Return a request that waits, locked until the end of the transaction."""
    values = {"id": request_id, "community_id": community_id, "now": now}
    return connection.execute(_SQL["request_lock"], values).fetchone()


def decide(
    connection: Connection, row: Mapping[str, Any], *, agreed: bool, decided_by: int | None, now: datetime
) -> str:
    """Carry a request out, or refuse it; returns a new password, where there is one. None decided: the command line."""
    values = {
        "id": row["id"], "state": "agreed" if agreed else "refused", "decided_by": decided_by, "now": now,
    }  # fmt: skip
    connection.execute(_SQL["request_decide"], values)
    if not agreed:
        return ""
    asked = Asked(
        Kind(row["kind"]), row["user_id"], Role(row["role"]) if row["role"] else None, row["community_id"],
        row["issuer"], row["subject"],
    )  # fmt: skip
    by = "command-line" if decided_by is None else f"user:{decided_by}"
    return carry_out(connection, asked, by=by, now=now)


def carry_out(connection: Connection, asked: Asked, *, by: str, now: datetime) -> str:
    """Do what was asked; returns a new password, where there is one."""
    values: dict[str, Any] = {
        "user_id": asked.user_id, "role": asked.role.value if asked.role else None,
        "community_id": asked.community_id, "issuer": asked.issuer, "subject": asked.subject, "by": by, "now": now,
    }  # fmt: skip
    match asked.kind:
        case Kind.ADD_PERSON:
            connection.execute(_SQL["person_enable"], values)
        case Kind.CHANGE_ROLE:
            connection.execute(_SQL["person_role"], values)
            for what in ("person_places_end", "positions_of_user_end", "tokens_of_user_revoke"):
                connection.execute(_SQL[what], values)
            connection.execute(_CONSOLE["sessions_of_user_end"], values)
        case Kind.GIVE_POSITION:
            connection.execute(_SQL["position_add"], values)
        case Kind.TIE_IDENTITY:
            connection.execute(_SQL["outer_tie"], values)
        case Kind.RESET_FACTOR:
            second_factor.end(connection, asked.user_id, now=now)
            connection.execute(_CONSOLE["sessions_of_user_end"], values)
        case Kind.RESET_PASSWORD:
            return _reset_password(connection, asked.user_id)
    return ""


def _reset_password(connection: Connection, user_id: int) -> str:
    """A password said once; its person changes it before she sees anything."""
    password = new_password()
    values = {"user_id": user_id, "password_hash": identity.hash_password(password), "due": True}
    connection.execute(_SQL["password_change"], values)
    for what in ("devices_of_user_end", "steps_of_user_end", "attempts_forget_name"):
        connection.execute(_SQL[what], values)
    connection.execute(_CONSOLE["sessions_of_user_end"], values)
    return password


def add_person(
    connection: Connection, *, name: str, display_name: str, role: Role, community_id: str | None, language: str,
    by: int, now: datetime,
) -> tuple[int, Done]:  # fmt: skip
    """Add somebody with a password said once; of a role that a second administrator agrees to, she comes in after that.

    Raises
    ------
    ValueError
        If the name is taken.
    """
    password = new_password()
    user_id = identity.add_user(
        connection, name=name, display_name=display_name, password=password, role=role, community_id=community_id,
        now=now, language=language,
    )  # fmt: skip
    values = {"user_id": user_id, "now": now}
    connection.execute(_SQL["password_due"], values)
    asked = Asked(Kind.ADD_PERSON, user_id, role, community_id)
    if needs_second(asked, frozenset({role})):
        connection.execute(_SQL["person_disable"], values)
        ask(connection, asked, by=by, now=now)
        return user_id, Done(True, password)
    return user_id, Done(False, password)


def new_password() -> str:
    return secrets.token_urlsafe(12)
