"""Batches grow under load while turns are quick, and shrink when one was slow."""

from __future__ import annotations

from ingest.session.pace import (
    ARRAYS_BYTES_MAX,
    ARRAYS_BYTES_MIN,
    GATHER_S_MIN,
    MESSAGES_MIN,
    QUICK_S,
    SLOW_S,
    Pace,
)

QUICK, SLOW = QUICK_S / 2, SLOW_S * 2


def test_full_and_quick_batches_grow_up_to_the_queue() -> None:
    pace = Pace(2_000, most=10_000)
    found = []
    for _ in range(4):
        pace.note(pace.messages_max, QUICK)
        found.append(pace.messages_max)
    assert found == [4_000, 8_000, 10_000, 10_000]


def test_a_quiet_group_keeps_its_bound() -> None:
    pace = Pace(2_000, most=10_000)
    pace.note(3, QUICK)
    pace.note(2_000, (QUICK_S + SLOW_S) / 2)
    assert pace.messages_max == 2_000


def test_a_slow_turn_halves_what_it_had_but_never_to_nothing() -> None:
    pace = Pace(2_000, most=10_000)
    pace.note(1_000, SLOW)
    assert pace.messages_max == 500
    for _ in range(10):
        pace.note(pace.messages_max, SLOW)
    assert pace.messages_max == MESSAGES_MIN
    pace.note(MESSAGES_MIN, QUICK)
    assert pace.messages_max == 2 * MESSAGES_MIN


def test_a_bound_below_the_least_is_kept() -> None:
    pace = Pace(10, most=50)
    pace.note(10, SLOW)
    assert pace.messages_max == 10


def test_a_batch_gathers_no_longer_where_a_turn_gathered_already() -> None:
    pace = Pace(2_000, most=10_000)
    assert pace.gather_s(0.05) == GATHER_S_MIN
    pace.note(20, 0.002)
    pace.note(0, 0.001)
    assert pace.gather_s(0.05) == GATHER_S_MIN - 0.002
    assert pace.gather_s(0.001) == 0.001
    pace.note(20, 0.015)
    assert pace.gather_s(0.05) == 0.0


def test_arrays_that_make_a_turn_slow_become_fewer_and_single_messages_do_not() -> None:
    pace = Pace(2_000, most=10_000)
    for _ in range(10):
        pace.note(150, SLOW, arrays_bytes=pace.arrays_bytes_max)
    assert (pace.arrays_bytes_max, pace.messages_max) == (ARRAYS_BYTES_MIN, 2_000)


def test_arrays_grow_while_turns_are_quick_and_as_many_as_may_were_there() -> None:
    pace = Pace(2_000, most=10_000)
    pace.note(10, QUICK, arrays_bytes=pace.arrays_bytes_max // 2)
    first = pace.arrays_bytes_max
    for _ in range(10):
        pace.note(10, QUICK, arrays_bytes=pace.arrays_bytes_max)
    assert first < pace.arrays_bytes_max == ARRAYS_BYTES_MAX
