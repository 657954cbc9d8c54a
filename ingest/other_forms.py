"""The first line of a file that is no recording enters; which published form it is, and how to make one of it, leaves."""

from __future__ import annotations

import re

_CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?"
_DATE = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_LIST = "add home, sensor and kind (front_door for the front door)"
#: Patterns of a first line (any letter case), what such a file is, and what to do with it.
_FORMS = tuple(
    (re.compile(pattern, re.IGNORECASE), what)
    for pattern, what in (
        (
            r".*\bentity_id\b.*\blast_(changed|updated)\b|.*\blast_(changed|updated)\b.*\bentity_id\b",
            "it is a history of Home Assistant: write last_changed as time and entity_id as sensor, keep the rows "
            "whose state is on or off, and add home and kind (front_door for the entity of the front door)",
        ),
        (
            rf"\s*start time\s+end time\b|\s*{_DATE}[ T]{_CLOCK}[\s,]+{_DATE}[ T]{_CLOCK}\b",
            "it lists intervals: make two rows of each, state on at its start and off at its end, and add home, "
            "sensor and kind (front_door for the front door)",
        ),
        (
            rf"\s*\d{{1,2}}-[a-z]{{3}}-\d{{4}} {_CLOCK}\s+\d{{1,2}}-[a-z]{{3}}-\d{{4}} {_CLOCK}\b",
            "it lists intervals: make two rows of each, state on at its start and off at its end with the time as "
            "2008-02-25T00:20:14, the number as sensor, and add home and kind (front_door for the front door)",
        ),
        (
            r"\s*([01]\s+){20}\d+\s+\d+\s*$",
            "it is one day's matrix, a line a second and a column a sensor: make a row of each change of a column, "
            "the day and the line's second as time, the column as sensor; the last two columns are activities",
        ),
        (
            r".*\bMQTT publish: topic\b",
            "it is a log of Zigbee2MQTT: write a row for each publication of the door, state on where contact is false "
            f"and off where it is true, and {_LIST}",
        ),
        (
            r"\s*#(group|datatype|default)\b|,result,table\b",
            "it is an annotated export of InfluxDB: write _time as time and _value as state, on or off, leave the lines "
            f"that begin with # out, and {_LIST}",
        ),
        (
            r"name,time,|[^\s,]+(,[^\s=,]+=[^\s,]+)* [^\s=]+=\S+ \d{16,19}\s*$",
            "it is data of InfluxDB: write its time as 2024-03-01T07:40:00Z (it counts from 1970), its value as state, "
            f"on or off, and {_LIST}",
        ),
        (
            rf"\s*\d{{1,2}}[/.-]\d{{1,2}}[/.-]\d{{4}}[ ,\t]+{_CLOCK}",
            "its dates name day and month in an order that nobody can tell: write them as 2012-07-20, which is read as it "
            "is, line by line",
        ),
        (
            rf"[^,]+,\d{{1,2}}/\d{{1,2}}/\d{{4}},{_CLOCK}",
            "it lists activities, with sensors and their instants below each: make two rows of each sensor, state on at "
            f"the first instant and off at the second, and {_LIST}",
        ),
        (
            r"\s*(date|time|timestamp)\W.*(sensor|item|device).*(message|value|state|status)\s*$",
            "it is a log with a header of its own: call the columns time, sensor and state, the date and the clock in one, "
            "and add home and kind (front_door for the front door)",
        ),
        (
            r"\s*#",
            "it begins with a remark: take the lines that begin with # away",
        ),
        (
            r"[^\s,]+/[^\s,]+ [\[{]",
            "it lists messages by their topics: write a row for each message of the door, with the instant at which it came, "
            f"state on where it says open, and {_LIST}",
        ),
        (
            r"\s*[\[{]",
            "it is JSON: if it holds recorded messages of the edge, name it by --wire with --registry and --until",
        ),
    )
)


def remedy_of(line: str) -> str | None:
    """Say what a file with this first line is and how to bring it into the form of a recording; None if unknown."""
    return next((what for pattern, what in _FORMS if pattern.match(line)), None)
