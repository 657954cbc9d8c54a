"""Public holidays and make-up workdays: tables of years enter, whether a day is worked and its mark leave; pure.

A working week is Monday to Friday, less the holidays of its year's table, plus its make-up workdays. Of a year
without a table nothing is assumed: the plain week stands, and readiness says that the table is missing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

HOLIDAY_DAYS_MAX = 60


class HolidayTableError(ValueError):
    """A table of a year does not say what it has to; the message says what, and how to mend it."""


@dataclass(frozen=True, slots=True)
class HolidayTable:
    """Known years; ``holidays`` maps a day to its name, ``workdays`` are week-ends that are worked."""

    years: frozenset[int] = frozenset()
    holidays: Mapping[date, str] = field(default_factory=dict)
    workdays: frozenset[date] = frozenset()
    sources: Mapping[int, str] = field(default_factory=dict)

    def is_workday(self, day: date) -> bool:
        """Say whether offices work on ``day``; in an unknown year: whether it is Monday to Friday."""
        if day in self.workdays:
            return True
        return day not in self.holidays and day.weekday() < 5

    def with_year(self, other: HolidayTable) -> HolidayTable:
        """Return the table with the years of ``other`` instead of its own of the same number."""
        kept = {day: name for day, name in self.holidays.items() if day.year not in other.years}
        worked = {day for day in self.workdays if day.year not in other.years}
        return HolidayTable(
            self.years | other.years,
            {**kept, **other.holidays},
            frozenset(worked | other.workdays),
            {**self.sources, **other.sources},
        )


NO_HOLIDAYS = HolidayTable()


def make_year(
    year: int, holidays: Mapping[date, str], workdays: Collection[date], source: str
) -> HolidayTable:
    """Return the table of one year.

    Raises
    ------
    HolidayTableError
        If a day lies in another year, is both, or a make-up workday is no week-end; if there is no source.
    """
    for day in (*holidays, *workdays):
        if day.year != year:
            raise HolidayTableError(f"{day} does not lie in {year}: give each year its own table")
    both = sorted(set(holidays) & set(workdays))
    if both:
        raise HolidayTableError(f"{both[0]} is given as a holiday and as a workday: leave one away")
    wrong = sorted(day for day in workdays if day.weekday() < 5)
    if wrong:
        raise HolidayTableError(f"{wrong[0]} is worked anyway: a make-up workday is a Saturday or a Sunday")
    if not holidays or len(holidays) > HOLIDAY_DAYS_MAX:
        raise HolidayTableError(f"a year has 1 to {HOLIDAY_DAYS_MAX} days of holiday, not {len(holidays)}")
    if not source.strip():
        raise HolidayTableError("the table names no source: say which announcement it is from")
    return HolidayTable(frozenset({year}), dict(holidays), frozenset(workdays), {year: source.strip()})


def parse_years(text: str) -> HolidayTable:
    """Return the table of a TOML text with ``[[years]]`` (see ``calendars/cn.toml``).

    Raises
    ------
    HolidayTableError
        With what does not fit and where.
    """
    try:
        tables = tomllib.loads(text)["years"]
    except tomllib.TOMLDecodeError as error:
        raise HolidayTableError(f"this is no TOML: {error}") from None
    except KeyError:
        raise HolidayTableError("there is no [[years]] in it") from None
    found = NO_HOLIDAYS
    for table in tables:
        found = found.with_year(_parse_year(table))
    return found


def _parse_year(table: Mapping[str, Any]) -> HolidayTable:
    try:
        year = table["year"]
        spans = [(item["name"], item["from"], item.get("to", item["from"])) for item in table["holidays"]]
        workdays = list(table.get("workdays", ()))
        source = table["source"]
    except (KeyError, TypeError) as error:
        raise HolidayTableError(f"a year needs year, source, holidays with name, from, to: {error}") from None
    days = [day for _, first, last in spans for day in (first, last)]
    if not isinstance(year, int) or not all(type(day) is date for day in (*days, *workdays)):
        raise HolidayTableError(f"in {year} a day is not a date: write 2027-01-01, without quotation marks")
    holidays = {day: str(name) for name, first, last in spans for day in each_day(first, last)}
    return make_year(year, holidays, workdays, str(source))


def each_day(first: date, last: date) -> Iterable[date]:
    """Return the days from ``first`` to ``last``, both included; bounded to a table's length."""
    span = min((last - first).days, HOLIDAY_DAYS_MAX)
    return (first + timedelta(days=count) for count in range(span + 1))


@cache
def own_holidays() -> HolidayTable:
    """Return the years this program brings with it."""
    return parse_years((files("alerts") / "calendars" / "cn.toml").read_text(encoding="utf-8"))
