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
from edge.dialects.values import as_bool, as_int, as_open, as_text, iso_ms, parse_hex, words_of
from edge.reading import Kind, Nature, Reading, read

#: Command nibble of the Kerui family (facts as in the rtl_433 decoder of that family).
_COMMANDS = {
    0x5: Kind.WATER_LEAK, 0x7: Kind.DOOR_CLOSED, 0xA: Kind.MOTION, 0xB: Kind.TAMPER, 0xE: Kind.DOOR_OPEN,
    0xF: Kind.BATTERY_LOW,
}  # fmt: skip
_PROVES = {Kind.DOOR_OPEN: True, Kind.DOOR_CLOSED: False}
#: Fields of an rtl_433 line that say in words what happened.
_SAYING = ("event", "state", "status", "door", "extradata")
_DOORS = frozenset({"door", "window", "contact"})
_OPEN = frozenset({"open", "opened"})
_CLOSED = frozenset({"close", "closed", "closing"})
#: Models that send the state of their contact again every hour, by the same words.
_SUPERVISED = frozenset({"X10-Security"})
#: A pulse this many times longer than the one before it parts two codes.
_SYNC_RATIO = 15


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


def code_of_raw(data: str) -> str | None:
    """Find the 24-bit code in what an RF bridge with raw firmware sends (``RfRaw``); None where it holds none.

    Forms (after ``AA``, before ``55``): A4, three times and the code; A6, a length, a protocol and the code; B1, the
    lengths of pulses and one digit a pulse, high and low in turn.
    """
    frame = parse_hex(data.replace(" ", "")) or b""
    if len(frame) < 4 or frame[0] != 0xAA or frame[-1] != 0x55:
        return None
    form, rest = frame[1], frame[2:-1]
    if form == 0xA4 and len(rest) == 9:
        return rest[6:].hex().upper()
    if form == 0xA6 and len(rest) == 5 and rest[1] == 1:
        return rest[2:].hex().upper()
    if form == 0xB1 and 0 < rest[0] <= 8:
        lengths = [int.from_bytes(rest[i : i + 2]) for i in range(1, 1 + 2 * rest[0], 2)]
        places = [int(digit, 16) & 0x7 for digit in rest[1 + 2 * rest[0] :].hex()]
        if all(place < len(lengths) for place in places):
            return _code_of_pulses([lengths[place] for place in places])
    return None


def _code_of_pulses(pulses: list[int]) -> str | None:
    """Read 24 bits between, before or behind the long pauses: a high pulse longer than the low one is a 1."""
    bits = ""
    for high, low in zip(pulses[::2], pulses[1::2], strict=False):
        if low > _SYNC_RATIO * high:
            if len(bits) >= 24:
                break
            bits = ""
        else:
            bits += "1" if high > low else "0"
    return f"{int(bits, 2):06X}" if len(bits) == 24 else None


def _rtl_words(obj: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the words of a field that says in words what happened, such as ``DOOR/WINDOW OPEN MIN DELAY``."""
    value = obj.get(name)
    return words_of(value) if isinstance(value, str) else ()


def _rtl_door(obj: Mapping[str, Any]) -> tuple[Kind, bool] | None:
    """Say whether an rtl_433 line tells of a door, and whether it tells an edge."""
    for name in _SAYING:
        said = as_open(obj.get(name))
        words = _rtl_words(obj, name)
        if said is None and (_DOORS & set(words) or as_text(obj.get("model")) in _SUPERVISED):
            said = True if _OPEN & set(words) else False if _CLOSED & set(words) else None
        if said is not None:
            edge = name != "extradata" and as_text(obj.get("model")) not in _SUPERVISED
            return (Kind.DOOR_OPEN if said else Kind.DOOR_CLOSED), edge
    opened = as_bool(obj.get("opened"))
    if opened or (opened is False and not obj.keys() & {"closed", "motion", "water", "tamper"}):
        return (Kind.DOOR_OPEN if opened else Kind.DOOR_CLOSED), True
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


def _rtl_said(obj: Mapping[str, Any]) -> list[tuple[Kind, str]]:
    """Return what the words of a line tell beside a door."""
    words = {word for name in (*_SAYING, "cmd") for word in _rtl_words(obj, name)}
    found: list[tuple[Kind, str]] = []
    if words & {"panic", "sos", "emergency"}:
        found.append((Kind.SOS, "panic"))
    if "smoke" in words and not words & {"normal", "clear"}:
        found.append((Kind.SMOKE_TEST if "test" in words else Kind.SMOKE, "smoke"))
    if "motion" in words:
        quiet = words & {"no", "normal", "clear"}
        found.append((Kind.NO_MOTION, "no motion") if quiet else (Kind.MOTION, "motion"))
    if {"water", "leak"} <= words:
        found.append((Kind.WATER_LEAK, "water"))
    if "tamper" in words:
        found.append((Kind.TAMPER, "tamper"))
    if {"low", "battery"} <= words:
        found.append((Kind.BATTERY_LOW, "battery"))
    return found


def _rtl_other(obj: Mapping[str, Any]) -> list[tuple[Kind, str]]:
    found = _rtl_said(obj)
    if as_bool(obj.get("motion")):
        found.append((Kind.MOTION, "motion"))
    if as_bool(obj.get("water")) or as_bool(obj.get("detect_wet")):
        found.append((Kind.WATER_LEAK, "water"))
    if as_bool(obj.get("tamper")):
        found.append((Kind.TAMPER, "tamper"))
    low = (as_text(obj.get("battery")) or "").upper() == "LOW"
    if as_int(obj.get("battery_ok")) == 0 or as_bool(obj.get("battery_low")) or low:
        found.append((Kind.BATTERY_LOW, "battery"))
    if as_bool(obj.get("heartbeat")) and not found:
        found.append((Kind.HEARTBEAT, "heartbeat"))
    return list(dict(found).items())


def _rtl_zone(source: str, obj: Mapping[str, Any], when: int | None) -> Reading | None:
    """Read an alarm system's sensor that says it was tripped, and not whether it is a contact or hears motion."""
    alarm = as_bool(obj.get("alarm")) if "restore" in obj else None
    word = (as_text(obj.get("cmd")) or "").lower()
    if alarm is None and not word.endswith(" zone"):
        return None
    raw = word.upper() if alarm is None else "ALARM" if alarm else "RESTORE"
    why = "a sensor of unknown sort: if it is a door, list it with its words for open and closed"
    nature = Nature.EDGE if alarm is None else Nature.STATE
    return read(source, Kind.DOOR_STATE_UNKNOWN, why, raw=raw, nature=nature, occurred_ms=when)


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
    zone = _rtl_zone(source, obj, when) if door is None else None
    readings += [] if zone is None else [zone]
    readings += [read(source, kind, why, occurred_ms=when) for kind, why in _rtl_other(obj)]
    return readings or [read(source, Kind.TELEMETRY, "values, no fact about a door", occurred_ms=when)]


def _rtl_field(frame: Frame) -> list[Reading] | None:
    """Decode one value of ``rtl_433/<host>/devices/<model>/…/<id>/<field>``; retained, so it never is an edge.

    A sensor with two contacts has a topic for each and one for what both come to: only that one says its state.
    """
    parts = frame.parts
    if parts[:1] != ("rtl_433",) or "devices" not in parts or len(parts) - parts.index("devices") < 4:
        return None
    model, name = parts[parts.index("devices") + 1], parts[-1]
    obj: dict[str, Any] = {"model": model, name: frame.text.strip() if frame.value is None else frame.value}
    if "contact" in parts:
        obj["subtype"] = "contact"
    source, aliases = f"rtl_433/{model}/{parts[-2]}", ("/".join(parts[:-1]),)
    door = _rtl_door(obj) if name not in ("contact_open", "reed_open") else None
    found = [] if door is None else [(door[0], f"field {name[:20]}")]
    found += _rtl_other(obj)
    return [read(source, kind, why, aliases=aliases) for kind, why in found] or [
        read(source, Kind.TELEMETRY, f"value {name[:20]}", aliases=aliases)
    ]


def decode(frame: Frame) -> list[Reading] | None:
    """Decode rtl_433 lines and OpenMQTTGateway's 433toMQTT; None where it is neither."""
    if frame.parts and frame.parts[-1] == "433toMQTT":
        node = "/".join(frame.parts[:-1])
        value = as_int(frame.obj.get("value", frame.value))
        bits = as_int(frame.obj.get("length"))
        if value is None or not 0 <= value < 2**24 or bits not in (None, 24):
            return [read(node, Kind.UNKNOWN, "a code of no known family")]
        return [decode_code(node, f"{value:06X}", None)]
    return decode_rtl433(frame) or _rtl_field(frame)
