"""Early watch: what makes her in or out, what is learned, and that silence never reassures."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import early
from ingest.detector import compiled as compiled_module
from ingest.early import EarlyWatch, HomeWatch, Method, Place, Presence, Reason, Signal, kernel
from ingest.early.watch import home_at, new_homes

MINUTE, HOUR, DAY = kernel.MINUTE, kernel.HOUR, kernel.DAY
MONDAY = 19_723 * DAY  # 1 January 2024
EVERY_METHOD = pytest.mark.parametrize("method", list(Method))


def a_watch(method: Method = Method.HAZARD) -> HomeWatch:
    watch = EarlyWatch(["3-1201"], method).of("3-1201")
    assert watch is not None
    return watch


def indoors(at_ms: int, sensor: int = 1) -> Signal:
    return Signal(at_ms, Place.INDOORS, sensor)


def passage(at_ms: int) -> Signal:
    return Signal(at_ms, Place.FRONT_DOOR, 0)


def lived_days(days: int, *, seed: int = 1) -> Iterator[Signal]:
    """An orderly life: up at seven, to bed at ten, out from two to four, something heard every few minutes."""
    chance = Random(seed)
    for day in range(days):
        start = MONDAY + day * DAY
        at = start + 7 * HOUR
        for until in (14 * HOUR, 22 * HOUR):
            while at < start + until:
                yield indoors(at, chance.randrange(1, 5))
                at += int(chance.uniform(2, 25) * MINUTE)
            if until == 14 * HOUR:
                yield passage(start + until + 20 * MINUTE)
                yield passage(start + 16 * HOUR)
                at = start + 16 * HOUR + MINUTE


def living(watch: HomeWatch, days: int) -> int:
    """Let a watch hear an orderly life; return the midnight after it."""
    for signal in lived_days(days):
        watch.update(signal)
    return MONDAY + days * DAY


def alerted_after(watch: HomeWatch, from_ms: int, *, hours: int = 80) -> float | None:
    """Hours until the first alert if nothing is heard any more."""
    for tick in range(from_ms, from_ms + hours * HOUR, 15 * MINUTE):
        if watch.score(tick).reason.is_alert:
            return (tick - from_ms) / HOUR
    return None


steps = st.lists(
    st.tuples(st.integers(0, 9 * HOUR), st.sampled_from(Place), st.integers(0, 400)), min_size=1, max_size=60
)


@EVERY_METHOD
@settings(max_examples=25, deadline=None)
@given(found=steps, silences=st.lists(st.integers(0, 90 * HOUR), min_size=2, max_size=8))
def test_more_silence_never_lowers_the_score(
    method: Method, found: list[tuple[int, Place, int]], silences: list[int]
) -> None:
    watch, at = a_watch(method), MONDAY
    for step, place, sensor in found:
        at += step
        watch.update(Signal(at, place, sensor))
    scores = [watch.score(at + silence).score for silence in sorted(silences)]
    assert all(before <= after for before, after in pairwise(scores))


@EVERY_METHOD
def test_an_event_at_home_ends_an_alert(method: Method) -> None:
    watch = a_watch(method)
    night = living(watch, 12)
    # The tail method alone waits for the cap.
    silent = night + 22 * HOUR + 30 * MINUTE
    before = watch.score(silent)
    assert before.reason.is_alert
    watch.update(indoors(silent))
    after = watch.score(silent)
    assert after.score < before.score / 5
    # One report of one sensor takes a tenth of the Inactivity Score only if that sensor has long been silent.
    assert method is Method.WILHELM or not after.reason.is_alert


@EVERY_METHOD
def test_nobody_who_is_in_is_silent_for_a_day_without_an_alert(method: Method) -> None:
    watch = a_watch(method)
    watch.update(indoors(MONDAY))
    assert watch.score(MONDAY + 23 * HOUR).reason is Reason.LEARNING
    assert watch.score(MONDAY + 24 * HOUR).reason is Reason.OVER_CAP


def test_a_collapse_in_the_morning_of_an_orderly_life_is_seen_the_same_day() -> None:
    watch = a_watch()
    midnight = living(watch, 14)
    watch.update(indoors(midnight + 9 * HOUR))
    latency = alerted_after(watch, midnight + 9 * HOUR)
    assert latency is not None
    assert 4 <= latency <= 9


def test_a_late_morning_after_a_fortnight_of_the_same_hour_raises_nothing() -> None:
    watch = a_watch()
    midnight = living(watch, 14)
    assert not watch.score(midnight + 7 * HOUR + 45 * MINUTE).reason.is_alert


def test_who_leaves_is_presumed_out_and_raises_nothing_for_three_days() -> None:
    watch = a_watch()
    left = living(watch, 12) + 10 * HOUR
    watch.update(indoors(left - MINUTE))
    watch.update(passage(left))
    assert watch.score(left + 10 * MINUTE).state is Presence.LEFT
    assert alerted_after(watch, left) == 72.0


def test_a_collapse_right_after_coming_in_is_seen_by_the_door_clock() -> None:
    watch = a_watch()
    left = living(watch, 12) + 10 * HOUR
    watch.update(indoors(left - MINUTE))
    watch.update(passage(left))
    watch.update(passage(left + 2 * HOUR))
    assert watch.score(left + 3 * HOUR).state is Presence.CAME_IN
    assert alerted_after(watch, left + 2 * HOUR) == 24.0


def test_one_stray_event_brings_nobody_home() -> None:
    watch = a_watch()
    left = living(watch, 12) + 10 * HOUR
    watch.update(indoors(left - MINUTE))
    watch.update(passage(left))
    watch.update(indoors(left + 2 * HOUR))
    assert watch.score(left + 2 * HOUR).state is Presence.LEFT
    for minutes in range(125, 150, 5):
        watch.update(indoors(left + minutes * MINUTE))
    assert watch.score(left + 150 * MINUTE).state is Presence.IN


def test_the_sensor_beside_the_closing_door_brings_nobody_home() -> None:
    watch = a_watch()
    left = living(watch, 12) + 10 * HOUR
    watch.update(indoors(left - MINUTE))
    watch.update(passage(left))
    watch.update(indoors(left + 300))
    assert watch.score(left + 10 * MINUTE).state is Presence.LEFT


def test_silence_alone_makes_nobody_out() -> None:
    watch = a_watch()
    midnight = living(watch, 12)
    assert watch.score(midnight + 70 * HOUR).state is Presence.IN


@EVERY_METHOD
def test_learning_ignores_what_happens_while_she_is_out(method: Method) -> None:
    at_home, away = new_homes(1), new_homes(1)
    for homes, absent_h in ((at_home, 0), (away, 60)):
        watch = HomeWatch(home_at(homes, 0), method)
        left = living(watch, 10) + 10 * HOUR
        watch.update(indoors(left - MINUTE))
        watch.update(passage(left))
        if absent_h:
            watch.update(indoors(left + 30 * HOUR))
            watch.update(passage(left + absent_h * HOUR))
    for name in ("active", "present", "peak", "gaps"):
        assert np.array_equal(getattr(at_home, name), getattr(away, name)), name


def test_a_silence_of_an_absences_length_is_not_learned_even_without_a_door() -> None:
    homes = new_homes(1)
    watch = HomeWatch(home_at(homes, 0), Method.HAZARD)
    midnight = living(watch, 10)
    before = homes.gaps.copy()
    watch.update(indoors(midnight + 50 * HOUR))
    assert np.array_equal(homes.gaps, before)


def test_an_alerted_silence_is_learned_only_up_to_its_alert() -> None:
    homes = new_homes(1)
    watch = HomeWatch(home_at(homes, 0), Method.HAZARD)
    midnight = living(watch, 12)
    last = int(homes.marks[0, kernel.LAST])
    latency = alerted_after(watch, midnight)
    assert latency is not None
    watch.update(indoors(midnight + 18 * HOUR))
    learned = homes.gaps[0, (homes.marks[0, kernel.GAP_COUNT] - 1) % kernel.GAPS]
    assert learned[0] == last
    # Ticks are counted from the silence's beginning there, from midnight here.
    assert abs(int(learned[1]) - midnight - latency * HOUR) <= 30 * MINUTE


@EVERY_METHOD
def test_a_chattering_sensor_makes_a_home_no_busier_than_its_windows(method: Method) -> None:
    homes = new_homes(1)
    watch = HomeWatch(home_at(homes, 0), method)
    for second in range(0, 2 * 3600, 2):
        watch.update(indoors(MONDAY + second * 1000))
    assert homes.active.max() <= 3


def test_only_who_consented_is_watched_and_who_withdraws_is_erased() -> None:
    watch = EarlyWatch(["a", "b"])
    assert watch.of("c") is None
    home = watch.of("b")
    assert home is not None
    living(home, 3)
    watch.withdraw("b")
    assert watch.of("b") is None
    for kept, empty in zip(watch._homes, new_homes(2), strict=True):
        assert np.array_equal(kept, empty)


@pytest.mark.slow
def test_a_late_event_counts_as_of_the_last_one() -> None:
    watch = a_watch()
    watch.update(indoors(MONDAY + HOUR))
    watch.update(indoors(MONDAY))
    assert watch.score(MONDAY + 25 * HOUR).reason is Reason.OVER_CAP
    assert watch.score(MONDAY).score == 0


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    """The kernel once more, as Python runs it."""
    kept = {name: module for name, module in sys.modules.items() if name.startswith(kernel.__name__)}
    compiler = compiled_module.compiled
    compiled_module.compiled = lambda function: function  # type: ignore[assignment]
    for name in kept:
        del sys.modules[name]
    try:
        module = importlib.import_module(kernel.__name__)
    finally:
        compiled_module.compiled = compiler
        sys.modules.update(kept)
        early.kernel = kernel  # the import above put the plain one there
    assert not hasattr(module.judge, "py_func")
    return module


@EVERY_METHOD
def test_the_compiled_fold_says_what_the_plain_one_says(method: Method, plain: ModuleType) -> None:
    signals = list(lived_days(9, seed=7))
    compiled_home, plain_home = home_at(new_homes(1), 0), home_at(new_homes(1), 0)
    for module, home in ((kernel, compiled_home), (plain, plain_home)):
        learned = signals[0].at_ms // DAY
        for at_ms, place, sensor in signals:
            if at_ms // DAY != learned:
                learned = at_ms // DAY
                module.learn_hazard_line(home)
                extra = (bool(kernel.is_weekend(learned)),) if method is Method.WILHELM else ()
                getattr(module, f"learn_{method}")(home, *extra)
            module.take(home, method.number, at_ms, int(place), sensor)
    for one, other in zip(compiled_home, plain_home, strict=True):
        assert np.allclose(one, other, rtol=1e-6, atol=1e-6)
    end = signals[-1].at_ms
    for silence in range(0, 30 * HOUR, HOUR):
        ours = kernel.judge(compiled_home, method.number, end + silence)
        theirs = plain.judge(plain_home, method.number, end + silence)
        assert ours[2:] == theirs[2:]
        assert ours[:2] == pytest.approx(theirs[:2], rel=1e-4)  # minutes are kept in single precision
