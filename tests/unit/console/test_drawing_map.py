"""The map: buildings with and without a place enter; a plan that says by mark and word what it says by colour leaves."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from console.drawing.plan import alternative, community_map, hull
from console.loaders.buildings import HOMES_SHOWN_MAX, sections_to_show
from console.views.buildings import BuildingRow, Position
from console.views.parts import Mark
from console.words import load_words

WORDS = load_words("en", "Asia/Shanghai", datetime(2026, 11, 21, 0, 42, tzinfo=UTC))
QUIET = BuildingRow("1", "/buildings?building=1", "3", 36, 9, (), 0, Position(0, 0, 58, 14))
GRAVE = BuildingRow(
    "3", "/buildings?building=3", "3", 36, 11, ((Mark.HIGH, 1), (Mark.LOW, 4)), 2, Position(80, 5, 26, 22, 15)
)


def test_every_placed_building_is_a_link_that_says_in_words_what_it_shows() -> None:
    svg = community_map((QUIET, GRAVE, replace(QUIET, name="9", position=None)), WORDS)
    links = re.findall(r'<a href="([^"]+)" aria-label="([^"]+)"', svg)
    assert [address for address, _ in links] == ["/buildings?building=1", "/buildings?building=3"]
    assert links[1][1] == alternative(GRAVE, WORDS)
    for word in ("1 ", "4 ", "2 devices not heard"):
        assert word in alternative(GRAVE, WORDS)
    assert WORDS.say("map.nobody") in alternative(QUIET, WORDS)


def test_state_is_a_mark_and_never_a_colour_alone() -> None:
    grave, quiet = community_map((GRAVE,), WORDS), community_map((QUIET,), WORDS)
    assert 'class="m-high"' in grave
    assert "×4" in grave
    assert "mp-silent" in grave
    assert "m-high" not in quiet
    assert "mp-silent" not in quiet
    unknown = replace(QUIET, counts=((Mark.UNKNOWN, 4),))
    assert "blind-lines" in community_map((unknown,), WORDS)


def test_a_name_somebody_typed_stands_there_as_text() -> None:
    svg = community_map((replace(GRAVE, name="<script>", grid="<b>"),), WORDS)
    assert "<script>" not in svg
    assert "<b>" not in svg


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=20))
def test_an_outline_holds_every_point_and_turns_one_way(points: list[tuple[float, float]]) -> None:
    outline = hull(points)
    assert set(outline) <= set(points)
    if len(outline) < 3:
        return
    for a, b in zip(outline, (*outline[1:], outline[0]), strict=True):
        for x, y in points:
            assert (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) >= 0


@given(
    st.lists(
        st.tuples(st.integers(1, 5_000), st.sampled_from([(), ((Mark.LOW, 1),), ((Mark.HIGH, 2),)])),
        max_size=30,
    )
)
def test_what_calls_for_somebody_is_drawn_first_and_never_without_bound(
    homes: list[tuple[int, tuple[tuple[Mark, int], ...]]],
) -> None:
    rows = [
        BuildingRow(str(place), "/", homes=count, counts=counts)
        for place, (count, counts) in enumerate(homes)
    ]
    shown = sections_to_show(rows)
    drawn = [row for row in rows if row.name in shown]
    assert [row.name for row in drawn] == shown
    assert len(drawn) == 1 or sum(row.homes for row in drawn) <= HOMES_SHOWN_MAX
    if rows and any(row.counts for row in rows):
        assert drawn[0].counts or any(row.counts for row in drawn)
    assert bool(rows) == bool(shown)
    assert sections_to_show(rows, "0") == (["0"] if rows else [])
