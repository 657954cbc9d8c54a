"""What the pages of people's rights and of periods show, as frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from console.views.parts import Form, HouseholdName
from console.views.registry import TEMPLATES


@dataclass(frozen=True, slots=True)
class HoldView:
    """One legal hold; ``may_confirm`` and ``may_end`` say what this reader can still do."""

    id: int
    authority: str
    document: str
    until_at: datetime
    asked_at: datetime
    standing: bool
    confirmed: bool
    end_asked: bool
    may_confirm: bool
    may_end: bool


@dataclass(frozen=True, slots=True)
class PersonView:
    """Somebody of the home, her name masked."""

    id: str
    name: str
    relation: str
    form: Form = field(default_factory=Form)
    hold_form: Form = field(default_factory=Form)


@dataclass(frozen=True, slots=True)
class DeletionView:
    person_id: str
    deleted_at: datetime
    asked_by: str


@dataclass(frozen=True, slots=True)
class RightsPage:
    household: HouseholdName
    persons: tuple[PersonView, ...]
    holds: tuple[HoldView, ...]
    deletions: tuple[DeletionView, ...]
    asked_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReviewView:
    id: int
    words: str
    place: str
    flagged_at: datetime


@dataclass(frozen=True, slots=True)
class ReviewsPage:
    rows: tuple[ReviewView, ...]


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """One class: its period with bounds, what is stored by year, and what the newest run removed."""

    name: str
    keep_days: int
    least_days: int
    most_days: int
    years: tuple[int, ...]  # rows by year, as the page's ``years``
    due: int | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    at: datetime
    by: str
    dry: bool
    rows: int
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RetentionPage:
    years: tuple[int, ...]
    rows: tuple[PeriodRow, ...]
    runs: tuple[RunView, ...]
    form: Form = field(default_factory=Form)


TEMPLATES["rights.html"] = (RightsPage, "/households/h-1/rights")
TEMPLATES["reviews.html"] = (ReviewsPage, "/rights/reviews")
TEMPLATES["retention.html"] = (RetentionPage, "/admin/retention")
