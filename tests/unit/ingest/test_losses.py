"""What a device can no longer deliver is counted again when it changes, and not for every event."""

from __future__ import annotations

from ingest.groups.losses import COUNT_EVERY_MS, Loss, Losses


def test_a_device_that_can_deliver_everything_has_lost_nothing() -> None:
    losses = Losses()
    losses.note("d-1", "b", 1)
    losses.note("d-2", "b", None)
    assert losses.due(0) == []


def test_a_start_is_counted_when_its_first_number_rises_but_not_for_each_event() -> None:
    losses = Losses()
    losses.note("d-1", "b", 5)
    assert losses.due(0) == [Loss("d-1", "b", 5)]
    losses.confirm([Loss("d-1", "b", 5)], 0)
    assert losses.due(0) == []
    losses.note("d-1", "b", 6)
    assert losses.due(COUNT_EVERY_MS - 1) == []
    assert losses.due(COUNT_EVERY_MS) == [Loss("d-1", "b", 6)]


def test_what_rose_while_it_was_written_is_counted_again() -> None:
    losses = Losses()
    losses.note("d-1", "b", 5)
    counted = losses.due(0)
    losses.note("d-1", "b", 9)
    losses.confirm(counted, 0)
    assert losses.due(COUNT_EVERY_MS) == [Loss("d-1", "b", 9)]


def test_an_event_that_was_given_up_and_comes_after_all_is_counted_anew() -> None:
    losses = Losses({("d-1", "b"): 5})
    losses.arrived("d-1", "b", 7)
    assert losses.due(0) == []
    losses.arrived("d-1", "b", 4)
    assert losses.due(0) == [Loss("d-1", "b", 5)]
