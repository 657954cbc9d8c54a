"""Messages of one session enter as they come; what is taken next leaves: single messages first, arrays beside them.

Whoever opens a door now says so in a message of its own; an array is what an edge or a controller had kept while it
could not speak. A hundred sites that come back with a day of history are some seconds of work: today's opening must not
stand behind it. So a batch takes the single messages first, and of the arrays as much as a moment allows. Nothing
may be concluded from the order in which messages come (``docs/wire.md``); what waits in the broker waits likewise. An
array counts as received when it is taken, for no pulse may pass over what had been received before it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ingest.admission import Message

#: Bytes of payload at which a batch is closed: some twenty thousand events in arrays.
BATCH_BYTES_MAX = 4 * 1024 * 1024
#: So many batches of single messages alone may pass over arrays, while those never end.
PASSED_OVER_MAX = 10


@dataclass(eq=False, slots=True)
class Delivery:
    """A message in flight and where its acknowledgement goes: a redelivery replaces or adds packet ids."""

    message: Message
    qos: int
    epoch: int
    packet_ids: list[int]


@dataclass(slots=True)
class Waiting:
    """What was received and not taken yet; belongs to whoever holds the session's lock."""

    bytes: int = 0
    _single: deque[Delivery] = field(default_factory=deque)
    _arrays: deque[Delivery] = field(default_factory=deque)
    _passed_over: int = 0

    def __len__(self) -> int:
        return len(self._single) + len(self._arrays)

    @property
    def oldest_array_ms(self) -> int | None:
        """When the array that has waited longest was received."""
        return self._arrays[0].message.received_ms if self._arrays else None

    def append(self, delivery: Delivery) -> None:
        """Let it wait behind those of its kind."""
        kind = self._arrays if delivery.message.topic.endswith("/evb") else self._single
        kind.append(delivery)
        self.bytes += len(delivery.message.payload)

    def clear(self) -> None:
        """Forget everything."""
        self._single.clear()
        self._arrays.clear()
        self.bytes = 0

    def take(self, messages_max: int, arrays_bytes_max: int, now_ms: int) -> tuple[list[Delivery], int, int]:
        """Take the next batch, at least one message where there is one.

        Returns
        -------
        The messages, how many bytes of them are arrays, and up to when everything received is in here: ``now_ms``, or
        just before the oldest single message that waits on.
        """
        taken: list[Delivery] = []
        single_bytes = arrays_bytes = 0
        while self._single and len(taken) < messages_max and single_bytes < BATCH_BYTES_MAX:
            delivery = self._single.popleft()
            single_bytes += len(delivery.message.payload)
            taken.append(delivery)
        if self._single:
            now_ms = min(now_ms, self._single[0].message.received_ms - 1)
        while self._may_take_arrays() and arrays_bytes < arrays_bytes_max:
            delivery = self._arrays.popleft()
            message = delivery.message
            # Between what was pulsed before and what is pulsed next.
            delivery.message = Message(message.topic, message.payload, now_ms, message.retained)
            arrays_bytes += len(delivery.message.payload)
            taken.append(delivery)
        self._passed_over = self._passed_over + 1 if self._arrays and not arrays_bytes else 0
        self.bytes -= single_bytes + arrays_bytes
        return taken, arrays_bytes, now_ms

    def _may_take_arrays(self) -> bool:
        """Say whether arrays may go now: with the last of the single messages, or when they were passed over for long."""
        return bool(self._arrays) and (not self._single or self._passed_over >= PASSED_OVER_MAX)
