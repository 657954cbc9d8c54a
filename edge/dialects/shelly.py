"""Shelly: Gen1 topics, Gen2+ RPC notifications and their BLU sensors enter, readings leave; pure.

Gen1 sends one message per field without a time, and its battery sensors sleep between events: a single field says
nothing about an opening. Gen2+ sends ``NotifyStatus``/``NotifyFullStatus`` (states) and ``NotifyEvent`` (events)
with ``ts`` in Unix seconds, which before the first time synchronisation is null or far in the past.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects import bthome
from edge.dialects.frame import Frame
from edge.dialects.values import (
    as_bool,
    as_float,
    as_int,
    as_list,
    as_mapping,
    as_open,
    as_text,
    epoch_ms,
    parse_hex,
)
from edge.reading import Kind, Nature, Reading, read

_PUSHES = frozenset(
    {
        "btn_down", "btn_up", "single_push", "double_push", "triple_push", "long_push", "very_long_push",
        "push", "longpush", "double", "triple", "long_double_push", "long_triple_push", "hold",
    }
)  # fmt: skip
_GAS_ALARMS = ("mild", "heavy")
_GEN1_VALUES = frozenset(
    {
        "battery", "charger", "tilt", "lux", "illumination", "illuminance", "temperature", "humidity", "act_reasons",
        "error", "ext_power", "voltage", "power", "energy", "temp", "info", "settings", "announce", "overtemperature",
    }
)  # fmt: skip


def _gen1_fields(obj: Mapping[str, Any], source: str) -> list[Reading]:
    """Read the JSON status of a Gen1 sensor (``status`` or ``info``)."""
    found: list[Reading] = []
    sensor = as_mapping(obj.get("sensor")) or obj
    said = as_open(sensor.get("state"))
    if said is not None:
        found.append(read(source, Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED, "sensor state"))
    motion = as_bool(sensor.get("motion"))
    if motion is not None:
        found.append(read(source, Kind.MOTION if motion else Kind.NO_MOTION, "sensor motion"))
    if as_bool(sensor.get("vibration")):
        found.append(read(source, Kind.VIBRATION, "sensor vibration"))
    when = epoch_ms(sensor.get("timestamp"))
    found = found or [read(source, Kind.TELEMETRY, "status values")]
    return [replace(reading, occurred_ms=when) for reading in found]


def _gen1_input(source: str, frame: Frame) -> Reading:
    event = as_text(frame.obj.get("event"))
    if frame.obj:
        return read(source, Kind.BUTTON if event else Kind.NONE, f"input event {event or 'none'}")
    why = "whether this input is a door is set in the device table"
    return read(source, Kind.DOOR_STATE_UNKNOWN, why, raw=frame.word.upper())


def _gen1_flag(source: str, name: str, word: str) -> Reading:
    on = word in _GAS_ALARMS if name == "gas" and word in ("none", *_GAS_ALARMS) else as_bool(word)
    if name == "state":
        said = as_open(word)
        if said is None:
            return read(source, Kind.DOOR_STATE_UNKNOWN, f"sensor state {word[:20]}", raw=word.upper())
        return read(source, Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED, "sensor state")
    kinds = {
        "motion": (Kind.MOTION, Kind.NO_MOTION), "vibration": (Kind.VIBRATION, Kind.TELEMETRY),
        "flood": (Kind.WATER_LEAK, Kind.WATER_OK), "smoke": (Kind.SMOKE, Kind.SMOKE_OK),
        "gas": (Kind.ALARM, Kind.ALARM_END), "active": (Kind.TELEMETRY, Kind.TELEMETRY),
        "tamper": (Kind.TAMPER, Kind.TELEMETRY), "bat_low": (Kind.BATTERY_LOW, Kind.TELEMETRY),
    }  # fmt: skip
    if name in kinds and on is not None:
        return read(source, kinds[name][0] if on else kinds[name][1], f"sensor {name} {word[:10]}")
    return read(source, Kind.TELEMETRY, f"sensor {name}")


def _gen1(frame: Frame) -> list[Reading]:
    parts = frame.parts
    if len(parts) < 3:
        kind = Kind.PROVISIONING if parts[-1] == "announce" else Kind.NONE
        return [read(frame.topic, kind, "a message to or of all devices", heard=kind is Kind.PROVISIONING)]
    source = "/".join(parts[:2])
    name = parts[-1]
    if name == "online":
        up = as_bool(frame.word)
        kind = Kind.UNKNOWN if up is None else Kind.DEVICE_ONLINE if up else Kind.DEVICE_OFFLINE
        return [_silent(read(source, kind, f"retained {frame.word[:10]}", heard=False))]
    if name == "announce":
        return [_silent(read(source, Kind.PROVISIONING, "announce"))]
    if parts[-1] == "command":
        return [read(source, Kind.NONE, "a command to the device", heard=False)]
    if name in ("status", "info") and frame.obj:
        return [_silent(reading) for reading in _gen1_fields(frame.obj, source)]
    if parts[2] == "input_event" or (len(parts) > 3 and parts[-2] == "input_event"):
        return [_silent(_gen1_input(f"{source}/input", frame))]
    if parts[2] == "longpush" or "longpush" in parts:
        return [_silent(read(source, Kind.BUTTON, "longpush"))]
    if parts[2] == "input" and len(parts) == 4:
        return [_silent(_gen1_input(f"{source}/input/{name}", frame))]
    if parts[2] == "sensor" and name not in _GEN1_VALUES:
        return [_silent(_gen1_flag(source, name, frame.word))]
    return [_silent(read(source, Kind.TELEMETRY, f"value {name[:20]}"))]


def _silent(reading: Reading) -> Reading:
    return replace(reading, opening=None)


def _event(source: str, item: Mapping[str, Any], default_ms: int | None) -> Reading:
    component = as_text(item.get("component")) or ""
    name = as_text(item.get("event")) or ""
    when = epoch_ms(item.get("ts")) or default_ms
    where = f"{source}/{component}"
    if name in _PUSHES or (component.startswith(("input", "bthomedevice", "button")) and "push" in name):
        return read(where, Kind.BUTTON, f"{component} {name}", occurred_ms=when, aliases=(source,))
    if name in (
        "config_changed",
        "component_added",
        "component_removed",
        "ota_begin",
        "ota_progress",
        "ota_success",
    ):
        return read(source, Kind.CONFIG, name, occurred_ms=when)
    if name in ("sleep", "scheduled_restart"):
        return read(source, Kind.NONE, name, occurred_ms=when)
    if name == "motion" or name.endswith("_motion"):
        return read(where, Kind.MOTION, name, occurred_ms=when, nature=Nature.EDGE, aliases=(source,))
    return read(
        where, Kind.UNKNOWN, f"event {name[:30]} of no known meaning", occurred_ms=when, aliases=(source,)
    )


def _ble_event(source: str, item: Mapping[str, Any], when: int | None) -> list[Reading] | None:
    """Read the event that the BLU gateway script emits: the advertisement's values as its data."""
    data = as_mapping(item.get("data"))
    if not data or as_text(item.get("event")) not in (
        "shelly-blu",
        "shelly_blu",
        "bthome",
        "ble.scan_result",
    ):
        return None
    return _ble_values(data, source, when)


def _ble_values(data: Mapping[str, Any], source: str, when: int | None) -> list[Reading]:
    """Read what a gateway made of a BLU advertisement, by the names of its scripts."""
    address = (as_text(data.get("address")) or as_text(data.get("addr")) or source).lower()
    names = dict(data)
    if "window" in names:
        names["open"] = bool(as_int(names.pop("window")))
    return [
        replace(reading, occurred_ms=when)
        for reading in bthome.decode_object(names, address, aliases=(source,))
    ]


def _component_facts(name: str, values: Mapping[str, Any]) -> tuple[Kind, str, str | None]:
    component = name.partition(":")[0]
    if component == "input":
        state = values.get("state")
        if isinstance(state, bool):
            return (
                Kind.DOOR_STATE_UNKNOWN,
                "whether this input is a door is set in the device table",
                str(state).upper(),
            )
        return Kind.TELEMETRY, "input without a state", None
    if component in ("flood", "smoke", "presence", "motion", "occupancy"):
        alarm = as_bool(values.get("alarm", values.get("motion", values.get("value", values.get("state")))))
        kinds = {
            "flood": (Kind.WATER_LEAK, Kind.WATER_OK), "smoke": (Kind.SMOKE, Kind.SMOKE_OK),
            "presence": (Kind.OCCUPIED, Kind.VACANT), "occupancy": (Kind.OCCUPIED, Kind.VACANT),
            "motion": (Kind.MOTION, Kind.NO_MOTION),
        }[component]  # fmt: skip
        if alarm is not None:
            return (kinds[0] if alarm else kinds[1]), f"{component} {alarm}", None
    if component == "bthomesensor" and isinstance(values.get("value"), bool):
        why = "which BLU value this is, is set in the device table"
        return Kind.DOOR_STATE_UNKNOWN, why, str(values["value"]).upper()
    return Kind.TELEMETRY, f"status of {component[:20]}", None


def _status(source: str, params: Mapping[str, Any]) -> list[Reading]:
    when = epoch_ms(params.get("ts"))
    readings = []
    for name, inner in params.items():
        values = as_mapping(inner)
        if not values or name == "ts":
            continue
        kind, why, raw = _component_facts(name, values)
        battery = as_float(as_mapping(values.get("battery")).get("percent"))
        readings.append(
            read(
                f"{source}/{name}", kind, why, raw=raw, occurred_ms=when, aliases=(source,),
                battery_percent=battery if battery is not None else as_float(values.get("battery")),
            )
        )  # fmt: skip
    return readings or [read(source, Kind.TELEMETRY, "status", occurred_ms=when)]


def _rpc(frame: Frame) -> list[Reading]:
    obj = frame.obj
    source = as_text(obj.get("src")) or frame.parts[0]
    params = as_mapping(obj.get("params"))
    method = as_text(obj.get("method")) or ""
    if method == "NotifyEvent":
        when = epoch_ms(params.get("ts"))
        readings: list[Reading] = []
        for item in as_list(params.get("events"))[:64]:
            values = as_mapping(item)
            readings += _ble_event(source, values, when) or [_event(source, values, when)]
        return readings or [read(source, Kind.NONE, "no events")]
    if method in ("NotifyStatus", "NotifyFullStatus"):
        return _status(source, params)
    if "result" in obj or "error" in obj:
        return [read(source, Kind.NONE, "answer to a request")]
    return [read(source, Kind.NONE if method else Kind.UNKNOWN, f"method {method[:30]}")]


def _gen2_topic(frame: Frame) -> list[Reading]:
    node, component = frame.parts[0], frame.parts[-1]
    if frame.obj:
        return _status(node, {component: frame.obj})
    return [read(f"{node}/{component}", Kind.UNKNOWN, "no object")]


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a Shelly frame; None where it is none."""
    parts, obj = frame.parts, frame.obj
    if "BTHome_version" in obj and ("address" in obj or "addr" in obj):
        # A script of the gateway publishes the values themselves, on a topic of its writer's choice.
        return _ble_values(obj, frame.topic, None)
    if parts and parts[0] == "shellies":
        return _gen1(frame)
    emitted = _ble_event(frame.topic, obj, epoch_ms(obj.get("ts")))
    if emitted is not None:
        return emitted
    method = as_text(frame.obj.get("method")) or ""
    if method.startswith("Notify") and "params" in frame.obj:
        return _rpc(frame)
    if len(parts) >= 2 and parts[0].startswith("shelly"):
        if parts[-1] == "rpc":
            return _rpc(frame)
        if parts[-1] == "online":
            kind = Kind.DEVICE_ONLINE if frame.word == "true" else Kind.DEVICE_OFFLINE
            return [read(parts[0], kind, f"retained {frame.word[:10]}", heard=False)]
        if parts[1] == "status":
            return _gen2_topic(frame)
        data = parse_hex(frame.obj.get("service_data"))
        if data is not None:
            return bthome.decode_service_data(data, (as_text(frame.obj.get("mac")) or parts[0]).lower())
        return [read(parts[0], Kind.UNKNOWN, "a topic of no known meaning")]
    return None
