"""Domoticz: what it publishes of its devices (``domoticz/out``) enters, readings leave; pure.

``nvalue`` of a contact is 1 where it is open, by the type that somebody gave the device in Domoticz (``switchType``).
A device is published at each of its reports, also where nothing changed, so none proves an opening.
"""

from __future__ import annotations

from edge.dialects.frame import Frame
from edge.dialects.values import as_float, as_int, as_text
from edge.reading import Kind, Reading, read

#: Type of the switch, in small letters -> what 1 and 0 say.
_TYPES: dict[str, tuple[Kind, Kind]] = {
    "door contact": (Kind.DOOR_OPEN, Kind.DOOR_CLOSED), "contact": (Kind.DOOR_OPEN, Kind.DOOR_CLOSED),
    "door lock": (Kind.DOOR_LOCKED, Kind.DOOR_UNLOCKED), "door lock inverted": (Kind.DOOR_UNLOCKED, Kind.DOOR_LOCKED),
    "motion sensor": (Kind.MOTION, Kind.NO_MOTION), "smoke detector": (Kind.SMOKE, Kind.SMOKE_OK),
    "doorbell": (Kind.CALL, Kind.NONE), "push on button": (Kind.BUTTON, Kind.NONE),
}  # fmt: skip
_PLAIN = ("on/off", "push off button")


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a message of Domoticz; None where it is none."""
    obj = frame.obj
    number, value = as_text(obj.get("idx")), as_int(obj.get("nvalue"))
    if number is None or value is None or not ("dtype" in obj or "svalue" in obj):
        return None
    source = f"domoticz/{number}"
    if "dtype" not in obj:
        return [read(source, Kind.NONE, "a command to Domoticz", heard=False)]
    aliases = (as_text(obj.get("name")) or "", as_text(obj.get("id")) or "")
    level = as_float(obj.get("Battery"))
    battery = level if level is not None and 0 <= level <= 100 else None
    sort = (as_text(obj.get("switchType")) or "").lower()
    if sort in _TYPES and value in (0, 1):
        kind, why, raw = _TYPES[sort][0 if value else 1], f"{sort} says {value}", None
    elif sort in _TYPES or sort in _PLAIN:
        kind, raw = Kind.DOOR_STATE_UNKNOWN, str(value)
        why = "a switch: if it is a door, make it a door contact in Domoticz, or list its values for open and closed"
    else:
        kind, why, raw = Kind.TELEMETRY, "values, no fact about a door", None
    return [read(source, kind, why, aliases=aliases, raw=raw, battery_percent=battery)]
