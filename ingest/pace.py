"""How long a turn took and whether more waited enter; how many messages the next batch may have, and how long it may
gather, leave. Pure.

A commit costs the same for one message as for a thousand, so under load batches grow; but whoever opens a door now
waits for the batch before, so they never grow past what is written within a moment.
"""

from __future__ import annotations

#: A full batch that was done sooner may double; one that took longer is halved.
QUICK_S, SLOW_S = 0.25, 0.5
#: A batch gathers at least so long: a commit for each of many messages would be most of the work.
GATHER_S_MIN = 0.005
MESSAGES_MIN = 100


class Pace:
    """The bound of one group's batches; ``messages_max`` begins where the settings say."""

    def __init__(self, messages_max: int, *, most: int) -> None:
        self.messages_max = messages_max
        self._most = max(most, messages_max)
        self._least = min(MESSAGES_MIN, messages_max)
        self._took_s = 0.0

    def gather_s(self, most_s: float) -> float:
        """Return how long the next batch may gather: as long as the last turn took, which doubles what waits at most."""
        return min(most_s, max(GATHER_S_MIN, self._took_s))

    def note(self, messages: int, took_s: float) -> None:
        """Learn from a turn: its messages, and the seconds from taking them to the broker's answer."""
        if messages:
            self._took_s = took_s
        if took_s > SLOW_S:
            # What was slow with fewer messages than allowed would be slower with all of them.
            self.messages_max = max(self._least, min(self.messages_max, messages) // 2)
        elif took_s < QUICK_S and messages >= self.messages_max:
            self.messages_max = min(self._most, self.messages_max * 2)
