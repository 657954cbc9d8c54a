"""How long a turn took and whether more waited enter; how much the next batch may have, and how long it may gather,
leave. Pure.

A commit costs the same for one message as for a thousand, so under load batches grow; but whoever opens a door now
waits for the batch before, so they never grow past what is written within a moment.
"""

from __future__ import annotations

#: A full batch that was done sooner may double; one that took longer is halved.
QUICK_S, SLOW_S = 0.25, 0.5
#: A batch gathers so long, from the turn before on: a commit for each of many messages would be most
#: of the work. Where turns take longer they gather by themselves.
GATHER_S_MIN = 0.005
MESSAGES_MIN = 100
#: Bytes of arrays in a batch: a few hundred events at least, some twenty thousand at most.
ARRAYS_BYTES_MIN, ARRAYS_BYTES_FIRST, ARRAYS_BYTES_MAX = 64 * 1024, 256 * 1024, 4 * 1024 * 1024


class Pace:
    """The bounds of one group's batches; ``messages_max`` begins where the settings say.

    Arrays are bounded by their bytes: a message may hold five hundred events, and where there are arrays they are what
    makes a turn slow.
    """

    def __init__(self, messages_max: int, *, most: int) -> None:
        self.messages_max = messages_max
        self._most = max(most, messages_max)
        self._least = min(MESSAGES_MIN, messages_max)
        self._took_s = 0.0
        self.arrays_bytes_max = ARRAYS_BYTES_FIRST

    def gather_s(self, most_s: float) -> float:
        """Return how long the next batch may still gather: what came during the last turn has waited that long already."""
        return min(most_s, max(0.0, GATHER_S_MIN - self._took_s))

    def note(self, messages: int, took_s: float, *, arrays_bytes: int = 0) -> None:
        """Learn from a turn: its messages, the bytes of arrays among them, and the seconds until the broker's answer."""
        if messages:
            self._took_s = took_s
        if arrays_bytes:
            self._note_arrays(arrays_bytes, took_s)
        if took_s > SLOW_S and not arrays_bytes:
            # What was slow with fewer messages than allowed would be slower with all of them.
            self.messages_max = max(self._least, min(self.messages_max, messages) // 2)
        elif took_s < QUICK_S and messages >= self.messages_max:
            self.messages_max = min(self._most, self.messages_max * 2)

    def _note_arrays(self, arrays_bytes: int, took_s: float) -> None:
        if took_s > SLOW_S:
            self.arrays_bytes_max = max(ARRAYS_BYTES_MIN, min(self.arrays_bytes_max, arrays_bytes) // 2)
        elif took_s < QUICK_S and arrays_bytes >= self.arrays_bytes_max:
            self.arrays_bytes_max = min(ARRAYS_BYTES_MAX, self.arrays_bytes_max * 2)
