"""Thing models of the clouds in China (Aliyun, Huawei, China Mobile, China Telecom, Tencent, Tuya Link, JetLinks): JSON enters, readings leave; pure.

They share a shape: a device's values by the names of its product's model, each plain or with its time, upwards by MQTT
or handed on by the cloud to whoever subscribed. A model is its maker's own, so that 0 and 1 are given to the device
table; only words that say it themselves, and the codes of Tuya's standard sets, are taken as they are. Values are told
again after every connection, so none is an edge; what somebody orders a device to do tells nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from edge.dialects import tuya
from edge.dialects.fields import battery_percent, readings_of_fields
from edge.dialects.frame import Frame
from edge.dialects.values import (
    NOT_THE_DOOR,
    as_bool,
    as_list,
    as_mapping,
    as_open,
    as_text,
    is_named_after,
    plausible_ms,
    time_ms,
    words_of,
)
from edge.reading import Kind, Nature, Reading, read
from kaimen.vocabulary import EventType

_VALUES_MAX = 64
_DEVICES_MAX = 64
_DOORS = frozenset({"door", "doors", "contact", "magnet", "magnetic", "reed", "门磁", "入户门", "大门"})
#: An event of a lock by its identifier in Aliyun's standard model -> what it tells; it speaks of the lock, not of a contact.
_LOCK_EVENTS: dict[str, tuple[Kind, str | None]] = {
    "DoorOpenNotification": (Kind.DOOR_UNLOCKED, None), "RemoteUnlockNotification": (Kind.DOOR_UNLOCKED, None),
    "HijackingAlarm": (Kind.ALARM, EventType.DURESS), "TamperAlarm": (Kind.TAMPER, None),
    "LowElectricityAlarm": (Kind.BATTERY_LOW, None),
}  # fmt: skip
_LINES = {
    "online": Kind.DEVICE_ONLINE, "offline": Kind.DEVICE_OFFLINE, "1": Kind.DEVICE_ONLINE, "0": Kind.DEVICE_OFFLINE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Said:
    """What one device said in one message: values by name, or an event with its values."""

    device: str
    values: Mapping[str, Any]
    event: str = ""
    when: int | None = None
    is_history: bool = False
    is_tuya: bool = False


# --- one device's values to readings ----------------------------------------------------------------------------------


def _plain(value: Any, when: int | None) -> tuple[Any, int | None]:
    """Return a value and its time, of ``{"value": …, "time": …}`` or of the bare value."""
    inner = as_mapping(value)
    if "value" in inner:
        return inner["value"], time_ms(inner.get("time")) or when
    return value, when


def _of_value(said: _Said, name: str, given: Any, battery: float | None) -> list[Reading]:
    value, when = _plain(given, said.when)
    source, aliases = f"{said.device}/{name}", (said.device,)
    nature = Nature.HISTORY if said.is_history else None
    kind, why = tuya.fact_of(name, value) if said.is_tuya else (Kind.TELEMETRY, "")
    if kind is not Kind.TELEMETRY:
        return [
            read(source, kind, why, nature=nature, aliases=aliases, occurred_ms=when, battery_percent=battery)
        ]
    found = readings_of_fields(
        {name: value}, source, contact_true_is_closed=None, nature=nature, aliases=aliases, occurred_ms=when,
    )  # fmt: skip
    if all(reading.kind is Kind.TELEMETRY for reading in found) and _is_door(name, value):
        kind, why = _of_door(name, value)
        found = [read(source, kind, why, nature=nature, aliases=aliases, occurred_ms=when)]
    return [
        replace(
            reading,
            raw=_raw(value) if reading.kind is Kind.DOOR_STATE_UNKNOWN else reading.raw,
            battery_percent=battery,
        )
        for reading in found
    ]


def _is_door(name: str, value: Any) -> bool:
    says = as_open(value) is not None or as_bool(value) is not None
    return says and is_named_after(words_of(name), _DOORS, otherwise=NOT_THE_DOOR)


def _of_door(name: str, value: Any) -> tuple[Kind, str]:
    opened = as_open(value)
    if opened is None:
        return Kind.DOOR_STATE_UNKNOWN, f"{name[:40]}: list its values for open and closed"
    return (Kind.DOOR_OPEN if opened else Kind.DOOR_CLOSED), f"{name[:40]} says {value}"


def _raw(value: Any) -> str | None:
    said = str(value) if isinstance(value, bool) else as_text(value) or ""
    return said.upper()[:40] or None


def _readings(said: _Said) -> list[Reading]:
    if said.event:
        return [_of_event(said)]
    values = dict(list(said.values.items())[:_VALUES_MAX])
    battery = battery_percent({name: _plain(value, None)[0] for name, value in values.items()})
    found = [reading for name, value in values.items() for reading in _of_value(said, name, value, battery)]
    return found or [read(said.device, Kind.TELEMETRY, "a message without values", occurred_ms=said.when)]


def _of_event(said: _Said) -> Reading:
    source = f"{said.device}/{said.event}"
    kind, event_type = _LOCK_EVENTS.get(said.event, (Kind.UNKNOWN, None))
    if kind is Kind.UNKNOWN:
        why = f"an event {said.event[:40]} that nobody listed"
        return read(source, kind, why, aliases=(said.device,), occurred_ms=said.when)
    found = read(
        source, kind, f"event {said.event}", nature=Nature.HISTORY if said.is_history else Nature.EDGE,
        aliases=(said.device,), occurred_ms=said.when,
    )  # fmt: skip
    return found if event_type is None else replace(found, event_type=event_type)


# --- the clouds' envelopes -------------------------------------------------------------------------------------------


def _basic_ms(value: Any) -> int | None:
    """Read Huawei's ``20251212T121212Z`` besides every usual form."""
    found = time_ms(value)
    text = as_text(value) or ""
    if found is None and len(text) == 16 and text.endswith("Z"):
        try:
            at = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return None
        found = plausible_ms(at.timestamp() * 1000)
    return found


def _services(device: str, services: Iterable[Any]) -> Iterator[_Said]:
    """Huawei: a device's services, each with its properties or an event's values."""
    for item in list(services)[:_VALUES_MAX]:
        one = as_mapping(item)
        event = as_text(one.get("event_type")) or ""
        values = as_mapping(one.get("paras")) if event else as_mapping(one.get("properties"))
        yield _Said(device, values, event, _basic_ms(one.get("event_time")))


def _huawei(frame: Frame) -> list[_Said] | None:
    obj = frame.obj
    told = as_mapping(obj.get("notify_data"))
    if told:
        device = as_text(as_mapping(told.get("header")).get("device_id")) or frame.topic
        body = as_mapping(told.get("body"))
        return list(_services(device, as_list(body.get("services"))))
    if len(frame.parts) < 5 or frame.parts[:2] != ("$oc", "devices"):
        return None
    if "devices" in obj:
        items = [as_mapping(item) for item in as_list(obj["devices"])[:_DEVICES_MAX]]
        return [
            said
            for item in items
            for said in _services(
                as_text(item.get("device_id")) or frame.parts[2], as_list(item.get("services"))
            )
        ]
    device = as_text(obj.get("object_device_id")) or frame.parts[2]
    return list(_services(device, as_list(obj.get("services"))))


def _packed(identity: Mapping[str, Any], one: Mapping[str, Any], device: str) -> Iterator[_Said]:
    """A gateway's message for itself and the devices behind it: properties and events of each."""
    name = as_text(identity.get("deviceName")) or device
    yield _Said(name, as_mapping(one.get("properties")))
    for event, said in as_mapping(one.get("events")).items():
        body = as_mapping(said)
        yield _Said(name, as_mapping(body.get("value")), event, time_ms(body.get("time")))


def _history(items: Iterable[Any], device: str) -> Iterator[_Said]:
    for item in list(items)[:_DEVICES_MAX]:
        one = as_mapping(item)
        name = as_text(as_mapping(one.get("identity")).get("deviceName")) or device
        for values in as_list(one.get("properties"))[:_VALUES_MAX]:
            yield _Said(name, as_mapping(values), is_history=True)


def _upward(device: str, path: tuple[str, ...], obj: Mapping[str, Any]) -> list[_Said]:
    """What a device posted under ``thing/…`` (Aliyun, China Mobile, Tuya Link): ``path`` is what follows ``thing``."""
    when = time_ms(obj.get("time")) or time_ms(obj.get("timestamp"))
    given = obj.get("params", obj.get("data", obj.get("properties")))
    values = as_mapping(given)
    if "history" in path:
        return list(_history(as_list(given), device))
    if "pack" in path or "batch_report" in path:
        found = list(_packed({}, values, device))
        for item in as_list(values.get("subDevices"))[:_DEVICES_MAX]:
            found += _packed(as_mapping(as_mapping(item).get("identity")), as_mapping(item), device)
        return [said for said in found if said.values or said.event]
    name = as_text(values.get("eventCode"))
    if name is not None:
        return [_Said(device, as_mapping(values.get("outputParams")), name, when)]
    if path[:1] == ("event",) and path[1:2] == ("post",):
        return [
            _Said(device, as_mapping(as_mapping(body).get("value")), event, time_ms(as_mapping(body).get("time")))
            for event, body in values.items()
        ]  # fmt: skip
    if path[:1] == ("event",) and path[1:2] != ("property",):
        at = time_ms(values.get("time")) or when
        return [_Said(device, as_mapping(values.get("value")) or values, path[1], at)]
    return [_Said(device, values, when=when)]


def _device_side(frame: Frame) -> list[_Said] | None:
    """Messages as devices send them; None where the topic is of none of these clouds, empty for orders and answers."""
    parts = tuple(part for part in frame.parts if part)
    if "thing" in parts and parts[:1] in (("sys",), ("$sys",), ("tylink",)) and len(parts) >= 4:
        place = parts.index("thing")
        device, path = parts[place - 1], parts[place + 1 :]
        if path[-1:] not in (("post",), ("report",), ("trigger",), ("batch_report",)):
            return []
        found = _upward(device, path, frame.obj)
        return [replace(said, is_tuya=True) for said in found] if parts[0] == "tylink" else found
    if parts[:1] == ("$thing",) and len(parts) >= 5:
        if parts[1] != "up":
            return []
        return _tencent(parts[4], frame.obj)
    if len(parts) >= 4 and parts[-2:] == ("properties", "report") and as_mapping(frame.obj.get("properties")):
        when = time_ms(frame.obj.get("timestamp"))
        return [_Said(parts[-3], as_mapping(frame.obj["properties"]), when=when)]
    return None


def _tencent(device: str, obj: Mapping[str, Any]) -> list[_Said] | None:
    method, when = as_text(obj.get("method")) or "", time_ms(obj.get("timestamp"))
    if method in ("report", "report_info"):
        return [_Said(device, as_mapping(obj.get("params")), when=when)]
    events = as_list(obj.get("events")) if method == "events_post" else [obj]
    return [
        _Said(device, as_mapping(one.get("params")), as_text(one["eventId"]) or "event", time_ms(one.get("timestamp")))
        for one in map(as_mapping, events[:_VALUES_MAX])
        if "eventId" in one
    ]  # fmt: skip


def _handed_on(frame: Frame) -> list[_Said] | None:
    """Messages as a cloud hands them on; None where the object is none."""
    obj = frame.obj
    when = time_ms(obj.get("gmtCreate")) or time_ms(obj.get("timestamp"))
    device = as_text(obj.get("deviceName")) or as_text(obj.get("deviceId")) or as_text(obj.get("devicename"))
    if device is None:
        return None
    if "productKey" in obj and as_mapping(obj.get("items")):
        return [_Said(device, as_mapping(obj["items"]), when=when)]
    if "productKey" in obj and "identifier" in obj:
        at = time_ms(obj.get("time")) or when
        return [_Said(device, as_mapping(obj.get("value")), as_text(obj["identifier"]) or "event", at)]
    if obj.get("messageType") == "dataReport" and as_mapping(obj.get("payload")):
        return [_Said(device, as_mapping(obj["payload"]), when=when)]
    if obj.get("messageType") == "eventReport" and as_mapping(obj.get("eventContent")):
        return [_Said(device, as_mapping(obj["eventContent"]), when=when)]
    if obj.get("messageType") == "notify" and as_mapping(obj.get("data")):
        return _upward(
            device, (as_text(obj.get("notifyType")) or "property", "post"), as_mapping(obj["data"])
        )
    inner = as_mapping(obj.get("payload"))
    if "devicename" in obj and "method" in inner:
        return _tencent(device, inner)
    return None


def _line(frame: Frame) -> Reading | None:
    """Whether a device is connected, as its cloud judges it."""
    obj = frame.obj
    told = as_mapping(as_mapping(obj.get("notify_data")).get("body"))
    device = as_text(obj.get("deviceName")) or as_text(obj.get("deviceId"))
    word = None
    if obj.get("resource") == "device.status":
        header = as_mapping(as_mapping(obj.get("notify_data")).get("header"))
        device, word = as_text(header.get("device_id")), as_text(told.get("status"))
    elif obj.get("messageType") == "deviceOnlineOfflineReport":
        word = as_text(obj.get("eventType"))
    elif "productKey" in obj and "lastTime" in obj:
        word = as_text(obj.get("status"))
    kind = _LINES.get((word or "").lower())
    return (
        None if kind is None or device is None else read(device, kind, f"its cloud says {word}", heard=False)
    )


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a message of a thing model; None where it is none."""
    if not frame.obj:
        return None
    line = _line(frame)
    if line is not None:
        return [line]
    for look in (_huawei, _device_side, _handed_on):
        found = look(frame)
        if found is not None:
            return [reading for said in found for reading in _readings(said)] or [
                read(frame.topic, Kind.NONE, "an order to a device, or the answer to its word", heard=False)
            ]
    return None
