"""What a pressed key means to whom: an audience and a digit enter, a meaning leaves; pure.

The elder, the family and the staff hear different questions, and a monthly test asks only whether it was heard; only
keys of their own question mean anything.
"""

from __future__ import annotations

from enum import StrEnum


class Audience(StrEnum):
    """Who is asked."""

    ELDER = "elder"
    FAMILY = "family"
    STAFF = "staff"
    TEST = "test"


class Meaning(StrEnum):
    """What a callee has said with a key."""

    WELL = "well"
    HELP = "help"
    TAKES_CARE = "takes_care"
    CANNOT = "cannot"
    ACCEPTS = "accepts"
    HEARD = "heard"


_KEYS = {
    Audience.ELDER: {"1": Meaning.WELL, "2": Meaning.HELP},
    Audience.FAMILY: {"1": Meaning.TAKES_CARE, "2": Meaning.CANNOT},
    Audience.STAFF: {"1": Meaning.ACCEPTS},
    Audience.TEST: {"1": Meaning.HEARD},
}
#: Three wrong keys in one call are a child, a pocket or a machine.
WRONG_KEYS_MAX = 3


def keys_of(audience: Audience) -> str:
    """Return the digits that mean something to this audience."""
    return "".join(_KEYS[audience])


def meaning_of(audience: Audience, digit: str) -> Meaning | None:
    """Return what a digit means; None for a wrong key."""
    return _KEYS[audience].get(digit)
