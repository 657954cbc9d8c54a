"""What the pages about the watchdog, the list of whom to call, and the figures show: frozen view-models."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from console.views.registry import TEMPLATES

if TYPE_CHECKING:
    from console.effort import EffortRow
    from console.views.parts import Contact, HouseholdName


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One kind of fault, or one that is over; instants are wall time."""

    title: str
    mend: str
    subjects: tuple[str, ...]
    since: datetime
    ended_at: datetime | None = None
    told_count: int = 0


@dataclass(frozen=True, slots=True)
class WatchdogPage:
    """``turned_at`` None: it never ran."""

    standing: tuple[FindingRow, ...]
    ended: tuple[FindingRow, ...]
    turned_at: datetime | None
    silent: bool
    has_channel: bool
    has_ping: bool
    told_at: datetime | None
    pinged_at: datetime | None


@dataclass(frozen=True, slots=True)
class CallRow:
    """One case for which people must be rung from paper."""

    number: str
    household: HouseholdName | None
    name: str
    phone: str | None
    due_at: datetime | None
    contacts: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True)
class Colleague:
    name: str
    role: str
    phone: str


@dataclass(frozen=True, slots=True)
class CallListPage:
    rows: tuple[CallRow, ...]
    colleagues: tuple[Colleague, ...]
    at: datetime
    printed_by: str
    more: int = 0


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One span of time of one community; shares are 0..1, None where nothing happened."""

    begins_at: datetime
    annunciated: int
    per_operator_hour: float
    floods: int
    stale: int
    chattering: int
    high: int
    middle: int
    low: int
    acknowledge_s: float | None
    call_s: float | None
    visit_s: float | None
    visits_due: int
    visits_on_time: int


@dataclass(frozen=True, slots=True)
class FiguresPage:
    """``span`` is day, week or month; ``communities`` to choose from, for whoever looks after several."""

    span: str
    rows: tuple[FigureRow, ...]
    community: str
    communities: tuple[tuple[str, str], ...] = ()
    community_id: str = ""
    effort: tuple[EffortRow, ...] = ()


TEMPLATES["watchdog.html"] = (WatchdogPage, "/watchdog")
TEMPLATES["call_list.html"] = (CallListPage, "/watchdog/call-list")
TEMPLATES["figures.html"] = (FiguresPage, "/figures")
