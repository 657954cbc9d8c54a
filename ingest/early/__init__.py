"""Early watch: what is heard inside a home enters, whether it has been silent too long leaves.

Stands beside the mandated ladder, never in its place. Off by default: only a household that has consented has a row.
"""

from __future__ import annotations

from ingest.early.signals import LifeSignals, Place, Signal
from ingest.early.watch import EarlyWatch, HomeWatch, Method, Presence, Reason, Score

__all__ = [
    "EarlyWatch",
    "HomeWatch",
    "LifeSignals",
    "Method",
    "Place",
    "Presence",
    "Reason",
    "Score",
    "Signal",
]
