"""The demo's clock in people's hands: continuous, never back, slow for readers, standing where it was sent."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from console.stack.folder import StackFolder
from console.stack.steering import ARRIVAL_MARGIN_MS, SPEED_MAX, Steering, Wish
from kaimen.clock import ClockSetting, FileClock, SystemClock, write_clock

START_MS = 1_790_000_000_000
DAY_MS = 86_400_000


@pytest.fixture
def folder(tmp_path: Path) -> StackFolder:
    made = StackFolder(tmp_path)
    made.prepare()
    write_clock(made.clock, ClockSetting(SystemClock().now_ms(), START_MS, 0.0))
    return made


@pytest.fixture
def steering(folder: StackFolder) -> Steering:
    return Steering(folder)


def wall_ms() -> int:
    return SystemClock().now_ms()


def test_the_clock_stands_until_it_is_played(steering: Steering) -> None:
    assert steering.begin(None) == START_MS
    time.sleep(0.05)
    assert steering.now_ms() == START_MS
    steering.welcome()
    steering.play()
    time.sleep(0.1)
    assert steering.now_ms() > START_MS


def test_readers_of_a_case_slow_the_clock_to_the_speed_of_life(steering: Steering) -> None:
    steering.begin(None)
    steering.play()
    steering.set_readers(1)
    assert steering.wish().effective_speed == 1.0
    steering.set_readers(0)
    assert steering.wish().effective_speed == 1_440.0


def test_a_speed_asked_for_at_the_start_holds_for_readers_too(steering: Steering) -> None:
    steering.begin(2_880.0)
    steering.play()
    steering.set_readers(3)
    assert steering.wish().effective_speed == 2_880.0


def test_readers_do_not_start_a_paused_clock(steering: Steering) -> None:
    steering.begin(None)
    steering.set_readers(1)
    assert steering.wish().effective_speed == 0.0


@pytest.mark.parametrize("speed", [0.0, -1.0, SPEED_MAX + 1, float("nan")])
def test_impossible_speeds_are_refused(steering: Steering, speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        steering.set_speed(speed)


def test_a_clock_sent_to_a_crossing_stands_there(steering: Steering) -> None:
    steering.begin(None)
    target_ms = START_MS + 60_000
    steering.travel_to(target_ms)
    deadline = time.monotonic() + 10
    while steering.now_ms() < target_ms + ARRIVAL_MARGIN_MS:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    steering.look()
    assert steering.wish() == Wish(paused=True, awaited=True)
    time.sleep(0.05)
    assert steering.now_ms() == target_ms + ARRIVAL_MARGIN_MS


def test_no_reader_of_the_clock_ever_sees_time_go_back_while_it_is_steered(
    folder: StackFolder, steering: Steering
) -> None:
    steering.begin(None)
    clocks = [FileClock(folder.clock) for _ in range(3)]
    latest = [START_MS] * 3
    acts = [
        steering.play, lambda: steering.set_speed(2_880), lambda: steering.set_readers(1),
        lambda: steering.set_readers(0), steering.pause, steering.play,
    ]  # fmt: skip
    for act in acts:
        act()
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            for index, clock in enumerate(clocks):
                now_ms = clock.now_ms()
                assert now_ms >= latest[index]
                latest[index] = now_ms
            # However late a process reads the new file, none is ahead of the others by more than a blink.
            assert max(latest) - min(latest) < 2_880 * 80


def test_slowing_down_leaves_no_process_waiting_for_the_others(
    folder: StackFolder, steering: Steering
) -> None:
    steering.begin(None)
    steering.set_speed(2_880)
    clock = FileClock(folder.clock)
    time.sleep(0.1)
    clock.now_ms()
    steering.set_readers(1)  # from a day per half minute to the speed of life
    time.sleep(0.1)
    ahead_ms = clock.now_ms() - steering.now_ms()
    assert abs(ahead_ms) <= 1_000


def test_time_that_passed_while_nothing_ran_did_not_pass_in_the_community(
    folder: StackFolder, steering: Steering
) -> None:
    steering.begin(None)
    steering.play()
    time.sleep(0.05)
    steering.end()
    ended_ms = steering.now_ms()
    time.sleep(0.1)
    assert Steering(folder).begin(None) == ended_ms


def test_after_a_kill_the_clock_goes_on_near_where_it_was_last_noted(folder: StackFolder) -> None:
    # Killed an hour ago, at a day per minute, half a second after the last note.
    hour_ago_ms = wall_ms() - 3_600_000
    write_clock(folder.clock, ClockSetting(hour_ago_ms, START_MS, 1_440.0))
    steering = Steering(folder)
    (folder.root / "clock-noted.json").write_text(f'{{"now_ms": {START_MS + DAY_MS}}}')
    begun_ms = steering.begin(None)
    assert START_MS + DAY_MS <= begun_ms <= START_MS + DAY_MS + 3_600_000


def test_the_chosen_speed_is_kept_over_a_restart(folder: StackFolder, steering: Steering) -> None:
    steering.begin(720.0)
    steering.end()
    Steering(folder).begin(None)
    assert Steering(folder).wish().speed == 720.0
    assert Steering(folder).wish().fixed is False
