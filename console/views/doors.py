"""What pages show of doors beside inactivity, as frozen dataclasses: loaders fill them, templates read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.views.registry import TEMPLATES


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One fact: ``kind`` below ``signal.``, ``end`` below ``signal.end.``; ``count`` events were folded into it."""

    kind: str
    at: datetime
    door: str
    home: str = ""
    count: int = 1
    accepted: bool = False  # a card that is over, and the door opened all the same
    late: bool = False
    ended_at: datetime | None = None
    end: str = ""
    log_url: str | None = None
    case_number: str = ""  # of the case it opened or joined
    case_url: str | None = None
    case_closed: bool = False
    case_holder: str | None = None


@dataclass(frozen=True, slots=True)
class DenialRow:
    """A door that refused people: how often, how often somebody nobody knows, and when last."""

    door: str
    denied: int
    unknown: int
    last_at: datetime
    log_url: str | None = None


@dataclass(frozen=True, slots=True)
class SignalsPage:
    """What needs a look: facts since the beginning of the span and those that stand, then doors that refused."""

    rows: tuple[SignalRow, ...]
    denials: tuple[DenialRow, ...]
    days: int = 1
    standing: int = 0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class RentalRow:
    """A dwelling to look after; ``why`` below ``rental.why.``; ``names`` are masked."""

    home: str
    why: str
    since: datetime | None = None
    lease_to: datetime | None = None
    registered: int | None = None
    in_use: int | None = None
    names: tuple[str, ...] = ()
    url: str | None = None  # of the household's page, and the case the fact opened; none for police
    case_number: str = ""
    case_url: str | None = None
    case_closed: bool = False
    case_holder: str | None = None


@dataclass(frozen=True, slots=True)
class RentalsPage:
    """Counts of a community, and the dwellings to look after; empty homes are a count and never a list."""

    let: int
    with_lease: int
    ending: int
    empty: int
    rows: tuple[RentalRow, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class PresenceView:
    """Shown once after an audited reveal: ``state`` below ``presumed.``, ``reason`` below ``presence.by.``."""

    state: str
    reason: str
    since: datetime | None
    as_of: datetime


@dataclass(frozen=True, slots=True)
class HomeNews:
    """For a relative: when somebody came home, and what she chose to be told.

    ``came_home_at`` is shown with minutes only where ``exact``; ``presumed``: a door opened after somebody had gone out, and
    nobody's card was read. ``missed_at`` is the hour nobody was home by, as far as
    could be told: ``missed_by``, below ``presence.by.``, says why it could not; "" where it could.
    """

    came_home_at: datetime | None = None
    exact: bool = False
    missed_at: datetime | None = None
    missed_by: str = ""
    came_home: bool = False
    not_home: bool = False
    by_time: str = ""
    presumed: bool = False


TEMPLATES["signals.html"] = (SignalsPage, "/signals")  # ?days=1, 7
TEMPLATES["rentals.html"] = (RentalsPage, "/rentals")
