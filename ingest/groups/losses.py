"""What devices can no longer deliver enters; which starts of them are to be counted again leaves. Pure.

An event below ``first_seq`` that never arrived is lost for good. It may still come from somebody else's storage, so
the count is made anew when one does. A ring buffer moves ``first_seq`` with every event: each start of a device is
counted at most every so often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: One start of one device is counted again at most this often.
COUNT_EVERY_MS = 600_000


@dataclass(frozen=True, slots=True)
class Loss:
    """Count, of this start of this device, what is missing below ``first_seq``."""

    device_id: str
    boot: str
    first_seq: int


class Losses:
    """Which starts of devices are to be counted, and what else is counted of a device."""

    def __init__(self, first_seq: Mapping[tuple[str, str], int] | None = None) -> None:
        self._first_seq: dict[tuple[str, str], int] = dict(first_seq or {})
        self._waiting: set[tuple[str, str]] = set()
        self._counted_ms: dict[tuple[str, str], int] = {}
        self.implausible_heartbeats: Counter[str] = Counter()

    def note(self, device_id: str, boot: str, first_seq: int | None) -> None:
        """Note the lowest number a device can still deliver."""
        key = (device_id, boot)
        if first_seq is not None and first_seq > max(1, self._first_seq.get(key, 1)):
            self._first_seq[key] = first_seq
            self._waiting.add(key)

    def arrived(self, device_id: str, boot: str, seq: int) -> None:
        """Note an event that was given up already."""
        if seq < self._first_seq.get((device_id, boot), 0):
            self._waiting.add((device_id, boot))

    def due(self, now_ms: int) -> list[Loss]:
        """Return what is to be counted now."""
        return [
            Loss(*key, self._first_seq[key])
            for key in sorted(self._waiting)
            if now_ms - self._counted_ms.get(key, -COUNT_EVERY_MS) >= COUNT_EVERY_MS
        ]

    def confirm(self, counted: Iterable[Loss], now_ms: int) -> None:
        """The counts are committed."""
        for loss in counted:
            key = (loss.device_id, loss.boot)
            self._counted_ms[key] = now_ms
            if self._first_seq[key] == loss.first_seq:
                self._waiting.discard(key)
