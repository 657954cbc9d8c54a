"""A start, the session and what comes enter; whether a pulse may already judge leaves. Pure.

What the broker kept while nobody served the group comes first: judged before it is in, an elder who opened her door
meanwhile would look as if she had not.
"""

from __future__ import annotations

#: After a start the first pulse waits until what the broker kept has come, but not longer than this.
SETTLE_S_MAX = 10.0


class Settling:
    """The time between a start and its first pulse; instants are the transport's, in seconds."""

    def __init__(self, redelivery_s: float) -> None:
        self._redelivery_s = redelivery_s
        self._until_s: float | None = None
        #: What a predecessor left unanswered has come by then; None until the session stands.
        self._redelivered_s: float | None = 0.0

    @property
    def is_under_way(self) -> bool:
        return self._until_s is not None

    def take_over(self, *, abandoned: bool) -> None:
        """Note whether the lease was left by a worker that died: what it had in hand comes again, later."""
        self._redelivered_s = None if abandoned else 0.0

    def begin(self, now_s: float) -> None:
        self._until_s = now_s + SETTLE_S_MAX

    def may_pulse(self, now_s: float, *, connected: bool, quiet: bool) -> bool:
        """Say whether to pulse after a batch; ``quiet``: nothing but heartbeats was in it."""
        if self._until_s is None:
            return True
        if not self._is_redelivered(now_s, connected=connected):
            return False
        if not (connected and quiet) and now_s < self._until_s:
            return False
        self._until_s = None
        return True

    def _is_redelivered(self, now_s: float, *, connected: bool) -> bool:
        """Say whether what a worker that died had in hand has come: later messages of a door may come before it."""
        if self._redelivered_s is None:
            if not connected:
                return now_s >= (self._until_s or 0.0)
            self._redelivered_s = now_s + self._redelivery_s
            self._until_s = self._redelivered_s + SETTLE_S_MAX
        return now_s >= self._redelivered_s
