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
    "doorbell": (Kind.CALL, Kind.NONE), "hijack": (Kind.ALARM, Kind.NONE),
}  # fmt: skip
_YES = frozenset({"alarm", "pir", "presence", "1", "true"})
_NO = frozenset({"normal", "none", "0", "false"})
#: Code of an unlocking -> its means, where the canonical words have one. The value is the user's number at the lock.
_UNLOCKS: dict[str, str | None] = {
    "unlock_fingerprint": None, "unlock_password": "pin", "unlock_temporary": "pin", "unlock_dynamic": "pin",
    "unlock_card": "card", "unlock_face": "face", "unlock_key": "key", "unlock_app": "phone", "unlock_ble": "ble",
}  # fmt: skip
_LINES = {"online": Kind.DEVICE_ONLINE, "offline": Kind.DEVICE_OFFLINE}


def _flag(value: Any) -> bool | None:
    word = (as_text(value) or "").lower()
    return True if word in _YES else False if word in _NO else as_bool(value)


def _fact(code: str, value: Any) -> tuple[Kind, str]:
    if code == "doorcontact_state" and isinstance(value, bool):
        return (Kind.DOOR_OPEN if value else Kind.DOOR_CLOSED), f"{code} {value}"
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
    if code in _UNLOCKS:
        return read(
            source, Kind.DOOR_UNLOCKED, code, nature=Nature.EDGE, method=_UNLOCKS[code],
            credential=as_text(value), occurred_ms=when,
        )  # fmt: skip
    kind, why = _fact(code, value)
    if code == "hijack" and kind is Kind.ALARM:
        return read(source, kind, "opened under duress", event_type=EventType.DURESS, occurred_ms=when)
    return read(source, kind, why, occurred_ms=when, battery_percent=battery)


def _items(obj: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for item in (as_list(obj.get("status")) or as_list(obj.get("properties")))[:_VALUES_MAX]:
        if as_text(as_mapping(item).get("code")) is not None:
            yield as_mapping(item)


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a message of Tuya's queue; None where it is none."""
    obj = frame.obj
    inner = as_mapping(obj.get("bizData"))
    source = as_text(obj.get("devId")) or as_text(inner.get("devId"))
    if source is None or not (inner or "status" in obj or "bizCode" in obj):
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
