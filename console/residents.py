"""What a resident's pages, terminals and the desk's notes have in common: codes, passes, absences and notes.

A household and what was pressed or typed enter; rows change in the caller's transaction. Codes are kept as keyed
hashes: whoever reads the database alone cannot try all of them.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime, timedelta

from console.services import Services
from edge.credentials import token_of
from kaimen.database import Connection, queries

CODE_DIGITS = 8
PASSES_MAX = 10
#: Tries to draw a number that nobody has; with eight digits even the second is rare.
_DRAWS_MAX = 20
_SQL = queries("console", "residents.sql")


def hash_code(key: bytes, code: str) -> bytes:
    """Return what is stored of a terminal code."""
    return hmac.digest(key or b"kaimen", b"resident code " + _plain(code).encode(), "sha256")


def _plain(typed: str) -> str:
    return "".join(character for character in typed if not character.isspace() and character != "-")


def handle_of(token: str) -> str:
    """Return what stands for a card in an address: its hash's beginning, because addresses stand in histories."""
    return hash_code(b"card", token).hex()[:16]


def edge_key(services: Services) -> str | None:
    """The edge's key of credential tokens, where the console was given it."""
    found = services.settings.edge_credential_key
    return found.get_secret_value() or None if found else None


def tokens_of(connection: Connection, services: Services, community_id: str, typed: str) -> list[str]:
    """Return the credential tokens that something read from a card may stand for in a community."""
    read = typed.strip()
    sites = connection.execute(_SQL["sites_of"], {"community_id": community_id}).fetchall()
    keyed = [token_of(edge_key(services), row["id"], read) for row in sites]
    return [read, *(token for token in keyed if token is not None)]


def make_code(connection: Connection, services: Services, household_id: str, now: datetime) -> str:
    """Draw a new terminal code; the one before ends. It is returned once and not stored."""
    connection.execute(_SQL["code_end"], {"household_id": household_id, "now": now})
    for _ in range(_DRAWS_MAX):
        code = _draw()
        values = {
            "household_id": household_id, "now": now,
            "code_hash": hash_code(services.audit_key, code),
        }  # fmt: skip
        if connection.execute(_SQL["code_add"], values).fetchone() is not None:
            return code
    raise RuntimeError("no terminal code is free")


def make_pass(
    connection: Connection,
    services: Services,
    *,
    household_id: str,
    site_id: str,
    user_id: int,
    to_at: datetime,
    now: datetime,
) -> str:
    """Issue a credential of class visitor until ``to_at`` and return what the guest shows or types, once.

    With the edge's key it is eight digits, of which the token is stored; without it readers report what they read,
    so the token itself is what the guest shows.
    """
    key = edge_key(services)
    for _ in range(_DRAWS_MAX):
        shown = _draw() if key else "v_" + secrets.token_hex(8)
        values = {
            "token": token_of(key, site_id, shown) or shown, "household_id": household_id, "user_id": user_id,
            "to_at": to_at, "now": now,
        }  # fmt: skip
        if connection.execute(_SQL["pass_add"], values).fetchone() is not None:
            return shown
    raise RuntimeError("no pass is free")


def _draw() -> str:
    return str(secrets.randbelow(9 * 10 ** (CODE_DIGITS - 1)) + 10 ** (CODE_DIGITS - 1))


def declare_away(connection: Connection, household_id: str, *, days: int, now: datetime) -> int | None:
    """Write an absence from now for some days, told by the resident herself; None where one stands already."""
    sql = queries("console")
    span = {"household_id": household_id, "from_at": now, "to_at": now + timedelta(days=days)}
    overlaps = connection.execute(sql["absence_overlaps"], span).fetchone()
    if overlaps and overlaps["overlaps"]:
        return None
    row = connection.execute(
        sql["absence_add"], {**span, "reason": "other", "declared_by": "resident", "now": now}
    ).fetchone()
    assert row is not None
    return int(row["id"])


def ask_desk(
    connection: Connection,
    *,
    community_id: str,
    kind: str,
    now: datetime,
    household_id: str | None = None,
    credential: str | None = None,
    kiosk_id: int | None = None,
    said: str = "",
    door: str = "",
) -> None:
    """Leave a note with the desk; what is asked for already is not asked for twice."""
    values = {
        "community_id": community_id, "kind": kind, "household_id": household_id, "credential": credential,
        "kiosk_id": kiosk_id, "said": said, "door": door, "at": now,
    }  # fmt: skip
    if connection.execute(_SQL["note_standing"], values).fetchone() is None:
        connection.execute(_SQL["note_add"], values)
