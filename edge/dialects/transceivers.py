"""Radio receivers for many makers' sensors (RFLink, RFXCOM, wmbusmeters): lines or JSON enter, readings leave; pure.

A line of RFLink is a code that somebody learned: whether it is a remote control's or a contact's, and which of them is
open, stands in the device table. RFXCOM's security sensors and wireless M-Bus contacts repeat their state, so none is an
opening by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from edge.dialects.fields import field_time_ms, readings_of_fields
from edge.dialects.frame import Frame
from edge.dialects.values import as_bool, as_int, as_mapping, as_open, as_text, words_of
from edge.reading import Kind, Reading, read

_LINE = re.compile(r"20;[0-9A-Fa-f]{2};(?P<name>[^;=]{1,40});(?P<fields>(?:[^;=]{1,20}=[^;]{0,40};)+)")
#: Field of RFLink -> what "on" and "off" say.
_RFLINK: dict[str, tuple[Kind, Kind]] = {
    "PIR": (Kind.MOTION, Kind.NO_MOTION), "SMOKEALERT": (Kind.SMOKE, Kind.SMOKE_OK),
}  # fmt: skip
#: Status of RFXCOM's security sensors; 128 more says that the housing is open.
_STATUS = {
    "normal": 0, "normal delayed": 1, "alarm": 2, "alarm delayed": 3, "motion": 4, "no motion": 5, "panic": 6, "panic end": 7,
    "end panic": 7,
}  # fmt: skip
_TAMPERED = 0x80
_CONTACTS = frozenset({"door", "window", "ds", "contact"})
#: Wireless M-Bus drivers of contacts.
_METERS = ("lansendw",)


def decode_rflink(frame: Frame) -> list[Reading] | None:
    """Decode a line of RFLink, or the object that its bridges make of one; None where it is neither."""
    line = _LINE.fullmatch(frame.text.strip()) if len(frame.text) <= 512 else None
    if line is not None:
        pairs = (pair.partition("=") for pair in line["fields"].rstrip(";").split(";"))
        return _rflink(line["name"], {name.upper(): value for name, _, value in pairs})
    if "rflink" not in frame.topic.lower():
        return None
    fields = {name.upper(): value for name, value in frame.obj.items()}
    name = as_text(fields.get("NAME") or fields.get("PROTOCOL"))
    return None if name is None or "ID" not in fields else _rflink(name, fields)


def _rflink(name: str, fields: Mapping[str, Any]) -> list[Reading]:
    device = f"rflink/{name}/{as_text(fields.get('ID')) or '0'}"
    unit = as_text(fields.get("SWITCH"))
    source, aliases = (device, ()) if unit is None else (f"{device}/{unit}", (device,))
    found: list[Reading] = []
    for field, (on, off) in _RFLINK.items():
        flag = as_bool(fields.get(field))
        if flag is not None:
            found.append(read(source, on if flag else off, f"field {field}", aliases=aliases))
    if "CHIME" in fields:
        found.append(read(source, Kind.CALL, "a bell", aliases=aliases))
    if (as_text(fields.get("BAT")) or "").upper() == "LOW":
        found.append(read(source, Kind.BATTERY_LOW, "field BAT", aliases=aliases))
    command = as_text(fields.get("CMD"))
    if command is not None and not found:
        why = "a learned code: which of its commands is open is set in the device table"
        found.append(read(source, Kind.UNKNOWN, why, raw=command.upper(), aliases=aliases))
    return found or [read(source, Kind.TELEMETRY, "values, no fact about a door", aliases=aliases)]


def decode_rfxcom(frame: Frame) -> list[Reading] | None:
    """Decode a security sensor of RFXCOM as its libraries write it; None where it is none."""
    sort = as_text(frame.obj.get("type") or frame.obj.get("packetType")) or ""
    status = frame.obj.get("deviceStatus")
    number = as_int(status) if as_int(status) is not None else _STATUS.get((as_text(status) or "").lower())
    if not sort.lower().startswith("security") or number is None or not 0 <= number < 256:
        return None
    model = as_text(frame.obj.get("subtype") or frame.obj.get("subTypeValue")) or ""
    source = f"rfxcom/{as_text(frame.obj.get('id')) or frame.topic}"
    found = [_security(source, model, number & ~_TAMPERED)]
    if number & _TAMPERED:
        found.append(read(source, Kind.TAMPER, "status bit 7"))
    return found


def _security(source: str, model: str, number: int) -> Reading:
    if number in (4, 5):
        return read(source, Kind.MOTION if number == 4 else Kind.NO_MOTION, f"status {number}")
    if number in (6, 7):
        return read(source, Kind.SOS if number == 6 else Kind.ALARM_END, f"status {number}")
    if number > 3:
        return read(source, Kind.NONE, f"status {number}: a remote control or a light")
    alarm = number in (2, 3)
    words = set(words_of(model))
    if "smoke" in words:
        return read(source, Kind.SMOKE if alarm else Kind.SMOKE_OK, f"status {number}")
    if "motion" in words or "pir" in words:
        return read(source, Kind.MOTION if alarm else Kind.NO_MOTION, f"status {number}")
    if words & _CONTACTS:
        return read(source, Kind.DOOR_OPEN if alarm else Kind.DOOR_CLOSED, f"status {number} of a contact")
    why = "a sensor of unknown sort: if it is a door, list its words for open and closed"
    return read(source, Kind.DOOR_STATE_UNKNOWN, why, raw="ALARM" if alarm else "NORMAL")


def decode_wmbus(frame: Frame) -> list[Reading] | None:
    """Decode a telegram of wmbusmeters; None where it is none."""
    obj = as_mapping(frame.obj)
    meter = as_text(obj.get("meter"))
    if meter is None or "id" not in obj or not ("media" in obj or obj.get("_") == "telegram"):
        return None
    source = as_text(obj.get("name")) or as_text(obj["id"]) or frame.topic
    aliases = (as_text(obj["id"]) or "", frame.topic)
    when = field_time_ms(obj)
    words = words_of(as_text(obj.get("status")) or "")
    told = {as_open(word) for word in words} - {None}
    if meter in _METERS and len(told) == 1:
        kind = Kind.DOOR_OPEN if told.pop() else Kind.DOOR_CLOSED
        return [read(source, kind, "status of a contact", aliases=aliases, occurred_ms=when)]
    if meter in _METERS:
        return [read(source, Kind.DOOR_STATE_UNKNOWN, "a contact without a state", aliases=aliases, occurred_ms=when)]  # fmt: skip
    fields = {name: value for name, value in obj.items() if name != "status"}
    return readings_of_fields(fields, source, contact_true_is_closed=None, aliases=aliases, occurred_ms=when)
