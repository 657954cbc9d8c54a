"""MClimate LoRaWAN sensors: bytes enter, readings leave; pure.

A report begins with 1 and has a fixed length by model; an event or an answer to a command stands before it. Of the open/close
sensor the event replaces that 1: the reed moved, or the button was pressed. Bit 0 of its last byte is 1 where it is open.
"""

from __future__ import annotations

from edge.reading import Kind, Nature, Reading, read

_REPORT = 0x01
#: Mark of a model's name -> length of its report.
_LENGTHS = {"OPENCLOSE": 8, "BUTTON": 5, "PIRMINI": 10}
#: First byte of a whole report of the open/close sensor.
_REED_EVENT, _BUTTON_EVENT = 0x20, 0x21
_ROOM_EVENTS = {0x3A: Kind.OCCUPIED, 0x3B: Kind.VACANT, 0x40: Kind.MOTION}


def _flood(data: bytes, source: str) -> list[Reading]:
    """Read the reason in the three highest bits, a taken-off housing in bit 3 and water in bit 1 of the first byte."""
    if len(data) < 2:
        return [read(source, Kind.UNKNOWN, "a frame cut short")]
    reason, water = data[0] >> 5, bool(data[0] & 0x02)
    readings = [read(source, Kind.WATER_LEAK if water else Kind.WATER_OK, f"water bit {int(water)}")]
    if reason == 1:
        readings.append(read(source, Kind.BUTTON, "test button"))
    if reason == 3 or data[0] & 0x08:
        readings.append(read(source, Kind.TAMPER, "the housing is open"))
    return readings


def _reported(mark: str, report: bytes, source: str) -> Reading:
    if mark == "OPENCLOSE":
        is_open = bool(report[7] & 0x01)
        kind = Kind.DOOR_OPEN if is_open else Kind.DOOR_CLOSED
        nature = Nature.EDGE if report[0] == _REED_EVENT else Nature.STATE
        return read(source, kind, f"status {report[7]}", raw="ON" if is_open else "OFF", nature=nature)
    if mark == "BUTTON":
        return read(source, Kind.BUTTON if report[4] else Kind.TELEMETRY, f"press event {report[4]}")
    occupied = report[7] & 0x01
    return read(source, Kind.OCCUPIED if occupied else Kind.VACANT, f"occupancy {occupied}")


def decode(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    """Decode one uplink of an MClimate sensor; a model whose report is not known gives ``unknown``."""
    name = "".join(sign for sign in model.upper() if sign.isalnum())
    if "FLOOD" in name:
        return _flood(data, source)
    mark = next((mark for mark in _LENGTHS if mark in name), None)
    if mark is None or not data:
        return [read(source, Kind.UNKNOWN, "a model that is not known")]
    length = _LENGTHS[mark]
    report = data[-length:]
    first = (_REPORT, _REED_EVENT, _BUTTON_EVENT) if mark == "OPENCLOSE" else (_REPORT,)
    whole = len(report) == length and report[0] in first
    before = data[:-length] if whole else data
    if mark == "PIRMINI" and before and before[0] in _ROOM_EVENTS:
        return [read(source, _ROOM_EVENTS[before[0]], f"event {before[0]:#04x}", nature=Nature.EDGE)]
    if not whole:
        return [read(source, Kind.UNKNOWN, "no report of this model")]
    if report[0] == _BUTTON_EVENT:
        return [_reported(mark, report, source), read(source, Kind.BUTTON, "button event")]
    return [_reported(mark, report, source)]
