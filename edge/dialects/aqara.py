"""Aqara and Mijia gateways, the protocol of their local network: JSON enters, readings leave; pure.

The values stand as JSON text in ``data`` (version 1) or as a list in ``params`` (version 2). A ``report`` is sent
when something changed, a ``heartbeat`` or an answer repeats what was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_float, as_list, as_mapping, as_open, as_text, parse_json
from edge.reading import Kind, Nature, Reading, read

_COMMANDS = ("report", "heartbeat", "read_ack", "read_rsp")
_ASKED = ("read", "write", "whois", "get_id_list", "write_ack", "write_rsp", "get_id_list_ack", "iam")
#: Voltage of a full and of an empty button cell, in millivolts.
_FULL_MV, _EMPTY_MV = 3000, 2700
#: Key -> method of a person who was let in by a lock.
_VERIFIED: dict[str, str | None] = {"fing_verified": None, "psw_verified": "pin", "card_verified": "card"}
_STATUS: dict[str, Kind] = {
    "motion": Kind.MOTION, "leak": Kind.WATER_LEAK, "no_leak": Kind.WATER_OK, "vibrate": Kind.VIBRATION,
    "tilt": Kind.VIBRATION, "free_fall": Kind.VIBRATION, "click": Kind.BUTTON, "double_click": Kind.BUTTON,
    "long_click_press": Kind.BUTTON, "long_click_release": Kind.NONE,
}  # fmt: skip


def _values(obj: Mapping[str, Any]) -> dict[str, Any]:
    data = obj.get("data")
    found = dict(as_mapping(parse_json(data) if isinstance(data, str) else data))
    for item in as_list(obj.get("params"))[:64]:
        found |= as_mapping(item)
    return found


def _fact(name: str, value: Any, *, changed: bool) -> tuple[Kind, str] | None:
    if name in ("status", "window_status"):
        word = (as_text(value) or "").lower()
        said = as_open(word)
        if said is not None:
            return (Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED), f"{name} {word}"
        if word in _STATUS:
            return _STATUS[word], f"{name} {word}"
        return None
    if name == "no_close":
        return Kind.DOOR_HELD_OPEN, f"not closed for {as_text(value)} s"
    if name == "no_motion":
        return Kind.NO_MOTION, f"no motion for {as_text(value)} s"
    if name == "alarm" and changed:
        return (Kind.ALARM_END if as_text(value) == "0" else Kind.ALARM), f"alarm {as_text(value)}"
    return None


def _battery(values: Mapping[str, Any]) -> float | None:
    volts = as_float(values.get("voltage", values.get("battery_voltage")))
    if volts is None or not 0 < volts <= 10_000:
        return None
    return round(max(0.0, min(100.0, (volts - _EMPTY_MV) / (_FULL_MV - _EMPTY_MV) * 100)))


def _readings(source: str, values: Mapping[str, Any], *, changed: bool) -> list[Reading]:
    battery = _battery(values)
    nature = Nature.EDGE if changed else Nature.STATE
    found = []
    for name, value in values.items():
        if name in _VERIFIED and changed:
            method = _VERIFIED[name]
            found.append(read(source, Kind.ACCESS_GRANTED, name, method=method, credential=as_text(value)))
            continue
        fact = _fact(name, value, changed=changed)
        if fact is None:
            continue
        kind, why = fact
        if kind in (Kind.DOOR_OPEN, Kind.DOOR_CLOSED):
            proves = kind is Kind.DOOR_OPEN if changed else None
            found.append(read(source, kind, why, nature=nature, opening=proves, battery_percent=battery))
        else:
            found.append(read(source, kind, why, battery_percent=battery))
    return found


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a message of such a gateway; None where it is none."""
    obj = frame.obj
    command, source = as_text(obj.get("cmd")), as_text(obj.get("sid"))
    if command in _ASKED and ("sid" in obj or "token" in obj):
        return [read(source or "aqara", Kind.NONE, f"command {command}", heard=False)]
    if command not in _COMMANDS or source is None or not ("data" in obj or "params" in obj):
        return None
    values = _values(obj)
    found = _readings(source, values, changed=command == "report")
    if found:
        return found
    kind = Kind.HEARTBEAT if command == "heartbeat" else Kind.TELEMETRY
    return [
        read(
            source, kind, f"{command} of {as_text(obj.get('model')) or '?'}", battery_percent=_battery(values)
        )
    ]
