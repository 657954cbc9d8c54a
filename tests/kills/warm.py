"""Imported by the server process alone: what a life of ingest imports and compiles is then there before it begins."""

from __future__ import annotations

import msgspec

import edge.__main__
import ingest.__main__
import tests.kills.ingest_life
from ingest.judging import judge_wire
from ingest.registry_file import parse_registry
from tests.kills.street_days import HOMES, live_days


def _warm() -> None:
    """Let four days go through admission and detector, in memory."""
    steps = live_days()
    names = [f"door-{number}" for number in range(1, HOMES + 1)]
    registry = parse_registry(
        {
            "devices": [{"id": name, "site": "west-gate"} for name in names],
            "households": [
                {"id": name, "site": "west-gate", "doors": [name], "watched_from": steps[0].at_ms - 60_000}
                for name in names
            ],
        }
    )
    messages = (
        {"received_at": step.at_ms, "topic": topic, "payload": msgspec.json.decode(payload)}
        for step in steps
        for topic, payload in step.messages
    )
    judge_wire(messages, registry, steps[-1].at_ms)


_warm()

__all__ = ["edge", "ingest", "tests"]
