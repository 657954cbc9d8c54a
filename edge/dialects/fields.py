"""Facts by field names that many makers share: a JSON object enters, readings leave; pure.

Used where the family says the polarity of its fields (Zigbee2MQTT, decoded LoRaWAN objects, BLE gateways) and as
the last resort for unknown families, where a bare boolean ``contact`` is not taken to mean anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.values import as_bool, as_float, as_int, as_mapping, as_open, as_text, time_ms
from edge.reading import Kind, Nature, Reading, read

OPEN_FIELDS = (
    "open", "opened", "is_open", "isopen", "dooropen", "door_open", "door_opened", "opening", "reed_open",
    "contact_open", "door_open_status", "door_is_open", "door1_open_status", "alarm_contact",
)  # fmt: skip
_DOOR_FIELDS = (
    "door", "door_state", "doorstate", "door_status", "doorstatus", "magnet_status", "magnet", "window",
    "door_contact", "contact_state", "contactstatus", "contact_status", "reed", "reed_status", "reedstatus",
    "open_close", "openclose", "openclosestate", "open_status", "openstate", "contactstate", "doorsensorstate",
    "doorsensorstatename", "door_sensor_state", "门状态", "门磁", "门磁状态", "doorsensor", "door_sensor", "opening_state",
    "window_state", "hall_sensor", "state_of_door",
)  # fmt: skip
_MOTION_FIELDS = ("motion", "occupancy", "pir", "movement", "pir_status", "motion_detected", "motiondetected")
_PRESENCE_FIELDS = ("presence", "occupied", "occupancy_status", "human_presence", "presence_state")
_LEAK_FIELDS = (
    "water_leak", "leak", "water", "waterleak", "leakage_status", "water_leak_status", "flood", "moisture_alarm",
    "leakage", "water_leakage", "leak_detected", "detect_wet",
)  # fmt: skip
_TAMPER_FIELDS = ("tamper", "tampered", "tamper_status", "tamper_alarm", "tamper_state")
_BELL_FIELDS = ("doorbell", "bell", "ringing")
_LOW_BATTERY_FIELDS = ("battery_low", "low_battery", "lowbattery", "batt_low", "battery_alarm", "batterylow")
_SMOKE_FIELDS = ("smoke", "fire", "smoke_alarm", "smoke_status")
_VIBRATION_FIELDS = ("vibration", "shock", "vibrate", "drop", "impact")
_SOS_FIELDS = ("sos", "panic", "emergency", "help")
_BUTTON_FIELDS = (
    "button",
    "press",
    "button_event",
    "button_status",
    "button1",
    "button2",
    "button3",
    "button4",
)
_BATTERY_FIELDS = ("battery", "batt", "battery_percentage", "battery_level", "batterylevel")
_RSSI_FIELDS = ("rssi",)
_TIME_FIELDS = ("last_seen", "lastseen", "timestamp", "ts", "time", "utctime", "datetime")

#: Objects that only carry others, and names under which a nested object has its value.
_WRAPPINGS = frozenset(
    {"data", "payload", "decoded", "action", "context", "params", "reported", "values", "result"}
)
_VALUES = ("value", "state", "status")

_LEAK_WORDS = frozenset({"leak", "leaking", "wet", "alarm", "detected", "flood"})
_DRY_WORDS = frozenset({"normal", "no leak", "no_leak", "dry", "ok", "none", "no leakage"})
_TAMPER_WORDS = frozenset({"uninstalled", "uninstall", "tampered", "removed", "dismounted"})
_SAFE_WORDS = frozenset({"installed", "install", "intact", "mounted"})
_PRESENT_WORDS = frozenset({"occupied", "presence", "present", "move", "none_move_presence", "pir occupancy"})
_ABSENT_WORDS = frozenset({"vacant", "unoccupied", "absence", "absent", "none", "free", "idle"})
_SOS_ACTIONS = ("emergency", "sos", "panic", "help")
_REFUSED_ACTIONS = ("failure", "failed", "invalid", "not_match", "wrong")
_UNLOCK_ACTIONS = frozenset({"unlock", "unlocked"})
_QUIET_ACTIONS = frozenset({"none", "idle", "default", "release_all"})
#: Ends of the actions by which presence sensors say who came into or left a part of the room: nobody pressed.
_REGION_ACTIONS = ("_enter", "_leave", "_occupied", "_unoccupied")
#: A radiator that says "window open" concludes it from the temperature; it has no contact.
_THERMOSTAT_FIELDS = frozenset(
    {
        "current_heating_setpoint", "occupied_heating_setpoint", "local_temperature", "pi_heating_demand",
        "targettemperature", "target_temperature", "valve_position", "valveopenness", "valve_opening_degree", "system_mode",
    }
)  # fmt: skip


def _lowered(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {key.lower(): value for key, value in obj.items() if value is not None}


def _first(fields: Mapping[str, Any], names: Iterable[str]) -> Any:
    for name in names:
        if name in fields:
            return fields[name]
    return None


def _word(value: Any) -> str:
    return value.strip().lower() if isinstance(value, str) else ""


def _flag(value: Any, yes: frozenset[str], no: frozenset[str]) -> bool | None:
    word = _word(value)
    if word in yes:
        return True
    if word in no:
        return False
    return as_bool(value)


def field_time_ms(obj: Mapping[str, Any]) -> int | None:
    """Return the instant a device or gateway wrote beside its values."""
    fields = _lowered(obj)
    for name in _TIME_FIELDS:
        if name in fields:
            found = time_ms(fields[name])
            if found is not None:
                return found
    return None


def battery_percent(obj: Mapping[str, Any]) -> float | None:
    number = as_float(_first(_lowered(obj), _BATTERY_FIELDS))
    return number if number is not None and 0 <= number <= 100 else None


def rssi_dbm(obj: Mapping[str, Any]) -> float | None:
    number = as_float(_first(_lowered(obj), _RSSI_FIELDS))
    return number if number is not None and -200 <= number < 0 else None


def spread(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an object with those of its wrappings, and of nested values, beside them.

    ``{"data": {"door": "open"}}`` and ``{"door": {"value": "open"}}`` say what ``{"door": "open"}`` says. What stood
    there by itself stays.
    """
    found = dict(obj)
    for name, value in obj.items():
        inner = as_mapping(value)
        if name.lower() in _WRAPPINGS:
            found = {**inner, **found}
        said = next((inner[key] for key in _VALUES if key in inner), None)
        if said is not None and not isinstance(said, Mapping | list):
            found[name] = said
    return found


def _is_left_open(value: Any) -> bool:
    return any(mark in _word(value) for mark in ("not closed", "notclose"))


def _is_measure(name: str, value: Any) -> bool:
    """Say whether a number tells how far something is open: of a valve "opening" 1 is one percent."""
    return name == "opening" and not isinstance(value, bool)


def _door_kinds(fields: Mapping[str, Any], contact_true_is_closed: bool | None) -> tuple[Kind, str] | None:
    if "contact" in fields:
        value = fields["contact"]
        said = as_open(value)
        if said is not None:
            return (Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED), f"contact says {_word(value)}"
        if _is_left_open(value):
            return Kind.DOOR_HELD_OPEN, "the sensor says that the door was left open"
        flag = as_bool(value)
        if _word(value) in ("on", "off"):
            return Kind.DOOR_STATE_UNKNOWN, "a contact that is on, which is closed to some and open to others"
        if flag is not None and contact_true_is_closed is not None:
            closed = flag == contact_true_is_closed
            return (Kind.DOOR_CLOSED if closed else Kind.DOOR_OPEN), "contact, polarity of this family"
        if flag is not None:
            return Kind.DOOR_STATE_UNKNOWN, "a boolean contact whose polarity is not known"
    gate = as_bool(fields.get("garage_door_contact"))
    if gate is not None and contact_true_is_closed is not None:
        closed = gate == contact_true_is_closed
        return (
            Kind.DOOR_CLOSED if closed else Kind.DOOR_OPEN
        ), "contact of a garage door, polarity of this family"
    for name in OPEN_FIELDS:
        if name in fields:
            said = as_open(fields[name])
            flag = as_bool(fields[name]) if said is None and not _is_measure(name, fields[name]) else said
            if flag is not None:
                return (Kind.DOOR_OPEN if flag else Kind.DOOR_CLOSED), f"field {name}"
    for name in _DOOR_FIELDS:
        if name in fields:
            said = as_open(fields[name])
            if said is not None:
                return (Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED), f"field {name}"
            if _word(fields[name]) in ("tilt", "tilted"):
                return Kind.DOOR_OPEN, f"field {name} says tilted"
            if _is_left_open(fields[name]):
                return Kind.DOOR_HELD_OPEN, "the sensor says that the door was left open"
            if as_bool(fields[name]) is not None or isinstance(fields[name], int):
                return Kind.DOOR_STATE_UNKNOWN, f"field {name} without a known polarity"
    return None


def _lock_kinds(fields: Mapping[str, Any]) -> tuple[Kind, str] | None:
    for name in ("lock_state", "lockstate", "lock_status", "lock", "state"):
        word = _word(fields.get(name))
        if word in ("unlock", "unlocked", "unsecured", "not_fully_locked"):
            return Kind.DOOR_UNLOCKED, f"{name} says {word}"
        if word in ("lock", "locked", "secured"):
            return Kind.DOOR_LOCKED, f"{name} says {word}"
    return None


def _action_kinds(fields: Mapping[str, Any]) -> tuple[Kind, str] | None:
    if "action" not in fields:
        return None
    word = _word(fields["action"])
    if not isinstance(fields["action"], str):
        return None
    if not word:
        return Kind.NONE, "the empty action that trails a press"
    if any(mark in word for mark in _SOS_ACTIONS):
        return Kind.SOS, f"action {word[:40]}"
    if any(mark in word for mark in _REFUSED_ACTIONS):
        return Kind.ACCESS_DENIED, f"action {word[:40]}"
    if word in _UNLOCK_ACTIONS or word.endswith("_unlock") or word.startswith("unlock"):
        return Kind.DOOR_UNLOCKED, f"action {word[:40]}"
    if word == "lock" or word.endswith("_lock") or word.startswith("lock"):
        return Kind.DOOR_LOCKED, f"action {word[:40]}"
    if word in ("vibration", "tilt", "drop", "shock"):
        return Kind.VIBRATION, f"action {word}"
    if word in ("motion", "occupied", "enter", "approach"):
        return Kind.MOTION, f"action {word}"
    if word in ("ring", "doorbell", "bell"):
        return Kind.CALL, f"action {word}"
    if word in ("open", "opened", "close", "closed") and "contact" in fields:
        return None
    if word.endswith(_REGION_ACTIONS):
        away = word.endswith(("_leave", "_unoccupied"))
        return (Kind.NONE if away else Kind.MOTION), f"action {word[:40]}"
    if word in _QUIET_ACTIONS:
        return Kind.NONE, f"action {word}"
    return Kind.BUTTON, f"action {word[:40]}"


def _presence_kinds(fields: Mapping[str, Any]) -> tuple[Kind, str] | None:
    for name in _PRESENCE_FIELDS:
        flag = _flag(fields.get(name), _PRESENT_WORDS, _ABSENT_WORDS)
        if flag is not None:
            return (Kind.OCCUPIED if flag else Kind.VACANT), f"field {name}"
    for name in _MOTION_FIELDS:
        word = _word(fields.get(name))
        if word in ("occupied", "vacant", "unoccupied"):
            return (Kind.OCCUPIED if word == "occupied" else Kind.VACANT), f"field {name}"
        flag = as_bool(fields.get(name))
        if flag is None and isinstance(fields.get(name), int | float):
            flag = True if as_int(fields[name]) else None
        if flag is not None:
            return (Kind.MOTION if flag else Kind.NO_MOTION), f"field {name}"
    return None


def _hazard_kinds(fields: Mapping[str, Any]) -> list[tuple[Kind, str]]:
    found: list[tuple[Kind, str]] = []
    smoke = as_bool(_first(fields, _SMOKE_FIELDS))
    if smoke is not None:
        if as_bool(fields.get("test")) or as_bool(fields.get("self_test")) or as_bool(fields.get("in_test")):
            found.append((Kind.SMOKE_TEST, "the detector is under test"))
        found.append((Kind.SMOKE if smoke else Kind.SMOKE_OK, "field smoke"))
    leak = _flag(_first(fields, _LEAK_FIELDS), _LEAK_WORDS, _DRY_WORDS)
    if leak is not None:
        found.append((Kind.WATER_LEAK if leak else Kind.WATER_OK, "field for water"))
    gases = ("gas", "carbon_monoxide", "co_alarm", "gas_alarm")
    found += [(Kind.ALARM, f"field {name}") for name in gases if as_bool(fields.get(name)) is True]
    return found


def _fault_kinds(fields: Mapping[str, Any]) -> list[tuple[Kind, str]]:
    found: list[tuple[Kind, str]] = []
    if _flag(_first(fields, _TAMPER_FIELDS), _TAMPER_WORDS, _SAFE_WORDS):
        found.append((Kind.TAMPER, "field for tamper"))
    if as_bool(_first(fields, _LOW_BATTERY_FIELDS)) or as_int(fields.get("battery_ok")) == 0:
        found.append((Kind.BATTERY_LOW, "field for a low battery"))
    if as_bool(_first(fields, _VIBRATION_FIELDS)) is True:
        found.append((Kind.VIBRATION, "field for vibration"))
    return found


def _button_kinds(fields: Mapping[str, Any]) -> list[tuple[Kind, str]]:
    if as_bool(_first(fields, _SOS_FIELDS)) is True:
        return [(Kind.SOS, "field for help")]
    for name in _BUTTON_FIELDS:
        value = fields.get(name)
        inner = as_mapping(value)
        pressed = as_text(inner.get("status")) if inner else as_text(value)
        if value is True or (pressed is not None and pressed.lower() not in ("0", "none", "false", "254")):
            return [(Kind.BUTTON, f"field {name}")]
    return []


def facts(obj: Mapping[str, Any], *, contact_true_is_closed: bool | None) -> list[tuple[Kind, str]]:
    """Return every fact that the field names of one object tell, with the reason.

    ``contact_true_is_closed`` is the family's polarity of a boolean ``contact``; None where it is not known.
    """
    fields = _lowered(obj)
    found: list[tuple[Kind, str]] = []
    doubtful = (
        None if fields.keys() & _THERMOSTAT_FIELDS else _door_kinds(fields, contact_true_is_closed),
        _lock_kinds(fields),
        _action_kinds(fields),
        _presence_kinds(fields),
    )
    found += [fact for fact in doubtful if fact is not None]
    if as_bool(_first(fields, _BELL_FIELDS)) is True:
        found.append((Kind.CALL, "field for a bell"))
    found += _hazard_kinds(fields)
    found += _button_kinds(fields)
    found += _fault_kinds(fields)
    return found


_EVENTS = frozenset({Kind.SOS, Kind.BUTTON, Kind.ACCESS_DENIED, Kind.CALL, Kind.VIBRATION, Kind.NONE})


def readings_of_fields(
    obj: Mapping[str, Any],
    source: str,
    *,
    contact_true_is_closed: bool | None,
    aliases: tuple[str, ...] = (),
    closed_proves: bool | None = None,
    nature: Nature | None = None,
    occurred_ms: int | None = None,
    key: str | None = None,
    clock: str = "ntp",
) -> list[Reading]:
    """Turn the facts of one object into readings; an object without any is telemetry."""
    found = facts(obj, contact_true_is_closed=contact_true_is_closed)
    battery, rssi = battery_percent(obj), rssi_dbm(obj)
    if not found:
        found = [(Kind.TELEMETRY, "values, no fact about a door or a person")]
    readings = []
    for kind, why in found:
        given = nature
        if nature is not Nature.HISTORY and kind in _EVENTS and kind is not Kind.NONE:
            given = Nature.EDGE
        reading = read(
            source, kind, why, nature=given, aliases=aliases, occurred_ms=occurred_ms, key=key, clock=clock,
            battery_percent=battery, rssi_dbm=rssi,
        )  # fmt: skip
        if kind is Kind.DOOR_CLOSED and closed_proves is not None:
            reading = replace(reading, opening=closed_proves)
        readings.append(reading)
    return readings
