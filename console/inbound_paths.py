"""Addresses that providers call back: a provider enters, a secret path leaves once; later a shown secret is judged.

Providers of text messages sign nothing, so the address itself is the proof: 256 random bits for each provider, of which
only the hash is kept. A new one lets the one before it live for two days, the time to enter it at the provider and for
reports that are on their way; a lost or seen one is ended at once by making two.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from kaimen.database import Connection, queries

_SQL = queries("console", "channels.sql")

#: Providers whose receipts come to an address with a secret, and the beginning of that address.
PROVIDERS = {"sms_aliyun": "/in/sms-aliyun", "sms_tencent": "/in/sms-tencent"}
LIVES_ON = timedelta(days=2)
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class InboundState:
    """Whether a provider has an address, since when, when it was last used, and until when an older one is taken."""

    provider: str
    made_at: datetime | None = None
    used_at: datetime | None = None
    older_until: datetime | None = None


def make_path(connection: Connection, provider: str, *, by: str, wall: datetime) -> str:
    """Return a provider's new address below the public one; it can be read here and never again.

    Raises
    ------
    KeyError
        If the provider has no such address.
    """
    beginning = PROVIDERS[provider]
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    values = {"provider": provider, "wall": wall, "ends_at": wall + LIVES_ON, "by": by}
    # Of those replaced one goes on; what was replaced before it ends now.
    connection.execute(_SQL["end_inbound_paths"], values)
    connection.execute(_SQL["replace_inbound_path"], values)
    connection.execute(_SQL["insert_inbound_path"], {**values, "secret_hash": _hash(secret)})
    return f"{beginning}/{secret}"


def is_path(connection: Connection, provider: str, secret: str, *, wall: datetime) -> bool:
    """Say whether this secret is one of the provider's now, and note that it was used."""
    values = {"provider": provider, "secret_hash": _hash(secret), "wall": wall}
    return connection.execute(_SQL["use_inbound_path"], values).fetchone() is not None


def has_path(connection: Connection, provider: str, *, wall: datetime) -> bool:
    """Say whether the provider has an address at all."""
    return any(one.provider == provider and one.made_at for one in load_states(connection, wall=wall))


def load_states(connection: Connection, *, wall: datetime) -> list[InboundState]:
    """Return the state of every provider's address."""
    rows = {row["provider"]: row for row in connection.execute(_SQL["inbound_states"], {"wall": wall})}
    return [InboundState(**rows[name]) if name in rows else InboundState(name) for name in PROVIDERS]


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
