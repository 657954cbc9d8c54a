"""What the page of technical causes shows, as frozen types: loaders fill them, the template reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.views.grounds import Technical
from console.views.parts import HouseholdName
from console.views.registry import TEMPLATES
from kaimen.vocabulary import Role, TaskKind


@dataclass(frozen=True, slots=True)
class CauseCard:
    """One open cause; ``overdue``: nobody has recorded what was done in the time there was."""

    number: str
    case_id: int
    technical: Technical
    due_at: datetime | None = None
    holder: str | None = None
    overdue: bool = False

    @property
    def url(self) -> str:
        return f"/cases/{self.case_id}"


@dataclass(frozen=True, slots=True)
class Cut:
    """Gateways of one site that fell silent together: probably one cut, which is a presumption, and their own cases."""

    site: str
    since: datetime
    household_count: int
    cards: tuple[CauseCard, ...]

    @property
    def due_at(self) -> datetime | None:
        """By when the first of them is to be looked at."""
        return min((card.due_at for card in self.cards if card.due_at is not None), default=None)

    @property
    def overdue(self) -> bool:
        return any(card.overdue for card in self.cards)

    @property
    def mutes_help(self) -> bool:
        return any(card.technical.mutes_help for card in self.cards)


@dataclass(frozen=True, slots=True)
class CutRow:
    """A cut as one line among cases: what it stands for is counted, each of its causes is on the page of causes."""

    site: str
    since: datetime
    household_count: int
    case_ids: tuple[int, ...]
    due_at: datetime | None = None  # by when the first of them is to be looked at
    overdue: bool = False

    @property
    def mutes_help(self) -> bool:
        """Say whether help buttons are not heard either: they speak through the gateways that are silent."""
        return self.household_count > 0


@dataclass(frozen=True, slots=True)
class UnseenLine:
    """Somebody to be asked after; who may only count them gets none of these."""

    household: HouseholdName
    step: int  # 1 listed, 2 a call, 3 a visit
    since: datetime
    act: TaskKind | None = None
    owner_role: Role | None = None
    owner: str | None = None
    start_at: datetime | None = None
    due_at: datetime | None = None
    case_url: str | None = None
    case_number: str | None = None
    cause: str | None = (
        None  # the open cause that keeps her from being seen; None: it is over, the check stays
    )


@dataclass(frozen=True, slots=True)
class AwaitedDevice:
    """A device that was put into the register and never heard; ``due_at``: by when it should have been."""

    id: str
    kind: str
    place: str
    site: str
    due_at: datetime
    gateway: str | None = None
    household_count: int = 0
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class TechnicalPage:
    cuts: tuple[Cut, ...] = ()
    causes: tuple[CauseCard, ...] = ()  # those that stand alone
    causes_total: int = 0
    people: tuple[UnseenLine, ...] = ()  # in the order in which they are asked after
    people_total: int = 0
    step_counts: tuple[int, int, int] = (0, 0, 0)  # listed, to be called, to be visited
    waiting_count: int = 0  # checks held back until devices had time to speak
    waiting_until: datetime | None = None
    not_known_count: int = 0
    awaited: tuple[AwaitedDevice, ...] = ()
    awaited_total: int = 0
    place: str = ""  # the community that was chosen among many


TEMPLATES["technical.html"] = (TechnicalPage, "/technical")  # fragment: list
