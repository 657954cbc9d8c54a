"""Shifts from and to calendars: expansion against instants written by hand, and files that are refused."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from icalendar import Calendar

from alerts.duty.roster import CommunityDuty, DutyRoster, Person, Rule
from console.duty.calendar import CalendarError, read_shifts, write_feed
from kaimen.vocabulary import Role

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PEOPLE = {"李": 1, "王": 2}


def calendar(*events: str) -> bytes:
    body = "".join(f"BEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\n" for event in events)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\n{body}END:VCALENDAR\r\n".encode()


def read(*events: str, zone: str = "Asia/Shanghai") -> list[tuple[int, datetime, datetime]]:
    found = read_shifts(calendar(*events), PEOPLE, zone=zone, now=NOW)
    return [(shift.person, shift.from_at, shift.to_at) for shift, _ in found]


def test_a_single_shift_in_utc_and_one_in_the_communitys_time_are_the_same_instants() -> None:
    utc = read("UID:1\r\nSUMMARY:李\r\nDTSTART:20260302T000000Z\r\nDTEND:20260302T100000Z")
    local = read("UID:1\r\nSUMMARY:李\r\nDTSTART:20260302T080000\r\nDURATION:PT10H")
    assert utc == local == [(1, datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 2, 10, tzinfo=UTC))]


def test_a_weekly_rule_loses_its_exdates_gains_its_rdates_and_ends_with_until() -> None:
    found = read(
        "UID:1\r\nSUMMARY:李\r\nDTSTART;TZID=Asia/Shanghai:20260302T080000\r\nDTEND;TZID=Asia/Shanghai:20260302T180000\r\n"
        "RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20260323T000000Z\r\nEXDATE;TZID=Asia/Shanghai:20260309T080000\r\n"
        "RDATE;TZID=Asia/Shanghai:20260314T080000"
    )
    assert [begin.astimezone(UTC).day for _, begin, _ in found] == [2, 14, 16, 23]


def test_a_recurring_shift_keeps_its_wall_time_when_clocks_change() -> None:
    found = read(
        "UID:1\r\nSUMMARY:李\r\nDTSTART;TZID=Europe/Berlin:20260328T080000\r\nDTEND;TZID=Europe/Berlin:20260328T160000\r\n"
        "RRULE:FREQ=DAILY;COUNT=3",
        zone="Europe/Berlin",
    )
    assert [begin.hour for _, begin, _ in found] == [7, 6, 6]


def test_one_moved_occurrence_takes_the_place_of_its_own_alone() -> None:
    found = read(
        "UID:1\r\nSUMMARY:李\r\nDTSTART:20260302T080000\r\nDTEND:20260302T180000\r\nRRULE:FREQ=DAILY;COUNT=3",
        "UID:1\r\nSUMMARY:王\r\nRECURRENCE-ID:20260303T080000\r\nDTSTART:20260303T090000\r\nDTEND:20260303T180000",
    )
    assert [(person, begin.hour) for person, begin, _ in found] == [(1, 0), (2, 1), (1, 0)]


def test_a_rule_without_end_is_taken_for_a_year_and_a_cancelled_shift_not_at_all() -> None:
    daily = "UID:1\r\nSUMMARY:李\r\nDTSTART:20200101T080000\r\nDTEND:20200101T180000\r\nRRULE:FREQ=DAILY"
    assert 395 < len(read(daily)) < 405
    with pytest.raises(CalendarError, match="nothing_in_it"):
        read(daily + "\r\nSTATUS:CANCELLED")


@pytest.mark.parametrize(
    ("event", "word"),
    [
        ("UID:1\r\nSUMMARY:谁\r\nDTSTART:20260302T080000\r\nDTEND:20260302T180000", "unknown_person"),
        ("UID:1\r\nSUMMARY:李\r\nDTSTART:20260302T080000", "no_end"),
        ("UID:1\r\nSUMMARY:李\r\nDTEND:20260302T080000", "no_end"),
        ("UID:1\r\nSUMMARY:李\r\nDTSTART:20260302T080000\r\nDTEND:20260305T180000", "too_long"),
        ("UID:1\r\nSUMMARY:李\r\nDTSTART:20260302T180000\r\nDTEND:20260302T080000", "too_long"),
        (
            "UID:1\r\nSUMMARY:李\r\nDTSTART:20260302T080000\r\nDURATION:PT1H\r\nRRULE:FREQ=MINUTELY",
            "bad_rule",
        ),
        ("UID:1\r\nSUMMARY:李\r\nDTSTART:20200302T080000\r\nDURATION:PT1H", "nothing_in_it"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_a_word(event: str, word: str) -> None:
    with pytest.raises(CalendarError, match=word):
        read(event)


@pytest.mark.parametrize(
    "data", [b"", b"\x00\xff", b"BEGIN:VCALENDAR", b"hello", b"BEGIN:VEVENT\r\nEND:VEVENT"]
)
def test_what_is_no_calendar_is_refused(data: bytes) -> None:
    with pytest.raises(CalendarError):
        read_shifts(data, PEOPLE, zone="Asia/Shanghai", now=NOW)


def test_a_feed_has_ones_own_shifts_and_comes_back_as_it_went_out() -> None:
    people = {1: Person(1, "李", Role.PROPERTY_CLERK), 2: Person(2, "王", Role.PROPERTY_CLERK)}
    rules = (Rule("every", time(8), time(18), (1,)), Rule("every", time(18), time(8), (2,)))
    duty = CommunityDuty("c1", rosters={Role.PROPERTY_CLERK: DutyRoster(rules)}, people=people)
    data = write_feed(duty, 1, title="李", now=NOW)
    events = Calendar.from_ical(data).walk("VEVENT")
    assert len(events) == 74
    assert "王" not in data.decode()
    again = read_shifts(data, PEOPLE, zone="Asia/Shanghai", now=NOW)
    assert all(shift.to_at - shift.from_at == timedelta(hours=10) for shift, _ in again)
    assert write_feed(duty, 99, title="x", now=NOW).count(b"VEVENT") == 0
