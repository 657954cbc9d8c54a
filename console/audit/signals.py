"""What an auditor should look at: counts of looks and times of closings enter, what stands out leaves; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

SIGNALS_WINDOW = timedelta(days=30)
LOOKS_MIN = 10
PEERS_FACTOR = 3.0
PEOPLE_MIN = 3
QUICK_S = 20.0


@dataclass(frozen=True, slots=True)
class Looks:
    """How often one person looked up or revealed."""

    actor: str
    who: str
    role: str
    count: int


@dataclass(frozen=True, slots=True)
class FarAbove:
    """Somebody who looks far more than her peers; ``peers`` is their median."""

    looks: Looks
    peers: float


def far_above_peers(looks: Sequence[Looks]) -> tuple[FarAbove, ...]:
    """Return who looked at least ten times and three times the median of the others of her role, most first.

    One alone in a role has nobody to be compared with and is measured against nothing: ten looks show her.
    """
    found = []
    for person in looks:
        others = [other.count for other in looks if other.role == person.role and other.actor != person.actor]
        usual = float(median(others)) if others else 0.0
        if person.count >= LOOKS_MIN and person.count > PEERS_FACTOR * usual:
            found.append(FarAbove(person, usual))
    return tuple(sorted(found, key=lambda item: -item.looks.count))


@dataclass(frozen=True, slots=True)
class Closing:
    """A task ended as "well": seconds after its case opened, and after the person's own first trace on it."""

    case_id: int
    number: str
    at: datetime
    who: str
    role: str
    since_opened_s: float
    since_seen_s: float | None

    @property
    def within_s(self) -> float:
        return (
            self.since_opened_s if self.since_seen_s is None else min(self.since_opened_s, self.since_seen_s)
        )


def quick_closings(closings: Iterable[Closing]) -> tuple[Closing, ...]:
    """Return what was ended faster than anybody can ring or go, in the order given."""
    return tuple(closing for closing in closings if closing.within_s < QUICK_S)
