"""Alarm panels by their reports (SIA DC-09 frames, Contact ID, SIA codes as JSON): text or JSON enters, readings leave; pure.

A report is about a zone, and whether the zone is a door only the installation knows: its alarm is an alarm, its restore
the end of one, and neither is an opening unless the device table lists its code. "Opening" and "closing" are what
panels call disarming and arming: no door did anything. A frame that is enciphered says only that the panel lives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_mapping, as_text, plausible_ms, time_ms, words_of
from edge.reading import Kind, Nature, Reading, read
from kaimen.vocabulary import EventType

_TEXT_MAX = 2048
_FRAME = re.compile(
    r'"(?P<cipher>\*?)(?P<token>[A-Z]{3}(?:-[A-Z]{3})?|NULL)"\d{4}(?:R[0-9A-Fa-f]{1,6})?(?:L[0-9A-Fa-f]{1,6})?'
    r"(?:#(?P<account>[0-9A-Fa-f]{1,16}))?\[(?P<body>.*?)\](?P<rest>.*)",
    re.DOTALL,
)
_BARE = re.compile(r"\[#(?P<account>[0-9A-Fa-f]{1,16})\|(?P<body>[^\]]{2,256})\]")
_STAMP = re.compile(r"_(\d\d):(\d\d):(\d\d),(\d\d)-(\d\d)-(\d{4})")
_CONTACT_ID = re.compile(r"(?P<qualifier>[136])(?P<code>\d{3}) (?P<area>[0-9A-F]{2}) (?P<zone>[0-9A-F]{3})")
#: Sixteen digits as a panel dials them: account, 18 or 98, qualifier, code, area, zone, checksum.
_DIALLED = re.compile(
    r"(?P<account>[0-9B-F]{4})(?:18|98)(?P<qualifier>[136])(?P<code>\d{3})(?P<area>[0-9B-F]{2})(?P<zone>[0-9B-F]{3})[0-9B-F]"
)
_SIA = re.compile(r"N?(?:ri(?P<area>\d{1,4}))?[^A-Z\[\]|]*?(?P<code>[A-Z]{2})(?P<zone>\d{0,6})")
_RESTORED, _STILL = "3", "6"
#: Sixteen digits are also a card's number: only on a topic of a panel they are its report.
_PANEL_WORDS = frozenset({"alarm", "panel", "cid", "contactid", "sia"})


@dataclass(frozen=True, slots=True)
class _Told:
    kind: Kind
    why: str
    event_type: str | None = None


def _told(kind: Kind, why: str, event_type: str | None = None) -> _Told:
    return _Told(kind, why, event_type)


_DURESS = _told(Kind.ALARM, "duress", EventType.DURESS)
_FORCED = _told(Kind.ALARM, "door forced", EventType.DOOR_FORCED_OPEN)
_HELD = _told(Kind.DOOR_HELD_OPEN, "door left open")
_EXIT = _told(Kind.ACCESS_GRANTED, "let out", EventType.EXIT)
_ARMING = _told(Kind.NONE, "armed or disarmed, which panels call closing and opening: no door did anything")
#: Contact ID code -> what its new event says; what none of the tables names is told by its first digit.
_CODES: dict[int, _Told] = {
    **dict.fromkeys((100, 101, 120, 122, 123), _told(Kind.SOS, "a call for help")),
    **dict.fromkeys((121, 124, 125), _DURESS),
    **dict.fromkeys((110, 111, 112, 115, 116, 117, 118), _told(Kind.SMOKE, "fire")),
    **dict.fromkeys((137, 144, 145, 341, 383), _told(Kind.TAMPER, "tamper")),
    **dict.fromkeys((147, 381, 382), _told(Kind.DEVICE_OFFLINE, "a sensor is missed")),
    **dict.fromkeys((302, 309, 311, 338, 384), _told(Kind.BATTERY_LOW, "battery")),
    **dict.fromkeys((421, 424), _told(Kind.ACCESS_DENIED, "refused")),
    **dict.fromkeys((601, 602, 603), _told(Kind.HEARTBEAT, "test report")),
    154: _told(Kind.WATER_LEAK, "water"), 301: _told(Kind.ALARM, "mains off"), 305: _told(Kind.DEVICE_BOOT, "reset"),
    422: _told(Kind.ACCESS_GRANTED, "let in"), 423: _FORCED, 425: _EXIT, 426: _HELD, 427: _told(Kind.ERROR, "door contact faulty"),
    428: _told(Kind.ERROR, "exit button faulty"), 625: _told(Kind.CLOCK, "clock set"),
}  # fmt: skip
_BY_FIRST_DIGIT = {
    1: _told(Kind.ALARM, "alarm"), 3: _told(Kind.ERROR, "fault"), 4: _ARMING,
    5: _told(Kind.CONFIG, "a zone was left out, or taken in again"), 6: _told(Kind.CONFIG, "test or settings"),
}  # fmt: skip
#: What the end of a condition says.
_ENDS = {
    Kind.SMOKE: Kind.SMOKE_OK, Kind.WATER_LEAK: Kind.WATER_OK, Kind.DEVICE_OFFLINE: Kind.DEVICE_ONLINE,
    **dict.fromkeys((Kind.SOS, Kind.ALARM, Kind.TAMPER, Kind.BATTERY_LOW, Kind.DOOR_HELD_OPEN, Kind.ERROR), Kind.ALARM_END),
}  # fmt: skip
#: First letter of a SIA code -> its alarm.
_FAMILIES = {
    "B": _told(Kind.ALARM, "burglary"), "U": _told(Kind.ALARM, "zone of no type"), "G": _told(Kind.ALARM, "gas"),
    "F": _told(Kind.SMOKE, "fire"), "K": _told(Kind.ALARM, "heat"), "S": _told(Kind.ALARM, "sprinkler"),
    "W": _told(Kind.WATER_LEAK, "water"), "P": _told(Kind.SOS, "panic"), "M": _told(Kind.SOS, "medical"),
    "Q": _told(Kind.SOS, "emergency"), "H": _told(Kind.ALARM, "hold-up", EventType.DURESS), "T": _told(Kind.TAMPER, "tamper"),
    "Z": _told(Kind.ALARM, "frost"),
}  # fmt: skip
_SIA_CODES: dict[str, _Told] = {
    **dict.fromkeys(("DF", "DJ"), _FORCED),
    **dict.fromkeys(("DL", "DM", "DN"), _HELD),
    **dict.fromkeys(("DH", "DR", "XR", "YR", "AR", "BC", "FC"), _told(Kind.ALARM_END, "over")),
    **dict.fromkeys(("DD", "DI", "DK", "DP", "DQ", "DV", "DW", "DZ"), _told(Kind.ACCESS_DENIED, "refused")),
    **dict.fromkeys(("XT", "YT", "YM"), _told(Kind.BATTERY_LOW, "battery")),
    **dict.fromkeys(("BZ", "UY", "UZ", "FY", "FZ", "XL"), _told(Kind.DEVICE_OFFLINE, "a sensor is missed")),
    **dict.fromkeys(("RP", "RX", "TX", "YY"), _told(Kind.HEARTBEAT, "test report")),
    **dict.fromkeys(("RR", "YW", "RN"), _told(Kind.DEVICE_BOOT, "power up or reset")),
    **dict.fromkeys(("YC", "YS", "DT", "YP", "RT", "YF"), _told(Kind.ERROR, "fault")),
    **dict.fromkeys(("BV", "BM", "BG"), _FAMILIES["B"]), **dict.fromkeys(("FM", "FG"), _FAMILIES["F"]),
    "DG": _told(Kind.ACCESS_GRANTED, "let in"), "DX": _EXIT, "DY": _told(Kind.DOOR_LOCKED, "locked"),
    "DO": _told(Kind.DOOR_UNLOCKED, "open to everybody (the access point, not the contact)"),
    "DC": _told(Kind.DOOR_LOCKED, "shut to everybody (the access point, not the contact)"),
    "AT": _told(Kind.ALARM, "mains off"), "BX": _told(Kind.NONE, "test"), "FX": _told(Kind.SMOKE_TEST, "test"),
}  # fmt: skip
_TOKENS = {
    "NULL": Kind.HEARTBEAT, "ACK": Kind.NONE, "NAK": Kind.NONE, "DUH": Kind.NONE, "RSP": Kind.NONE,
}  # fmt: skip


def of_contact_id(qualifier: str, code: int) -> _Told:
    """Return what a Contact ID event says: 1 begins, 3 ends, 6 still lasts."""
    told = _CODES.get(code) or _BY_FIRST_DIGIT.get(code // 100, _told(Kind.UNKNOWN, "no known code"))
    if qualifier == _RESTORED and told.kind in _ENDS:
        return _told(_ENDS[told.kind], f"{told.why}, over")
    return told


def of_sia(code: str) -> _Told:
    """Return what a two-letter SIA code says."""
    if code in _SIA_CODES:
        return _SIA_CODES[code]
    if code[0] in "OC":
        return _ARMING
    family, last = _FAMILIES.get(code[0]), code[1]
    if family is None:
        return _told(Kind.UNKNOWN, "no known code")
    if last == "A":
        return family
    if last in "RHJ":
        return _told(_ENDS[family.kind], f"{family.why}, over")
    if last in "BU":
        return _told(Kind.CONFIG, f"{family.why}: a zone was left out, or taken in again")
    if last in "TS":
        return family if code[0] == "T" else _told(Kind.ERROR, f"{family.why}: a zone is faulty")
    return _told(Kind.UNKNOWN, "no known code")


def _reading(
    place: str, account: str, zone: str, raw: str, told: _Told, when: int | None, *, still: bool = False
) -> Reading:
    number = zone.lstrip("0")
    source = f"{place}/{number}" if number else place
    found = read(
        source, told.kind, f"{raw}: {told.why}"[:120], aliases=(f"{account}/{number}" if number else account, place), raw=raw,
        occurred_ms=when,
        nature=None if told.kind in (Kind.HEARTBEAT, Kind.NONE) else Nature.STATE if still else Nature.EDGE,
        heard=told.kind is not Kind.DEVICE_OFFLINE,
    )  # fmt: skip
    return found if told.event_type is None else replace(found, event_type=told.event_type)


def _stamp_ms(rest: str) -> int | None:
    found = _STAMP.match(rest)
    if found is None:
        return None
    hour, minute, second, month, day, year = (int(part) for part in found.groups())
    try:
        return plausible_ms(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None


def _body(place: str, account: str, body: str, when: int | None) -> Reading | None:
    data = body.rpartition("|")[2]
    dialled = _CONTACT_ID.search(data)
    if dialled is not None:
        qualifier, code = dialled["qualifier"], dialled["code"]
        told = of_contact_id(qualifier, int(code))
        return _reading(
            place, account, dialled["zone"], f"{qualifier}{code}", told, when, still=qualifier == _STILL
        )
    found = _SIA.match(data.replace("/", ""))
    if found is None:
        return None
    return _reading(place, account, found["zone"], found["code"], of_sia(found["code"]), when)


def _is_dialled(text: str) -> bool:
    """Say whether sixteen signs add up as a panel's do, where 0 counts ten."""
    return sum(10 if sign == "0" else int(sign, 16) for sign in text) % 15 == 0


def _of_text(frame: Frame) -> list[Reading] | None:
    text = frame.text.strip()
    if not text or len(text) > _TEXT_MAX:
        return None
    whole = _FRAME.search(text)
    if whole is not None and (whole["token"] in _TOKENS or whole["token"] in ("SIA-DCS", "ADM-CID")):
        account = whole["account"] or "panel"
        place = frame.topic or account
        kind = _TOKENS.get(whole["token"])
        if kind is not None:
            return [read(place, kind, f"frame {whole['token']}", aliases=(account,))]
        if whole["cipher"]:
            return [read(place, Kind.UNKNOWN, "enciphered: let its receiver decipher it", aliases=(account,))]
        found = _body(place, account, whole["body"], _stamp_ms(whole["rest"]))
        return [found or read(place, Kind.UNKNOWN, "a report of no known form", aliases=(account,))]
    bare = _BARE.fullmatch(text)
    if bare is not None:
        found = _body(frame.topic or bare["account"], bare["account"], bare["body"], None)
        return None if found is None else [found]
    dialled = _DIALLED.fullmatch(text) if _PANEL_WORDS & set(words_of(frame.topic)) else None
    if dialled is None or not _is_dialled(text):
        return None
    qualifier, code = dialled["qualifier"], dialled["code"]
    told, account = of_contact_id(qualifier, int(code)), dialled["account"]
    place = frame.topic or account
    return [_reading(place, account, dialled["zone"], f"{qualifier}{code}", told, None, still=qualifier == _STILL)]  # fmt: skip


def _of_fields(frame: Frame) -> list[Reading] | None:
    """Decode a report that a receiver took apart: an account, a code and a zone or receiver's area."""
    obj: Mapping[str, Any] = as_mapping(frame.obj.get("event")) or frame.obj
    account = as_text(obj.get("account") or obj.get("account_id"))
    code = as_text(obj.get("code") or obj.get("event_code")) or ""
    zone = as_text(obj.get("zone") or obj.get("ri")) or ""
    if account is None or not {"zone", "ri"} & obj.keys():
        return None
    when = time_ms(obj.get("timestamp") or obj.get("time"))
    place = frame.topic or account
    if re.fullmatch(r"[A-Z]{2}", code):
        return [_reading(place, account, zone, code, of_sia(code), when)]
    if re.fullmatch(r"[136]\d{3}", code):
        told = of_contact_id(code[0], int(code[1:]))
        return [_reading(place, account, zone, code, told, when, still=code[0] == _STILL)]
    return None


def decode(frame: Frame) -> list[Reading] | None:
    """Decode a panel's report; None where it is none."""
    return _of_fields(frame) if frame.obj else _of_text(frame)
