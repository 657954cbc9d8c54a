"""A household, the list of them, and why one was thought well at an instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from console.views.case import CaseRow
from console.views.doors import PresenceView
from console.views.evidence import EvidenceChart, Opening
from console.views.grounds import Grounds, HouseholdLine
from console.views.parts import Contact, DayLine, Form, HouseholdName
from console.views.registry import TEMPLATES
from kaimen.vocabulary import EvidenceKind, Role


@dataclass(frozen=True, slots=True)
class AbsenceView:
    id: int
    from_at: datetime
    to_at: datetime
    declared_by: str
    declared_at: datetime
    reason: str | None = None  # travel, hospital, relatives, other; None: not this reader's
    revoked_at: datetime | None = None
    end_url: str | None = None
    renewed_at: datetime | None = None
    renew_url: str | None = None
    renew_form: Form = field(default_factory=Form)


@dataclass(frozen=True, slots=True)
class ConsentView:
    """``purpose``: watch, notify_family, share_with_police, exact_times, early_watch, visit_photo."""

    purpose: str
    given_by: str | None = None
    given_at: datetime | None = None
    withdrawn_at: datetime | None = None

    @property
    def standing(self) -> bool:
        return self.given_at is not None and self.withdrawn_at is None


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device as the list and the household page show it. ``kind`` as in ``devices``."""

    id: str
    kind: str
    model: str
    place: str
    known: bool
    heard_at: datetime | None
    supervision_ms: int
    gateway: str | None = None
    unknown_since: datetime | None = None
    cause: str | None = None
    battery_percent: int | None = None
    battery_low_since: datetime | None = None
    signal_dbm: int | None = None
    firmware: str | None = None
    unsent: int = 0
    lost: int = 0
    fault: bool = False
    clock: str | None = None  # ntp, rtc, none
    household_count: int = 0
    retired_at: datetime | None = None
    first_heard_at: datetime | None = None
    expected_at: datetime | None = None  # never heard: by when it should have been
    implausible: int = 0  # heartbeats that stand nowhere in time
    on_trial: bool = False  # new at this door: whoever put it up opens the door and looks here
    moved_at: datetime | None = None  # on trial: when its newest word about the door was heard
    test_until: datetime | None = None  # on test: two people said so, and it ends by itself


@dataclass(frozen=True, slots=True)
class CrossedDoor:
    """A door of this home that only cards of another opened: the wrong home would be thought well."""

    device_id: str
    by_label: str
    days: int


@dataclass(frozen=True, slots=True)
class MemberLine:
    """Somebody who lives there; ``name`` is masked, ``category`` the word of the books for the care she needs."""

    name: str
    birth_year: int | None
    category: str
    hard_of_hearing: bool


@dataclass(frozen=True, slots=True)
class LeaseLine:
    """The lease that holds or, where none does, the last or next one; ``recorded_at``: as of when the books say so."""

    from_at: datetime
    to_at: datetime | None
    occupants: int | None
    registration: str
    recorded_at: datetime
    holds: bool


@dataclass(frozen=True, slots=True)
class CardLine:
    """A card or pass; ``ending`` are the last four of its token, never a card number."""

    ending: str
    kind: str  # below ``card.``
    valid_to: datetime | None
    lost_at: datetime | None
    holds: bool


@dataclass(frozen=True, slots=True)
class Registered:
    """What the books hold of a home, beside what its doors tell."""

    members: tuple[MemberLine, ...]
    lease: LeaseLine | None
    cards: tuple[CardLine, ...]
    more_cards: bool
    missing_helpers: tuple[Role, ...]
    visits_asked: int
    visits_done: int
    last_visit_at: datetime | None


@dataclass(frozen=True, slots=True)
class HouseholdPage:
    household: HouseholdName
    line: DayLine | None
    grounds: Grounds | None
    chart: EvidenceChart | None
    tenure: str = "owner"
    policy: str = "mandated"
    thresholds_ms: tuple[int, ...] = (86_400_000, 172_800_000, 259_200_000)
    watched_from: datetime | None = None
    hard_of_hearing: bool = False
    openings: tuple[Opening, ...] = ()  # newest first
    absences: tuple[AbsenceView, ...] = ()
    absence_form: Form | None = None
    new_numbers: bool = (
        False  # every number of the home was changed and none counts yet: how is an absence known?
    )
    source_form: Form | None = None  # a meal, an order, a pressed button
    consents: tuple[ConsentView, ...] = ()
    devices: tuple[DeviceRow, ...] = ()
    crossed: tuple[CrossedDoor, ...] = ()
    contacts: tuple[Contact, ...] = ()
    case_url: str | None = None
    case_number: str | None = None
    past_cases: tuple[CaseRow, ...] = ()
    log_url: str | None = None
    looked_url: str | None = None
    registered: Registered | None = None
    presence: PresenceView | None = None  # after a reveal alone
    presence_asked: bool = False
    presence_form: Form | None = None
    presence_purposes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownEvidence:
    """One piece of evidence as it was known: when, of which kind, from which device or whose word."""

    at: datetime
    kind: EvidenceKind
    device: str | None = None
    witness: str | None = None
    place: str = ""  # where the device is, as people call it


@dataclass(frozen=True, slots=True)
class WhyPage:
    """Why all was thought well at ``at``, from what had arrived by then; ``at`` None: nothing is asked yet."""

    household: HouseholdName
    form: Form
    at: datetime | None = None
    watched: bool = False
    newest: KnownEvidence | None = None
    before: tuple[KnownEvidence, ...] = ()  # newest first
    inactive_ms: int = 0
    blind_ms: int = 0
    stage: int = 0
    known: bool = False
    watched_until: datetime | None = None
    absent_until: datetime | None = None
    forgotten: bool = False  # heartbeats of then are no longer kept


@dataclass(frozen=True, slots=True)
class HouseholdsPage:
    """The list of households; ``state`` filters by mark, ``query`` by label."""

    rows: tuple[HouseholdLine, ...]
    query: str = ""
    state: str = ""
    total: int = 0
    newer_url: str | None = None
    older_url: str | None = None


TEMPLATES["households.html"] = (HouseholdsPage, "/households")  # ?query= ?state= ?after=; fragment: list
TEMPLATES["household.html"] = (HouseholdPage, "/households/{id}")  # fragment: household
