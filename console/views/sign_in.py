"""Signing in, and where somebody is signed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.views.parts import Form
from console.views.registry import TEMPLATES
from kaimen.vocabulary import (
    Role,
)


@dataclass(frozen=True, slots=True)
class DemoUser:
    name: str
    password: str
    role: Role


@dataclass(frozen=True, slots=True)
class SignInPage:
    form: Form
    next: str = "/"
    demo_users: tuple[DemoUser, ...] = ()
    wait_ms: int = 0  # until the next attempt is looked at
    outer_name: str = ""  # of an identity provider people may sign in with
    outer_subject: str = ""  # who somebody is there whom nobody tied here yet
    lost: bool = False  # she pressed something after her session had ended: it was not taken
    sends_codes: bool = False  # relatives and residents may come in with a code sent to them


@dataclass(frozen=True, slots=True)
class SentAskPage:
    """Where a code is asked for."""

    form: Form
    next: str = "/"
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class SentCodePage:
    """Where a code that may have been sent is typed; it never says whether one was."""

    form: Form
    next: str = "/"


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One of the reader's own sign-ins; times are wall time. ``device`` and ``browser`` are names, not addresses."""

    id: str
    created_at: datetime
    seen_at: datetime
    device: str = ""
    browser: str = ""
    current: bool = False
    end_url: str | None = None


@dataclass(frozen=True, slots=True)
class SessionsPage:
    rows: tuple[SessionRow, ...]
    wall_now: datetime
    failures_before: int = 0  # how often the name failed between the last two sign-ins
    factor: bool = False
    codes_left: int = 0
    tokens: int = 0
    tokens_offered: bool = True


TEMPLATES["sign_in.html"] = (SignInPage, "/sign-in")
TEMPLATES["sign_in_sent.html"] = (SentAskPage, "/sign-in/sent")
TEMPLATES["sign_in_sent_code.html"] = (SentCodePage, "/sign-in/sent/code")
TEMPLATES["sessions.html"] = (SessionsPage, "/sessions")
