"""Duty as iCalendar: a community's duty enters and one person's feed leaves; a calendar file enters, shifts leave.

Going out, instants are in UTC: whatever reads the feed knows its own zone. Coming in, a recurring shift is expanded in
the wall time of its own zone and placed by the rule of :func:`alerts.duty.roster.instant_of`, as every other shift is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rruleset, rrulestr
from icalendar import Calendar, Event

from alerts.duty.deputies import acts_for
from alerts.duty.roster import CommunityDuty, Shift, instant_of, stretches

FEED_BACK = timedelta(days=14)
FEED_AHEAD = timedelta(days=60)
IMPORT_AHEAD = timedelta(days=400)
FILE_BYTES_MAX = 1_000_000
EVENTS_MAX = 2_000
SHIFTS_MAX = 5_000
SHIFT_LENGTH_MAX = timedelta(hours=36)
_MARGIN = timedelta(days=2)


class CalendarError(ValueError):
    """The file cannot be taken; ``word`` stands below ``duty.error``, ``detail`` says which event."""

    def __init__(self, word: str, detail: str = "") -> None:
        super().__init__(f"{word}: {detail}" if detail else word)
        self.word = word
        self.detail = detail


def write_feed(
    duty: CommunityDuty, person_id: int, *, title: str, standing_in: str = "", now: datetime
) -> bytes:
    """Return the calendar of one person's shifts, two weeks back and two months ahead; nothing about anybody else.

    A shift she works because she stands in for somebody is called ``standing_in``, without a name.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//Kaimen//duty//")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", title)
    person = duty.people.get(person_id)
    for role in () if person is None else person.roles:
        if not duty.has_roster(role):
            continue
        # A little more on both sides, so that no shift is cut: a calendar program knows it again by its begin.
        for item in stretches(duty, role, now - FEED_BACK - _MARGIN, now + FEED_AHEAD + _MARGIN):
            shown = item.to_at > now - FEED_BACK and item.from_at < now + FEED_AHEAD
            if shown and person_id in item.on_duty.people:
                own = not acts_for(duty, person_id, item.from_at)
                summary = title if own else standing_in or title
                calendar.add_component(_event(person_id, summary, item.from_at, item.to_at, now))
    return bytes(calendar.to_ical())


def _event(person_id: int, title: str, from_at: datetime, to_at: datetime, now: datetime) -> Event:
    event = Event()
    event.add("uid", f"{person_id}-{int(from_at.timestamp())}@duty.kaimen")
    event.add("dtstamp", now.astimezone(UTC))
    event.add("dtstart", from_at.astimezone(UTC))
    event.add("dtend", to_at.astimezone(UTC))
    event.add("summary", title)
    return event


@dataclass(frozen=True, slots=True)
class _Occurrence:
    from_at: datetime
    to_at: datetime
    wall: datetime


def read_shifts(
    data: bytes, people: Mapping[str, int], *, zone: str, now: datetime
) -> list[tuple[Shift, str]]:
    """Return the shifts of a calendar that end after ``now``, with their events' ids, in order.

    ``people`` maps the names by which people are known here to their ids; an event's SUMMARY, or its ATTENDEE's CN,
    is one of them. A PRIORITY of 1 to 9 is the person's place in the order.

    Raises
    ------
    CalendarError
        ``not_a_calendar``, ``too_large``, ``too_many``, ``unknown_person``, ``no_end``, ``too_long``,
        ``unknown_zone``, ``bad_rule``, ``nothing_in_it``.
    """
    if len(data) > FILE_BYTES_MAX:
        raise CalendarError("too_large")
    try:
        events = list(Calendar.from_ical(data).walk("VEVENT"))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise CalendarError("not_a_calendar") from None
    if len(events) > EVENTS_MAX:
        raise CalendarError("too_many", str(EVENTS_MAX))
    moved = {_moved_key(event) for event in events if event.get("RECURRENCE-ID") is not None}
    found: list[tuple[Shift, str]] = []
    for event in events:
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        person, uid = _person_of(event, people), str(event.get("UID", ""))
        for item in _occurrences(event, zone, now):
            if event.get("RECURRENCE-ID") is None and (uid, item.wall) in moved:
                continue
            if item.to_at > now:
                found.append((Shift(item.from_at, item.to_at, person, _position(event)), uid))
        if len(found) > SHIFTS_MAX:
            raise CalendarError("too_many", str(SHIFTS_MAX))
    if not found:
        raise CalendarError("nothing_in_it")
    return sorted(found, key=lambda pair: (pair[0].from_at, pair[0].position, pair[0].person))


def _title_of(event: Any) -> str:
    return str(event.get("SUMMARY", ""))[:60] or str(event.get("UID", ""))[:60]


def _person_of(event: Any, people: Mapping[str, int]) -> int:
    attendees = event.get("ATTENDEE") or []
    listed = attendees if isinstance(attendees, list) else [attendees]
    given = [str(getattr(attendee, "params", {}).get("CN", "")) for attendee in listed]
    for name in (part.strip() for part in (str(event.get("SUMMARY", "")), *given)):
        if name in people:
            return people[name]
    raise CalendarError("unknown_person", _title_of(event))


def _position(event: Any) -> int:
    try:
        return min(max(int(event.get("PRIORITY", 1)), 1), 9)
    except (TypeError, ValueError):
        return 1


def _wall_and_zone(value: date | datetime, zone: str) -> tuple[datetime, str]:
    """Return a wall time and the zone it is of; a bare date is its midnight, a floating time the community's."""
    if not isinstance(value, datetime):
        return datetime.combine(value, time(0)), zone
    if value.tzinfo is None:
        return value, zone
    name = getattr(value.tzinfo, "key", None)
    if name is None and value.utcoffset() == timedelta(0):
        name = "UTC"
    try:
        ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError):
        raise CalendarError("unknown_zone", str(value.tzinfo)[:60]) from None
    return value.replace(tzinfo=None, fold=0), str(name)


def _moved_key(event: Any) -> tuple[str, datetime]:
    return str(event.get("UID", "")), _wall_and_zone(event["RECURRENCE-ID"].dt, "UTC")[0]


def _occurrences(event: Any, zone: str, now: datetime) -> Iterator[_Occurrence]:
    if event.get("DTSTART") is None:
        raise CalendarError("no_end", _title_of(event))
    start, place = _wall_and_zone(event["DTSTART"].dt, zone)
    length = _length(event, start, zone)
    for wall in _walls(event, start, place, now):
        yield _Occurrence(instant_of(place, wall), instant_of(place, wall + length), wall)


def _length(event: Any, start: datetime, zone: str) -> timedelta:
    if event.get("DTEND") is not None:
        end, _ = _wall_and_zone(event["DTEND"].dt, zone)
        length = end - start
    elif event.get("DURATION") is not None:
        length = event["DURATION"].dt
    else:
        raise CalendarError("no_end", _title_of(event))
    if not timedelta(0) < length <= SHIFT_LENGTH_MAX:
        raise CalendarError("too_long", _title_of(event))
    return timedelta(seconds=length.total_seconds())


def _walls(event: Any, start: datetime, place: str, now: datetime) -> Iterator[datetime]:
    """The wall times at which an event begins: its own, its rule's, RDATEs, less EXDATEs; bounded ahead."""
    rules = event.get("RRULE")
    if rules is None and event.get("RDATE") is None:
        yield start
        return
    wanted = rruleset()
    wanted.rdate(start)
    last = (now + IMPORT_AHEAD).astimezone(ZoneInfo(place)).replace(tzinfo=None)
    try:
        for rule in rules if isinstance(rules, list) else [rules] if rules is not None else []:
            parsed = rrulestr(_naive_rule(rule, place), dtstart=start)
            if not isinstance(parsed, rrule):
                raise ValueError("a rule in a rule")
            wanted.rrule(parsed)
        for wall in _listed(event.get("RDATE"), place):
            wanted.rdate(wall)
        for wall in _listed(event.get("EXDATE"), place):
            wanted.exdate(wall)
        first = now.astimezone(ZoneInfo(place)).replace(tzinfo=None) - 2 * SHIFT_LENGTH_MAX
        for count, wall in enumerate(wanted.xafter(first, inc=True)):
            if wall > last:
                return
            if count >= SHIFTS_MAX:
                raise CalendarError("too_many", str(SHIFTS_MAX))
            yield wall
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, CalendarError):
            raise
        raise CalendarError("bad_rule", _title_of(event)) from None


def _naive_rule(rule: Any, place: str) -> str:
    """Write a rule whose UNTIL is a wall time of its own zone, as its begin is."""
    parts = dict(rule)
    if str(parts.get("FREQ", ["?"])[0]).upper() in ("SECONDLY", "MINUTELY"):
        raise ValueError("a shift every minute")
    text = ";".join(part for part in rule.to_ical().decode().split(";") if not part.startswith("UNTIL="))
    until = parts.get("UNTIL")
    if until:
        value = until[0] if isinstance(until, list) else until
        if isinstance(value, datetime) and value.tzinfo is not None:
            value = value.astimezone(ZoneInfo(place)).replace(tzinfo=None)
        elif not isinstance(value, datetime):
            value = datetime.combine(value, time(23, 59, 59))
        text += f";UNTIL={value:%Y%m%dT%H%M%S}"
    return text


def _listed(value: Any, place: str) -> Iterator[datetime]:
    for item in value if isinstance(value, list) else [value] if value is not None else []:
        for entry in item.dts:
            wall, of_zone = _wall_and_zone(entry.dt, place)
            yield (
                wall
                if of_zone == place
                else (wall.replace(tzinfo=ZoneInfo(of_zone)).astimezone(ZoneInfo(place)).replace(tzinfo=None))
            )
