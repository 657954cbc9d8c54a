"""A place in the code is named; where a test asked for it, the process dies there as a power cut would end it."""

from __future__ import annotations

import os
import signal


def pass_point(name: str) -> None:
    """Die here if KAIMEN_TEST_KILL_AT names this place; it is never set outside of tests."""
    if os.environ.get("KAIMEN_TEST_KILL_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
