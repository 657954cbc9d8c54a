"""Nothing enters; one made-up home has gone the way of every message through what is compiled. No I/O.

What was never compiled on this machine, as after an upgrade, is compiled by the first message that asks for it: seconds
for which a group would stand still with its lease in hand. So all of it is asked for before there is a lease.
"""

from __future__ import annotations

from ingest.admission import Message
from ingest.arrays.reader import Columns
from ingest.arrays.rows import StoredArray, rows_bytes
from ingest.detector import Detector, Registry
from ingest.rows.book import Book
from ingest.session.receiving import Bulk
from kaimen import wire
from kaimen.vocabulary import Device, DoorBinding, Household

_NOW_MS = 1_763_712_000_000
_SITE, _DOOR, _HOME, _BOOT = "site", "door", "home", "00ff00ff00ff00ff"
_EVENTS = 12


def rehearse() -> None:
    """Let a few messages of one home be received, read, judged and made into rows; what comes of it is thrown away."""
    Bulk.may_be_used()
    book = _made_up()
    detector = Detector(book.registry, now_ms=_NOW_MS)
    for event in _events(1, 2):
        detector.take_event(_DOOR, event, received_ms=_NOW_MS)
    detector.pulse(_NOW_MS + 1_000)
    reader = Columns.reader()
    if reader is None:
        return
    payload = wire.format_batch(_events(3, _EVENTS))
    read = reader.read(_DOOR, Message(wire.format_topic(_SITE, _DOOR, "evb"), payload, _NOW_MS))
    assert read is not None, "what the proof of the scanner took is taken"
    told = detector.take_array(_DOOR, read.boot, read.events)
    assert told is not None, "the array goes on where the door was heard last"
    rows_bytes(book, [StoredArray(read, told.household_id)], recorded_ms=_NOW_MS, batch=1)
    detector.pulse(_NOW_MS + 2_000)


def _made_up() -> Book:
    device = Device(_DOOR, _SITE, supervision_ms=180_000)
    home = Household(_HOME, _SITE, (DoorBinding(_DOOR),), watched_from_ms=_NOW_MS - 60_000)
    return Book(Registry({_DOOR: device}, {_HOME: home}, {}), {_DOOR: 1}, {_HOME: 1}, ())


def _events(first: int, last: int) -> list[wire.Event]:
    return [
        wire.Event(
            v=1, boot=_BOOT, seq=seq, ts=_NOW_MS - 30_000 + seq * 1_000, up=seq * 1_000, clk="ntp",
            type="DoorPhysicalState", state="Open" if seq % 2 else "Closed", opens=(seq + 1) // 2, door="3-1-1201",
        )
        for seq in range(first, last + 1)
    ]  # fmt: skip
