"""Batteries: told once, days ahead, and neither for one odd value nor for a device that measures nothing."""

from __future__ import annotations

import random

import pytest

from ingest.signals.batteries import Batteries, BatteryFact, BatteryGood, BatteryLow
from kaimen.policy import DAY_MS, HOUR_MS

T = 1_700_000_000_000


def course(*percents: float, every_ms: int = HOUR_MS) -> list[BatteryLow | BatteryGood]:
    """What is told of a device that measures so, one value after the other."""
    batteries = Batteries()
    told = [batteries.measured("d", value, T + number * every_ms) for number, value in enumerate(percents)]
    return [item for item in told if item is not None]


def test_a_battery_that_measures_low_for_an_hour_is_told_once_and_its_end_with_the_new_one() -> None:
    low, good = course(16, 15, 14, 13, 12, 29, 12, 98, 97)
    assert isinstance(low, BatteryLow) and (low.fact.at_ms, low.percent) == (T + 2 * HOUR_MS, 14)
    assert isinstance(good, BatteryGood) and (good.key, good.percent) == (low.fact.key, 98)


@pytest.mark.parametrize(
    "percents",
    [
        (90, 3, 90, 4, 90),  # a value now and then
        (0, 0, 0, 0),  # on mains, or nothing measured
        (255, 3000, -1, 255),  # no percentages
        (40, 30, 20, 16, 16, 16),
    ],
)
def test_what_is_no_low_battery_is_not_told(percents: tuple[float, ...]) -> None:
    assert course(*percents) == []


def test_an_empty_battery_after_a_low_one_is_one() -> None:
    (low,) = course(5, 0, 0)
    assert isinstance(low, BatteryLow)


def test_two_low_values_of_one_minute_are_not_enough() -> None:
    assert course(9, 9, 9, every_ms=60_000) == []


def test_a_device_that_says_so_itself_is_believed_at_once_until_it_has_a_new_battery() -> None:
    batteries = Batteries()
    low = batteries.said("d", T, T)
    assert low is not None and low.fact.own_word and low.percent is None
    assert batteries.said("d", T + HOUR_MS, T + HOUR_MS) is None
    assert batteries.measured("d", 55, T + 2 * HOUR_MS) is None, (
        "half full by its own measure, and low by its word"
    )
    good = batteries.measured("d", 100, T + DAY_MS)
    assert isinstance(good, BatteryGood) and good.key == low.fact.key


def test_what_is_said_on_for_a_week_is_told_anew_in_the_place_of_the_first() -> None:
    batteries = Batteries({"d": BatteryFact("battery_low:d:1", T, own_word=True)})
    assert batteries.measured("d", 8, T + 7 * DAY_MS - 1) is None
    again = batteries.measured("d", 8, T + 7 * DAY_MS)
    assert isinstance(again, BatteryLow)
    assert again.instead_of == "battery_low:d:1" and again.fact.own_word and again.percent == 8


def test_a_word_of_a_week_ago_tells_nothing_of_the_battery_of_today() -> None:
    assert Batteries().said("d", T, T + 8 * DAY_MS) is None


def test_a_device_out_of_use_has_no_battery_to_change() -> None:
    batteries = Batteries()
    low = batteries.said("d", T, T)
    assert low is not None
    assert batteries.forget(["other", "d"]) == [low.fact]
    assert batteries.measured("d", 100, T + HOUR_MS) is None


def test_at_most_one_fact_stands_for_a_device_whatever_it_says() -> None:
    for seed in range(50):
        chance = random.Random(seed)
        batteries, standing, now_ms = Batteries(), set[str](), T
        for _ in range(300):
            now_ms += chance.choice((60_000, HOUR_MS, DAY_MS))
            if chance.random() < 0.1:
                item = batteries.said("d", now_ms - chance.randrange(DAY_MS), now_ms)
            else:
                item = batteries.measured(
                    "d", chance.choice((0, 5, 15, 16, 29, 30, 79, 80, 100, 255)), now_ms
                )
            if isinstance(item, BatteryLow):
                standing.discard(item.instead_of or "")
                standing.add(item.fact.key)
            elif isinstance(item, BatteryGood):
                standing.remove(item.key)
            assert len(standing) <= 1, f"seed {seed}"
            assert standing == {fact.key for fact in batteries.standing.values()}, f"seed {seed}"
