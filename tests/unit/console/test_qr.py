"""QR codes against what another implementation drew for the same texts and masks, and their own laws."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.drawing.qr import TooLongError, draw_svg, encode


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("https://kaimen.example/bind/abcdefghijklmnop", "887266c8f539bc815a7a80da57647aa2599538b7be2fcbcf6903db8d0331f8ff"),
        ("a" * 213, "ca19cacb0c69bd9d9802d89fb12ecf9de2cb41898df950d1ea7c801aac97e73d"),
    ],
)  # fmt: skip
def test_codes_are_those_a_known_implementation_draws(text: str, digest: str) -> None:
    modules = repr([[int(dark) for dark in row] for row in encode(text, mask=3)])
    assert hashlib.sha256(modules.encode()).hexdigest() == digest


@settings(max_examples=15, deadline=None)
@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=213), st.integers(0, 7)
)
def test_every_code_is_square_with_its_three_finders_and_timing(text: str, mask: int) -> None:
    matrix = encode(text, mask=mask)
    side = len(matrix)
    assert side % 4 == 1 and all(len(row) == side for row in matrix)
    ring = (True,) * 7
    assert matrix[0][:7] == matrix[0][-7:] == matrix[-1][:7] == ring
    assert all(matrix[6][index] == (index % 2 == 0) for index in range(8, side - 8))
    assert matrix[side - 8][8]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(TooLongError):
        encode("a" * 214)


def test_the_drawing_has_a_quiet_margin_and_a_name() -> None:
    svg = draw_svg("https://k.example", label="QR code")
    assert 'viewBox="0 0 33 33"' in svg and 'aria-label="QR code"' in svg and "style=" not in svg
