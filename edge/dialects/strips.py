"""Sensative Strips: LoRaWAN bytes enter, readings leave; pure.

A payload is a sequence number and a row of (type, value); on port 2 each record begins with its age in seconds. The
public decoders of this maker contradict one another on which value of the door report is open, so a door stays open
until the device table names its words. The alarm for a door is a flag of the installation, not of the contact.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge.dialects.flags import word_of
from edge.reading import Kind, Nature, Reading, read

#: Type -> length of its value in bytes.
_LENGTHS = {
    0: 0, 1: 1, 2: 2, 3: 1, 4: 2, 5: 1, 6: 1, 7: 2, 8: 2, 9: 1, 10: 1, 11: 1, 12: 1, 13: 1, 14: 1, 15: 1, 16: 1, 17: 2,
    18: 1, 19: 2, 20: 2, 21: 1, 22: 1, 80: 3, 81: 3, 82: 3, 110: 8, 112: 2, 113: 2, 114: 2,
}  # fmt: skip
_BATTERY, _DOOR, _DOOR_ALARM, _TAMPER, _TAMPER_ALARM, _FLOOD_ALARM = 1, 9, 10, 11, 12, 14
_PRESENCE, _DOOR_AND_TEMPERATURE = 18, 82


def _records(data: bytes, *, stored: bool) -> Iterator[tuple[int, bytes]]:
    place = 2
    while place < len(data):
        place += 4 if stored else 0
        if place >= len(data):
            return
        form = data[place] & 0x7F
        length = _LENGTHS.get(form)
        value = data[place + 1 : place + 1 + (length or 0)]
        if length is None or len(value) < length:
            return
        yield form, value
        place += 1 + length


def _kind(form: int, value: bytes) -> tuple[Kind, str] | None:
    on = bool(value and value[0])
    if form in (_DOOR, _DOOR_AND_TEMPERATURE):
        return Kind.DOOR_STATE_UNKNOWN, "a door report: which value is open is set in the device table"
    if form in (_TAMPER, _TAMPER_ALARM):
        return (Kind.TAMPER if on else Kind.TELEMETRY), f"tamper {int(on)}"
    if form == _FLOOD_ALARM:
        return (Kind.WATER_LEAK if on else Kind.WATER_OK), f"flood alarm {int(on)}"
    if form == _PRESENCE:
        return (Kind.OCCUPIED if on else Kind.VACANT), f"presence {int(on)}"
    if form == _DOOR_ALARM:
        return (Kind.ALARM if on else Kind.ALARM_END), f"door alarm {int(on)}"
    return None


def decode(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    """Decode one uplink of a Strips sensor; port 2 carries stored records."""
    if port not in (1, 2, None):
        return [read(source, Kind.ERROR, f"unknown port {port}")]
    stored = port == 2
    records = list(_records(data, stored=stored))
    if not records:
        return [read(source, Kind.UNKNOWN, "no value that is known")]
    battery = next((float(value[0]) for form, value in records if form == _BATTERY and value[0] <= 100), None)
    nature = Nature.HISTORY if stored else None
    readings = []
    for form, value in records:
        found = _kind(form, value)
        if found is not None:
            raw = word_of(found[0], value[0])
            readings.append(read(source, *found, nature=nature, raw=raw, battery_percent=battery))
    return readings or [
        read(source, Kind.TELEMETRY, "values, no fact about a door", nature=nature, battery_percent=battery)
    ]
