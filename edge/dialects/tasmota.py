"""Tasmota: its topics and JSON enter, readings leave; pure.

Behind a Tasmota Zigbee bridge ``Contact`` is alarm bit 0 of the IAS zone: 1 is OPEN, the reverse of Zigbee2MQTT.
``ZbReceived`` is an event of the radio, ``ZbInfo`` a dump of cached values. ``SwitchN`` of a GPIO has no polarity
of its own, and tele/… states are published retained after every wake, so they never are an edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.fields import readings_of_fields
from edge.dialects.frame import Frame, make_frame
from edge.dialects.rf433 import code_of_raw, decode_code
from edge.dialects.values import as_bool, as_float, as_int, as_mapping, as_text, epoch_ms, iso_ms
from edge.reading import Kind, Nature, Reading, read

_PREFIXES = ("tele", "stat", "cmnd")
_SUFFIXES = ("SENSOR", "RESULT", "LWT", "STATE", "INFO1", "INFO2", "INFO3")
_READERS = ("PN532", "RDM6300", "MFRC522", "RC522", "WIEGAND", "Wiegand", "RFID", "DY50", "FPR")
_PERIPHERALS = (
    "ZbReceived", "ZbInfo", "ZbState", "RfReceived", "IrReceived", "SerialReceived", "RestartReason",
    "BLE", "MI32", "MiReceived", *_READERS,
)  # fmt: skip

#: Zone types of the Zigbee IAS Zone cluster: what alarm bit 0 means.
_ZONE_KINDS: dict[int, tuple[Kind, Kind]] = {
    0x000D: (Kind.MOTION, Kind.NO_MOTION),
    0x0015: (Kind.DOOR_OPEN, Kind.DOOR_CLOSED),
    0x0016: (Kind.DOOR_OPEN, Kind.DOOR_CLOSED),
    0x0028: (Kind.SMOKE, Kind.SMOKE_OK),
    0x002A: (Kind.WATER_LEAK, Kind.WATER_OK),
    0x002B: (Kind.ALARM, Kind.ALARM_END),
    0x002C: (Kind.SOS, Kind.NONE),
    0x002D: (Kind.VIBRATION, Kind.NONE),
    0x010F: (Kind.SOS, Kind.NONE),
    0x0115: (Kind.SOS, Kind.NONE),
    0x021D: (Kind.SOS, Kind.NONE),
}
_ZONE_FIELDS: tuple[tuple[str, Kind, Kind], ...] = (
    ("Contact", Kind.DOOR_OPEN, Kind.DOOR_CLOSED),
    ("Occupancy", Kind.MOTION, Kind.NO_MOTION),
    ("Movement", Kind.MOTION, Kind.NO_MOTION),
    ("PIR", Kind.MOTION, Kind.NO_MOTION),
    ("Motion", Kind.MOTION, Kind.NO_MOTION),
    ("Fire", Kind.SMOKE, Kind.SMOKE_OK),
    ("Smoke", Kind.SMOKE, Kind.SMOKE_OK),
    ("Water", Kind.WATER_LEAK, Kind.WATER_OK),
    ("Leak", Kind.WATER_LEAK, Kind.WATER_OK),
    ("CO", Kind.ALARM, Kind.ALARM_END),
    ("PersonalAlarm", Kind.SOS, Kind.NONE),
    ("Panic", Kind.SOS, Kind.NONE),
    ("Emergency", Kind.SOS, Kind.NONE),
    ("Vibration", Kind.VIBRATION, Kind.NONE),
    ("Tamper", Kind.TAMPER, Kind.NONE),
)
_BUTTON_FIELDS = ("Click", "click", "Action", "action", "Button", "DimmerStep", "PowerToggle", "RemoteClick")
_SOS_WORDS = ("sos", "emergency", "panic")


def zone_status_kinds(status: int, zone_type: int | None) -> list[tuple[Kind, str]]:
    """Read the bits of an IAS zone status: 0 and 1 alarm, 2 tamper, 3 low battery, 8 test."""
    found: list[tuple[Kind, str]] = []
    kinds = _ZONE_KINDS.get(zone_type) if zone_type is not None else None
    if kinds is not None:
        kind = kinds[0] if status & 0x1 else kinds[1]
        if kind is Kind.SMOKE and status & 0x100:
            kind = Kind.SMOKE_TEST
        found.append((kind, f"zone type {zone_type:#x}, alarm bit {status & 1}"))
    elif zone_type is None:
        found.append((Kind.DOOR_STATE_UNKNOWN, "zone status of a zone whose type is not told"))
    if status & 0x4:
        found.append((Kind.TAMPER, "zone tamper bit"))
    if status & 0x8:
        found.append((Kind.BATTERY_LOW, "zone battery bit"))
    return found


def _zigbee_facts(values: Mapping[str, Any], *, event: bool) -> list[tuple[Kind, str]]:
    found: list[tuple[Kind, str]] = []
    for name, yes, no in _ZONE_FIELDS:
        flag = as_bool(values.get(name))
        if flag is not None and (flag or no is not Kind.NONE):
            found.append((yes if flag else no, f"{name} {int(flag)}"))
    zone_type = as_int(values.get("ZoneType"))
    status = as_int(values.get("ZoneStatusChange", values.get("ZoneStatus")))
    named = any(kind not in (Kind.TAMPER, Kind.BATTERY_LOW) for kind, _ in found)
    if status is not None and status >= 0:
        bits = zone_status_kinds(status, zone_type)
        if event:
            found += [fact for fact in bits if not (named and fact[0] is Kind.DOOR_STATE_UNKNOWN)]
        elif zone_type in (0x15, 0x16) and not named:
            found.append((Kind.DOOR_STATE_UNKNOWN, "a dump of cached values without Contact"))
    if event:
        found += _button_facts(values)
    return found


def _button_facts(values: Mapping[str, Any]) -> list[tuple[Kind, str]]:
    for name in _BUTTON_FIELDS:
        word = (as_text(values.get(name)) or "").lower()
        if word:
            sos = any(mark in word for mark in _SOS_WORDS)
            return [(Kind.SOS if sos else Kind.BUTTON, f"{name} {word[:20]}")]
    return []


def _zigbee(node: str, block: Mapping[str, Any], frame: Frame, *, event: bool) -> list[Reading]:
    readings: list[Reading] = []
    for key, inner in block.items():
        values = as_mapping(inner)
        address = as_text(values.get("Device")) or key
        name = as_text(values.get("Name")) or key
        aliases = (f"{node}/{name}", name, as_text(values.get("IEEEAddr")) or "")
        when = epoch_ms(values.get("LastSeenEpoch")) if not event else iso_ms(frame.obj.get("Time"))
        nature = Nature.EDGE if event else Nature.STATE
        battery = as_float(values.get("BatteryPercentage"))
        found = _zigbee_facts(values, event=event) or [(Kind.TELEMETRY, "values, no fact about a door")]
        for kind, why in found:
            reading = read(
                f"{node}/{address}", kind, why, aliases=aliases, occurred_ms=when, heard=event,
                nature=nature if kind is not Kind.TELEMETRY else None, battery_percent=battery,
            )  # fmt: skip
            readings.append(_claim(reading, event=event))
    return readings


def _claim(reading: Reading, *, event: bool) -> Reading:
    """A contact's own event proves an opening; a dump or a closing does not."""
    if reading.kind is Kind.DOOR_OPEN:
        return replace(reading, opening=True if event else None)
    if reading.kind is Kind.DOOR_CLOSED or (reading.kind is Kind.DOOR_STATE_UNKNOWN and not event):
        return replace(reading, opening=False)
    return reading


def _switches(node: str, frame: Frame, *, state: bool) -> list[Reading]:
    readings: list[Reading] = []
    for name, value in frame.obj.items():
        if not name.upper().startswith("SWITCH") or not (name[6:].isdigit() or len(name) == 6):
            continue
        action = as_text(as_mapping(value).get("Action")) or as_text(value)
        if action is None:
            continue
        why = "which switch is a door, and its polarity, are set in the device table"
        reading = read(
            f"{node}/{name.capitalize()}", Kind.DOOR_STATE_UNKNOWN, why, raw=action.upper(),
            nature=Nature.STATE if state else Nature.EDGE, occurred_ms=iso_ms(frame.obj.get("Time")),
        )  # fmt: skip
        readings.append(replace(reading, opening=False) if state else reading)
    return readings


def _buttons(node: str, obj: Mapping[str, Any]) -> list[Reading]:
    for name, value in obj.items():
        action = as_text(as_mapping(value).get("Action"))
        if name.startswith("Button") and action is not None:
            return [read(f"{node}/{name}", Kind.BUTTON, f"{name} {action[:20]}")]
    return []


def _cards(node: str, obj: Mapping[str, Any]) -> list[Reading]:
    for name in _READERS:
        inner = as_mapping(obj.get(name))
        card = as_text(inner.get("UID")) or as_text(inner.get("Id")) or as_text(inner.get("ID"))
        if inner:
            why = f"{name} read a credential; nothing says that a door was released"
            method = None if name == "FPR" else "card"
            return [read(f"{node}/{name}", Kind.CARD_READ, why, method=method, credential=card)]
    return []


def _lorawan(node: str, block: Mapping[str, Any], when: int | None) -> list[Reading]:
    """Read what the bridge's decoder of a LoRaWAN device made of its bytes; a device tells its state again and again."""
    readings: list[Reading] = []
    for key, inner in block.items():
        values = as_mapping(inner)
        name = as_text(values.get("Name")) or key
        found = readings_of_fields(
            values, f"{node}/{key}", contact_true_is_closed=None, aliases=(f"{node}/{name}", name), occurred_ms=when,
        )  # fmt: skip
        readings += found
    return readings


def _rf(node: str, block: Mapping[str, Any]) -> list[Reading]:
    data = as_text(block.get("Data"))
    if data is None:
        why = "a received signal without a 24-bit code: let the bridge learn it, or receive it with rtl_433"
        return [read(f"{node}/rf", Kind.UNKNOWN, why)]
    return [decode_code(node, data, as_int(block.get("RfKey")))]


def _zigbee_unwrapped(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Find devices of a Zigbee bridge that was told to leave the word ZbReceived, or the device's name, out."""
    if _is_zigbee(obj):
        return {as_text(obj.get("Device")) or "": obj}
    # An answer to a command of the bridge stands under the command's name, such as ZbBind.
    return {
        name: value
        for name, value in obj.items()
        if not name.startswith("Zb") and _is_zigbee(as_mapping(value))
    }


def _is_zigbee(values: Mapping[str, Any]) -> bool:
    return (as_text(values.get("Device")) or "").lower().startswith("0x") and not values.keys() & {
        "Cmd",
        "Data",
    }


def _object(node: str, frame: Frame, suffix: str) -> list[Reading]:
    inner = as_mapping(frame.obj.get("StatusSNS"))
    if inner:
        # An answer to "Status 8" or "Status 10" has the sensors one level down.
        return _object(node, make_frame(f"tele/{node}/SENSOR", dict(inner)), "SENSOR")
    obj = frame.obj
    for name, event in (("ZbReceived", True), ("ZbInfo", False)):
        block = as_mapping(obj.get(name))
        if block:
            return _zigbee(node, block, frame, event=event)
    block = _zigbee_unwrapped(obj)
    if block:
        return _zigbee(node, block, frame, event=True)
    if as_mapping(obj.get("LwReceived")):
        return _lorawan(node, as_mapping(obj["LwReceived"]), iso_ms(obj.get("Time")))
    if as_mapping(obj.get("RfReceived")):
        return _rf(node, as_mapping(obj["RfReceived"]))
    if as_mapping(obj.get("RfRaw")):
        return _rf(node, {"Data": code_of_raw(as_text(as_mapping(obj["RfRaw"]).get("Data")) or "")})
    for look in (_cards, _buttons):
        found = look(node, obj)
        if found:
            return found
    found = _switches(node, frame, state=suffix in ("SENSOR", "STATE") and frame.parts[0] == "tele")
    if found:
        return found
    if "RestartReason" in obj or suffix.startswith("INFO"):
        return [read(node, Kind.DEVICE_BOOT, "sent after a start")]
    if suffix == "STATE":
        return [read(node, Kind.HEARTBEAT, "periodic state")]
    if "IrReceived" in obj or "SerialReceived" in obj:
        return [read(node, Kind.UNKNOWN, "a signal of no known family")]
    if any(key.upper().startswith("POWER") for key in obj):
        return [_power(node, as_text(next(iter(obj.values()))) or "")]
    return [read(node, Kind.TELEMETRY, "values, no fact about a door")]


def _power(node: str, word: str) -> Reading:
    why = "a power state: whether it stands for a door is set in the device table"
    return read(f"{node}/POWER", Kind.DOOR_STATE_UNKNOWN, why, raw=word.upper())


def _text(node: str, frame: Frame, suffix: str) -> list[Reading] | None:
    word = frame.word
    if suffix == "LWT" and word in ("online", "offline"):
        kind = Kind.DEVICE_ONLINE if word == "online" else Kind.DEVICE_OFFLINE
        return [read(node, kind, f"retained {word}", heard=False)]
    if suffix.upper().startswith(("SWITCH", "POWER")) and word in ("on", "off", "toggle", "hold", "0", "1"):
        if suffix.upper().startswith("POWER"):
            return [_power(node, word)]
        why = "which switch is a door, and its polarity, are set in the device table"
        return [read(f"{node}/{suffix.capitalize()}", Kind.DOOR_STATE_UNKNOWN, why, raw=word.upper())]
    if frame.parts[0] != "cmnd" and suffix not in _SUFFIXES:
        # What a rule of the device published is in nobody's vocabulary but its writer's.
        return None
    return [read(node, Kind.UNKNOWN, "a text of no known meaning")]


def _place(frame: Frame) -> tuple[str, str] | None:
    """Return node and suffix of the topic layouts ``prefix/node/suffix`` and ``node/prefix/suffix``."""
    parts = frame.parts
    if len(parts) >= 3 and parts[0] in _PREFIXES:
        return "/".join(parts[1:-1]), parts[-1]
    if len(parts) >= 3 and parts[-2] in _PREFIXES:
        return "/".join(parts[:-2]), parts[-1]
    return None


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a Tasmota frame; None where it is none."""
    if frame.parts and frame.parts[:2] == ("tasmota", "discovery"):
        return [read("/".join(frame.parts[:3]), Kind.PROVISIONING, "Tasmota discovery", heard=False)]
    place = _place(frame)
    if place is None:
        if not any(name in frame.obj for name in _PERIPHERALS[:3]):
            return None
        place = (frame.topic, frame.parts[-1] if frame.parts else "")
    node, suffix = place
    if (
        frame.parts
        and frame.parts[0] == "cmnd"
        and not suffix.upper().startswith(("POWER", "SWITCH", "EVENT"))
    ):
        return [read(node, Kind.NONE, "a command to the device", heard=False)]
    return _object(node, frame, suffix) if frame.obj else _text(node, frame, suffix)
