"""Browan TABS and MerryIoT LoRaWAN sensors: bytes enter, readings leave; pure.

The port names the sensor. The counter of TABS and MerryIoT counts triggers, not openings alone, so it is not used
as a counter of openings.
"""

from __future__ import annotations

from edge.dialects.flags import DOOR, LEAK, PRESS, ROOM, VALUE
from edge.reading import Kind, Reading, read

#: TABS port -> what status bit 0 says.
_TABS = {
    100: DOOR, 102: ROOM, 103: VALUE, 104: VALUE, 105: VALUE, 106: LEAK, 107: VALUE, 136: VALUE, 147: PRESS,
}  # fmt: skip
#: MerryIoT port -> what status bit 0 says (bit 1 button, bit 2 tamper).
_MERRY = {120: DOOR, 122: ROOM, 126: LEAK, 127: VALUE, 128: VALUE}
_PORT_OF_MODEL = {
    "TBDW": (100,), "TBMS": (102,), "TBHH": (103,), "TBHV": (103, 107), "TBAM": (104,), "TBSL": (105,),
    "TBWL": (106,), "TBPB": (147,), "TBOL": (136, 204),
}  # fmt: skip
_SETTINGS_PORTS = (204, 205, 206, 222)


def decode(model: str, port: int | None, data: bytes, source: str) -> list[Reading]:
    """Decode one uplink of a Browan or MerryIoT sensor."""
    name = model.upper().replace("-", "")
    for prefix, ports in _PORT_OF_MODEL.items():
        if name.startswith(prefix) and port not in (*ports, *_SETTINGS_PORTS):
            return [read(source, Kind.ERROR, f"unknown port {port}")]
    if port in _SETTINGS_PORTS:
        return [read(source, Kind.CONFIG, f"settings, port {port}")]
    if not data:
        return [read(source, Kind.UNKNOWN, "empty")]
    if port in _TABS:
        yes, no = _TABS[port]
        return [read(source, yes if data[0] & 0x01 else no, f"port {port}, status bit {data[0] & 1}")]
    if port in _MERRY:
        yes, no = _MERRY[port]
        readings = [read(source, yes if data[0] & 0x01 else no, f"port {port}, status bit {data[0] & 1}")]
        if data[0] & 0x04 and port in (120, 122):
            readings.append(read(source, Kind.TAMPER, "status bit 2"))
        if data[0] & 0x02 and port in (120, 122, 127):
            readings.append(read(source, Kind.BUTTON, "status bit 1"))
        return readings
    return [read(source, Kind.ERROR, f"unknown port {port}")]
