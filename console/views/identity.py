"""What the pages of sign-in, one's own account and the people of an installation show: frozen view-models."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from console.views.parts import Choice, Form
from console.views.registry import TEMPLATES
from kaimen.vocabulary import Role


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


@dataclass(frozen=True, slots=True)
class RequestRow:
    """What waits for a second administrator; ``own``: this reader asked it, or it is about her."""

    id: int
    kind: str
    name: str
    display_name: str
    asker: str
    asked_at: datetime
    expires_at: datetime
    role: Role | None = None
    place: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True)
class PersonRow:
    name: str
    display_name: str
    role: Role
    place: str = ""
    seen_at: datetime | None = None
    disabled_at: datetime | None = None
    factor: bool = False


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """People who sign in, a part of them by name; ``more``: the name after which the next part begins."""

    form: Form
    rows: tuple[PersonRow, ...]
    requests: tuple[RequestRow, ...] = ()
    roles: tuple[str, ...] = ()
    more: str = ""


@dataclass(frozen=True, slots=True)
class NewPersonPage:
    form: Form
    roles: tuple[str, ...]
    places: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class HeldPosition:
    id: int
    role: Role
    place: str = ""


@dataclass(frozen=True, slots=True)
class StaffPhone:
    """On which number somebody is rung, and where in the order; empty: on none."""

    number: str
    position: int


@dataclass(frozen=True, slots=True)
class PersonPage:
    """One person who signs in. ``may_act`` False: the reader herself, or nobody this reader changes."""

    row: PersonRow
    created_at: datetime
    form: Form
    sessions: int = 0
    factor_at: datetime | None = None
    trained_until: date | None = None
    password_due: bool = False
    positions: tuple[HeldPosition, ...] = ()
    places: tuple[Choice, ...] = ()  # other communities she works for
    tokens: tuple[TokenRow, ...] = ()
    outer: tuple[str, ...] = ()  # who she is at the identity provider
    outer_name: str = ""
    requests: tuple[RequestRow, ...] = ()
    roles: tuple[str, ...] = ()
    all_places: tuple[Choice, ...] = ()
    phone: StaffPhone | None = None
    may_act: bool = True
    shown_password: str = ""


TEMPLATES["people.html"] = (PeoplePage, "/admin/people")
TEMPLATES["person_new.html"] = (NewPersonPage, "/admin/people/new")
TEMPLATES["person.html"] = (PersonPage, "/admin/people/{name}")
TEMPLATES["sign_in_code.html"] = (CodePage, "/sign-in/code")
TEMPLATES["account_factor.html"] = (FactorPage, "/account/second-factor")
TEMPLATES["account_password.html"] = (PasswordPage, "/account/password")
TEMPLATES["account_tokens.html"] = (TokensPage, "/account/tokens")
