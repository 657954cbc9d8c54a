"""Door controllers of small makers (esp-rfid firmware, Akuvox' action URLs): JSON or text enters, readings leave; pure.

esp-rfid tells who held a card at the reader and whether it released; Akuvox writes what its installer put into the
address, of which the relay is the lock and an input may be the door.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_bool, as_mapping, as_text, epoch_ms
from edge.reading import Kind, Nature, Reading, read

_REFUSED = ("denied", "disabled", "expired", "unknown", "not ", "invalid", "out of")
_PAIR = re.compile(r"([A-Za-z_]\w{0,31})=([^:&;/?\s]{0,128})")
_OUTPUT = re.compile(r"relay(\d?)status", re.IGNORECASE)
_INPUT = re.compile(r"input(\d?)status", re.IGNORECASE)
_PAIRS_MAX = 32


def decode_esprfid(frame: Frame) -> list[Reading] | None:
    """Decode a message of esp-rfid; None where it is none."""
    obj = frame.obj
    sort = as_text(obj.get("type")) or ""
    source = frame.topic or as_text(obj.get("hostname")) or "esp-rfid"
    aliases = tuple(name for name in (as_text(obj.get("hostname")), as_text(obj.get("door"))) if name)
    when = epoch_ms(obj.get("time"))
    if sort == "access" and "isKnown" in obj and "access" in obj:
        return [replace(_access(obj, source), aliases=aliases, occurred_ms=when)]
    if sort == "heartbeat" and "time" in obj and ("uptime" in obj or "ip" in obj or len(obj) == 2):
        return [read(source, Kind.HEARTBEAT, "heartbeat", aliases=aliases, occurred_ms=when)]
    if sort == "boot" and "time" in obj:
        return [read(source, Kind.DEVICE_BOOT, "boot", aliases=aliases, occurred_ms=when)]
    if sort in ("INFO", "WARN", "ERRO") and "src" in obj and "desc" in obj:
        return _event(obj, source, aliases, when)
    return None


def _access(obj: Mapping[str, Any], source: str) -> Reading:
    said = (as_text(obj.get("access")) or "").lower()
    known = as_bool(obj.get("isKnown")) is True
    released = known and bool(said) and not any(word in said for word in _REFUSED)
    kind = Kind.ACCESS_GRANTED if released else Kind.ACCESS_DENIED
    uid = as_text(obj.get("uid"))
    return read(source, kind, f"access {said[:30]}", method="card" if uid else None, credential=uid)


def _event(obj: Mapping[str, Any], source: str, aliases: tuple[str, ...], when: int | None) -> list[Reading]:
    """Read a line of its log: its contact changes, its bell, and what is about itself."""
    origin, said = (as_text(obj.get(name)) or "" for name in ("src", "desc"))
    words = said.lower()
    if "tamper" in words:
        return [read(source, Kind.TAMPER, "log", nature=Nature.EDGE, aliases=aliases, occurred_ms=when)]
    if origin in ("door", "doorstat", "doorbell") or words.startswith(("door ", "doorbell")):
        if "bell" in f"{origin} {words}":
            return [read(source, Kind.CALL, "log", aliases=aliases, occurred_ms=when)]
        if "open" in words and "clos" not in words:
            return [_edge(source, Kind.DOOR_OPEN, aliases, when)]
        if "clos" in words and "open" not in words:
            return [_edge(source, Kind.DOOR_CLOSED, aliases, when)]
    kind = Kind.ERROR if obj.get("type") == "ERRO" else Kind.NONE
    return [read(source, kind, f"log of {origin[:20]}", aliases=aliases, occurred_ms=when)]


def _edge(source: str, kind: Kind, aliases: tuple[str, ...], when: int | None) -> Reading:
    return read(source, kind, "its log says so; a phrase is no opening by itself", nature=Nature.EDGE, opening=None,
                aliases=aliases, occurred_ms=when)  # fmt: skip


def decode_akuvox(frame: Frame) -> list[Reading] | None:
    """Decode an address that an Akuvox door phone called, as text or taken apart; None where it is none."""
    fields: Mapping[str, Any] = frame.obj
    if not fields and len(frame.text) <= 2048 and "status=" in frame.text.lower():
        fields = dict(_PAIR.findall(frame.text)[:_PAIRS_MAX])
    station = as_mapping(fields)
    if not ({"mac", "firmware", "active_url", "active_user"} & station.keys()):
        return None
    found: list[Reading] = []
    device = as_text(station.get("mac")) or "akuvox"
    for name, value in station.items():
        flag = as_bool(value)
        relay, entry = _OUTPUT.fullmatch(name), _INPUT.fullmatch(name)
        if relay and flag is not None:
            kind = Kind.DOOR_UNLOCKED if flag else Kind.DOOR_LOCKED
            found.append(read(f"{device}/{relay[1] or 1}", kind, f"{name} {int(flag)}: the relay", nature=Nature.EDGE, aliases=(device,)))  # fmt: skip
        elif entry and flag is not None:
            why = "whether this input is a door is set in the device table"
            source = f"{device}/input{entry[1] or 1}"
            found.append(read(source, Kind.DOOR_STATE_UNKNOWN, why, raw="ON" if flag else "OFF", aliases=(device,)))  # fmt: skip
    return found or None
