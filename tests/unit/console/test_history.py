"""Which part of a span nobody watched, from the spans that were."""

from __future__ import annotations

from console.loaders.history import blind_spans
from console.views.parts import Span
from kaimen.clock import as_datetime

H = 3_600_000


def _blind(watched: tuple[tuple[int, int], ...]) -> list[tuple[float, float]]:
    found = blind_spans(watched, Span(as_datetime(0), as_datetime(10 * H)))
    return [(span.from_at.timestamp() / 3600, span.to_at.timestamp() / 3600) for span in found]


def test_what_was_watched_throughout_has_no_blind_part() -> None:
    assert _blind(((0, 10 * H),)) == []
    assert _blind(((-5 * H, 4 * H), (4 * H, 50 * H))) == []


def test_gaps_at_both_ends_and_between_are_blind() -> None:
    assert _blind(()) == [(0, 10)]
    assert _blind(((2 * H, 4 * H), (7 * H, 9 * H))) == [(0, 2), (4, 7), (9, 10)]


def test_spans_that_overlap_or_lie_outside_change_nothing() -> None:
    assert _blind(((1 * H, 5 * H), (2 * H, 3 * H), (-9 * H, -1 * H), (11 * H, 12 * H))) == [(0, 1), (5, 10)]


def test_less_than_a_minute_is_not_drawn() -> None:
    assert _blind(((0, 5 * H), (5 * H + 59_000, 10 * H))) == []
