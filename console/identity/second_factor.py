"""A person's second factor: codes of her authenticator or a recovery code enter, right or not leaves; each code counts once.

The secret lies sealed with a key derived from the installation's own, which the database does not have.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from console.identity import totp
from kaimen.database import Connection, queries
from kaimen.vocabulary import Role

_SQL = queries("console", "identity.sql")

RECOVERY_CODES = 10
_NONCE_BYTES = 12
#: A secret that is shown and not confirmed is not shown for ever.
UNCONFIRMED_LIVES = timedelta(minutes=30)
#: No 0/O and 1/I/L: recovery codes are read from paper.
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class FactorRule:
    """Which roles need a second factor, and how long after the first sign-in they may work without."""

    roles: frozenset[Role]
    grace: timedelta

    def due_at(self, roles: frozenset[Role], now: datetime) -> datetime | None:
        """From when on somebody who signs in now for the first time needs one; None: never."""
        return now + self.grace if roles & self.roles else None


@dataclass(frozen=True, slots=True)
class Factor:
    """What is known of a person's second factor; none has neither instant."""

    confirmed_at: datetime | None = None
    codes_left: int = 0


def _key(audit_key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(audit_key or b"kaimen", b"kaimen " + purpose, "sha256")


def _seal(secret: bytes, user_id: int, audit_key: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    # Bound to its person: a row that was copied to somebody else opens nothing there.
    return nonce + AESGCM(_key(audit_key, b"totp")).encrypt(nonce, secret, str(user_id).encode())


def _open(sealed: bytes, user_id: int, audit_key: bytes) -> bytes | None:
    """The secret, or None where it was sealed with another key: then only a reset helps."""
    try:
        return AESGCM(_key(audit_key, b"totp")).decrypt(
            sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], str(user_id).encode()
        )
    except InvalidTag:
        return None


def load_factor(connection: Connection, user_id: int) -> Factor:
    row = connection.execute(_SQL["factor"], {"user_id": user_id}).fetchone()
    return Factor() if row is None else Factor(row["confirmed_at"], row["codes_left"])


def offer_secret(connection: Connection, user_id: int, *, key: bytes, now: datetime) -> bytes | None:
    """Return the secret to be confirmed, the same for a while; None where a factor is confirmed already."""
    row = connection.execute(_SQL["factor"], {"user_id": user_id}).fetchone()
    if row is not None:
        if row["confirmed_at"] is not None:
            return None
        standing = _open(bytes(row["secret_sealed"]), user_id, key)
        if standing is not None and now - row["made_at"] < UNCONFIRMED_LIVES:
            return standing
    secret = secrets.token_bytes(totp.SECRET_BYTES)
    values = {"user_id": user_id, "secret": _seal(secret, user_id, key), "now": now}
    connection.execute(_SQL["factor_make"], values)
    return secret


def confirm(
    connection: Connection, user_id: int, code: str, *, key: bytes, now: datetime
) -> tuple[str, ...] | None:
    """Take the first code of a new authenticator; returns the recovery codes, said once, or None: it does not fit."""
    row = connection.execute(_SQL["factor"], {"user_id": user_id}).fetchone()
    secret = None if row is None else _open(bytes(row["secret_sealed"]), user_id, key)
    step = None if secret is None else totp.fitting_step(secret, plain(code), now)
    if step is None:
        return None
    changed = connection.execute(
        _SQL["factor_confirm"], {"user_id": user_id, "now": now, "step": step}
    ).rowcount
    return new_recovery_codes(connection, user_id, key=key, now=now) if changed else None


def new_recovery_codes(connection: Connection, user_id: int, *, key: bytes, now: datetime) -> tuple[str, ...]:
    """Make codes that each open the door once; those of before end."""
    connection.execute(_SQL["recovery_end"], {"user_id": user_id})
    codes = tuple(_recovery_code() for _ in range(RECOVERY_CODES))
    for code in codes:
        values = {"user_id": user_id, "code_hash": _recovery_hash(code, user_id, key), "now": now}
        connection.execute(_SQL["recovery_add"], values)
    return codes


def _recovery_code() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(16))
    return "-".join(letters[at : at + 4] for at in range(0, 16, 4))


def _recovery_hash(code: str, user_id: int, key: bytes) -> bytes:
    return hmac.digest(_key(key, b"recovery"), f"{user_id}:{plain(code)}".encode(), "sha256")


def plain(code: str) -> str:
    """A code as it is compared: people type spaces and dashes as they were printed."""
    return "".join(code.split()).replace("-", "").upper()[:40]


def check(connection: Connection, user_id: int, code: str, *, key: bytes, now: datetime) -> bool:
    """Say whether a code of the authenticator, or a recovery code, is right; it is used up by this."""
    typed = plain(code)
    if len(typed) != totp.DIGITS:
        values = {"user_id": user_id, "code_hash": _recovery_hash(typed, user_id, key), "now": now}
        return connection.execute(_SQL["recovery_use"], values).rowcount == 1
    row = connection.execute(_SQL["factor"], {"user_id": user_id}).fetchone()
    if row is None or row["confirmed_at"] is None:
        return False
    secret = _open(bytes(row["secret_sealed"]), user_id, key)
    step = None if secret is None else totp.fitting_step(secret, typed, now, used=row["step_used"])
    if step is None:
        return False
    return connection.execute(_SQL["factor_used"], {"user_id": user_id, "step": step}).rowcount == 1


def end(connection: Connection, user_id: int, *, now: datetime) -> bool:
    """Take the factor and its recovery codes away; where one is needed, it is needed from now on, without grace."""
    ended = connection.execute(_SQL["factor_end"], {"user_id": user_id}).rowcount > 0
    connection.execute(_SQL["recovery_end"], {"user_id": user_id})
    connection.execute(_SQL["steps_of_user_end"], {"user_id": user_id})
    connection.execute(_SQL["factor_due_now"], {"user_id": user_id, "now": now})
    return ended
