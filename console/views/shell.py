"""What surrounds a page: navigation, clock, connection, who is on duty, the last act's notice; and the page of a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.views.parts import Phrase
from console.views.registry import TEMPLATES
from kaimen.vocabulary import (
    Role,
)


@dataclass(frozen=True, slots=True)
class NavItem:
    """``name`` is a word below ``nav.``; ``count`` None shows nothing; ``daily`` stands in a narrow screen's bar."""

    name: str
    url: str
    count: int | None = None
    current: bool = False
    daily: bool = False


@dataclass(frozen=True, slots=True)
class NavGroup:
    """``name`` is a word below ``nav.``: service (服务), manage (管理), judge (研判); ``count`` sums its pages'."""

    name: str
    items: tuple[NavItem, ...]
    foldable: bool = False
    folded: bool = False  # where it is foldable
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Duty:
    name: str  # empty: nobody is at the desk until then
    until: datetime
    alarms_this_hour: int
    guard: str = ""  # who is at the gate while nobody is at the desk


@dataclass(frozen=True, slots=True)
class Position:
    """One of the positions somebody holds; ``id`` empty: her first. One is active at a time."""

    id: str
    role: Role
    place: str = ""
    current: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A community somebody may work for; ``calling`` counts its open cases of priority 2 and 3."""

    id: str
    name: str
    calling: int
    current: bool = False


@dataclass(frozen=True, slots=True)
class Shell:
    """What surrounds every page. ``now`` is community time, ``speed`` its pace, ``heard_at`` ingest's progress."""

    community: str
    language: str  # zh, en
    now: datetime
    csrf: str
    path: str  # this page with its query, for language switch and return
    zone: str = "Asia/Shanghai"
    user: str | None = None
    role: Role | None = None
    nav: tuple[NavGroup, ...] = ()
    demo: bool = False
    speed: float = 1.0  # 0: paused
    stream_url: str | None = None  # server-sent events; None: page is not live
    heard_at: datetime | None = None
    behind_ms: int = 0  # how far ingest's or alerts' turn is behind; over two minutes is said on every page
    duty: Duty | None = None
    notice: Phrase | None = None  # what the last act did, said once
    version: str = ""
    unreached: bool = False  # the watchdog found that no way out of the house works
    watchdog_silent: bool = False
    outbox_held: bool = False  # nothing leaves the house but what a person lets go
    places: tuple[Place, ...] = ()  # of one, and of those who choose none, nothing
    positions: tuple[Position, ...] = ()  # of one, and of those who choose none, nothing
    factor_due_at: datetime | None = None  # wall time until which she may work without a second factor
    user_id: int | None = None  # whose page it is: a form on it is sent by nobody else


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """``status`` 400, 401, 403, 404, 405, 409, 422, 429, 500, 503; ``word`` names the refusal (below ``error.``)."""

    status: int
    word: str | None = None
    request_id: str | None = None
    retry_url: str | None = None


TEMPLATES["error.html"] = (ErrorPage, "")
TEMPLATES["offline.html"] = (ErrorPage, "/offline")
