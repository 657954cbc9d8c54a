"""Platforms that send values by names (deCONZ, EdgeX, EnOcean gateways, dashboards, SmartThings, ring-mqtt): JSON enters, readings leave; pure."""

from __future__ import annotations

from dataclasses import replace

from edge.dialects.fields import readings_of_fields
from edge.dialects.frame import Frame
from edge.dialects.values import as_bool, as_int, as_list, as_mapping, as_text, epoch_ms, iso_ms, parse_json
from edge.reading import Kind, Nature, Reading, read

_READINGS_MAX = 64


def decode_deconz(frame: Frame) -> list[Reading] | None:
    """Decode an event of deCONZ' websocket; None where it is none. Its ``open`` is true, its times are UTC."""
    obj = frame.obj
    if as_text(obj.get("r")) not in ("sensors", "lights", "groups") or "e" not in obj or "id" not in obj:
        return None
    source = as_text(obj.get("uniqueid")) or f"{as_text(obj.get('r'))}/{as_text(obj.get('id'))}"
    aliases = (f"{as_text(obj.get('r'))}/{as_text(obj.get('id'))}",)
    state = as_mapping(obj.get("state"))
    if obj.get("r") != "sensors" or not state:
        return [
            read(
                source,
                Kind.CONFIG,
                f"{as_text(obj.get('e'))} of {obj.get('r')}",
                aliases=aliases,
                heard=False,
            )
        ]
    if "buttonevent" in state:
        return [read(source, Kind.BUTTON, f"button event {as_text(state['buttonevent'])}", aliases=aliases)]
    updated = as_text(state.get("lastupdated"))
    return readings_of_fields(
        {name: value for name, value in state.items() if name != "lastupdated"}, source,
        contact_true_is_closed=None, aliases=aliases, occurred_ms=iso_ms(f"{updated}Z") if updated else None,
    )  # fmt: skip


def decode_edgex(frame: Frame) -> list[Reading] | None:
    """Decode an event of EdgeX Foundry; None where it is none. A value travels as text, its meaning by its name."""
    event = as_mapping(frame.obj.get("event")) or frame.obj
    items = [as_mapping(item) for item in as_list(event.get("readings"))[:_READINGS_MAX]]
    if not items or not all("resourceName" in item for item in items):
        return None
    source = as_text(event.get("deviceName")) or as_text(items[0].get("deviceName")) or "edgex"
    found: list[Reading] = []
    for item in items:
        name, value = as_text(item["resourceName"]) or "", item.get("value")
        plain = parse_json(value) if isinstance(value, str) and item.get("valueType") != "String" else value
        readings = readings_of_fields(
            {name: plain}, f"{source}/{name}", contact_true_is_closed=None, aliases=(source,),
            occurred_ms=epoch_ms(item.get("origin", event.get("origin"))),
        )  # fmt: skip
        raw = str(plain).upper() if isinstance(plain, bool) else None
        found += [replace(reading, raw=raw) for reading in readings]
    return found


def decode_enocean(frame: Frame) -> list[Reading] | None:
    """Decode a telegram of an EnOcean gateway; None where it is none.

    The functions of a profile come by name, or as the profile's own ``CO`` of a one-byte contact (D5-00-01), where 1 is
    closed. Which position of a window's handle is open is set in the device table. A contact repeats its state.
    """
    telegram = as_mapping(frame.obj.get("telegram"))
    items = [as_mapping(item) for item in as_list(telegram.get("functions"))[:_READINGS_MAX]]
    if items and all("key" in item for item in items):
        source = as_text(telegram.get("deviceId")) or frame.topic
        names = {as_text(item["key"]) or "": item.get("value") for item in items}
        aliases = (as_text(telegram.get("friendlyId")) or "",)
        when = iso_ms(telegram.get("timestamp"))
        return readings_of_fields(
            names, source, contact_true_is_closed=None, aliases=aliases, occurred_ms=when
        )
    sort = as_int(frame.obj.get("_RORG_"))
    contact = as_bool(as_mapping(frame.obj.get("CO")).get("raw_value", frame.obj.get("CO")))
    if sort == 0xD5 and contact is not None:
        kind = Kind.DOOR_CLOSED if contact else Kind.DOOR_OPEN
        return [read(frame.topic, kind, f"one-byte contact says {int(contact)}")]
    if sort is not None:
        handle = as_text(frame.obj.get("WIN"))
        kind = Kind.TELEMETRY if handle is None else Kind.DOOR_STATE_UNKNOWN
        return [read(frame.topic, kind, "a telegram without a contact", raw=handle)]
    return None


def decode_variable(frame: Frame) -> list[Reading] | None:
    """Decode one variable of a dashboard's list (``variable``, ``value``, ``time``); None where it is none."""
    name = as_text(frame.obj.get("variable"))
    if name is None or "value" not in frame.obj:
        return None
    source = as_text(frame.obj.get("device")) or frame.topic
    return readings_of_fields(
        {name: frame.obj["value"]}, source, contact_true_is_closed=None, occurred_ms=iso_ms(frame.obj.get("time")),
    )  # fmt: skip


def decode_smartthings(frame: Frame) -> list[Reading] | None:
    """Decode a device's event of SmartThings (``capability``, ``attribute``, ``value``); None where it is none.

    ``stateChange`` says that the value was another before, so that an opening with it is an edge.
    """
    event = as_mapping(frame.obj.get("deviceEvent")) or frame.obj
    name, value = as_text(event.get("attribute")), event.get("value")
    if name is None or "capability" not in event or value is None:
        return None
    source = as_text(event.get("deviceId")) or frame.topic
    found = readings_of_fields({name: value}, source, contact_true_is_closed=None)
    if event.get("stateChange") is not True:
        return found
    return [
        replace(reading, nature=Nature.EDGE, opening=True) if reading.kind is Kind.DOOR_OPEN else reading
        for reading in found
    ]


#: What a topic of ring-mqtt ends with before its state -> what ON and OFF say.
_RING: dict[str, tuple[Kind, Kind]] = {
    "contact": (Kind.DOOR_OPEN, Kind.DOOR_CLOSED), "motion": (Kind.MOTION, Kind.NO_MOTION), "ding": (Kind.CALL, Kind.NONE),
    "flood": (Kind.WATER_LEAK, Kind.WATER_OK), "smoke": (Kind.SMOKE, Kind.SMOKE_OK), "co": (Kind.ALARM, Kind.ALARM_END),
    "tamper": (Kind.TAMPER, Kind.TELEMETRY), "panic": (Kind.SOS, Kind.NONE),
}  # fmt: skip


def decode_ring(frame: Frame) -> list[Reading] | None:
    """Decode a state of ring-mqtt (``ring/{place}/{sort}/{device}/{what}/state``); None where it is none."""
    parts = frame.parts
    if parts[:1] != ("ring",) or len(parts) != 6 or parts[5] != "state" or parts[4] not in _RING:
        return None
    on = as_bool(frame.word)
    if on is None:
        return [read(frame.topic, Kind.UNKNOWN, "a state that is neither on nor off")]
    kind = _RING[parts[4]][0 if on else 1]
    why = f"{parts[4]} says {frame.word}"
    return [read("/".join(parts[:4]), kind, why, raw=frame.word.upper(), aliases=(frame.topic,))]
