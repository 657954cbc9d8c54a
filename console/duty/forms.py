"""Forms of the duty pages: what was typed enters, rules, spans and people leave, or what is wrong with each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time

from alerts.duty.roster import EVERY, REST_DAYS, WEEK_DAYS, WORKDAYS, Rule
from console.duty.shown import RULES_MAX, RuleRow
from console.seat import parse_local_time

PEOPLE_MAX = 20
_SEPARATORS = re.compile(r"[、,，;；\n]+")


class PeopleError(ValueError):
    """Somebody named is not known here; the name as it was typed."""


def parse_people(text: str, known: Mapping[str, int]) -> tuple[int, ...]:
    """Return the people named in order, separated by commas.

    Raises
    ------
    PeopleError
        If a name is not one of ``known``, or nobody or too many are named.
    """
    names = [part.strip() for part in _SEPARATORS.split(text) if part.strip()]
    if not 1 <= len(names) <= PEOPLE_MAX:
        raise PeopleError("")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise PeopleError(unknown[0])
    return tuple(dict.fromkeys(known[name] for name in names))


def read_rows(form: Mapping[str, str]) -> list[RuleRow]:
    """Return the lines of the editor that say anything."""
    rows: list[RuleRow] = []
    for index in range(RULES_MAX):
        row = RuleRow(
            len(rows),
            form.get(f"days-{index}", EVERY)[:20],
            tuple(day for day in WEEK_DAYS if form.get(f"on-{index}-{day}")),
            form.get(f"start-{index}", "")[:20].strip(),
            form.get(f"end-{index}", "")[:20].strip(),
            form.get(f"people-{index}", "")[:500].strip(),
            form.get(f"first_day-{index}", "")[:20].strip(),
            form.get(f"last_day-{index}", "")[:20].strip(),
        )
        if row.start or row.end or row.people:
            rows.append(row)
    return rows


def parse_rows(rows: list[RuleRow], known: Mapping[str, int]) -> tuple[list[Rule], list[RuleRow]]:
    """Return the rules of the lines, and the lines with what is wrong with each."""
    rules: list[Rule] = []
    shown: list[RuleRow] = []
    for row in rows:
        rule, error = _parse_row(row, known)
        shown.append(replace(row, error=error))
        if rule is not None:
            rules.append(rule)
    return rules, shown


def _parse_row(row: RuleRow, known: Mapping[str, int]) -> tuple[Rule | None, str]:
    try:
        start, end = time.fromisoformat(row.start), time.fromisoformat(row.end)
        first = date.fromisoformat(row.first_day) if row.first_day else None
        last = date.fromisoformat(row.last_day) if row.last_day else None
    except ValueError:
        return None, "not_a_time"
    if start.tzinfo or end.tzinfo or start.second or end.second:
        return None, "not_a_time"
    if first and last and first > last:
        return None, "from_after_to"
    days = " ".join(row.listed) if row.days == "listed" else row.days
    if not days or (row.days != "listed" and days not in (EVERY, WORKDAYS, REST_DAYS)):
        return None, "no_days"
    try:
        people = parse_people(row.people, known)
    except PeopleError:
        return None, "unknown_person"
    return Rule(days, start, end, people, first, last), ""


def parse_span(from_text: str, to_text: str, zone: str) -> tuple[datetime, datetime] | None:
    """Return two instants of a form, or None where one is none."""
    from_at, to_at = parse_local_time(from_text, zone), parse_local_time(to_text, zone)
    return None if from_at is None or to_at is None else (from_at, to_at)
