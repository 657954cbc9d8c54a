"""The registry's rows enter; what one shard group must know of doors, households and credentials leaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.causes import Wiring
from ingest.detector import Registry
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


@dataclass(frozen=True, slots=True)
class Book:
    """The registry of one shard group as the detector needs it, with the numbers rows are stored under."""

    registry: Registry
    device_no: dict[str, int]
    household_no: dict[str, int]
    wiring: tuple[Wiring, ...]

    def device_by_no(self) -> dict[int, str]:
        return {no: device_id for device_id, no in self.device_no.items()}


def is_of_group(site_id: str, group_no: int, groups: int) -> bool:
    """Say whether a site's shard belongs to a group: groups divide the first hexadecimal digit."""
    return (shard_of(site_id) >> 4) * groups // 16 == group_no


def load_book(
    connection: Connection, *, now_ms: int, group_no: int = 0, groups: int = 1, since_ms: int | None = None
) -> Book:
    """Read the registry of one shard group as it holds at ``now_ms``, with absences and words since ``since_ms``."""
    with connection.transaction():
        devices = [
            row
            for row in connection.execute(_SQL["load_devices"]).fetchall()
            if is_of_group(row["site_id"], group_no, groups)
        ]
        households = [
            row
            for row in connection.execute(_SQL["load_households"], {"now": as_datetime(now_ms)}).fetchall()
            if is_of_group(row["site_id"], group_no, groups)
        ]
        remembered = as_datetime(now_ms) - REGISTRY_MEMORY
        since = {"since": remembered if since_ms is None else min(remembered, as_datetime(since_ms))}
        doors = connection.execute(_SQL["load_doors"]).fetchall()
        credentials = connection.execute(_SQL["load_credentials"]).fetchall()
        absences = connection.execute(_SQL["load_absences"], since).fetchall()
        verified = connection.execute(_SQL["load_verified"], since).fetchall()
    device_by_id = {
        row["id"]: Device(row["id"], row["site_id"], row["supervision_s"] * 1000) for row in devices
    }
    household_by_id = _households(households, doors, absences, verified, device_by_id)
    required = _required_devices(household_by_id.values(), now_ms)
    return Book(
        Registry(
            device_by_id,
            household_by_id,
            {
                row["token"]: Credential(row["token"], CredentialClass(row["class"]), row["household_id"])
                for row in credentials
            },
        ),
        {row["id"]: row["no"] for row in devices},
        {row["id"]: row["no"] for row in households},
        _wiring(devices, required),
    )


def _required_devices(households: Iterable[Household], now_ms: int) -> set[str]:
    """Return the devices the detector watches now, or will, as the door of somebody's dwelling."""
    return {
        door.device_id
        for household in households
        if household.consent
        for door in household.doors
        if door.role is DoorRole.DWELLING and (door.to_ms is None or door.to_ms > now_ms)
    }


def _wiring(devices: Sequence[dict[str, Any]], required: set[str]) -> tuple[Wiring, ...]:
    """A retired device counts no more, unless somebody's door still rests on it: then that must be seen."""
    return tuple(
        Wiring(
            row["id"],
            row["site_id"],
            row["supervision_s"] * 1000,
            is_gateway=row["kind"] == "gateway",
            gateway_id=row["gateway_id"],
            is_required=row["id"] in required,
            registered_ms=as_ms(row["registered_at"]),
            commissioning_ms=row["commissioning_s"] * 1000,
        )
        for row in devices
        if row["retired_at"] is None or row["id"] in required
    )


def _households(
    households: Sequence[dict[str, Any]],
    doors: Sequence[dict[str, Any]],
    absences: Sequence[dict[str, Any]],
    verified: Sequence[dict[str, Any]],
    devices: dict[str, Device],
) -> dict[str, Household]:
    doors_of: dict[str, list[DoorBinding]] = {}
    for row in doors:
        if row["device_id"] in devices:
            binding = DoorBinding(
                row["device_id"],
                DoorRole(row["role"]),
                _ms_or_none(row["from_at"]),
                _ms_or_none(row["to_at"]),
            )
            doors_of.setdefault(row["household_id"], []).append(binding)
    absences_of: dict[str, list[Absence]] = {}
    for row in absences:
        absence = Absence(as_ms(row["from_at"]), as_ms(row["to_at"]))
        absences_of.setdefault(row["household_id"], []).append(absence)
    verified_of: dict[str, list[Verified]] = {}
    for row in verified:
        word = Verified(as_ms(row["at"]), f"verified_contacts:{row['id']}")
        verified_of.setdefault(row["household_id"], []).append(word)
    return {
        row["id"]: Household(
            household_id=row["id"],
            site_id=row["site_id"],
            doors=tuple(doors_of.get(row["id"], ())),
            watched_from_ms=as_ms(row["watched_from"]),
            thresholds_ms=tuple(threshold * 1000 for threshold in row["thresholds_s"])
            if row["thresholds_s"]
            else THRESHOLDS_DEFAULT_MS,
            absences=tuple(absences_of.get(row["id"], ())),
            verified=tuple(verified_of.get(row["id"], ())),
            consent=row["consent"],
        )
        for row in households
        if row["watched_from"] is not None
    }


def _ms_or_none(at: datetime | None) -> int | None:
    return None if at is None else as_ms(at.astimezone(UTC))
