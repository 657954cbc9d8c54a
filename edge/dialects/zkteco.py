"""ZKTeco terminals and controllers (push protocol, platform records): lines or JSON enter, readings leave; pure.

Lines carry local time without a zone, so no instant is read from them. A verification that passed releases the
lock; only events 200 and 201 are the door contact. Code 255 is the periodic status row of a controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge.dialects.frame import Frame
from edge.dialects.values import as_int, as_list, as_mapping, as_text, iso_ms, parse_hex
from edge.reading import Kind, Nature, Reading, read
from kaimen.vocabulary import EventType

_GRANTED = frozenset({0, 1, 2, 3, 4, 5, 14, 15, 16, 17, 18, 19, 203, 207, 208, 215, 216, 218, 222})
_DENIED = frozenset(
    {*range(20, 26), 27, 29, 30, 31, 33, 34, 35, 36, 38, 39, 41, 42, 43, 44, 48, 52, 61, 62, 63}
)
_CODES: dict[int, tuple[Kind, str]] = {
    6: (Kind.NONE, "linkage"), 7: (Kind.ALARM_END, "alarm cancelled"),
    8: (Kind.DOOR_UNLOCKED, "remote opening"), 9: (Kind.DOOR_LOCKED, "remote closing"),
    10: (Kind.CONFIG, "normally-open zone disabled"), 11: (Kind.CONFIG, "normally-open zone enabled"),
    12: (Kind.NONE, "auxiliary output on"), 13: (Kind.NONE, "auxiliary output off"),
    26: (Kind.CARD_READ, "waits for a further person"), 32: (Kind.CARD_READ, "waits for a further person"),
    51: (Kind.CARD_READ, "waits for a further person"), 28: (Kind.DOOR_HELD_OPEN, "open for too long"),
    37: (Kind.DOOR_HELD_OPEN, "failed to close"), 54: (Kind.BATTERY_LOW, "battery low"),
    55: (Kind.BATTERY_LOW, "replace the battery"), 100: (Kind.TAMPER, "device opened"),
    101: (Kind.ALARM, "duress"), 102: (Kind.ALARM, "opened without release"), 103: (Kind.ALARM, "duress"),
    104: (Kind.ALARM, "invalid cards in a row"), 105: (Kind.ERROR, "server not reached"),
    106: (Kind.ALARM, "mains off"), 107: (Kind.BATTERY_LOW, "battery off"), 108: (Kind.ERROR, "controller not reached"),
    109: (Kind.TAMPER, "reader removed"), 110: (Kind.ERROR, "reader offline"), 112: (Kind.ERROR, "board offline"),
    114: (Kind.ALARM, "fire input cut"), 115: (Kind.ALARM, "fire input shorted"),
    118: (Kind.ALARM, "fire input"), 119: (Kind.ALARM, "fire input"),
    202: (Kind.BUTTON, "exit button"), 204: (Kind.DOOR_LOCKED, "normally-open time over"),
    205: (Kind.DOOR_UNLOCKED, "remote normally open"), 206: (Kind.DEVICE_BOOT, "start"),
    209: (Kind.BUTTON, "exit button while locked"), 210: (Kind.ALARM, "fire opens the door"),
    211: (Kind.DOOR_LOCKED, "closed by a superuser"), 214: (Kind.DEVICE_ONLINE, "server reached"),
    217: (Kind.DEVICE_ONLINE, "controller reached"), 220: (Kind.NONE, "auxiliary input open"),
    221: (Kind.NONE, "auxiliary input shorted"), 223: (Kind.CARD_READ, "verified in the background"),
    224: (Kind.CALL, "bell"), 233: (Kind.DOOR_LOCKED, "remote lockdown"), 234: (Kind.NONE, "lockdown ended"),
    237: (Kind.DEVICE_ONLINE, "reader online"), 238: (Kind.DEVICE_OFFLINE, "reader offline"),
    255: (Kind.HEARTBEAT, "periodic status row"), 4008: (Kind.ALARM_END, "mains restored"),
}  # fmt: skip
_TYPES = {
    101: EventType.DURESS, 103: EventType.DURESS, 102: EventType.DOOR_FORCED_OPEN, 202: EventType.EXIT,
}  # fmt: skip
_METHODS = {
    0: None,
    2: "pin",
    3: "pin",
    4: "card",
    7: "card",
    11: "card",
    15: "face",
    16: "face",
    19: "face",
    33: "qr",
}
_DIRECTIONS = {0: "in", 1: "out", 3: "out", 4: "in", 5: "out"}
_TABLES = (
    "rtlog",
    "rtstate",
    "attlog",
    "operlog",
    "options",
    "tabledata",
    "user",
    "biodata",
    "attphoto",
    "errorlog",
)


def _credential(*values: Any) -> str | None:
    for value in values:
        text = as_text(value)
        if text is not None and text.strip("0"):
            return text
    return None


def event_reading(code: int | None, source: str, aliases: tuple[str, ...] = ()) -> Reading:
    """Return what an event code means; a code nobody wrote down is unknown, never an entry."""
    if code is None:
        return read(source, Kind.UNKNOWN, "no event code", aliases=aliases)
    if code in (200, 201):
        kind = Kind.DOOR_OPEN if code == 200 else Kind.DOOR_CLOSED
        return read(
            source,
            kind,
            f"event {code}: door contact",
            aliases=aliases,
            nature=Nature.EDGE,
            opening=code == 200,
        )
    if code in _GRANTED:
        return read(source, Kind.ACCESS_GRANTED, f"event {code}: verified", aliases=aliases)
    if code in _DENIED:
        return read(source, Kind.ACCESS_DENIED, f"event {code}: refused", aliases=aliases)
    kind, why = _CODES.get(code, (Kind.UNKNOWN, "in no table"))
    nature = Nature.EDGE if kind not in (Kind.HEARTBEAT, Kind.UNKNOWN, Kind.CONFIG, Kind.NONE) else None
    reading = read(source, kind, f"event {code}: {why}", aliases=aliases, nature=nature)
    if code in _TYPES:
        reading = replace(reading, event_type=_TYPES[code])
    if code == 202:
        # The exit button also releases the lock: with the contact it may belong to an opening.
        reading = replace(reading, opening=None, method="exit_button")
    return reading


def _fields(line: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in line.replace("\t", "\n").split("\n"))
    return {name.strip().lower(): value.strip() for name, mark, value in pairs if mark}


def _rtlog(line: str, node: str) -> Reading:
    values = _fields(line)
    door = values.get("eventaddr") or values.get("doorid") or "1"
    reading = event_reading(as_int(values.get("event", values.get("eventtype"))), f"{node}/{door}", (node,))
    person = reading.kind in (Kind.ACCESS_GRANTED, Kind.ACCESS_DENIED, Kind.CARD_READ)
    index = values.get("index")
    verify = as_int(values.get("verifytype", values.get("verified")))
    return replace(
        reading,
        credential=_credential(values.get("cardno"), values.get("pin")) if person else None,
        method=reading.method if not person else _METHODS.get(-1 if verify is None else verify),
        direction=_DIRECTIONS.get(as_int(values.get("inoutstatus", values.get("inoutstate"))) or 0)
        if person
        else None,
        key=f"index:{index}:{values.get('time', '')}" if index not in (None, "", "0") else None,
    )


def _rtstate(line: str, node: str) -> list[Reading]:
    """Read the status row: two bits per door, 1 closed, 2 open, 0 without a contact."""
    values = _fields(line)
    sensor = parse_hex(values.get("sensor", "").zfill(2))
    alarm = parse_hex(values.get("alarm", "").zfill(2))
    if not sensor:
        return [read(f"{node}/1", Kind.HEARTBEAT, "status row", aliases=(node,))]
    readings = []
    for door in range(4):
        bits = (sensor[0] >> (2 * door)) & 0x03
        if bits in (1, 2):
            kind = Kind.DOOR_OPEN if bits == 2 else Kind.DOOR_CLOSED
            readings.append(read(f"{node}/{door + 1}", kind, f"status row, door {door + 1}", aliases=(node,)))
    if alarm and any(alarm) and not readings:
        readings.append(read(f"{node}/1", Kind.ALARM, "status row", aliases=(node,)))
    return readings or [read(f"{node}/1", Kind.HEARTBEAT, "status row without contacts", aliases=(node,))]


def _attlog(line: str, node: str) -> Reading:
    columns = line.split("\t")
    if len(columns) < 4 or not columns[0].strip():
        return read(f"{node}/1", Kind.UNKNOWN, "a line of an unknown form", aliases=(node,))
    verify = as_int(columns[3])
    return read(
        f"{node}/1", Kind.ACCESS_GRANTED, "verified at the terminal", aliases=(node,),
        credential=_credential(columns[0]), direction=_DIRECTIONS.get(as_int(columns[2]) or 0),
        method=_METHODS.get(-1 if verify is None else verify) if verify not in (1, 25) else None,
        key=f"att:{columns[1].strip()}",
    )  # fmt: skip


def _operlog(line: str, node: str) -> Reading:
    if not line.startswith("OPLOG"):
        return read(f"{node}/1", Kind.CONFIG, "a user record", aliases=(node,))
    code = as_int(line.removeprefix("OPLOG").strip().split("\t")[0])
    kinds = {0: Kind.DEVICE_BOOT, 1: Kind.DEVICE_OFFLINE, 3: Kind.ALARM}
    return read(
        f"{node}/1",
        kinds.get(-1 if code is None else code, Kind.CONFIG),
        f"operation {code}",
        aliases=(node,),
    )


def _query(topic: str) -> dict[str, str]:
    _, _, query = topic.partition("?")
    pairs = (part.partition("=") for part in query.split("&"))
    return {name.lower(): value for name, mark, value in pairs if mark}


def _push(frame: Frame, node: str) -> list[Reading]:
    query = _query(frame.topic)
    table = query.get("table", "").lower()
    lines = [line for line in frame.text.replace("\r", "").split("\n") if line.strip()][:1000]
    path = frame.topic.partition("?")[0].lower()
    if "getrequest" in path or path.endswith("/ping"):
        return [read(f"{node}/1", Kind.HEARTBEAT, "the terminal asks for work", aliases=(node,))]
    if "registry" in path or query.get("options") == "all":
        return [read(f"{node}/1", Kind.PROVISIONING, "the terminal registers", aliases=(node,))]
    if "devicecmd" in path:
        return [read(f"{node}/1", Kind.NONE, "answer to a command", aliases=(node,))]
    if table in ("options", "tabledata", "user", "biodata", "attphoto"):
        return [read(f"{node}/1", Kind.CONFIG, f"table {table}", aliases=(node,))]
    if table == "errorlog":
        return [read(f"{node}/1", Kind.ERROR, "error log", aliases=(node,))]
    if not lines:
        return [read(f"{node}/1", Kind.HEARTBEAT, "no rows", aliases=(node,))]
    if table == "attlog":
        return [_attlog(line, node) for line in lines]
    if table == "operlog":
        return [_operlog(line, node) for line in lines]
    return _rows(lines, node)


def _rows(lines: list[str], node: str) -> list[Reading]:
    readings: list[Reading] = []
    for line in lines:
        values = _fields(line)
        if "event" in values or "eventtype" in values:
            readings.append(_rtlog(line, node))
        elif "sensor" in values or "relay" in values:
            readings += _rtstate(line, node)
        else:
            readings.append(read(f"{node}/1", Kind.UNKNOWN, "a line of an unknown form", aliases=(node,)))
    return readings


def _record(obj: Mapping[str, Any], node: str) -> Reading:
    """Read a platform's transaction or an attendance record as JSON."""
    names = {name.lower().replace("_", ""): value for name, value in obj.items()}
    device = (
        as_text(names.get("devsn") or names.get("sn") or names.get("terminalsn") or names.get("devicesn"))
        or node
    )
    door = (
        as_text(
            names.get("doorid") or names.get("eventpointid") or names.get("eventaddr") or names.get("doorno")
        )
        or "1"
    )
    code = as_int(names.get("eventno", names.get("eventtype", names.get("event", names.get("eventcode")))))
    source = f"{device}/{door}"
    if code is None and ("punch" in names or "punchstate" in names or "userid" in names):
        reading = read(source, Kind.ACCESS_GRANTED, "verified at the terminal", aliases=(device,))
    else:
        reading = event_reading(code, source, (device,))
    person = reading.kind in (Kind.ACCESS_GRANTED, Kind.ACCESS_DENIED, Kind.CARD_READ)
    word = (as_text(names.get("verifymodename")) or "").lower()
    by_word = {"face": "face", "card": "card", "password": "pin", "qr": "qr"}
    method = next((by_word[mark] for mark in by_word if mark in word), None)
    return replace(
        reading,
        credential=_credential(names.get("cardno"), names.get("pin"), names.get("userid"))
        if person
        else None,
        method=method if person else reading.method,
        occurred_ms=iso_ms(names.get("eventtime"))
        or iso_ms(names.get("timestamp"))
        or iso_ms(names.get("time")),
        key=as_text(names.get("id") or names.get("uniquekey")),
    )


def _is_record(obj: Mapping[str, Any]) -> bool:
    names = {name.lower().replace("_", "") for name in obj}
    event = bool(names & {"eventno", "eventaddr", "eventcode"}) or ("event" in names and "pin" in names)
    return (event and bool(names & {"pin", "cardno", "devsn", "eventtime", "doorid", "eventpointname"})) or (
        "userid" in names and "punch" in names
    )


def decode(frame: Frame, fallback: str = "") -> list[Reading] | None:
    """Decode a ZKTeco message; None where it is none. ``fallback`` names the device where the topic does not."""
    lowered = frame.topic.lower()
    node = _query(frame.topic).get("sn") or fallback or "zkteco"
    if "/iclock/" in lowered or any(f"table={table}" in lowered for table in _TABLES):
        return _push(frame, node)
    if isinstance(frame.value, list) or frame.obj:
        items = as_list(frame.value) or as_list(frame.obj.get("data")) or [frame.obj]
        records = [as_mapping(item) for item in items[:1000]]
        if records and all(_is_record(record) for record in records):
            return [_record(record, node) for record in records]
        return None
    first = frame.text.split("\n", 1)[0]
    if "time=" in first and ("event=" in first or "sensor=" in first):
        return _rows([line for line in frame.text.replace("\r", "").split("\n") if line.strip()][:1000], node)
    return None
