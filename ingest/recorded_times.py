"""Times as recordings write them enter (ISO 8601, dates of many countries, counts from 1970); instants leave; pure.

``03/04/2024`` is a day in March or in April, and nothing in it says which: the order of a file follows from a date in it
that has only one, such as ``25/04/2024``. Where there is none, nobody can tell, and nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

#: Digits before the point -> how many milliseconds one counts.
_FACTORS = {9: 1000.0, 10: 1000.0, 13: 1.0, 12: 1.0, 15: 1e-3, 16: 1e-3, 18: 1e-6, 19: 1e-6}
_COUNT = re.compile(r"(\d{9,19})(?:[.,](\d{1,9}))?")
_COMPACT = re.compile(r"((?:19|20)\d{2})(\d{2})(\d{2})[T ]?(\d{2})(\d{2})(\d{2})?")
_CLOCK = (
    r"[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r" ?(?P<half>[AaPp]\.?[Mm]\.?)? ?(?P<zone>Z|[+-]\d{2}:?\d{2}|[A-Z]{2,5}|[A-Z][A-Za-z_]+/[A-Za-z_/]+)?(?:\[[\w/+-]+\])?"
)
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})[-/.年](?P<month>\d{1,2})[-/.月](?P<day>\d{1,2})日?" + _CLOCK)
_YEAR_LAST = re.compile(
    r"(?P<first>\d{1,2})(?P<dash>[./-])(?P<other>\d{1,2})(?P=dash)(?P<year>\d{4})" + _CLOCK
)
_NAMED = re.compile(r"(?P<day>\d{1,2})[- .](?P<name>[A-Za-z]{3})[a-z]*[- .,]+(?P<year>\d{4})" + _CLOCK)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SLASHED = re.compile(r"(?<![\d./-])(\d{1,2})([./-])(\d{1,2})\2\d{4}(?!\d)")
#: Zones whose letters mean one offset everywhere (hours); CST and IST are three zones each.
_ZONES = {
    "UTC": 0,
    "GMT": 0,
    "Z": 0,
    "WET": 0,
    "WEST": 1,
    "CET": 1,
    "CEST": 2,
    "EET": 2,
    "EEST": 3,
    "MSK": 3,
    "JST": 9,
}

#: A date that can be a day in one month or in another.
NOBODY_CAN_TELL = (
    "its dates name day and month in an order that nobody can tell: write them as 2012-07-20, which is read as it "
    "is, line by line"
)


class Order(StrEnum):
    """What comes first in a date that ends with the year."""

    DAY = "day"
    MONTH = "month"


def order_of(lines: Iterable[str]) -> Order | None:
    """Tell the order of dates from those that have but one; None where there is none, or they contradict one another."""
    seen: set[Order] = set()
    dotted = False
    for line in lines:
        for first, dash, other in _SLASHED.findall(line):
            if int(first) > 12:
                seen.add(Order.DAY)
            elif int(other) > 12:
                seen.add(Order.MONTH)
            dotted = dotted or dash == "."
    if not seen and dotted:  # nobody writes the month first with dots
        return Order.DAY
    return seen.pop() if len(seen) == 1 else None


class TimeError(ValueError):
    """A time that cannot be read; the text says why."""


def read_time(text: str, order: Order | None) -> tuple[int, int | None]:
    """Return the instant in milliseconds, and the offset it was written with; of a bare wall clock its own time and None.

    Raises
    ------
    TimeError
        If it is none, or names a zone or an order of day and month that nobody can tell.
    """
    counted = _COUNT.fullmatch(text)
    if counted is not None:
        return _counted(text, counted)
    try:
        at = datetime.fromisoformat(f"{text[:-4]}Z" if text.endswith(" UTC") else text)
    except ValueError:
        at = _written(text, order)
    offset = at.utcoffset()
    try:
        at_ms = round((at if offset is not None else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise _no_time(text) from error
    return at_ms, None if offset is None else round(offset.total_seconds() * 1000)


def _no_time(text: str) -> TimeError:
    return TimeError(f"time {text!r} is not ISO 8601, as 2024-03-01T07:40:00.000")


def _counted(text: str, counted: re.Match[str]) -> tuple[int, int | None]:
    whole, fraction = counted[1], counted[2]
    compact = _COMPACT.fullmatch(whole) if fraction is None and len(whole) in (12, 14) else None
    if compact is not None:
        try:
            year, month, day, hour, minute, second = (int(part or 0) for part in compact.groups())
            at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError as error:
            raise _no_time(text) from error
        return round(at.timestamp() * 1000), None
    factor = _FACTORS.get(len(whole))
    if factor is None:
        raise _no_time(text)
    return round((int(whole) + float(f"0.{fraction or 0}")) * factor), 0


def _written(text: str, order: Order | None) -> datetime:
    found = _YEAR_FIRST.fullmatch(text) or _NAMED.fullmatch(text)
    parts = {} if found is None else found.groupdict()
    if found is None:
        found = _YEAR_LAST.fullmatch(text)
        if found is None:
            raise _no_time(text)
        if order is None:
            raise TimeError(NOBODY_CAN_TELL)
        parts = found.groupdict()
        parts["day"], parts["month"] = (
            (found["first"], found["other"]) if order is Order.DAY else (found["other"], found["first"])
        )
    if "name" in parts:
        name = parts["name"].lower()
        if name not in _MONTHS:
            raise _no_time(text)
        parts["month"] = str(_MONTHS.index(name) + 1)
    try:
        zone = None if parts["zone"] is None else _zone(parts["zone"])
        return datetime(
            int(parts["year"]), int(parts["month"]), int(parts["day"]), _hour(parts), int(parts["minute"]),
            int(parts["second"] or 0), int((parts["fraction"] or "0").ljust(6, "0")[:6]), tzinfo=zone,
        )  # fmt: skip
    except TimeError:
        raise
    except ValueError as error:
        raise _no_time(text) from error


def _hour(parts: dict[str, str]) -> int:
    hour = int(parts["hour"])
    if not parts["half"]:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError("an hour of half a day is 1 to 12")
    return hour % 12 + (12 if parts["half"][0] in "Pp" else 0)


def _zone(text: str) -> timezone | ZoneInfo:
    if text[0] in "+-":
        plain = text.replace(":", "")
        size = timedelta(hours=int(plain[1:3]), minutes=int(plain[3:5]))
        return timezone(-size if text[0] == "-" else size)
    if text in _ZONES:
        return timezone(timedelta(hours=_ZONES[text]))
    try:
        return ZoneInfo(text) if "/" in text else _unknown(text)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise TimeError(f"zone {text!r} is not known: write the offset, as +08:00") from error


def _unknown(text: str) -> ZoneInfo:
    raise TimeError(f"zone {text!r} means several: write the offset, as +08:00")
