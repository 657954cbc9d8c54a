"""ONVIF events over MQTT (onvif-ej): the topic path and JSON enter, readings leave; pure.

Door states are property events, sent with the retained flag: each subscriber gets the current one again, so none
proves an opening. ``AccessGranted`` is the decision; ``AccessTaken`` says that the person used it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_bool, as_mapping, as_text, time_ms
from edge.reading import Kind, Nature, Reading, read
from kaimen.vocabulary import EventType

_ROOTS = ("onvif-ej", "onvif-mj", "onvif")
_STATES: dict[str, dict[str, Kind]] = {
    "DoorPhysicalState": {"Open": Kind.DOOR_OPEN, "Closed": Kind.DOOR_CLOSED, "Fault": Kind.ERROR},
    "LockPhysicalState": {"Locked": Kind.DOOR_LOCKED, "Unlocked": Kind.DOOR_UNLOCKED, "Fault": Kind.ERROR},
    "DoubleLockPhysicalState": {"Locked": Kind.DOOR_LOCKED, "Unlocked": Kind.DOOR_UNLOCKED, "Fault": Kind.ERROR},
    "DoorMode": {
        "Locked": Kind.DOOR_LOCKED, "Unlocked": Kind.DOOR_UNLOCKED, "Accessed": Kind.DOOR_UNLOCKED,
        "Blocked": Kind.DOOR_LOCKED, "LockedDown": Kind.DOOR_LOCKED, "LockedOpen": Kind.DOOR_UNLOCKED,
        "DoubleLocked": Kind.DOOR_LOCKED,
    },
    "DoorAlarm": {"Normal": Kind.ALARM_END, "DoorForcedOpen": Kind.ALARM, "DoorOpenTooLong": Kind.DOOR_HELD_OPEN},
    "DoorTamper": {"TamperDetected": Kind.TAMPER, "NotInTamper": Kind.ALARM_END},
    "DoorFault": {"FaultDetected": Kind.ERROR, "NotInFault": Kind.NONE},
    "DoorWarning": {"Normal": Kind.ALARM_END},
}  # fmt: skip
_ACCESS: dict[str, Kind] = {
    "AccessGranted": Kind.ACCESS_GRANTED, "AccessTaken": Kind.ACCESS_TAKEN,
    "AccessNotTaken": Kind.ACCESS_NOT_TAKEN, "Denied": Kind.ACCESS_DENIED, "Duress": Kind.ALARM,
    "Request": Kind.CARD_READ,
}  # fmt: skip
_METHODS = {
    "pt:Card": "card", "card": "card", "pt:PIN": "pin", "pt:Face": "face", "pt:QRCode": "qr", "pt:REX": "exit_button",
}  # fmt: skip


def _item(obj: Mapping[str, Any], group: str, *names: str) -> str | None:
    items = as_mapping(obj.get(group))
    for name in names:
        value = items.get(name)
        if isinstance(value, bool):
            return "true" if value else "false"
        text = as_text(value)
        if text is not None:
            return text
    return None


def _path(frame: Frame) -> tuple[str, list[str]] | None:
    """Return the device's own levels and the event path, without name spaces and without the trailing tokens."""
    said = as_text(frame.obj.get("topic")) or ""
    if {"source", "data"} <= as_mapping(frame.obj.get("message")).keys() and "/" in said:
        levels = [part.rpartition(":")[2] for part in said.split("/") if not part.startswith("$")]
        node = as_text(frame.obj.get("serial")) or (frame.parts[0] if frame.parts else "")
        return node, levels
    for root in _ROOTS:
        if root in frame.parts:
            place = frame.parts.index(root)
            levels = [
                part.rpartition(":")[2] for part in frame.parts[place + 1 :] if not part.startswith("&")
            ]
            return "/".join(frame.parts[:place]), levels
    return None


def _door(levels: list[str], obj: Mapping[str, Any], source: str) -> Reading:
    name = levels[2] if len(levels) > 2 else ""
    state = _item(obj, "Data", "State", "Value") or ""
    kind = _STATES.get(name, {}).get(state)
    if kind is None:
        return read(source, Kind.DOOR_STATE_UNKNOWN, f"{name[:30]} {state[:30]}")
    reading = read(source, kind, f"{name} {state}")
    if kind is Kind.DOOR_CLOSED:
        return replace(reading, opening=False)
    if kind in (Kind.DOOR_UNLOCKED, Kind.DOOR_LOCKED) and name != "LockPhysicalState":
        return replace(reading, event_type=None)
    if state == "DoorForcedOpen":
        return replace(reading, event_type=EventType.DOOR_FORCED_OPEN)
    if state in ("FaultDetected", "Fault"):
        return replace(reading, event_type=EventType.DOOR_FAULT)
    return reading


def _access(levels: list[str], obj: Mapping[str, Any], source: str) -> Reading:
    name = levels[1] if len(levels) > 1 else ""
    kind = _ACCESS.get(name, Kind.UNKNOWN)
    if name == "Request" and "Timeout" in levels:
        kind = Kind.ACCESS_DENIED
    anonymous = "Anonymous" in levels
    external = (_item(obj, "Data", "External") or "").lower() == "true" or "External" in levels
    method = _METHODS.get(_item(obj, "Data", "IdentifierType", "Identifier Type") or "")
    if anonymous and kind in (Kind.ACCESS_GRANTED, Kind.ACCESS_TAKEN):
        method = "remote_office" if external else "exit_button"
    reading = read(
        source, kind, "/".join(levels[:3])[:60], nature=Nature.EDGE, method=method,
        credential=_item(obj, "Data", "CredentialToken", "IdentifierValue", "Card"),
        reason=_item(obj, "Data", "Reason"),
    )  # fmt: skip
    return replace(reading, event_type=EventType.DURESS) if name == "Duress" else reading


def _flag(obj: Mapping[str, Any], *names: str) -> bool | None:
    word = _item(obj, "Data", *names)
    return None if word is None else as_bool(word)


def _device(levels: list[str], obj: Mapping[str, Any], source: str) -> Reading:
    """Read what is neither a door nor an access decision."""
    path = "/".join(levels)
    on = _flag(obj, "IsMotion", "State", "LogicalState", "Value", "IsInside", "Failed", "IsTamper", "Active")
    if path.startswith("Device/Trigger/DigitalInput"):
        raw = None if on is None else ("ON" if on else "OFF")
        why = "a digital input: whether it is a door is set in the device table"
        return read(source, Kind.DOOR_STATE_UNKNOWN, why, raw=raw)
    if "Tamper" in path or "GlobalSceneChange" in path:
        return read(source, Kind.TAMPER if on or on is None else Kind.ALARM_END, path[:60])
    if path.startswith(("RuleEngine", "VideoSource/MotionAlarm", "VideoAnalytics")) and (
        "Motion" in path or "ObjectsInside" in path or "ObjectInside" in path or "Crossed" in path
    ):
        return read(source, Kind.MOTION if on or on is None else Kind.NO_MOTION, path[:60])
    if "LastReboot" in path or "LastReset" in path:
        return read(source, Kind.DEVICE_BOOT, path[:60])
    if "ClockSynchronization" in path:
        return read(source, Kind.CLOCK, path[:60])
    if "HardwareFailure" in path or "Failure" in levels[-1:]:
        return read(source, Kind.ERROR if on or on is None else Kind.NONE, path[:60])
    if levels[:1] in (
        ["Configuration"],
        ["Credential"],
        ["Schedule"],
        ["AccessRules"],
        ["Media"],
        ["AccessPoint"],
    ):
        return read(source, Kind.CONFIG, path[:60])
    if path.startswith("UserAlarm") or "DigitalAutoAlarm" in path:
        return read(source, Kind.ALARM, path[:60])
    if path.startswith(("Monitoring", "Device/Trigger/Relay", "Device/OperationMode", "Device/IO")):
        return read(source, Kind.TELEMETRY, path[:60])
    if "Doorbell" in path or "DoorBell" in path:
        return read(source, Kind.CALL if on or on is None else Kind.NONE, path[:60])
    return read(source, Kind.UNKNOWN, f"topic {path[:60]} of no known meaning")


def _event_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an event in the words of the specification; Axis writes them small, inside ``message``."""
    inner = as_mapping(obj.get("message"))
    if not {"source", "data"} <= inner.keys():
        return obj
    return {"Source": inner.get("source"), "Data": inner.get("data"), "UtcTime": obj.get("timestamp")}


def decode(frame: Frame) -> list[Reading] | None:
    """Decode an ONVIF event; None where it is none."""
    found = _path(frame)
    if found is None:
        return None
    node, levels = found
    if not frame.obj or not levels:
        return [read(node or "onvif", Kind.UNKNOWN, "no event")]
    obj = _event_of(frame.obj)
    token = _item(
        obj,
        "Source",
        "DoorToken",
        "AccessPointToken",
        "InputToken",
        "Source",
        "VideoSourceConfigurationToken",
    )
    if token is None:
        token = next((part[1:] for part in frame.parts if part.startswith("&")), "1")
    source = f"{node}/{token}"
    if levels[0] == "Door" and len(levels) > 1 and levels[1] == "State":
        reading = _door(levels, obj, source)
    elif levels[0] == "AccessControl":
        reading = _access(levels, obj, source)
    else:
        reading = _device(levels, obj, source)
    return [replace(reading, occurred_ms=time_ms(obj.get("UtcTime")), aliases=(token,))]
