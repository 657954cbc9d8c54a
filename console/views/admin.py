"""Administration, and who looked at what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.views.communities import Step
from console.views.parts import Act, HouseholdName
from console.views.registry import TEMPLATES
from kaimen.vocabulary import (
    Role,
)


@dataclass(frozen=True, slots=True)
class UserRow:
    name: str
    display_name: str
    role: Role
    created_at: datetime
    seen_at: datetime | None = None
    disabled_at: datetime | None = None
    act: Act | None = None  # disable, enable


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """``at`` is the community time up to which it has done its work."""

    name: str
    at: datetime | None
    turn: int
    behind_ms: int
    healthy: bool


@dataclass(frozen=True, slots=True)
class AdminPage:
    users: tuple[UserRow, ...]
    services: tuple[ServiceRow, ...]
    installation: str  # demo, production
    installed_at: datetime
    version: str
    storage: str  # plain, timescale, timescale_community
    quarantine_waiting: int = 0
    duty_gaps: int | None = 0  # None: nobody is looked after yet
    audit_ok: bool | None = None
    audit_count: int = 0
    audit_checked_at: datetime | None = None
    steps: tuple[Step, ...] = ()  # what is still to be done before anybody is watched; empty once all is
    adds_communities: bool = False


@dataclass(frozen=True, slots=True)
class LookRow:
    """Who looked at a person's data; ``purpose`` and ``action`` are words below ``audit.``."""

    at: datetime
    who: str
    role: str
    action: str
    purpose: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class LookedPage:
    rows: tuple[LookRow, ...]
    household: HouseholdName | None = None
    newer_url: str | None = None
    older_url: str | None = None


TEMPLATES["looked.html"] = (LookedPage, "/looked")  # ?household=
TEMPLATES["admin.html"] = (AdminPage, "/admin")
