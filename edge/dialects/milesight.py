"""Milesight LoRaWAN sensors: channel-type-value bytes enter, readings leave; pure.

A payload is a row of (channel, type, value). Type 0x00 is a bare flag whose meaning belongs to the model, so the
model must be known for it; lengths of the other types are common to the whole line. Channels 0x20 and 0x21 carry
stored records with their own time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from edge.dialects.flags import CONTACT, DOOR, LEAK, MOVING, ROOM, VALUE, Pair
from edge.dialects.values import epoch_ms
from edge.reading import Kind, Nature, Reading, read

_TAMPER = (Kind.TAMPER, Kind.TELEMETRY)
_TILT = (Kind.ALARM, Kind.TELEMETRY)

#: Model prefix -> (channel, type) -> what 1 and 0 say. Longer prefixes stand first.
_FLAGS: tuple[tuple[str, dict[tuple[int, int], Pair]], ...] = (
    ("WS301", {(0x03, 0x00): DOOR, (0x04, 0x00): _TAMPER}),
    ("WS302", {}),
    ("WS303", {(0x03, 0x00): LEAK}),
    ("WS202", {(0x03, 0x00): MOVING, (0x04, 0x00): VALUE}),
    ("WS203", {(0x05, 0x00): ROOM}),
    ("EM300-MCS", {(0x06, 0x00): DOOR}),
    # Its own table says channel 6, its sample and its decoder channel 5.
    ("EM300-MLD", {(0x05, 0x00): LEAK, (0x06, 0x00): LEAK}),
    ("EM300-SLD", {(0x05, 0x00): LEAK}),
    ("EM300-ZLD", {(0x05, 0x00): LEAK}),
    ("EM300-DI", {(0x05, 0x00): CONTACT}),
    ("EM310-UDL", {(0x04, 0x00): _TILT}),
    ("EM400", {(0x05, 0x00): _TILT}),
    ("EM410", {(0x05, 0x00): _TILT}),
    ("AT101", {(0x05, 0x00): _TILT, (0x07, 0x00): _TAMPER}),
    ("VS330", {(0x03, 0x8E): ROOM}),
    ("VS340", {(0x03, 0x00): ROOM}),
    ("VS341", {(0x03, 0x00): ROOM}),
    ("VS370", {(0x03, 0x00): ROOM, (0x04, 0x00): VALUE}),
    ("TS30", {(0x03, 0x00): DOOR, (0x04, 0x00): DOOR}),
    ("UC", {(channel, 0x00): CONTACT for channel in (0x03, 0x04, 0x05, 0x06)}),
    ("GS101", {(0x05, 0x8E): (Kind.ALARM, Kind.ALARM_END)}),
    ("GS", {}),
    ("AM", {(0x05, 0x00): MOVING}),
    ("WS5", {}),
    ("WT", {}),
    ("WS101", {}),
    ("WS136", {}),
    ("WS156", {}),
)

#: Type -> length of the value, common to the line; alarm channels (0x80 and up) add bytes and stand below.
_LENGTHS: dict[int, int] = {
    0x00: 1, 0x01: 1, 0x02: 2, 0x65: 2, 0x66: 1, 0x67: 2, 0x68: 1, 0x6A: 2, 0x70: 1, 0x71: 6, 0x73: 2, 0x74: 2, 0x75: 1,
    0x76: 4, 0x77: 2, 0x7B: 2, 0x7D: 2, 0x7F: 2, 0x80: 4, 0x81: 1, 0x82: 2, 0x83: 4, 0x84: 4, 0x85: 4, 0x88: 9,
    0x8E: 1, 0x90: 4, 0x92: 4, 0x94: 4, 0x95: 2, 0x97: 4, 0x98: 2, 0x99: 2, 0xA1: 8, 0xA2: 4, 0xA3: 1, 0xA4: 2,
    0xC8: 4, 0xC9: 4, 0xCA: 2, 0xCB: 1, 0xCC: 4, 0xCD: 1, 0xCF: 7, 0xD0: 0, 0xD2: 4, 0xD4: 4, 0xD5: 8, 0xD6: 1,
    0xD9: 9, 0xDA: 8, 0xE0: 8, 0xE1: 8, 0xE2: 8, 0xE4: 5, 0xE6: 2, 0xEA: 5, 0xED: 1, 0xEE: 1, 0xEF: 4, 0xF4: 2,
    0xF5: 9, 0xF8: 6, 0xF9: 4, 0xFA: 8, 0xFB: 5, 0xFD: 2, 0xFE: 2,
}  # fmt: skip
_ALARM_LENGTHS: dict[int, int] = {
    0x00: 2, 0x67: 3, 0x68: 2, 0x7B: 3, 0x7D: 3, 0x82: 3, 0x98: 7, 0x99: 7, 0xCC: 5, 0xD7: 5, 0xE1: 9, 0xE2: 9,
    0xE9: 5, 0xED: 2, 0xF4: 2,
}  # fmt: skip
_ATTRIBUTES: dict[int, int] = {
    0x01: 1, 0x03: 2, 0x08: 6, 0x09: 2, 0x0A: 2, 0x0B: 1, 0x0F: 1, 0x15: 1, 0x16: 8, 0x18: 2, 0x1F: 4, 0x29: 1, 0x2E: 1, 0x34: 3,
    0x3F: 1, 0x73: 1, 0xA0: 9, 0xCC: 2, 0xFE: 1, 0xFF: 2,
}  # fmt: skip
#: Model prefix -> length of a stored record after its time, place of its flag, what 1 and 0 say.
_HISTORY: tuple[tuple[str, int, int | None, Pair], ...] = (
    ("EM300-MCS", 4, 3, DOOR),
    ("EM300-SLD", 4, 3, LEAK),
    ("EM300-ZLD", 4, 3, LEAK),
    ("EM300-MLD", 4, 3, LEAK),
    ("WS203", 5, 1, ROOM),
    ("VS321", 6, None, VALUE),
    ("EM300-DI", 9, None, VALUE),
    ("EM300-TH", 4, None, VALUE),
    ("EM320-TH", 3, None, VALUE),
    ("AT101", 8, None, VALUE),
    ("TS30", 5, None, VALUE),
)


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a payload."""

    channel: int
    form: int
    value: bytes


def _length(channel: int, form: int, model: str) -> int | None:
    if channel == 0xFF:
        return _ATTRIBUTES.get(form)
    if channel in (0x20, 0x21) and form == 0xCE:
        for prefix, length, _, _ in _HISTORY:
            if model.startswith(prefix):
                return 18 if prefix == "EM300-DI" and channel == 0x21 else 4 + length
        return None
    if form == 0xC9 and model.startswith("WS5"):
        return 2
    if form == 0xCF and model.startswith("EM320"):
        return 6
    if channel >= 0x80 and form in _ALARM_LENGTHS:
        if channel >= 0xB0:
            return 1
        return 5 if form == 0x67 and channel in (0x93, 0x94) else _ALARM_LENGTHS[form]
    return _LENGTHS.get(form)


def _channels(data: bytes, model: str) -> Iterator[Channel]:
    """Walk the channels; an unknown type ends the walk, because its length is not known."""
    place = 0
    while place + 2 <= len(data):
        channel, form = data[place], data[place + 1]
        length = _length(channel, form, model)
        if length is None:
            return
        value = data[place + 2 : place + 2 + length]
        if len(value) < length:
            return
        yield Channel(channel, form, value)
        place += 2 + length


def _flags_of(model: str) -> dict[tuple[int, int], Pair] | None:
    for prefix, flags in _FLAGS:
        if model.startswith(prefix):
            return flags
    return None


def _attribute(source: str, item: Channel, model: str) -> Reading:
    if item.form == 0x2E:
        if "SOS" in model:
            return read(source, Kind.SOS, "press of an SOS button")
        return read(source, Kind.BUTTON, f"press {item.value[0]}")
    if item.form == 0x34:
        return read(source, Kind.BUTTON, f"press of button {item.value[0]}")
    if item.form == 0xFE:
        return read(source, Kind.DEVICE_BOOT, "reset event")
    if item.form == 0x0B:
        return read(source, Kind.DEVICE_BOOT, "device status after power-on")
    if item.form == 0x3F:
        return read(source, Kind.ERROR if item.value[0] >= 2 else Kind.DEVICE_ONLINE, "self report")
    if item.form == 0x29:
        return read(source, Kind.TELEMETRY, "switch positions")
    return read(source, Kind.CONFIG, f"attribute {item.form:#04x}")


def _history(source: str, item: Channel, model: str) -> list[Reading]:
    when = epoch_ms(int.from_bytes(item.value[:4], "little"))
    if model.startswith("TS30"):
        return _thermometer_history(source, item, when)
    for prefix, _, place, (yes, no) in _HISTORY:
        if model.startswith(prefix) and place is not None and 4 + place < len(item.value):
            kind = yes if item.value[4 + place] else no
            return [read(source, kind, "a stored record", nature=Nature.HISTORY, occurred_ms=when)]
    return [read(source, Kind.TELEMETRY, "a stored record", nature=Nature.HISTORY, occurred_ms=when)]


def _thermometer_history(source: str, item: Channel, when: int | None) -> list[Reading]:
    """Read a TS30x record: a nibble per channel says what it is; 5 and 6 are a magnet's state."""
    found = []
    for mask, data in ((item.value[4] >> 4, item.value[5:7]), (item.value[4] & 0x0F, item.value[7:9])):
        if mask in (5, 6):
            kind = Kind.DOOR_OPEN if any(data) else Kind.DOOR_CLOSED
            found.append(read(source, kind, "a stored record", nature=Nature.HISTORY, occurred_ms=when))
    return found or [read(source, Kind.TELEMETRY, "a stored record", nature=Nature.HISTORY, occurred_ms=when)]


#: Message type of a GS524N smoke detector.
_SMOKE_MESSAGES = {
    1: Kind.SMOKE, 2: Kind.SMOKE, 4: Kind.BATTERY_LOW, 5: Kind.ERROR, 7: Kind.SMOKE_OK, 10: Kind.TAMPER,
    11: Kind.SMOKE_OK, 14: Kind.SMOKE_TEST, 15: Kind.SMOKE_TEST,
}  # fmt: skip


def _smoke(data: bytes, source: str) -> list[Reading]:
    """Read a GS524N: version, message and sensor type, battery, concentration, temperature, check sum."""
    if len(data) < 6 or sum(data[:6]) & 0xFF:
        return [read(source, Kind.UNKNOWN, "a frame whose check sum is wrong")]
    message = data[1] & 0x0F
    kind = _SMOKE_MESSAGES.get(message, Kind.UNKNOWN)
    return [read(source, kind, f"message type {message}", battery_percent=float(min(data[2], 100)))]


def _flag(source: str, item: Channel, flags: dict[tuple[int, int], Pair] | None) -> Reading:
    channel = item.channel & 0x7F if item.channel >= 0x80 and item.form in (0x00, 0x8E) else item.channel
    pair = None if flags is None else flags.get((channel, item.form))
    if pair is None:
        if item.form == 0x00 and flags is None:
            return read(
                source,
                Kind.UNKNOWN,
                "a flag of a model that is not known: name its model in the device table",
            )
        return read(source, Kind.TELEMETRY, f"value of type {item.form:#04x}")
    value = item.value[0]
    if value > 1:
        return read(source, Kind.TELEMETRY, f"channel {item.channel:#04x} without a measured state")
    kind = pair[0] if value else pair[1]
    raw = "ON" if value else "OFF"
    return read(source, kind, f"channel {item.channel:#04x} is {value}", raw=raw)


def _vs373(source: str, item: Channel) -> Reading | None:
    if item.channel == 0x03 and item.form == 0xF8:
        status = item.value[0]
        kind = {1: Kind.VACANT, 2: Kind.OCCUPIED, 3: Kind.OCCUPIED, 4: Kind.ALARM}.get(status, Kind.TELEMETRY)
        return read(source, kind, f"room status {status}")
    if item.channel == 0x06 and item.form == 0xFB:
        return read(source, Kind.ALARM if item.value[3] == 0 else Kind.ALARM_END, "room alarm")
    return None


def decode(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    """Decode one uplink of a Milesight sensor; an unknown model still gives battery and buttons."""
    name = model.upper()
    if name.startswith("GS524"):
        return _smoke(data, source)
    flags = _flags_of(name)
    readings: list[Reading] = []
    battery: float | None = None
    for item in _channels(data, name):
        special = _vs373(source, item) if name.startswith("VS37") else None
        if special is not None:
            readings.append(special)
        elif item.channel == 0xFF:
            readings.append(_attribute(source, item, name))
        elif item.channel in (0x20, 0x21) and item.form == 0xCE:
            readings += _history(source, item, name)
        elif item.form == 0x75:
            battery = float(item.value[0]) if item.value[0] <= 100 else None
            readings.append(read(source, Kind.TELEMETRY, "battery"))
        else:
            readings.append(_flag(source, item, flags))
    if not readings:
        return [_nothing_known(data, source)]
    return [replace(reading, battery_percent=battery) for reading in readings]


def _nothing_known(data: bytes, source: str) -> Reading:
    if data[:1] in (b"\xfe", b"\xff", b"\xf8", b"\xf9"):
        return read(source, Kind.CONFIG, "a setting, or the answer to a downlink")
    if data[:2] in (b"\x20\xce", b"\x21\xce"):
        return read(source, Kind.TELEMETRY, "a stored record", nature=Nature.HISTORY)
    return read(source, Kind.UNKNOWN, "no channel that is known")
