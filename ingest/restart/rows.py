"""Devices' hot parts enter, a row for each block of them leaves, and the other way round; a row that is not sound says why.

A row is true for the turn whose batch number it carries: the checksum covers that number and whose it is with the state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from ingest.detector.cold import Hot
from ingest.groups.leases import Lease
from kaimen.clock import as_datetime, as_ms
from kaimen.database import Connection, queries
from kaimen.policy import HOUR_MS

_SQL = queries("ingest")
#: Raised with every change of what ``Hot`` holds or means: rows of another layout are not read.
LAYOUT = 3
#: Numbers of devices to a block, some tens of kilobytes of state.
BLOCK_DEVICES = 32
#: What a block may take; devices that do not fit are read from their rows at a start.
STATE_BYTES_MAX = 1 << 20

#: A start looks for events and heartbeats from so long before a block was written.
TAIL_MS = 6 * HOUR_MS

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Hot])


class Unsound(StrEnum):
    """Why a row is not used."""

    LAYOUT = "layout"  # of another version of this program
    BATCH = "batch"  # ahead of what the group ever wrote: the leases were made anew
    CHECKSUM = "checksum"  # damaged
    FORM = "form"  # its bytes are whole and say nothing this program knows


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is at hand of one block's devices after a turn."""

    block_no: int
    hots: Sequence[Hot]
    floor_ms: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """One block as it was read: sound, and read out device by device when they are taken up, for they are many."""

    block_no: int
    batch: int
    written_ms: int
    state: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.state)

    @property
    def hots(self) -> list[Hot]:
        return _decoder.decode(self.state)


@dataclass(frozen=True, slots=True)
class Restart:
    """How a detector was built: from which blocks, for how many devices, with how many events since."""

    epoch: int = 0
    found: list[Found] = field(default_factory=list)
    unsound: dict[int, Unsound] = field(default_factory=dict)
    devices: int = 0
    tail_events: int = 0


def block_of(device_no: int) -> int:
    return device_no // BLOCK_DEVICES


def pack(block_no: int, hots: Sequence[Hot]) -> Snapshot:
    """Return the row of a block; without any device it says that of all of them the rows are to be read."""
    kept = list(hots)
    state = _encoder.encode(kept)
    while len(state) > STATE_BYTES_MAX:
        kept = kept[: len(kept) // 2]
        state = _encoder.encode(kept)
    return Snapshot(block_no, kept, min((hot.floor_ms for hot in kept), default=0), state)


def _checksum(groups: int, group_no: int, block_no: int, batch: int, state: bytes) -> bytes:
    head = f"{LAYOUT}/{groups}/{group_no}/{block_no}/{batch}/".encode()
    return hashlib.sha256(head + state).digest()


def write_snapshots(
    connection: Connection,
    lease: Lease,
    batch: int,
    *,
    snapshots: Sequence[Snapshot],
    dropped: Sequence[int],
    epoch: int,
    now_ms: int,
) -> bool:
    """Write blocks' rows and drop others, in the transaction of the turn they are true for; say whether they were written.

    None is while somebody takes stored events away, nor after that until this worker has read them anew.
    """
    if dropped:
        connection.execute(
            _SQL["drop_snapshots"],
            {"groups": lease.groups, "group_no": lease.group_no, "blocks": list(dropped)},
        )
    if not snapshots:
        return False
    written = connection.execute(
        _SQL["write_snapshots"],
        {
            "groups": lease.groups,
            "group_no": lease.group_no,
            "blocks": [snapshot.block_no for snapshot in snapshots],
            "batch": batch,
            "written_at": as_datetime(now_ms),
            "floors": [as_datetime(snapshot.floor_ms or now_ms) for snapshot in snapshots],
            "layout": LAYOUT,
            "checksums": [
                _checksum(lease.groups, lease.group_no, snapshot.block_no, batch, snapshot.state)
                for snapshot in snapshots
            ],
            "states": [snapshot.state for snapshot in snapshots],
            "epoch": epoch,
        },
    )
    return written.rowcount == len(snapshots)


def load_epoch(connection: Connection) -> int:
    """Return how often stored events lost something."""
    row = connection.execute(_SQL["load_epoch"]).fetchone()
    assert row is not None, "the migration made it"
    return int(row["epoch"])


def load_snapshots(
    connection: Connection, *, groups: int, group_no: int, batch: int
) -> tuple[list[Found], dict[int, Unsound]]:
    """Read a group's blocks; return those that are sound, and of the others why not.

    ``batch`` is the number of the group's newest turn.
    """
    found: list[Found] = []
    unsound: dict[int, Unsound] = {}
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(_SQL["load_snapshots"], {"groups": groups, "group_no": group_no}).fetchall()
    for row in rows:
        block_no, state = row["block_no"], bytes(row["state"])
        if row["layout"] != LAYOUT:
            unsound[block_no] = Unsound.LAYOUT
        elif row["batch"] > batch:
            unsound[block_no] = Unsound.BATCH
        elif _checksum(groups, group_no, block_no, row["batch"], state) != bytes(row["checksum"]):
            unsound[block_no] = Unsound.CHECKSUM
        else:
            try:
                _decoder.decode(state)
            except (msgspec.DecodeError, msgspec.ValidationError):
                unsound[block_no] = Unsound.FORM
                continue
            found.append(Found(block_no, row["batch"], as_ms(row["written_at"]), state))
    return found, unsound


def least_batch(found: Iterable[Found]) -> int:
    """Return the oldest turn that any of the blocks is true for."""
    return min((block.batch for block in found), default=0)
