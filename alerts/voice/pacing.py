"""When a number may be rung again: the calls it had and the provider's windows enter, an instant leaves; pure.

A provider counts calls per called number, whatever came of them; more is rejected, so a retry that would not be let
through is never planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Window:
    """At most so many calls to one number within a span."""

    span: timedelta
    calls_max: int


#: Aliyun's limits for one called number. They are kept for every gateway: nobody is better reached by a sixth call.
WINDOWS = (
    Window(timedelta(minutes=1), 1),
    Window(timedelta(hours=1), 5),
    Window(timedelta(hours=24), 20),
)
#: After the first call, how long to wait before each further one; they fit into one hour's window.
RETRIES_AFTER = (timedelta(minutes=2), timedelta(minutes=4), timedelta(minutes=9), timedelta(minutes=20))
ATTEMPTS_MAX = 1 + len(RETRIES_AFTER)
#: The gateway's own fault is nobody's ringing telephone: it costs no attempt, and is tried again soon.
GATEWAY_PAUSE = timedelta(seconds=20)


def earliest(placed: Sequence[datetime], now: datetime, windows: Sequence[Window] = WINDOWS) -> datetime:
    """Say from when on one more call to a number fits into every window; ``now`` if it does at once."""
    at = now
    for window in windows:
        inside = sorted(call for call in placed if call > at - window.span)
        if len(inside) >= window.calls_max:
            at = max(at, inside[-window.calls_max] + window.span)
    return at


def next_try(attempts: int, placed: Sequence[datetime], ended_at: datetime) -> datetime | None:
    """Say when the next attempt of a call is due after ``attempts`` of them; None when they are used up."""
    if attempts >= ATTEMPTS_MAX:
        return None
    return earliest(placed, ended_at + RETRIES_AFTER[attempts - 1])
