"""A home that agreed to early watch, told in days: when somebody is told, and when nobody may be."""

from __future__ import annotations

from ingest.early import Method
from ingest.early.live import LATE_MS, TICK_MS, Blind, LiveHome, Report, Turn

HOUR = 3_600_000
DAY = 24 * HOUR
MONDAY = 20_000 * DAY
MOTION, DOOR = 7, 8


def motion(at_ms: int, seq: int) -> Report:
    return Report(at_ms, MOTION, 1, seq, False, "Motion", None)


def usual_days(days: int) -> list[Report]:
    """Up at seven, to bed at ten, something every twenty minutes."""
    found: list[Report] = []
    for day in range(days):
        for minute in range(7 * 60, 22 * 60, 20):
            found.append(motion(MONDAY + day * DAY + minute * 60_000, len(found) + 1))
    return found


class Living:
    """A home that is ticked; reports are handed in as a store would, the last two days again each time."""

    def __init__(self, reports: list[Report]) -> None:
        self.home = LiveHome(Method.HAZARD, lambda at_ms: at_ms)
        self.reports = reports
        self.blind: list[Blind] = []
        self.standing = False
        self.alerts: list[int] = []
        self.ends: list[tuple[int, bool]] = []
        self.first = True

    def tick(self, tick_ms: int, *, is_absent: bool = False) -> Turn:
        since = 0 if self.first else tick_ms - LATE_MS
        self.first = False
        stored = [report for report in self.reports if since <= report.at_ms <= tick_ms]
        turn = self.home.tick(tick_ms, stored, self.blind, is_absent=is_absent, standing=self.standing)
        if turn.alert is not None:
            self.alerts.append(turn.alert.at_ms)
            self.standing = True
        if turn.over is not None:
            self.ends.append((turn.over.at_ms, turn.over.heard))
            self.standing = False
        return turn

    def until(self, from_ms: int, to_ms: int) -> None:
        for tick_ms in range(from_ms, to_ms + 1, TICK_MS):
            self.tick(tick_ms)


def test_a_morning_without_a_sound_is_told_on_the_same_day_and_ends_when_she_is_heard() -> None:
    living = Living(usual_days(20))
    day = MONDAY + 20 * DAY
    living.until(day, day + 20 * HOUR)
    assert len(living.alerts) == 1
    assert 2 * HOUR < living.alerts[0] - (day - 2 * HOUR - 20 * 60_000) < 18 * HOUR
    living.reports.append(motion(day + 20 * HOUR + 60_000, 99_999))
    living.until(day + 20 * HOUR + TICK_MS, day + 21 * HOUR)
    assert living.ends == [(day + 20 * HOUR + 60_000, True)]
    assert len(living.alerts) == 1


def test_an_ordinary_day_tells_nobody() -> None:
    living = Living(usual_days(21))
    living.until(MONDAY + 20 * DAY, MONDAY + 21 * DAY)
    assert living.alerts == []


def test_a_sensor_that_is_not_heard_is_never_a_silent_person() -> None:
    living = Living(usual_days(20))
    day = MONDAY + 20 * DAY
    living.blind = [Blind(day - HOUR, None)]
    living.until(day, day + 40 * HOUR)
    assert living.alerts == []
    assert living.tick(day + 41 * HOUR).reason == "not_known"


def test_after_a_blind_span_silence_begins_anew_and_is_told_in_its_own_time() -> None:
    seen, unseen = Living(usual_days(20)), Living(usual_days(20))
    day = MONDAY + 20 * DAY
    unseen.blind = [Blind(day + 6 * HOUR, day + 12 * HOUR)]
    for living in (seen, unseen):
        living.until(day, day + 30 * HOUR)
    assert len(seen.alerts) == len(unseen.alerts) == 1
    assert unseen.alerts[0] >= day + 12 * HOUR + 4 * HOUR > seen.alerts[0]


def test_a_declared_absence_tells_nobody_and_ends_what_stands() -> None:
    living = Living(usual_days(20))
    day = MONDAY + 20 * DAY
    living.until(day, day + 20 * HOUR)
    assert living.standing
    turn = living.tick(day + 21 * HOUR, is_absent=True)
    assert turn.reason == "absent" and turn.over is not None and not turn.over.heard
    for hours in range(22, 60):
        living.tick(day + hours * HOUR, is_absent=True)
    assert len(living.alerts) == 1


def test_who_left_by_the_door_is_left_to_the_ladder() -> None:
    reports = usual_days(20)
    day = MONDAY + 20 * DAY
    reports += [
        Report(day - 90 * 60_000, DOOR, 1, 1, True, "DoorPhysicalState", "Open"),
        Report(day - 89 * 60_000, DOOR, 1, 2, True, "DoorPhysicalState", "Closed"),
    ]
    living = Living(reports)
    living.until(day, day + 80 * HOUR)
    assert living.alerts == []


def test_reports_given_again_change_nothing() -> None:
    once, twice = Living(usual_days(20)), Living(usual_days(20))
    twice.reports = [report for report in twice.reports for _ in range(2)]
    day = MONDAY + 20 * DAY
    for living in (once, twice):
        living.until(day, day + 20 * HOUR)
    assert once.alerts == twice.alerts != []


def test_a_late_sign_of_life_ends_the_alert() -> None:
    living = Living(usual_days(20))
    day = MONDAY + 20 * DAY
    living.until(day, day + 20 * HOUR)
    living.reports.append(motion(day + 8 * HOUR, 99_998))
    turn = living.tick(day + 20 * HOUR + TICK_MS)
    assert turn.over is not None and turn.over.heard
