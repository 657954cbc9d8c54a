"""Dragino LoRaWAN door, water and button sensors: bytes enter, readings leave; pure.

Door sensors carry a lifetime counter of openings, so an uplink that was lost is recovered from the next one. Two
frame forms exist: port 10 with the mode in byte 2 (LDS01/02, LWL01/02) and port 2 with status first (LDS03A,
DS03A, LWL03A, WL03A, LWL04); port 3 is a log of stored records, port 4 configuration, port 5 the device's status.
"""

from __future__ import annotations

from dataclasses import replace

from edge.dialects.values import epoch_ms
from edge.reading import Kind, Nature, Reading, read

_RECORD_BYTES = 11
_PORT10 = ("LDS01", "LDS02", "LWL01", "LWL02")
_STATUS_FIRST = ("LDS03", "DS03", "LWL03", "WL03", "LWL04", "WL04", "SDS03")
_WATER = ("LWL", "WL")


def _error(source: str, port: int | None) -> list[Reading]:
    return [read(source, Kind.ERROR, f"unknown port {port}")]


def _port10(data: bytes, source: str) -> list[Reading]:
    if len(data) < 3:
        return [read(source, Kind.UNKNOWN, "a frame cut short")]
    mode = data[2]
    whole = len(data) >= 10
    door = Kind.DOOR_OPEN if data[0] & 0x80 else Kind.DOOR_CLOSED
    water = Kind.WATER_LEAK if data[0] & 0x40 else Kind.WATER_OK
    opens = int.from_bytes(data[3:6], "big") if whole else None
    note = "" if whole else "; cut short, its counter is not used"
    if mode == 1:
        reading = read(source, door, f"status bit 7{note}", opens=opens)
        alarm = whole and bool(data[9] & 0x01)
        held = (
            [read(source, Kind.DOOR_HELD_OPEN, "alarm: open for too long")]
            if alarm and data[0] & 0x80
            else []
        )
        return [reading, *held]
    if mode == 2:
        return [read(source, water, "status bit 6")]
    if mode == 3:
        return [read(source, door, "status bit 7"), read(source, water, "status bit 6")]
    return [read(source, Kind.TELEMETRY, f"mode {mode}")]


def _record(record: bytes, source: str, *, water: bool, stored: bool) -> list[Reading]:
    """Read one status record: flags, counter (3 bytes), minutes (3 bytes), time (4 bytes)."""
    when = epoch_ms(int.from_bytes(record[7:11], "big")) if len(record) >= _RECORD_BYTES else None
    nature = Nature.HISTORY if stored else Nature.STATE
    on = bool(record[0] & 0x01)
    if water:
        kind = Kind.WATER_LEAK if on else Kind.WATER_OK
        return [read(source, kind, "status bit 0", nature=nature, occurred_ms=when)]
    # Bit 3 tells that the counter counts only since the last report; such a counter is no lifetime counter.
    lifetime = not record[0] & 0x08 and not stored and len(record) >= 4
    opens = int.from_bytes(record[1:4], "big") if lifetime else None
    kind = Kind.DOOR_OPEN if on else Kind.DOOR_CLOSED
    readings = [read(source, kind, "status bit 0", nature=nature, occurred_ms=when, opens=opens)]
    if record[0] & 0x02 and on and not stored:
        readings.append(read(source, Kind.DOOR_HELD_OPEN, "alarm: open for too long", occurred_ms=when))
    return readings


def _status_first(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    water = model.startswith(_WATER)
    if port == 4:
        return [read(source, Kind.CONFIG, "configuration")]
    if port == 5:
        return [read(source, Kind.CONFIG, "device status: model, firmware, band")]
    if port == 3:
        records = [data[at : at + _RECORD_BYTES] for at in range(0, len(data), _RECORD_BYTES)]
        whole = [record for record in records if len(record) == _RECORD_BYTES]
        return [
            reading for record in whole for reading in _record(record, source, water=water, stored=True)
        ] or [read(source, Kind.UNKNOWN, "a log without whole records")]
    if port not in (2, None):
        return _error(source, port)
    if len(data) < 7:
        return [read(source, Kind.UNKNOWN, "a frame cut short")]
    readings = _record(data[:_RECORD_BYTES], source, water=water, stored=False)
    if len(data) >= 18 and not water:
        # The second contact of a two-door device is a door of its own.
        second = _record(data[11:18], f"{source}/2", water=False, stored=False)
        readings += [replace(reading, occurred_ms=readings[0].occurred_ms) for reading in second]
    return readings


def _button(port: int | None, data: bytes, source: str) -> list[Reading]:
    if port == 2 and len(data) >= 4:
        pressed = bool(data[3] & 0x01)
        return [read(source, Kind.BUTTON if pressed else Kind.TELEMETRY, f"alarm flag {int(pressed)}")]
    if port == 3 and len(data) >= _RECORD_BYTES:
        return [read(source, Kind.TELEMETRY, "a log of stored records", nature=Nature.HISTORY)]
    return [read(source, Kind.CONFIG, "device status")] if port == 5 else _error(source, port)


def _climate(port: int | None, data: bytes, source: str) -> list[Reading]:
    """Read an LHT65: its external interrupt input may be a door, but nothing says so."""
    if len(data) < 11 or port not in (2, None):
        return [read(source, Kind.CONFIG if port in (4, 5) else Kind.TELEMETRY, f"port {port}")]
    if data[6] & 0x80:
        return [read(source, Kind.TELEMETRY, "stored records", nature=Nature.HISTORY)]
    if data[6] & 0x0F == 4:
        raw = "ON" if data[7] else "OFF"
        return [read(source, Kind.DOOR_STATE_UNKNOWN, "external input without a known polarity", raw=raw)]
    return [read(source, Kind.TELEMETRY, "values")]


def decode(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    """Decode one uplink of a Dragino sensor."""
    name = model.upper().replace("-LB", "").replace("-LS", "")
    if name.startswith(_PORT10):
        return _port10(data, source) if port in (10, None) else _error(source, port)
    if name.startswith(_STATUS_FIRST):
        return _status_first(name, port, data, source)
    if name.startswith("CPL"):
        if port in (4, 5):
            return [read(source, Kind.CONFIG, f"port {port}")]
        if port not in (2, 3, None):
            return _error(source, port)
        if port == 3 or not data:
            return [read(source, Kind.TELEMETRY, "stored records", nature=Nature.HISTORY)]
        raw = "ON" if data[0] & 0x01 else "OFF"
        return [read(source, Kind.DOOR_STATE_UNKNOWN, "a pulse input: whether it is a door is set", raw=raw)]
    if name.startswith("PB01"):
        return _button(port, data, source)
    if name.startswith("LHT65"):
        return _climate(port, data, source)
    if port in (4, 5):
        return [read(source, Kind.CONFIG, f"port {port}")]
    return [read(source, Kind.UNKNOWN, "a model that is not known")]
