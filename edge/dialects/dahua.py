"""Dahua door stations and access controllers: event stream objects enter, readings leave; pure.

An event has a code, an action (Start, Stop, Pulse) and data with a local time and ``UTC``. In summer the ``UTC`` of
some stations is off by the hour of daylight saving, so it counts as a clock that was set by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_bool, as_int, as_list, as_mapping, as_open, as_text, epoch_ms, parse_json
from edge.reading import Kind, Nature, Reading, read
from kaimen.vocabulary import EventType

#: Opening method of an access record.
_METHODS: dict[int, str | None] = {
    0: "pin", 1: "card", 2: "card", 3: "card", 4: "remote_office", 5: "exit_button", 6: None, 15: "face", 16: "face",
    17: "id_card", 18: "id_card", 20: "ble", 22: "qr",
}  # fmt: skip
#: State of the key light of a door station.
_LIGHT: dict[int, tuple[Kind, str]] = {
    0: (Kind.NONE, "idle"), 1: (Kind.CALL, "ringing"), 2: (Kind.CALL, "ringing"), 4: (Kind.CALL, "voice message"),
    5: (Kind.CALL, "answered indoors"), 6: (Kind.CALL, "not answered"), 7: (Kind.CALL, "called from indoors"),
    8: (Kind.DOOR_UNLOCKED, "released by the station"), 9: (Kind.ACCESS_DENIED, "release failed"),
    11: (Kind.DEVICE_BOOT, "station restarted"),
}  # fmt: skip
#: Code -> what Start or Pulse says, and what Stop says.
_CODES: dict[str, tuple[Kind, Kind]] = {
    "Invite": (Kind.CALL, Kind.CALL), "CallNoAnswered": (Kind.CALL, Kind.CALL), "IgnoreInvite": (Kind.CALL, Kind.CALL),
    "CallSnap": (Kind.CALL, Kind.CALL), "PhoneCallDetect": (Kind.CALL, Kind.NONE), "DoorBell": (Kind.CALL, Kind.NONE),
    "PassiveHungup": (Kind.CALL, Kind.CALL), "HungupPhone": (Kind.CALL, Kind.CALL), "Hangup": (Kind.CALL, Kind.CALL),
    "VideoMotion": (Kind.MOTION, Kind.NO_MOTION), "SmartMotionHuman": (Kind.MOTION, Kind.NO_MOTION),
    "CrossLineDetection": (Kind.MOTION, Kind.NO_MOTION), "CrossRegionDetection": (Kind.MOTION, Kind.NO_MOTION),
    "HumanDetect": (Kind.MOTION, Kind.NO_MOTION), "PIRAlarm": (Kind.MOTION, Kind.NO_MOTION),
    "AlarmLocal": (Kind.ALARM, Kind.ALARM_END), "ProfileAlarmTransmit": (Kind.ALARM, Kind.ALARM_END),
    "BreakIn": (Kind.ALARM, Kind.ALARM_END), "DuressAlarm": (Kind.ALARM, Kind.ALARM_END),
    "Duress": (Kind.ALARM, Kind.ALARM_END), "RepeatEnter": (Kind.ACCESS_DENIED, Kind.NONE),
    "MaliciousAccessControl": (Kind.ALARM, Kind.ALARM_END), "BlackListAccess": (Kind.ALARM, Kind.ALARM_END),
    "DoorNotClosed": (Kind.DOOR_HELD_OPEN, Kind.ALARM_END), "ChassisIntruded": (Kind.TAMPER, Kind.ALARM_END),
    "PreventRemove": (Kind.TAMPER, Kind.ALARM_END), "VideoBlind": (Kind.TAMPER, Kind.ALARM_END),
    "NTPAdjustTime": (Kind.CLOCK, Kind.CLOCK), "TimeChange": (Kind.CLOCK, Kind.CLOCK),
    "Reboot": (Kind.DEVICE_BOOT, Kind.DEVICE_BOOT), "NetAbort": (Kind.ERROR, Kind.NONE),
    "IPConflict": (Kind.ERROR, Kind.NONE), "MACConflict": (Kind.ERROR, Kind.NONE),
    "APConnect": (Kind.NONE, Kind.NONE), "RtspSessionDisconnect": (Kind.NONE, Kind.NONE),
    "KeepLightOn": (Kind.NONE, Kind.NONE), "BackLightOn": (Kind.NONE, Kind.NONE),
    "BackLightOff": (Kind.NONE, Kind.NONE), "AccessSnap": (Kind.NONE, Kind.NONE),
    "RequestCallState": (Kind.NONE, Kind.NONE), "NewFile": (Kind.NONE, Kind.NONE),
    "UpdateFile": (Kind.NONE, Kind.NONE), "InfraredPassive": (Kind.MOTION, Kind.NO_MOTION),
    "LowBattery": (Kind.BATTERY_LOW, Kind.ALARM_END), "AlarmInputSourceSignal": (Kind.NONE, Kind.NONE),
    "ConfigChange": (Kind.CONFIG, Kind.CONFIG), "Upgrade": (Kind.CONFIG, Kind.CONFIG),
    "Heartbeat": (Kind.HEARTBEAT, Kind.HEARTBEAT), "KeepAlive": (Kind.HEARTBEAT, Kind.HEARTBEAT),
    "UrgencyAlarm": (Kind.SOS, Kind.ALARM_END), "SOSAlarm": (Kind.SOS, Kind.ALARM_END),
}  # fmt: skip
_TEXT_MAX, _EVENTS_MAX = 200_000, 65
_TYPES = {"BreakIn": EventType.DOOR_FORCED_OPEN, "DuressAlarm": EventType.DURESS, "Duress": EventType.DURESS,
          "DoorStatus": EventType.DOOR_FORCED_OPEN}  # fmt: skip


def _access(data: Mapping[str, Any]) -> tuple[Kind, str]:
    status = as_int(data.get("Status"))
    if as_text(data.get("Name")) == "CloseDoor":
        return Kind.DOOR_LOCKED, "close command"
    if status is None:
        return Kind.UNKNOWN, "an access record without status"
    method = as_text(data.get("Method")) or "?"
    return (Kind.ACCESS_GRANTED, f"status 1, method {method}") if status == 1 else (
        Kind.ACCESS_DENIED, f"status {status}, error {as_text(data.get('ErrorCode')) or '?'}"
    )  # fmt: skip


def _special(code: str, action: str, data: Mapping[str, Any]) -> tuple[Kind, str] | None:
    if code in ("AccessControl", "_DoorOpen_"):
        return _access(data)
    if code == "BackKeyLight":
        state = as_int(data.get("State"))
        return _LIGHT.get(-1 if state is None else state, (Kind.UNKNOWN, f"key light state {state}"))
    if code in ("DoorStatus", "DoorCard"):
        said = as_open(data.get("Status"))
        if as_text(data.get("Status")) == "Break":
            return Kind.ALARM, "opened without release"
        if said is not None and as_bool(data.get("Relay")):
            return (Kind.DOOR_UNLOCKED if said else Kind.DOOR_LOCKED), "the lock's relay, not the contact"
        if said is not None:
            return (Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED), "door contact"
        return Kind.CARD_READ if code == "DoorCard" else Kind.DOOR_STATE_UNKNOWN, code
    if code == "FingerPrintCheck":
        good = (as_int(data.get("FingerPrintID")) or 0) > 0
        return (Kind.ACCESS_GRANTED if good else Kind.ACCESS_DENIED), "fingerprint"
    if code == "SIPRegisterResult":
        registered = as_bool(data.get("Success"))
        return (Kind.DEVICE_ONLINE if registered else Kind.ERROR), "registration with the call server"
    return None


def _event(code: str, action: str, data: Mapping[str, Any], outer: Mapping[str, Any]) -> Reading:
    special = _special(code, action, data)
    if special is not None:
        kind, why = special
    elif code in _CODES:
        start, stop = _CODES[code]
        kind, why = (stop if action == "Stop" else start), f"{code} {action}"
    else:
        kind, why = Kind.UNKNOWN, f"event {code[:30]} of no known meaning"
    serial = as_text(outer.get("serialNumber")) or as_text(outer.get("deviceId")) or "dahua"
    door = as_text(data.get("Door")) or as_text(data.get("ReaderID")) or "1"
    access = kind in (Kind.ACCESS_GRANTED, Kind.ACCESS_DENIED)
    card = as_text(data.get("CardNo")) or as_text(data.get("UserID"))
    record = as_text(data.get("RecNo"))
    reading = read(
        f"{serial}/{door}", kind, why, aliases=(serial,), nature=Nature.EDGE, clock="rtc",
        occurred_ms=epoch_ms(data.get("UTC")) or epoch_ms(data.get("RealUTC")),
        method=_METHODS.get(as_int(data.get("Method")) or 0) if access and "Method" in data else None,
        direction={"Entry": "in", "Exit": "out"}.get(as_text(data.get("Type")) or "") if access else None,
        credential=card if access else None, key=f"record:{record}" if access and record else None,
    )  # fmt: skip
    if kind in (Kind.DOOR_OPEN, Kind.DOOR_CLOSED):
        # DoorStatus is sent when the contact changes, not periodically.
        reading = replace(reading, opening=kind is Kind.DOOR_OPEN)
    return replace(reading, event_type=_TYPES[code]) if code in _TYPES and kind is Kind.ALARM else reading


def _lock_status(frame: Frame) -> list[Reading]:
    locked = as_bool(frame.obj.get("isLocked"))
    source = f"dahua/{as_text(frame.obj.get('door')) or '1'}"
    if locked is None:
        return [read(source, Kind.UNKNOWN, "lock status of an unknown form")]
    # Derived by the gateway from the configured release time, not measured: no exchange with the lock.
    return [
        read(source, Kind.DOOR_LOCKED if locked else Kind.DOOR_UNLOCKED, "assumed lock status", heard=False)
    ]


def _lines(text: str) -> list[Reading]:
    """Read the event stream of the device's own web interface: ``Code=…;action=…;index=…[;data={…}]``, many in a row."""
    found = []
    for line in text[:_TEXT_MAX].split("Code=")[1:_EVENTS_MAX]:
        code, _, rest = line.partition(";")
        action = rest.partition("action=")[2].partition(";")[0].strip()
        start, end = rest.find("{"), rest.rfind("}")
        data = as_mapping(parse_json(rest[start : end + 1])) if 0 <= start < end else {}
        found.append(_event(code.strip(), action, data, {}))
    return found


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a Dahua event; None where it is none."""
    obj, parts = frame.obj, frame.parts
    if not obj and "Code=" in frame.text and ";action=" in frame.text:
        return _lines(frame.text)
    if not obj and frame.text.lstrip().startswith("--") and frame.text.rstrip("-\r\n ").endswith("Heartbeat"):
        return [read("dahua/1", Kind.HEARTBEAT, "heartbeat of the event stream")]
    if len(parts) >= 3 and parts[-2:] == ("MagneticLock", "Status"):
        return _lock_status(frame)
    if as_text(obj.get("method")) == "client.notifyEventStream":
        items = [as_mapping(item) for item in as_list(as_mapping(obj.get("params")).get("eventList"))[:64]]
        return [
            _event(
                as_text(item.get("Code")) or "",
                as_text(item.get("Action")) or "",
                as_mapping(item.get("Data")),
                obj,
            )
            for item in items
        ] or [read("dahua/1", Kind.NONE, "no events")]
    items = [as_mapping(item) for item in as_list(obj.get("Events"))[:64]] or [obj]
    if all("Code" in item and "Action" in item for item in items):
        return [
            _event(
                as_text(item["Code"]) or "", as_text(item["Action"]) or "", as_mapping(item.get("Data")), obj
            )
            for item in items
        ]
    if len(parts) >= 3 and parts[-1] == "Event" and ("Action" in obj or "Data" in obj):
        return [_event(parts[-2], as_text(obj.get("Action")) or "", as_mapping(obj.get("Data")), obj)]
    if len(parts) >= 2 and parts[-2] == "Command":
        return [read("dahua/1", Kind.NONE, "a command to the station", heard=False)]
    return None
