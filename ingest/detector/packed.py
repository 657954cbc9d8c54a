"""Events of one start of a device enter; the same leave as columns, about 60 bytes each. Pure.

What is packed is settled: one content under its position, one receipt, numbers of a sane size. Everything else stays
as it was said. A packed event that somebody asks for by its position comes out again, and is then no longer here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.detector.points import EVENT, NO_COUNTER, Point
from kaimen import wire
from kaimen.policy import FUTURE_MAX_MS, PAST_MAX_MS, STEP_DRIFT_DIVISOR, STEP_MAX_MS
from kaimen.vocabulary import EventType

#: Numbers below it can be added and taken from one another without leaving 64 bits.
SANE_MAX = 1 << 48
BASE_MAX_MS = 1 << 60
#: What an event is to its door.
OTHER, EDGE, OPEN_EDGE, GRANTED, TAKEN, FORCED, TAMPERED = range(7)
CLOCKS = ("ntp", "rtc", "unsynced")
NTP, RTC = 0, 1

_KINDS = {
    EventType.ACCESS_GRANTED.value: GRANTED,
    EventType.ACCESS_TAKEN.value: TAKEN,
    EventType.DOOR_FORCED_OPEN.value: FORCED,
    EventType.DOOR_TAMPER.value: TAMPERED,
    EventType.DOOR_FAULT.value: TAMPERED,
}
_CLOCK_NO = {name: number for number, name in enumerate(CLOCKS)}

Ints = NDArray[np.int64]
#: type, state, direction, method, credential, reason, door
Words = tuple[str, str | None, str | None, str | None, str | None, str | None, str | None]


def kind_of(type_: str, state: str | None) -> int:
    """Return what an event of a type and state is to its door."""
    if type_ == EventType.DOOR_PHYSICAL_STATE:
        return OPEN_EDGE if state == "Open" else EDGE
    return _KINDS.get(type_, OTHER)


class PackedEvents:
    """Columns of shape (N,), ascending by ``seq``, which stands once; ``words`` index a list of their own."""

    def __init__(
        self,
        seq: Ints,
        ts: Ints,
        up: Ints,
        opens: Ints,
        received: Ints,
        clock: NDArray[np.uint8],
        hist: NDArray[np.bool_],
        words_no: NDArray[np.int32],
        words: Sequence[Words],
    ) -> None:
        self.seq, self.ts, self.up, self.opens, self.received = seq, ts, up, opens, received
        self.clock, self.hist, self.words_no = clock, hist, words_no
        self.words = list(words)
        kinds = np.asarray([kind_of(item[0], item[1]) for item in self.words], np.uint8)
        self.kind: NDArray[np.uint8] = kinds[words_no] if len(kinds) else np.zeros(0, np.uint8)
        #: What was asked for stands elsewhere.
        self.here: NDArray[np.bool_] = np.ones(len(seq), np.bool_)
        self.last_seq = int(seq[-1]) if len(seq) else 0

    def __len__(self) -> int:
        return int(self.here.sum())

    @classmethod
    def of(cls, events: Iterable[tuple[wire.Event, int]]) -> PackedEvents:
        """Pack events with their receipt; each must fit (``fits``), and no ``seq`` may stand twice."""
        ordered = sorted(events, key=lambda pair: pair[0].seq)
        numbers: dict[Words, int] = {}
        words_no = [
            numbers.setdefault(
                (event.type, event.state, event.dir, event.method, event.cred, event.reason, event.door),
                len(numbers),
            )
            for event, _ in ordered
        ]
        columns = np.asarray(
            [
                (
                    event.seq,
                    event.ts,
                    event.up,
                    NO_COUNTER if event.opens is None else event.opens,
                    received_ms,
                )
                for event, received_ms in ordered
            ],
            np.int64,
        ).reshape(-1, 5)
        seq, ts, up, opens, received = (np.ascontiguousarray(column) for column in columns.T)
        return cls(
            seq, ts, up, opens, received,
            np.asarray([_CLOCK_NO[event.clk] for event, _ in ordered], np.uint8),
            np.asarray([bool(event.hist) for event, _ in ordered], np.bool_),
            np.asarray(words_no, np.int32),
            list(numbers),
        )  # fmt: skip

    @classmethod
    def of_columns(
        cls,
        boot: str,
        numbers: Sequence[Ints],
        clock: NDArray[np.uint8],
        hist: NDArray[np.bool_],
        words_no: NDArray[np.int32],
        words: Sequence[Words],
    ) -> tuple[PackedEvents | None, list[tuple[wire.Event, int]]]:
        """Pack columns in any order (``numbers``: seq, ts, up, opens, received); return what does not fit as events."""
        order = np.lexsort((numbers[1], numbers[0]))
        seq, ts, up, opens, received = (column[order] for column in numbers)
        whole = cls(seq, ts, up, opens, received, clock[order], hist[order], words_no[order], words)
        settled = np.ones(len(seq), np.bool_)
        twice = seq[1:] == seq[:-1]
        settled[1:] &= ~twice
        settled[:-1] &= ~twice
        for column in (seq, ts, up, opens, received):
            settled &= (column >= NO_COUNTER) & (column < SANE_MAX)
        settled &= (ts >= 0) & (received >= 0)
        if settled.all():
            return whole, []
        rest = [(whole._event(row, boot), int(received[row])) for row in np.flatnonzero(~settled).tolist()]
        if not settled.any():
            return None, rest
        kept = cls(
            seq[settled], ts[settled], up[settled], opens[settled], received[settled], whole.clock[settled],
            whole.hist[settled], whole.words_no[settled], words,
        )  # fmt: skip
        return kept, rest

    def joined(self, *young: PackedEvents) -> PackedEvents:
        """Return what is here and what is in ``young``, no position of which stands twice, as one."""
        parts = [self, *young]
        rows = [np.flatnonzero(part.here) for part in parts]
        table: dict[Words, int] = {}
        numbers = [
            np.asarray([table.setdefault(words, len(table)) for words in part.words], np.int32)
            for part in parts
        ]
        words_no = np.concatenate(
            [number[part.words_no[at]] for part, at, number in zip(parts, rows, numbers, strict=True)]
        )
        seq = np.concatenate([part.seq[at] for part, at in zip(parts, rows, strict=True)])
        order = np.argsort(seq, kind="stable")

        def column(name: str) -> Any:
            return np.concatenate([getattr(part, name)[at] for part, at in zip(parts, rows, strict=True)])[
                order
            ]

        used, words_no = np.unique(words_no[order], return_inverse=True)
        words = list(table)
        return PackedEvents(
            seq[order], column("ts"), column("up"), column("opens"), column("received"), column("clock"),
            column("hist"), words_no.astype(np.int32), [words[number] for number in used.tolist()],
        )  # fmt: skip

    def last_points(self, count: int) -> list[Point]:
        """Return the points of the last events, which are synchronised and stand where they say."""
        told = (column[-count:].tolist() for column in (self.seq, self.up, self.ts, self.opens, self.kind))
        return [
            (seq, EVENT, up, ts, opens, kind == OPEN_EDGE)
            for seq, up, ts, opens, kind in zip(*told, strict=True)
        ]

    # -- one by one -----------------------------------------------------------------------------------------

    def take_out(self, seq: int, boot: str) -> tuple[wire.Event, int] | None:
        """Return the event at a position with its receipt, which then is no longer here; None if it is not."""
        row = int(np.searchsorted(self.seq, seq))
        if row == len(self.seq) or self.seq[row] != seq or not self.here[row]:
            return None
        self.here[row] = False
        return self._event(row, boot), int(self.received[row])

    def leave_out(self, positions: Iterable[int]) -> None:
        """Have no event at these positions."""
        self.here &= ~np.isin(self.seq, list(positions))

    def any_of(self, words_no: int, boot: str) -> tuple[wire.Event, int]:
        """Return an event of these words, with its receipt."""
        row = int(np.argmax(self.words_no == words_no))
        return self._event(row, boot), int(self.received[row])

    def said(self, boot: str) -> list[wire.Event]:
        """Return every event that ever was here: also what has been asked for by its position."""
        return [self._event(row, boot) for row in range(len(self.seq))]

    def items(self, boot: str) -> Iterator[tuple[wire.Event, int]]:
        """Yield every event that is here, ascending."""
        for row in np.flatnonzero(self.here).tolist():
            yield self._event(row, boot), int(self.received[row])

    def _event(self, row: int, boot: str) -> wire.Event:
        type_, state, direction, method, credential, reason, door = self.words[int(self.words_no[row])]
        opens = int(self.opens[row])
        clock: Any = CLOCKS[int(self.clock[row])]
        return wire.Event(
            v=1, boot=boot, seq=int(self.seq[row]), ts=int(self.ts[row]), up=int(self.up[row]), clk=clock, type=type_,
            door=door, state=state, dir=direction, method=method, cred=credential,
            opens=None if opens == NO_COUNTER else opens, reason=reason, hist=bool(self.hist[row]),
        )  # fmt: skip

    # -- all at once ----------------------------------------------------------------------------------------

    def instants(self, base_ms: int) -> Ints:
        """Return the instant of each event on a boot's base."""
        # A base that far away makes every instant implausible, wherever it is.
        placed = max(-BASE_MAX_MS, min(base_ms, BASE_MAX_MS)) + self.up
        off = np.abs(self.ts - placed)
        sound = (self.clock == NTP) & (off <= STEP_MAX_MS + self.up // STEP_DRIFT_DIVISOR)
        return np.where(sound, self.ts, placed)

    def plausible(self, instants: Ints) -> NDArray[np.bool_]:
        """Say of each event that is here whether its instant is plausible by its receipt."""
        late = (self.received - PAST_MAX_MS <= instants) & (instants <= self.received + FUTURE_MAX_MS)
        result: NDArray[np.bool_] = late & self.here
        return result

    def points(self, base_ms: int) -> list[Point]:
        """Return the points of the plausible events, ascending by position."""
        instants = self.instants(base_ms)
        rows = np.flatnonzero(self.plausible(instants))
        count = len(rows)
        return list(
            zip(
                self.seq[rows].tolist(), [EVENT] * count, self.up[rows].tolist(), instants[rows].tolist(),
                self.opens[rows].tolist(), (self.kind[rows] == OPEN_EDGE).tolist(), strict=True,
            )
        )  # fmt: skip


def fits(event: wire.Event, received_ms: int) -> bool:
    """Say whether an event's numbers can be packed."""
    return (
        0 <= event.ts < SANE_MAX
        and 0 <= event.up < SANE_MAX
        and 0 <= received_ms < SANE_MAX
        and event.seq < SANE_MAX
        and (event.opens is None or event.opens < SANE_MAX)
    )
