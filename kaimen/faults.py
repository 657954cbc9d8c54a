"""A place in the code is named; where a test asked for it, the process dies there as a power cut would end it."""

from __future__ import annotations

import os
import signal

_passed: dict[str, int] = {}


def pass_point(name: str, of: str = "") -> None:
    """Die here if KAIMEN_TEST_KILL_AT names this place; it is never set outside of tests.

    ``name`` or ``name:3``: at the third time the process comes by; ``name@webhook:3``: with this kind of work.
    """
    wanted = os.environ.get("KAIMEN_TEST_KILL_AT")
    if wanted is None:
        return
    place, _, time = wanted.partition(":")
    if place not in (name, f"{name}@{of}"):
        return
    _passed[place] = _passed.get(place, 0) + 1
    if _passed[place] == int(time or 1):
        os.kill(os.getpid(), signal.SIGKILL)


def pass_each(name: str, of: str, count: int) -> None:
    """Come by a place once for each of ``count`` pieces of work that are done together."""
    if "KAIMEN_TEST_KILL_AT" in os.environ:
        for _ in range(count):
            pass_point(name, of)
