"""The detector: admitted messages and pulses enter, facts leave; no I/O, no clock.

``Detector`` and ``Registry`` are loaded when they are asked for, so that a reader of one household's history
(coverage and rule are plain Python) does not pay for numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingest.detector.facts import (
    BootBase,
    CheckDue,
    CheckEnded,
    CoveragePoint,
    Crossing,
    Fact,
    HouseholdView,
    OutageBegan,
    OutageEnded,
    Taken,
    Withdrawal,
)

if TYPE_CHECKING:
    from ingest.detector.engine import Detector
    from ingest.detector.homes import Registry

__all__ = [
    "BootBase",
    "CheckDue",
    "CheckEnded",
    "CoveragePoint",
    "Crossing",
    "Detector",
    "Fact",
    "HouseholdView",
    "OutageBegan",
    "OutageEnded",
    "Registry",
    "Taken",
    "Withdrawal",
]


def __getattr__(name: str) -> Any:
    if name in ("Detector", "Registry"):
        from ingest.detector import engine

        return getattr(engine, name)
    raise AttributeError(name)
