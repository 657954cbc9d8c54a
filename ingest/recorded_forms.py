"""Recordings as other programs write them: a line, a row or an object enters, rows of a recording leave; pure.

Read are tables by their headings (Home Assistant, InfluxDB, Orange4Home, anybody's), lists of intervals, logs of messages
by topic (Zigbee2MQTT, ``mosquitto_sub`` with its time), line protocol and JSON. A row is ``home, time, sensor, kind,
state``; what is no fact about a door or a person (a measure, a battery, a lamp that an automation switches) has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ingest.early.signals import FRONT_DOOR_KIND
from ingest.recorded_words import NOT_HEARD, is_front_door, is_measure, kind_of, state_of, vocabulary_of

#: Home, time, sensor, kind, state.
Cells = list[str]
#: Heading, small and of letters and digits alone -> what stands under it; the first that is there is taken.
_HEADINGS: dict[str, tuple[str, ...]] = {
    "time": (
        "time", "timestamp", "datetime", "dateandtime", "lastchanged", "lastupdated", "ts", "when", "occurredat", "occurred",
        "eventtime", "createdat", "created", "receivedat", "received", "recorded", "tst", "timestamputc", "timestampms", "epoch",
        "unixtime", "zeitstempel", "zeitpunkt", "zeit", "horodatage", "时间", "日期时间", "时间戳", "发生时间",
    ),
    "date": ("date", "day", "datum", "日期"),
    "clock": ("time", "clock", "timeofday", "uhrzeit", "zeit", "heure", "时间", "时刻"),
    "start": ("start", "starttime", "begin", "begintime", "from", "on", "activated", "开始", "开始时间"),
    "end": ("end", "endtime", "stop", "stoptime", "to", "until", "off", "deactivated", "结束", "结束时间"),
    "sensor": (
        "sensor", "entityid", "sensorid", "sensorname", "deviceid", "devicename", "device", "entity", "itemname", "item", "name",
        "friendlyname", "topic", "channel", "source", "object", "measurement", "location", "传感器", "设备名称", "设备", "门",
    ),
    "kind": ("kind", "deviceclass", "sensortype", "type", "class", "category", "类型"),
    "state": (
        "state", "value", "status", "message", "sensorvalue", "event", "reading", "action", "wert", "zustand", "payload", "valeur",
        "状态", "值", "开关",
    ),
    "field": ("field",),
    "domain": ("domain",),
    "home": ("home", "homeid", "house", "houseid", "household", "householdid", "apartment", "subject", "residence", "住户", "家"),
}  # fmt: skip
_CLOCK = re.compile(r"\d{1,2}:\d{2}")
#: Domains of Home Assistant whose on is a sensor's word; of the others an automation or a hand at a switch speaks.
_DOMAINS = ("binary_sensor", "cover", "input_boolean")
_ENTITY = re.compile(r"[a-z_]+\.[a-z0-9_]+")
_OFTEN_TOLD = (
    "contact",
    "occupancy",
    "motion",
    "presence",
    "pir",
    "opened",
    "open",
    "door",
    "state",
    "water_leak",
    "vibration",
)


class FormError(ValueError):
    """A row that cannot be meant; the text says what of it."""


def _plain(heading: str) -> str:
    return re.sub(r"[\W_]+", "", heading).lower()


class Table:
    """Rows under a heading: which column is which is told by what it is called."""

    def __init__(self, header: Sequence[str], home: str, front_doors: frozenset[str]) -> None:
        self._home, self._front_doors = home, front_doors
        names = [_plain(name) for name in header]
        self.places = {
            what: names.index(found)
            for what, known in _HEADINGS.items()
            if (found := next((name for name in known if name in names), None)) is not None
        }

    @property
    def is_known(self) -> bool:
        """Say whether time, sensor and state (or start and end) were found."""
        timed = "time" in self.places or ("date" in self.places and "clock" in self.places)
        if self.is_intervals:
            return "sensor" in self.places
        return timed and {"sensor", "state"} <= self.places.keys()

    @property
    def is_intervals(self) -> bool:
        return {"start", "end"} <= self.places.keys() and not {"time", "state"} & self.places.keys()

    def _cell(self, cells: Sequence[str], what: str) -> str:
        place = self.places.get(what)
        return cells[place].strip() if place is not None else ""

    def convert(self, cells: Sequence[str]) -> list[Cells]:
        """Return the rows that one line of the table says."""
        if len(cells) <= max(self.places.values()):
            raise FormError(f"{len(cells)} columns where the header has more")
        home, sensor = self._cell(cells, "home") or self._home, self._cell(cells, "sensor")
        if not sensor:
            raise FormError("sensor is empty; every row names its sensor")
        if self.is_intervals:
            return of_interval(
                home, self._cell(cells, "start"), self._cell(cells, "end"), sensor, self._cell(cells, "kind"), self._front_doors
            )  # fmt: skip
        time, sort, word = self._time(cells), self._cell(cells, "kind"), self._cell(cells, "state")
        field, domain = self._cell(cells, "field"), self._cell(cells, "domain")
        if field in _OFTEN_TOLD and field != "state":
            zigbee = sensor.startswith("zigbee2mqtt/")
            value = {"true": True, "false": False}.get(word.lower(), word)
            return _of_fields(home, time, sensor, {field: value}, self._front_doors, zigbee=zigbee)
        if field not in ("", "value", "state"):
            return []
        if domain and "." not in sensor:
            sensor = f"{domain}.{sensor}"
        found = of_state(home, time, sensor, sort, word, self._front_doors)
        return [] if found is None else [found]

    def _time(self, cells: Sequence[str]) -> str:
        clock = self._cell(cells, "clock") if "date" in self.places else ""
        if _CLOCK.match(clock):
            return f"{self._cell(cells, 'date')} {clock}"
        return self._cell(cells, "time")


def of_state(
    home: str, time: str, sensor: str, sort: str, word: str, front_doors: frozenset[str]
) -> Cells | None:
    """Return the row of one report; None where it is no fact about a door or a person.

    Raises
    ------
    FormError
        If a front door says neither open nor closed.
    """
    named = sensor in front_doors
    if _ENTITY.fullmatch(sensor) and not named and sensor.partition(".")[0] not in _DOMAINS:
        return None
    kind = FRONT_DOOR_KIND if named else kind_of(sensor, sort)
    if front_doors and kind == FRONT_DOOR_KIND and not named:
        kind = "door"
    if kind is None:
        return None
    state = state_of(word)
    if state is not None:
        if kind == "object" and vocabulary_of(word) == "open and closed":
            kind = "door"
        return [home, time, sensor, kind, word.strip() if vocabulary_of(word) else "on" if state else "off"]
    if word.strip().lower() in NOT_HEARD or not word.strip():
        return [home, time, sensor, kind, "unavailable"] if kind == FRONT_DOOR_KIND else None
    if kind == FRONT_DOOR_KIND and not is_measure(word):
        raise FormError(f"the front door {sensor} says {word[:40]!r}, which is neither open nor closed")
    return None


def of_interval(
    home: str, start: str, end: str, sensor: str, sort: str, front_doors: frozenset[str]
) -> list[Cells]:
    """Return the two rows of an interval in which a sensor was on."""
    kind = FRONT_DOOR_KIND if sensor in front_doors else kind_of(sensor, sort) or "object"
    if front_doors and sensor not in front_doors and kind == FRONT_DOOR_KIND:
        kind = "door"
    return [[home, start, sensor, kind, "on"], [home, end, sensor, kind, "off"]]


# -- lists of intervals without a header -----------------------------------------------------------------------------

_STAMP = r"(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}-[A-Za-z]{3}-\d{4})[ T]\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?"
_INTERVAL = re.compile(rf"\s*(?P<start>{_STAMP})[\s,;]+(?P<end>{_STAMP})[\s,;]+(?P<rest>\S.*)")


def is_interval(line: str) -> bool:
    """Say whether a line has a start, an end and a sensor."""
    return _INTERVAL.match(line) is not None


def is_heading_of_intervals(line: str) -> bool:
    """Say whether a line is the heading of such a list."""
    return re.match(r"\s*start\W?time\b.*\bend\W?time\b", line, re.IGNORECASE) is not None


def rows_of_interval(line: str, home: str, front_doors: frozenset[str]) -> list[Cells]:
    """Return the rows of a line of start, end and sensor; what stands behind a number is its value, and no name."""
    found = _INTERVAL.match(line)
    if found is None:
        if set(line.strip()) <= set("-\t ") or line.lower().lstrip().startswith(("start", "%", "#")):
            return []
        raise FormError("it is not start, end and sensor")
    names = [name for name in re.split(r"[\t,;]+|\s{2,}|\s", found["rest"].strip()) if name]
    sensor = names[0] if names[0].isdigit() else "_".join(names)
    return of_interval(home, found["start"], found["end"], sensor, "", front_doors)


# -- messages by their topics ----------------------------------------------------------------------------------------

_PUBLISHED = re.compile(
    r"(?:\[(?P<time>\d{4}-[^\]]{5,30})\] *\w+:\s*|[\w:]+ +(?P<older>\d{4}-\d\d-\d\d[ T][\d:.]+):\s*)(?:\S+ )?"
    r"MQTT publish: topic '(?P<topic>[^']+)', payload '(?P<payload>.*)'\s*"
)
_TIMED = re.compile(
    r"\[?(?P<time>\d{9,19}(?:\.\d+)?|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)? ?(?:Z|[+-]\d\d:?\d\d)?)\]?[ \t;,]+"
    r"(?P<topic>[^\s;,]*/[^\s;,]*)[ \t;,]+(?P<payload>\S.*)"
)
_LOGGED = re.compile(r"\[\d{4}-\d\d-\d\d[ T][\d:.,]+\] *\w+:|[\w:]+ +\d{4}-\d\d-\d\d[ T][\d:.]+:")


def is_message(line: str) -> bool:
    """Say whether a line is a message with its instant, or one of the log of a program that publishes some."""
    return (
        _PUBLISHED.match(line) is not None
        or _TIMED.match(line) is not None
        or _LOGGED.match(line) is not None
    )


def rows_of_message(line: str, home: str, front_doors: frozenset[str]) -> list[Cells]:
    """Return the rows of a message; a line of a log that is about something else has none."""
    found = _PUBLISHED.match(line) or _TIMED.match(line)
    if found is None:
        if _LOGGED.match(line):
            return []
        raise FormError("it is not time, topic and payload")
    parts = found.groupdict()
    return of_message(
        home, (parts["time"] or parts["older"]).strip(), parts["topic"], parts["payload"], front_doors
    )


def of_message(home: str, time: str, topic: str, payload: Any, front_doors: frozenset[str]) -> list[Cells]:
    """Return the rows of a payload; ``contact`` of Zigbee2MQTT is true where it is closed, of nobody else known."""
    levels = topic.split("/")
    if "bridge" in levels or levels[-1] in ("set", "get", "availability", "config", "LWT", "$state"):
        return []
    value = payload
    if isinstance(payload, str):
        try:
            value = msgspec.json.decode(payload)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            value = payload
    zigbee = levels[0] == "zigbee2mqtt" or (isinstance(value, Mapping) and "linkquality" in value)
    if not isinstance(value, Mapping):
        name = levels[-1].lower()
        sensor = "/".join(levels[:-1]) if name in _OFTEN_TOLD and len(levels) > 1 else topic
        value = {name if name in _OFTEN_TOLD else "state": value}
    else:
        sensor = topic
    return _of_fields(home, time, sensor, value, front_doors, zigbee=zigbee)


def _of_fields(
    home: str, time: str, sensor: str, value: Mapping[str, Any], front_doors: frozenset[str], *, zigbee: bool
) -> list[Cells]:
    named = sensor in front_doors
    for name in _OFTEN_TOLD:
        if value.get(name) is None:
            continue
        word = value[name]
        state = word if isinstance(word, bool) else state_of(str(word))
        if state is None:
            continue
        if name == "contact" and isinstance(word, bool):
            if not zigbee:
                raise FormError(f"contact of {sensor} is {word}, which is closed to some and open to others")
            state = not word
        door = name in ("contact", "opened", "open", "door")
        kind = kind_of(f"{sensor} {name}" if door else sensor, "" if door or name == "state" else name)
        if named or (door and is_front_door(sensor) and not front_doors):
            kind = FRONT_DOOR_KIND
        elif kind == FRONT_DOOR_KIND and (front_doors or not (door or name == "state")):
            kind = "door" if door else "object"
        return [] if kind is None else [[home, time, sensor, kind, "on" if state else "off"]]
    return []


# -- line protocol ---------------------------------------------------------------------------------------------------

_LINE = re.compile(
    r"(?P<measurement>(?:[^\s,\\]|\\.)+)(?P<tags>(?:,(?:[^\s=,\\]|\\.)+=(?:[^\s,\\]|\\.)+)*) (?P<fields>\S.*?) (?P<time>\d{9,19})\s*"
)
_FIELD = re.compile(r'((?:[^\s=,\\]|\\.)+)=("(?:[^"\\]|\\.)*"|[^\s,]+)')
_TAG_NAMES = ("entity_id", "friendly_name", "name", "sensor", "device", "topic")


def is_line_protocol(line: str) -> bool:
    return _LINE.fullmatch(line.rstrip()) is not None


def rows_of_line_protocol(line: str, home: str, front_doors: frozenset[str]) -> list[Cells]:
    """Return the row of a line of InfluxDB's line protocol."""
    if not line.strip() or line.startswith("#"):
        return []
    found = _LINE.fullmatch(line.rstrip())
    if found is None:
        raise FormError("it is not measurement, fields and an instant")
    tags = {
        name.replace("\\", ""): value.replace("\\", "") for name, value in _FIELD.findall(found["tags"].replace(",", " "))
    }  # fmt: skip
    fields = {name: value.strip('"') for name, value in _FIELD.findall(found["fields"])}
    word = next((fields[name] for name in ("state", "value", *fields) if name in fields), "")
    sensor = next((tags[name] for name in _TAG_NAMES if name in tags), found["measurement"])
    if "domain" in tags and "." not in sensor:
        sensor = f"{tags['domain']}.{sensor}"
    plain = word[:-1] if re.fullmatch(r"\d+[iu]", word) else word
    row = of_state(home, found["time"], sensor, tags.get("device_class", ""), plain, front_doors)
    return [] if row is None else [row]


# -- JSON --------------------------------------------------------------------------------------------------------------


def rows_of_object(value: Any, home: str, front_doors: frozenset[str]) -> list[Cells]:
    """Return the rows of one object: a state of Home Assistant, a message with its topic, or anybody's by its names."""
    if not isinstance(value, Mapping):
        raise FormError("it is no JSON object")
    topic = value.get("topic")
    time = next((value[name] for name in value if _plain(name) in _HEADINGS["time"] and value[name]), None)
    if isinstance(topic, str) and "payload" in value and time is not None:
        if value.get("retain"):
            return []  # it came when somebody listened, not when it was said
        return of_message(home, _zoned(str(time)), topic, value["payload"], front_doors)
    attributes = value.get("attributes")
    sort = str(attributes.get("device_class") or "") if isinstance(attributes, Mapping) else ""
    names = [str(name) for name in value]
    table = Table(names, home, front_doors)
    if not table.is_known:
        if isinstance(value.get("entity_id"), str) or not {"state", "value"} & value.keys():
            raise FormError("it names no time, no sensor or no state")
        raise FormError("it names no time or no sensor")
    cells = ["" if item is None else _text(item) for item in value.values()]
    if sort and "kind" not in table.places:
        table.places["kind"] = len(cells)
        cells.append(sort)
    return table.convert(cells)


def _text(item: Any) -> str:
    return str(item).lower() if isinstance(item, bool) else str(item)


def _zoned(time: str) -> str:
    """Mend the two zones that ``mosquitto_sub`` writes one behind the other: ``…Z+0100``."""
    return re.sub(r"Z([+-]\d{4})$", r"\1", time)
