"""2N intercoms and access units: events of their HTTP interface's log enter, readings leave; pure.

``DoorStateChanged`` is sent when the contact changes; a switch that closes is the relay, a card that is read a reader's
word and only ``valid`` says what was decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_bool, as_list, as_mapping, as_open, as_text, epoch_ms
from edge.reading import Kind, Nature, Reading, read
from kaimen.vocabulary import EventType

_EVENTS_MAX = 128
#: Event -> what it says by itself; where it has a state, what "in" and "out" (or true and false) say.
_PLAIN: dict[str, Kind] = {
    "UserAuthenticated": Kind.ACCESS_GRANTED, "UserRejected": Kind.ACCESS_DENIED, "CallStateChanged": Kind.CALL,
    "CallSessionStateChanged": Kind.CALL, "KeyPressed": Kind.BUTTON, "KeyReleased": Kind.NONE, "SilentAlarm": Kind.ALARM,
    "AccessLimited": Kind.ACCESS_DENIED, "AccessBlocked": Kind.ACCESS_DENIED, "AccessTaken": Kind.ACCESS_TAKEN,
    "DeviceState": Kind.DEVICE_BOOT, "RegistrationStateChanged": Kind.NONE, "ConfigurationChanged": Kind.CONFIG,
    "DirectoryChanged": Kind.CONFIG, "DirectorySaved": Kind.CONFIG, "OutputChanged": Kind.NONE, "CardHeld": Kind.CARD_READ,
}  # fmt: skip
_STATES: dict[str, tuple[Kind, Kind]] = {
    "DoorOpenTooLong": (Kind.DOOR_HELD_OPEN, Kind.ALARM_END), "UnauthorizedDoorOpen": (Kind.ALARM, Kind.ALARM_END),
    "TamperSwitchActivated": (Kind.TAMPER, Kind.NONE), "MotionDetected": (Kind.MOTION, Kind.NO_MOTION),
    "RexActivated": (Kind.ACCESS_GRANTED, Kind.NONE), "SwitchStateChanged": (Kind.DOOR_UNLOCKED, Kind.DOOR_LOCKED),
    "NoiseDetected": (Kind.NONE, Kind.NONE), "LockdownStateChanged": (Kind.ALARM, Kind.ALARM_END),
}  # fmt: skip
#: Readings of a credential -> the means.
_READERS: dict[str, str | None] = {
    "CardEntered": "card", "CodeEntered": "pin", "MobKeyEntered": "ble", "FingerEntered": None, "LicensePlateRecognized": None,
}  # fmt: skip
_TYPES = {
    "UnauthorizedDoorOpen": EventType.DOOR_FORCED_OPEN, "SilentAlarm": EventType.DURESS, "RexActivated": EventType.EXIT,
}  # fmt: skip


def _meaning(name: str, params: Mapping[str, Any]) -> tuple[Kind, str]:
    if name == "DoorStateChanged":
        said = as_open(params.get("state"))
        kind = Kind.DOOR_STATE_UNKNOWN if said is None else Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED
        return kind, f"door {as_text(params.get('state')) or 'without a state'}"
    if name in _READERS:
        valid = as_bool(params.get("valid"))
        kind = Kind.CARD_READ if valid is None else Kind.ACCESS_GRANTED if valid else Kind.ACCESS_DENIED
        return kind, f"{name}, valid {valid}"
    if name in _STATES:
        state = params.get("state")
        on = state is True or as_text(state) == "in"
        return _STATES[name][0 if on else 1], f"{name} {state}"
    if name == "InputChanged":
        return Kind.DOOR_STATE_UNKNOWN, "whether this input is a door is set in the device table"
    return _PLAIN.get(name, Kind.UNKNOWN), name[:40]


def _event(source: str, event: Mapping[str, Any]) -> Reading:
    name, params = as_text(event.get("event")) or "", as_mapping(event.get("params"))
    kind, why = _meaning(name, params)
    place = as_text(params.get("port")) if name == "InputChanged" else None
    state = as_bool(params.get("state"))
    number = as_text(event.get("id"))
    when = epoch_ms(event.get("utcTime"))
    reading = read(
        source if place is None else f"{source}/{place}", kind, why, aliases=(source,), nature=Nature.EDGE, occurred_ms=when,
        method=_READERS.get(name), direction=as_text(params.get("direction")) if name in _READERS else None,
        credential=as_text(params.get("uid")) or as_text(params.get("uuid")),
        raw=str(state).upper() if place and state is not None else None,
        key=f"event:{number}:{when}" if number and when else None,
    )  # fmt: skip
    if kind in (Kind.DOOR_OPEN, Kind.DOOR_CLOSED):
        return replace(reading, opening=kind is Kind.DOOR_OPEN)
    return (
        replace(reading, event_type=_TYPES[name])
        if name in _TYPES and kind not in (Kind.NONE, Kind.ALARM_END)
        else reading
    )


def decode(frame: Frame) -> list[Reading] | None:
    """Decode events of a 2N device's log; None where there are none."""
    obj = frame.obj
    items = as_list(as_mapping(obj.get("result")).get("events")) or as_list(obj.get("events")) or [obj]
    events = [as_mapping(item) for item in items[:_EVENTS_MAX]]
    if not all("event" in event and "params" in event and "utcTime" in event for event in events):
        return None
    return [_event(frame.topic or "2n", event) for event in events]
