"""The compiled kernel must say what the plain rule says, and never pass over a household that changed."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.detector import kernel
from ingest.detector.state import BLOCK, FOREVER, WatchState

thresholds = st.lists(st.integers(1, 500), min_size=1, max_size=4, unique=True).map(sorted)


def plain_stage(limits: list[int], inactive: int) -> int:
    return sum(1 for limit in limits if limit <= inactive)


@given(thresholds, st.integers(0, 600))
def test_the_stage_is_the_number_of_thresholds_passed(limits: list[int], inactive: int) -> None:
    padded = np.full(8, FOREVER, np.int64)
    padded[: len(limits)] = limits
    assert kernel.count_stage(padded, inactive) == plain_stage(limits, inactive)
    assert kernel.count_stage.py_func(padded, inactive) == plain_stage(limits, inactive)


@settings(max_examples=200, deadline=None)
@given(
    thresholds,
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(0, 900),
    st.integers(1, 1000),
)
def test_nothing_changes_before_the_next_due_instant(
    limits: list[int], base: int, anchor: int, known_for: int, other: int
) -> None:
    padded = np.full(8, FOREVER, np.int64)
    padded[: len(limits)] = limits
    pulse = anchor
    due = kernel.next_due(padded, pulse, anchor - base, base, anchor, pulse + known_for, pulse + other)
    assert due > pulse
    before = plain_stage(limits, base)
    for instant in range(pulse, min(due, pulse + 1100)):
        assert plain_stage(limits, base + instant - anchor) == before
        assert instant <= pulse + known_for
        assert instant < pulse + other


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 3000))
def test_every_changed_household_is_found_and_every_other_armed_again(chance: object, count: int) -> None:
    from random import Random

    assert isinstance(chance, Random)
    state = WatchState(count)
    for index in range(count):
        state.thresholds_ms[index, :3] = (100, 200, 300)
        state.evidence_ms[index] = state.anchor_ms[index] = chance.randrange(0, 400)
        state.known_until_ms[index] = state.anchor_ms[index] + chance.randrange(0, 800)
        state.level[index] = chance.randrange(0, 3)
        state.simple[index] = chance.random() < 0.9
        state.set_due(index, chance.randrange(0, 900))
    pulse = 500
    changed = set()
    for index in range(count):
        if state.due_ms[index] > pulse:
            continue
        inactive = pulse - int(state.anchor_ms[index])
        settled = (
            state.simple[index]
            and pulse <= state.known_until_ms[index]
            and plain_stage([100, 200, 300], inactive) == state.level[index]
        )
        if not settled:
            changed.add(index)
    found = np.empty(len(state.due_ms), np.int64)
    assert set(kernel.pulse(state, pulse, found).tolist()) == changed
    for index in range(count):
        assert index in changed or state.due_ms[index] > pulse
        assert state.bound_ms[index // BLOCK] <= state.due_ms[index]


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
