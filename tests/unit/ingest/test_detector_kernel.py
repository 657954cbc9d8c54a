"""The compiled kernel must say what the plain rule says, and never pass over a household that changed."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.detector import kernel
from ingest.detector.state import BLOCK, FOREVER, PLAIN, WatchState

thresholds = st.lists(st.integers(1, 500), min_size=1, max_size=4, unique=True).map(sorted)


def plain_stage(limits: list[int], inactive: int) -> int:
    return sum(1 for limit in limits if limit <= inactive)


FAR = 1 << 40


def padded(limits: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return a table of two policies; the limits are the second."""
    table = np.full((2, 8), FOREVER, np.int64)
    table[0, 0] = 7
    table[1, : len(limits)] = limits
    return table


@given(thresholds, st.integers(0, 600), st.integers(0, 600), st.integers(0, 4))
def test_a_household_is_settled_where_stage_and_elapsed_thresholds_are_what_was_announced(
    limits: list[int], inactive: int, elapsed: int, level: int
) -> None:
    for settled_until in (kernel.settled_until, kernel.settled_until.py_func):
        until = settled_until(padded(limits), 1, 1000, level, 1000 - elapsed, 1000 - inactive, FAR, FAR)
        assert (until > 1000) == (plain_stage(limits, inactive) == level == plain_stage(limits, elapsed))
        assert settled_until(padded(limits), 1, 1000, PLAIN, 1000, 1000, FAR, FAR) == 1000


@settings(max_examples=200, deadline=None)
@given(
    thresholds,
    st.integers(0, 300),
    st.integers(300, 600),
    st.integers(0, 900),
    st.integers(1, 1000),
)
def test_nothing_changes_before_the_next_due_instant(
    limits: list[int], inactive: int, now: int, known_for: int, other: int
) -> None:
    origin = now - inactive
    before = plain_stage(limits, inactive)
    due = kernel.settled_until(padded(limits), 1, now, before, origin, origin, now + known_for, now + other)
    assert due > now
    for instant in range(now, min(due, now + 1100)):
        assert plain_stage(limits, instant - origin) == before
        assert instant <= now + known_for
        assert instant < now + other


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3000))
def test_every_changed_household_is_found_and_every_other_armed_again(seed: int, count: int) -> None:
    chance = Random(seed)
    state = WatchState(count)
    limits = {0: (100_000, 200_000, 300_000), 1: (50_000,)}
    chosen = []
    for index in range(count):
        policy = chance.randrange(2)
        chosen.append(limits[policy])
        state.set_thresholds(index, limits[policy])
        state.evidence_ms[index] = state.origin_ms[index] = chance.randrange(0, 400_000)
        state.set_known_until(index, int(state.origin_ms[index]) + chance.randrange(0, 800_000))
        state.level[index] = chance.randrange(0, 3) if chance.random() < 0.9 else PLAIN
        state.set_due(index, chance.randrange(0, 900_000))
    pulse = 500_000
    changed = set()
    for index in range(count):
        if state.due_pulse_ms(index) > pulse:
            continue
        settled = (
            state.level[index] != PLAIN
            and pulse // 1000 <= state.known_until_s[index]
            and plain_stage(list(chosen[index]), pulse - int(state.origin_ms[index])) == state.level[index]
        )
        if not settled:
            changed.add(index)
    found = np.empty(len(state.due_s), np.int64)
    assert set(kernel.pulse(state, pulse, found).tolist()) == changed
    for index in range(count):
        assert index in changed or state.due_pulse_ms(index) > pulse
        assert state.bound_s[index // BLOCK] <= state.due_s[index]


def test_a_household_takes_five_hot_bytes() -> None:
    state = WatchState(1)
    assert state.hot_bytes() == 5
    assert state.all_bytes() == 31


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60), st.integers(0, 3000))
def test_a_folded_recording_has_the_crossings_of_the_definition(times: list[int], more: int) -> None:
    openings = sorted(times)
    until = openings[-1] + more
    limits = [240, 480, 720]
    expected = []
    for index, start in enumerate(openings):
        end = openings[index + 1] if index + 1 < len(openings) else until + 1
        expected += [(n + 1, start + limit) for n, limit in enumerate(limits) if start + limit < end]
    stages = np.zeros(len(openings) * 3, np.int64)
    instants = np.zeros_like(stages)
    arrays = (np.asarray(openings, np.int64), until, np.asarray(limits, np.int64))
    for function in (kernel.fold_recording, kernel.fold_recording.py_func):
        count = function(*arrays, stages, instants)
        assert list(zip(stages[:count].tolist(), instants[:count].tolist(), strict=True)) == expected
