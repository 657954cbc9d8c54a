"""The registry's rows enter; what one shard group must know of doors, households and credentials leaves.

What changed of it since it was read is ``registry_reader``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from psycopg.rows import tuple_row

from ingest.causes import Wiring
from ingest.detector import Registry
from ingest.detector.changes import RegistryChanges, take
from kaimen.clock import as_datetime, as_ms
from kaimen.database import Connection, queries
from kaimen.policy import THRESHOLDS_DEFAULT_MS
from kaimen.vocabulary import (
    Absence,
    Credential,
    CredentialClass,
    Device,
    DoorBinding,
    DoorRole,
    Household,
    Verified,
)
from kaimen.wire import shard_of

_SQL = queries("ingest")

#: Absences and words of witnesses that ended longer ago cannot matter any more.
REGISTRY_MEMORY = timedelta(days=140)
_ROWS_AT_ONCE = 10_000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class BookChanges:
    """What is otherwise in a registry than it was, with the numbers of rows; None: it is no longer there."""

    registry: RegistryChanges
    device_no: Mapping[str, int | None]
    household_no: Mapping[str, int | None]
    #: The group's sites as they are now; None: all there are.
    sites: list[str] | None = None

    def __bool__(self) -> bool:
        return self.count() > 0

    def count(self) -> int:
        """How many things are otherwise."""
        registry = self.registry
        told = (
            registry.devices,
            registry.households,
            registry.credentials,
            self.device_no,
            self.household_no,
        )
        return sum(map(len, told))


@dataclass(slots=True)
class Book:
    """The registry of one shard group as the detector needs it, with the numbers rows are stored under."""

    registry: Registry
    device_no: dict[str, int]
    household_no: dict[str, int]
    wiring: tuple[Wiring, ...]
    #: The group's sites; None: all there are. What is read by them is not read for other groups' homes.
    sites: list[str] | None = None

    def device_by_no(self) -> dict[int, str]:
        return {no: device_id for device_id, no in self.device_no.items()}

    def take(self, changes: BookChanges) -> None:
        """Bring numbers and wiring up to what changed of the registry, which its detector brought up to it."""
        take(self.device_no, changes.device_no)
        take(self.household_no, changes.household_no)
        self.sites = changes.sites
        if changes.registry.devices:
            self.wiring = tuple(item for item in self.registry.devices.values() if isinstance(item, Wiring))


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the registry is read, and as of when: one shard group's, with words since ``since_ms``.

    ``sites`` are the group's; None: all there are.
    """

    now_ms: int
    sites: list[str] | None = None
    since_ms: int | None = None

    @classmethod
    def of_group(
        cls, connection: Connection, group_no: int, groups: int, *, now_ms: int, since_ms: int | None = None
    ) -> Share:
        """Ask which sites there are, and take those of a group."""
        if groups == 1:
            return cls(now_ms, since_ms=since_ms)
        rows = connection.execute(_SQL["load_sites"]).fetchall()
        return cls(now_ms, [row["id"] for row in rows if is_of_group(row["id"], group_no, groups)], since_ms)

    @property
    def since(self) -> datetime:
        """From when on absences and words of witnesses may matter."""
        remembered = as_datetime(self.now_ms) - REGISTRY_MEMORY
        return remembered if self.since_ms is None else min(remembered, as_datetime(self.since_ms))


def is_of_group(site_id: str, group_no: int, groups: int) -> bool:
    """Say whether a site's shard belongs to a group: groups divide the first hexadecimal digit."""
    return (shard_of(site_id) >> 4) * groups // 16 == group_no


def load_book(
    connection: Connection,
    *,
    now_ms: int,
    group_no: int = 0,
    groups: int = 1,
    since_ms: int | None = None,
    alive: Callable[[], None] = lambda: None,
) -> Book:
    """Read the registry of one shard group as it holds at ``now_ms``, with absences and words since ``since_ms``.

    Credentials are those of its homes, and everybody's that are staff's, guards' or visitors': any other that is shown at
    her own door counts as hers who lives there, listed elsewhere or not. ``alive`` is called now and then, for a lease to
    be renewed meanwhile.
    """
    shared: dict[Any, Any] = {}
    with connection.transaction():
        share = Share.of_group(connection, group_no, groups, now_ms=now_ms, since_ms=since_ms)
        devices = load_devices(connection, share, shared=shared, alive=alive)
        device_by_id = {item.device.device_id: item.device for item in devices}
        doors = bind(
            _rows(connection, "load_doors", {"households": None, "sites": share.sites}, alive), device_by_id
        )
        household_by_id, household_no = load_households(connection, share, doors, shared=shared, alive=alive)
        credentials = load_credentials(connection, household_by_id, share, alive=alive)
    required = required_devices(household_by_id.values(), now_ms)
    wired = wiring(devices, required)
    device_by_id |= {item.device_id: item for item in wired}  # what is wired is a device, and kept once
    return Book(
        Registry(device_by_id, household_by_id, credentials),
        {item.device.device_id: item.no for item in devices},
        household_no,
        wired,
        share.sites,
    )


def load_devices(
    connection: Connection,
    share: Share,
    device_ids: Sequence[str] | None = None,
    *,
    shared: dict[Any, Any],
    alive: Callable[[], None] = lambda: None,
) -> list[Wired]:
    """Read some devices of a group, or all."""
    return [
        Wired(
            Device(device_id, _once(shared, site_id), _once(shared, supervision_s * 1000)),
            no,
            kind == "gateway",
            gateway_id,
            _once(shared, as_ms(registered_at)),
            retired_at is not None,
            _once(shared, commissioning_s * 1000),
        )
        for no, device_id, site_id, kind, gateway_id, supervision_s, registered_at, retired_at, commissioning_s in _rows(
            connection, "load_devices", {"devices": device_ids, "sites": share.sites}, alive
        )
    ]


def load_doors(connection: Connection, share: Share, household_ids: Sequence[str]) -> list[tuple[Any, ...]]:
    """Read the doors of some homes of a group, as rows for ``bind``."""
    return list(_rows(connection, "load_doors", {"households": household_ids, "sites": share.sites}))


def load_households(
    connection: Connection,
    share: Share,
    doors_of: dict[str, list[DoorBinding]],
    household_ids: Sequence[str] | None = None,
    *,
    shared: dict[Any, Any],
    alive: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Household], dict[str, int]]:
    """Read some homes of a group, or all, that have these doors; return those that are watched, and all numbers."""
    values = {
        "households": household_ids,
        "sites": share.sites,
        "since": share.since,
        "now": as_datetime(share.now_ms),
    }
    absences_of: dict[str, list[Absence]] = {}
    for household_id, from_at, to_at in _rows(connection, "load_absences", values, alive):
        absences_of.setdefault(household_id, []).append(Absence(as_ms(from_at), as_ms(to_at)))
    verified_of: dict[str, list[Verified]] = {}
    for row_id, household_id, at in _rows(connection, "load_verified", values, alive):
        verified_of.setdefault(household_id, []).append(Verified(as_ms(at), f"verified_contacts:{row_id}"))
    household_by_id: dict[str, Household] = {}
    household_no: dict[str, int] = {}
    for no, household_id, site_id, watched_from, thresholds_s, consent in _rows(
        connection, "load_households", values, alive
    ):
        household_no[household_id] = no
        if watched_from is not None:
            household_by_id[household_id] = Household(
                household_id=household_id,
                site_id=_once(shared, site_id),
                doors=tuple(doors_of.pop(household_id, ())),
                watched_from_ms=_once(shared, as_ms(watched_from)),
                thresholds_ms=_once(shared, tuple(threshold * 1000 for threshold in thresholds_s))
                if thresholds_s
                else THRESHOLDS_DEFAULT_MS,
                absences=tuple(absences_of.get(household_id, ())),
                verified=tuple(verified_of.get(household_id, ())),
                consent=consent,
            )
    return household_by_id, household_no


def load_credentials(
    connection: Connection,
    households: Mapping[str, Household],
    share: Share,
    household_ids: Sequence[str] | None = None,
    *,
    of_nobody: bool = False,
    alive: Callable[[], None] = lambda: None,
) -> dict[str, Credential]:
    """Read the credentials a group must know of some homes, and ``of_nobody`` those of staff and guards too; or all."""
    if household_ids is not None:
        names = ["load_credentials_of_homes", *(["load_credentials_of_nobody"] if of_nobody else [])]
    else:
        names = ["load_credentials", *(["load_credentials_of_others"] if share.sites is not None else [])]
    values = {"households": household_ids, "sites": share.sites}
    return {
        token: Credential(token, CredentialClass(klass), _own(households, household_id))
        for name in names
        for token, klass, household_id in _rows(connection, name, values, alive)
    }


class Wired(NamedTuple):
    """A device as it was read, before it is known whether anybody's door rests on it."""

    device: Device
    no: int
    is_gateway: bool
    gateway_id: str | None
    registered_ms: int
    is_retired: bool
    commissioning_ms: int


def _rows(
    connection: Connection, name: str, values: dict[str, Any], alive: Callable[[], None] = lambda: None
) -> Iterator[tuple[Any, ...]]:
    """Read through a cursor on the server: a district's registry is never in memory twice."""
    with connection.cursor(name=f"book_{name}", binary=True, row_factory=tuple_row) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(_SQL[name], values)
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            alive()
            yield from rows


def _once(shared: dict[Any, Any], value: _T) -> _T:
    """Return the first of equal values: of a million homes few words differ."""
    found: _T = shared.setdefault(value, value)
    return found


def _own(households: Mapping[str, Household], household_id: str | None) -> str | None:
    """Return a household's id as its own object has it."""
    known = households.get(household_id) if household_id is not None else None
    return household_id if known is None else known.household_id


def required_devices(households: Iterable[Household], now_ms: int) -> set[str]:
    """Return the devices the detector watches now, or will, as the door of somebody's dwelling."""
    return {
        door.device_id
        for household in households
        if household.consent
        for door in household.doors
        if door.role is DoorRole.DWELLING and (door.to_ms is None or door.to_ms > now_ms)
    }


def wiring(devices: Iterable[Wired], required: Set[str]) -> tuple[Wiring, ...]:
    """A retired device counts no more, unless somebody's door still rests on it: then that must be seen."""
    id_of: dict[str, str] = {
        item.device.device_id: item.device.device_id for item in devices if item.is_gateway
    }
    return tuple(
        Wiring(
            item.device.device_id,
            item.device.site_id,
            item.device.supervision_ms,
            is_gateway=item.is_gateway,
            gateway_id=None if item.gateway_id is None else id_of.get(item.gateway_id, item.gateway_id),
            is_required=item.device.device_id in required,
            registered_ms=item.registered_ms,
            commissioning_ms=item.commissioning_ms,
        )
        for item in devices
        if not item.is_retired or item.device.device_id in required
    )


def bind(rows: Iterable[tuple[Any, ...]], devices: Mapping[str, Device]) -> dict[str, list[DoorBinding]]:
    """Return the doors of homes as rows of ``load_doors`` say, of devices that are known."""
    doors_of: dict[str, list[DoorBinding]] = {}
    for household_id, device_id, role, from_at, to_at in rows:
        device = devices.get(device_id)
        if device is not None:
            binding = DoorBinding(device.device_id, DoorRole(role), _ms_or_none(from_at), _ms_or_none(to_at))
            doors_of.setdefault(household_id, []).append(binding)
    return doors_of


def _ms_or_none(at: datetime | None) -> int | None:
    return None if at is None else as_ms(at.astimezone(UTC))
