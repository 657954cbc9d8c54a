"""The first line of a file that is no recording enters; which published form it is, and how to make one of it, leaves."""

from __future__ import annotations

import re

_CLOCK = r"\d{1,2}:\d{2}:\d{2}"
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
            rf"\s*start time\s+end time\b|\s*\d{{4}}-\d\d-\d\d {_CLOCK}\s+\d{{4}}-\d\d-\d\d {_CLOCK}\b",
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
            r"\s*[\[{]",
            "it is JSON: if it holds recorded messages of the edge, name it by --wire with --registry and --until",
        ),
    )
)


def remedy_of(line: str) -> str | None:
    """Say what a file with this first line is and how to bring it into the form of a recording; None if unknown."""
    return next((what for pattern, what in _FORMS if pattern.match(line)), None)
