"""Four days of a street: nothing enters; messages with the instants at which they are sent leave.

Six homes: two whose doors open every day, one that opens again on the third, one on the fourth, two that never do.
Every message travels with QoS 1, one is sent twice, one names a device that nobody registered, one door sends arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

from kaimen import wire
from tests.integration.ingest_street import BEGIN_MS, HOUR, MINUTE, SECOND, Door

HOMES = 6
STEP_MS = 25 * HOUR
#: The step at which each door opens.
_OPENS = {1: {0, 1, 2, 3}, 2: {0, 1, 2, 3}, 3: {0, 2}, 4: {0, 3}, 5: {0}, 6: {0}}
_EVENTS_A_STEP = 4


@dataclass(frozen=True)
class Step:
    """What is sent at an instant, and how much must be stored when it is done."""

    at_ms: int
    messages: list[tuple[str, bytes]]
    events_after: int
    refused_after: int


def live_days() -> list[Step]:
    """Return the four days, the same at every call."""
    doors = {number: Door(f"door-{number}") for number in range(1, HOMES + 1)}
    ghost = Door("ghost")
    steps: list[Step] = []
    events = 0
    for number in range(4):
        at_ms = BEGIN_MS + MINUTE + number * STEP_MS
        messages = []
        for home, door in doors.items():
            # The opening first: a batch may end anywhere, and what comes after it says that the door was heard.
            opens = number in _OPENS[home]
            made = [
                door.event(at_ms - (3 - index) * SECOND, state="Open" if opens and index == 0 else "Closed")
                for index in range(_EVENTS_A_STEP)
            ]
            events += len(made)
            if home == HOMES:
                messages.append((door.topic("evb"), wire.format_batch(made)))
            else:
                messages += [(door.topic("evt"), wire.format_event(event)) for event in made]
        messages.append(messages[0])
        messages.append(ghost.opening(at_ms))
        steps.append(Step(at_ms, messages, events, number + 1))
    return steps
