"""Vega Absolute counters and sensors (SI-11, SI-12, SI-21, SI-22, Smart-MS0101 and its like): bytes enter, readings leave; pure.

An input of a counter is a door only where it is set to guard; whether closing its circuit is the door's opening depends
on how the contact is wired, so the device table names its words. The magnet sensor tells only that it was set off.
"""

from __future__ import annotations

from edge.dialects.values import plausible_ms
from edge.reading import Kind, Nature, Reading, read

_DATA_PORT, _SETTINGS_PORT, _CLOCK_PORT = 2, 3, 4
_INPUTS = 4
#: Why a magnet sensor sent: its time, it was set off, it armed itself again.
_ON_TIME, _SET_OFF, _ARMED = 0, 1, 2


def decode(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    """Decode one uplink of a Vega device; another model gives ``unknown``."""
    name = model.upper().replace("-", "").replace(" ", "").replace("_", "").removeprefix("SMART")
    if port == _SETTINGS_PORT:
        return [read(source, Kind.CONFIG, "settings")]
    if port == _CLOCK_PORT and data[:1] == b"\xff":
        return [read(source, Kind.CLOCK, "asks for the time")]
    if port not in (_DATA_PORT, None):
        return [read(source, Kind.ERROR, f"unknown port {port}")]
    if name.startswith(("SI11", "SI21")) and len(data) >= 24:
        return _inputs(source, data[7:23], settings=data[23], battery=data[1], cause=data[0], at=data[2:6])
    if name.startswith("SI12") and len(data) >= 24 and data[0] == 1:
        return _inputs(source, data[8:24], settings=data[2], battery=data[1], cause=0, at=data[3:7])
    if name.startswith("SI12") and len(data) >= 24 and data[0] == 2:
        return _inputs(source, data[8:24], settings=data[2], battery=data[1], cause=data[3], at=data[4:8])
    if name.startswith("MS0101") and len(data) >= 10 and data[0] == 1:
        return _magnet(source, data)
    return [read(source, Kind.UNKNOWN, "a packet of no known form")]


def _time_ms(value: bytes) -> int | None:
    return plausible_ms(int.from_bytes(value, "little") * 1000)


def _inputs(
    source: str, values: bytes, *, settings: int, battery: int, cause: int, at: bytes
) -> list[Reading]:
    """Read the inputs that are set to guard (bits 4 to 7 of the settings); the others count pulses."""
    found = []
    for place in range(_INPUTS):
        if not settings >> 4 + place & 1:
            continue
        shut = any(values[4 * place : 4 * place + 4])
        found.append(
            read(
                source if place == 0 else f"{source}/{place + 1}", Kind.DOOR_STATE_UNKNOWN,
                f"guarded input {place + 1}: which of its words is open is set in the device table",
                nature=Nature.EDGE if cause == place + 1 else Nature.STATE, raw="ON" if shut else "OFF",
                occurred_ms=_time_ms(at), battery_percent=float(battery) if battery <= 100 else None,
            )
        )  # fmt: skip
    return found or [read(source, Kind.TELEMETRY, "no input is set to guard", occurred_ms=_time_ms(at))]


def _magnet(source: str, data: bytes) -> list[Reading]:
    battery = float(data[1]) if data[1] <= 100 else None
    when = _time_ms(data[6:10])
    if data[5] == _SET_OFF:
        why = "the magnet left: if it is a door, list ALARM as open and the row as one-way"
        return [
            read(source, Kind.DOOR_STATE_UNKNOWN, why, nature=Nature.EDGE, raw="ALARM", battery_percent=battery, occurred_ms=when)
        ]  # fmt: skip
    kind = Kind.TELEMETRY if data[5] in (_ON_TIME, _ARMED) else Kind.UNKNOWN
    return [read(source, kind, f"sent for cause {data[5]}", battery_percent=battery, occurred_ms=when)]
