"""The list of tasks and one task as the person who goes sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.views.case import ReviewedWord, TaskView
from console.views.parts import Contact, DayLine, DutyLine, Form, HouseholdName
from console.views.registry import TEMPLATES


@dataclass(frozen=True, slots=True)
class StandsIn:
    """For whom the reader stands in now, and until when."""

    person: str
    until: datetime


@dataclass(frozen=True, slots=True)
class TasksPage:
    open_tasks: tuple[TaskView, ...]
    done_tasks: tuple[TaskView, ...] = ()
    stands_in: tuple[StandsIn, ...] = ()
    more: int = 0  # open tasks that are not shown


@dataclass(frozen=True, slots=True)
class FieldPage:
    """One visit or call on a phone in a stairwell. ``address_words`` is what is said to 120."""

    task: TaskView
    household: HouseholdName
    call_name: str  # 王奶奶
    line: DayLine | None
    address_words: str
    hard_of_hearing: bool = False
    begin_url: str | None = None  # None: already at the door, or not a visit
    take_url: str | None = None  # None: she has it, or it begins at a door
    contacts: tuple[Contact, ...] = ()
    by_phone: bool = False  # the first contact is she herself, and ringing her may be all that is needed
    duty_line: DutyLine | None = None
    word: ReviewedWord | None = None  # what a second look is about
    refused: Form | None = None  # what was not taken of a task that nobody may record any more
    back_url: str = "/tasks"


TEMPLATES["tasks.html"] = (TasksPage, "/tasks")  # fragment: list
TEMPLATES["field.html"] = (FieldPage, "/tasks/{id}")  # fragment: task
