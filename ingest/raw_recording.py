"""Lines of a smart home's raw log (date, time, sensor, value, perhaps a note) enter, cells of a recording leave; pure.

The laboratories that publish such logs write no header. What a sensor is follows from what it says: OPEN and CLOSE a
door, PRESENT and ABSENT an item; which of the doors is the front door only a name can say, or whoever asks.
"""

from __future__ import annotations

import re

from ingest.early.signals import FRONT_DOOR_KIND

_LINE = re.compile(
    r"(?P<year>\d{4})(?P<dash>[-/])(?P<month>\d{1,2})(?P=dash)(?P<day>\d{1,2})[ T\t,]+"
    r"(?P<time>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?) ?(?P<zone>Z|[+-]\d{2}:?\d{2})?[\t ,]+"
    r"(?P<sensor>[^\s,]+)[\t ,]+(?P<value>[^\s,]+)(?:[\t ,]+(?P<next>[^\s,]+))?"
)
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
#: A sensor that is a door by its name: D001, FrontDoor.
_DOOR = re.compile(r"^D\d+$|(?<!out)(?<!in)door$", re.IGNORECASE)
_DOOR_VALUES = {"OPEN": "on", "CLOSE": "off", "CLOSED": "off", "OPENED": "on"}
_OTHER_VALUES = {"ON": "on", "OFF": "off", "PRESENT": "off", "ABSENT": "on"}
_VALUES = _DOOR_VALUES.keys() | _OTHER_VALUES.keys()
_FRONT_NAMES = (
    "frontdoor",
    "front_door",
    "front-door",
    "maindoor",
    "outsidedoor",
    "entrancedoor",
    "entrydoor",
)


def is_raw(line: str) -> bool:
    """Say whether the first line of a file is one of such a log."""
    return _LINE.match(line.strip()) is not None


def cells_of(line: str, home: str, front_doors: frozenset[str]) -> list[str] | None:
    """Return home, time, sensor, kind and state of a line; None where it says a measure, such as a temperature, or a remark.

    Raises
    ------
    ValueError
        If it is no line of such a log, or a door in it says neither that it opens nor that it shuts.
    """
    if line.lstrip().startswith("#"):
        return None
    found = _LINE.match(line.strip())
    if found is None:
        raise ValueError("it is not date, time, sensor and value")
    sensor, value, after = found["sensor"], found["value"].upper(), (found["next"] or "").upper()
    if (
        value not in _VALUES and after in _VALUES and not _NUMBER.fullmatch(value)
    ):  # place and sensor are two names in some of these logs
        sensor, value = f"{sensor}/{found['value']}", after
    state = _DOOR_VALUES.get(value) or _OTHER_VALUES.get(value)
    if state is None:
        if (sensor in front_doors or _DOOR.search(sensor)) and (
            value in ("0", "1") or not _NUMBER.fullmatch(value)
        ):
            raise ValueError(f"the door {sensor} says {found['value']!r}, which is neither OPEN nor CLOSE")
        return None
    return [home, _time(found), sensor, _kind(sensor, value, front_doors), state]


def _time(found: re.Match[str]) -> str:
    clock = found["time"].rjust(len(found["time"]) + (found["time"][1] == ":"), "0")
    return f"{found['year']}-{found['month']:0>2}-{found['day']:0>2}T{clock[:15]}{found['zone'] or ''}"


def _kind(sensor: str, value: str, front_doors: frozenset[str]) -> str:
    if value not in _DOOR_VALUES:
        return "motion" if value in ("ON", "OFF") else "object"
    named = any(name in sensor.lower() for name in _FRONT_NAMES)
    return FRONT_DOOR_KIND if (sensor in front_doors if front_doors else named) else "door"
