"""The street as plain frozen types: nothing enters, names leave; no chance, no I/O.

Times are UTC milliseconds; labels read building-unit-room (栋-单元-室), as people say them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from kaimen.vocabulary import CredentialClass


class HouseholdKind(StrEnum):
    LIVING_ALONE = "living_alone"
    ELDER_COUPLE = "elder_couple"
    WITH_CARER = "with_carer"
    FAMILY = "family"
    SINGLE = "single"
    RENTED = "rented"
    VACANT = "vacant"


class Tenure(StrEnum):
    OWNER_OCCUPIED = "owner_occupied"
    RENTED = "rented"
    VACANT = "vacant"


class Irregularity(StrEnum):
    """What the books of the property company do not say about a dwelling."""

    VACANT_BUT_OPENED = "vacant_but_opened"
    LEASE_ENDED = "lease_ended"
    OVER_OCCUPIED = "over_occupied"


class DeviceKind(StrEnum):
    DWELLING_DOOR = "dwelling_door"
    UNIT_DOOR = "unit_door"
    GATEWAY = "gateway"
    MOTION = "motion"
    WATER = "water"


CATEGORY_NAMES = {
    "living_alone": "独居",
    "empty_nest": "空巢",
    "advanced_age": "高龄",
    "disabled": "失能",
    "severely_disabled": "重残",
    "left_behind": "留守",
}


@dataclass(frozen=True, slots=True)
class Dweller:
    """Somebody who lives here, as the door knows him: one credential and one way of using it."""

    person_id: str
    token: str
    method: str
    is_elder: bool
    is_pupil: bool
    works: bool


@dataclass(frozen=True, slots=True)
class Household:
    """One dwelling and those behind its door; ``vigour`` 0..1 says how often they go out."""

    household_id: str
    index: int
    site_id: str
    label: str
    building: int
    unit: int
    floor: int
    room: str
    grid_id: str
    kind: HouseholdKind
    tenure: Tenure
    irregularity: Irregularity | None
    lease_from_ms: int | None
    lease_to_ms: int | None
    registered_occupants: int
    gateway_id: str
    door_id: str
    shared_door_id: str | None
    motion_id: str | None
    water_id: str | None
    has_reader: bool
    dwellers: tuple[Dweller, ...]
    family_token: str | None
    helper_token: str | None
    visitor_token: str | None
    watched: bool
    consent: bool
    watched_from_ms: int
    thresholds_s: tuple[int, ...]
    vigour: float
    seed: int


@dataclass(frozen=True, slots=True)
class Person:
    """An invented resident; ``categories`` are keys of ``CATEGORY_NAMES``."""

    person_id: str
    household_id: str
    name: str
    sex: str
    birth_year: int
    age: int
    phone: str
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FamilyContact:
    """A relative who lives elsewhere, told in the order of ``rank`` (1 first)."""

    contact_id: str
    household_id: str
    person_id: str
    name: str
    relation: str
    phone: str
    rank: int
    has_key: bool


@dataclass(frozen=True, slots=True)
class Helper:
    """One of the three helper roles; ``role`` is a value of ``kaimen.vocabulary.Role``."""

    helper_id: str
    name: str
    role: str
    phone: str
    unit_labels: tuple[str, ...]
    household_ids: tuple[str, ...]
    token: str | None


@dataclass(frozen=True, slots=True)
class StreetCredential:
    """A pseudonymous token and whose it is; ``valid_to_ms`` None has no end."""

    token: str
    klass: CredentialClass
    household_id: str | None
    person_id: str | None
    method: str
    valid_from_ms: int
    valid_to_ms: int | None


@dataclass(frozen=True, slots=True)
class StreetDevice:
    """One device id as one door or one sensor; ``capacity`` is how many unsent events it can keep."""

    device_id: str
    index: int
    site_id: str
    kind: DeviceKind
    label: str
    gateway_id: str
    heartbeat_s: int
    supervision_s: int
    has_battery: bool
    firmware: str
    capacity: int
    opens_at_start: int


@dataclass(frozen=True, slots=True)
class Unit:
    """One stairwell (单元): its homes speak through one gateway."""

    label: str
    building: int
    unit: int
    floors: int
    rooms_per_floor: int
    gateway_id: str
    door_id: str | None


@dataclass(frozen=True, slots=True)
class StreetAbsence:
    """What somebody told the office, at ``declared_at_ms``; people come back earlier or later than they said."""

    household_id: str
    from_ms: int
    to_ms: int
    reason: str
    declared_at_ms: int


@dataclass(frozen=True)
class Community:
    """A residential community (小区) with everything that is needed to play it and to fill the registers."""

    site_id: str
    name: str
    seed: int
    start_ms: int
    heartbeat_s: int
    units: tuple[Unit, ...]
    households: tuple[Household, ...]
    persons: tuple[Person, ...]
    contacts: tuple[FamilyContact, ...]
    helpers: tuple[Helper, ...]
    credentials: tuple[StreetCredential, ...]
    devices: tuple[StreetDevice, ...]
    absences: tuple[StreetAbsence, ...]

    @cached_property
    def household_by_id(self) -> dict[str, Household]:
        return {household.household_id: household for household in self.households}

    @cached_property
    def device_by_id(self) -> dict[str, StreetDevice]:
        return {device.device_id: device for device in self.devices}

    @cached_property
    def gateway_ids(self) -> tuple[str, ...]:
        return tuple(device.device_id for device in self.devices if device.kind is DeviceKind.GATEWAY)

    @cached_property
    def watched(self) -> tuple[Household, ...]:
        return tuple(household for household in self.households if household.watched)

    def to_registry(self, *, declared_until_ms: int | None = None) -> dict[str, Any]:
        """Return the registry of the wire page; ``declared_until_ms`` leaves out absences declared later."""
        absences: dict[str, list[StreetAbsence]] = {}
        for absence in self.absences:
            if declared_until_ms is None or absence.declared_at_ms <= declared_until_ms:
                absences.setdefault(absence.household_id, []).append(absence)
        return {
            "devices": [
                {"id": device.device_id, "site": device.site_id, "supervision_s": device.supervision_s}
                for device in self.devices
            ],
            "creds": [
                {"cred": item.token, "class": str(item.klass), "household": item.household_id}
                for item in self.credentials
            ],
            "households": [
                _registry_household(household, absences.get(household.household_id, []))
                for household in self.households
            ],
        }


def _registry_household(household: Household, absences: list[StreetAbsence]) -> dict[str, Any]:
    doors: list[Any] = [household.door_id]
    if household.shared_door_id is not None:
        doors.append({"device": household.shared_door_id, "role": "shared"})
    return {
        "id": household.household_id,
        "site": household.site_id,
        "doors": doors,
        "thresholds_s": list(household.thresholds_s),
        "watched_from": household.watched_from_ms,
        "absences": [{"from": absence.from_ms, "to": absence.to_ms} for absence in absences],
        "consent": household.consent,
    }
