"""Codes of an authenticator against the vectors of the standard, with drift and replay; pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from console.identity import totp

SECRET = b"12345678901234567890"  # RFC 6238, appendix B
NOW = datetime(2026, 11, 21, 0, 42, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"), (1_111_111_109, "07081804"), (1_111_111_111, "14050471"), (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"), (20_000_000_000, "65353130"),
    ],
)  # fmt: skip
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    assert totp.code_of(SECRET, seconds // 30, digits=8) == code
    assert totp.code_of(SECRET, seconds // 30) == code[2:]


@pytest.mark.parametrize(("steps", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_telephone_may_be_half_a_minute_off_and_no_more(steps: int, fits: bool) -> None:
    code = totp.code_of(SECRET, totp.step_of(NOW) + steps)
    assert (totp.fitting_step(SECRET, code, NOW) is not None) is fits


def test_a_used_code_and_every_one_before_it_fits_no_more() -> None:
    step = totp.step_of(NOW)
    code = totp.code_of(SECRET, step)
    assert totp.fitting_step(SECRET, code, NOW, used=step - 1) == step
    assert totp.fitting_step(SECRET, code, NOW, used=step) is None
    before = totp.code_of(SECRET, step - 1)
    assert totp.fitting_step(SECRET, before, NOW, used=step) is None
    later = NOW + timedelta(seconds=30)
    assert totp.fitting_step(SECRET, totp.code_of(SECRET, step + 1), later, used=step) == step + 1


@pytest.mark.parametrize("typed", ["", "12345", "abcdef", "１２３４５６", "1234567"])
def test_what_is_no_code_fits_nothing(typed: str) -> None:
    assert totp.fitting_step(SECRET, typed, NOW) is None


def test_an_authenticator_finds_name_issuer_and_secret_in_the_address() -> None:
    parts = urlsplit(totp.enrolment_url(SECRET, name="li min@文昌"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parse_qs(parts.query) == {"secret": [totp.secret_text(SECRET)], "issuer": ["Kaimen"]}
    assert totp.secret_text(SECRET) == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
