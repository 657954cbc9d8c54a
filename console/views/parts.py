"""Small words of every page: marks, phrases, spans, forms and choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from kaimen.vocabulary import (
    EvidenceKind,
    Stage,
)


class Mark(StrEnum):
    """Priority as shape, numeral and colour; unknown is hatched, away an outline, normal is grey."""

    HIGH = "high"
    MID = "mid"
    LOW = "low"
    UNKNOWN = "unknown"
    AWAY = "away"
    NORMAL = "normal"


MARK_BY_STAGE = {
    Stage.NORMAL: Mark.NORMAL,
    Stage.WARNING: Mark.LOW,
    Stage.CALL: Mark.MID,
    Stage.VISIT: Mark.HIGH,
}


_CALLING = (Mark.HIGH, Mark.MID, Mark.LOW, Mark.UNKNOWN)


class Presumed(StrEnum):
    IN = "in"
    OUT = "out"
    UNSURE = "unsure"


class SignKind(StrEnum):
    """Other signs of life; they grade, they never reset."""

    MOTION = "motion"
    WATER = "water"
    POWER = "power"
    CALL = "call"
    MEAL = "meal"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Phrase:
    """A catalogue word with its values, as ``case_entries`` stores them.

    Values are put into words by the end of their name: ``*_at`` an instant (datetime or ISO text), ``*_ms`` a
    duration, ``stage``, ``role``, ``outcome``, ``contacted``, ``kind``, ``reason`` the catalogue's word for it.
    """

    word: str
    args: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """``[from_at, to_at)``."""

    from_at: datetime
    to_at: datetime


@dataclass(frozen=True, slots=True)
class LifeSign:
    at: datetime
    kind: SignKind = SignKind.OTHER


@dataclass(frozen=True, slots=True)
class DayLine:
    """The state of one household as the day line draws it; ``inactive_ms`` counts watched time only."""

    evidence_at: datetime
    now: datetime
    inactive_ms: int
    stage: Stage = Stage.NORMAL
    known: bool = True
    evidence_kind: EvidenceKind = EvidenceKind.OPENING
    blind: tuple[Span, ...] = ()
    signs: tuple[LifeSign, ...] = ()
    thresholds_ms: tuple[int, ...] = (86_400_000, 172_800_000, 259_200_000)
    away_until: datetime | None = None
    doubted: bool = False  # heard, and not believed

    @property
    def elapsed_ms(self) -> int:
        return max(0, round((self.now - self.evidence_at).total_seconds() * 1000))

    @property
    def mark(self) -> Mark:
        if self.away_until is not None:
            return Mark.AWAY
        return MARK_BY_STAGE[self.stage] if self.known or self.stage else Mark.UNKNOWN


@dataclass(frozen=True, slots=True)
class HouseholdName:
    """Who and where, as this reader may know it; ``name`` is masked unless the scope allows more."""

    id: str
    label: str  # 3-1-1201
    building: str = ""
    unit: str = ""
    room: str = ""
    name: str = ""
    age: int | None = None
    lives_alone: bool = False
    grid: str = ""
    url: str | None = None  # None: the reader has no household page


@dataclass(frozen=True, slots=True)
class Act:
    """One thing a person can do now: a button (``post``) or a link. ``name`` is a word below ``act.``."""

    name: str
    url: str
    post: bool = False
    fields: tuple[tuple[str, str], ...] = ()
    key: str = ""  # keyboard: a, c


@dataclass(frozen=True, slots=True)
class Form:
    """What was typed and what was wrong with it; empty on first sight."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str


@dataclass(frozen=True, slots=True)
class DutyLine:
    """The office's own number that somebody on duty answers, and when, in the office's words; ``hours_en`` for who reads English."""

    phone: str
    hours: str
    hours_en: str = ""

    def answered(self, language: str) -> str:
        """Return when it is answered, as this reader reads it where the office said so."""
        return self.hours_en if language == "en" and self.hours_en else self.hours


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to ask, in order. ``relation`` is what the household calls them; ``phone`` only where allowed."""

    name: str
    role: str  # family, neighbour_watcher, stairwell_liaison, safety_guardian, grid_worker
    relation: str = ""
    phone: str | None = None
    phone_kept: bool = False  # there is a number, and it is not shown here
    phone_changed: bool = False  # it was changed and does not count yet
