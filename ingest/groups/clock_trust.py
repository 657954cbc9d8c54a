"""Our own clock and what devices say of it enter; whether anything may be dated by it leaves.

What was received while it was in doubt is kept, unanswered, until devices confirm it.
"""

from __future__ import annotations

import time
from typing import Any

from ingest.admission import AdmittedHeartbeat, Registered, admit
from ingest.groups.own_clock import OwnClock
from kaimen.clock import Clock, FileClock, JumpGuard

#: What devices said of our clock counts for this long.
VOTES_S = 300.0
#: After our clock was found wrong: how long to wait for devices to confirm it.
PROOF_S = 180.0
KEPT_MESSAGES_MAX = 100_000


class OwnClockWrongError(RuntimeError):
    """Most devices disagree with our clock: nothing may be dated by it."""


class ClockTrust:
    """Whether one group goes by its machine's clock; ``votes`` is where heartbeats are noted."""

    def __init__(self, clock: Clock) -> None:
        # On a scaled clock a moment's delay is minutes: only the machine's own clock can be outvoted.
        self.votes = None if isinstance(clock, FileClock) else OwnClock()
        #: Batches taken while the clock was in doubt, in their order.
        self.kept: list[Any] = []
        self._jumps = JumpGuard(clock)
        self._votes_until = 0.0
        self._proof_until: float | None = None

    @property
    def in_doubt(self) -> bool:
        """Whether the clock was found wrong, and no proof has come that it is right again."""
        return self._proof_until is not None and self.votes is not None

    def doubt(self) -> None:
        """Ask for proof from now on: what was said before counts no more."""
        assert self.votes is not None
        self.votes.forget()
        self._proof_until = time.monotonic() + PROOF_S

    def check(self) -> None:
        """Raise ``OwnClockWrongError`` where the clock was set, or devices say that it is wrong."""
        if self.votes is None:
            return
        if jump_ms := self._jumps.take_jump_ms():
            # Before the first heartbeat says which of the two was right, everybody would be silent, or of tomorrow.
            raise OwnClockWrongError(
                f"our clock was set by {jump_ms // 1000} s: nothing is admitted until devices confirm it"
            )
        if self.votes.is_wrong():
            skew_s = (self.votes.skew_ms() or 0) // 1000
            raise OwnClockWrongError(
                f"our clock is {skew_s} s ahead of most devices: set it, nothing is admitted"
            )
        if time.monotonic() >= self._votes_until:
            self.votes.forget()
            self._votes_until = time.monotonic() + VOTES_S

    def keep(self, batch: Any, registry: Registered) -> None:
        """Keep a batch and hear its heartbeats; as soon as they confirm the clock, or cannot, the doubt is over."""
        assert self.votes is not None and self._proof_until is not None
        self.kept.append(batch)
        for message in batch.messages:
            for item in admit(message.topic, message.payload, message.received_ms, registry):
                if isinstance(item, AdmittedHeartbeat):
                    self.votes.observe(item.device_id, item.heartbeat, message.received_ms)
        self.check()
        count = sum(len(batch.messages) for batch in self.kept)
        if self.votes.is_confirmed() or time.monotonic() >= self._proof_until or count > KEPT_MESSAGES_MAX:
            self._proof_until = None
