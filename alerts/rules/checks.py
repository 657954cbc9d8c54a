"""People nobody could see enter; in which order they are asked after, and who is frail, leaves; pure.

Longest unseen first (in whole days, the step), the frailest first among them: after an outage of a whole community
hundreds fall due at one instant, and the desk has so many hands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

#: Care categories as registers write them; what is not here counts by age alone.
_FRAIL_WORDS = (
    (3, ("severely_disabled", "bedridden", "重残", "重度残疾", "卧床", "完全失能")),
    (2, ("disabled", "dementia", "残疾", "失能", "失智", "认知")),
    (1, ("left_behind", "empty_nest", "alone", "独居", "空巢", "留守", "孤寡", "慢病")),
)
_AGE_POINTS = ((90, 3), (80, 2), (70, 1))


@dataclass(frozen=True, slots=True)
class Resident:
    """What a register says of one resident's strength; None where it says nothing."""

    category: str | None = None
    birth_year: int | None = None
    hard_of_hearing: bool = False


@dataclass(frozen=True, slots=True)
class Unseen:
    """A household somebody has to ask after: how many days nobody could see, and since when exactly."""

    household_id: str
    step: int
    evidence_at: datetime
    frailty: int = 0


def frailty_of(residents: Iterable[Resident], *, year: int) -> int:
    """Return how frail the frailest resident is, 0 (nothing is known) upwards."""
    return max((_frailty(resident, year) for resident in residents), default=0)


def _frailty(resident: Resident, year: int) -> int:
    said = (resident.category or "").lower()
    words = next((points for points, words in _FRAIL_WORDS if any(word in said for word in words)), 0)
    age = 0 if resident.birth_year is None else year - resident.birth_year
    years = next((points for least, points in _AGE_POINTS if age >= least), 0)
    return words + years + resident.hard_of_hearing


def in_order(people: Iterable[Unseen]) -> list[Unseen]:
    """Return whom to ask after, first things first; the same whatever order they came in."""
    return sorted(people, key=lambda one: (-one.step, -one.frailty, one.evidence_at, one.household_id))


def places(people: Sequence[Unseen]) -> dict[str, int]:
    """Return how many are asked after before each household."""
    return {one.household_id: place for place, one in enumerate(in_order(people))}
