"""What the pages of sign-in, one's own account and the people of an installation show: frozen view-models."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.views import TEMPLATES, Form


@dataclass(frozen=True, slots=True)
class CodePage:
    """The second step of signing in."""

    form: Form
    next: str = "/"
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class FactorPage:
    """One's own second factor. ``url`` and ``secret``: not confirmed yet; ``codes``: recovery codes, said this once."""

    form: Form
    confirmed_at: datetime | None = None
    codes_left: int = 0
    url: str = ""
    secret: str = ""
    codes: tuple[str, ...] = ()
    needed: bool = False
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """One's own password; ``due``: it was made by somebody else and is changed first."""

    form: Form
    due: bool = False
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token of a program; the token itself is not known to anybody any more. ``revoke_url`` empty: not by this reader."""

    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    seen_at: datetime | None = None
    revoke_url: str = ""


@dataclass(frozen=True, slots=True)
class TokensPage:
    """One's own tokens; ``shown`` is a new one, said this once."""

    form: Form
    rows: tuple[TokenRow, ...] = ()
    scopes: tuple[str, ...] = ()
    shown: str = ""


TEMPLATES["sign_in_code.html"] = (CodePage, "/sign-in/code")
TEMPLATES["account_factor.html"] = (FactorPage, "/account/second-factor")
TEMPLATES["account_password.html"] = (PasswordPage, "/account/password")
TEMPLATES["account_tokens.html"] = (TokensPage, "/account/tokens")
