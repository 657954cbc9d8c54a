"""Gateways that fell silent together are one cut to read; what fell silent alone, later or elsewhere stands by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console.loaders.technical import find_cuts

NOON = datetime(2025, 11, 21, 12, tzinfo=UTC)


Silent = tuple[tuple[str, str], datetime, int]


def silent(number: int, minutes: int, site: str = "east") -> Silent:
    return (site, site.title()), NOON + timedelta(minutes=minutes), number


def test_gateways_of_one_site_that_fall_silent_together_are_one_cut() -> None:
    cut = [silent(number, number // 3) for number in range(21)]
    later, elsewhere = silent(30, 40), silent(40, 1, "west")
    (name, together), *more = find_cuts([later, elsewhere, *reversed(cut)])
    assert (name, sorted(together)) == ("East", list(range(21)))
    assert together[0] in range(3), "the first to fall silent stands first"
    assert more == [], "one alone, or two, says nothing of a cut"
    assert list(find_cuts(cut[:2])) == []
