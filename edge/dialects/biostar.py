"""BioStar 2 of Suprema: events of its web socket or its event search enter, readings leave; pure.

The high byte of the code is what happened, the low byte by which means. The door's own events come from its contact; an
identified user is a decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_int, as_list, as_mapping, as_text, time_ms
from edge.reading import Kind, Nature, Reading, read
from kaimen.vocabulary import EventType

_EVENTS_MAX = 64
#: High byte of the code -> what happened.
_KINDS: dict[int, Kind] = {
    **dict.fromkeys((0x10, 0x13, 0x16), Kind.ACCESS_GRANTED),
    **dict.fromkeys((0x11, 0x14, 0x17, 0x18, 0x19), Kind.ACCESS_DENIED),
    **dict.fromkeys((0x12, 0x15), Kind.ALARM),
    0x4A: Kind.ACCESS_GRANTED, 0x4B: Kind.DOOR_UNLOCKED, 0x4C: Kind.DOOR_UNLOCKED, 0x50: Kind.DOOR_UNLOCKED,
    0x51: Kind.DOOR_LOCKED, 0x52: Kind.DOOR_OPEN, 0x53: Kind.DOOR_CLOSED, 0x54: Kind.ALARM, 0x55: Kind.DOOR_HELD_OPEN,
    0x56: Kind.ALARM, 0x57: Kind.ALARM_END, 0x58: Kind.DOOR_HELD_OPEN, 0x59: Kind.ALARM_END,
}  # fmt: skip
_TYPES = {
    0x12: EventType.DURESS, 0x15: EventType.DURESS, 0x54: EventType.DOOR_FORCED_OPEN,
    0x56: EventType.DOOR_FORCED_OPEN, 0x4A: EventType.EXIT,
}  # fmt: skip


def _id(value: Any, name: str = "id") -> str | None:
    """Return the id of an object, or of the first of a list of them."""
    inner = as_mapping(value) or as_mapping(next(iter(as_list(value)), None))
    return as_text(inner.get(name))


def _event(event: Mapping[str, Any]) -> Reading:
    code = as_int(_id(event.get("event_type_id"), "code")) or 0
    device, door = _id(event.get("device_id")) or "biostar", _id(event.get("door_id"))
    high = code >> 8
    kind = _KINDS.get(high, Kind.UNKNOWN)
    access = kind in (Kind.ACCESS_GRANTED, Kind.ACCESS_DENIED)
    index = as_text(event.get("index")) or as_text(event.get("id"))
    reading = read(
        device if door is None else f"{device}/{door}", kind, f"event code {code}",
        aliases=(device, "" if door is None else f"door/{door}"), nature=Nature.EDGE, occurred_ms=time_ms(event.get("datetime")),
        credential=_id(event.get("user_id"), "user_id") if access else None, key=f"event:{index}" if index else None,
    )  # fmt: skip
    if kind in (Kind.DOOR_OPEN, Kind.DOOR_CLOSED):
        return replace(reading, opening=kind is Kind.DOOR_OPEN)
    return replace(reading, event_type=_TYPES[high]) if high in _TYPES else reading


def decode(frame: Frame) -> list[Reading] | None:
    """Decode events of BioStar 2; None where there are none."""
    obj = frame.obj
    rows = as_list(as_mapping(obj.get("EventCollection")).get("rows")) or [obj.get("Event", obj)]
    events = [as_mapping(row) for row in rows[:_EVENTS_MAX]]
    if not all("code" in as_mapping(event.get("event_type_id")) for event in events):
        return None
    return [_event(event) for event in events]
