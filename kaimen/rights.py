"""The rights of the services at the database: a connection of the owner enters; roles, grants and policies are as wanted.

``rights.sql`` says who may do what. It is applied whole, in one transaction, whenever it is another than the one applied
last or a table came since. Where the roles are missing and may not be made here, nothing is changed: everything goes on
connecting as the owner, and ``kaimen doctor`` says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, LiteralString

import psycopg
from psycopg import sql

#: Who connects as what; none of them owns anything, and none passes row-level security.
ROLES = ("kaimen_console", "kaimen_ingest", "kaimen_alerts", "kaimen_watchdog", "kaimen_rights")


def apply_rights(connection: psycopg.Connection[Any]) -> bool:
    """Bring roles, grants and policies to what ``rights.sql`` says; False where roles are missing and cannot be made.

    The connection commits by itself. A schema from before there were rights is left as it is.
    """
    text: LiteralString = files("kaimen").joinpath("rights.sql").read_text(encoding="utf-8")
    versions = connection.execute(
        "SELECT string_agg(version::text, ' ' ORDER BY version), to_regclass('applied_rights') IS NOT NULL"
        " FROM schema_migrations"
    ).fetchone()
    assert versions is not None
    known, has_rights = versions
    if not has_rights:
        return False
    digest = hashlib.sha256(f"{known}\n{text}".encode()).hexdigest()
    if not make_roles(connection):
        return False
    with connection.transaction():
        row = connection.execute("SELECT digest FROM applied_rights").fetchone()
        if row is not None and row[0] == digest:
            return True
        connection.execute(text)
        # The machine's clock is right here: this row says when an operator upgraded, it decides nothing.
        connection.execute(
            "INSERT INTO applied_rights (digest, applied_at) VALUES (%s, clock_timestamp())"
            " ON CONFLICT (only_row) DO UPDATE SET digest = excluded.digest, applied_at = excluded.applied_at",
            (digest,),
        )
    return True


def make_roles(connection: psycopg.Connection[Any]) -> bool:
    """Make the roles that are missing, without a password; False where some are missing and this login may not."""
    found = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", (list(ROLES),)
    ).fetchall()
    missing = [role for role in ROLES if role not in {row[0] for row in found}]
    if not missing:
        return True
    may = connection.execute(
        "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    if may is None or not may[0]:
        return False
    for role in missing:
        try:
            with connection.transaction():
                connection.execute(
                    sql.SQL(
                        "CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT"
                    ).format(sql.Identifier(role))
                )
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            continue  # another database of the same server was migrated at the same moment
    return True


def set_passwords(connection: psycopg.Connection[Any], passwords: Mapping[str, str]) -> None:
    """Give roles their passwords; ``passwords`` maps a role's name to its password.

    Whoever has a password may sign in: a restore makes the roles that a backup names, and lets none of them in.
    """
    for role, password in passwords.items():
        if role not in ROLES:
            raise ValueError(f"{role} is none of {', '.join(ROLES)}")
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN NOINHERIT PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(password)
            )
        )


def introduce_console(connection: psycopg.Connection[Any], key: bytes) -> None:
    """Let the database know the console that shows ``key``; the one before is let in no more."""
    connection.execute(
        "UPDATE scope_keys SET console_hash = sha256(%(key)s) WHERE console_hash IS DISTINCT FROM sha256(%(key)s)",
        {"key": key},
    )
