"""Sparkplug B in its JSON view: births, deaths and data by exception enter, readings leave; pure.

Data carry only the metrics that changed. A boolean metric is an input whose meaning is configuration unless its
name says which state is true. ``is_historical`` marks values that were stored while the host was away. A birth tells
how the contacts stand, so that the next change is known for one; it is itself no opening.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import (
    OTHERWISE,
    as_bool,
    as_list,
    as_mapping,
    as_open,
    as_text,
    epoch_ms,
    is_named_after,
    words_of,
)
from edge.reading import Kind, Nature, Reading, read

_ROOT = "spBv1.0"
_METRICS_MAX = 500
_CONTACTS = (Kind.DOOR_OPEN, Kind.DOOR_CLOSED, Kind.DOOR_STATE_UNKNOWN)
#: A metric's value, as hosts name it or as the protocol's own JSON does.
_VALUES = ("value", "booleanValue", "boolean_value", "stringValue", "string_value")
_CONTROL = ("Node Control/", "Device Control/", "bdSeq", "Properties/")
#: Words of a metric name -> what true and false say.
_WORDS: tuple[tuple[frozenset[str], Kind, Kind], ...] = (
    (frozenset({"tamper"}), Kind.TAMPER, Kind.TELEMETRY),
    (frozenset({"sos", "panic", "emergency"}), Kind.SOS, Kind.NONE),
    (frozenset({"motion", "pir", "movement"}), Kind.MOTION, Kind.NO_MOTION),
    (frozenset({"occupancy", "occupied", "presence"}), Kind.OCCUPIED, Kind.VACANT),
    (frozenset({"leak", "water", "flood"}), Kind.WATER_LEAK, Kind.WATER_OK),
    (frozenset({"smoke", "fire"}), Kind.SMOKE, Kind.SMOKE_OK),
    (frozenset({"unlocked"}), Kind.DOOR_UNLOCKED, Kind.DOOR_LOCKED),
    (frozenset({"locked"}), Kind.DOOR_LOCKED, Kind.DOOR_UNLOCKED),
    (frozenset({"lowbattery", "batterylow"}), Kind.BATTERY_LOW, Kind.TELEMETRY),
)


def _metric(source: str, metric: Mapping[str, Any], default_ms: int | None) -> Reading | None:
    name = as_text(metric.get("name")) or ""
    if name.startswith(_CONTROL):
        return None
    value = next((metric[name] for name in _VALUES if name in metric), None)
    when = epoch_ms(metric.get("timestamp")) or default_ms
    past = as_bool(metric.get("is_historical", metric.get("isHistorical"))) is True
    nature = Nature.HISTORY if past else None
    kind, why, raw = _fact(name, value)
    return read(
        f"{source}/{name}" if name else source,
        kind,
        why,
        occurred_ms=when,
        nature=nature,
        raw=raw,
        aliases=(source,),
    )


def _fact(name: str, value: Any) -> tuple[Kind, str, str | None]:
    lowered = name.lower()
    said = as_open(value)
    if said is not None and any(word in lowered for word in ("door", "contact", "window", "gate", "state")):
        return (Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED), f"metric says {str(value)[:10]}", None
    if not isinstance(value, bool):
        return Kind.TELEMETRY, "a value", None
    raw = "ON" if value else "OFF"
    named = words_of(name)
    for words, yes, no in _WORDS:
        if is_named_after(named, words, otherwise=OTHERWISE):
            return (yes if value else no), f"metric named after its true state, {raw}", raw
    if {"low", "battery"} <= set(named):
        return (
            (Kind.BATTERY_LOW if value else Kind.TELEMETRY),
            f"metric named after its true state, {raw}",
            raw,
        )
    last = lowered.replace("_", " ").replace("/", " ").split()
    if last and last[-1] in ("open", "opened", "isopen"):
        return (Kind.DOOR_OPEN if value else Kind.DOOR_CLOSED), "metric named open", raw
    if last and last[-1] in ("closed", "isclosed"):
        return (Kind.DOOR_CLOSED if value else Kind.DOOR_OPEN), "metric named closed", raw
    return Kind.DOOR_STATE_UNKNOWN, "which input is a door is set in the device table", raw


def _state(frame: Frame) -> list[Reading]:
    online = as_bool(frame.obj.get("online"))
    if online is None:
        online = {"online": True, "offline": False}.get(frame.word)
    source = f"host/{frame.parts[-1]}"
    if online is None:
        return [read(source, Kind.UNKNOWN, "host state of an unknown form", heard=False)]
    kind = Kind.GATEWAY_ONLINE if online else Kind.HOST_OFFLINE
    return [read(source, kind, "state of the host application", heard=False)]


def _metrics(source: str, frame: Frame, when: int | None) -> list[Reading]:
    metrics = [as_mapping(item) for item in as_list(frame.obj.get("metrics"))[:_METRICS_MAX]]
    found = [_metric(source, metric, when) for metric in metrics]
    return [reading for reading in found if reading is not None]


def _standing(source: str, frame: Frame, when: int | None) -> list[Reading]:
    """Return how a birth says that the contacts stand: states alone, and nothing of what they are a sign of."""
    return [
        reading
        for reading in _metrics(source, frame, when)
        if reading.kind in _CONTACTS and reading.nature is Nature.STATE
    ]


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a Sparkplug message; None where it is none."""
    parts = frame.parts
    if len(parts) >= 2 and parts[0] == "STATE":
        return _state(frame)
    if not parts or parts[0] != _ROOT:
        return None
    if len(parts) >= 3 and parts[1] == "STATE":
        return _state(frame)
    if len(parts) < 4:
        return [read(frame.topic, Kind.UNKNOWN, "a topic of an unknown form", heard=False)]
    name, source = parts[2], "/".join((parts[1], *parts[3:5]))
    when = epoch_ms(frame.obj.get("timestamp"))
    if name in ("NBIRTH", "DBIRTH"):
        return [read(source, Kind.DEVICE_ONLINE, name, occurred_ms=when), *_standing(source, frame, when)]
    if name in ("NDEATH", "DDEATH"):
        return [read(source, Kind.DEVICE_OFFLINE, name, heard=False)]
    if name in ("NCMD", "DCMD"):
        return [read(source, Kind.NONE, "a command to the device", heard=False)]
    if name not in ("NDATA", "DDATA"):
        return [read(source, Kind.UNKNOWN, f"message {name[:20]}", heard=False)]
    return _metrics(source, frame, when) or [
        read(source, Kind.TELEMETRY, "no metric of its own", occurred_ms=when)
    ]
