"""A seed enters; the community that leaves is whole, consistent, and visibly invented."""

from __future__ import annotations

import json

from firmware_sim.community import CATEGORY_NAMES, make_community
from firmware_sim.people import Community, DeviceKind, HouseholdKind, Irregularity
from kaimen import wire
from kaimen.vocabulary import CredentialClass, Role

START_MS = 1_761_955_200_000


def _community() -> Community:
    return make_community(42, 300, 40, "baihe", START_MS)


def test_the_same_seed_makes_the_same_community_and_another_seed_another() -> None:
    assert _community() == _community()
    assert make_community(43, 300, 40, "baihe", START_MS) != _community()


def test_three_hundred_households_of_whom_forty_are_watched_with_consent() -> None:
    community = _community()
    assert len(community.households) == 300
    watched = community.watched
    assert len(watched) == 40
    assert all(household.consent and household.dwellers for household in watched)
    assert not any(household.consent for household in community.households if not household.watched)
    alone = [item for item in watched if item.kind is HouseholdKind.LIVING_ALONE]
    assert len(alone) == 24 and all(len(item.dwellers) == 1 for item in alone)


def test_ids_are_unique_and_may_stand_in_a_topic() -> None:
    community = _community()
    ids = [device.device_id for device in community.devices]
    assert len(set(ids)) == len(ids)
    assert all(wire.is_name(device_id) for device_id in ids)
    assert [device.index for device in community.devices] == list(range(len(ids)))
    tokens = [item.token for item in community.credentials]
    assert len(set(tokens)) == len(tokens)
    assert len({item.household_id for item in community.households}) == 300
    assert len({item.person_id for item in community.persons}) == len(community.persons)


def test_labels_read_building_unit_room_and_a_gateway_speaks_for_about_twelve_homes() -> None:
    community = _community()
    by_gateway: dict[str, int] = {}
    for household in community.households:
        building, unit, room = household.label.split("-")
        assert (int(building), int(unit), room) == (household.building, household.unit, household.room)
        assert room == f"{household.floor}{room[-2:]}"
        by_gateway[household.gateway_id] = by_gateway.get(household.gateway_id, 0) + 1
    assert set(by_gateway) == set(community.gateway_ids)
    assert max(by_gateway.values()) == 12
    assert "3-1-1201" in {household.label for household in community.households}


def test_every_reference_inside_the_community_resolves() -> None:
    community = _community()
    people = {person.person_id for person in community.persons}
    homes = set(community.household_by_id)
    for household in community.households:
        devices = [household.door_id, household.gateway_id, household.shared_door_id]
        devices += [household.motion_id, household.water_id]
        assert all(device in community.device_by_id for device in devices if device is not None)
        assert {dweller.person_id for dweller in household.dwellers} <= people
    assert {contact.household_id for contact in community.contacts} <= homes
    assert {contact.person_id for contact in community.contacts} <= people
    assert {home for helper in community.helpers for home in helper.household_ids} <= homes
    assert {absence.household_id for absence in community.absences} <= homes


def test_watched_homes_have_family_helpers_of_three_roles_and_a_few_lack_one() -> None:
    community = _community()
    roles: dict[str, set[str]] = {household.household_id: set() for household in community.watched}
    for helper in community.helpers:
        for household_id in helper.household_ids:
            roles[household_id].add(helper.role)
    complete = {Role.NEIGHBOUR_WATCHER, Role.STAIRWELL_LIAISON, Role.SAFETY_GUARDIAN}
    lacking = [home for home, found in roles.items() if found != complete]
    assert 0 < len(lacking) < 15
    assert {contact.household_id for contact in community.contacts} >= set(roles)


def test_people_are_visibly_invented() -> None:
    community = _community()
    named = [*community.persons, *community.contacts, *community.helpers]
    assert all(item.name[0] in "甲乙丙戊己庚壬癸子丑寅卯辰巳午未申酉戌亥" for item in named)
    assert all(item.phone.startswith("000") and len(item.phone) == 11 for item in named)
    assert {mark for person in community.persons for mark in person.categories} <= set(CATEGORY_NAMES)
    assert all(
        ("advanced_age" in person.categories) == (person.age >= 80)
        for person in community.persons
        if person.age >= 60 and person.categories
    )


def test_the_books_hold_what_the_community_police_should_find() -> None:
    community = _community()
    found = [household.irregularity for household in community.households if household.irregularity]
    assert set(found) == set(Irregularity)
    for household in community.households:
        if household.irregularity is Irregularity.LEASE_ENDED:
            assert household.lease_to_ms is not None and household.lease_to_ms < START_MS
        if household.irregularity is Irregularity.OVER_OCCUPIED:
            assert len(household.dwellers) > household.registered_occupants


def test_the_registry_has_the_form_of_the_wire_page() -> None:
    community = _community()
    registry = json.loads(json.dumps(community.to_registry()))
    assert set(registry) == {"devices", "creds", "households"}
    assert len(registry["devices"]) == len(community.devices)
    assert all(set(item) == {"id", "site", "supervision_s"} for item in registry["devices"])
    assert {item["class"] for item in registry["creds"]} <= {str(item) for item in CredentialClass}
    ids = {item["id"] for item in registry["devices"]}
    for household in registry["households"]:
        assert set(household) == {
            "id", "site", "doors", "thresholds_s", "watched_from", "absences", "consent"
        }  # fmt: skip
        doors = [door if isinstance(door, str) else door["device"] for door in household["doors"]]
        assert set(doors) <= ids
        assert all(0 < span["to"] - span["from"] <= 90 * 86_400_000 for span in household["absences"])
    late = community.to_registry(declared_until_ms=START_MS)
    assert sum(len(item["absences"]) for item in late["households"]) < len(community.absences)


def test_sensors_are_never_doors() -> None:
    community = _community()
    kinds = {device.device_id: device.kind for device in community.devices}
    assert {kinds[item.door_id] for item in community.households} == {DeviceKind.DWELLING_DOOR}
    shared = {item.shared_door_id for item in community.households if item.shared_door_id}
    assert {kinds[device_id] for device_id in shared} == {DeviceKind.UNIT_DOOR}
    assert any(kind is DeviceKind.MOTION for kind in kinds.values())
