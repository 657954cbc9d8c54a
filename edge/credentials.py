"""Credentials become pseudonymous tokens: a card number and the site's key enter, a token leaves; pure.

Only the token passes on. The same card at the same site always gives the same token; without the key nobody can
tell which card it was, and without a key no credential passes on at all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

_TOKEN_BYTES = 10


def token_of(key: str | None, site: str, credential: str | None) -> str | None:
    """Return ``c_`` and 16 letters of a keyed hash; None without a key or a credential."""
    if not key or not credential:
        return None
    text = f"{site}\x00{credential.strip().upper()}".encode()
    digest = hmac.new(key.encode(), text, hashlib.sha256).digest()
    return "c_" + base64.b32encode(digest[:_TOKEN_BYTES]).decode().lower()
