"""TTLock: lock records of its cloud's callback (a form or JSON) and of its record list enter, readings leave; pure.

A record is what the lock wrote down at ``lockDate``; without a gateway a telephone brings it hours later. Records 31 and 30
are the door's magnet, all other openings are the lock's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from edge.dialects.frame import Frame
from edge.dialects.values import as_float, as_int, as_list, as_mapping, as_text, epoch_ms, parse_json
from edge.reading import Kind, Nature, Reading, read
from kaimen.vocabulary import EventType

_RECORDS_MAX = 64
#: A record that reached the cloud so long after the lock wrote it was brought by a telephone.
_LATE_MS = 5 * 60_000
#: Record -> the means by which the lock was opened, where the canonical words have one.
_UNLOCKS: dict[int, str | None] = {
    1: "phone", 3: "phone", 4: "pin", 7: "card", 8: None, 9: None, 10: "key", 12: "phone", 32: None, 46: "key",
    49: "card", 50: None, 57: "qr", 63: None, 67: "face", 75: "phone", 76: "phone",
}  # fmt: skip
_LOCKS = (11, 33, 34, 35, 36, 45, 47, 52, 53, 59, 61, 69)
_REFUSED = (48, 51, 58, 62, 65, 68, 71)
_KINDS: dict[int, Kind] = {
    29: Kind.ALARM, 30: Kind.DOOR_CLOSED, 31: Kind.DOOR_OPEN, 44: Kind.TAMPER, 64: Kind.DOOR_HELD_OPEN,
    **dict.fromkeys(_UNLOCKS, Kind.DOOR_UNLOCKED), **dict.fromkeys(_LOCKS, Kind.DOOR_LOCKED),
    **dict.fromkeys(_REFUSED, Kind.ACCESS_DENIED),
}  # fmt: skip


def _record(record: Mapping[str, Any], lock: str, mac: str) -> Reading:
    number = as_int(record.get("recordType")) or 0
    kind = _KINDS.get(number, Kind.UNKNOWN)
    if kind is Kind.DOOR_UNLOCKED and as_int(record.get("success")) == 0:
        kind = Kind.ACCESS_DENIED
    written, received = epoch_ms(record.get("lockDate")), epoch_ms(record.get("serverDate"))
    late = written is not None and received is not None and received - written > _LATE_MS
    level = as_float(record.get("electricQuantity"))
    method = _UNLOCKS.get(number)
    reading = read(
        lock, kind, f"lock record {number}", aliases=(mac,), nature=Nature.HISTORY if late else Nature.EDGE,
        occurred_ms=written, clock="rtc", method=method,
        credential=as_text(record.get("keyboardPwd" if method == "card" else "username")),
        key=None if written is None else f"record:{number}:{written}",
        battery_percent=level if level is not None and 0 <= level <= 100 else None,
    )  # fmt: skip
    if kind is Kind.ALARM:
        return replace(reading, event_type=EventType.DOOR_FORCED_OPEN)
    if kind in (Kind.DOOR_OPEN, Kind.DOOR_CLOSED):
        return replace(reading, opening=kind is Kind.DOOR_OPEN)
    return reading


def decode(frame: Frame) -> list[Reading] | None:
    """Decode lock records of TTLock; None where there are none."""
    obj = frame.obj
    if frame.value is None and "lockId=" in frame.text and frame.text.count("&") < _RECORDS_MAX:
        obj = dict(parse_qsl(frame.text))
    inner = obj.get("records", obj.get("list"))
    items = parse_json(inner) if isinstance(inner, str) else inner
    records = [as_mapping(item) for item in as_list(items)[:_RECORDS_MAX]] or [obj]
    if not all("recordType" in record and "lockDate" in record for record in records):
        return None
    lock, mac = as_text(obj.get("lockId")), as_text(obj.get("lockMac")) or ""
    return [_record(record, as_text(record.get("lockId")) or lock or "ttlock", mac) for record in records]
