"""Chance without memory: a seed and whole numbers enter, the same 64-bit value or fraction always leaves.

Everything random in the simulator is a function of (seed, what, which, when), never of what was drawn before, so a
run that stops and goes on draws what an unbroken run would have drawn.
"""

from __future__ import annotations

import hashlib
from random import Random

_MASK = (1 << 64) - 1
_UNIT = 1.0 / (1 << 64)


def mix(*values: int) -> int:
    """Return 64 well-mixed bits of the values, in their order."""
    bits = 0x243F6A8885A308D3
    for value in values:
        bits = (bits + value + 0x9E3779B97F4A7C15) & _MASK
        bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & _MASK
        bits ^= bits >> 31
    return bits


def fraction(*values: int) -> float:
    """Return a number in [0, 1) fixed by the values."""
    return mix(*values) * _UNIT


def text_bits(text: str) -> int:
    """Return 64 bits of a text, the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def dice(*values: int) -> Random:
    """Return a generator of its own for one subject and one span of time."""
    return Random(mix(*values))  # noqa: S311 (a simulation must be repeatable)
