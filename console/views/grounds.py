"""Why something is believed of a home or of a device: what a case and a household's page both show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.views.parts import DayLine, HouseholdName, LifeSign, Presumed
from kaimen.vocabulary import (
    CaseCause,
    Grade,
)

#: Causes of an outage through which everything in a home speaks, not its door alone.
SHARED_CAUSES = frozenset({"own", "broker", "site", "gateway"})


@dataclass(frozen=True, slots=True)
class Usual:
    """Her own rhythm over the last weeks, from watched time only."""

    openings_low: int
    openings_high: int
    longest_gap_ms: int


@dataclass(frozen=True, slots=True)
class Grounds:
    """Why we think so. ``has_sensors`` False means that the home has no interior sensor to ask."""

    direction: str | None = None  # in, out
    heard_at: datetime | None = None
    gap_count: int = 0
    doubted: bool = False  # heard, and not believed: the device tells of a fault, or was opened or moved
    blind_ms: int = 0
    presumed: Presumed = Presumed.UNSURE
    presumed_by: str = ""  # a Reason of ingest.presence, or not_judged
    has_sensors: bool = False
    last_sign: LifeSign | None = None
    usual: Usual | None = None
    away_until: datetime | None = None
    not_seen_since: datetime | None = None  # a check climbs in this case
    hidden: bool = False  # where she is presumed is told only after a reveal


@dataclass(frozen=True, slots=True)
class Technical:
    """A cause that folds many doors: ``cause`` as in ``outages``, or quarantine."""

    cause: str
    cause_id: str
    place: str
    since: datetime
    household_count: int
    check_count: int = 0  # people listed for a call or visit because of it
    longest: HouseholdLine | None = None  # the home not seen for the longest
    never_heard: bool = False  # its devices were put in and never spoke
    battery_low_since: datetime | None = None  # of a device that fell silent with a low battery

    @property
    def mutes_help(self) -> bool:
        """Say whether a help button in these homes is not heard either: it speaks through what is silent."""
        return self.household_count > 0 and self.cause in SHARED_CAUSES


@dataclass(frozen=True, slots=True)
class Incident:
    """What a case of another cause is about; ``place`` is the door's, "" where none is told."""

    cause: CaseCause
    at: datetime
    place: str = ""
    count: int = 1
    silent: bool = False  # nothing of it is shown or said at that door
    tampered: bool = False  # the device says that it was opened or moved, not that it is broken
    at_home: bool = False  # about a home's own door
    quiet_since: datetime | None = None  # nothing was heard inside since
    late: bool = False  # it was heard long after it happened
    battery_percent: int | None = None  # of a low battery; None where the device only says so

    @property
    def word(self) -> str:
        """What the catalogue calls it."""
        return "device_tamper" if self.tampered else self.cause.value

    @property
    def ask(self) -> str:
        """What the catalogue asks for: behind a home's own door that stands open somebody may lie."""
        return "door_held_home" if self.at_home and self.cause is CaseCause.DOOR_HELD else self.word


@dataclass(frozen=True, slots=True)
class CaseGrounds:
    """What was known beside the silence when the case's stage was reached; for sentences, never a threshold."""

    grade: Grade
    as_of: datetime
    sign_count: int = 0
    last_sign_at: datetime | None = None
    presumed: Presumed = Presumed.UNSURE
    presumed_by: str = ""
    usual_median_ms: int | None = None
    usual_p95_ms: int | None = None
    usual_days: int = 0
    door_open_since: datetime | None = None
    unlocked_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """Another open case of the same household or door."""

    number: str
    cause: CaseCause
    url: str
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class HouseholdLine:
    """A household in a list, with its day line."""

    household: HouseholdName
    line: DayLine | None
    grounds: Grounds | None = None
    case_url: str | None = None
    case_number: str | None = None
    holder: str | None = None
    holder_for: str = ""
