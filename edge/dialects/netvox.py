"""Netvox LoRaWAN sensors: bytes enter, readings leave; pure.

A status report (port 6) carries the device type in byte 1, the battery in byte 3 and, from byte 4 on, what the model
measures. The model name says what that is; where only the maker is known, the type byte does. A contact whose
polarity the maker leaves to the installation stays open until the device table names it.
"""

from __future__ import annotations

from edge.dialects.flags import CONTACT, DOOR, LEAK, PRESS, SHAKEN, Pair, word_of
from edge.reading import Kind, Reading, read

_HELP = (Kind.SOS, Kind.TELEMETRY)
_FIRE = (Kind.SMOKE, Kind.SMOKE_OK)
_GAS = (Kind.ALARM, Kind.ALARM_END)
_BELL = (Kind.CALL, Kind.TELEMETRY)

#: Model prefix -> what 1 and 0 say, once per input from byte 4 on. Longer prefixes stand first.
_STATUS: tuple[tuple[str, tuple[Pair, ...]], ...] = (
    ("R718F2", (DOOR, DOOR)), ("R730F2", (DOOR, DOOR)), ("R311CC", (DOOR, DOOR)),
    ("R311CA", (CONTACT, CONTACT)), ("R311CB", (CONTACT, CONTACT)), ("R718J2", (CONTACT, CONTACT)),
    ("R718LB2", (CONTACT, CONTACT)), ("R730LB2", (CONTACT, CONTACT)),
    ("R718DA2", (SHAKEN, SHAKEN)), ("R718DB2", (SHAKEN, SHAKEN)),
    ("R730DA2", (SHAKEN, SHAKEN)), ("R730DB2", (SHAKEN, SHAKEN)),
    ("R311A", (DOOR,)), ("R718F", (DOOR,)), ("R730F", (DOOR,)), ("R313A", (DOOR,)),
    ("R718J", (CONTACT,)), ("R718LB", (CONTACT,)), ("R730LB", (CONTACT,)),
    ("R718DA", (SHAKEN,)), ("R718DB", (SHAKEN,)), ("R718MBA", (SHAKEN,)), ("R730MBA", (SHAKEN,)),
    ("R730DA", (SHAKEN,)), ("R730DB", (SHAKEN,)), ("R311FA", (SHAKEN,)), ("R311DA", (SHAKEN,)),
    ("R311DB", (SHAKEN,)),
    ("R718WA", (LEAK,)), ("R718WB", (LEAK,)), ("R311W", (LEAK, LEAK)), ("R313WA", (LEAK,)),
    ("RA02A", (_FIRE,)), ("RA02C", (_GAS,)),
    ("RB02I", (_HELP,)), ("R312A", (_HELP,)), ("R718T", (PRESS,)), ("R313F1", (PRESS,)), ("RB02", (PRESS,)),
    ("R312", (_BELL,)),
)  # fmt: skip
#: Device type of byte 1 -> model, for those above.
_TYPES = {
    2: "R311A", 3: "RB11E", 6: "R311W", 10: "RA02A", 16: "RB02I", 17: "RA02C", 18: "R718WB", 26: "R718DA",
    27: "R718DB", 28: "R718E", 29: "R718F", 33: "R718J", 37: "R718LB", 39: "R718MBA", 47: "R718DA2", 49: "R718T",
    50: "R718WA", 61: "R718DB2", 62: "R718F2", 67: "R718J2", 69: "R718LB2", 76: "R311CA", 77: "R312A", 79: "R311FA",
    85: "R312", 86: "R311CB", 108: "R311CC", 125: "R730F", 126: "R730F2", 130: "R730MBA", 137: "R730DA",
    138: "R730DA2", 139: "R730DB", 140: "R730DB2", 141: "R730LB", 142: "R730LB2", 168: "R311DA", 169: "R311DB",
}  # fmt: skip
_LOW_BATTERY = 0x80


def _pairs_of(name: str) -> tuple[Pair, ...]:
    return next((pairs for prefix, pairs in _STATUS if name.startswith(prefix)), ())


def _is_named(name: str) -> bool:
    return bool(_pairs_of(name)) or name.startswith(("RB11E", "R718E"))


def _measured(name: str, data: bytes, source: str) -> list[Reading]:
    if name.startswith("R718E"):
        return [read(source, Kind.TELEMETRY, "acceleration")]
    if name.startswith("RB11E"):
        if len(data) < 10:
            return [read(source, Kind.UNKNOWN, "a frame cut short")]
        found = [read(source, Kind.OCCUPIED if data[8] else Kind.VACANT, f"occupancy {data[8]}")]
        return found + ([read(source, Kind.TAMPER, "taken off the wall")] if data[9] else [])
    readings = []
    for place, (yes, no) in enumerate(_pairs_of(name)):
        if 4 + place < len(data):
            status = data[4 + place]
            where = source if place == 0 else f"{source}/{place + 1}"
            kind = yes if status else no
            readings.append(
                read(where, kind, f"status {status} of input {place + 1}", raw=word_of(kind, status))
            )
    return readings or [read(source, Kind.UNKNOWN, "a model that is not known")]


def decode(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    """Decode one uplink of a Netvox sensor."""
    if port in (7, 13):
        return [read(source, Kind.CONFIG, "answer to a configuration")]
    if port not in (6, None):
        return [read(source, Kind.ERROR, f"unknown port {port}")]
    if len(data) < 5:
        return [read(source, Kind.UNKNOWN, "a frame cut short")]
    if data[2] == 0:
        return [read(source, Kind.TELEMETRY, "version report")]
    name = model.upper()
    if not _is_named(name):
        name = _TYPES.get(data[1], name)
    readings = _measured(name, data, source)
    if _is_named(name) and data[2] == 1 and data[3] & _LOW_BATTERY:
        readings.append(read(source, Kind.BATTERY_LOW, "battery bit"))
    return readings
