"""Z-Wave JS UI: its topics and values enter, readings leave; pure.

A value is published retained on ``<prefix>/<node>/<command class>/<endpoint>/<property>[/<key>]``, the class by number
or by name, alone or as ``{"time": …, "value": …}``. Numbers of the notification class are those of the Z-Wave
registry: 22 is an open door. It is a state, said again after each interview, so none proves an opening.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_bool, as_float, as_int, as_text, epoch_ms
from edge.reading import Kind, Reading, read

_NOTIFICATION, _SENSOR, _BATTERY = ("113", "notification"), ("48", "sensor_binary"), ("128", "battery")
#: The class of door locks, and what it says of bolt and door.
_LOCK_CLASS = ("98", "door_lock", "lock")
_LOCK_WORDS = {
    ("boltStatus", "locked"): Kind.DOOR_LOCKED, ("boltStatus", "unlocked"): Kind.DOOR_UNLOCKED,
    ("doorStatus", "open"): Kind.DOOR_OPEN, ("doorStatus", "closed"): Kind.DOOR_CLOSED,
    ("currentMode", "255"): Kind.DOOR_LOCKED, ("currentMode", "0"): Kind.DOOR_UNLOCKED,
}  # fmt: skip
#: Type and event variable of a notification -> what its numbers say; 0 is "nothing (more) of the kind".
_NOTICES: dict[tuple[str, str], dict[int, Kind]] = {
    ("access_control", "door_state"): {
        22: Kind.DOOR_OPEN, 23: Kind.DOOR_CLOSED, 5632: Kind.DOOR_OPEN, 5633: Kind.DOOR_OPEN,
    },
    ("access_control", "door_state_simple"): {22: Kind.DOOR_OPEN, 23: Kind.DOOR_CLOSED},
    ("access_control", "lock_state"): {
        1: Kind.DOOR_LOCKED, 2: Kind.DOOR_UNLOCKED, 3: Kind.DOOR_LOCKED, 4: Kind.DOOR_UNLOCKED, 5: Kind.DOOR_LOCKED,
        6: Kind.DOOR_UNLOCKED, 9: Kind.DOOR_LOCKED,
    },
    ("home_security", "motion_sensor_status"): {0: Kind.NO_MOTION, 7: Kind.MOTION, 8: Kind.MOTION},
    ("home_security", "cover_status"): {0: Kind.NONE, 3: Kind.TAMPER},
    ("water_alarm", "sensor_status"): {0: Kind.WATER_OK, 1: Kind.WATER_LEAK, 2: Kind.WATER_LEAK},
    ("smoke_alarm", "sensor_status"): {0: Kind.SMOKE_OK, 1: Kind.SMOKE, 2: Kind.SMOKE},
}  # fmt: skip
#: Property of a binary sensor -> what true and false say; "Any" says of what it is not.
_SENSORS: dict[str, tuple[Kind, Kind]] = {
    "door-window": (Kind.DOOR_OPEN, Kind.DOOR_CLOSED), "door_window": (Kind.DOOR_OPEN, Kind.DOOR_CLOSED),
    "motion": (Kind.MOTION, Kind.NO_MOTION), "water": (Kind.WATER_LEAK, Kind.WATER_OK),
    "smoke": (Kind.SMOKE, Kind.SMOKE_OK), "tamper": (Kind.TAMPER, Kind.NONE),
}  # fmt: skip


def _place(parts: Sequence[str]) -> int | None:
    """Return where the command class stands: before an endpoint, and behind a node."""
    for place in range(1, len(parts) - 2):
        endpoint = parts[place + 1].removeprefix("endpoint_")
        if parts[place] in (*_NOTIFICATION, *_SENSOR, *_BATTERY) and endpoint.isdigit():
            return place
    return None


def _fact(name: str, rest: Sequence[str], value: Any) -> tuple[Kind, str]:
    key = tuple(part.lower().replace(" ", "_") for part in rest)
    if name in _NOTIFICATION:
        number = as_int(value)
        kind = None if number is None else _NOTICES.get((key[0], key[-1]), {}).get(number)
        if kind is None and key[-1] == "door_state":
            return Kind.DOOR_STATE_UNKNOWN, f"door state {number}"
        return kind or Kind.TELEMETRY, f"notification {'/'.join(key)[:40]} {number}"
    on = as_bool(value)
    if name in _BATTERY:
        return (Kind.BATTERY_LOW if key[-1] == "islow" and on else Kind.TELEMETRY), f"battery {key[-1][:20]}"
    if on is None:
        return Kind.UNKNOWN, "a binary sensor that says neither true nor false"
    if key[-1] in _SENSORS:
        return _SENSORS[key[-1]][0 if on else 1], f"binary sensor {key[-1]} {on}"
    return Kind.DOOR_STATE_UNKNOWN, "whether this sensor is a door is set in the device table"


def _node(frame: Frame, value: Any) -> list[Reading] | None:
    """Read what is published of a node itself; only on the default prefix, the names say little."""
    if frame.parts[:1] != ("zwave",) or len(frame.parts) < 3:
        return None
    source, name = "/".join(frame.parts[:-1]), frame.parts[-1]
    if name == "status":
        word = (as_text(frame.obj.get("status")) or "").lower()
        alive = word in ("alive", "awake", "asleep") if word else as_bool(value)
        kind = Kind.UNKNOWN if alive is None else Kind.DEVICE_ONLINE if alive else Kind.DEVICE_OFFLINE
        return [read(source, kind, f"status {word[:20]}", heard=False)]
    if len(frame.parts) > 3 and frame.parts[-3] in _LOCK_CLASS:
        said = _LOCK_WORDS.get((name, str(value).lower()))
        if said is not None:
            lock = "/".join(frame.parts[:-3])
            return [
                read(
                    lock,
                    said,
                    f"{name} {value}"[:40],
                    aliases=(frame.topic,),
                    occurred_ms=epoch_ms(frame.obj.get("time")),
                )
            ]
    if name == "lastActive":
        return [read(source, Kind.HEARTBEAT, "heard by the controller", occurred_ms=epoch_ms(value))]
    return [read(source, Kind.NONE, f"{name[:30]} of the gateway", heard=False)]


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a value of Z-Wave JS UI; None where it is none."""
    parts = frame.parts
    place = _place(parts)
    value = frame.obj.get("value") if frame.obj else frame.value
    if place is None:
        return _node(frame, value)
    source, rest = "/".join(parts[:place]), parts[place + 2 :]
    if parts[-1] == "set":
        return [read(source, Kind.NONE, "a command to the device", heard=False)]
    kind, why = _fact(parts[place], rest, value)
    raw = (
        str(as_bool(value)).upper()
        if kind is Kind.DOOR_STATE_UNKNOWN and as_bool(value) is not None
        else None
    )
    percent = as_float(value) if parts[place] in _BATTERY and rest[-1].lower() == "level" else None
    return [
        read(
            "/".join((source, *rest)) if raw else source, kind, why, raw=raw, aliases=(source, frame.topic),
            occurred_ms=epoch_ms(frame.obj.get("time")),
            battery_percent=percent if percent is not None and 0 <= percent <= 100 else None,
        )
    ]  # fmt: skip
