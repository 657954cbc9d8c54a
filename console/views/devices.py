"""Devices, and messages that were set aside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.views.household import DeviceRow
from console.views.registry import TEMPLATES
from kaimen.vocabulary import (
    QuarantineReason,
)


@dataclass(frozen=True, slots=True)
class DevicesPage:
    rows: tuple[DeviceRow, ...]  # troubled first
    total: int = 0
    not_known_count: int = 0
    test_count: int = 0
    low_battery_count: int = 0
    only: str = ""  # "", troubled, battery
    query: str = ""  # part of a door's place, a device's id or its gateway's
    place: str = ""  # the community that was chosen among many
    newer_url: str | None = None
    older_url: str | None = None


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    id: int
    received_at: datetime
    topic: str
    reason: QuarantineReason
    detail: str
    payload_bytes: int
    copies: int = 1
    device_id: str | None = None
    sample: str = ""  # the first characters, printable
    replay_asked: bool = False
    replayed_at: datetime | None = None
    replay_url: str | None = None
    answer_url: str | None = None
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class QuarantineGroup:
    """What waits for one reason of one device, up to ``last_id``: mended once, taken again at once."""

    reason: QuarantineReason
    device_id: str | None
    waiting: int
    first_at: datetime
    last_at: datetime
    last_id: int
    asked: int = 0  # of these are being taken again


@dataclass(frozen=True, slots=True)
class QuarantinePage:
    rows: tuple[QuarantineRow, ...]
    groups: tuple[QuarantineGroup, ...] = ()  # of more than one message
    waiting: int = 0
    newer_url: str | None = None
    older_url: str | None = None


TEMPLATES["devices.html"] = (DevicesPage, "/devices")  # ?only=troubled; fragment: list
TEMPLATES["quarantine.html"] = (QuarantinePage, "/quarantine")
