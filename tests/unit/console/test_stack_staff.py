"""When the office of the demo's past does what it was asked for: its hours, and how long people take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from console.stack.staff import People, Turn, _may_ring

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def turn(*, ahead: bool) -> Turn:
    return Turn(cast(Any, None), People({}), NOON, ahead)


def test_what_has_just_come_up_on_the_last_morning_is_left_to_the_visitor() -> None:
    assert turn(ahead=False).moment(NOON - 10 * MINUTE, 25 * MINUTE) is None
    assert turn(ahead=False).moment(NOON - 25 * MINUTE, 25 * MINUTE) == NOON


def test_where_the_next_turn_is_hours_away_it_is_done_in_the_time_it_takes() -> None:
    assert turn(ahead=True).moment(NOON, 25 * MINUTE) == NOON + 25 * MINUTE
    assert turn(ahead=True).moment(NOON, timedelta(hours=6)) == NOON + 40 * MINUTE
    assert turn(ahead=True).moment(NOON + MINUTE, 25 * MINUTE) is None


def test_nobody_is_telephoned_at_night_or_while_the_case_is_parked() -> None:
    free = {"held_until": None}
    assert _may_ring(free, NOON)
    assert not _may_ring(free, NOON + timedelta(hours=11))
    assert not _may_ring({"held_until": NOON + MINUTE}, NOON)
    assert _may_ring({"held_until": NOON}, NOON)
