"""Invent a residential community: a seed enters, buildings, devices, people, credentials and their marks leave.

Everybody here is invented and looks it: surnames are the heavenly stems and earthly branches (the Chinese "John
Doe"), telephone numbers begin with 000 and reach nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from firmware_sim.chance import dice, mix, text_bits
from firmware_sim.people import (
    CATEGORY_NAMES,
    Community,
    DeviceKind,
    Dweller,
    FamilyContact,
    Helper,
    Household,
    HouseholdKind,
    Irregularity,
    Person,
    StreetAbsence,
    StreetCredential,
    StreetDevice,
    Tenure,
    Unit,
)
from firmware_sim.residents import DAY_MS, declared_absences
from kaimen.clock import as_datetime
from kaimen.vocabulary import CredentialClass, Role

__all__ = ["CATEGORY_NAMES", "Community", "make_community"]

_SURNAMES = "甲乙丙戊己庚壬癸子丑寅卯辰巳午未申酉戌亥"
_GIVEN = {
    "f": ("春兰", "秋月", "素珍", "玉梅", "桂英", "淑芬", "慧贞", "月娥", "彩云", "冬青", "佩华", "丽娟"),
    "m": ("长青", "德海", "永福", "国柱", "松年", "广田", "文山", "宝泉", "立春", "明远", "建业", "学林"),
}
_DOOR_CAPACITY = 1_000
_UNIT_CAPACITY = 4_000
_GRID_HOUSEHOLDS = 400
_METHODS = ("card", "card", "face", "pin", "ble", "phone", "id_card")
_FIRMWARE = ("1.4.2", "1.4.2", "1.4.2", "1.3.9", "1.5.0")


@dataclass(slots=True)
class _Draft:
    """What has been invented so far."""

    site_id: str
    start_ms: int
    heartbeat_s: int
    chance: Random
    seed: int
    units: list[Unit]
    households: list[Household]
    persons: list[Person]
    contacts: list[FamilyContact]
    helpers: list[Helper]
    credentials: list[StreetCredential]
    devices: list[StreetDevice]


def make_community(
    seed: int,
    households: int = 300,
    watched: int = 40,
    site: str = "baihe",
    start_ms: int = 0,
    *,
    name: str = "百禾里",
    heartbeat_s: int = 3600,
    days: int = 400,
) -> Community:
    """Invent a community; the same arguments give the same one.

    ``start_ms`` is when watching begins; absences are declared for ``days`` days from there. Of the elders' homes
    ``watched`` have given consent; some more have not.
    """
    if not 0 <= watched <= households:
        raise ValueError(f"{watched} watched of {households} households")
    own_seed = mix(seed, text_bits(site))
    draft = _Draft(site, start_ms, heartbeat_s, dice(own_seed, 10), own_seed, [], [], [], [], [], [], [])
    kinds = _kinds(draft, households, watched)
    _build(draft, kinds, watched)
    _appoint(draft)
    absences: list[StreetAbsence] = []
    for household in draft.households:
        if household.watched:
            absences += declared_absences(household, start_ms, start_ms + days * DAY_MS)
    return Community(
        site_id=site,
        name=name,
        seed=own_seed,
        start_ms=start_ms,
        heartbeat_s=heartbeat_s,
        units=tuple(draft.units),
        households=tuple(draft.households),
        persons=tuple(draft.persons),
        contacts=tuple(draft.contacts),
        helpers=tuple(draft.helpers),
        credentials=tuple(draft.credentials),
        devices=tuple(replace(device, index=index) for index, device in enumerate(draft.devices)),
        absences=tuple(sorted(absences, key=lambda item: (item.declared_at_ms, item.household_id))),
    )


def _kinds(draft: _Draft, count: int, watched: int) -> list[tuple[HouseholdKind, bool]]:
    """Return a kind for every dwelling, in a shuffled order, and whether it is watched."""
    chance = draft.chance
    kinds: list[tuple[HouseholdKind, bool]] = []
    for index in range(watched):
        share = index / max(watched, 1)
        kind = (
            HouseholdKind.LIVING_ALONE
            if share < 0.6
            else HouseholdKind.ELDER_COUPLE
            if share < 0.88
            else HouseholdKind.WITH_CARER
        )
        kinds.append((kind, True))
    others = [
        *[HouseholdKind.FAMILY] * 48,
        *[HouseholdKind.RENTED] * 18,
        *[HouseholdKind.SINGLE] * 12,
        *[HouseholdKind.ELDER_COUPLE] * 10,
        *[HouseholdKind.VACANT] * 7,
        *[HouseholdKind.LIVING_ALONE] * 5,
    ]
    kinds += [(chance.choice(others), False) for _ in range(count - watched)]
    chance.shuffle(kinds)
    return kinds


# Buildings and devices --------------------------------------------------------------------------------------------


def _build(draft: _Draft, kinds: list[tuple[HouseholdKind, bool]], watched: int) -> None:
    number, unit_count = 0, 0
    while number < len(kinds):
        unit = _unit(draft, unit_count)
        draft.units.append(unit)
        for room in _rooms(unit)[: len(kinds) - number]:
            kind, is_watched = kinds[number]
            _move_in(draft, unit, number, room, kind, is_watched=is_watched)
            number += 1
        unit_count += 1
    _spoil_the_books(draft)


def _unit(draft: _Draft, index: int) -> Unit:
    building, unit = index // 3 + 1, index % 3 + 1
    label = f"{building}-{unit}"
    is_tower = building % 3 == 0
    gateway_id = f"{draft.site_id}-g{index + 1:03d}"
    draft.devices.append(_device(draft, gateway_id, DeviceKind.GATEWAY, label, gateway_id))
    door_id = None
    if index % 2 == 0:
        door_id = f"{draft.site_id}-u{index + 1:03d}"
        draft.devices.append(_device(draft, door_id, DeviceKind.UNIT_DOOR, label, gateway_id))
    floors, rooms = (12, 1) if is_tower else (6, 2)
    return Unit(label, building, unit, floors, rooms, gateway_id, door_id)


def _rooms(unit: Unit) -> list[tuple[int, str]]:
    return [
        (floor, f"{floor}{room:02d}")
        for floor in range(1, unit.floors + 1)
        for room in range(1, unit.rooms_per_floor + 1)
    ]


def _device(draft: _Draft, device_id: str, kind: DeviceKind, label: str, gateway_id: str) -> StreetDevice:
    chance = draft.chance
    is_door = kind in (DeviceKind.DWELLING_DOOR, DeviceKind.UNIT_DOOR)
    return StreetDevice(
        device_id=device_id,
        index=0,
        site_id=draft.site_id,
        kind=kind,
        label=label,
        gateway_id=gateway_id,
        heartbeat_s=draft.heartbeat_s,
        supervision_s=3 * draft.heartbeat_s,
        has_battery=kind in (DeviceKind.DWELLING_DOOR, DeviceKind.MOTION, DeviceKind.WATER),
        firmware="2.1.0" if kind is DeviceKind.GATEWAY else chance.choice(_FIRMWARE),
        capacity=_UNIT_CAPACITY if kind is DeviceKind.UNIT_DOOR else _DOOR_CAPACITY,
        opens_at_start=chance.randint(300, 9_000) if is_door else 0,
    )


def _move_in(
    draft: _Draft, unit: Unit, number: int, room: tuple[int, str], kind: HouseholdKind, *, is_watched: bool
) -> None:
    chance = draft.chance
    household_id = f"{draft.site_id}-h{number + 1:04d}"
    label = f"{unit.label}-{room[1]}"
    has_reader = chance.random() < (0.75 if is_watched else 0.85)
    dwellers = _people(draft, household_id, kind, has_reader=has_reader)
    has_sensors = is_watched and kind is HouseholdKind.LIVING_ALONE and chance.random() < 0.45
    ids = {
        device_kind: f"{draft.site_id}-{letter}{number + 1:04d}"
        for device_kind, letter in (
            (DeviceKind.DWELLING_DOOR, "d"),
            (DeviceKind.MOTION, "m"),
            (DeviceKind.WATER, "w"),
        )
    }
    wanted = [DeviceKind.DWELLING_DOOR, *([DeviceKind.MOTION, DeviceKind.WATER] if has_sensors else [])]
    for device_kind in wanted:
        draft.devices.append(_device(draft, ids[device_kind], device_kind, label, unit.gateway_id))
    elders = kind in (HouseholdKind.LIVING_ALONE, HouseholdKind.ELDER_COUPLE, HouseholdKind.WITH_CARER)
    lease = _lease(draft, kind)
    draft.households.append(
        Household(
            household_id=household_id,
            index=number,
            site_id=draft.site_id,
            label=label,
            building=unit.building,
            unit=unit.unit,
            floor=room[0],
            room=room[1],
            grid_id=f"{draft.site_id}-grid{number // _GRID_HOUSEHOLDS + 1}",
            kind=kind,
            tenure=_tenure(kind),
            irregularity=None,
            lease_from_ms=lease[0],
            lease_to_ms=lease[1],
            registered_occupants=len(dwellers),
            gateway_id=unit.gateway_id,
            door_id=ids[DeviceKind.DWELLING_DOOR],
            shared_door_id=unit.door_id,
            motion_id=ids[DeviceKind.MOTION] if has_sensors else None,
            water_id=ids[DeviceKind.WATER] if has_sensors else None,
            has_reader=has_reader,
            dwellers=dwellers,
            family_token=_family(draft, household_id, kind, dwellers),
            helper_token=None,
            visitor_token=_credential(draft, CredentialClass.VISITOR, household_id, None, "qr")
            if kind in (HouseholdKind.FAMILY, HouseholdKind.ELDER_COUPLE) and chance.random() < 0.5
            else None,
            watched=is_watched,
            consent=is_watched,
            watched_from_ms=draft.start_ms,
            thresholds_s=(86_400, 172_800, 259_200),
            vigour=round(chance.uniform(0.35, 1.0), 3) if elders else 1.0,
            seed=mix(draft.seed, 11, number),
        )
    )


def _tenure(kind: HouseholdKind) -> Tenure:
    if kind is HouseholdKind.RENTED:
        return Tenure.RENTED
    return Tenure.VACANT if kind is HouseholdKind.VACANT else Tenure.OWNER_OCCUPIED


def _lease(draft: _Draft, kind: HouseholdKind) -> tuple[int | None, int | None]:
    if kind is not HouseholdKind.RENTED:
        return None, None
    from_ms = draft.start_ms - draft.chance.randint(20, 330) * DAY_MS
    return from_ms, from_ms + 365 * DAY_MS


def _spoil_the_books(draft: _Draft) -> None:
    """Leave in the books what the community police should find: two empty homes lived in, two leases ended, one crowd."""
    wanted = [
        (HouseholdKind.VACANT, Irregularity.VACANT_BUT_OPENED, 2),
        (HouseholdKind.RENTED, Irregularity.LEASE_ENDED, 2),
        (HouseholdKind.RENTED, Irregularity.OVER_OCCUPIED, 1),
    ]
    for kind, irregularity, count in wanted:
        fitting = [item for item in draft.households if item.kind is kind and item.irregularity is None]
        for household in draft.chance.sample(fitting, min(count, len(fitting))):
            draft.households[household.index] = _spoiled(draft, household, irregularity)


def _spoiled(draft: _Draft, household: Household, irregularity: Irregularity) -> Household:
    if irregularity is Irregularity.LEASE_ENDED:
        ended_ms = draft.start_ms - 9 * DAY_MS
        return replace(
            household,
            irregularity=irregularity,
            lease_from_ms=ended_ms - 365 * DAY_MS,
            lease_to_ms=ended_ms,
        )
    if irregularity is Irregularity.OVER_OCCUPIED:
        crowd = tuple(_young(draft, household.household_id, "ble") for _ in range(4))
        return replace(
            household, irregularity=irregularity, dwellers=household.dwellers + crowd, registered_occupants=1
        )
    return replace(household, irregularity=irregularity)


# People -----------------------------------------------------------------------------------------------------------


def _people(
    draft: _Draft, household_id: str, kind: HouseholdKind, *, has_reader: bool
) -> tuple[Dweller, ...]:
    chance = draft.chance
    method = chance.choice(_METHODS) if has_reader else "key"
    if kind is HouseholdKind.VACANT:
        return ()
    if kind is HouseholdKind.LIVING_ALONE:
        return (_elder(draft, household_id, method, _alone_categories(chance)),)
    if kind is HouseholdKind.ELDER_COUPLE:
        return tuple(_elder(draft, household_id, method, ["empty_nest"], sex) for sex in ("m", "f"))
    if kind is HouseholdKind.WITH_CARER:
        category = chance.choice(("disabled", "severely_disabled", "left_behind"))
        return (
            _elder(draft, household_id, method, [category]),
            _adult(draft, household_id, method, works=False),
        )
    if kind is HouseholdKind.SINGLE:
        return (_young(draft, household_id, method),)
    if kind is HouseholdKind.RENTED:
        return tuple(_young(draft, household_id, method) for _ in range(chance.randint(1, 3)))
    found = [_adult(draft, household_id, method, works=True), _adult(draft, household_id, method, works=True)]
    found += [_pupil(draft, household_id, method) for _ in range(chance.choice((0, 1, 1, 2)))]
    if chance.random() < 0.3:
        found.append(_elder(draft, household_id, method, []))
    return tuple(found)


def _alone_categories(chance: Random) -> list[str]:
    return ["living_alone", *(["disabled"] if chance.random() < 0.12 else [])]


def _elder(
    draft: _Draft, household_id: str, method: str, categories: list[str], sex: str | None = None
) -> Dweller:
    age = draft.chance.randint(66, 92)
    marks = [*categories, *(["advanced_age"] if age >= 80 else [])]
    person = _person(draft, household_id, age, sex, tuple(marks))
    return _dweller(draft, person, method, is_elder=True)


def _adult(draft: _Draft, household_id: str, method: str, *, works: bool) -> Dweller:
    person = _person(draft, household_id, draft.chance.randint(30, 58), None, ())
    return _dweller(draft, person, method, works=works)


def _young(draft: _Draft, household_id: str, method: str) -> Dweller:
    person = _person(draft, household_id, draft.chance.randint(20, 38), None, ())
    return _dweller(draft, person, method, works=True)


def _pupil(draft: _Draft, household_id: str, method: str) -> Dweller:
    person = _person(draft, household_id, draft.chance.randint(7, 17), None, ())
    return _dweller(draft, person, method, is_pupil=True)


def _dweller(
    draft: _Draft,
    person: Person,
    method: str,
    *,
    is_elder: bool = False,
    is_pupil: bool = False,
    works: bool = False,
) -> Dweller:
    token = _credential(draft, CredentialClass.RESIDENT, person.household_id, person.person_id, method)
    return Dweller(person.person_id, token, method, is_elder, is_pupil, works)


def _person(
    draft: _Draft, household_id: str, age: int, sex: str | None, categories: tuple[str, ...]
) -> Person:
    number = len(draft.persons) + 1
    chosen = sex or draft.chance.choice("mf")
    person = Person(
        person_id=f"{draft.site_id}-p{number:05d}",
        household_id=household_id,
        name=_name(draft.chance, chosen),
        sex=chosen,
        birth_year=as_datetime(draft.start_ms).year - age,
        age=age,
        phone=_phone(1, number),
        categories=categories,
    )
    draft.persons.append(person)
    return person


def _name(chance: Random, sex: str) -> str:
    return chance.choice(_SURNAMES) + chance.choice(_GIVEN[sex])


def _phone(block: int, number: int) -> str:
    return f"000{block:03d}{number:05d}"


def _family(
    draft: _Draft, household_id: str, kind: HouseholdKind, dwellers: tuple[Dweller, ...]
) -> str | None:
    """Give relatives outside to elders and an owner to empty homes; return the credential of the first one."""
    chance = draft.chance
    if kind is HouseholdKind.VACANT:
        return _credential(draft, CredentialClass.FAMILY, household_id, None, "card")
    if not any(dweller.is_elder for dweller in dwellers) or kind is HouseholdKind.FAMILY:
        return None
    count = chance.choice((1, 1, 2, 2, 3))
    surname = draft.persons[-1].name[0]
    for rank in range(1, count + 1):
        sex = chance.choice("mf")
        number = len(draft.contacts) + 1
        draft.contacts.append(
            FamilyContact(
                contact_id=f"{draft.site_id}-f{number:04d}",
                household_id=household_id,
                person_id=dwellers[0].person_id,
                name=surname + chance.choice(_GIVEN[sex]),
                relation={"m": "儿子", "f": "女儿"}[sex] if rank < 3 else "侄女",
                phone=_phone(2, number),
                rank=rank,
                has_key=rank == 1,
            )
        )
    return _credential(draft, CredentialClass.FAMILY, household_id, None, "card")


def _credential(
    draft: _Draft, klass: CredentialClass, household_id: str | None, person_id: str | None, method: str
) -> str:
    number = len(draft.credentials)
    token = f"c_{mix(draft.seed, 12, number):016x}"[:13]
    since_ms = draft.start_ms - draft.chance.randint(30, 1500) * DAY_MS
    until_ms = since_ms + 3650 * DAY_MS if klass is CredentialClass.STAFF else None
    draft.credentials.append(
        StreetCredential(token, klass, household_id, person_id, method, since_ms, until_ms)
    )
    return token


# The three helper roles -------------------------------------------------------------------------------------------


def _appoint(draft: _Draft) -> None:
    """Appoint a liaison per stairwell, a guardian per building, a watcher next door; a few homes lack one."""
    for building in sorted({unit.building for unit in draft.units}):
        _appoint_guardian(draft, building)
    for unit in draft.units:
        _appoint_liaison(draft, unit)
    for household in [item for item in draft.households if item.watched]:
        _appoint_watcher(draft, household)


def _appoint_guardian(draft: _Draft, building: int) -> None:
    homes = [item for item in draft.households if item.building == building and item.watched]
    units = tuple(unit.label for unit in draft.units if unit.building == building)
    token = _credential(draft, CredentialClass.STAFF, None, None, "card")
    _add_helper(draft, Role.SAFETY_GUARDIAN, units, tuple(item.household_id for item in homes), token)
    for household in homes:
        if household.kind is HouseholdKind.LIVING_ALONE or household.vigour < 0.5:
            draft.households[household.index] = replace(household, helper_token=token)


def _appoint_liaison(draft: _Draft, unit: Unit) -> None:
    homes = tuple(
        item.household_id
        for item in draft.households
        if item.watched and (item.building, item.unit) == (unit.building, unit.unit)
    )
    _add_helper(draft, Role.STAIRWELL_LIAISON, (unit.label,), homes, None)


def _appoint_watcher(draft: _Draft, household: Household) -> None:
    neighbours = [
        item
        for item in draft.households
        if (item.building, item.unit) == (household.building, household.unit)
        and item.kind in (HouseholdKind.FAMILY, HouseholdKind.ELDER_COUPLE)
        and item.index != household.index
    ]
    if not neighbours or draft.chance.random() < 0.08:
        return
    nearest = min(neighbours, key=lambda item: (abs(item.floor - household.floor), item.index))
    person = next(item for item in draft.persons if item.household_id == nearest.household_id)
    draft.helpers.append(
        Helper(
            helper_id=f"{draft.site_id}-k{len(draft.helpers) + 1:04d}",
            name=person.name,
            role=Role.NEIGHBOUR_WATCHER,
            phone=person.phone,
            unit_labels=(f"{household.building}-{household.unit}",),
            household_ids=(household.household_id,),
            token=None,
        )
    )


def _add_helper(
    draft: _Draft, role: Role, units: tuple[str, ...], households: tuple[str, ...], token: str | None
) -> None:
    number = len(draft.helpers) + 1
    draft.helpers.append(
        Helper(
            helper_id=f"{draft.site_id}-k{number:04d}",
            name=_name(draft.chance, draft.chance.choice("mf")),
            role=role,
            phone=_phone(3, number),
            unit_labels=units,
            household_ids=households,
            token=token,
        )
    )
