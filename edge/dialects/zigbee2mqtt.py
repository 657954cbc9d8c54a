"""Zigbee2MQTT: its topics and JSON enter, readings leave; pure.

``contact`` is the reed's own word: true is closed, false is OPEN. Every report repeats the whole cached state, so
no single one proves an opening. An empty ``action`` trails every press of older versions, and the topic
``…/action`` repeats a press that the device's own topic already told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.fields import field_time_ms, readings_of_fields
from edge.dialects.frame import Frame
from edge.dialects.values import as_mapping, as_text
from edge.reading import ALARM, Kind, Nature, Reading, read

_ROOT = "zigbee2mqtt"
_MARKS = ("linkquality", "last_seen")
_COMMANDS = ("set", "get")
#: Types of the log lines by which older versions told what happens in the network.
_OLD_LOG = {
    "pairing": Kind.PROVISIONING,
    "device_connected": Kind.PROVISIONING,
    "device_announced": Kind.DEVICE_ONLINE,
    "device_removed": Kind.DEVICE_OFFLINE,
}


def _is_device_object(obj: Mapping[str, Any]) -> bool:
    """Recognise a Zigbee2MQTT state object under any base topic."""
    return any(mark in obj for mark in _MARKS)


def is_discovery(frame: Frame) -> bool:
    """Recognise Home Assistant MQTT discovery, which many gateways publish beside their values."""
    return (
        len(frame.parts) >= 4
        and frame.parts[-1] == "config"
        and (frame.parts[0] == "homeassistant" or "unique_id" in frame.obj)
    )


def _bridge(frame: Frame) -> list[Reading]:
    kind, why = Kind.NONE, "bridge message"
    name = frame.parts[2] if len(frame.parts) > 2 else ""
    state = (as_text(frame.obj.get("state")) or frame.word).lower()
    if name == "state":
        kind = Kind.GATEWAY_ONLINE if state == "online" else Kind.DEVICE_OFFLINE
        why = f"bridge state {state[:20]}"
    elif name == "event":
        kind, why = _bridge_event(frame.obj)
    elif name in ("devices", "info", "config", "groups", "definitions", "extensions", "converters"):
        kind, why = Kind.CONFIG, f"bridge/{name}"
    elif name == "log" and as_text(frame.obj.get("type")) in _OLD_LOG:
        kind, why = _OLD_LOG[as_text(frame.obj.get("type")) or ""], "bridge log line"
    elif name in ("logging", "log"):
        bad = as_text(frame.obj.get("level")) in ("error", "warning")
        kind, why = (Kind.ERROR if bad else Kind.NONE), "bridge log line"
    elif name == "health":
        kind, why = Kind.HEARTBEAT, "bridge health"
    return [read(f"{frame.parts[0]}/bridge", kind, why, heard=False)]


def _bridge_event(obj: Mapping[str, Any]) -> tuple[Kind, str]:
    name = as_text(obj.get("type")) or ""
    if name in ("device_joined", "device_interview"):
        return Kind.PROVISIONING, name
    if name == "device_announce":
        return Kind.DEVICE_ONLINE, name
    if name == "device_leave":
        return Kind.DEVICE_OFFLINE, name
    return Kind.NONE, "bridge event"


def _user(obj: Mapping[str, Any]) -> str | None:
    for name in ("action_user", "user", "pin_code_user"):
        user = as_text(obj.get(name))
        if user is not None and user not in ("65535", "0xffff"):
            return user
    return None


def _method(obj: Mapping[str, Any]) -> str | None:
    """Translate the operation source of a Zigbee door lock (0 keypad, 1 RF, 2 manual, 3 RFID)."""
    words = (as_text(obj.get("action_source_name")) or "").lower()
    by_word = {"keypad": "pin", "rfid": "card", "manual": "key", "rf": "phone", "fingerprintsensor": None}
    if words in by_word:
        return by_word[words]
    source = obj.get("action_source", obj.get("source"))
    if isinstance(source, bool) or not isinstance(source, int):
        return None
    return {0: "pin", 1: "phone", 2: "key", 3: "card"}.get(source)


def _availability(source: str, frame: Frame) -> list[Reading]:
    state = (as_text(frame.obj.get("state")) or frame.word).lower()
    if state not in ("online", "offline"):
        return [read(source, Kind.UNKNOWN, "availability of an unknown form", heard=False)]
    # Availability is the gateway's judgement; it also says "online" for a battery device that merely is not late.
    kind = Kind.DEVICE_ONLINE if state == "online" else Kind.DEVICE_OFFLINE
    return [read(source, kind, f"availability {state}", heard=False)]


def _device(source: str, frame: Frame) -> list[Reading]:
    obj = frame.obj
    if "click" in obj and "action" not in obj:
        # Versions before 1.22 named a press so.
        obj = {**obj, "action": obj["click"]}
    inner = as_mapping(obj.get("device"))
    aliases = tuple(
        text
        for text in (
            as_text(inner.get("ieeeAddr")), as_text(inner.get("friendlyName")), source.rpartition("/")[2],
        )
        if text
    )  # fmt: skip
    found = readings_of_fields(
        obj, source, contact_true_is_closed=True, aliases=aliases, occurred_ms=field_time_ms(obj)
    )
    if obj.get("alarm") is True and all(reading.kind is Kind.TELEMETRY for reading in found):
        found = [
            replace(
                found[0], kind=Kind.ALARM, nature=Nature.STATE, event_type=ALARM, why="a siren that sounds"
            )
        ]
    lock = {Kind.DOOR_UNLOCKED, Kind.DOOR_LOCKED}
    if not any(reading.kind in lock for reading in found):
        return found
    return [
        read(
            reading.source, reading.kind, reading.why, aliases=reading.aliases, method=_method(obj),
            credential=_user(obj), occurred_ms=reading.occurred_ms, battery_percent=reading.battery_percent,
            nature=Nature.EDGE if as_text(obj.get("action")) or "source" in obj else reading.nature,
        )
        if reading.kind in lock
        else reading
        for reading in found
    ]  # fmt: skip


def _legacy_action(frame: Frame) -> list[Reading]:
    source = "/".join(frame.parts[:-1])
    found = readings_of_fields({"action": frame.word}, source, contact_true_is_closed=True)
    # The same press is on the device's own topic: said, but not to be counted twice.
    return [
        read(source, reading.kind, f"{reading.why}, repeated on the action topic", event_type=None)
        for reading in found
    ]


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a Zigbee2MQTT frame; None where it is none."""
    parts = frame.parts
    if is_discovery(frame):
        source = as_text(frame.obj.get("state_topic")) or frame.topic
        return [read(source, Kind.PROVISIONING, "Home Assistant discovery", heard=False)]
    own = bool(parts) and parts[0] == _ROOT
    if not own and not _is_device_object(frame.obj):
        return None
    if len(parts) > 1 and parts[1] == "bridge":
        return _bridge(frame)
    if len(parts) > 2 and parts[-1] in _COMMANDS:
        return [read("/".join(parts[:-1]), Kind.NONE, "a command to the device", heard=False)]
    if len(parts) > 2 and parts[-1] == "availability":
        return _availability("/".join(parts[:-1]), frame)
    if len(parts) > 2 and parts[-1] == "action" and not frame.obj:
        return _legacy_action(frame)
    if frame.obj:
        return _device(frame.topic, frame)
    if len(parts) > 2 and (isinstance(frame.value, bool | int | float | str) or frame.word):
        return _attribute(frame)
    return [read(frame.topic, Kind.UNKNOWN, "no object")]


def _attribute(frame: Frame) -> list[Reading]:
    """Read one attribute per topic (``output: attribute``)."""
    source, name = "/".join(frame.parts[:-1]), frame.parts[-1]
    value = frame.word if frame.value is None else frame.value
    return readings_of_fields({name: value}, source, contact_true_is_closed=True)
