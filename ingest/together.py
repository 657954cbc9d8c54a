"""Messages between two pulses enter; what admission and the detector made of each leaves, in their order. No I/O.

The detector takes them as columns, all at once: most only prolong a watching, and those it settles without a look
at each. What is refused, and what states say, does not concern it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ingest.admission import AdmittedEvent, AdmittedHeartbeat, Item, Message, admit
from ingest.detector import Detector, Registry, Taken
from ingest.detector.batches import Batch
from ingest.detector.rows import Rows
from kaimen import wire
from kaimen.vocabulary import Admission

#: From so many messages between two pulses on they are taken as columns. Not yet in service: few messages are six times
#: slower that way, because each brings its device's track up to date, and where both ways are mixed a home's view may
#: be written a turn later than by either alone. Stages, checks and events are the same.
TOGETHER_MIN = 1 << 62


class Found(NamedTuple):
    """One item of a message; ``taken`` is the detector's word, None where it was not asked."""

    message: Message
    item: Item
    taken: Taken | None


class Together:
    """Takes messages of one registry into its detector."""

    def __init__(self, detector: Detector, registry: Registry) -> None:
        self._detector = detector
        self._registry = registry
        self._rows = Rows(registry.credentials)

    def take(
        self, messages: Iterable[Message], is_refused: Callable[[AdmittedEvent], bool] | None = None
    ) -> list[Found]:
        """Take messages in the order received, between which there is no pulse.

        Events that ``is_refused`` the database will not have: they are handed back without the detector's word.
        """
        items = [
            (message, item)
            for message in messages
            for item in admit(
                message.topic, message.payload, message.received_ms, self._registry, retained=message.retained
            )
        ]
        told = [_is_told(item, is_refused) for _, item in items]
        takes = self._take_all([item for (_, item), is_told in zip(items, told, strict=True) if is_told])
        return [
            Found(message, item, next(takes) if is_told else None)
            for (message, item), is_told in zip(items, told, strict=True)
        ]

    def _take_all(self, items: list[Item]) -> Iterator[Taken]:
        return self._take_each(items) if len(items) < TOGETHER_MIN else self._take_as_columns(items)

    def _take_each(self, items: list[Item]) -> Iterator[Taken]:
        for item in items:
            if isinstance(item, AdmittedEvent):
                yield self._detector.take_event(item.device_id, item.event, received_ms=item.received_ms)
            elif isinstance(item, AdmittedHeartbeat):
                yield self._detector.take_heartbeat(
                    item.device_id, item.heartbeat, received_ms=item.received_ms
                )

    def _take_as_columns(self, items: list[Item]) -> Iterator[Taken]:
        rows, index = self._rows, self._detector.device_index
        told: list[wire.Event | wire.Heartbeat] = []
        for item in items:
            if isinstance(item, AdmittedEvent):
                rows.add_event(index(item.device_id), item.event, item.received_ms)
                told.append(item.event)
            elif isinstance(item, AdmittedHeartbeat):
                rows.add_heartbeat(index(item.device_id), item.heartbeat, item.received_ms)
                told.append(item.heartbeat)
        batch = Batch(rows.take(), told)
        said: dict[int, Taken] = {}
        while batch.reached < len(told):
            taken = self._detector.take_batch(batch)
            if taken is not None:
                said[batch.reached - 1] = taken
        for row, item in enumerate(items):
            taken = said.get(row)
            if taken is not None:
                yield taken
            elif isinstance(item, AdmittedEvent):
                yield self._detector.went_past(item.device_id, item.event, item.received_ms)
            else:
                yield _SOUND


_SOUND = Taken(Admission.ACCEPTED, None, False, None, False)


def _is_told(item: Item, is_refused: Callable[[AdmittedEvent], bool] | None) -> bool:
    """Say whether the detector is told of an item."""
    if isinstance(item, AdmittedEvent):
        return is_refused is None or not is_refused(item)
    return isinstance(item, AdmittedHeartbeat)
