"""Watteco (nke) sensors: reports of the Zigbee cluster library over LoRaWAN enter, readings leave; pure.

A frame is the endpoint, a command, a cluster, an attribute, its type and its value. On the opening sensor the second
endpoint is the door and the first its housing; on every other model an input is wired by the installer.
"""

from __future__ import annotations

from edge.reading import Kind, Reading, read

_PORT = 125
#: A report, a report that names its cause, and the answer to a read.
_REPORT, _ALARM, _ANSWER = 0x0A, 0x8A, 0x01
_BASIC, _BINARY_INPUT, _OCCUPANCY = 0x0000, 0x000F, 0x0406
_VALUE, _BOOLEAN = 0x0055, 0x10
_DOORS = ("CLOSO", "SENSODOOR")


def _endpoint(control: int) -> int:
    return (control & 0xE0) >> 5 | (control & 0x06) << 2


def decode(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    """Decode one uplink of a Watteco sensor; a batch or an unknown cluster gives ``unknown`` or a value."""
    if port not in (_PORT, None):
        return [read(source, Kind.ERROR, f"unknown port {port}")]
    if len(data) < 8 or not data[0] & 0x01:
        return [read(source, Kind.UNKNOWN, "no standard report: a batch, or cut short")]
    command, cluster = data[1], int.from_bytes(data[2:4])
    if command not in (_REPORT, _ALARM, _ANSWER):
        return [read(source, Kind.CONFIG, f"command {command:#04x}")]
    attribute = int.from_bytes(data[4:6])
    start = 7 if command == _ANSWER else 6  # an answer has its result before the type
    form, value = data[start], data[start + 1 :]
    if cluster == _BINARY_INPUT and attribute == _VALUE and form == _BOOLEAN and value:
        return [_input(model, _endpoint(data[0]), bool(value[0]), source)]
    if cluster == _OCCUPANCY and attribute == 0 and value:
        return [read(source, Kind.OCCUPIED if value[0] & 1 else Kind.VACANT, "occupancy")]
    if cluster == _BASIC:
        return [read(source, Kind.CONFIG, "what it is")]
    return [read(source, Kind.TELEMETRY, f"cluster {cluster:#06x}")]


def _input(model: str, endpoint: int, on: bool, source: str) -> Reading:
    name = "".join(sign for sign in model.upper() if sign.isalnum())
    if any(door in name for door in _DOORS):
        if endpoint == 0:
            return read(source, Kind.TAMPER if on else Kind.TELEMETRY, f"housing says {int(on)}")
        kind = Kind.DOOR_OPEN if on else Kind.DOOR_CLOSED
        return read(source, kind, f"opening sensor says {int(on)}")
    place = source if endpoint == 0 else f"{source}/{endpoint + 1}"
    why = "an input whose polarity is set in the device table"
    return read(place, Kind.DOOR_STATE_UNKNOWN, why, raw="ON" if on else "OFF")
