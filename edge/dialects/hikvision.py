"""Hikvision access controllers: pushed events (JSON or XML) and polled records enter, readings leave; pure.

The pair (major, minor) says what happened; minors 0x19 and 0x1A are the door contact, 0x15 and 0x16 only the lock's
relay. ``currentVerifyMode`` is the configured mode, not the method that was used, and is not read.
``currentEvent`` false marks a stored event that is sent late.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_bool, as_int, as_list, as_mapping, as_text, iso_ms, parse_json
from edge.reading import Kind, Nature, Reading, read
from kaimen.vocabulary import EventType

_TAG = re.compile(r"<([A-Za-z][\w]*)(?:\s[^<>]*)?>([^<>]{0,256})</\1>")
_PARTS_MAX = 64
_MAJOR_ALARM, _MAJOR_EXCEPTION, _MAJOR_OPERATION, _MAJOR_EVENT = 1, 2, 3, 5


@dataclass(frozen=True, slots=True)
class _Code:
    kind: Kind
    why: str
    method: str | None = None
    opening: bool | None = None
    claims: bool = False
    event_type: str | None = None


def _code(kind: Kind, why: str, method: str | None = None) -> _Code:
    return _Code(kind, why, method)


#: Minors of major 5 that pass a person, with the method where the canonical words have one.
_PASSED: dict[int, str | None] = {
    0x01: "card", 0x02: "card", 0x10: None, 0x22: "pin", 0x26: None, 0x28: "card", 0x2B: "card", 0x2E: "pin",
    0x36: "face", 0x39: "face", 0x3C: "face", 0x3F: "face", 0x42: "face", 0x45: None, 0x48: None, 0x4B: "face",
    0x4D: "face", 0x65: "pin", 0x69: "id_card", 0x72: "phone", 0x99: None, 0x9C: "qr", 0x9E: None, 0x9F: "ble",
    0xB5: "pin",
}  # fmt: skip
#: Minors of major 5 that refuse a person or whose check timed out.
_REFUSED = frozenset(
    {
        *range(0x03, 0x10), 0x24, 0x27, 0x29, 0x2A, 0x2C, 0x2D, 0x2F, 0x30, 0x31, 0x37, 0x38, 0x3A, 0x3B, 0x3D,
        0x3E, 0x40, 0x41, 0x43, 0x44, 0x46, 0x47, 0x49, 0x4A, 0x4C, 0x4E, 0x4F, 0x50, 0x5E, 0x66, 0x67, 0x68, 0x70,
        0x71, 0x73, 0x75, 0x76, 0x77, 0x78, 0x82, 0x84, 0x8B, 0x94, 0x95, 0x96, 0x97, 0x98, 0x9A, 0x9B, 0x9D, 0xA0,
        0xA1, 0xA2, 0xA3, 0xA4, 0xA8, 0xA9, 0xAA, 0xAB, 0xC3,
    }
)  # fmt: skip
_EVENTS: dict[int, _Code] = {
    0x11: _code(Kind.NONE, "first-card opening begins"),
    0x12: _code(Kind.NONE, "first-card opening ends"),
    0x13: _code(Kind.DOOR_UNLOCKED, "always open begins"),
    0x14: _code(Kind.DOOR_LOCKED, "always open ends"),
    0x15: _code(Kind.DOOR_UNLOCKED, "lock released (relay, not the contact)"),
    0x16: _code(Kind.DOOR_LOCKED, "lock closed (relay, not the contact)"),
    0x17: _Code(Kind.BUTTON, "exit button pressed", "exit_button", event_type=EventType.EXIT),
    0x18: _code(Kind.NONE, "exit button released"),
    0x19: _Code(Kind.DOOR_OPEN, "door contact opened", opening=True, claims=True),
    0x1A: _Code(Kind.DOOR_CLOSED, "door contact closed", opening=False, claims=True),
    0x1B: _Code(Kind.ALARM, "door contact opened without release", event_type=EventType.DOOR_FORCED_OPEN),
    0x1C: _code(Kind.DOOR_HELD_OPEN, "door held open"),
    0x1D: _code(Kind.ALARM, "alarm output on"),
    0x1E: _code(Kind.ALARM_END, "alarm output off"),
    0x1F: _code(Kind.DOOR_LOCKED, "always closed begins"),
    0x20: _code(Kind.NONE, "always closed ends"),
    0x21: _code(Kind.NONE, "waits for a remote release"),
    0x23: _code(Kind.NONE, "repeated check"),
    0x25: _code(Kind.CALL, "doorbell"),
    0x32: _Code(Kind.CARD_READ, "card sent to the platform", "card"),
    0x33: _code(Kind.CALL, "call to the centre"),
    0x34: _code(Kind.ALARM, "fire relay opens the door"),
    0x35: _code(Kind.ALARM_END, "fire relay restored"),
    0x51: _code(Kind.NONE, "first-card authorisation begins"),
    0x52: _code(Kind.NONE, "first-card authorisation ends"),
    **{minor: _Code(Kind.ALARM, "an input is cut or shorted", event_type=EventType.DOOR_FAULT) for minor in range(0x53, 0x5C)},
    0x5C: _code(Kind.ALARM, "lock opened abnormally"),
    0x5D: _code(Kind.DOOR_HELD_OPEN, "lock open for too long"),
    **{minor: _code(Kind.NONE, "lift relay") for minor in range(0x5F, 0x65)},
    0x74: _code(Kind.NONE, "radio address seen"),
    0x85: _code(Kind.ALARM, "somebody followed through"),
    0x86: _code(Kind.ALARM, "passage against the direction"),
    0x87: _code(Kind.ALARM, "force against the gate"),
    0x88: _code(Kind.ALARM, "climbed over the gate"),
    0x89: _code(Kind.ACCESS_NOT_TAKEN, "released, but nobody passed in time"),
    0x8A: _code(Kind.ALARM, "intrusion"),
    0x8C: _code(Kind.ALARM, "barrier blocked"),
    0x8D: _code(Kind.ALARM_END, "barrier free again"),
    0x8E: _code(Kind.ERROR, "a face could not be modelled"),
    0x8F: _code(Kind.ALARM, "somebody lingers"),
    0xA5: _code(Kind.DEVICE_ONLINE, "radio module online"),
    0xA6: _code(Kind.DEVICE_OFFLINE, "radio module offline"),
    0xA7: _code(Kind.NONE, "broker connection state"),
    0xAC: _code(Kind.ERROR, "a card could not be given its key"),
    **{minor: _code(Kind.ERROR, "new firmware failed") for minor in (0xAD, 0xAE, 0xB0, 0xB2)},
    **{minor: _code(Kind.CONFIG, "new firmware") for minor in (0xAF, 0xB1)},
    **{minor: _code(Kind.NONE, "a payment that was not made") for minor in range(0xB6, 0xBB)},
    0x400: _Code(Kind.DOOR_UNLOCKED, "remote release", "remote_office"),
}  # fmt: skip
_ALARMS: dict[int, _Code] = {
    0x400: _code(Kind.ALARM, "zone shorted"),
    0x401: _code(Kind.ALARM, "zone cut"),
    0x402: _code(Kind.ALARM, "zone faulty"),
    0x403: _code(Kind.ALARM_END, "zone restored"),
    0x404: _code(Kind.TAMPER, "controller opened"),
    0x405: _code(Kind.ALARM_END, "controller tamper restored"),
    0x406: _code(Kind.TAMPER, "reader removed"),
    0x407: _code(Kind.ALARM_END, "reader tamper restored"),
    0x408: _code(Kind.ALARM, "event input"),
    0x409: _code(Kind.ALARM_END, "event input restored"),
    0x40A: _Code(Kind.ALARM, "duress", event_type=EventType.DURESS),
    0x40B: _code(Kind.ALARM, "event store nearly full"),
    0x40C: _code(Kind.ALARM, "too many failed cards"),
    0x40D: _code(Kind.ALARM, "memory card full"),
    0x40E: _code(Kind.ALARM, "linked capture"),
    0x40F: _code(Kind.TAMPER, "security module opened"),
    0x410: _code(Kind.ALARM_END, "security module tamper restored"),
}
_EXCEPTIONS: dict[int, _Code] = {
    0x27: _code(Kind.ERROR, "network broken"),
    0x400: _code(Kind.DEVICE_BOOT, "power on"),
    0x401: _code(Kind.DEVICE_OFFLINE, "power off"),
    0x402: _code(Kind.DEVICE_BOOT, "watchdog restart"),
    0x403: _code(Kind.BATTERY_LOW, "battery low"),
    0x404: _code(Kind.ALARM_END, "battery restored"),
    0x405: _code(Kind.ALARM, "mains off"),
    0x406: _code(Kind.ALARM_END, "mains restored"),
    0x407: _code(Kind.DEVICE_ONLINE, "network restored"),
    0x409: _code(Kind.ERROR, "reader offline"),
    0x40A: _code(Kind.DEVICE_ONLINE, "reader back"),
    0x408: _code(Kind.ERROR, "event store faulty"),
    0x40B: _code(Kind.NONE, "indicator light off"),
    0x40C: _code(Kind.NONE, "indicator light back"),
    0x40D: _code(Kind.ERROR, "lane controller offline"),
    0x40E: _code(Kind.DEVICE_ONLINE, "lane controller back"),
    0x40F: _code(Kind.ERROR, "security module offline"),
    0x410: _code(Kind.DEVICE_ONLINE, "security module back"),
    0x411: _code(Kind.BATTERY_LOW, "battery low"),
    0x412: _code(Kind.ALARM_END, "battery restored"),
    0x413: _code(Kind.ERROR, "network of a local controller broken"),
    0x414: _code(Kind.DEVICE_ONLINE, "network of a local controller back"),
    0x415: _code(Kind.ERROR, "wire ring broken"),
    0x416: _code(Kind.DEVICE_ONLINE, "wire ring whole again"),
    0x417: _code(Kind.ERROR, "local controller offline"),
    0x418: _code(Kind.DEVICE_ONLINE, "local controller back"),
    0x419: _code(Kind.ERROR, "wire ring broken"),
    0x41A: _code(Kind.DEVICE_ONLINE, "wire ring whole again"),
}
_OPERATIONS: dict[int, _Code] = {
    0x400: _Code(Kind.DOOR_UNLOCKED, "remote release", "remote_office"),
    0x401: _Code(Kind.DOOR_LOCKED, "remote lock", "remote_office"),
    0x402: _Code(Kind.DOOR_UNLOCKED, "remote always open", "remote_office"),
    0x403: _Code(Kind.DOOR_LOCKED, "remote always closed", "remote_office"),
    0x404: _code(Kind.CLOCK, "clock set by hand"),
    0x405: _code(Kind.CLOCK, "clock set by time server"),
    0x50: _code(Kind.NONE, "signed in at the device"),
    0x51: _code(Kind.NONE, "signed out at the device"),
    0x5A: _code(Kind.CONFIG, "firmware replaced at the device"),
    0x70: _code(Kind.NONE, "signed in from elsewhere"),
    0x71: _code(Kind.NONE, "signed out from elsewhere"),
    0x79: _code(Kind.NONE, "armed from elsewhere"),
    0x7A: _code(Kind.NONE, "disarmed from elsewhere"),
    0x7B: _code(Kind.DEVICE_BOOT, "remote restart"),
    0x7E: _code(Kind.CONFIG, "firmware replaced from elsewhere"),
    0x86: _code(Kind.CONFIG, "settings read"),
    0x87: _code(Kind.CONFIG, "settings written"),
}


def code_of(major: int | None, minor: int | None) -> _Code:
    """Return what a pair of codes means; a pair nobody wrote down is unknown, never an error."""
    if major is None or minor is None:
        return _code(Kind.UNKNOWN, "no codes")
    if major == _MAJOR_EVENT:
        if minor in _PASSED:
            return _code(Kind.ACCESS_GRANTED, f"passed, minor {minor:#04x}", _PASSED[minor])
        if minor in _EVENTS:
            return _EVENTS[minor]
        if minor in _REFUSED:
            return _code(Kind.ACCESS_DENIED, f"refused, minor {minor:#04x}")
    table = {_MAJOR_ALARM: _ALARMS, _MAJOR_EXCEPTION: _EXCEPTIONS, _MAJOR_OPERATION: _OPERATIONS}.get(
        major, {}
    )
    return table.get(minor, _code(Kind.UNKNOWN, f"codes {major}/{minor} are in no table"))


def _source(outer: Mapping[str, Any], inner: Mapping[str, Any], fallback: str) -> tuple[str, tuple[str, ...]]:
    names = [
        as_text(outer.get("macAddress")), as_text(outer.get("ipAddress")), as_text(inner.get("deviceName")),
        as_text(outer.get("deviceID")), fallback,
    ]  # fmt: skip
    door = as_text(inner.get("doorNo")) or "1"
    known = [f"{name}/{door}" for name in names if name]
    return known[0] if known else f"hikvision/{door}", tuple(known[1:])


def _reading(outer: Mapping[str, Any], inner: Mapping[str, Any], fallback: str) -> Reading:
    major = as_int(inner.get("majorEventType", inner.get("major")))
    minor = as_int(inner.get("subEventType", inner.get("minor")))
    code = code_of(major, minor)
    source, aliases = _source(outer, inner, fallback)
    stored = as_bool(inner.get("currentEvent")) is False
    serial = as_text(inner.get("serialNo"))
    card = (
        as_text(inner.get("cardNo"))
        or as_text(inner.get("employeeNoString"))
        or as_text(inner.get("employeeNo"))
    )
    reading = read(
        source, code.kind, code.why, aliases=aliases, method=code.method, credential=card,
        nature=Nature.HISTORY if stored else Nature.EDGE,
        occurred_ms=iso_ms(outer.get("dateTime")) or iso_ms(inner.get("time")) or iso_ms(inner.get("dateTime")),
        key=None if serial is None else f"serial:{serial}:{as_text(outer.get('dateTime', inner.get('time'))) or ''}",
        direction={"checkIn": "in", "checkOut": "out"}.get(as_text(inner.get("attendanceStatus")) or ""),
    )  # fmt: skip
    if code.claims:
        reading = replace(reading, opening=code.opening)
    return replace(reading, event_type=code.event_type) if code.event_type else reading


def _xml(text: str) -> dict[str, Any]:
    """Read the leaves of an XML notification; names are unique enough in this format."""
    found: dict[str, Any] = {}
    for name, value in _TAG.findall(text[:200_000]):
        found.setdefault(name, value.strip())
    return found


def _parts(text: str) -> list[str]:
    """Split a multipart body; its first line is the boundary. Pictures are parts too, with any bytes in them."""
    boundary = text.lstrip().partition("\n")[0].strip()
    return text.split(boundary)[:_PARTS_MAX] if boundary.startswith("--") and len(boundary) > 4 else [text]


def _multipart(text: str, fallback: str) -> list[Reading] | None:
    """Read every event of a multipart body, or of one without its boundary."""
    found: list[Reading] = []
    for part in _parts(text):
        if "<EventNotificationAlert" in part:
            found += _alert(part, fallback) or []
            continue
        start, end = part.find("{"), part.rfind("}")
        outer = as_mapping(parse_json(part[start : end + 1])) if 0 <= start < end else {}
        found += _outer(outer, fallback) or []
    return found or None


def _alert(text: str, fallback: str) -> list[Reading] | None:
    leaves = _xml(text)
    if "majorEventType" in leaves:
        leaves["AccessControllerEvent"] = dict(leaves)
    return _outer(leaves, fallback)


def _unfolded(outer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an event whose receiver handed a field of the terminal's form on as text, as the terminal meant it."""
    whole = outer.get("event_log")
    if isinstance(whole, str):
        outer = as_mapping(parse_json(whole))
    inner = outer.get("AccessControllerEvent")
    return {**outer, "AccessControllerEvent": parse_json(inner)} if isinstance(inner, str) else outer


def _outer(outer: Mapping[str, Any], fallback: str) -> list[Reading] | None:
    outer = _unfolded(outer)
    inner = as_mapping(outer.get("AccessControllerEvent"))
    if inner:
        return [_reading(outer, inner, fallback)]
    polled = as_mapping(outer.get("AcsEvent"))
    if polled:
        items = [as_mapping(item) for item in as_list(polled.get("InfoList"))[:1000]]
        found = [_reading(outer, item, fallback) for item in items if item]
        return found or [read(fallback or "hikvision", Kind.NONE, "no records")]
    if "major" in outer and "minor" in outer:
        return [_reading(outer, outer, fallback)]
    if "majorEventType" in outer:
        return [_reading(outer, outer, fallback)]
    call = as_mapping(outer.get("CallStatus"))
    if call:
        return [_call_status(as_text(call.get("status")) or "", fallback)]
    name = (as_text(outer.get("eventType")) or "").lower()
    if not name or not ("eventState" in outer or "activePostCount" in outer or "ipAddress" in outer):
        return None
    return [_other_event(outer, name, fallback)]


def _call_status(word: str, fallback: str) -> Reading:
    """Read what a door station answers when it is asked whether somebody rings."""
    kinds = {"ring": Kind.CALL, "oncall": Kind.CALL, "idle": Kind.NONE, "error": Kind.ERROR}
    kind = kinds.get(word.lower(), Kind.UNKNOWN)
    return read(f"{fallback or 'hikvision'}/1", kind, f"call status {word[:20]}", nature=Nature.STATE)


def _other_event(outer: Mapping[str, Any], name: str, fallback: str) -> Reading:
    source, aliases = _source(outer, {}, fallback)
    active = (as_text(outer.get("eventState")) or "active") == "active"
    when = iso_ms(outer.get("dateTime"))
    if name == "heartbeat" or (name == "videoloss" and not active):
        return read(source, Kind.HEARTBEAT, name, aliases=aliases, occurred_ms=when)
    if name in ("vmd", "linedetection", "fielddetection", "pir", "regionentrance", "regionexiting"):
        kind = Kind.MOTION if active else Kind.NO_MOTION
        return read(source, kind, name, aliases=aliases, occurred_ms=when)
    if name in ("io", "shelteralarm", "tamperdetection", "videoloss", "diskfull", "diskerror"):
        kind = Kind.ALARM if active else Kind.ALARM_END
        return read(source, kind, name, aliases=aliases, occurred_ms=when)
    if name in ("voicetalkevent", "doorbell", "callin", "videointercomevent"):
        return read(source, Kind.CALL, name, aliases=aliases, occurred_ms=when)
    return read(source, Kind.UNKNOWN, f"event {name[:30]} of no known meaning", aliases=aliases)


def decode(frame: Frame, fallback: str = "") -> list[Reading] | None:
    """Decode a Hikvision event; None where it is none. ``fallback`` names the device where the body does not."""
    if frame.obj:
        return _outer(frame.obj, fallback)
    if frame.text.lstrip().startswith("--"):
        return _multipart(frame.text, fallback)
    if "<EventNotificationAlert" in frame.text:
        return _alert(frame.text, fallback)
    if "AccessControllerEvent" in frame.text:
        return _multipart(frame.text, fallback)
    return None
