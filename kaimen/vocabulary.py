"""The words of the product as frozen types: nothing enters, names leave; no I/O, no clock.

Door terms follow ONVIF, alarm terms ISA-18.2. ``_ms`` values are UTC milliseconds (int), ``_at`` values are
aware datetimes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Stage(IntEnum):
    """Position on the 1/2/3-day ladder; the value is the number of thresholds passed."""

    NORMAL = 0
    WARNING = 1
    CALL = 2
    VISIT = 3

    @property
    def api_name(self) -> str:
        return self.name.lower()


class EventType(StrEnum):
    """Event types of the wire protocol; unknown ones are stored and shown, never an error."""

    DOOR_PHYSICAL_STATE = "DoorPhysicalState"
    LOCK_PHYSICAL_STATE = "LockPhysicalState"
    ACCESS_GRANTED = "AccessGranted"
    ACCESS_TAKEN = "AccessTaken"
    ACCESS_NOT_TAKEN = "AccessNotTaken"
    DENIED = "Denied"
    DURESS = "Duress"
    DOOR_FORCED_OPEN = "DoorForcedOpen"
    DOOR_OPEN_TOO_LONG = "DoorOpenTooLong"
    DOOR_TAMPER = "DoorTamper"
    DOOR_FAULT = "DoorFault"
    MOTION = "Motion"
    OCCUPANCY = "Occupancy"
    WATER_USE = "WaterUse"
    POWER_USE = "PowerUse"
    SOS = "Sos"
    BELL = "Bell"
    EXIT = "Exit"
    BATTERY_LOW = "BatteryLow"


class CredentialClass(StrEnum):
    """Whose credential it is, as the registry says; only resident and family credentials show life."""

    RESIDENT = "resident"
    FAMILY = "family"
    STAFF = "staff"
    GUARD = "guard"
    VISITOR = "visitor"


class EvidenceKind(StrEnum):
    """What reset a household's inactivity, strongest ground first."""

    OWN_CREDENTIAL = "own_credential"
    VERIFIED = "verified"
    OPENING = "opening"
    OPENING_BY_COUNTER = "opening_by_counter"
    ABSENCE_ENDED = "absence_ended"
    WATCHED_FROM = "watched_from"


class Admission(StrEnum):
    """Class of an event at the door of ingest; each event is in exactly one."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    LATE = "late"
    IMPLAUSIBLE = "implausible"
    QUARANTINED = "quarantined"


class QuarantineReason(StrEnum):
    """Why a message could not be stored as an event; shown to operators with how to mend it."""

    NOT_UTF8 = "not_utf8"
    MALFORMED_JSON = "malformed_json"
    WRONG_TYPE = "wrong_type"
    TOO_LARGE = "too_large"
    TOO_MANY_EVENTS = "too_many_events"
    MIXED_BOOTS = "mixed_boots"
    SEQ_NOT_ASCENDING = "seq_not_ascending"
    WRONG_VERSION = "wrong_version"
    BAD_TOPIC = "bad_topic"
    UNKNOWN_DEVICE = "unknown_device"
    WRONG_SITE = "wrong_site"
    WRONG_SHARD = "wrong_shard"
    IMPLAUSIBLE_TIME = "implausible_time"
    STORE_REFUSED = "store_refused"


class HappeningKind(StrEnum):
    """What ingest tells alerts, one row each, in the transaction that stored the cause."""

    CROSSING = "crossing"
    WITHDRAWAL = "withdrawal"
    CHECK_DUE = "check_due"
    CHECK_ENDED = "check_ended"
    OUTAGE_BEGAN = "outage_began"
    OUTAGE_MOVED = "outage_moved"
    OUTAGE_ENDED = "outage_ended"
    SIGNAL = "signal"
    SIGNAL_ENDED = "signal_ended"


class SignalKind(StrEnum):
    """Facts of doors and dwellings that are no inactivity; ``signals.kind``."""

    SOS = "sos"
    DURESS = "duress"
    DOOR_FORCED = "door_forced"
    DOOR_HELD = "door_held"
    STRANGER_DENIALS = "stranger_denials"
    EXPIRED_PASS = "expired_pass"  # noqa: S105 - a visitor's pass, not a password
    CANCELLED_CARD = "cancelled_card"
    VACANT_OPENED = "vacant_opened"
    LEASE_ENDED_CREDENTIAL = "lease_ended_credential"
    MORE_CREDENTIALS = "more_credentials"
    DEVICE_FAULT = "device_fault"
    BATTERY_LOW = "battery_low"
    EARLY_WATCH = "early_watch"


class PresenceState(StrEnum):
    """Where somebody of a household is presumed to be; ``household_presence.state``."""

    IN = "in"
    OUT = "out"
    UNSURE = "unsure"


class CaseCause(StrEnum):
    """What a case is about; every cause but the first two has its ladder as data (``kaimen.policy.CauseLadder``)."""

    INACTIVITY = "inactivity"
    TECHNICAL = "technical"
    SOS = "sos"
    DURESS = "duress"
    DOOR_FORCED = "door_forced"
    DOOR_HELD = "door_held"
    STRANGER = "stranger"
    CREDENTIAL = "credential"
    DWELLING = "dwelling"
    DEVICE_FAULT = "device_fault"
    BATTERY = "battery"
    EARLY_WATCH = "early_watch"
    ABSENCE = "absence"
    REVIEW = "review"


class Grade(StrEnum):
    """How much life was seen inside since the last opening; it orders and hastens, it never suppresses a stage."""

    HIGH = "high"
    MIDDLE = "middle"
    LOW = "low"
    UNGRADED = "ungraded"


class CaseState(StrEnum):
    OPEN = "open"
    NOTIFIED = "notified"
    OWNED = "owned"
    WORKING = "working"
    CLOSED = "closed"


class TaskKind(StrEnum):
    CALL = "call"
    VISIT = "visit"
    DEVICE_CHECK = "device_check"
    CONFIRM_CLOSING = "confirm_closing"
    RESPOND = "respond"
    LOOK_INTO = "look_into"
    CONFIRM_BACK = "confirm_back"
    REVIEW = "review"


class TaskState(StrEnum):
    OPEN = "open"
    CLAIMED = "claimed"
    DONE = "done"
    SUPERSEDED = "superseded"


class Outcome(StrEnum):
    """What a person found, or what closed the case; only WELL and HELPED are evidence."""

    WELL = "well"
    HELPED = "helped"
    AWAY = "away"
    HOSPITAL = "hospital"
    NO_ANSWER = "no_answer"
    SENSOR_FAULT = "sensor_fault"
    DECEASED = "deceased"
    RESUMED = "resumed"
    LATE_EVIDENCE = "late_evidence"
    RESTORED = "restored"
    FOLDED = "folded"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    OTHER = "other"
    FALSE_ALARM = "false_alarm"
    HANDLED = "handled"
    BACK = "back"
    NOT_BACK = "not_back"
    RIGHT = "right"
    DOUBTED = "doubted"


class EvidenceSource(StrEnum):
    """How a word of her reached us beside cases; ``meal`` was handed to her, the other two nobody saw."""

    MEAL = "meal"
    ORDER = "order"
    BUTTON = "button"


class Contacted(StrEnum):
    """How a person verified that she is well; 'heard from others' is not in the list."""

    SPOKE = "spoke"
    SAW = "saw"


class Role(StrEnum):
    PROPERTY_CLERK = "property_clerk"
    POLICE_OFFICER = "police_officer"
    POLICE_SUPERVISOR = "police_supervisor"
    AUDITOR = "auditor"
    FAMILY = "family"
    ADMIN = "admin"
    NEIGHBOUR_WATCHER = "neighbour_watcher"
    STAIRWELL_LIAISON = "stairwell_liaison"
    SAFETY_GUARDIAN = "safety_guardian"
    GRID_WORKER = "grid_worker"
    GUARD = "guard"
    PROPERTY_DIRECTOR = "property_director"
    COMMUNITY_COMMITTEE = "community_committee"
    RESIDENT = "resident"


class DoorRole(StrEnum):
    DWELLING = "dwelling"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class DoorBinding:
    """One device's door as a door of one household, from (included) to (excluded); None is unbounded."""

    device_id: str
    role: DoorRole = DoorRole.DWELLING
    from_ms: int | None = None
    to_ms: int | None = None

    def holds_at(self, instant_ms: int) -> bool:
        return (self.from_ms is None or self.from_ms <= instant_ms) and (
            self.to_ms is None or instant_ms < self.to_ms
        )


@dataclass(frozen=True, slots=True)
class Absence:
    """Declared absence ``[from_ms, to_ms)``; it suspends the rule and its end counts as evidence."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Verified:
    """A person's word that she is well at ``instant_ms``; ``source`` names the row it came from."""

    instant_ms: int
    source: str


@dataclass(frozen=True, slots=True)
class Device:
    """A device id is one door (or one sensor); supervision is how long it may be silent and still watch."""

    device_id: str
    site_id: str
    supervision_ms: int


@dataclass(frozen=True, slots=True)
class Credential:
    """A pseudonymous token; ``household_id`` where it belongs to one."""

    token: str
    klass: CredentialClass
    household_id: str | None = None


@dataclass(frozen=True, slots=True)
class Household:
    """The unit watched: its doors, its thresholds, since when, and when nobody is expected to open."""

    household_id: str
    site_id: str
    doors: tuple[DoorBinding, ...]
    watched_from_ms: int
    thresholds_ms: tuple[int, ...] = (86_400_000, 172_800_000, 259_200_000)
    absences: tuple[Absence, ...] = ()
    verified: tuple[Verified, ...] = ()
    consent: bool = True
