"""House automation platforms (openHAB, ioBroker and mqtt-smarthome, Homebridge, eWeLink): JSON enters, readings leave; pure.

``opened`` of openHAB is a word of the contact's own type, 1 of HomeKit's contact state is open, and a switch of eWeLink
is a door only on the models that are door sensors. A change that names the state before it is an edge; a value that is
told again, or for the first time, is a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.fields import battery_percent, readings_of_fields
from edge.dialects.frame import Frame
from edge.dialects.values import (
    NOT_THE_DOOR,
    as_bool,
    as_int,
    as_mapping,
    as_open,
    as_text,
    epoch_ms,
    is_named_after,
    parse_json,
    time_ms,
    words_of,
)
from edge.reading import Kind, Nature, Reading, read

_DOORS = frozenset({"door", "doors", "frontdoor", "window", "gate", "contact", "reed", "entrance"})
_CHANGED = ("ItemStateChangedEvent", "GroupItemStateChangedEvent")
#: Homematic's models that are contacts: their STATE is 1 (or 2, tilted) where it is open.
_HOMEMATIC_CONTACTS = (
    "HM-SEC-SC",
    "HM-SEC-RHS",
    "HMIP-SWDO",
    "HMIP-SWDM",
    "HMIP-SRH",
    "HM-SCI",
    "HMW-SEN-SC",
)
#: HomeKit's name of a value -> what 1 and 0 say.
_HOMEKIT: dict[str, tuple[Kind, Kind]] = {
    "ContactSensorState": (Kind.DOOR_OPEN, Kind.DOOR_CLOSED), "MotionDetected": (Kind.MOTION, Kind.NO_MOTION),
    "OccupancyDetected": (Kind.OCCUPIED, Kind.VACANT), "LeakDetected": (Kind.WATER_LEAK, Kind.WATER_OK),
    "SmokeDetected": (Kind.SMOKE, Kind.SMOKE_OK), "StatusLowBattery": (Kind.BATTERY_LOW, Kind.TELEMETRY),
    "StatusTampered": (Kind.TAMPER, Kind.TELEMETRY), "LockCurrentState": (Kind.DOOR_LOCKED, Kind.DOOR_UNLOCKED),
    "CarbonMonoxideDetected": (Kind.ALARM, Kind.ALARM_END),
}  # fmt: skip
#: Types of eWeLink's devices that are door sensors, by the field that is 1 or "on" where the door is open.
_EWELINK_DOORS = {102: "switch", 154: "switch", 3026: "lock", 7003: "lock"}


def decode_openhab(frame: Frame) -> list[Reading] | None:
    """Decode an item's event of openHAB (its event bus or websocket); None where it is none."""
    name = as_text(frame.obj.get("type")) or ""
    levels = (as_text(frame.obj.get("topic")) or "").split("/")
    if levels[0] not in ("openhab", "smarthome") or not name.endswith("Event") or len(levels) < 3:
        return None
    item = levels[2]
    body = frame.obj.get("payload")
    said = as_mapping(parse_json(body) if isinstance(body, str) else body)
    if levels[1] != "items" or "Command" in name or "State" not in name:
        return [read(item, Kind.NONE, f"{name[:40]}", heard=False)]
    kind, why, raw = _openhab_value(item, as_text(said.get("type")) or "", as_text(said.get("value")) or "")
    reading = read(item, kind, why, raw=raw)
    if name in _CHANGED and kind is Kind.DOOR_OPEN and as_open(said.get("oldValue")) is False:
        reading = replace(
            reading, nature=Nature.EDGE, opening=True, why=f"{why}, before {said['oldValue']}"[:80]
        )
    return [reading]


def _openhab_value(item: str, sort: str, value: str) -> tuple[Kind, str, str | None]:
    if value in ("NULL", "UNDEF"):
        return Kind.DOOR_STATE_UNKNOWN if sort == "OpenClosed" else Kind.NONE, f"the item is {value}", None
    said = as_open(value)
    if sort == "OpenClosed" and said is not None:
        return (Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED), f"a contact says {value}", None
    if is_named_after(words_of(item), _DOORS, otherwise=NOT_THE_DOOR):
        why = "an item named after a door that is no contact: list its values for open and closed"
        return Kind.DOOR_STATE_UNKNOWN, why, value.upper()[:40]
    return Kind.TELEMETRY, f"an item of type {sort[:20]}", None


def decode_iobroker(frame: Frame) -> list[Reading] | None:
    """Decode a state of ioBroker or of an mqtt-smarthome bridge (``val``, ``ts``, ``lc``); None where it is none.

    A state that is not acknowledged is what somebody wants it to be.
    """
    obj = frame.obj
    if "val" not in obj or not ("lc" in obj or "ack" in obj or "ts" in obj):
        return None
    if obj.get("ack") is False:
        return [read(frame.topic, Kind.NONE, "asked for, not acknowledged", heard=False)]
    when = epoch_ms(obj.get("ts"))
    value, model = obj["val"], (as_text(as_mapping(obj.get("hm")).get("deviceType")) or "").upper()
    if model.startswith(_HOMEMATIC_CONTACTS) and frame.parts[-1:] == ("STATE",):
        number = as_int(value)
        if number in (0, 1, 2):
            kind = Kind.DOOR_OPEN if number else Kind.DOOR_CLOSED
            return [read(frame.topic, kind, f"contact says {number}", occurred_ms=when)]
    name = frame.parts[-1] if frame.parts else ""
    found = readings_of_fields(
        {name: value}, frame.topic, contact_true_is_closed=None, occurred_ms=when, aliases=("/".join(frame.parts[:-1]),),
    )  # fmt: skip
    flag = as_bool(value)
    if flag is not None and all(reading.kind is Kind.TELEMETRY for reading in found):
        why = "a value of nobody knows what: if it is a door, list it with its values for open and closed"
        return [read(frame.topic, Kind.UNKNOWN, why, raw=str(value).upper(), occurred_ms=when)]
    return [
        replace(reading, raw=str(value).upper()) if reading.kind is Kind.DOOR_STATE_UNKNOWN else reading
        for reading in found
    ]


def decode_homekit(frame: Frame) -> list[Reading] | None:
    """Decode a value of a Homebridge bridge that is named as HomeKit names it; None where it is none."""
    obj = frame.obj
    name = as_text(obj.get("characteristic")) or ""
    value = as_int(obj.get("value"))
    if name not in _HOMEKIT or "value" not in obj:
        return None
    source = as_text(obj.get("name") or obj.get("accessory")) or frame.topic
    if value not in (0, 1):
        return [read(source, Kind.UNKNOWN, f"{name} is neither 0 nor 1", aliases=(frame.topic,))]
    return [read(source, _HOMEKIT[name][0 if value else 1], f"{name} is {value}", aliases=(frame.topic,))]


def _ewelink_kind(kind_number: int | None, params: Mapping[str, Any]) -> tuple[Kind, str, str | None]:
    name = _EWELINK_DOORS.get(kind_number or 0, "")
    if name in params:
        opened = as_bool(params[name])
        if opened is not None:
            return (Kind.DOOR_OPEN if opened else Kind.DOOR_CLOSED), f"{name} of a door sensor", None
    for name in ("lock", "switch"):
        value = as_text(params.get(name))
        if value is not None and ("battery" in params or "trigTime" in params):
            why = "a sensor whose type is not told: if it is a door, list its values for open and closed"
            return Kind.DOOR_STATE_UNKNOWN, why, value.upper()
    motion = as_bool(params.get("motion"))
    if motion is not None:
        return (Kind.MOTION if motion else Kind.NO_MOTION), "field motion", None
    water = as_bool(params.get("water"))
    if water is not None:
        return (Kind.WATER_LEAK if water else Kind.WATER_OK), "field water", None
    if "key" in params and "trigTime" in params:
        return Kind.BUTTON, "field key", None
    return Kind.TELEMETRY, "values, no fact about a door", None


def decode_ewelink(frame: Frame) -> list[Reading] | None:
    """Decode an update of eWeLink's cloud; None where it is none. After a reconnection it repeats old ones."""
    obj, params = frame.obj, as_mapping(frame.obj.get("params"))
    source = as_text(obj.get("deviceid"))
    if source is None or not params:
        return None
    if as_text(obj.get("userAgent")) == "app":
        return [read(source, Kind.NONE, "asked for by an app", heard=False)]
    online = as_bool(params.get("online"))
    if online is not None and len(params) == 1:
        kind = Kind.DEVICE_ONLINE if online else Kind.DEVICE_OFFLINE
        return [read(source, kind, "the cloud's judgement", heard=False)]
    sort = as_int(as_mapping(obj.get("extra")).get("uiid", obj.get("uiid")))
    kind, why, raw = _ewelink_kind(sort, params)
    when = time_ms(params.get("trigTime") or params.get("actionTime") or params.get("lastUpdateTime"))
    return [
        read(source, kind, why, raw=raw, occurred_ms=when, battery_percent=battery_percent(params), nature=Nature.STATE)
    ]  # fmt: skip
