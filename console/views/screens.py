"""What directors, the community committee, residents, the desk's notes and terminals are shown, as frozen dataclasses.

Loaders fill them, templates read them. Directors and the committee get numbers alone, and none of them depends on
whether anybody is away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from console.views.admin import LookRow
from console.views.evidence import Opening
from console.views.family import FamilyState
from console.views.parts import DayLine, DutyLine, Form
from console.views.registry import TEMPLATES
from kaimen.vocabulary import EvidenceKind


@dataclass(frozen=True, slots=True)
class Kept:
    """How many of some acts were done in time; no act is no share."""

    kept: int = 0
    total: int = 0

    @property
    def percent(self) -> int | None:
        """Cut off, never rounded up: 100 only where every one was."""
        return None if self.total == 0 else 100 * self.kept // self.total


@dataclass(frozen=True, slots=True)
class PortfolioRow:
    """One community in numbers; nobody is in it."""

    id: str
    name: str
    watched: int = 0
    stages: tuple[int, int, int] = (0, 0, 0)  # day 1, 2, 3
    other_cases: int = 0
    unanswered_since: datetime | None = None
    not_known: int = 0
    gap_count: int = 0
    gap_from: datetime | None = None
    gap_reason: str = ""
    sla: Kept = Kept()
    visits: int = 0
    calls: int = 0
    minutes: float = 0.0  # of staff on calls and visits, 30 days

    def cost(self, rate: float) -> float:
        """Return what those minutes cost at ``rate`` an hour."""
        return self.minutes / 60 * rate


@dataclass(frozen=True, slots=True)
class PortfolioPage:
    """``rate``: what an hour costs, as the reader typed it; None: she did not."""

    rows: tuple[PortfolioRow, ...]
    rate: float | None = None
    form: Form = field(default_factory=Form)


class GridSize(StrEnum):
    SMALL = "small"
    FITS = "fits"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class GridRow:
    """One grid in numbers; ``name`` is empty for homes that are in none."""

    name: str
    homes: int = 0
    size: GridSize = GridSize.FITS
    watched: int = 0
    stages: tuple[int, int, int] = (0, 0, 0)
    visits: Kept = Kept()  # done of those that were due this month
    without_helper: int = 0
    consent_missing: int = 0
    consent_withdrawn: int = 0


@dataclass(frozen=True, slots=True)
class CommitteePage:
    rows: tuple[GridRow, ...]
    month: datetime
    size_min: int = 300
    size_max: int = 500


@dataclass(frozen=True, slots=True)
class ResidentPage:
    """How the system sees her, for herself."""

    place: str
    state: FamilyState
    evidence_kind: EvidenceKind = EvidenceKind.OPENING
    evidence_at: datetime | None = None
    line: DayLine | None = None
    known: bool = False
    unknown_since: datetime | None = None
    absence_id: int | None = None
    away_from: datetime | None = None
    away_until: datetime | None = None
    away_by: str = ""  # a relative's name, or staff; empty: she herself
    has_code: bool = False
    openings: tuple[Opening, ...] | None = None  # None where nobody watches
    worker: str | None = None  # who has the call for help
    duty_line: DutyLine | None = None
    doubted: bool = False  # her door is heard, and not believed
    well_form: Form = field(default_factory=Form)
    away_form: Form = field(default_factory=Form)


@dataclass(frozen=True, slots=True)
class CardRow:
    """One credential of the household; ``ending`` are the last four of its token, never a card number."""

    ending: str
    kind: str  # below ``card.``
    mine: bool = False
    valid_to: datetime | None = None
    lost_at: datetime | None = None
    url: str | None = None  # what ends in /lost or /end is posted here


@dataclass(frozen=True, slots=True)
class CardsPage:
    cards: tuple[CardRow, ...]
    passes: tuple[CardRow, ...]
    form: Form = field(default_factory=Form)
    shown: str | None = None  # a new pass or terminal code: said this once
    shown_kind: str = ""  # pass, code
    shown_until: datetime | None = None
    has_code: bool = False


@dataclass(frozen=True, slots=True)
class PurposeRow:
    purpose: str
    given_at: datetime | None = None
    given_by: str = ""


@dataclass(frozen=True, slots=True)
class RelativeRow:
    id: int
    name: str
    relation: str
    blocked: bool


@dataclass(frozen=True, slots=True)
class RungRow:
    """Somebody of the home whom a machine may ring, from when and which number."""

    person_id: str
    name: str
    since: datetime
    shown_number: str


@dataclass(frozen=True, slots=True)
class ResidentConsentsPage:
    purposes: tuple[PurposeRow, ...]
    relatives: tuple[RelativeRow, ...]
    rung: tuple[RungRow, ...] = ()


@dataclass(frozen=True, slots=True)
class ResidentLookedPage:
    rows: tuple[LookRow, ...]
    older_url: str | None = None


@dataclass(frozen=True, slots=True)
class NoteRow:
    id: int
    kind: str  # card_lost, call_back
    at: datetime
    door: str = ""
    place: str = ""
    said: str = ""
    ending: str = ""
    url: str | None = None
    results: tuple[str, ...] = ()
    done_at: datetime | None = None
    result: str = ""


@dataclass(frozen=True, slots=True)
class DeskNotesPage:
    rows: tuple[NoteRow, ...]


class KioskStep(StrEnum):
    START = "start"
    WELL = "well"
    AWAY = "away"
    TAKEN = "taken"  # her word counts
    NOTED = "noted"  # somebody calls back
    BUSY = "busy"  # pressed too often; nothing is kept
    GONE = "gone"  # no such terminal, or no longer


@dataclass(frozen=True, slots=True)
class KioskPage:
    """A terminal's page; it never says anything about anybody."""

    step: KioskStep
    start_url: str
    form: Form = field(default_factory=Form)
    forget_s: int = 20  # with scripts: after the last key
    refresh_s: int = 20  # without scripts
    duty_line: DutyLine | None = None


@dataclass(frozen=True, slots=True)
class KioskRow:
    id: int
    place: str
    community: str
    made_at: datetime
    seen_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KiosksPage:
    rows: tuple[KioskRow, ...]
    communities: tuple[tuple[str, str], ...]  # id, name
    form: Form = field(default_factory=Form)
    shown_url: str | None = None  # said this once


TEMPLATES["portfolio.html"] = (PortfolioPage, "/portfolio")
TEMPLATES["committee.html"] = (CommitteePage, "/committee")
TEMPLATES["resident.html"] = (ResidentPage, "/resident")
TEMPLATES["resident_cards.html"] = (CardsPage, "/resident/cards")
TEMPLATES["resident_consents.html"] = (ResidentConsentsPage, "/resident/consents")
TEMPLATES["resident_looked.html"] = (ResidentLookedPage, "/resident/looked")
TEMPLATES["desk_notes.html"] = (DeskNotesPage, "/desk-notes")
TEMPLATES["kiosk.html"] = (KioskPage, "/kiosk/{token}")
TEMPLATES["kiosks.html"] = (KiosksPage, "/admin/kiosks")
