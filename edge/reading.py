"""What a frame says, in one shape for every dialect: dialects build readings, gateway and scorer take them; pure.

A reading keeps apart what happened (``kind``), whether it is an edge, a state, a stored record or only vitals
(``nature``), and whether this message alone proves that the door was opened (``opening``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from kaimen.vocabulary import EventType

SMOKE = "Smoke"
WATER_LEAK = "WaterLeak"
ALARM = "Alarm"


class Kind(StrEnum):
    """What the frame tells, in words that all device families share."""

    DOOR_OPEN = "door_open"
    DOOR_CLOSED = "door_closed"
    DOOR_STATE = "door_state"
    DOOR_STATE_UNKNOWN = "door_state_unknown"
    DOOR_HELD_OPEN = "door_held_open"
    DOOR_LOCKED = "door_locked"
    DOOR_UNLOCKED = "door_unlocked"
    ACCESS_GRANTED = "access_granted"
    ACCESS_TAKEN = "access_taken"
    ACCESS_NOT_TAKEN = "access_not_taken"
    ACCESS_DENIED = "access_denied"
    CARD_READ = "card_read"
    CALL = "call"
    MOTION = "motion"
    NO_MOTION = "no_motion"
    OCCUPIED = "occupied"
    VACANT = "vacant"
    BUTTON = "button"
    SOS = "sos"
    SMOKE = "smoke"
    SMOKE_OK = "smoke_ok"
    SMOKE_TEST = "smoke_test"
    WATER_LEAK = "water_leak"
    WATER_OK = "water_ok"
    TAMPER = "tamper"
    VIBRATION = "vibration"
    BATTERY_LOW = "battery_low"
    ALARM = "alarm"
    ALARM_END = "alarm_end"
    HEARTBEAT = "heartbeat"
    TELEMETRY = "telemetry"
    UPLINK = "uplink"
    DEVICE_BOOT = "device_boot"
    DEVICE_ONLINE = "device_online"
    DEVICE_OFFLINE = "device_offline"
    GATEWAY_ONLINE = "gateway_online"
    HOST_OFFLINE = "host_offline"
    PROVISIONING = "provisioning"
    CONFIG = "config"
    CLOCK = "clock"
    ERROR = "error"
    NONE = "none"
    UNKNOWN = "unknown"


class Nature(StrEnum):
    """Why the message was sent, as far as its format tells."""

    EDGE = "edge"
    STATE = "state"
    HISTORY = "history"
    VITALS = "vitals"


class _Meaning(NamedTuple):
    """Defaults of a kind: rank in a frame of several facts, opening claim, nature, canonical type and state."""

    rank: int
    opening: bool | None
    nature: Nature
    event_type: str | None = None
    state: str | None = None


_E, _S, _V = Nature.EDGE, Nature.STATE, Nature.VITALS

#: An opening is a transition, so a state report proves nothing by itself (None), and what is not about a door's
#: contact proves nothing at all (False). Dialects whose format says more override it.
MEANINGS: dict[Kind, _Meaning] = {
    Kind.SOS: _Meaning(1, False, _E, EventType.SOS),
    Kind.SMOKE_TEST: _Meaning(2, False, _S),
    Kind.SMOKE: _Meaning(3, False, _S, SMOKE),
    Kind.ALARM: _Meaning(4, None, _E, ALARM),
    Kind.DOOR_OPEN: _Meaning(5, None, _S, EventType.DOOR_PHYSICAL_STATE, "Open"),
    Kind.DOOR_HELD_OPEN: _Meaning(6, None, _E, EventType.DOOR_OPEN_TOO_LONG),
    Kind.ACCESS_TAKEN: _Meaning(7, True, _E, EventType.ACCESS_TAKEN),
    Kind.ACCESS_GRANTED: _Meaning(8, None, _E, EventType.ACCESS_GRANTED),
    Kind.ACCESS_DENIED: _Meaning(9, False, _E, EventType.DENIED),
    Kind.ACCESS_NOT_TAKEN: _Meaning(10, False, _E, EventType.ACCESS_NOT_TAKEN),
    Kind.CALL: _Meaning(11, False, _E, EventType.BELL),
    Kind.DOOR_UNLOCKED: _Meaning(12, None, _S, EventType.LOCK_PHYSICAL_STATE, "Unlocked"),
    Kind.DOOR_LOCKED: _Meaning(13, False, _S, EventType.LOCK_PHYSICAL_STATE, "Locked"),
    Kind.DOOR_CLOSED: _Meaning(14, None, _S, EventType.DOOR_PHYSICAL_STATE, "Closed"),
    Kind.DOOR_STATE: _Meaning(15, None, _S),
    Kind.WATER_LEAK: _Meaning(16, False, _S, WATER_LEAK),
    Kind.BUTTON: _Meaning(17, False, _E),
    Kind.CARD_READ: _Meaning(18, None, _E),
    Kind.MOTION: _Meaning(19, False, _S, EventType.MOTION),
    Kind.OCCUPIED: _Meaning(20, False, _S, EventType.OCCUPANCY, "Occupied"),
    Kind.VIBRATION: _Meaning(21, False, _E),
    Kind.TAMPER: _Meaning(22, False, _S, EventType.DOOR_TAMPER),
    Kind.BATTERY_LOW: _Meaning(23, False, _S, EventType.BATTERY_LOW),
    Kind.SMOKE_OK: _Meaning(24, False, _S),
    Kind.WATER_OK: _Meaning(25, False, _S),
    Kind.NO_MOTION: _Meaning(26, False, _S),
    Kind.VACANT: _Meaning(27, False, _S),
    Kind.ALARM_END: _Meaning(28, False, _E),
    Kind.DOOR_STATE_UNKNOWN: _Meaning(29, None, _S),
    Kind.ERROR: _Meaning(30, False, _V),
    Kind.DEVICE_BOOT: _Meaning(31, False, _V),
    Kind.UPLINK: _Meaning(32, None, _V),
    Kind.PROVISIONING: _Meaning(33, False, _V),
    Kind.CONFIG: _Meaning(34, False, _V),
    Kind.CLOCK: _Meaning(35, False, _V),
    Kind.DEVICE_OFFLINE: _Meaning(36, False, _V),
    Kind.DEVICE_ONLINE: _Meaning(37, False, _V),
    Kind.GATEWAY_ONLINE: _Meaning(38, False, _V),
    Kind.HOST_OFFLINE: _Meaning(39, False, _V),
    Kind.HEARTBEAT: _Meaning(40, False, _V),
    Kind.TELEMETRY: _Meaning(41, False, _V),
    Kind.NONE: _Meaning(42, False, _V),
    Kind.UNKNOWN: _Meaning(43, None, _V),
}


@dataclass(frozen=True, slots=True)
class Uplink:
    """Bytes of a radio device whose vendor and model the message does not name."""

    port: int | None
    data: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """One fact of a frame.

    ``source`` and ``aliases`` are the names under which an installer may list the device. ``occurred_ms`` is the
    time the device or its gateway wrote (UTC milliseconds), None where it wrote none that can be placed.
    ``opens`` is set only where the device itself counts openings over its life. ``credential`` is the raw
    identification: it exists in memory until it becomes a token, and is shown in no ``repr``. ``heard`` is
    False where the message does not stem from an exchange with the device itself (discovery, last will).
    """

    source: str
    kind: Kind
    nature: Nature
    opening: bool | None
    why: str
    aliases: tuple[str, ...] = ()
    event_type: str | None = None
    state: str | None = None
    method: str | None = None
    direction: str | None = None
    credential: str | None = field(default=None, repr=False)
    reason: str | None = None
    occurred_ms: int | None = None
    clock: str = "ntp"
    opens: int | None = None
    key: str | None = None
    raw: str | None = None
    uplink: Uplink | None = None
    battery_percent: float | None = None
    rssi_dbm: float | None = None
    heard: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one message means as a whole."""

    kind: Kind
    opening: bool | None
    why: str


class _Unset:
    """Marks an argument that was not given, where None has a meaning of its own."""


_UNSET = _Unset()


def read(
    source: str,
    kind: Kind,
    why: str,
    *,
    nature: Nature | None = None,
    opening: bool | _Unset | None = _UNSET,
    event_type: str | _Unset | None = _UNSET,
    state: str | _Unset | None = _UNSET,
    aliases: Iterable[str] = (),
    method: str | None = None,
    direction: str | None = None,
    credential: str | None = None,
    reason: str | None = None,
    occurred_ms: int | None = None,
    clock: str = "ntp",
    opens: int | None = None,
    key: str | None = None,
    raw: str | None = None,
    uplink: Uplink | None = None,
    battery_percent: float | None = None,
    rssi_dbm: float | None = None,
    heard: bool = True,
) -> Reading:
    """Build a reading; what is not given follows from its kind."""
    meaning = MEANINGS[kind]
    return Reading(
        source=source,
        kind=kind,
        nature=meaning.nature if nature is None else nature,
        opening=meaning.opening if isinstance(opening, _Unset) else opening,
        why=why,
        aliases=tuple(alias for alias in aliases if alias and alias != source),
        event_type=meaning.event_type if isinstance(event_type, _Unset) else event_type,
        state=meaning.state if isinstance(state, _Unset) else state,
        method=method,
        direction=direction,
        credential=credential,
        reason=reason,
        occurred_ms=occurred_ms,
        clock=clock,
        opens=opens,
        key=key,
        raw=raw,
        uplink=uplink,
        battery_percent=battery_percent,
        rssi_dbm=rssi_dbm,
        heard=heard,
    )


def summarise(readings: Sequence[Reading]) -> Verdict:
    """Say what a message means as a whole: its weightiest fact; of equals the first.

    Beside a part that is not understood, plain values are not what the message means. A device that says that it is
    back, and beside it how its contacts stand, says that it is back.
    """
    if not readings:
        return Verdict(Kind.UNKNOWN, None, "no dialect knows this message")
    if readings[0].kind is Kind.DEVICE_ONLINE and all(
        reading.nature is Nature.STATE for reading in readings[1:]
    ):
        return Verdict(readings[0].kind, readings[0].opening, readings[0].why)
    chief = min(readings, key=lambda reading: MEANINGS[reading.kind].rank)
    if chief.kind is Kind.TELEMETRY:
        chief = next((reading for reading in readings if reading.kind is Kind.UNKNOWN), chief)
    return Verdict(chief.kind, chief.opening, chief.why)
