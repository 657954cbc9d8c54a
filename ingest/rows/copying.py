"""Stored events enter; the bytes of one binary COPY leave, in the order in which households read. Pure.

A row is its numbers, packed in one call, and its words. The words of a door repeat (its name, its people's
credentials, the few types and states), so their bytes are kept. The order of the fields is that of ``copy_events``
in ``queries.sql``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

#: Milliseconds from the Unix epoch to 2000-01-01, where PostgreSQL counts microseconds from.
EPOCH_MS = 946_684_800_000
FIELDS = 21
_NUMBERS = struct.Struct(">h iq iq iq ii iq iq iq iq iq i? i?")
#: A row of a household's door that counts: nearly all are.
_WHOLE = struct.Struct(">h iq iq iq ii iq iq iq iq iq i? i? ii iq")
#: Rows are sorted by one number, the household above the instant.
_INSTANT_BITS = 52
_INT4, _INT8, _LENGTH = struct.Struct(">ii"), struct.Struct(">iq"), struct.Struct(">i")
_NULL = _LENGTH.pack(-1)
#: What stands before the rows and behind them.
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
#: Combinations of words whose bytes are kept: some for every door of a district.
_WORDS_KEPT_MAX = 100_000

Words = tuple[str | None, ...]


#: The fields of a row as they come by the thousand: a plain tuple is made in half the time.
Fields = tuple[int | None, int, int, int, int, int, int, int, bool, bool, int | None, Words]


class Row(NamedTuple):
    """One event as it is stored; instants in milliseconds, ``words`` are the text columns in their order."""

    household_no: int | None
    occurred_ms: int
    received_ms: int
    device_no: int
    boot: int
    seq: int
    ts_ms: int
    up_ms: int
    replayed: bool
    plausible: bool
    opens: int | None
    words: Words


class Copier:
    """Makes the bytes of COPY; keeps what repeats between batches."""

    def __init__(self) -> None:
        self._bytes_of_words: dict[Words, bytes] = {}

    def encode(self, rows: Iterable[Fields], *, recorded_ms: int, batch: int) -> bytes:
        """Return rows as all that one COPY takes; see ``body``."""
        return b"".join([HEADER, self.body(rows, recorded_ms=recorded_ms, batch=batch), END])

    def body(self, rows: Iterable[Fields], *, recorded_ms: int, batch: int) -> bytes:
        """Return rows (fields as ``Row`` names them), sorted by household and instant, in PostgreSQL's binary form.

        Raises
        ------
        OverflowError
            If a number does not fit its column.
        UnicodeEncodeError
            If a word is no text.
        """
        recorded_us = (recorded_ms - EPOCH_MS) * 1000
        parts: list[bytes] = []
        order: list[int] = []
        known, pack, pack_whole = self._bytes_of_words, _NUMBERS.pack, _WHOLE.pack
        try:
            for (
                household_no, occurred_ms, received_ms, device_no, boot, seq, ts_ms, up_ms, replayed, plausible, opens,
                words,
            ) in rows:  # fmt: skip
                tail = known.get(words)
                if tail is None:
                    tail = self._encode(words)
                if household_no is not None and opens is not None:
                    head = pack_whole(
                        FIELDS, 8, (occurred_ms - EPOCH_MS) * 1000, 8, (received_ms - EPOCH_MS) * 1000,
                        8, recorded_us, 4, device_no, 8, boot, 8, seq, 8, ts_ms, 8, up_ms, 8, batch,
                        1, replayed, 1, plausible, 4, household_no, 8, opens,
                    )  # fmt: skip
                else:
                    head = pack(
                        FIELDS, 8, (occurred_ms - EPOCH_MS) * 1000, 8, (received_ms - EPOCH_MS) * 1000,
                        8, recorded_us, 4, device_no, 8, boot, 8, seq, 8, ts_ms, 8, up_ms, 8, batch,
                        1, replayed, 1, plausible,
                    )  # fmt: skip
                    head += _NULL if household_no is None else _INT4.pack(4, household_no)
                    head += _NULL if opens is None else _INT8.pack(8, opens)
                parts.append(head + tail)
                order.append(((household_no or 0) << _INSTANT_BITS) + occurred_ms)
        except struct.error as error:
            raise OverflowError(str(error)) from error
        return b"".join([parts[index] for index in sorted(range(len(parts)), key=order.__getitem__)])

    def _encode(self, words: Words) -> bytes:
        found = bytearray()
        for word in words:
            if word is None:
                found += _NULL
            else:
                text = word.encode()
                found += _LENGTH.pack(len(text)) + text
        if len(self._bytes_of_words) >= _WORDS_KEPT_MAX:
            self._bytes_of_words.clear()
        return self._bytes_of_words.setdefault(words, bytes(found))
