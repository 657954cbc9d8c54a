"""Adeunis LoRaWAN dry contacts and motion sensors: bytes enter, readings leave; pure.

The first byte says what a frame is, the second carries its counter and a low battery. What hangs on a dry contact is
the installer's knowledge, so a contact waits for the words of the device table (``ON`` is a closed circuit).
"""

from __future__ import annotations

from edge.dialects.flags import word_of
from edge.reading import Kind, Reading, read

_LOW_BATTERY = 0x02
_SETTINGS = frozenset({0x10, 0x11, 0x1F, 0x20, 0x2F, 0x33})
#: Frame of the dry contacts -> bits from one channel's current state to the next one's, in byte 10.
_CONTACTS = {0x30: 1, 0x40: 2}
_CHANNELS = 4
_MOTION = 0x5C


def _contacts(form: int, data: bytes, source: str) -> list[Reading]:
    readings = []
    for channel in range(_CHANNELS):
        on = data[10] >> (channel * _CONTACTS[form]) & 1
        where = source if channel == 0 else f"{source}/{channel + 1}"
        kind = Kind.DOOR_STATE_UNKNOWN
        readings.append(read(where, kind, f"contact {channel + 1} is {on}", raw=word_of(kind, on)))
    return readings


def _motion(data: bytes, source: str) -> list[Reading]:
    """Read whether somebody is there now, and how much of the last period somebody was (percent)."""
    if data[2] & 0x01:
        return [read(source, Kind.OCCUPIED, "presence when it was sent")]
    if len(data) > 3 and data[3]:
        return [read(source, Kind.MOTION, f"presence in {data[3]} % of the last period")]
    return [read(source, Kind.VACANT, "no presence")]


def decode(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    """Decode one uplink of an Adeunis device; another frame than its contacts' and presence gives ``unknown``."""
    form = data[0] if data else 0
    name = model.upper()
    if form in _SETTINGS:
        return [read(source, Kind.CONFIG, f"settings, frame {form:#04x}")]
    if "CONTACT" in name and form in _CONTACTS and len(data) >= 11:
        readings = _contacts(form, data, source)
    elif "MOTION" in name and form == _MOTION and len(data) >= 3:
        readings = _motion(data, source)
    else:
        return [read(source, Kind.UNKNOWN, f"frame {form:#04x} of no known meaning")]
    if data[1] & _LOW_BATTERY:
        readings.append(read(source, Kind.BATTERY_LOW, "battery bit"))
    return readings
