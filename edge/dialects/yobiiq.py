"""Yobiiq smoke detector SD-1001: LoRaWAN bytes enter, readings leave; pure.

A report on port 8 is a row of (channel, type, value) of one byte each; one byte alone there answers a downlink.
"""

from __future__ import annotations

from edge.dialects.flags import Pair
from edge.reading import Kind, Reading, read

_REPORT_PORT, _SETTINGS_PORT = 8, 50
_BATTERY = 0x01
#: Channel -> what 1 and 0 say. Channel 6 is the alarm of another detector on the same wire.
_FLAGS: dict[int, Pair] = {
    0x03: (Kind.BATTERY_LOW, Kind.TELEMETRY), 0x04: (Kind.ERROR, Kind.TELEMETRY), 0x05: (Kind.SMOKE, Kind.SMOKE_OK),
    0x06: (Kind.SMOKE, Kind.TELEMETRY), 0x07: (Kind.SMOKE_TEST, Kind.TELEMETRY),
}  # fmt: skip


def decode(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    """Decode one uplink of the detector; another model of this maker gives ``unknown``."""
    if "SD1001" not in model.upper().replace("-", ""):
        return [read(source, Kind.UNKNOWN, "a model that is not known")]
    if port == _SETTINGS_PORT or len(data) == 1:
        return [read(source, Kind.CONFIG, "settings, or the answer to a downlink")]
    if port not in (_REPORT_PORT, None):
        return [read(source, Kind.ERROR, f"unknown port {port}")]
    values = {data[at]: data[at + 2] for at in range(0, len(data) - 2, 3)}
    battery = float(values[_BATTERY]) if values.get(_BATTERY, 101) <= 100 else None
    readings = [
        read(
            source,
            _FLAGS[channel][0 if value else 1],
            f"channel {channel} is {value}",
            battery_percent=battery,
        )
        for channel, value in values.items()
        if channel in _FLAGS
    ]
    return readings or [read(source, Kind.UNKNOWN, "no channel that is known")]
