"""What a relative sees."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from console.views.admin import LookRow
from console.views.doors import HomeNews
from console.views.parts import DayLine, DutyLine, Form, HouseholdName, LifeSign, Presumed
from console.views.registry import TEMPLATES
from kaimen.vocabulary import (
    EvidenceKind,
    TaskKind,
)


class FamilyState(StrEnum):
    GOOD = "good"
    DAY1 = "day1"
    DAY2 = "day2"
    DAY3 = "day3"
    HELP = "help"  # somebody there called for help, and nobody has answered for it yet
    UNKNOWN = "unknown"
    AWAY = "away"
    UNWATCHED = "unwatched"  # no consent, or not yet
    UNTOLD = "untold"  # she did not agree to her family being told; whether anybody watches is not said
    ENDED = "ended"  # she died, as two people have said


@dataclass(frozen=True, slots=True)
class FamilyHome:
    """One elder for one family member: no more than the evidence and her consent allow."""

    household: HouseholdName
    relation: str  # as the family says it: 妈妈; words.relation puts the usual ones into English
    state: FamilyState
    line: DayLine | None = None  # None where exact times are not consented to
    evidence_at: datetime | None = None
    evidence_kind: EvidenceKind = EvidenceKind.OPENING
    evidence_source: str = ""  # of a word: spoke, saw, meal, order, button, remote, family
    known: bool = True  # whether her door can be seen now
    direction: str | None = None
    exact_times: bool = False
    presumed: Presumed = Presumed.UNSURE
    last_sign: LifeSign | None = None
    worker: str | None = None  # who is on it
    act: TaskKind | None = None
    result_by: datetime | None = None
    tried: tuple[TaskKind, datetime] | None = None  # the newest call or visit that reached nobody
    begun_at: datetime | None = None  # since when somebody has been at the door
    unknown_cause: str | None = None  # own, broker, site, gateway, device; doubted: heard, and not believed
    unknown_since: datetime | None = None
    away_until: datetime | None = None
    help_at: datetime | None = None  # the newest call for help
    declared: tuple[datetime, datetime] | None = None  # the absence that holds or comes next; she may end it
    in_hospital: bool = False  # that is what the absence was declared for
    phone: str | None = None
    duty_line: DutyLine | None = None
    spoke_form: Form | None = None
    away_form: Form | None = None
    look_form: Form | None = None
    asked_at: datetime | None = None  # the family asked for a look; it is on somebody's list
    looked: tuple[LookRow, ...] = ()
    back_url: str | None = None  # somebody opened although she is declared away: is she back?
    news: HomeNews | None = None
    notices_form: Form | None = None

    @property
    def told(self) -> bool:
        """Whether this relative is told how the home stands, here and by message."""
        return self.state not in (FamilyState.UNWATCHED, FamilyState.UNTOLD, FamilyState.ENDED)


@dataclass(frozen=True, slots=True)
class FamilyPage:
    homes: tuple[FamilyHome, ...]


TEMPLATES["family.html"] = (FamilyPage, "/family")  # fragment: homes
