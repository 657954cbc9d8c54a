"""What the pages of a visit show: frozen view-models."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from console.views.registry import TEMPLATES

if TYPE_CHECKING:
    from console.views.case import TaskView
    from console.views.parts import Contact, DutyLine, Form, HouseholdName


@dataclass(frozen=True, slots=True)
class StepDone:
    step: str
    at: datetime
    by: str
    who: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class VisitPage:
    """The form of four parts; ``form`` None: this reader cannot fill it in now."""

    task: TaskView
    household: HouseholdName
    form: Form | None
    filled_at: tuple[datetime, ...] = ()
    back_url: str = "/tasks"
    address_words: str = ""
    duty_line: DutyLine | None = None


@dataclass(frozen=True, slots=True)
class EntryPage:
    """A door nobody opens: what is next, what was done, who can be asked."""

    task: TaskView
    household: HouseholdName
    form: Form | None
    next_step: str
    steps: tuple[str, ...]
    done: tuple[StepDone, ...] = ()
    key_out: bool = False
    address_words: str = ""
    contacts: tuple[Contact, ...] = ()
    back_url: str = "/tasks"
    needs_who: frozenset[str] = frozenset()
    duty_line: DutyLine | None = None


@dataclass(frozen=True, slots=True)
class DoorResult:
    """One door of several on one page; its form is its own act, with its own witness."""

    task: TaskView
    form: Form


@dataclass(frozen=True, slots=True)
class ResultsPage:
    doors: tuple[DoorResult, ...]
    others: int = field(default=0)


@dataclass(frozen=True, slots=True)
class PhotoRow:
    id: int
    url: str  # a purpose is posted here; what ends in /remove takes it back
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class PhotosPage:
    """Photos of one visit, none of them shown yet; ``form`` None: this reader can add none now."""

    task: TaskView
    household: HouseholdName
    photos: tuple[PhotoRow, ...]
    agreed: bool
    form: Form | None
    count_max: int
    purposes: tuple[str, ...]
    back_url: str = "/tasks"


TEMPLATES["photos.html"] = (PhotosPage, "/tasks/{id}/photos")
TEMPLATES["visit.html"] = (VisitPage, "/tasks/{id}/visit")
TEMPLATES["entry.html"] = (EntryPage, "/tasks/{id}/entry")
TEMPLATES["visit_results.html"] = (ResultsPage, "/visits/results")
