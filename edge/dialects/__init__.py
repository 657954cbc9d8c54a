"""Dialects of foreign devices: topic and payload enter, readings leave; pure, and no input makes it fail.

One file per family; each says None for a frame that is not its own. A device table may name the dialect, else the
first that knows the frame takes it, the most particular families first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from edge.dialects import (
    aqara,
    biostar,
    buses,
    cloud_access,
    dahua,
    domoticz,
    door_stations,
    esphome,
    hikvision,
    homeassistant,
    intercom_2n,
    lns,
    lorawan,
    named_values,
    nuki,
    onvif,
    panels,
    phrases,
    platforms,
    rf433,
    shelly,
    sparkplug,
    tasmota,
    theengs,
    thing_models,
    transceivers,
    ttlock,
    tuya,
    zigbee2mqtt,
    zkteco,
    zwavejs,
)
from edge.dialects.fields import OPEN_FIELDS, field_time_ms, readings_of_fields, spread
from edge.dialects.frame import Frame, make_frame
from edge.dialects.values import (
    NOT_THE_DOOR,
    as_bool,
    as_list,
    as_mapping,
    as_open,
    as_text,
    is_named_after,
    parse_json,
    words_of,
)
from edge.reading import Kind, Reading, Verdict, read, summarise

Dialect = Callable[[Frame], "list[Reading] | None"]

DIALECTS: dict[str, Dialect] = {
    "sparkplug": sparkplug.decode,
    "onvif": onvif.decode,
    "hikvision": hikvision.decode,
    "dahua": dahua.decode,
    "zkteco": zkteco.decode,
    "access": cloud_access.decode,
    "ttlock": ttlock.decode,
    "biostar": biostar.decode,
    "2n": intercom_2n.decode,
    "panel": panels.decode,
    "esprfid": door_stations.decode_esprfid,
    "akuvox": door_stations.decode_akuvox,
    "lns": lns.decode,
    "theengs": theengs.decode,
    "shelly": shelly.decode,
    "tasmota": tasmota.decode,
    "rf433": rf433.decode,
    "tuya": tuya.decode,
    "thing": thing_models.decode,
    "aqara": aqara.decode,
    "zwavejs": zwavejs.decode,
    "nuki": nuki.decode,
    "deconz": named_values.decode_deconz,
    "smartthings": named_values.decode_smartthings,
    "ring": named_values.decode_ring,
    "openhab": platforms.decode_openhab,
    "homekit": platforms.decode_homekit,
    "ewelink": platforms.decode_ewelink,
    "matter": buses.decode_matter,
    "zha": buses.decode_zha,
    "knx": buses.decode_knx,
    "rflink": transceivers.decode_rflink,
    "rfxcom": transceivers.decode_rfxcom,
    "wmbus": transceivers.decode_wmbus,
    "edgex": named_values.decode_edgex,
    "domoticz": domoticz.decode,
    "homeassistant": homeassistant.decode,
    "enocean": named_values.decode_enocean,
    "variables": named_values.decode_variable,
    "zigbee2mqtt": zigbee2mqtt.decode,
    "iobroker": platforms.decode_iobroker,
    "esphome": esphome.decode,
}

LINES_MAX = 100

#: Words of a topic on which "open" and "closed" speak of a door (openHAB, Homie, SmartThings and bridges like them);
#: on its last level these ask for something instead.
_DOOR_WORDS = frozenset(
    {
        "door", "doors", "frontdoor", "maindoor", "doorsensor", "window", "gate", "contact", "reed", "entrance",
        "doorsensorstate", "门", "大门", "门磁", "入户门", "防盗门", "房门",
    }
)  # fmt: skip
#: Names under which an object of nobody's family has the one value that it tells.
_VALUES = ("value", "val", "v", "state", "status")
_COMMANDS = frozenset({"set", "get", "cmd", "cmnd", "command"})

#: Frames that did not come by MQTT are put on this root by whatever received them: foreign/{dialect}/{name}.
FOREIGN_ROOT = "foreign"


def _carried(frame: Frame) -> tuple[str, Frame] | None:
    """Unwrap ``foreign/{dialect}/{name}[/…]``: the dialect it names, and the frame without the wrapping."""
    if len(frame.parts) < 3 or frame.parts[0] != FOREIGN_ROOT:
        return None
    rest = "/".join(frame.parts[2:])
    return frame.parts[1], Frame(topic=rest, parts=frame.parts[2:], text=frame.text, value=frame.value)


def _named(dialect: str, frame: Frame) -> list[Reading] | None:
    name = frame.parts[0] if frame.parts else ""
    if dialect == "hikvision":
        return hikvision.decode(frame, name)
    if dialect == "zkteco":
        return zkteco.decode(frame, name)
    known = DIALECTS.get(dialect)
    return None if known is None else known(frame)


def _is_command(frame: Frame) -> bool:
    return bool(frame.parts) and frame.parts[-1].lower() in _COMMANDS


def _fallback(frame: Frame) -> list[Reading]:
    if frame.obj and (_is_command(frame) or "method" in frame.obj):
        return [
            read(
                frame.topic,
                Kind.UNKNOWN,
                "it reads like a command to a device, not like its answer",
                heard=False,
            )
        ]
    if frame.obj:
        fields = spread(frame.obj)
        if phrases.is_of(frame.obj, _DOOR_WORDS, otherwise=NOT_THE_DOOR):
            fields.setdefault("door", fields.get("state"))
        found = readings_of_fields(
            fields, frame.topic, contact_true_is_closed=None, occurred_ms=field_time_ms(fields)
        )
        if any(reading.kind is not Kind.TELEMETRY for reading in found):
            return found
        said_so = phrases.readings_of_phrases(frame.obj, frame.topic)
        if said_so:
            return said_so
    said = _open_by_name(frame) if as_open(frame.word) is None else as_open(frame.word)
    if (
        said is not None
        and is_named_after(words_of(frame.topic), _DOOR_WORDS, otherwise=NOT_THE_DOOR)
        and frame.parts[-1].lower() not in _COMMANDS
    ):
        kind = Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED
        return [read(frame.topic, kind, "a topic named after a door, and a word that says its state")]
    return [_unknown(frame, said)]


def _open_by_name(frame: Frame) -> bool | None:
    """Return what a truth value says on a topic whose last level is named after its true state, as ``…/hall door/open``."""
    name = frame.parts[-1].lower().replace("-", "_") if frame.parts else ""
    return as_bool(frame.word) if name in OPEN_FIELDS else None


def _unknown(frame: Frame, said: bool | None) -> Reading:
    """Say what to do about it; a state's word is kept for the device table, a text that may name somebody is not."""
    if not frame.parts or _is_command(frame):
        return read(frame.topic, Kind.UNKNOWN, "no dialect knows this message")
    value = next((frame.obj[name] for name in _VALUES if name in frame.obj), None)
    word = (
        frame.word
        if value is None
        else str(value).lower()
        if isinstance(value, bool)
        else as_text(value) or ""
    )
    said = as_open(word) if said is None else said
    if said is None and as_bool(word) is None:
        why = "no dialect knows this message: name its dialect in the device table, or let its gateway say open and closed"
        return read(frame.topic, Kind.UNKNOWN, why)
    why = "a state of nobody knows what: if it is a door, list this topic with its values for open and closed"
    return read(frame.topic, Kind.UNKNOWN, why, raw=word.upper())


def decode_frame(frame: Frame, dialect: str | None = None) -> list[Reading]:
    """Decode a frame in the named dialect, or in the first that knows it."""
    carried = _carried(frame)
    if carried is not None:
        name = carried[1].parts[0]
        return [_under_name(reading, name) for reading in _decode_as(carried[1], carried[0])]
    return _decode_as(frame, dialect)


def _under_name(reading: Reading, name: str) -> Reading:
    """Let a device also be listed under the name by which its receiver carried it."""
    door = reading.source.rpartition("/")[2]
    extra = [alias for alias in (f"{name}/{door}", name) if alias not in (reading.source, *reading.aliases)]
    return replace(reading, aliases=(*reading.aliases, *extra))


def _unwrapped(frame: Frame) -> Frame:
    """Take a message of Node-RED out of its wrapping: the topic it names, or the one it came by, and its payload."""
    if "_msgid" not in frame.obj or "payload" not in frame.obj:
        return frame
    return make_frame(as_text(frame.obj.get("topic")) or frame.topic, frame.obj["payload"])


def _decode_as(frame: Frame, dialect: str | None) -> list[Reading]:
    frame = _unwrapped(frame)
    for known in DIALECTS.values() if dialect is None else (partial(_named, dialect),):
        found = known(frame)
        if found is not None:
            break
    items = as_list(frame.value)
    if found is not None and (not items or any(reading.kind is not Kind.UNKNOWN for reading in found)):
        return found
    if 0 < len(items) <= LINES_MAX and all(as_mapping(item) for item in items):
        return [reading for item in items for reading in _decode_as(make_frame(frame.topic, item), dialect)]
    return _fallback(frame) if found is None else found


def _json_lines(frame: Frame) -> list[str]:
    """Split a payload that is several JSON objects, one per line; empty where it is none."""
    if frame.value is not None or not frame.text.lstrip().startswith("{"):
        return []
    lines = [line for line in frame.text.splitlines() if line.strip()][:LINES_MAX]
    return lines if len(lines) > 1 and all(as_mapping(parse_json(line)) for line in lines) else []


def decode(
    topic: str | None, payload: object, encoding: str | None = None, *, dialect: str | None = None
) -> list[Reading]:
    """Decode one message: ``payload`` as bytes, text or JSON value; ``encoding`` ``lorawan`` is a codec vector."""
    frame = make_frame(topic, payload)
    if encoding == "lorawan":
        return lorawan.decode_vector(frame.obj)
    lines = _json_lines(frame)
    if lines:
        return [reading for line in lines for reading in decode_frame(make_frame(topic, line), dialect)]
    return decode_frame(frame, dialect)


def interpret(topic: str | None, payload: object, encoding: str | None = None) -> Verdict:
    """Say what one message means as a whole."""
    return summarise(decode(topic, payload, encoding))
