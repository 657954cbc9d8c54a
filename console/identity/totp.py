"""Codes of an authenticator: a secret and an instant enter, the code of that half minute or the step it fits leaves; pure.

Source: RFC 6238 over RFC 4226, with what every authenticator supports: HMAC-SHA-1, six digits, 30 s.
"""

from __future__ import annotations

import base64
import hmac
from datetime import datetime
from urllib.parse import quote

STEP_S = 30
DIGITS = 6
#: Telephones are seldom more than half a minute off; each step more is one more code that fits.
DRIFT_STEPS = 1
SECRET_BYTES = 20


def code_of(secret: bytes, step: int, *, digits: int = DIGITS) -> str:
    """Return the code of one step."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}}"


def step_of(at: datetime) -> int:
    return int(at.timestamp()) // STEP_S


def fitting_step(secret: bytes, code: str, at: datetime, *, used: int = 0) -> int | None:
    """Return the step whose code this is, at most one beside now and later than ``used``; None: it fits none."""
    now = step_of(at)
    fits = [
        step
        for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1)
        if hmac.compare_digest(code_of(secret, step).encode(), code.encode()) and step > used
    ]
    return fits[0] if fits else None


def secret_text(secret: bytes) -> str:
    """How a person types the secret into her authenticator."""
    return base64.b32encode(secret).decode().rstrip("=")


def enrolment_url(secret: bytes, *, name: str, issuer: str = "Kaimen") -> str:
    """What the QR code of the enrolment page says; authenticators know this form."""
    return f"otpauth://totp/{quote(issuer)}:{quote(name)}?secret={secret_text(secret)}&issuer={quote(issuer)}"
