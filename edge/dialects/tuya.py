"""Tuya's cloud messages (device status by its message queue, old and new form): JSON enters, readings leave; pure.

Values come by the codes of the maker's standard sets: ``doorcontact_state`` true is open, ``closed_opened`` is the
contact of a door lock. A status is sent again after a device was away, so none proves an opening by itself. What was
unlocked, and by which means, is an event of the lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_bool, as_float, as_list, as_mapping, as_open, as_text, epoch_ms
from edge.reading import Kind, Nature, Reading, read
from kaimen.vocabulary import EventType

_VALUES_MAX = 64
#: Code -> what an alarm, and what none, says. Values are booleans or the words below.
_FLAGS: dict[str, tuple[Kind, Kind]] = {
    "watersensor_state": (Kind.WATER_LEAK, Kind.WATER_OK), "pir": (Kind.MOTION, Kind.NO_MOTION),
    "pir_state": (Kind.MOTION, Kind.NO_MOTION), "presence_state": (Kind.OCCUPIED, Kind.VACANT),
    "smoke_sensor_status": (Kind.SMOKE, Kind.SMOKE_OK), "smoke_sensor_state": (Kind.SMOKE, Kind.SMOKE_OK),
    "gas_sensor_status": (Kind.ALARM, Kind.ALARM_END), "gas_sensor_state": (Kind.ALARM, Kind.ALARM_END),
    "sos_state": (Kind.SOS, Kind.NONE), "temper_alarm": (Kind.TAMPER, Kind.TELEMETRY),
    "tamper_alarm": (Kind.TAMPER, Kind.TELEMETRY), "shock_state": (Kind.VIBRATION, Kind.TELEMETRY),
    "doorbell": (Kind.CALL, Kind.NONE), "hijack": (Kind.ALARM, Kind.NONE),
}  # fmt: skip
_YES = frozenset({"alarm", "pir", "presence", "vibration", "drop", "tilt", "1", "true"})
_NO = frozenset({"normal", "none", "0", "false"})
#: Code of an unlocking -> its means, where the canonical words have one. The value is the user's number at the lock.
_UNLOCKS: dict[str, str | None] = {
    "unlock_fingerprint": None, "unlock_password": "pin", "unlock_temporary": "pin", "unlock_dynamic": "pin",
    "unlock_card": "card", "unlock_face": "face", "unlock_key": "key", "unlock_app": "phone", "unlock_ble": "ble",
    "unlock_phone_remote": "phone", "unlock_voice_remote": None, "unlock_offline_pd": "pin", "unlock_eye": None,
    "unlock_hand": None, "unlock_finger_vein": None, "unlock_double": None, "open_inside": None,
}  # fmt: skip
#: Words of a lock's or a gate's alarm -> what they say; a wrong finger, card or password is a refusal.
_ALARMS: dict[str, Kind] = {
    "pry": Kind.TAMPER, "unclosed_time": Kind.DOOR_HELD_OPEN, "low_battery": Kind.BATTERY_LOW,
    "power_off": Kind.BATTERY_LOW, "shock": Kind.VIBRATION, "defense": Kind.TAMPER,
}  # fmt: skip
_LINES = {"online": Kind.DEVICE_ONLINE, "offline": Kind.DEVICE_OFFLINE}


def _flag(value: Any) -> bool | None:
    word = (as_text(value) or "").lower()
    return True if word in _YES else False if word in _NO else as_bool(value)


def fact_of(code: str, value: Any) -> tuple[Kind, str]:
    """Return what a value of a standard code says, with the reason; telemetry where it tells no fact."""
    if code.startswith("doorcontact_state"):
        flag, said = as_bool(value), as_open(value)
        on = flag if said is None else said
        if on is None:
            return Kind.DOOR_STATE_UNKNOWN, f"{code} is neither true nor false"
        return (Kind.DOOR_OPEN if on else Kind.DOOR_CLOSED), f"{code} {value}"
    if code in ("alarm_lock", "door_state_1"):
        word = as_text(value) or ""
        kind = Kind.ACCESS_DENIED if word.startswith("wrong_") else _ALARMS.get(word, Kind.TELEMETRY)
        return kind, f"alarm {word[:40]}"
    if code == "closed_opened":
        said = as_open(value)
        if said is not None:
            return (Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED), f"contact of the lock: {value}"
        return Kind.DOOR_STATE_UNKNOWN, "the lock does not know its door"
    if code in _FLAGS:
        on = _flag(value)
        if on is not None:
            return _FLAGS[code][0 if on else 1], f"{code} {on}"
    if code == "battery_state" and as_text(value) == "low":
        return Kind.BATTERY_LOW, "battery low"
    return Kind.TELEMETRY, f"value of {code[:40]}"


def _reading(source: str, item: Mapping[str, Any], battery: float | None) -> Reading:
    code, value = as_text(item.get("code")) or "", item.get("value")
    when = epoch_ms(item.get("t", item.get("time")))
    if code.isdigit() and as_bool(value) is not None:
        why = "a data point by its number: if it is a door, list it with its values for open and closed"
        raw = str(as_bool(value)).upper()
        return read(
            f"{source}/{code}", Kind.DOOR_STATE_UNKNOWN, why, raw=raw, aliases=(source,), occurred_ms=when
        )
    if code in _UNLOCKS and as_bool(value) is not False:
        return read(
            source, Kind.DOOR_UNLOCKED, code, nature=Nature.EDGE, method=_UNLOCKS[code],
            credential=as_text(value), occurred_ms=when,
        )  # fmt: skip
    kind, why = fact_of(code, value)
    if code == "hijack" and kind is Kind.ALARM:
        return read(source, kind, "opened under duress", event_type=EventType.DURESS, occurred_ms=when)
    return read(source, kind, why, occurred_ms=when, battery_percent=battery)


def _items(obj: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for item in (as_list(obj.get("status")) or as_list(obj.get("properties")))[:_VALUES_MAX]:
        values = as_mapping(item)
        if as_text(values.get("code")) is not None:
            yield values
        else:
            yield from ({**values, "code": name, "value": values[name]} for name in values if name.isdigit())
    for name, value in as_mapping(obj.get("dps")).items():
        yield {"code": name, "value": value}


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a message of Tuya's queue; None where it is none."""
    obj = frame.obj
    inner = as_mapping(obj.get("bizData"))
    source = as_text(obj.get("devId")) or as_text(inner.get("devId"))
    if source is None or not (inner or obj.keys() & {"status", "bizCode", "dps"}):
        return None
    name = as_text(obj.get("bizCode")) or ""
    if name in _LINES:
        # The cloud's judgement: of a battery sensor it says nothing.
        return [read(source, _LINES[name], f"bizCode {name}", heard=False)]
    items = list(_items(obj)) or list(_items(inner))
    percent = next(
        (as_float(item.get("value")) for item in items if item["code"] == "battery_percentage"), None
    )
    battery = percent if percent is not None and 0 <= percent <= 100 else None
    return [_reading(source, item, battery) for item in items] or [
        read(source, Kind.NONE, f"message {name[:30]} without values", heard=False)
    ]
