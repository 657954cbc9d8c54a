"""Arrays of events to append and the group's book enter; their rows as PostgreSQL's binary COPY takes them leave. Pure.

The same bytes as ``ingest.rows.copying`` makes of each event by itself, which is the reference in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.arrays.reader import ReadArray
from ingest.detector.compiled import compiled
from ingest.rows.book import Book
from ingest.rows.copying import EPOCH_MS, FIELDS
from ingest.rows.event_rows import CLAMP_PAST_MS, RECEIPT_SPAN_MS, StoredEvent, boot_number
from kaimen.policy import FUTURE_MAX_MS

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

#: The most a row has before its words: 13 numbers with their lengths, and the clock.
_HEAD_BYTES_MAX = 160
_CLOCK = np.frombuffer(b"\0\0\0\3ntp", np.uint8)


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array's events to append: all plausible, at their ``ts``, of one household or none."""

    read: ReadArray
    household_id: str | None

    def __len__(self) -> int:
        return len(self.read)

    @property
    def device_id(self) -> str:
        return self.read.device_id

    def occurred_ms(self) -> Ints:
        """Return where the rows stand in time, ascending."""
        message_ms = self.read.message.received_ms
        return np.clip(self.read.events.ts, message_ms - CLAMP_PAST_MS, message_ms + FUTURE_MAX_MS)

    def span_ms(self) -> tuple[int, int]:
        """Return where the first and the last row stand in time."""
        message_ms, ts = self.read.message.received_ms, self.read.events.ts
        low, high = message_ms - CLAMP_PAST_MS, message_ms + FUTURE_MAX_MS
        return min(max(int(ts[0]), low), high), min(max(int(ts[-1]), low), high)

    def stored_events(self) -> list[StoredEvent]:
        """Return the events one by one, for what is done event by event."""
        message_ms = self.read.message.received_ms
        return [
            StoredEvent(item, message_ms, item.event.ts, self.household_id, True)
            for item in self.read.admitted()
        ]


@compiled
def _put4(out: Bytes, at: int, value: int) -> int:
    for place in range(4):
        out[at + place] = np.uint8(value >> (24 - 8 * place) & 255)
    return at + 4


@compiled
def _put8(out: Bytes, at: int, value: int) -> int:
    at = _put4(out, at, 8)
    for place in range(8):
        out[at + place] = np.uint8(value >> (56 - 8 * place) & 255)
    return at + 8


@compiled
def write_rows(
    out: Bytes,
    at: int,
    occurred_us: Ints,
    received_us: Ints,
    recorded_us: int,
    device_no: int,
    boot: int,
    seq: Ints,
    ts: Ints,
    up: Ints,
    batch: int,
    replayed: NDArray[np.bool_],
    household_no: int,
    opens: Ints,
    words_no: NDArray[np.int32],
    clock: Bytes,
    tails: Bytes,
    tail_to: Ints,
) -> int:
    """Write the rows of one array from ``at`` on; return where they end. ``household_no`` and ``opens`` below 0: none."""
    for row in range(len(seq)):
        out[at] = 0
        out[at + 1] = FIELDS
        at = _put8(out, at + 2, occurred_us[row])
        at = _put8(out, at, received_us[row])
        at = _put8(out, at, recorded_us)
        at = _put4(out, _put4(out, at, 4), device_no)
        at = _put8(out, at, boot)
        at = _put8(out, at, seq[row])
        at = _put8(out, at, ts[row])
        at = _put8(out, at, up[row])
        at = _put8(out, at, batch)
        at = _put4(out, at, 1)
        out[at] = replayed[row]
        at = _put4(out, at + 1, 1)
        out[at] = 1
        at += 1
        at = _put4(out, at, -1) if household_no < 0 else _put4(out, _put4(out, at, 4), household_no)
        at = _put4(out, at, -1) if opens[row] < 0 else _put8(out, at, opens[row])
        for place in range(len(clock)):
            out[at + place] = clock[place]
        at += len(clock)
        number = words_no[row]
        low, high = tail_to[number], tail_to[number + 1]
        for place in range(low, high):
            out[at + place - low] = tails[place]
        at += high - low
    return at


def rows_bytes(book: Book, arrays: Sequence[StoredArray], *, recorded_ms: int, batch: int) -> memoryview:
    """Return the rows of arrays, household by household, each ascending by instant."""
    ordered = sorted(
        arrays,
        key=lambda item: (
            0 if item.household_id is None else book.household_no[item.household_id],
            int(item.read.events.ts[0]),
        ),
    )
    out = np.empty(
        sum(len(item) * (_HEAD_BYTES_MAX + max(map(len, item.read.tails))) for item in ordered), np.uint8
    )
    at = 0
    for item in ordered:
        events, message_ms = item.read.events, item.read.message.received_ms
        received = np.clip(events.received, message_ms - RECEIPT_SPAN_MS, message_ms + RECEIPT_SPAN_MS)
        tails = item.read.tails
        ends = np.zeros(len(tails) + 1, np.int64)
        np.cumsum([len(tail) for tail in tails], out=ends[1:])
        at = write_rows(
            out, at, (item.occurred_ms() - EPOCH_MS) * 1000, (received - EPOCH_MS) * 1000,
            (recorded_ms - EPOCH_MS) * 1000, book.device_no[item.device_id], boot_number(item.read.boot),
            events.seq, events.ts, events.up, batch, events.hist,
            -1 if item.household_id is None else book.household_no[item.household_id], events.opens, events.words_no,
            _CLOCK, np.frombuffer(b"".join(tails), np.uint8), ends,
        )  # fmt: skip
    assert at <= len(out)
    return out[:at].data
