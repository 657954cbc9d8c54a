"""Nuki locks (their own MQTT client, the callback of their bridge): a lock's and its door sensor's numbers enter, readings
leave; pure.

The numbers are the maker's. A door sensor that is switched off, not calibrated or removed says nothing of the door.
All values are published retained, so no single one is an opening.
"""

from __future__ import annotations

from collections.abc import Callable

from edge.dialects.frame import Frame
from edge.dialects.values import as_bool, as_int, as_text
from edge.reading import Kind, Reading, read

_ROOT = "nuki"
#: State of the lock. Unlatched (5) is an unlocked one with its latch drawn: the door is still closed.
_LOCK = {
    1: Kind.DOOR_LOCKED, 2: Kind.NONE, 3: Kind.DOOR_UNLOCKED, 4: Kind.NONE, 5: Kind.DOOR_UNLOCKED, 6: Kind.DOOR_UNLOCKED,
    7: Kind.NONE, 254: Kind.ERROR,
}  # fmt: skip
_DOOR = {2: Kind.DOOR_CLOSED, 3: Kind.DOOR_OPEN, 240: Kind.TAMPER}


def _lock(source: str, number: int) -> Reading:
    return read(source, _LOCK.get(number, Kind.UNKNOWN), f"lock state {number}")


def _door(source: str, number: int) -> Reading:
    why = f"door sensor {number}"
    return read(source, _DOOR.get(number, Kind.DOOR_STATE_UNKNOWN), why)


_NUMBERS: dict[str, Callable[[str, int], Reading]] = {"state": _lock, "doorsensorState": _door}


def _callback(frame: Frame) -> list[Reading]:
    """Read what the bridge posts: lock and door sensor in one object."""
    obj = frame.obj
    source = f"{_ROOT}/{as_text(obj.get('nukiId'))}"
    found = [
        told(source, number)
        for name, told in _NUMBERS.items()
        if (number := as_int(obj.get(name))) is not None
    ]
    if as_bool(obj.get("batteryCritical")):
        found.append(read(source, Kind.BATTERY_LOW, "batteryCritical"))
    return found or [read(source, Kind.UNKNOWN, "a callback without a state")]


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a message of such a lock; None where it is none."""
    if "nukiId" in frame.obj:
        return _callback(frame)
    if len(frame.parts) != 3 or frame.parts[0] != _ROOT:
        return None
    source, name, flag = "/".join(frame.parts[:2]), frame.parts[2], as_bool(frame.word)
    number = as_int(frame.word)
    if name in _NUMBERS and number is not None:
        return [_NUMBERS[name](source, number)]
    if name == "connected" and flag is not None:
        kind = Kind.DEVICE_ONLINE if flag else Kind.DEVICE_OFFLINE
        return [read(source, kind, "the lock's last will or birth", heard=False)]
    if name in ("batteryCritical", "doorsensorBatteryCritical", "keypadBatteryCritical") and flag is not None:
        return [read(source, Kind.BATTERY_LOW if flag else Kind.TELEMETRY, name)]
    if name in ("lockAction", "lock", "unlock", "commandResponse"):
        return [read(source, Kind.NONE, "a command to the lock, or its answer", heard=False)]
    return [read(source, Kind.TELEMETRY, f"{name[:30]} of the lock")]
