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
_EPOCH_MS = 946_684_800_000
_FIELDS = 21
_NUMBERS = struct.Struct(">h iq iq iq ii iq iq iq iq iq i? i?")
_INT4, _INT8, _LENGTH = struct.Struct(">ii"), struct.Struct(">iq"), struct.Struct(">i")
_NULL = _LENGTH.pack(-1)
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
#: Combinations of words whose bytes are kept: some for every door of a district.
_WORDS_KEPT_MAX = 100_000

Words = tuple[str | None, ...]


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

    def encode(self, rows: Iterable[Row], *, recorded_ms: int, batch: int) -> bytes:
        """Return the rows, sorted by household and instant, in PostgreSQL's binary form.

        Raises
        ------
        OverflowError
            If a number does not fit its column.
        UnicodeEncodeError
            If a word is no text.
        """
        recorded_us = (recorded_ms - _EPOCH_MS) * 1000
        parts = [_HEADER]
        known, pack, int4, int8 = self._bytes_of_words, _NUMBERS.pack, _INT4.pack, _INT8.pack
        try:
            for row in sorted(rows, key=_reading_order):
                household_no, occurred_ms, received_ms, device_no, boot, seq, ts_ms, up_ms = row[:8]
                _, _, _, _, _, _, _, _, replayed, plausible, opens, words = row
                tail = known.get(words)
                parts.append(
                    pack(
                        _FIELDS, 8, (occurred_ms - _EPOCH_MS) * 1000, 8, (received_ms - _EPOCH_MS) * 1000,
                        8, recorded_us, 4, device_no, 8, boot, 8, seq, 8, ts_ms, 8, up_ms, 8, batch,
                        1, replayed, 1, plausible,
                    )
                )  # fmt: skip
                parts.append(_NULL if household_no is None else int4(4, household_no))
                parts.append(_NULL if opens is None else int8(8, opens))
                parts.append(self._encode(words) if tail is None else tail)
        except struct.error as error:
            raise OverflowError(str(error)) from error
        parts.append(_END)
        return b"".join(parts)

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


def _reading_order(row: Row) -> tuple[int, int]:
    return (row.household_no or 0, row.occurred_ms)
