"""One-way 433 MHz codes: a learned code enters, its command leaves; pure.

The common contact sends EV1527 codes of 20 bits address and 4 bits command. B is tamper and F a low battery on
every sensor seen; which of E and 7 is open differs between makes, so a code that an owner has taught to the bridge
(it then carries a key number) stays undecided until the device table names its codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_bool, as_int, as_open, as_text, iso_ms
from edge.reading import Kind, Nature, Reading, read

#: Command nibble of the Kerui family (facts as in the rtl_433 decoder of that family).
_COMMANDS = {
    0x5: Kind.WATER_LEAK, 0x7: Kind.DOOR_CLOSED, 0xA: Kind.MOTION, 0xB: Kind.TAMPER, 0xE: Kind.DOOR_OPEN,
    0xF: Kind.BATTERY_LOW,
}  # fmt: skip
_PROVES = {Kind.DOOR_OPEN: True, Kind.DOOR_CLOSED: False}


def decode_code(node: str, data: str, key: int | None) -> Reading:
    """Decode a 24-bit EV1527 code heard by ``node``; ``key`` is the bridge's own number for a learned code."""
    code = data.strip().upper().removeprefix("0X")
    source = f"{node}/rf/{code[:-1]}"
    aliases = (f"rf/{code[:-1]}", f"{node}/rf/{code}", f"rf/{code}")
    number = as_int(f"0x{code}") if 1 < len(code) <= 8 else None
    kind = None if number is None else _COMMANDS.get(number & 0xF)
    if kind is None or len(code) != 6:
        return read(source, Kind.UNKNOWN, "a code of no known family", aliases=aliases, raw=code)
    if key is not None and kind in _PROVES:
        why = "a learned code: which of its codes is open is set in the device table"
        return read(source, Kind.UNKNOWN, why, aliases=aliases, raw=code, nature=Nature.EDGE)
    why = f"EV1527 command {number & 0xF:X}" if number is not None else ""
    reading = read(source, kind, why, aliases=aliases, nature=Nature.EDGE, raw=code)
    return replace(reading, opening=_PROVES[kind]) if kind in _PROVES else reading


def _rtl_door(obj: Mapping[str, Any]) -> tuple[Kind, bool] | None:
    """Say whether an rtl_433 line tells of a door, and whether it tells an edge."""
    for name in ("event", "state", "status", "door", "extradata"):
        said = as_open(obj.get(name))
        if said is not None:
            return (Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED), True
        word = as_text(obj.get(name)) or ""
        if word.upper().endswith((" OPEN", " CLOSED", " CLOSE")) and any(
            mark in word.upper() for mark in ("DOOR", "CONTACT")
        ):
            return (
                Kind.DOOR_OPEN if word.upper().endswith(" OPEN") else Kind.DOOR_CLOSED
            ), name != "extradata"
    opened = as_bool(obj.get("opened"))
    if opened:
        return Kind.DOOR_OPEN, True
    for name in ("contact_open", "reed_open", "open"):
        flag = as_bool(obj.get(name))
        if flag is not None:
            return (Kind.DOOR_OPEN if flag else Kind.DOOR_CLOSED), False
    closed = as_bool(obj.get("closed"))
    if closed is not None and ("opened" not in obj or closed):
        return (Kind.DOOR_CLOSED if closed else Kind.DOOR_OPEN), "opened" in obj
    word = (as_text(obj.get("switch1")) or "").upper()
    if as_text(obj.get("subtype")) == "contact" and word in ("OPEN", "CLOSED"):
        return (Kind.DOOR_OPEN if word == "OPEN" else Kind.DOOR_CLOSED), False
    return None


def _rtl_other(obj: Mapping[str, Any]) -> list[tuple[Kind, str]]:
    found: list[tuple[Kind, str]] = []
    if as_bool(obj.get("motion")) or as_text(obj.get("event")) in ("motion", "MOTION"):
        found.append((Kind.MOTION, "motion"))
    if as_bool(obj.get("water")) or as_bool(obj.get("detect_wet")):
        found.append((Kind.WATER_LEAK, "water"))
    if as_bool(obj.get("tamper")):
        found.append((Kind.TAMPER, "tamper"))
    if as_int(obj.get("battery_ok")) == 0 or as_bool(obj.get("battery_low")):
        found.append((Kind.BATTERY_LOW, "battery"))
    if as_bool(obj.get("heartbeat")) and not found:
        found.append((Kind.HEARTBEAT, "heartbeat"))
    return found


def decode_rtl433(frame: Frame) -> list[Reading] | None:
    """Decode a line of the rtl_433 program; None where it is none."""
    obj = frame.obj
    if "model" not in obj or not ("id" in obj or "protocol" in obj or "mic" in obj):
        return None
    if not (frame.topic.startswith("rtl_433") or "time" in obj or "mic" in obj or "protocol" in obj):
        return None
    source = f"rtl_433/{as_text(obj.get('model'))}/{as_text(obj.get('id')) or '0'}"
    when = iso_ms(obj.get("time"))
    readings = []
    door = _rtl_door(obj)
    if door is not None:
        kind, edge = door
        # A supervised sensor repeats its state every hour; only the heartbeat flag tells that from an opening.
        edge = edge and not as_bool(obj.get("heartbeat"))
        proves: bool | None = None
        if edge:
            proves = kind is Kind.DOOR_OPEN
        why = "an event of a one-way sensor" if edge else "state of a supervised sensor"
        nature = Nature.EDGE if edge else Nature.STATE
        readings.append(read(source, kind, why, nature=nature, opening=proves, occurred_ms=when))
    readings += [read(source, kind, why, occurred_ms=when) for kind, why in _rtl_other(obj)]
    return readings or [read(source, Kind.TELEMETRY, "values, no fact about a door", occurred_ms=when)]


def decode(frame: Frame) -> list[Reading] | None:
    """Decode rtl_433 lines and OpenMQTTGateway's 433toMQTT; None where it is neither."""
    if frame.parts and frame.parts[-1] == "433toMQTT":
        node = "/".join(frame.parts[:-1])
        value = as_int(frame.obj.get("value", frame.value))
        bits = as_int(frame.obj.get("length"))
        if value is None or not 0 <= value < 2**24 or bits not in (None, 24):
            return [read(node, Kind.UNKNOWN, "a code of no known family")]
        return [decode_code(node, f"{value:06X}", None)]
    return decode_rtl433(frame)
