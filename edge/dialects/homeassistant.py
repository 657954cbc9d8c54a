"""Home Assistant: an entity's state, or its change, as JSON enters, readings leave; pure.

``on`` of a binary sensor is open, by the class of its device; where it has none, by its name. A change from off to on is
an edge; what Home Assistant restored at its start, or had lost meanwhile, is none. Its topics with one value each
(statestream) are of the form that ``esphome`` reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects import esphome
from edge.dialects.frame import Frame
from edge.dialects.values import as_bool, as_float, as_mapping, as_text, time_ms
from edge.reading import Kind, Nature, Reading, read

#: Class of the device -> what on and off say.
_CLASSES: dict[str, tuple[Kind, Kind]] = {
    **dict.fromkeys(("door", "window", "opening", "garage_door"), (Kind.DOOR_OPEN, Kind.DOOR_CLOSED)),
    **dict.fromkeys(("motion", "moving"), (Kind.MOTION, Kind.NO_MOTION)),
    **dict.fromkeys(("occupancy", "presence"), (Kind.OCCUPIED, Kind.VACANT)),
    **dict.fromkeys(("gas", "carbon_monoxide"), (Kind.ALARM, Kind.ALARM_END)),
    "smoke": (Kind.SMOKE, Kind.SMOKE_OK), "moisture": (Kind.WATER_LEAK, Kind.WATER_OK),
    "tamper": (Kind.TAMPER, Kind.TELEMETRY), "battery": (Kind.BATTERY_LOW, Kind.TELEMETRY),
    "vibration": (Kind.VIBRATION, Kind.TELEMETRY), "lock": (Kind.DOOR_UNLOCKED, Kind.DOOR_LOCKED),
}  # fmt: skip
_COVER_CLASSES = ("door", "garage", "gate")


def _reading(entity: str, state: str, attributes: Mapping[str, Any]) -> Reading:
    domain, _, name = entity.partition(".")
    sort = as_text(attributes.get("device_class")) or ""
    if state in esphome.ABSENT:
        return esphome.absent(entity, state)
    if domain == "binary_sensor" and sort in _CLASSES and state in ("on", "off"):
        kind = _CLASSES[sort][0 if state == "on" else 1]
        return read(entity, kind, f"{sort} says {state}", raw=state.upper())
    if domain == "cover" and sort in _COVER_CLASSES:
        return esphome.component(entity, domain, "door", state)
    return esphome.component(entity, domain, name.lower(), state)


def decode(frame: Frame) -> list[Reading] | None:
    """Decode an entity of Home Assistant; None where it is none."""
    data = as_mapping(frame.obj.get("event_data")) or as_mapping(frame.obj.get("data")) or frame.obj
    new = as_mapping(data.get("new_state")) or data
    entity = as_text(data.get("entity_id")) or as_text(new.get("entity_id")) or ""
    state = (as_text(new.get("state")) or "").lower()
    if entity.count(".") != 1 or not state:
        return None
    attributes = as_mapping(new.get("attributes"))
    reading = replace(
        _reading(entity, state, attributes), opening=None, occurred_ms=time_ms(new.get("last_changed")),
        aliases=tuple(name for name in (as_text(attributes.get("friendly_name")),) if name),
        battery_percent=as_float(attributes.get("battery_level")),
    )  # fmt: skip
    if as_bool(attributes.get("restored")):
        return [replace(reading, heard=False)]
    before = as_text(as_mapping(data.get("old_state")).get("state"))
    if reading.kind is Kind.DOOR_OPEN and before in ("off", "closed"):
        reading = replace(reading, nature=Nature.EDGE, opening=True, why=f"{reading.why}, before {before}")
    return [reading]
