"""LoRaWAN application payloads: vendor, model, port and bytes enter, readings leave; pure.

Each maker's bytes are decoded here by its own published table. A model that nobody wrote down gives "unknown", and
where a network server already decoded the bytes, its names are read instead (see ``lns``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edge.dialects import (
    adeunis,
    browan,
    dragino,
    mclimate,
    milesight,
    netvox,
    strips,
    tektelic,
    vega,
    watteco,
    yobiiq,
)
from edge.dialects.flags import word_of
from edge.dialects.values import as_int, as_text, parse_hex
from edge.reading import Kind, Reading, read

Codec = Callable[[str, int | None, bytes, str], list[Reading]]

#: Elsys type -> length of its value.
_ELSYS = {
    0x01: 2, 0x02: 1, 0x03: 3, 0x04: 2, 0x05: 1, 0x06: 2, 0x07: 2, 0x08: 2, 0x09: 6, 0x0A: 2, 0x0B: 4, 0x0C: 2,
    0x0D: 1, 0x0E: 2, 0x0F: 1, 0x10: 4, 0x11: 1, 0x12: 1, 0x13: 65, 0x14: 4, 0x15: 2, 0x16: 2, 0x17: 4, 0x18: 2,
    0x19: 2, 0x1A: 1, 0x1B: 4, 0x1C: 2, 0x3D: 4,
}  # fmt: skip
#: Cayenne LPP type -> length of its value.
_CAYENNE = {
    0x00: 1, 0x01: 1, 0x02: 2, 0x03: 2, 0x64: 4, 0x65: 2, 0x66: 1, 0x67: 2, 0x68: 1, 0x71: 6, 0x73: 2, 0x74: 2,
    0x75: 2, 0x76: 4, 0x78: 1, 0x79: 2, 0x7D: 2, 0x80: 2, 0x82: 4, 0x83: 4, 0x84: 2, 0x85: 4, 0x86: 6, 0x87: 3,
    0x88: 9, 0x8E: 1,
}  # fmt: skip


def _elsys_kind(form: int, value: bytes) -> tuple[Kind, str]:
    if form == 0x11:
        return (Kind.OCCUPIED if value[0] == 2 else Kind.VACANT), f"occupancy {value[0]}"
    if form == 0x05:
        return (Kind.MOTION if value[0] else Kind.NO_MOTION), f"motion count {value[0]}"
    if form == 0x12:
        return (Kind.WATER_LEAK if value[0] else Kind.WATER_OK), f"water {value[0]}"
    if form in (0x0D, 0x1A):
        return Kind.DOOR_STATE_UNKNOWN, "a digital input whose polarity is set in the device table"
    return Kind.TELEMETRY, f"type {form:#04x}"


def _elsys(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    readings: list[Reading] = []
    place = 0
    while place < len(data):
        form = data[place]
        if form == 0x3E:
            readings.append(read(source, Kind.CONFIG, "settings"))
            break
        length = _ELSYS.get(form & 0x3F)
        value = data[place + 1 : place + 1 + (length or 0)]
        if length is None or len(value) < length:
            break
        kind, why = _elsys_kind(form & 0x3F, value)
        readings.append(read(source, kind, why, raw=word_of(kind, value[0])))
        place += 1 + length
    return readings or [read(source, Kind.UNKNOWN, "no value that is known")]


def _cayenne(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    readings: list[Reading] = []
    place = 0
    while place + 2 <= len(data):
        form = data[place + 1]
        length = _CAYENNE.get(form)
        value = data[place + 2 : place + 2 + (length or 0)]
        if length is None or len(value) < length:
            break
        if form == 0x66:
            readings.append(read(source, Kind.OCCUPIED if value[0] else Kind.VACANT, "presence"))
        elif form == 0x00:
            raw = "ON" if value[0] else "OFF"
            readings.append(read(source, Kind.DOOR_STATE_UNKNOWN, "a digital input", raw=raw))
        else:
            readings.append(read(source, Kind.TELEMETRY, f"type {form:#04x}"))
        place += 2 + length
    return readings if readings and place == len(data) else [read(source, Kind.UNKNOWN, "not Cayenne LPP")]


_RADIO_BRIDGE = {
    0x00: Kind.DEVICE_BOOT, 0x01: Kind.HEARTBEAT, 0x02: Kind.TAMPER, 0x09: Kind.TELEMETRY, 0x0A: Kind.ALARM,
    0x0D: Kind.TELEMETRY, 0x0F: Kind.TELEMETRY, 0x10: Kind.TELEMETRY, 0x11: Kind.TELEMETRY, 0x13: Kind.TELEMETRY,
    0x14: Kind.TELEMETRY, 0x15: Kind.TELEMETRY, 0x16: Kind.TELEMETRY, 0x18: Kind.TELEMETRY, 0x19: Kind.TELEMETRY,
    0x1A: Kind.TELEMETRY, 0xFC: Kind.CONFIG, 0xFF: Kind.CONFIG, 0xFB: Kind.CONFIG, 0xFD: Kind.CONFIG,
}  # fmt: skip


def _radio_bridge(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    """Decode a Radio Bridge frame: protocol and counter, event type, event data."""
    if len(data) < 3:
        return [read(source, Kind.UNKNOWN, "a frame cut short")]
    form, value = data[1], data[2]
    if form == 0x03 and value in (0, 1):
        return [read(source, Kind.DOOR_OPEN if value else Kind.DOOR_CLOSED, f"door event {value}")]
    if form == 0x07 and value in (0, 1):
        return [read(source, Kind.DOOR_STATE_UNKNOWN, "a dry contact", raw="ON" if value else "OFF")]
    if form == 0x08 and value in (0, 1):
        return [read(source, Kind.WATER_OK if value else Kind.WATER_LEAK, f"water event {value}")]
    if form == 0x06:
        return [read(source, Kind.BUTTON, "button event")]
    if form == 0x02:
        return [read(source, Kind.ALARM_END if value else Kind.TAMPER, f"tamper event {value}")]
    if form == 0x0E:
        return [read(source, Kind.TELEMETRY if value else Kind.VIBRATION, f"movement event {value}")]
    readings = [read(source, _RADIO_BRIDGE.get(form, Kind.UNKNOWN), f"event type {form:#04x}")]
    if form == 0x01 and value & 0x02:
        readings.append(read(source, Kind.BATTERY_LOW, "battery bit of the supervisory message"))
    return readings


_CODECS: tuple[tuple[str, Codec], ...] = (
    ("milesight", milesight.decode),
    ("ursalink", milesight.decode),
    ("dragino", dragino.decode),
    ("browan", browan.decode),
    ("merryiot", browan.decode),
    ("elsys", _elsys),
    ("radiobridge", _radio_bridge),
    ("netvox", netvox.decode),
    ("sensative", strips.decode),
    ("tektelic", tektelic.decode),
    ("mclimate", mclimate.decode),
    ("adeunis", adeunis.decode),
    ("yobiiq", yobiiq.decode),
    ("vega", vega.decode),
    ("watteco", watteco.decode),
    ("nke", watteco.decode),
    ("cayenne", _cayenne),
    ("rak", _cayenne),
    ("seeed", _cayenne),
)

#: Model prefix -> vendor, where only a model is known.
_VENDORS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (
            "WS",
            "EM300",
            "EM310",
            "EM320",
            "EM400",
            "EM500",
            "VS",
            "UC",
            "TS30",
            "AT101",
            "GS101",
            "AM1",
            "AM3",
        ),
        "milesight",
    ),
    (("LDS", "LWL", "DS03", "WL03", "LHT65", "CPL", "PB01", "SDS"), "dragino"),
    (("TB", "DW10", "MS10", "CD10"), "browan"),
    (("RBS",), "radiobridge"),
    (("R311", "R718", "R730", "R313", "RA02", "RB02", "RB11", "R312"), "netvox"),
    (("ERS", "EMS", "ELT"), "elsys"),
    (("STRIPS",), "sensative"),
    (("SI-11", "SI-12", "SI-21", "MS0101", "SMART-MS0101"), "vega"),
    (("CLOS'O", "SENSO-DOOR"), "watteco"),
)


def _codec(vendor: str, model: str) -> Codec | None:
    maker = vendor.lower().replace(" ", "").replace("-", "").replace("_", "")
    for name, codec in _CODECS:
        if name in maker:
            return codec
    for prefixes, name in _VENDORS:
        if not maker and model.upper().startswith(prefixes):
            return next(codec for known, codec in _CODECS if known == name)
    return None


def decode_uplink(vendor: str, model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    """Decode the bytes of one uplink by its maker's table; an unknown maker or model gives ``unknown``."""
    codec = _codec(vendor, model)
    if codec is None:
        return [read(source, Kind.UNKNOWN, "no table for this maker")]
    return codec(model, port, data, source)


def is_known(vendor: str, model: str) -> bool:
    """Say whether there is a table for this maker and model name."""
    return _codec(vendor, model) is not None


def decode_vector(obj: Mapping[str, Any]) -> list[Reading]:
    """Decode a codec vector: vendor, model, port and bytes as hex in one object."""
    vendor, model = as_text(obj.get("vendor")) or "", as_text(obj.get("model")) or ""
    data = parse_hex(obj.get("bytes"))
    source = f"{vendor}/{model}"
    if data is None:
        return [read(source, Kind.UNKNOWN, "bytes that are no hex")]
    return decode_uplink(vendor, model, as_int(obj.get("fPort", obj.get("f_port"))), data, source)
