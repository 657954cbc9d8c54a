"""Tektelic room and home sensors: LoRaWAN bytes enter, readings leave; pure.

A payload on port 10 is a row of (channel, type, value). The reed switch may be wired and mounted either way, so its
state stays open until the device table names its words.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge.dialects.flags import CONTACT, LEAK, MOVING, SHAKEN, word_of
from edge.reading import Kind, Reading, read

#: (channel, type) -> length of its value in bytes.
_LENGTHS = {
    (0x00, 0xBA): 1, (0x00, 0xD3): 1, (0x00, 0xFF): 2, (0x01, 0x00): 1, (0x02, 0x00): 1, (0x03, 0x67): 2,
    (0x04, 0x68): 1, (0x05, 0x02): 2, (0x07, 0x71): 6, (0x08, 0x04): 2, (0x09, 0x00): 1, (0x0A, 0x00): 1,
    (0x0B, 0x67): 2, (0x0C, 0x00): 1, (0x0D, 0x04): 2, (0x0E, 0x00): 1, (0x0F, 0x04): 2, (0x10, 0x02): 1,
    (0x11, 0x02): 2,
}  # fmt: skip
_FLAGS = {
    (0x01, 0x00): CONTACT,
    (0x09, 0x00): LEAK,
    (0x0A, 0x00): MOVING,
    (0x0C, 0x00): SHAKEN,
    (0x0E, 0x00): CONTACT,
}


def _channels(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    place = 0
    while place + 2 < len(data):
        where = data[place], data[place + 1]
        length = _LENGTHS.get(where)
        value = data[place + 2 : place + 2 + (length or 0)]
        if length is None or len(value) < length:
            return
        yield where, value
        place += 2 + length


def decode(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    """Decode one uplink of a Tektelic sensor; another port than 10 carries settings."""
    if port not in (10, None):
        return [read(source, Kind.CONFIG, f"settings, port {port}")]
    found = list(_channels(data))
    if not found:
        return [read(source, Kind.UNKNOWN, "no channel that is known")]
    readings = []
    for where, value in found:
        if where in _FLAGS:
            kind = _FLAGS[where][0 if value[0] else 1]
            at = f"{source}/ext" if where[0] == 0x0E else source
            readings.append(
                read(at, kind, f"channel {where[0]:#04x} is {value[0]}", raw=word_of(kind, value[0]))
            )
    return readings or [read(source, Kind.TELEMETRY, "values, no fact about a door")]
