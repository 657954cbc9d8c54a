"""Events of a turn and the group's book enter; rows for COPY, each of an instant the store can hold, leave. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import msgspec

from ingest.admission import AdmittedEvent
from ingest.rows.book import Book
from ingest.rows.copying import Fields
from kaimen.clock import as_datetime
from kaimen.policy import DAY_MS, FUTURE_MAX_MS, PAST_MAX_MS

#: An edge may keep an event for 45 days before it sends it, and the event may have been 45 days old by then.
CLAMP_PAST_MS = 2 * PAST_MAX_MS + DAY_MS
#: A receipt further from now than this is a broken clock, not a date.
RECEIPT_SPAN_MS = 400 * DAY_MS


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """An event to append; ``message_ms`` is when this service received it, ``instant_ms`` where it stands."""

    admitted: AdmittedEvent
    message_ms: int
    instant_ms: int
    household_id: str | None
    plausible: bool


def clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def storable(ms: int, near_ms: int) -> datetime:
    """Return an instant as the database can hold it; a receipt years away is a broken clock, not a date."""
    return as_datetime(clamp(ms, near_ms - RECEIPT_SPAN_MS, near_ms + RECEIPT_SPAN_MS))


@lru_cache(maxsize=65_536)
def boot_number(boot: str) -> int:
    """Return 16 hexadecimal digits as the signed 64-bit number they are stored as."""
    number = int(boot, 16)
    return number - (1 << 64) if number >= 1 << 63 else number


def boot_text(number: int) -> str:
    """Return the 16 hexadecimal digits of a stored boot."""
    return f"{number & ((1 << 64) - 1):016x}"


def occurred_ms_of(stored: StoredEvent) -> int:
    """Return where an event's row stands in time."""
    message_ms = stored.message_ms
    occurred_ms = stored.instant_ms if stored.plausible else message_ms
    return clamp(occurred_ms, message_ms - CLAMP_PAST_MS, message_ms + FUTURE_MAX_MS)


def rows_of(book: Book, events: Sequence[StoredEvent]) -> list[Fields]:
    """Return the rows of events, in their order: the fields that ``ingest.rows.copying.Row`` names."""
    device_no, household_no_of = book.device_no, book.household_no
    rows: list[Fields] = []
    for stored in events:
        admitted, message_ms, plausible = stored.admitted, stored.message_ms, stored.plausible
        event, received_ms = admitted.event, admitted.received_ms
        occurred_ms = stored.instant_ms if plausible else message_ms
        if not message_ms - CLAMP_PAST_MS <= occurred_ms <= message_ms + FUTURE_MAX_MS:
            occurred_ms = clamp(occurred_ms, message_ms - CLAMP_PAST_MS, message_ms + FUTURE_MAX_MS)
        if not message_ms - RECEIPT_SPAN_MS <= received_ms <= message_ms:
            received_ms = clamp(received_ms, message_ms - RECEIPT_SPAN_MS, message_ms + RECEIPT_SPAN_MS)
        household_id = stored.household_id
        rows.append(
            (
                None if household_id is None else household_no_of[household_id],
                occurred_ms,
                received_ms,
                device_no[admitted.device_id],
                boot_number(event.boot),
                event.seq,
                event.ts,
                event.up,
                bool(event.hist),
                plausible,
                event.opens,
                (
                    event.clk, event.type, event.state, event.dir, event.method, event.cred, event.reason,
                    event.door,
                ),
            )
        )  # fmt: skip
    return rows
