"""Access systems that speak by webhook or feed (UniFi Access, EZVIZ, community door feeds): JSON enters, readings
leave; pure.

``access.device.dps_status`` of UniFi tells a change of the door position; ``access.door.unlock`` is a decision,
granted or not, and says nothing about the door itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_int, as_list, as_mapping, as_open, as_text, time_ms
from edge.reading import Kind, Nature, Reading, read
from kaimen.vocabulary import EventType

_UNIFI: dict[str, Kind] = {
    "access.doorbell.incoming": Kind.CALL, "access.doorbell.completed": Kind.CALL,
    "access.doorbell.incoming.REN": Kind.CALL, "access.remote_view": Kind.CALL,
    "access.remote_view.change": Kind.CALL, "access.data.device.remote_unlock": Kind.DOOR_UNLOCKED,
    "access.device.emergency_status": Kind.ALARM, "access.unlock_schedule.activate": Kind.DOOR_UNLOCKED,
    "access.unlock_schedule.deactivate": Kind.DOOR_LOCKED, "access.temporary_unlock.start": Kind.DOOR_UNLOCKED,
    "access.temporary_unlock.end": Kind.DOOR_LOCKED, "access.visitor.status.changed": Kind.CONFIG,
    "access.base.info": Kind.HEARTBEAT, "access.data.device.delete": Kind.CONFIG,
    "access.data.setting.update": Kind.CONFIG, "access.logs.insights.add": Kind.NONE,
}  # fmt: skip
_PROVIDERS = {
    "NFC": "card", "CARD": "card", "PIN_CODE": "pin", "PIN": "pin", "FACE": "face", "QR_CODE": "qr",
    "MOBILE_TAP": "phone", "MOBILE_BUTTON": "phone", "MOBILE_WAVE": "phone", "REX": "exit_button",
    "BUTTON_REX": "exit_button", "CALL": "remote_indoor", "REMOTE": "remote_office", "TOUCH_PASS": "phone",
}  # fmt: skip

#: Chinese community feeds: how a door was opened (openType).
_OPEN_TYPES: dict[str, str] = {
    "100101": "card", "100201": "face", "100301": "ble", "100302": "phone", "100303": "phone",
    "100401": "exit_button", "100402": "pin", "100501": "id_card", "100601": "visitor", "100701": "qr",
}  # fmt: skip

#: EZVIZ alarm words, and the numbers of the older form.
_EZVIZ: tuple[tuple[tuple[str, ...], Kind], ...] = (
    (("magnetometer", "doormagnetic", "10004"), Kind.DOOR_OPEN),
    (("callhelp", "emergency", "sos", "10001", "10009"), Kind.SOS),
    (("smoke", "10005"), Kind.SMOKE),
    (("water", "10008"), Kind.WATER_LEAK),
    (("gas", "10006"), Kind.ALARM),
    (("doorbell", "callbell", "ring", "10100"), Kind.CALL),
    (("pir", "motion", "human", "bodyfeel", "infrared", "10000", "10002", "10010"), Kind.MOTION),
    (("lowbattery", "low_battery", "lowpower"), Kind.BATTERY_LOW),
    (("tamper", "prylock", "antipry"), Kind.TAMPER),
    (("unlock", "opendoor", "open_door"), Kind.ACCESS_GRANTED),
)


def _granted(result: str) -> Kind:
    word = result.lower()
    if "grant" in word or word in ("access", "success", "allow", "allowed", "1", "ok"):
        return Kind.ACCESS_GRANTED
    if "den" in word or word in ("blocked", "block", "fail", "failed", "incomplete", "0"):
        return Kind.ACCESS_DENIED
    return Kind.UNKNOWN


def _unifi_log(data: Mapping[str, Any]) -> Reading:
    body = as_mapping(data.get("_source"))
    event = as_mapping(body.get("event"))
    name = as_text(event.get("type")) or ""
    provider = as_text(as_mapping(body.get("authentication")).get("credential_provider")) or ""
    targets = [as_mapping(item) for item in as_list(body.get("target"))]
    door = next((as_text(item.get("id")) for item in targets if item.get("type") == "door"), None)
    when = time_ms(event.get("published"))
    source = door or "unifi"
    if name == "access.door.unlock":
        if provider.startswith("BUTTON_DOOR"):
            return read(source, Kind.CALL, "doorbell button", occurred_ms=when)
        actor = as_text(as_mapping(body.get("actor")).get("id"))
        kind = _granted(as_text(event.get("result")) or "")
        return read(
            source, kind, f"result {as_text(event.get('result')) or '?'}", occurred_ms=when,
            method=_PROVIDERS.get(provider), credential=actor,
        )  # fmt: skip
    if "dps" in name:
        said = as_open(event.get("result")) if as_open(event.get("result")) is not None else None
        words = (as_text(event.get("display_message")) or "").lower()
        if said is None and ("open" in words or "close" in words):
            said = "open" in words
        return _position(source, said, when)
    return read(source, Kind.UNKNOWN, f"log of {name[:40]}", occurred_ms=when)


def _position(source: str, said: bool | None, when: int | None) -> Reading:
    if said is None:
        return read(
            source, Kind.DOOR_STATE_UNKNOWN, "a position that is neither open nor closed", occurred_ms=when
        )
    kind = Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED
    return read(
        source, kind, "change of the door position", nature=Nature.EDGE, opening=said, occurred_ms=when
    )


def _unifi(obj: Mapping[str, Any]) -> list[Reading]:
    name = as_text(obj.get("event")) or ""
    data = as_mapping(obj.get("data"))
    if name == "access.logs.add":
        return [_unifi_log(data)]
    location, device = as_mapping(data.get("location")), as_mapping(data.get("device"))
    source = (
        as_text(location.get("id")) or as_text(device.get("location_id")) or as_text(data.get("unique_id"))
        or as_text(data.get("id")) or as_text(obj.get("event_object_id")) or "unifi"
    )  # fmt: skip
    aliases = tuple(
        text
        for text in (
            as_text(device.get("id")),
            as_text(obj.get("event_object_id")),
            as_text(location.get("name")),
        )
        if text
    )
    when = time_ms(obj.get("timestamp")) or time_ms(data.get("timestamp"))
    inner = as_mapping(data.get("object"))
    if name == "access.device.dps_status":
        return [replace(_position(source, as_open(inner.get("status")), when), aliases=aliases)]
    if name in ("access.door.unlock", "access.door.lock"):
        return [_unifi_unlock(name, source, aliases, inner, data, when)]
    state = as_mapping(data.get("state"))
    if state or "location_states" in data:
        return _unifi_states(data, source, aliases)
    kind = _UNIFI.get(name, Kind.TELEMETRY if name.startswith("access.data") else Kind.UNKNOWN)
    return [
        read(
            source,
            kind,
            name[:60],
            aliases=aliases,
            occurred_ms=when,
            nature=Nature.EDGE if kind is Kind.DOOR_UNLOCKED else None,
        )
    ]


def _unifi_unlock(
    name: str,
    source: str,
    aliases: tuple[str, ...],
    inner: Mapping[str, Any],
    data: Mapping[str, Any],
    when: int | None,
) -> Reading:
    if name == "access.door.lock":
        return read(source, Kind.DOOR_LOCKED, name, aliases=aliases, occurred_ms=when)
    result = as_text(inner.get("result"))
    kind = Kind.DOOR_UNLOCKED if result is None else _granted(result)
    actor = as_text(as_mapping(data.get("actor")).get("id"))
    provider = as_text(inner.get("authentication_type")) or ""
    return read(
        source, kind, f"result {result or 'not told'}", aliases=aliases, occurred_ms=when, credential=actor,
        method=_PROVIDERS.get(provider.upper()),
    )  # fmt: skip


def _unifi_states(data: Mapping[str, Any], source: str, aliases: tuple[str, ...]) -> list[Reading]:
    """Read current values: the position and the lock of one or several places."""
    states = [as_mapping(item) for item in as_list(data.get("location_states"))] or [
        as_mapping(data.get("state"))
    ]
    found: list[Reading] = []
    for state in states:
        place = as_text(state.get("location_id")) or source
        said = as_open(state.get("dps"))
        if said is not None:
            kind = Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED
            found.append(read(place, kind, "current position", aliases=aliases))
        lock = (as_text(state.get("lock")) or "").lower()
        if lock in ("locked", "lock", "unlocked", "unlock"):
            kind = Kind.DOOR_LOCKED if lock.startswith("lock") else Kind.DOOR_UNLOCKED
            found.append(read(place, kind, "current lock", aliases=aliases))
    return found or [read(source, Kind.TELEMETRY, "values", aliases=aliases)]


def _ezviz(obj: Mapping[str, Any]) -> list[Reading]:
    header, body = as_mapping(obj.get("header")), as_mapping(obj.get("body"))
    source = as_text(header.get("deviceId")) or as_text(body.get("devSerial")) or "ezviz"
    when = time_ms(header.get("messageTime")) or time_ms(body.get("alarmTime"))
    name = as_text(header.get("type")) or ""
    if "onoffline" in name:
        word = (as_text(body.get("msgType")) or "").upper()
        kind = {"ONLINE": Kind.DEVICE_ONLINE, "OFFLINE": Kind.DEVICE_OFFLINE}.get(word, Kind.UNKNOWN)
        return [read(source, kind, f"{word[:20]}", occurred_ms=when, heard=False)]
    return [_ezviz_alarm(source, as_text(body.get("alarmType")) or "", when)]


def _ezviz_alarm(source: str, word: str, when: int | None) -> Reading:
    lowered = word.lower()
    for marks, kind in _EZVIZ:
        if any(mark == lowered or (not mark.isdigit() and mark in lowered) for mark in marks):
            reading = read(source, kind, f"alarm type {word[:30]}", nature=Nature.EDGE, occurred_ms=when)
            return replace(reading, opening=True) if kind is Kind.DOOR_OPEN else reading
    return read(source, Kind.UNKNOWN, f"alarm type {word[:30]} of no known meaning", occurred_ms=when)


_ALERTS: tuple[tuple[tuple[str, ...], Kind], ...] = (
    (("ring", "doorbell", "calling"), Kind.CALL),
    (("low battery", "battery low", "battery is low"), Kind.BATTERY_LOW),
    (("tamper", "pry"), Kind.TAMPER),
    (("unlocked", "opened the door", "door is unlocked"), Kind.ACCESS_GRANTED),
    (("smoke",), Kind.SMOKE),
    (("water",), Kind.WATER_LEAK),
    (("motion", "human", "person", "pir"), Kind.MOTION),
)


def _ezviz_push(obj: Mapping[str, Any]) -> list[Reading] | None:
    """Read the push form: a text for people, and comma-separated fields (channel, time, serial, …)."""
    fields = (as_text(obj.get("ext")) or "").split(",")
    alert = (as_text(obj.get("alert")) or "").lower()
    if len(fields) < 5 or "alert" not in obj:
        return None
    source = fields[2].strip() or "ezviz"
    for marks, kind in _ALERTS:
        if any(mark in alert for mark in marks):
            return [read(source, kind, "alert text", nature=Nature.EDGE)]
    return [read(source, Kind.UNKNOWN, "an alert of no known meaning")]


def _community(obj: Mapping[str, Any]) -> list[Reading]:
    method = _OPEN_TYPES.get(as_text(obj.get("openType")) or "")
    result = as_text(obj.get("openResult"))
    refused = result is not None and result.lower() in ("0", "false", "fail", "失败", "2")
    kind = Kind.ACCESS_DENIED if refused else Kind.ACCESS_GRANTED
    source = (
        as_text(obj.get("deviceNo") or obj.get("deviceId") or obj.get("doorId") or obj.get("spaceCode"))
        or "feed"
    )
    direction = {"1": "in", "2": "out", "进": "in", "出": "out", "in": "in", "out": "out"}.get(
        as_text(obj.get("inOutType")) or ""
    )
    reading = read(
        source, kind, f"openType {as_text(obj.get('openType')) or '?'}", method=method, direction=direction,
        occurred_ms=time_ms(obj.get("openTime")), credential=as_text(obj.get("cardNo") or obj.get("personId")),
    )  # fmt: skip
    return [replace(reading, event_type=EventType.EXIT) if method == "exit_button" else reading]


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a webhook or a feed record; None where it is none of these."""
    obj = frame.obj
    if (as_text(obj.get("event")) or "").startswith("access."):
        return _unifi(obj)
    if (as_text(as_mapping(obj.get("header")).get("type")) or "").startswith("ys."):
        return _ezviz(obj)
    pushed = _ezviz_push(obj) if "ext" in obj else None
    if pushed is not None:
        return pushed
    if "alarmType" in obj and ("devSerial" in obj or "deviceSerial" in obj):
        source = as_text(obj.get("devSerial") or obj.get("deviceSerial")) or "ezviz"
        return [_ezviz_alarm(source, as_text(obj["alarmType"]) or "", time_ms(obj.get("alarmTime")))]
    if "openType" in obj and ("openTime" in obj or "inOutType" in obj):
        return _community(obj)
    if as_int(obj.get("openType")) is not None and "openResult" in obj:
        return _community(obj)
    return None
