"""Stored events enter, from the database or one by one; packed columns by device and boot leave, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, LiteralString

import numpy as np
from numpy.typing import NDArray
from psycopg import pq
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.rows import tuple_row

from ingest.detector.packed import CLOCKS, PackedEvents, Words, fits
from ingest.rows.event_rows import boot_text
from kaimen import wire
from kaimen.database import Connection

StoredEvent = tuple[str, wire.Event, int]
Packed = dict[str, dict[str, PackedEvents]]

#: Devices read with one statement: about so many months of events are on their way at once.
DEVICES_AT_ONCE = 200
_INT8_ARRAY_OID = 1016
_ARRAY_HEAD_BYTES = 20
_ELEMENT = np.dtype([("length", ">i4"), ("value", ">i8")])
_CLOCK_NO = {name: number for number, name in enumerate(CLOCKS)}


def pack_events(events: Iterable[StoredEvent]) -> tuple[Packed, list[StoredEvent]]:
    """Pack what is settled: numbers of a sane size, a position that stands once; return the rest as it was."""
    by_boot: dict[tuple[str, str], dict[int, list[StoredEvent]]] = {}
    for stored in events:
        device_id, event, _ = stored
        by_boot.setdefault((device_id, event.boot), {}).setdefault(event.seq, []).append(stored)
    packed: Packed = {}
    rest: list[StoredEvent] = []
    for (device_id, boot), by_seq in by_boot.items():
        settled = []
        for found in by_seq.values():
            if len(found) == 1 and fits(*found[0][1:]):
                settled.append(found[0][1:])
            else:
                rest.extend(found)
        if settled:
            packed.setdefault(device_id, {})[boot] = PackedEvents.of(settled)
    return packed, rest


class _IntsLoader(Loader):
    """A bigint[] without NULL as an array of numbers: no Python object for each."""

    format = pq.Format.BINARY

    def load(self, data: Buffer) -> NDArray[np.int64]:
        if len(data) <= _ARRAY_HEAD_BYTES:
            return np.zeros(0, np.int64)
        elements = np.frombuffer(data, _ELEMENT, offset=_ARRAY_HEAD_BYTES)
        return np.asarray(elements["value"], np.int64)


def read_columns(
    connection: Connection,
    statement: LiteralString,
    values: Mapping[str, Any],
    device_by_no: Mapping[int, str],
    *,
    told: Callable[[int], None] = lambda count: None,
) -> tuple[Packed, list[StoredEvent]]:
    """Read stored events of these devices, packed; ``told`` is called now and then with how many were read.

    ``statement`` takes ``devices`` and yields a row a device and boot: device_no, boot, then arrays of seq, ts_ms, up_ms,
    opens (-1: none) and receipt in milliseconds, replayed, clock_quality, type, state, direction, method, credential,
    reason and door.
    """
    packed: Packed = {}
    rest: list[StoredEvent] = []
    numbers = sorted(device_by_no)
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        cursor.adapters.register_loader(_INT8_ARRAY_OID, _IntsLoader)
        for first in range(0, len(numbers), DEVICES_AT_ONCE):
            count = 0
            cursor.execute(statement, {**values, "devices": numbers[first : first + DEVICES_AT_ONCE]})
            for device_no, boot, *columns in cursor:
                device_id, name = device_by_no[device_no], boot_text(boot)
                found, left = _packed_of(name, columns)
                count += len(columns[0])
                if found is not None:
                    packed.setdefault(device_id, {})[name] = found
                rest += [(device_id, event, received_ms) for event, received_ms in left]
            told(count)
    return packed, rest


def _packed_of(boot: str, columns: Sequence[Any]) -> tuple[PackedEvents | None, list[tuple[wire.Event, int]]]:
    *numbers, replayed, clocks, types, states, directions, methods, credentials, reasons, doors = columns
    table: dict[Words, int] = {}
    words_no = [
        table.setdefault(words, len(table))
        for words in zip(types, states, directions, methods, credentials, reasons, doors, strict=True)
    ]
    return PackedEvents.of_columns(
        boot, numbers, np.asarray([_CLOCK_NO[clock] for clock in clocks], np.uint8), np.asarray(replayed, np.bool_),
        np.asarray(words_no, np.int32), list(table),
    )  # fmt: skip
