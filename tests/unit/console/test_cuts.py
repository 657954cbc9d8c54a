"""Gateways that fell silent together are one cut to read; what fell silent alone, later or elsewhere stands by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console.loaders.technical import find_cuts
from console.views.grounds import Technical
from console.views.technical import CauseCard

NOON = datetime(2025, 11, 21, 12, tzinfo=UTC)


def card(number: int, minutes: int, *, never_heard: bool = False) -> CauseCard:
    since = NOON + timedelta(minutes=minutes)
    technical = Technical("gateway", f"gw-{number}", f"{number}", since, 5, never_heard=never_heard)
    return CauseCard(str(number), number, technical)


def test_gateways_of_one_site_that_fall_silent_together_are_one_cut() -> None:
    cut = [card(number, number // 3) for number in range(21)]
    later, elsewhere, unheard = card(30, 40), card(40, 1), card(50, 1, never_heard=True)
    cards = [later, elsewhere, unheard, *reversed(cut)]
    sites = {item.case_id: ("east", "East") for item in cards} | {elsewhere.case_id: ("west", "West")}
    (name, together), *more = find_cuts(cards, sites)
    assert (name, {item.number for item in together}) == ("East", {str(number) for number in range(21)})
    assert more == [], "one alone, or two, says nothing of a cut"
    assert together[0].technical.since == NOON
    assert list(find_cuts(cut, {})) == [], "a device's own case belongs to no cut"
    assert list(find_cuts(cut[:2], sites)) == []
