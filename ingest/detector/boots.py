"""One start of a device enters, message by message in any order; what was watched of its door during it leaves. Pure.

Heartbeats are folded: of three neighbours at one position with one counter the middle one says nothing that the
outer two do not say, so it is dropped; where the folding could ever matter (``retain``) the originals are kept. What is
kept lies in the order of the points, and which stretch a heartbeat prolongs is asked of that order alone: so whoever
goes on from what was written down folds as one who never stopped, whatever came late in between.
Events of long ago lie packed (``packed``); one that is asked for by its position is unpacked.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from ingest.detector.facts import BootBase
from ingest.detector.packed import NTP, RTC, PackedEvents, fits
from ingest.detector.points import (
    EVENT,
    HEARTBEAT,
    NO_COUNTER,
    START,
    Beat,
    Interval,
    Point,
    decide_between,
    extend,
    says_nothing,
    united,
)
from kaimen import wire
from kaimen.policy import CLONE_SPREAD_MS, FUTURE_MAX_MS, PAST_MAX_MS, STEP_DRIFT_DIVISOR, STEP_MAX_MS

#: Points of a boot in memory: hundreds of bytes each, where an event packed takes sixty.
POINTS_KEPT_MAX = 16


#: Arrays kept as they came: of more than that, some are made one. Each takes as much as so many events that came alone.
PARTS_MAX, EVENTS_OF_PART = 64, 2


#: First and last heartbeat of a stretch; where it begins: position, uptime and counter, as its row is known by.
Stretch = tuple[Beat, Beat]
Begin = tuple[int, int, int]


def begin_of(stretch: Stretch) -> Begin:
    """Return where a stretch begins, which orders those of a boot as their points are."""
    first = stretch[0]
    return first[3], first[0], first[4]


class EventMark(msgspec.Struct, gc=False):
    """One content under one (boot, seq), with the receipts of its copies."""

    event: wire.Event
    received_ms: list[int]

    def plausible_receipt(self, instant_ms: int) -> int | None:
        """Return the earliest receipt by which the instant is plausible, or None."""
        for received_ms in self.received_ms:
            if received_ms - PAST_MAX_MS <= instant_ms <= received_ms + FUTURE_MAX_MS:
                return received_ms
        return None


@dataclass(frozen=True, slots=True)
class Past:
    """Messages of one boot, in order, that only prolong its watching: what its track must learn of them."""

    boot: str
    events: Sequence[tuple[wire.Event, int]]
    #: Points to append, a heartbeat's with itself; the middle heartbeats of a stretch are left out.
    points: Sequence[tuple[Point, Beat | None]]
    #: Every heartbeat, for a track that retains them.
    beats: Callable[[], Iterable[Beat]]
    received_max_ms: int
    #: Least of receipt less uptime; least and most of instant less uptime.
    received_base_ms: int
    base_min_ms: int
    base_max_ms: int


class BootTrack:
    """One start of one device: its base, its points, and what they prove."""

    __slots__ = (
        "_counter_openings", "_packed", "_points", "_runs", "_stale", "_unsaved", "_young", "beats", "boot",
        "elsewhere_heard_ms", "elsewhere_seq", "events", "fetch", "folded", "in_fault", "newest_received_ms",
        "ntp_base_max_ms", "ntp_base_min_ms", "ntp_ts_ms", "ntp_up_ms", "past_beats", "received_base_ms", "rtc_base_ms",
    )  # fmt: skip

    def __init__(self, boot: str, *, retain: bool) -> None:
        self.boot = boot
        self.ntp_up_ms: int | None = None
        self.ntp_ts_ms: int | None = None
        self.ntp_base_min_ms: int | None = None
        self.ntp_base_max_ms: int | None = None
        self.received_base_ms: int | None = None
        self.rtc_base_ms: int | None = None
        self.newest_received_ms = 0
        #: By position; what is packed is not among them.
        self.events: dict[int, list[EventMark]] = {}
        self._packed: PackedEvents | None = None
        #: Arrays that went on from what was here, packed as they came; not yet one with what is packed.
        self._young: tuple[PackedEvents, ...] = ()
        self.beats: list[Beat] | None = [] if retain else None
        #: heartbeats that went past the track, told when they are needed
        self.past_beats: list[Callable[[], Iterable[Beat]]] | None = [] if retain else None
        #: first and last heartbeat of each stretch at one position with one counter, ascending by where it begins
        self.folded: list[Stretch] = []
        #: where the stretches begin that are not written down as they are; None where all are
        self._unsaved: set[Begin] | None = None
        #: The newest points, two at the least where there are two: nothing is concluded from older ones again.
        self._points: list[Point] = []
        self._runs: list[Interval] = []
        self._counter_openings: list[int] = []
        self.in_fault = False
        self._stale = True
        #: Brings what lies elsewhere of the device, None where all of it is here (``cold``); the highest position among
        #: that, and the newest plausible instant.
        self.fetch: Callable[[], None] | None = None
        self.elsewhere_seq = 0
        self.elsewhere_heard_ms: int | None = None

    # -- base -----------------------------------------------------------------------------------------------

    def base_ms(self) -> int:
        """Return ``B``, the instant at which the boot started."""
        if self.ntp_up_ms is not None and self.ntp_ts_ms is not None:
            return self.ntp_ts_ms - self.ntp_up_ms
        bases = [base for base in (self.received_base_ms, self.rtc_base_ms) if base is not None]
        assert bases, "a boot has at least one message"
        return min(bases)

    def cloned(self) -> bool:
        """Say whether two synchronised messages disagree about the start by more than an hour."""
        if self.ntp_base_min_ms is None or self.ntp_base_max_ms is None:
            return False
        return self.ntp_base_max_ms - self.ntp_base_min_ms > CLONE_SPREAD_MS

    def _note_base(self, ts: int, up: int, clk: str, received_ms: int) -> bool:
        """Take one message into the base; return whether the base or the clone verdict changed."""
        if (
            clk == "ntp"
            and self.ntp_up_ms is not None
            and self.ntp_base_min_ms is not None
            and self.ntp_base_max_ms is not None
            and self.received_base_ms is not None
            and up > self.ntp_up_ms
            and self.ntp_base_min_ms <= ts - up <= self.ntp_base_max_ms
        ):  # the common case, and nothing of it moves
            if received_ms > self.newest_received_ms:
                self.newest_received_ms = received_ms
            if received_ms - up < self.received_base_ms:
                self.received_base_ms = received_ms - up
            return False
        first = self.received_base_ms is None
        before = None if first else (self.base_ms(), self.cloned())
        self.newest_received_ms = max(self.newest_received_ms, received_ms)
        base = received_ms - up
        if self.received_base_ms is None or base < self.received_base_ms:
            self.received_base_ms = base
        if clk == "rtc" and (self.rtc_base_ms is None or ts - up < self.rtc_base_ms):
            self.rtc_base_ms = ts - up
        elif clk == "ntp":
            self._note_ntp(ts, up)
        return before != (self.base_ms(), self.cloned())

    def _note_ntp(self, ts: int, up: int) -> None:
        if self.ntp_up_ms is None or self.ntp_ts_ms is None or (up, ts) < (self.ntp_up_ms, self.ntp_ts_ms):
            self.ntp_up_ms, self.ntp_ts_ms = up, ts
        if self.ntp_base_min_ms is None or ts - up < self.ntp_base_min_ms:
            self.ntp_base_min_ms = ts - up
        if self.ntp_base_max_ms is None or ts - up > self.ntp_base_max_ms:
            self.ntp_base_max_ms = ts - up

    def restore_base(self, base: BootBase) -> None:
        """Take over what was known of the base."""
        self.ntp_up_ms, self.ntp_ts_ms = base.ntp_up_ms, base.ntp_ts_ms
        self.ntp_base_min_ms, self.ntp_base_max_ms = base.ntp_base_min_ms, base.ntp_base_max_ms
        self.received_base_ms, self.rtc_base_ms = base.received_base_ms, base.rtc_base_ms
        self.newest_received_ms = base.newest_received_ms

    def instant_ms(self, ts: int, up: int, clk: str) -> tuple[int, bool]:
        """Return a message's instant and whether it had to be placed by its uptime."""
        ntp_up_ms, ntp_ts_ms = self.ntp_up_ms, self.ntp_ts_ms
        base = self.base_ms() if ntp_up_ms is None or ntp_ts_ms is None else ntp_ts_ms - ntp_up_ms
        if clk == "ntp" and abs(ts - up - base) * STEP_DRIFT_DIVISOR <= STEP_MAX_MS * STEP_DRIFT_DIVISOR + up:
            return ts, False
        return base + up, True

    # -- what is packed -------------------------------------------------------------------------------------

    @property
    def packed(self) -> PackedEvents | None:
        """The events that lie packed, as one; None where there are none."""
        if self._young:
            young, self._young = self._young, ()
            first, *others = young if self._packed is None else (self._packed, *young)
            self._packed = first.joined(*others) if others else first
        return self._packed

    @property
    def packed_to(self) -> int:
        """The highest position that was ever packed; 0 where none was."""
        newest = self._young[-1] if self._young else self._packed
        return 0 if newest is None else newest.last_seq

    @property
    def young_count(self) -> int:
        """How many events came in arrays since what is settled was packed."""
        return sum(len(part.seq) for part in self._young)

    def has_events(self) -> bool:
        """Say whether there is any event, as it was said or packed."""
        return bool(self.events or self._young) or (self._packed is not None and len(self._packed) > 0)

    def packable_count(self) -> int:
        """Return as how many events that came alone weighs what packing would make smaller."""
        return len(self.events) + EVENTS_OF_PART * len(self._young)

    def held_count(self) -> int:
        """Return how many events are here, packed or not."""
        packed = 0 if self._packed is None else len(self._packed.seq)
        return len(self.events) + self.young_count + packed

    def unpack(self) -> None:
        """Have every event that lies packed as it was said."""
        if self.packed is not None:
            for event, received_ms in self.packed.items(self.boot):
                self.events[event.seq] = [EventMark(event, [received_ms])]
        self._packed = None

    def keep_received(self, from_ms: int) -> None:
        """Forget the events that were received before an instant."""
        self.events = {
            seq: marks
            for seq, marks in self.events.items()
            if any(mark.received_ms[-1] >= from_ms for mark in marks)
        }
        packed = self.packed
        if packed is not None:
            packed.here &= packed.received >= from_ms
            packed = packed.joined()
        self._packed = packed if packed is not None and len(packed) else None

    def append_packed(self, events: PackedEvents) -> None:
        """Keep an array's events, all of positions above any that is here."""
        assert int(events.seq[0]) > self.packed_to
        self._young = (*self._young, events)

    # -- taking messages ------------------------------------------------------------------------------------

    def take_event(self, event: wire.Event, received_ms: int) -> tuple[bool, bool]:
        """Add one copy; return whether the base moved and whether a plausible copy was here before."""
        moved = self._note_base(event.ts, event.up, event.clk, received_ms)
        marks = self.marks(event.seq)
        if marks is None:
            self.events[event.seq] = [EventMark(event, [received_ms])]
            return moved, False
        content = event.content()
        for mark in marks:
            if mark.event.content() == content:
                instant, _ = self.instant_ms(event.ts, event.up, event.clk)
                repeated = mark.plausible_receipt(instant) is not None
                if received_ms not in mark.received_ms:
                    insort(mark.received_ms, received_ms)
                return moved, repeated
        marks.append(EventMark(event, [received_ms]))
        return moved, False

    def marks(self, seq: int) -> list[EventMark] | None:
        """Return what stands under a position, unpacked if it was packed."""
        marks = self.events.get(seq)
        if marks is None:
            marks = self._unpacked(seq)
        if marks is None and self.fetch is not None and seq <= self.elsewhere_seq:
            self.fetch()
            marks = self.events.get(seq) or self._unpacked(seq)
        return marks

    def _unpacked(self, seq: int) -> list[EventMark] | None:
        """Return what lies packed under a position, and lies there no longer."""
        packed = self.packed if seq <= self.packed_to else None
        found = None if packed is None else packed.take_out(seq, self.boot)
        if found is None:
            return None
        marks = self.events[seq] = [EventMark(found[0], [found[1]])]
        return marks

    def highest_seq(self) -> int:
        """Return the highest position an event was said under, plausible or not; 0 where there is none."""
        return max(max(self.events, default=0), self.elsewhere_seq, self.packed_to)

    def load_packed(self, packed: PackedEvents) -> None:
        """Take events that were stored before, none of which is here: what ``take_event`` of each would end in."""
        assert self.packed is None and not self.events
        if not len(packed.seq):
            return
        self._packed = packed
        bases = packed.ts - packed.up
        self.newest_received_ms = max(self.newest_received_ms, int(packed.received.max()))
        base = int((packed.received - packed.up).min())
        self.received_base_ms = base if self.received_base_ms is None else min(base, self.received_base_ms)
        rtc, ntp = packed.clock == RTC, packed.clock == NTP
        if rtc.any():
            base = int(bases[rtc].min())
            self.rtc_base_ms = base if self.rtc_base_ms is None else min(base, self.rtc_base_ms)
        if ntp.any():
            rows = np.flatnonzero(ntp)
            first = rows[np.lexsort((packed.ts[rows], packed.up[rows]))[0]]
            for row in (first, rows[bases[rows].argmin()], rows[bases[rows].argmax()]):
                self._note_ntp(int(packed.ts[row]), int(packed.up[row]))
        self._stale = True

    def join_packed(self, packed: PackedEvents) -> None:
        """As ``load_packed``, beside events that were said since and are at none of its positions."""
        since, self.events = self.events, {}
        self.load_packed(packed)
        self.events = since

    def take_hot(
        self,
        points: Sequence[Point],
        runs: Sequence[Interval],
        counter_openings: Sequence[int],
        in_fault: bool,
    ) -> None:
        """Take over the last points and what all of them prove."""
        self._points, self._runs, self._counter_openings = list(points), list(runs), list(counter_openings)
        self.in_fault = in_fault
        self._stale = False

    def set_folded(self, folded: Iterable[Stretch]) -> None:
        """Replace the stretches of heartbeats; none of them is unsaved."""
        self.folded = list(folded)
        self._unsaved = None

    def restore_stretch(self, stretch: Stretch) -> None:
        """Put a stretch that was written down in its place, as it is; one that went further since stays."""
        for beat in stretch:
            self._note_base(beat[1], beat[0], beat[2], beat[5])
        begin = begin_of(stretch)
        at = bisect_left(self.folded, begin, key=begin_of)
        if at == len(self.folded) or begin_of(self.folded[at]) != begin:
            self.folded.insert(at, stretch)
        elif self.folded[at][1][0] < stretch[1][0]:
            self.folded[at] = stretch

    def is_saved(self) -> bool:
        """Say whether all stretches are written down as they are."""
        return self._unsaved is None

    def take_unsaved(self) -> list[Stretch]:
        """Return the stretches that are new or went further since the last call."""
        unsaved, self._unsaved = self._unsaved, None
        if unsaved is None:
            return []
        return [self.folded[bisect_left(self.folded, begin, key=begin_of)] for begin in sorted(unsaved)]

    def pack(self, before_ms: int) -> int:
        """Pack what is settled, and forget what stands before an instant; return how many events were forgotten.

        What is asked of the boot afterwards is the same, but for what lies before that instant.
        """
        forgotten = self._forget_unpacked(before_ms)
        self.pack_settled()
        forgotten += self._forget_packed(before_ms)
        if forgotten:
            self.folded = [
                pair
                for pair in self.folded
                if self.instant_ms(pair[1][1], pair[1][0], pair[1][2])[0] >= before_ms
            ]
            if self._unsaved is not None:
                self._unsaved &= {begin_of(pair) for pair in self.folded}
            self._stale = True
        return forgotten

    def _forget_unpacked(self, before_ms: int) -> int:
        old = [
            seq
            for seq, marks in self.events.items()
            if len(marks) == 1
            and marks[0].received_ms[-1] < before_ms
            and self.instant_ms(marks[0].event.ts, marks[0].event.up, marks[0].event.clk)[0] < before_ms
        ]
        for seq in old:
            del self.events[seq]
        return len(old)

    def _forget_packed(self, before_ms: int) -> int:
        parts = self._young if self._packed is None else (self._packed, *self._young)
        if all(int(part.received.min(initial=before_ms)) >= before_ms for part in parts):
            return 0
        packed = self.packed
        assert packed is not None
        young = np.maximum(packed.instants(self.base_ms()), packed.received) >= before_ms
        forgotten = int((packed.here & ~young).sum())
        packed.here &= young
        self._packed = packed.joined() if len(packed) else None
        return forgotten

    def pack_settled(self) -> None:
        """Pack what is settled: one content, one receipt, numbers of a sane size; of many arrays make few.

        What follows all that is packed costs no more however much that is.
        """
        settled = [
            (marks[0].event, marks[0].received_ms[0])
            for marks in self.events.values()
            if len(marks) == 1
            and len(marks[0].received_ms) == 1
            and fits(marks[0].event, marks[0].received_ms[0])
        ]
        if settled:
            young = PackedEvents.of(settled)
            for event, _ in settled:
                del self.events[event.seq]
            if int(young.seq[0]) > self.packed_to:
                self._young = (*self._young, young)
            else:
                packed = self.packed
                self._packed = young if packed is None else packed.joined(young)
        if len(self._young) > PARTS_MAX:
            self._gather()

    def _gather(self) -> None:
        """Make one of the last arrays and of those before that are not much larger than all after them."""
        parts = self._young
        at, count = len(parts) - 1, len(parts[-1].seq)
        while at and len(parts[at - 1].seq) <= 2 * count:
            at -= 1
            count += len(parts[at].seq)
        self._young = (*parts[:at], parts[at].joined(*parts[at + 1 :]))

    def take_beat(self, beat: Beat) -> bool:
        """Add one heartbeat; return whether the base moved."""
        moved = self._note_base(beat[1], beat[0], beat[2], beat[5])
        if self.beats is not None:
            self.beats.append(beat)
        return moved

    def note_bases(self, past: Past) -> None:
        """Take messages that move no base into what the bases are made of."""
        assert self.received_base_ms is not None
        assert self.ntp_base_min_ms is not None and self.ntp_base_max_ms is not None
        self.newest_received_ms = max(self.newest_received_ms, past.received_max_ms)
        self.received_base_ms = min(self.received_base_ms, past.received_base_ms)
        self.ntp_base_min_ms = min(self.ntp_base_min_ms, past.base_min_ms)
        self.ntp_base_max_ms = max(self.ntp_base_max_ms, past.base_max_ms)

    def prolong(self, past: Past) -> None:
        """Append points to the end of a boot, of each stretch of heartbeats the first and the last."""
        assert not self._stale
        for point, beat in past.points:
            if beat is not None:
                self._fold(beat, point[3])
            last = self._points[-1]
            if point[3] > last[3]:
                extend(self._runs, (last[3], point[3]))
            if len(self._points) >= 2 and says_nothing(self._points[-2], last, point):
                self._points[-1] = point
            else:
                self._points.append(point)
        self.let_old_points_go()
        if self.past_beats is not None:
            self.past_beats.append(past.beats)

    def mark_stale(self) -> None:
        self._stale = True

    def append_beat(self, beat: Beat, instant: int, *, stored: bool = False) -> Interval | None:
        """Put a plausible heartbeat in its place; return the watched interval it adds at the end, if so.

        ``None`` means: nothing certain was added at the end; ask ``runs`` again. One that is ``stored`` is in its
        stretch already.
        """
        if not stored:
            self._fold(beat, instant)
        point: Point = (beat[3], HEARTBEAT, beat[0], instant, beat[4], False)
        return self._append(point)

    def append_event(self, event: wire.Event, instant: int) -> Interval | None:
        """Put a plausible event in its place; as ``append_beat``."""
        opens = NO_COUNTER if event.opens is None else event.opens
        point: Point = (event.seq, EVENT, event.up, instant, opens, event.is_open_edge)
        return self._append(point)

    def _append(self, point: Point) -> Interval | None:
        if self._stale or self.cloned():
            return None
        points = self._points
        last = points[-1]
        if point[:3] <= last[:3] or (last[1] == EVENT and point[1] == EVENT and point[0] == last[0]):
            self._stale = True
            return None
        if not decide_between(last, point).watched or point[3] < last[3]:
            self._stale = True
            return None
        added = (last[3], point[3])
        runs = self._runs
        if runs and runs[-1][1] == last[3]:
            runs[-1] = (runs[-1][0], point[3])
        else:
            extend(runs, added)
        if point[1] == HEARTBEAT and len(points) >= 2 and says_nothing(points[-2], last, point):
            points[-1] = point
        else:
            points.append(point)
            self.let_old_points_go()
        return added

    def let_old_points_go(self) -> None:
        """Keep what the next point is compared with; now and then, for it costs more than a point."""
        if len(self._points) > POINTS_KEPT_MAX:
            del self._points[:-2]

    def _fold(self, beat: Beat, instant: int) -> None:
        """Keep the heartbeats that a restart needs: first and last of each stretch."""
        folded = self.folded
        begin = (beat[3], beat[0], beat[4])
        at = len(folded)
        if folded and begin < begin_of(folded[-1]):
            at = bisect_right(folded, begin, key=begin_of)
        if at:
            first, last = before = folded[at - 1]
            if first[:5] == beat[:5] or last[:5] == beat[:5] or begin_of(before) == begin:
                return  # a copy
            if first[3] == beat[3] and first[4] == beat[4] and last[0] <= beat[0]:
                middle = self.prolongs_from_ms(at - 1)
                if middle is not None and middle <= instant:
                    folded[at - 1] = (first, beat)
                    self._note_unsaved(begin_of(before))
                    return
        folded.insert(at, (beat, beat))
        self._note_unsaved(begin)

    def prolongs_from_ms(self, number: int = -1) -> int | None:
        """Return the instant of a stretch's last heartbeat where it says nothing once there is a next one, else None."""
        low, high = (self._plausible_ms(beat) for beat in self.folded[number])
        return high if low is not None and high is not None and low <= high else None

    def _plausible_ms(self, beat: Beat) -> int | None:
        """Return a heartbeat's instant; None where it is not plausible, and so proves nothing."""
        instant, _ = self.instant_ms(beat[1], beat[0], beat[2])
        return instant if beat[5] - PAST_MAX_MS <= instant <= beat[5] + FUTURE_MAX_MS else None

    def _note_unsaved(self, begin: Begin) -> None:
        if self._unsaved is None:
            self._unsaved = {begin}
        else:
            self._unsaved.add(begin)

    def _kept_beats(self) -> Iterator[Beat]:
        if self.beats is not None:
            yield from self.beats
            for listed in self.past_beats or ():
                yield from listed()
            return
        for first, last in self.folded:
            yield first
            if last is not first:
                yield last

    # -- what the points prove ------------------------------------------------------------------------------

    def _rebuild(self) -> None:
        if self.fetch is not None:
            self.fetch()
        points: list[Point] = [(0, START, 0, self.base_ms(), NO_COUNTER, False)]
        for seq, marks in self.events.items():
            best: Point | None = None
            for mark in marks:
                event = mark.event
                instant, _ = self.instant_ms(event.ts, event.up, event.clk)
                if mark.plausible_receipt(instant) is None:
                    continue
                opens = NO_COUNTER if event.opens is None else event.opens
                point: Point = (seq, EVENT, event.up, instant, opens, event.is_open_edge)
                if best is None or point[2:4] < best[2:4]:
                    best = point
            if best is not None:
                points.append(best)
        if self.packed is not None:
            points.extend(self.packed.points(self.base_ms()))
        for beat in self._kept_beats():
            placed = self._plausible_ms(beat)
            if placed is not None:
                points.append((beat[3], HEARTBEAT, beat[0], placed, beat[4], False))
        points.sort()
        self._points = []
        self._runs = []
        self._counter_openings = []
        self.in_fault = any(len(marks) > 1 for marks in self.events.values())
        runs: list[Interval] = []
        kept = self._points
        last: Point | None = None
        for point in points:
            if last is not None:
                verdict = decide_between(last, point)
                if verdict.watched and point[3] > last[3]:
                    extend(runs, (last[3], point[3]))
                if verdict.opening:
                    self._counter_openings.append(last[3])
                self.in_fault = self.in_fault or verdict.fault
                if len(kept) >= 2 and says_nothing(kept[-2], last, point):
                    kept.pop()
            kept.append(point)
            last = point
        del kept[:-2]
        self._runs = united(runs)
        self._counter_openings.sort()
        if self.cloned():
            self._runs, self._counter_openings, self.in_fault = [], [], True
        self._stale = False

    def runs(self) -> list[Interval]:
        """Return the watched intervals, disjoint and ascending; empty for a cloned boot."""
        if self._stale:
            self._rebuild()
        return self._runs

    def counter_openings(self) -> list[int]:
        """Return the instants at which the counter alone proves an opening, ascending."""
        if self._stale:
            self._rebuild()
        return self._counter_openings

    def is_stale(self) -> bool:
        """Say whether all points would have to be looked at again."""
        return self._stale

    def last_points(self) -> list[Point]:
        """Return what the next point is compared with: two points where there are two."""
        if self._stale:
            self._rebuild()
        return self._points[-2:]

    def last_point(self) -> Point:
        """Return the last of the boot's points; its start where it has said nothing plausible."""
        if self._stale:
            self._rebuild()
        return self._points[-1]


def plausible_marks(track: BootTrack) -> Iterator[tuple[int, EventMark]]:
    """Yield every plausible event of a boot with its instant."""
    for marks in track.events.values():
        for mark in marks:
            event = mark.event
            instant, _ = track.instant_ms(event.ts, event.up, event.clk)
            if mark.plausible_receipt(instant) is not None:
                yield instant, mark


def beat_of(heartbeat: wire.Heartbeat, received_ms: int) -> Beat:
    opens = NO_COUNTER if heartbeat.opens is None else heartbeat.opens
    return (
        heartbeat.up, heartbeat.ts, heartbeat.clk, heartbeat.seq_last, opens, received_ms,
        heartbeat.basis is not None,
    )  # fmt: skip
