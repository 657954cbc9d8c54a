"""How the console shows the database that it is the console: the key of its file enters, its own scope is open.

A signed-in person's scope is opened by her session instead (console/seat.py). Somebody with the console's login at the
database and without this key opens neither.
"""

from __future__ import annotations

import hmac

from kaimen.database import Connection, Pool, queries, transaction

OPEN_CONSOLE = queries("console")["open_console"]


def console_key(secret: bytes) -> bytes:
    """Return what is shown, made of the key in KAIMEN_CONSOLE_SECRET_FILE; the database keeps its hash."""
    return hmac.digest(secret or b"kaimen", b"kaimen console", "sha256")


def open_console(connection: Connection, secret: bytes) -> None:
    """Let the console itself in, in this transaction."""
    connection.execute(OPEN_CONSOLE, {"key": console_key(secret)})


def is_let_in(pool: Pool, secret: bytes) -> bool:
    """Say whether the database knows the console, or takes it for its owner."""
    with transaction(pool) as connection:
        row = connection.execute(OPEN_CONSOLE, {"key": console_key(secret)}).fetchone()
        owner = connection.execute(queries("console")["is_owner"]).fetchone()
    return bool((row and row["open"]) or (owner and owner["yes"]))
