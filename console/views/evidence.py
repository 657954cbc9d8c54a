"""Fourteen days of openings and stages as they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from console.views.parts import LifeSign, Span
from kaimen.vocabulary import (
    Stage,
)


class OpeningKind(StrEnum):
    """How an opening was seen; the last two are not hers and reset nothing."""

    OWN_CREDENTIAL = "own_credential"
    FAMILY_CREDENTIAL = "family_credential"
    CONTACT = "contact"
    COUNTER = "counter"
    VERIFIED = "verified"
    STAFF = "staff"
    VISITOR = "visitor"


@dataclass(frozen=True, slots=True)
class Opening:
    at: datetime
    kind: OpeningKind
    direction: str | None = None
    door: str = ""
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StageMark:
    at: datetime
    stage: Stage


@dataclass(frozen=True, slots=True)
class EvidenceChart:
    """Fourteen local days of one household, the last one today; blind and away spans may cross midnight."""

    last_day: date
    now: datetime
    openings: tuple[Opening, ...] = ()
    signs: tuple[LifeSign, ...] = ()
    blind: tuple[Span, ...] = ()
    absences: tuple[Span, ...] = ()
    crossings: tuple[StageMark, ...] = ()
    watched_from: datetime | None = None
    day_count: int = 14
