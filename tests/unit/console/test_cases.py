"""A case's timeline: what happened many times in a row is told once, what people did is told each time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console.loaders.timeline import fold_entries
from console.views.case import TimelineEntry
from console.views.parts import Phrase

NOON = datetime(2025, 11, 21, 4, tzinfo=UTC)


def entry(minutes_ago: int, word: str = "told_again", **more: str) -> TimelineEntry:
    return TimelineEntry(NOON - timedelta(minutes=minutes_ago), Phrase(word), **more)


def test_reminders_in_a_row_become_one_entry_with_its_count() -> None:
    folded = fold_entries([entry(0), entry(30), entry(60), entry(90, "opened")])
    assert [(item.count, item.phrase.word) for item in folded] == [(3, "told_again"), (1, "opened")]
    assert folded[0].at == NOON
    assert folded[0].first_at == NOON - timedelta(minutes=60)


def test_something_between_two_reminders_keeps_them_apart() -> None:
    folded = fold_entries([entry(0), entry(30, "claimed", who="李敏"), entry(60)])
    assert [item.count for item in folded] == [1, 1, 1]


def test_what_people_did_or_wrote_is_never_folded() -> None:
    by_hand = [entry(0, "note", who="李敏"), entry(1, "note", who="李敏")]
    written = [entry(0, "note", note="没人接"), entry(1, "note", note="没人接")]
    assert len(fold_entries(by_hand)) == len(fold_entries(written)) == 2


def test_the_same_words_with_other_values_are_two_things() -> None:
    one, other = Phrase("seen", {"at": "2025-11-21T03:00:00+00:00"}), Phrase("seen", {"at": "x"})
    assert len(fold_entries([TimelineEntry(NOON, one), TimelineEntry(NOON, other)])) == 2


def test_what_is_written_twice_of_one_instant_is_one_thing() -> None:
    (once,) = fold_entries([entry(5), entry(5), entry(5)])
    assert (once.count, once.first_at) == (1, None)
    (reminded,) = fold_entries([entry(5), entry(5), entry(35), entry(35)])
    assert (reminded.count, reminded.first_at) == (2, NOON - timedelta(minutes=35))
