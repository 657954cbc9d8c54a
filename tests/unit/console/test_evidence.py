"""One passage told twice is one passage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console.loaders.evidence import merge_openings
from console.views.evidence import Opening, OpeningKind

NOW = datetime(2025, 11, 21, 8, tzinfo=UTC)


def _at(second: int, kind: OpeningKind) -> Opening:
    return Opening(NOW + timedelta(seconds=second), kind)


def test_a_card_and_its_contact_are_one_passage_and_the_card_stays() -> None:
    card, contact = _at(0, OpeningKind.OWN_CREDENTIAL), _at(2, OpeningKind.CONTACT)
    assert merge_openings([card, contact]) == [card]
    before = _at(-2, OpeningKind.CONTACT)
    assert merge_openings([before, card]) == [card]


def test_two_passages_stay_two() -> None:
    out, back = _at(0, OpeningKind.CONTACT), _at(31, OpeningKind.CONTACT)
    assert merge_openings([out, back]) == [out, back]
    cards = [_at(0, OpeningKind.OWN_CREDENTIAL), _at(5, OpeningKind.FAMILY_CREDENTIAL)]
    assert merge_openings(cards) == cards


def test_a_contact_that_chatters_is_one_opening() -> None:
    assert len(merge_openings([_at(second, OpeningKind.CONTACT) for second in (0, 1, 2)])) == 1
