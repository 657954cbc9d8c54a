"""The services' logins at the database around an upgrade: passwords and the console's key enter, a sentence leaves."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg

from console.opening import console_key
from kaimen.rights import ROLES, introduce_console, make_roles, set_passwords


class RolesError(RuntimeError):
    """The logins could not be settled; the text says what to do."""


def password_variable(role: str) -> str:
    """Return the name of the environment variable that holds this login's password."""
    return f"KAIMEN_DATABASE_PASSWORD_{role.removeprefix('kaimen_').upper()}"


def _wanted() -> dict[str, str]:
    return {role: os.environ[name] for role in ROLES if (name := password_variable(role)) in os.environ}


def make_logins(admin_url: str, password_file: Path | None) -> None:
    """Make the services' logins as a superuser, with the passwords that the environment holds.

    Raises
    ------
    RolesError
        If this login may not make them.
    """
    password = None if password_file is None else password_file.read_text(encoding="utf-8").strip()
    with psycopg.connect(
        admin_url, password=password, application_name="kaimen roles", autocommit=True
    ) as connection:
        # Roles are the server's: two upgrades of two databases wait for one another.
        connection.execute("SELECT pg_advisory_lock(7241005)")
        if not make_roles(connection):
            raise RolesError("the administrator's login may not make roles: name a superuser's")
        set_passwords(connection, _wanted())


def settle_roles(url: str, console_secret_file: Path | None, *, sets_passwords: bool) -> str:
    """Introduce the console and set passwords, where nobody did as a superuser; say what the database has now.

    Raises
    ------
    RolesError
        If there are passwords to set and this login may not set them.
    """
    with psycopg.connect(url, application_name="kaimen roles") as connection:
        if console_secret_file is not None:
            introduce_console(connection, console_key(console_secret_file.read_bytes().strip()))
        try:
            set_passwords(connection, _wanted() if sets_passwords else {})
        except psycopg.errors.InsufficientPrivilege as error:
            raise RolesError(
                "this login may not set the services' passwords: name a superuser's with --admin-url"
            ) from error
        except psycopg.errors.UndefinedObject as error:
            raise RolesError(
                "the services' logins are missing and this login may not make them: name a superuser's with --admin-url"
            ) from error
        row = connection.execute("SELECT applied_at FROM applied_rights").fetchone()
    if row is None:
        return (
            "the services' logins are missing and this login may not make them: everything goes on connecting as the"
            " owner, without row-level security (docs/operating.md, 'Logins at the database')"
        )
    return "rights are applied: " + ", ".join(ROLES)
