"""Controllers that pass on what a radio or bus says as numbers (Matter, ZHA, KNX): JSON enters, readings leave; pure.

The number alone rarely tells what it is of: Matter's boolean state and Zigbee's zone status are told alike by contacts,
leak and motion sensors, so they stay open until the device table names their values. Only where the message names the
type (KNX 1.009 and 1.019, Matter's door lock) is it said what it means.
"""

from __future__ import annotations

import re
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_bool, as_int, as_list, as_mapping, as_open, as_text, iso_ms
from edge.reading import Kind, Nature, Reading, read

_BOOLEAN_STATE, _DOOR_LOCK, _OCCUPANCY, _SWITCH, _SMOKE = 0x0045, 0x0101, 0x0406, 0x003B, 0x005C
#: Door state of Matter's lock (attribute 3) and of its lock (attribute 0).
_MATTER_DOORS = {
    0: Kind.DOOR_OPEN, 1: Kind.DOOR_CLOSED, 2: Kind.DOOR_STATE_UNKNOWN, 3: Kind.DOOR_OPEN, 4: Kind.DOOR_STATE_UNKNOWN,
    5: Kind.DOOR_OPEN,
}  # fmt: skip
_MATTER_LOCKS = {1: Kind.DOOR_LOCKED, 2: Kind.DOOR_UNLOCKED, 3: Kind.DOOR_UNLOCKED}
_ALARM_1, _TAMPER, _LOW_BATTERY, _TEST = 0x01, 0x04, 0x08, 0x0100
_GROUP = re.compile(r"\d{1,2}/\d{1,2}/\d{1,3}")
_TYPE = re.compile(r"(?:DPS?T[-_ ]?)?(\d{1,3})[.\-_](\d{1,4})", re.IGNORECASE)
_OPEN_CLOSE, _WINDOW_DOOR = (1, 9), (1, 19)


def decode_matter(frame: Frame) -> list[Reading] | None:
    """Decode an event of a Matter server (``attribute_updated``: node, endpoint/cluster/attribute, value); None where it is none."""
    data, name = frame.obj.get("data"), as_text(frame.obj.get("event")) or ""
    if name == "node_event" and as_int(as_mapping(data).get("cluster_id")) == _SWITCH:
        event = as_mapping(data)
        source = f"matter/{as_text(event.get('node_id'))}/{as_text(event.get('endpoint_id'))}"
        return [read(source, Kind.BUTTON, "event of a switch")]
    items = as_list(data)
    if name != "attribute_updated" or len(items) != 3 or not isinstance(items[1], str):
        return None
    path = [as_int(part) for part in items[1].split("/")]
    if len(path) != 3 or None in path:
        return None
    kind, why, raw = _matter_value(path[1], path[2], items[2])
    return [
        read(f"matter/{as_text(items[0])}/{path[0]}", kind, why, raw=raw, aliases=(f"matter/{as_text(items[0])}",))
    ]  # fmt: skip


def _matter_value(cluster: int | None, attribute: int | None, value: Any) -> tuple[Kind, str, str | None]:
    if cluster == _BOOLEAN_STATE and attribute == 0 and isinstance(value, bool):
        why = "a boolean state: of a contact true is closed, of a leak sensor wet; list its values for open and closed"
        return Kind.DOOR_STATE_UNKNOWN, why, str(value).upper()
    number = as_int(value)
    if cluster == _DOOR_LOCK and attribute == 3 and number in _MATTER_DOORS:
        return _MATTER_DOORS[number], f"door state {number} of a lock", None
    if cluster == _DOOR_LOCK and attribute == 0 and number in _MATTER_LOCKS:
        return _MATTER_LOCKS[number], f"lock state {number}", None
    if cluster == _OCCUPANCY and attribute == 0 and number is not None:
        return (Kind.OCCUPIED if number & 1 else Kind.VACANT), "occupancy", None
    if cluster == _SMOKE and attribute == 1 and number is not None:
        return (Kind.SMOKE if number else Kind.SMOKE_OK), f"smoke state {number}", None
    return Kind.TELEMETRY, "an attribute that is no fact about a door", None


def decode_zha(frame: Frame) -> list[Reading] | None:
    """Decode an event of Zigbee Home Automation (``zha_event``); None where it is none."""
    event = as_mapping(frame.obj.get("data")) or frame.obj
    source, command = as_text(event.get("device_ieee")), as_text(event.get("command"))
    if source is None or command is None:
        return None
    aliases = (f"{source}/{as_text(event.get('endpoint_id'))}",)
    if command == "status_change_notification":
        args = event.get("args")
        status = as_int(
            as_mapping(args).get("zone_status")
            if isinstance(args, dict)
            else next(iter(as_list(args)), as_mapping(event.get("params")).get("zone_status"))
        )
        return _zone(source, aliases, status)
    if command == "attribute_updated":
        args = as_mapping(event.get("args")) or as_mapping(event.get("params"))
        value = as_bool(args.get("value", args.get("attribute_value")))
        if as_text(args.get("attribute_name")) == "on_off" and value is not None:
            why = "an output or a contact: if it is a door, list its values for open and closed"
            raw = "ON" if value else "OFF"
            return [read(source, Kind.DOOR_STATE_UNKNOWN, why, raw=raw, aliases=aliases)]
        return [read(source, Kind.TELEMETRY, "an attribute", aliases=aliases)]
    if command == "checkin":
        return [read(source, Kind.HEARTBEAT, "check-in", aliases=aliases)]
    return [read(source, Kind.BUTTON, f"command {command[:30]} of a remote control", aliases=aliases)]


def _zone(source: str, aliases: tuple[str, ...], status: int | None) -> list[Reading]:
    if status is None or status < 0:
        return [read(source, Kind.UNKNOWN, "a zone status of no known form", aliases=aliases)]
    if status & _TEST:
        return [read(source, Kind.NONE, "zone under test", aliases=aliases)]
    raw = "ON" if status & _ALARM_1 else "OFF"
    why = "a zone status of a sensor of unknown sort: if it is a door, list its values for open and closed"
    found = [read(source, Kind.DOOR_STATE_UNKNOWN, why, raw=raw, aliases=aliases)]
    if status & _TAMPER:
        found.append(read(source, Kind.TAMPER, "zone status", aliases=aliases))
    if status & _LOW_BATTERY:
        found.append(read(source, Kind.BATTERY_LOW, "zone status", aliases=aliases))
    return found


def decode_knx(frame: Frame) -> list[Reading] | None:
    """Decode a KNX telegram as its gateways write it in JSON; None where it is none.

    Type 1.019 is 1 where it is open, type 1.009 is 0 there.
    """
    obj = frame.obj
    place = as_text(obj.get("destination") or obj.get("destination_address")) or ""
    told = as_text(obj.get("telegramtype") or obj.get("apci")) or ""
    if not _GROUP.fullmatch(place) or not told.startswith("GroupValue"):
        return None
    source, when = f"knx/{place}", iso_ms(obj.get("timestamp"))
    if told == "GroupValueRead" or as_text(obj.get("direction")) == "Outgoing":
        return [read(source, Kind.NONE, "asked for or written by the house's own programs", heard=False)]
    kind, why, raw = _knx_value(_knx_type(obj), obj.get("value", obj.get("payload")))
    return [read(source, kind, why, raw=raw, occurred_ms=when, nature=Nature.STATE)]


def _knx_type(obj: Any) -> tuple[int, int] | None:
    main, sub = as_int(obj.get("dpt_main")), as_int(obj.get("dpt_sub"))
    if main is not None and sub is not None:
        return main, sub
    found = _TYPE.fullmatch(as_text(obj.get("dpt") or obj.get("dpt_type")) or "")
    return None if found is None else (int(found[1]), int(found[2]))


def _knx_value(sort: tuple[int, int] | None, value: Any) -> tuple[Kind, str, str | None]:
    flag = as_bool(value)
    if sort in (_OPEN_CLOSE, _WINDOW_DOOR):
        said = as_open(value)
        if said is None and flag is not None:
            said = flag == (sort == _WINDOW_DOOR)
        if said is not None:
            return (Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED), f"type {sort[0]}.{sort[1]:03}", None
    if flag is not None and (sort is None or sort[0] == 1):
        why = "one bit of no told meaning: if it is a door, list its values for open and closed"
        return Kind.DOOR_STATE_UNKNOWN, why, "ON" if flag else "OFF"
    return Kind.TELEMETRY, "a value", None
