"""Messages that hold arrays of events enter; those of the plain kind leave as columns, without an object for an event.

What an array says is ``kaimen.wire``'s to know. ``ArrayReader`` only takes a short way to the same end where the
compiled scanner knows every byte; it proves itself against ``kaimen.wire`` before it is used, and whatever it does not
take goes the plain way.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ingest import metrics
from ingest.admission import AdmittedEvent, Message, take_array
from ingest.detector.packed import NTP, SANE_MAX, PackedEvents, Words
from kaimen import wire
from kaimen.logs import get_logger

#: Arrays with fewer events cost less the plain way.
PLAIN_BELOW_BYTES = 600
#: Combinations of words kept as text: some for every door of a district.
_WORDS_KEPT_MAX = 100_000

log = get_logger()


@dataclass(frozen=True, slots=True)
class ReadArray:
    """The events of one message of one device, their numbers ascending without a gap."""

    device_id: str
    boot: str
    events: PackedEvents
    #: Of each of ``events.words``, its bytes as COPY takes them.
    tails: list[bytes]
    message: Message

    def __len__(self) -> int:
        return len(self.events.seq)

    def admitted(self) -> list[AdmittedEvent]:
        """Return the events one by one, as the plain way reads them."""
        message = self.message
        items = take_array(message.topic, self.device_id, message.payload, message.received_ms)
        return [item for item in items if type(item) is AdmittedEvent]


class ArrayReader:
    """Reads arrays by the compiled scanner; belongs to one thread."""

    def __init__(self) -> None:
        from ingest.arrays import scan as array_scan

        self._scan = array_scan.scan_array
        self._numbers = np.empty((array_scan.NUMBERS, wire.EVENTS_MAX), np.int64)
        self._marks = np.empty((array_scan.MARKS, wire.EVENTS_MAX), np.int32)
        self._boot = np.empty(array_scan.BOOT_LENGTH, np.uint8)
        self._tails = np.empty(array_scan.COMBINATION_BYTES_MAX, np.uint8)
        self._tail_to = np.empty(array_scan.COMBINATIONS_MAX + 1, np.int64)
        self._words: dict[bytes, Words] = {}

    def read(self, device_id: str, message: Message) -> ReadArray | None:
        """Return the events of a message on a device's array topic; None where the plain way must read it."""
        payload, received_ms = message.payload, message.received_ms
        if not PLAIN_BELOW_BYTES <= len(payload) <= wire.BATCH_BYTES_MAX or not 0 <= received_ms < SANE_MAX:
            return None
        count = self._scan(
            np.frombuffer(payload, np.uint8),
            self._numbers,
            self._marks,
            self._boot,
            self._tails,
            self._tail_to,
        )
        if count < 1:
            return None
        numbers = self._numbers[:, :count].copy()
        marks = self._marks[:, :count]
        seq, ts, up, opens, rx = numbers
        # Whoever of us took it first says when it was received, unless that is yet to come.
        rx[(rx < 0) | (rx > received_ms)] = received_ms
        words_no: NDArray[np.int32] = marks[1].copy()
        tails = self._tails_found()
        events = PackedEvents(
            seq, ts, up, opens, rx, np.full(count, NTP, np.uint8), marks[0] != 0, words_no,
            [self._words_of(tail) for tail in tails],
        )  # fmt: skip
        return ReadArray(device_id, self._boot.tobytes().decode(), events, tails, message)

    def _tails_found(self) -> list[bytes]:
        ends = self._tail_to.tolist()
        whole = self._tails[: max(ends)].tobytes()
        return [whole[low:high] for low, high in pairwise(ends) if high >= 0]

    def _words_of(self, tail: bytes) -> Words:
        words = self._words.get(tail)
        if words is None:
            if len(self._words) >= _WORDS_KEPT_MAX:
                self._words.clear()
            words = self._words[tail] = words_in(tail)
        return words


def words_in(tail: bytes) -> Words:
    """Return the words whose lengths and bytes stand one behind the other."""
    found: list[str | None] = []
    at = 0
    while at < len(tail):
        length = int.from_bytes(tail[at : at + 4], "big", signed=True)
        at += 4
        found.append(None if length < 0 else tail[at : at + length].decode("ascii"))
        at += max(length, 0)
    kind, state, direction, method, credential, reason, door = found
    assert kind is not None
    return kind, state, direction, method, credential, reason, door


class Columns:
    """Whether this process reads arrays into columns: proved once, before the first lease."""

    _lock = threading.Lock()
    _sound: bool | None = None

    @classmethod
    def reader(cls) -> ArrayReader | None:
        """Return a reader, None where it does not say what ``kaimen.wire`` says; the first to ask waits for the proof."""
        with cls._lock:
            if cls._sound is None:
                cls._sound = proves_itself()
                if not cls._sound:
                    metrics.ARRAYS_PLAIN.inc()
                    log.warning("arrays are read event by event: the compiled scanner failed its proof")
        return ArrayReader() if cls._sound else None


def proves_itself() -> bool:
    """Read a few arrays both ways and say whether both say the same, and the scanner leaves what it must leave."""
    try:
        reader = ArrayReader()
        return all(_reads_alike(reader, payload, is_plain) for payload, is_plain in _proof())
    except Exception as error:
        log.exception("the scanner of arrays could not be proved", error=type(error).__name__)
        return False


def _reads_alike(reader: ArrayReader, payload: bytes, is_plain: bool) -> bool:
    message = Message(wire.format_topic("site", "door", "evb"), payload, 1_763_712_000_000)
    read = reader.read("door", message)
    if read is None or not is_plain:
        return (read is not None) is is_plain
    plain = [(item.event.content(), item.received_ms) for item in read.admitted()]
    return plain == [(event.content(), received_ms) for event, received_ms in read.events.items(read.boot)]


def _proof() -> list[tuple[bytes, bool]]:
    events = [
        wire.Event(
            v=1, boot="00ff00ff00ff00ff", seq=number, ts=1_763_711_000_000 + number, up=number * 1000, clk="ntp",
            type="DoorPhysicalState" if number % 3 else "Motion", state="Open" if number % 2 else None,
            cred=f"c_{number % 4}", door="3-1-1201", opens=number if number % 5 else None,
            rx=1_763_711_500_000 if number % 7 else None, hist=number % 2 == 0,
        )
        for number in range(7, 30)
    ]  # fmt: skip
    sound = wire.format_batch(events)
    return [
        (sound, True),
        (sound.replace(b",", b" ,\n"), True),
        (sound.replace(b"c_1", b"c\\u0031"), False),
        (sound.replace(b"3-1-1201", "三栋".encode()), False),
        (sound.replace(b'"seq":20', b'"seq":21'), False),
        (sound.replace(b'"up":9000', b'"up":9e3'), False),
        (sound.replace(b'"seq":20', b'"\0seq":20'), False),
        (sound[:-1], False),
        (sound + b"]", False),
    ]
