"""BTHome, versions 1 and 2: service data bytes or decoded objects enter, readings leave; pure.

An encrypted advertisement says nothing without its key. ``packet_id`` revolves and is the same in every copy of
one advertisement that several gateways heard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.fields import readings_of_fields
from edge.dialects.values import as_bool, as_int, as_text
from edge.reading import Kind, Nature, Reading, read

#: Object id -> length of its value in bytes (text and raw carry their own length).
_LENGTHS: dict[int, int] = {
    0x00: 1, 0x01: 1, 0x02: 2, 0x03: 2, 0x04: 3, 0x05: 3, 0x06: 2, 0x07: 2, 0x08: 2, 0x09: 1, 0x0A: 3, 0x0B: 3,
    0x0C: 2, 0x0D: 2, 0x0E: 2, 0x12: 2, 0x13: 2, 0x14: 2, 0x2E: 1, 0x2F: 1, 0x3A: 1, 0x3C: 2, 0x3D: 2, 0x3E: 4,
    0x3F: 2, 0x40: 2, 0x41: 2, 0x42: 3, 0x43: 2, 0x44: 2, 0x45: 2, 0x46: 1, 0x47: 2, 0x48: 2, 0x49: 2, 0x4A: 2,
    0x4B: 3, 0x4C: 4, 0x4D: 4, 0x4E: 4, 0x4F: 4, 0x50: 4, 0x51: 2, 0x52: 2, 0x55: 4, 0x56: 2, 0x57: 1, 0x58: 1,
    0x59: 1, 0x5A: 2, 0x5B: 4, 0x5C: 4, 0x5D: 2, 0x5E: 2, 0x5F: 2, 0x60: 1, 0xF0: 2, 0xF1: 4, 0xF2: 3,
    **dict.fromkeys((15, 16, 17, *range(21, 46)), 1),
}  # fmt: skip

#: Binary object id -> what 1 and 0 say.
_BINARY: dict[int, tuple[Kind, Kind]] = {
    0x11: (Kind.DOOR_OPEN, Kind.DOOR_CLOSED),
    0x15: (Kind.BATTERY_LOW, Kind.TELEMETRY),
    0x17: (Kind.ALARM, Kind.ALARM_END),
    0x19: (Kind.DEVICE_ONLINE, Kind.DEVICE_OFFLINE),
    0x1A: (Kind.DOOR_OPEN, Kind.DOOR_CLOSED),
    0x1B: (Kind.DOOR_OPEN, Kind.DOOR_CLOSED),
    0x1C: (Kind.ALARM, Kind.ALARM_END),
    0x1F: (Kind.DOOR_UNLOCKED, Kind.DOOR_LOCKED),
    0x20: (Kind.WATER_LEAK, Kind.WATER_OK),
    0x21: (Kind.MOTION, Kind.NO_MOTION),
    0x22: (Kind.MOTION, Kind.NO_MOTION),
    0x23: (Kind.OCCUPIED, Kind.VACANT),
    0x25: (Kind.OCCUPIED, Kind.VACANT),
    0x26: (Kind.ALARM, Kind.ALARM_END),
    0x28: (Kind.ALARM, Kind.TELEMETRY),
    0x29: (Kind.SMOKE, Kind.SMOKE_OK),
    0x2B: (Kind.TAMPER, Kind.TELEMETRY),
    0x2C: (Kind.VIBRATION, Kind.TELEMETRY),
    0x2D: (Kind.DOOR_OPEN, Kind.DOOR_CLOSED),
}


def _objects(data: bytes) -> Iterator[tuple[int, int]]:
    """Walk the objects of a version 2 payload; an unknown id ends the walk, its length is not known."""
    place = 0
    while place < len(data):
        object_id = data[place]
        if object_id in (0x53, 0x54):
            length = 1 + (data[place + 1] if place + 1 < len(data) else 0)
        else:
            length = _LENGTHS.get(object_id, 0)
        value = data[place + 1 : place + 1 + length]
        if not length or len(value) < length:
            return
        yield object_id, int.from_bytes(value, "little")
        place += 1 + length


def _objects_v1(data: bytes) -> Iterator[tuple[int, int]]:
    """Walk a version 1 payload: each object begins with format (3 bits) and length (5 bits)."""
    place = 0
    while place + 1 < len(data):
        length = data[place] & 0x1F
        value = data[place + 2 : place + 1 + length]
        if length < 2 or len(value) < length - 1:
            return
        yield data[place + 1], int.from_bytes(value, "little")
        place += 1 + length


def _kind_of(object_id: int, value: int) -> tuple[Kind, str] | None:
    if object_id in _BINARY:
        yes, no = _BINARY[object_id]
        return (yes if value else no), f"BTHome object {object_id:#04x} is {value}"
    if object_id == 0x3A:
        return (Kind.BUTTON if value else Kind.NONE), f"BTHome button event {value}"
    if object_id == 0x3C:
        return Kind.BUTTON, "BTHome dimmer event"
    return None


def decode_service_data(data: bytes, source: str, *, version: int = 2) -> list[Reading]:
    """Decode BTHome service data: with its device information byte for version 2, without one for version 1."""
    if version == 2:
        if not data or data[0] & 0x01:
            return [read(source, Kind.UNKNOWN, "encrypted, or empty")]
        pairs = list(_objects(data[1:]))
    else:
        pairs = list(_objects_v1(data))
    packet = next((value for object_id, value in pairs if object_id == 0x00), None)
    battery = next((float(value) for object_id, value in pairs if object_id == 0x01), None)
    found = [fact for fact in (_kind_of(*pair) for pair in pairs) if fact is not None]
    found = found or [(Kind.TELEMETRY, "BTHome values, no fact about a door")]
    return [_claim(read(source, kind, why, key=_key(packet), battery_percent=battery)) for kind, why in found]


def _key(packet: int | None) -> str | None:
    return None if packet is None else f"packet:{packet}"


def _claim(reading: Reading) -> Reading:
    return replace(reading, opening=False) if reading.kind is Kind.DOOR_CLOSED else reading


def decode_object(obj: Mapping[str, Any], source: str, *, aliases: tuple[str, ...] = ()) -> list[Reading]:
    """Decode what a BLE gateway made of an advertisement: names instead of object ids, open is true."""
    encrypted = as_int(obj.get("encr")) or as_bool(obj.get("encryption")) or "cipher" in obj
    if encrypted and not any(name in obj for name in ("open", "motion", "button", "window", "contact")):
        return [
            read(source, Kind.UNKNOWN, "encrypted: nothing may be concluded without the key", aliases=aliases)
        ]
    packet = as_text(obj.get("packet", obj.get("pid", obj.get("packet_id"))))
    readings = readings_of_fields(
        obj, source, contact_true_is_closed=None, aliases=aliases, closed_proves=False,
        key=None if packet is None else f"packet:{packet}",
    )  # fmt: skip
    return [
        replace(reading, nature=Nature.EDGE) if reading.kind is Kind.BUTTON else reading
        for reading in readings
    ]
