"""What a flag of a LoRaWAN sensor says: the fact that 1 tells and the fact that 0 tells, by what it measures."""

from __future__ import annotations

from edge.reading import Kind

Pair = tuple[Kind, Kind]

DOOR: Pair = (Kind.DOOR_OPEN, Kind.DOOR_CLOSED)
LEAK: Pair = (Kind.WATER_LEAK, Kind.WATER_OK)
ROOM: Pair = (Kind.OCCUPIED, Kind.VACANT)
MOVING: Pair = (Kind.MOTION, Kind.NO_MOTION)
SHAKEN: Pair = (Kind.VIBRATION, Kind.TELEMETRY)
PRESS: Pair = (Kind.BUTTON, Kind.TELEMETRY)
VALUE: Pair = (Kind.TELEMETRY, Kind.TELEMETRY)
#: A contact whose polarity the maker leaves to the installation: the device table names its words.
CONTACT: Pair = (Kind.DOOR_STATE_UNKNOWN, Kind.DOOR_STATE_UNKNOWN)


def word_of(kind: Kind, value: object) -> str | None:
    """Return the word that the device table gives a meaning, where the kind alone has none."""
    if kind is not Kind.DOOR_STATE_UNKNOWN:
        return None
    return "ON" if value else "OFF"
