"""What the morning list shows and the door list that is printed from it, as frozen dataclasses.

Loaders fill them, templates read them. Who is away is a count; a result says who spoke, by what means and when.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from console.views.grounds import HouseholdLine
from console.views.parts import Choice, Form, HouseholdName
from console.views.registry import TEMPLATES
from kaimen.vocabulary import Contacted, Outcome, TaskKind


class MorningKind(StrEnum):
    VISIT = "visit"
    CALL = "call"
    WARNING = "warning"
    UNKNOWN = "unknown"
    AWAY = "away"
    NORMAL = "normal"


class QuickResult(StrEnum):
    """What one press on the board says; everything else is said on the task's own page."""

    SPOKE = "spoke"
    SAW = "saw"
    NO_ANSWER = "no_answer"


#: By what means somebody was reached, by the kind of what was asked; the first is the first key.
QUICK_RESULTS = {
    TaskKind.CALL: (QuickResult.SPOKE, QuickResult.NO_ANSWER),
    TaskKind.VISIT: (QuickResult.SAW, QuickResult.SPOKE, QuickResult.NO_ANSWER),
}


#: On the first day nobody is asked yet: what one press says of a home that was rung, or gone to, all the same.
EARLY_RESULTS = {
    QuickResult.SPOKE: TaskKind.CALL,
    QuickResult.SAW: TaskKind.VISIT,
    QuickResult.NO_ANSWER: TaskKind.CALL,
}


@dataclass(frozen=True, slots=True)
class EarlyKeys:
    """A home of the first day that may be answered on the board; each result is posted to ``url``."""

    household_id: str
    case_id: int

    @property
    def url(self) -> str:
        return f"/morning/homes/{self.household_id}"

    @property
    def results(self) -> dict[QuickResult, TaskKind]:
        return EARLY_RESULTS


@dataclass(frozen=True, slots=True)
class MorningTask:
    """What is open about a home and may be answered on the board."""

    id: int
    kind: TaskKind
    due_at: datetime
    assignee: str = ""
    results: tuple[QuickResult, ...] = ()

    @property
    def url(self) -> str:
        return f"/tasks/{self.id}"


@dataclass(frozen=True, slots=True)
class MorningResult:
    """What was found: by whom (``witness`` spoke with or saw her), by what means, when, and who wrote it down."""

    household: HouseholdName
    kind: TaskKind
    outcome: Outcome
    at: datetime
    url: str
    contacted: Contacted | None = None
    witness: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class MorningCard:
    """A home on the board; ``next_up`` is where the keys stand after the result before it."""

    item: HouseholdLine
    task: MorningTask | None = None
    early: EarlyKeys | None = None
    last: MorningResult | None = None
    next_up: bool = False

    @property
    def may_record(self) -> bool:
        return self.early is not None or bool(self.task and self.task.results)


@dataclass(frozen=True, slots=True)
class MorningColumn:
    """Away and normal carry a count and no card."""

    kind: MorningKind
    count: int
    cards: tuple[MorningCard, ...] = ()


@dataclass(frozen=True, slots=True)
class MorningPage:
    """``witness`` stands in the one field that all results of the board share."""

    list_at: datetime
    watched_count: int
    columns: tuple[MorningColumn, ...]
    next_list_at: datetime | None = None
    grid: str = ""
    grids: tuple[Choice, ...] = ()
    results: tuple[MorningResult, ...] = ()
    witness: str = ""
    form: Form = field(default_factory=Form)

    @property
    def may_record(self) -> bool:
        return any(card.may_record for column in self.columns for card in column.cards)


@dataclass(frozen=True, slots=True)
class DoorListPage:
    """The list that is printed for the round of doors; ordered as one walks."""

    list_at: datetime
    rows: tuple[HouseholdLine, ...]
    printed_by: str


TEMPLATES["morning.html"] = (MorningPage, "/morning")  # ?grid= ?next=; fragments: list, results
TEMPLATES["door_list.html"] = (DoorListPage, "/morning/print")
