"""Fills the registers from an invented community: people, doors, consents and sign-ins enter the database.

Everything a property office would have in its books, in one transaction; what happens at the doors does not come
from here.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, LiteralString

from psycopg import sql

from console.identity import sessions as identity
from console.identity import tokens
from console.stack.services import EDGE_ID
from firmware_sim.chance import fraction
from firmware_sim.people import (
    Community,
    DeviceKind,
    Household,
    HouseholdKind,
    Person,
    StreetAbsence,
    StreetDevice,
    Tenure,
)
from kaimen.clock import as_datetime
from kaimen.database import Connection, queries
from kaimen.vocabulary import Role

FOREIGN_HOMES = 20
#: Away begins behind the door: the opening with which somebody leaves does not ask whether she is back.
_OUT_OF_THE_DOOR_MS = 60_000
GRID_WORKER = ("grid-worker", "戊明远", "00009900001")
_HELPER_POSITIONS = {
    Role.NEIGHBOUR_WATCHER: 1, Role.STAIRWELL_LIAISON: 2, Role.SAFETY_GUARDIAN: 3, Role.GRID_WORKER: 4,
}  # fmt: skip
_KINDS = {
    DeviceKind.DWELLING_DOOR: ("controller", "simulated door controller"),
    DeviceKind.UNIT_DOOR: ("controller", "simulated unit door controller"),
    DeviceKind.GATEWAY: ("gateway", "simulated gateway"),
    DeviceKind.MOTION: ("motion", "simulated motion sensor"),
    DeviceKind.WATER: ("water", "simulated water meter"),
}
_DEVICE_COLUMNS: tuple[LiteralString, ...] = (
    "id", "site_id", "kind", "model", "place", "gateway_id", "heartbeat_s", "supervision_s", "registered_at",
)  # fmt: skip
FOREIGN_MODEL = "simulated Zigbee contact sensor"
_TENURES = {Tenure.OWNER_OCCUPIED: "owner", Tenure.RENTED: "rented", Tenure.VACANT: "vacant"}
_CONSENT_SHARES = {"notify_family": 0.9, "exact_times": 0.6, "share_with_police": 0.2, "early_watch": 0.3}


def foreign_homes(community: Community) -> tuple[Household, ...]:
    """Return the homes whose door has a sensor of another maker instead of a controller; the watched ones first."""
    fitting = [item for item in community.households if not item.has_reader and item.dwellers]
    return tuple(sorted(fitting, key=lambda item: (not item.watched, item.index))[:FOREIGN_HOMES])


def fill_registers(connection: Connection, community: Community, *, now_ms: int) -> None:
    """Write all books of a community as the office has them at ``now_ms``."""
    _insert(connection, "communities", ("id", "name"), [(community.site_id, community.name)])
    _insert(
        connection,
        "sites",
        ("id", "community_id", "name"),
        [(community.site_id, community.site_id, community.name)],
    )
    _fill_buildings(connection, community)
    _fill_devices(connection, community)
    _fill_households(connection, community)
    _fill_people(connection, community)
    _fill_contacts(connection, community)
    _fill_credentials(connection, community)
    _fill_leases(connection, community)
    _fill_consents(connection, community)
    declare_absences(connection, community.absences, until_ms=now_ms)


def _insert(
    connection: Connection,
    table: LiteralString,
    columns: Sequence[LiteralString],
    rows: Iterable[Sequence[Any]],
) -> None:
    # Through a table of its own: what is under row-level security takes no COPY, not even the owner's.
    names = {
        "table": sql.Identifier(table),
        "loading": sql.Identifier(f"loading_{table}"),
        "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
    }
    connection.execute(
        sql.SQL("CREATE TEMP TABLE {loading} AS SELECT {columns} FROM {table} WITH NO DATA").format(**names)
    )
    with connection.cursor() as cursor:
        with cursor.copy(sql.SQL("COPY {loading} ({columns}) FROM STDIN").format(**names)) as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(
            sql.SQL("INSERT INTO {table} ({columns}) SELECT {columns} FROM {loading} ORDER BY ctid").format(
                **names
            )
        )
    connection.execute(sql.SQL("DROP TABLE {loading}").format(**names))


#: The invented street on its plan: so many buildings side by side, and how far apart their middles are.
_BUILDINGS_A_ROW, _APART_X_M, _APART_Y_M = 4, 74, 46


def _fill_buildings(connection: Connection, community: Community) -> None:
    """Lay the buildings out in rows along two roads, every third of them a tower, as the street was invented."""
    rows = []
    for place, name in enumerate(sorted({home.building for home in community.households})):
        row, column = divmod(place, _BUILDINGS_A_ROW)
        tower = name % 3 == 0
        x_m, y_m = column * _APART_X_M + row % 2 * 18, row * _APART_Y_M
        rows.append(
            (
                community.site_id,
                str(name),
                x_m,
                y_m,
                26 if tower else 58,
                22 if tower else 14,
                -6 if column == 3 else 0,
            )
        )
    columns = ("site_id", "name", "x_m", "y_m", "width_m", "depth_m", "turn_deg")
    _insert(connection, "buildings", columns, rows)


def _fill_devices(connection: Connection, community: Community) -> None:
    started = as_datetime(community.start_ms)
    foreign = {home.door_id for home in foreign_homes(community)}
    # Gateways first: the others name theirs.
    in_order = sorted(community.devices, key=lambda item: (item.kind is not DeviceKind.GATEWAY, item.index))
    rows = [_device_row(item, started, is_foreign=item.device_id in foreign) for item in in_order]
    _insert(connection, "devices", _DEVICE_COLUMNS, rows)


def add_edge(connection: Connection, community: Community, *, now_ms: int) -> None:
    """Register the edge, which exists only since the demo runs."""
    row = (
        EDGE_ID, community.site_id, "gateway", "edge", "office", None, community.heartbeat_s,
        3 * community.heartbeat_s, as_datetime(now_ms),
    )  # fmt: skip
    _insert(connection, "devices", _DEVICE_COLUMNS, [row])


def _device_row(device: StreetDevice, started: Any, *, is_foreign: bool) -> Sequence[Any]:
    kind, model = ("contact", FOREIGN_MODEL) if is_foreign else _KINDS[device.kind]
    gateway = None if device.kind is DeviceKind.GATEWAY else device.gateway_id
    return (
        device.device_id, device.site_id, kind, model, device.label, gateway, device.heartbeat_s,
        device.supervision_s, started,
    )  # fmt: skip


def _fill_households(connection: Connection, community: Community) -> None:
    _insert(
        connection, "households",
        ("id", "site_id", "label", "building", "unit", "floor", "room", "grid", "tenure", "watched_from"),
        [
            (
                home.household_id, home.site_id, home.label, str(home.building), str(home.unit), home.floor,
                home.room, home.grid_id.rpartition("-grid")[2], _TENURES[home.tenure],
                as_datetime(home.watched_from_ms) if home.watched else None,
            )
            for home in community.households
        ],
    )  # fmt: skip
    doors: list[Sequence[Any]] = []
    for home in community.households:
        doors.append((home.household_id, home.door_id, "dwelling"))
        if home.shared_door_id is not None:
            doors.append((home.household_id, home.shared_door_id, "shared"))
    _insert(connection, "household_doors", ("household_id", "device_id", "role"), doors)


def is_hard_of_hearing(seed: int, person: Person) -> bool:
    """Say whether the office has it in its books that somebody does not hear the telephone."""
    return person.age >= 75 and fraction(seed, 60, int(person.person_id[-5:])) < 0.3


def _fill_people(connection: Connection, community: Community) -> None:
    persons: list[Sequence[Any]] = []
    names: list[Sequence[Any]] = []
    for person in community.persons:
        hard_of_hearing = is_hard_of_hearing(community.seed, person)
        category = next(iter(person.categories), None)
        persons.append(
            (person.person_id, person.household_id, "resident", category, person.birth_year, hard_of_hearing)
        )
        names.append((person.person_id, person.name, person.phone))
    others = [(item.contact_id, "family", item.name, item.phone) for item in community.contacts]
    others += [(item.helper_id, "helper", item.name, item.phone) for item in community.helpers]
    others.append((GRID_WORKER[0], "staff", GRID_WORKER[1], GRID_WORKER[2]))
    for person_id, relation, name, phone in others:
        persons.append((person_id, None, relation, None, None, False))
        names.append((person_id, name, phone))
    columns: tuple[LiteralString, ...] = (
        "id", "household_id", "relation", "category", "birth_year", "hard_of_hearing",
    )  # fmt: skip
    _insert(connection, "persons", columns, persons)
    _insert(connection, "person_identities", ("person_id", "name", "phone"), names)


def _fill_contacts(connection: Connection, community: Community) -> None:
    rows: list[Sequence[Any]] = [
        (item.household_id, item.contact_id, "family", item.rank, item.relation)
        for item in community.contacts
    ]
    for helper in community.helpers:
        position = _HELPER_POSITIONS[Role(helper.role)]
        rows += [(home, helper.helper_id, str(helper.role), position, "") for home in helper.household_ids]
    position = _HELPER_POSITIONS[Role.GRID_WORKER]
    rows += [
        (home.household_id, GRID_WORKER[0], str(Role.GRID_WORKER), position, "") for home in community.watched
    ]
    columns: tuple[LiteralString, ...] = ("household_id", "person_id", "role", "position", "relation_words")
    _insert(connection, "household_contacts", columns, rows)


def _fill_credentials(connection: Connection, community: Community) -> None:
    _insert(
        connection, "credentials", ("token", "class", "household_id", "person_id", "valid_from", "valid_to"),
        [
            (
                item.token, str(item.klass), item.household_id, item.person_id, as_datetime(item.valid_from_ms),
                None if item.valid_to_ms is None else as_datetime(item.valid_to_ms),
            )
            for item in community.credentials
        ],
    )  # fmt: skip


def _fill_leases(connection: Connection, community: Community) -> None:
    """Write the registered tenancies, with what the office does not know left as it is."""
    _insert(
        connection, "leases",
        ("id", "household_id", "from_at", "to_at", "occupants", "registration", "recorded_at"),
        [
            (
                f"l-{home.household_id}", home.household_id, as_datetime(home.lease_from_ms),
                None if home.lease_to_ms is None else as_datetime(home.lease_to_ms), home.registered_occupants,
                f"R-{home.index:04d}", as_datetime(home.lease_from_ms),
            )
            for home in community.households
            if home.lease_from_ms is not None
        ],
    )  # fmt: skip


def _fill_consents(connection: Connection, community: Community) -> None:
    given = as_datetime(community.start_ms)
    with_family = {contact.household_id for contact in community.contacts}
    rows: list[Sequence[Any]] = []
    for home in community.watched:
        if not home.consent:
            continue
        rows.append((home.household_id, "watch", "resident", given))
        for number, (purpose, share) in enumerate(_CONSENT_SHARES.items()):
            told = purpose != "notify_family" or home.household_id in with_family
            if told and fraction(community.seed, 61 + number, home.index) < share:
                rows.append((home.household_id, purpose, "resident", given))
    _insert(connection, "consents", ("household_id", "purpose", "given_by", "given_at"), rows)


def declare_absences(connection: Connection, absences: Iterable[StreetAbsence], *, until_ms: int) -> int:
    """Enter into the book what people told the office up to ``until_ms`` and is not in it yet."""
    count = 0
    for absence in absences:
        if absence.declared_at_ms > until_ms:
            break  # they are in the order in which they are told
        row = connection.execute(
            "INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)"
            " SELECT %(home)s, %(from)s, %(to)s, %(reason)s, 'resident', %(told)s"
            " WHERE NOT EXISTS (SELECT 1 FROM absences WHERE household_id = %(home)s AND declared_at = %(told)s)",
            {
                "home": absence.household_id, "from": as_datetime(absence.from_ms + _OUT_OF_THE_DOOR_MS),
                "to": as_datetime(absence.to_ms), "reason": absence.reason,
                "told": as_datetime(absence.declared_at_ms),
            },
        )  # fmt: skip
        count += row.rowcount
    return count


# Sign-ins ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a visitor needs to be somebody: printed and written once, stored nowhere else."""

    role: Role
    user: str
    password: str
    token: str


_NAMES = {
    Role.PROPERTY_CLERK: ("clerk", "己春兰"),
    Role.POLICE_OFFICER: ("officer", "庚国柱"),
    Role.POLICE_SUPERVISOR: ("supervisor", "辛志远"),
    Role.AUDITOR: ("auditor", "壬慧"),
    Role.FAMILY: ("family", ""),
    Role.ADMIN: ("admin", "管理员"),
    Role.NEIGHBOUR_WATCHER: ("watcher", ""),
    Role.STAIRWELL_LIAISON: ("liaison", ""),
    Role.SAFETY_GUARDIAN: ("guardian", ""),
    Role.GRID_WORKER: ("grid", GRID_WORKER[1]),
    Role.GUARD: ("guard", "辛大勇"),
    Role.PROPERTY_DIRECTOR: ("director", "丁建业"),
    Role.COMMUNITY_COMMITTEE: ("committee", "丙秀芳"),
    Role.RESIDENT: ("resident", ""),
}


def add_sign_ins(
    connection: Connection, community: Community, *, shut: Sequence[str], now_ms: int
) -> list[SignIn]:
    """Let one person of each role sign in, with random passwords.

    ``shut`` are the households that something is the matter with, gravest first: family and helpers are theirs.
    """
    found = []
    for role, (name, display_name) in _NAMES.items():
        shown, homes = _who(community, role, display_name, shut)
        password = secrets.token_urlsafe(12)
        user_id = identity.add_user(
            connection, name=name, display_name=shown, password=password, role=role,
            community_id=community.site_id, now=as_datetime(now_ms), households=homes,
        )  # fmt: skip
        token = tokens.make_token(connection, user_id=user_id, name="demo", now=as_datetime(now_ms))
        if role is Role.POLICE_OFFICER:
            connection.execute(
                queries("console.books")["user_trained"],
                {"name": name, "until": as_datetime(now_ms).date() + timedelta(days=365)},
            )
        if role is Role.FAMILY:
            _choose_news_of_home(connection, user_id, tuple(homes), now_ms=now_ms)
        found.append(SignIn(role, name, password, token))
    return found


def _choose_news_of_home(connection: Connection, user_id: int, homes: Sequence[str], *, now_ms: int) -> None:
    """The demo's daughter wants to hear that somebody came home; what is off by default would show nothing."""
    rows = [(home, user_id, True, as_datetime(now_ms)) for home in homes]
    _insert(connection, "home_notices", ("household_id", "user_id", "came_home", "changed_at"), rows)


def _who(
    community: Community, role: Role, display_name: str, shut: Sequence[str]
) -> tuple[str, dict[str, str]]:
    """Return how a person is called and whose she is."""
    if role is Role.FAMILY:
        return _relative(community, shut)
    if role is Role.RESIDENT:
        return _elder(community, shut)
    helpers = [helper for helper in community.helpers if helper.role == role]
    if not helpers:
        return display_name, {
            home.household_id: "" for home in community.watched
        } if role is Role.GRID_WORKER else {}
    ranked = [helper for home in shut for helper in helpers if home in helper.household_ids]
    helper = (ranked or helpers)[0]
    return helper.name, dict.fromkeys(helper.household_ids, "")


def _elder(community: Community, shut: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Somebody who lives alone and with whom all is well."""
    home = next(
        home for home in community.watched
        if home.kind is HouseholdKind.LIVING_ALONE and home.household_id not in shut and home.consent
    )  # fmt: skip
    return "居民", {home.household_id: ""}


def _relative(community: Community, shut: Sequence[str]) -> tuple[str, dict[str, str]]:
    """A daughter or son with two homes to care for: one where something is the matter, one where all is well."""
    contacts = {item.household_id: item for item in community.contacts if item.rank == 1}
    alone = [
        home.household_id
        for home in community.watched
        if home.kind is HouseholdKind.LIVING_ALONE and home.household_id in contacts and home.consent
    ]
    troubled = [home for home in shut if home in alone][:1]
    well = [home for home in alone if home not in shut][:1]
    chosen = [*troubled, *well]
    first = contacts[chosen[0]]
    words = {"儿子": "母亲", "女儿": "母亲", "侄女": "姑母"}[first.relation]
    return first.name, {home: words if index == 0 else "姨母" for index, home in enumerate(chosen)}
