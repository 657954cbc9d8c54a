"""One device's messages enter in any order; during which intervals its door was watched leaves. Pure.

This is the coverage rule of the wire protocol (``docs/wire.md``, "What may be concluded"). Everything here is a
function of the set of messages: a late or repeated one ends in the same intervals as one that came in time.
Heartbeats are folded: of three neighbours at one position with one counter the middle one says nothing that the
outer two do not say, so it is dropped; where the folding could ever matter (``retain``) the originals are kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ingest.detector.facts import BootBase
from kaimen import wire
from kaimen.policy import (
    CLONE_SPREAD_MS,
    FUTURE_MAX_MS,
    PAST_MAX_MS,
    STEP_DRIFT_DIVISOR,
    STEP_MAX_MS,
)
from kaimen.vocabulary import EventType

Interval = tuple[int, int]
#: position, kind, up_ms, instant_ms, opens (-1: no counter), whether it is an Open edge
Point = tuple[int, int, int, int, int, bool]
#: up_ms, ts_ms, clock, seq_last, opens, received_ms, by_check_in
Beat = tuple[int, int, str, int, int, int, bool]

START, EVENT, HEARTBEAT = 0, 1, 2
NO_COUNTER = -1

_TAMPER = frozenset({EventType.DOOR_TAMPER.value, EventType.DOOR_FAULT.value})
_PASSAGE = frozenset({EventType.ACCESS_GRANTED.value, EventType.ACCESS_TAKEN.value})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the span between two neighbouring points proves."""

    watched: bool
    opening: bool
    fault: bool


_WATCHED = Verdict(True, False, False)
_BLIND = Verdict(False, False, False)
_OPENED = Verdict(False, True, False)
_OPENED_UNSAID = Verdict(False, True, True)
_FAULT = Verdict(False, False, True)


def decide_between(left: Point, right: Point) -> Verdict:
    """Say what may be concluded for the time from ``left`` (excluded) to ``right`` (included)."""
    missing = right[0] - left[0] - (1 if right[1] == EVENT else 0)
    if left[4] == NO_COUNTER or right[4] == NO_COUNTER:
        return _WATCHED if missing == 0 else _BLIND
    opened = right[4] - left[4] - (1 if right[5] else 0)
    if opened == 0:
        return _WATCHED
    if 1 <= opened <= max(missing, 1):
        return _OPENED if missing else _OPENED_UNSAID
    return _FAULT


@dataclass(slots=True)
class EventMark:
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

    def __init__(self, boot: str, *, retain: bool) -> None:
        self.boot = boot
        self.ntp_up_ms: int | None = None
        self.ntp_ts_ms: int | None = None
        self.ntp_base_min_ms: int | None = None
        self.ntp_base_max_ms: int | None = None
        self.received_base_ms: int | None = None
        self.rtc_base_ms: int | None = None
        self.newest_received_ms = 0
        self.events: dict[int, list[EventMark]] = {}
        self.beats: list[Beat] | None = [] if retain else None
        #: heartbeats that went past the track, told when they are needed
        self.past_beats: list[Callable[[], Iterable[Beat]]] = []
        #: first and last heartbeat of each stretch at one position with one counter, in order of arrival
        self.folded: list[tuple[Beat, Beat]] = []
        self.unsaved_from: int | None = None
        self._points: list[Point] = []
        self._runs: list[Interval] = []
        self._counter_openings: list[int] = []
        self.in_fault = False
        self._stale = True

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
            self.newest_received_ms = max(self.newest_received_ms, received_ms)
            self.received_base_ms = min(self.received_base_ms, received_ms - up)
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

    def instant_ms(self, ts: int, up: int, clk: str) -> tuple[int, bool]:
        """Return a message's instant and whether it had to be placed by its uptime."""
        base = self.base_ms()
        if clk == "ntp" and abs(ts - up - base) * STEP_DRIFT_DIVISOR <= STEP_MAX_MS * STEP_DRIFT_DIVISOR + up:
            return ts, False
        return base + up, True

    # -- taking messages ------------------------------------------------------------------------------------

    def take_event(self, event: wire.Event, received_ms: int) -> tuple[bool, bool]:
        """Add one copy; return whether the base moved and whether a plausible copy was here before."""
        moved = self._note_base(event.ts, event.up, event.clk, received_ms)
        marks = self.events.get(event.seq)
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
                _extend(self._runs, (last[3], point[3]))
            if len(self._points) >= 2 and _says_nothing(self._points[-2], last, point):
                self._points[-1] = point
            else:
                self._points.append(point)
        if self.beats is not None:
            self.past_beats.append(past.beats)

    def mark_stale(self) -> None:
        self._stale = True

    def append_beat(self, beat: Beat) -> Interval | None:
        """Put a plausible heartbeat in its place; return the watched interval it adds at the end, if so.

        ``None`` means: nothing certain was added at the end; ask ``runs`` again.
        """
        instant, _ = self.instant_ms(beat[1], beat[0], beat[2])
        self._fold(beat, instant)
        point: Point = (beat[3], HEARTBEAT, beat[0], instant, beat[4], False)
        return self._append(point)

    def append_event(self, event: wire.Event) -> Interval | None:
        """Put a plausible event in its place; as ``append_beat``."""
        instant, _ = self.instant_ms(event.ts, event.up, event.clk)
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
        verdict = decide_between(last, point)
        if not verdict.watched or point[3] < last[3]:
            self._stale = True
            return None
        added = (last[3], point[3])
        _extend(self._runs, added)
        if len(points) >= 2 and _says_nothing(points[-2], last, point):
            points[-1] = point
        else:
            points.append(point)
        return added

    def _fold(self, beat: Beat, instant: int) -> None:
        """Keep the heartbeats that a restart needs: first and last of each stretch."""
        folded = self.folded
        if folded:
            first, last = folded[-1]
            if first[3:5] == beat[3:5] and last[0] <= beat[0]:
                low = self.instant_ms(first[1], first[0], first[2])[0]
                middle = self.instant_ms(last[1], last[0], last[2])[0]
                if low <= middle <= instant:
                    folded[-1] = (first, beat)
                    self._note_unsaved()
                    return
        folded.append((beat, beat))
        self._note_unsaved()

    def _note_unsaved(self) -> None:
        index = len(self.folded) - 1
        self.unsaved_from = index if self.unsaved_from is None else min(self.unsaved_from, index)

    def _kept_beats(self) -> Iterator[Beat]:
        if self.beats is not None:
            yield from self.beats
            for listed in self.past_beats:
                yield from listed()
            return
        for first, last in self.folded:
            yield first
            if last is not first:
                yield last

    # -- what the points prove ------------------------------------------------------------------------------

    def _rebuild(self) -> None:
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
        for beat in self._kept_beats():
            instant, _ = self.instant_ms(beat[1], beat[0], beat[2])
            if beat[5] - PAST_MAX_MS <= instant <= beat[5] + FUTURE_MAX_MS:
                points.append((beat[3], HEARTBEAT, beat[0], instant, beat[4], False))
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
                    _extend(runs, (last[3], point[3]))
                if verdict.opening:
                    self._counter_openings.append(last[3])
                self.in_fault = self.in_fault or verdict.fault
                if len(kept) >= 2 and _says_nothing(kept[-2], last, point):
                    kept.pop()
            kept.append(point)
            last = point
        self._runs = _united(runs)
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

    def last_point(self) -> Point:
        """Return the last of the boot's points; its start where it has said nothing plausible."""
        if self._stale:
            self._rebuild()
        return self._points[-1]


def _says_nothing(before: Point, middle: Point, after: Point) -> bool:
    return (
        before[1] == middle[1] == after[1] == HEARTBEAT
        and before[0] == middle[0] == after[0]
        and before[4] == middle[4] == after[4]
        and before[3] <= middle[3] <= after[3]
    )


def _extend(runs: list[Interval], added: Interval) -> None:
    """Append an interval, melting it with the last where they touch."""
    if runs and runs[-1][1] >= added[0] and runs[-1][0] <= added[0]:
        runs[-1] = (runs[-1][0], max(runs[-1][1], added[1]))
    else:
        runs.append(added)


def _united(runs: list[Interval]) -> list[Interval]:
    """Return the union of intervals as disjoint ascending ones."""
    united: list[Interval] = []
    for low, high in sorted(runs):
        if united and low <= united[-1][1]:
            if high > united[-1][1]:
                united[-1] = (united[-1][0], high)
        else:
            united.append((low, high))
    return united


def subtract(intervals: list[Interval], holes: list[Interval]) -> list[Interval]:
    """Return the disjoint ascending ``intervals`` without the disjoint ascending ``holes``."""
    left = list(intervals)
    for low, high in holes:
        kept: list[Interval] = []
        for a, b in left:
            if high <= a or low >= b:
                kept.append((a, b))
                continue
            if a < low:
                kept.append((a, low))
            if high < b:
                kept.append((high, b))
        left = kept
    return left


@dataclass(frozen=True, slots=True)
class Opening:
    """An event that may be evidence: an Open edge or a taken access, at its instant."""

    instant_ms: int
    boot: str
    seq: int
    edge: bool
    method: str | None
    credential: str | None

    def __lt__(self, other: Opening) -> bool:
        return self.instant_ms < other.instant_ms


FOREVER = 1 << 62
Put = Callable[[list[Any], Any], None]


def _append(listed: list[Any], item: Any) -> None:
    listed.append(item)


def instant_of(opening: Opening) -> int:
    return opening.instant_ms


class DeviceTrack:
    """All boots of one device (one door)."""

    def __init__(self, device_id: str, supervision_ms: int, *, retain: bool = False) -> None:
        self.device_id = device_id
        self.supervision_ms = supervision_ms
        self.boots: dict[str, BootTrack] = {}
        self.openings: list[Opening] = []
        self.taken: dict[
            str, list[Opening]
        ] = {}  # taken accesses by credential: what counts at a shared door
        self.passages: list[
            tuple[int, str, str]
        ] = []  # instant, credential, method of grants and taken accesses
        self.forced: list[int] = []
        self.edges: list[tuple[int, str]] = []  # instant, state of DoorPhysicalState events
        self.tampers: list[int] = []
        self.counter_openings: list[int] = []
        self._watched: list[Interval] = []
        self._heard_ms: int | None = None
        self._stale = True
        self._retain = retain

    # -- taking messages ------------------------------------------------------------------------------------

    def take_event(self, event: wire.Event, received_ms: int) -> EventVerdict:
        """Add one event; its plausibility is judged with the base as it is now."""
        track = self._boot(event.boot)
        moved, repeated = track.take_event(event, received_ms)
        if moved:
            self._restart(track)
        instant, rebased = track.instant_ms(event.ts, event.up, event.clk)
        if not received_ms - PAST_MAX_MS <= instant <= received_ms + FUTURE_MAX_MS:
            return EventVerdict(
                instant, rebased, plausible=False, fresh=not repeated, extended=False, moved=moved
            )
        if repeated:
            return EventVerdict(instant, rebased, plausible=True, fresh=False, extended=False, moved=moved)
        if moved:
            return EventVerdict(instant, rebased, plausible=True, fresh=True, extended=False, moved=True)
        heard_before = self._heard_ms
        extended = self._append_event(track, event, instant)
        self._index(track, event, instant)
        if not extended or event.type in _TAMPER or self._tampered_now():
            track.mark_stale()
            self._stale = True
            extended = False
        return EventVerdict(
            instant, rebased, plausible=True, fresh=True, extended=extended, heard_before_ms=heard_before
        )

    def _append_event(self, track: BootTrack, event: wire.Event, instant: int) -> bool:
        if self._stale or len(track.events[event.seq]) > 1:
            return False
        added = track.append_event(event)
        if added is None or not self._extend(track, added):
            return False
        self._heard_ms = instant if self._heard_ms is None else max(self._heard_ms, instant)
        return True

    def take_heartbeat(self, heartbeat: wire.Heartbeat, received_ms: int) -> EventVerdict:
        """Add one heartbeat."""
        return self.take_beat(heartbeat.boot, beat_of(heartbeat, received_ms))

    def take_beat(self, boot: str, beat: Beat) -> EventVerdict:
        track = self._boot(boot)
        moved = track.take_beat(beat)
        if moved:
            self._restart(track)
        received_ms = beat[5]
        instant, rebased = track.instant_ms(beat[1], beat[0], beat[2])
        if not received_ms - PAST_MAX_MS <= instant <= received_ms + FUTURE_MAX_MS:
            return EventVerdict(instant, rebased, plausible=False, fresh=True, extended=False, moved=moved)
        added = track.append_beat(beat)
        if moved or added is None or self._stale or self._tampered_now():
            track.mark_stale()
            self._stale = True
            return EventVerdict(instant, rebased, plausible=True, fresh=True, extended=False, moved=moved)
        heard_before = self._heard_ms
        extended = self._extend(track, added)
        if not extended:
            self._stale = True
        return EventVerdict(
            instant, rebased, plausible=True, fresh=True, extended=extended, heard_before_ms=heard_before
        )

    def restore_base(self, boot: str, base: BootBase) -> None:
        """Take over what an earlier run knew of a boot's base: folded heartbeats are no longer there to say it."""
        track = self._boot(boot)
        track.ntp_up_ms, track.ntp_ts_ms = base.ntp_up_ms, base.ntp_ts_ms
        track.ntp_base_min_ms, track.ntp_base_max_ms = base.ntp_base_min_ms, base.ntp_base_max_ms
        track.received_base_ms, track.rtc_base_ms = base.received_base_ms, base.rtc_base_ms
        track.newest_received_ms = base.newest_received_ms

    def _boot(self, boot: str) -> BootTrack:
        track = self.boots.get(boot)
        if track is None:
            track = self.boots[boot] = BootTrack(boot, retain=self._retain)
        return track

    def load(self, stored: Iterable[tuple[wire.Event, int]]) -> None:
        """Take events that were stored before, in any order, at once: what ``take_event`` ends in, without its answers."""
        for event, received_ms in stored:
            self._boot(event.boot).take_event(event, received_ms)
        for track in self.boots.values():
            track.mark_stale()
        self._index_again()

    def prolong(self, past: Past) -> None:
        """Take messages that went past the track because all they do is prolong its watching; as if each had come.

        Only what ``may_go_on`` vouched for may come here: one boot, in order, each sound and next to the last.
        """
        track = self.boots[past.boot]
        assert not self._stale, "a device is watched up to its last point while messages go past its track"
        track.note_bases(past)
        before_ms = track.last_point()[3]
        for event, received_ms in past.events:
            track.events[event.seq] = [EventMark(event, [received_ms])]
            self._index(track, event, event.ts)
        track.prolong(past)
        last_ms = track.last_point()[3]
        if last_ms > before_ms:
            self._watched[-1] = (self._watched[-1][0], last_ms)
        self._heard_ms = last_ms

    def _restart(self, track: BootTrack) -> None:
        """A boot's base moved: every instant of it may have moved."""
        track.mark_stale()
        self._index_again()

    def _index_again(self) -> None:
        self._stale = True
        self.openings, self.passages, self.forced, self.edges, self.tampers = [], [], [], [], []
        self.taken = {}
        for track in self.boots.values():
            for instant, mark in plausible_marks(track):
                self._index(track, mark.event, instant, put=_append)
        self.openings.sort(key=instant_of)
        for openings in self.taken.values():
            openings.sort(key=instant_of)
        for listed in (self.passages, self.forced, self.edges, self.tampers):
            listed.sort()

    def _index(self, track: BootTrack, event: wire.Event, instant: int, *, put: Put = insort) -> None:
        if event.type == EventType.DOOR_PHYSICAL_STATE:
            put(self.edges, (instant, event.state or ""))
        elif event.type in _TAMPER:
            put(self.tampers, instant)
        elif event.type == EventType.DOOR_FORCED_OPEN:
            put(self.forced, instant)
        if event.type in _PASSAGE:
            put(self.passages, (instant, event.cred or "", event.method or ""))
        if event.is_open_edge or event.type == EventType.ACCESS_TAKEN:
            opening = Opening(instant, track.boot, event.seq, event.is_open_edge, event.method, event.cred)
            put(self.openings, opening)
            if event.cred and not event.is_open_edge:
                put(self.taken.setdefault(event.cred, []), opening)

    def _extend(self, track: BootTrack, added: Interval) -> bool:
        """Lengthen the last watched interval where that is all that happened; say whether it was."""
        if track.cloned() or not self._watched or self._watched[-1][1] != added[0]:
            return False
        if self.tampers and self.tampered_spans()[-1][1] > added[0]:
            return False
        if self._heard_ms is not None and self._heard_ms > added[0]:
            return False  # the interval also fills in what the tail from a later event had left open
        if added[1] > added[0]:
            self._watched[-1] = (self._watched[-1][0], added[1])
            self._heard_ms = max(self._heard_ms or added[1], added[1])
        return True

    def _tampered_now(self) -> bool:
        return bool(self.tampers) and (not self.edges or self.edges[-1][0] <= self.tampers[-1])

    # -- what is proved -------------------------------------------------------------------------------------

    def tampered_spans(self) -> list[Interval]:
        """Return the spans from a tamper or fault to the next door state, disjoint and ascending."""
        spans: list[Interval] = []
        for instant in self.tampers:
            if spans and instant < spans[-1][1]:
                continue
            index = bisect_right(self.edges, instant, key=lambda edge: edge[0])
            until = self.edges[index][0] if index < len(self.edges) else FOREVER
            spans.append((instant, until))
        return spans

    def _rebuild(self) -> None:
        runs: list[Interval] = []
        openings: list[int] = []
        heard: int | None = None
        for track in self.boots.values():
            runs.extend(track.runs())
            openings.extend(track.counter_openings())
            if not track.cloned():
                for instant, _ in plausible_marks(track):
                    heard = instant if heard is None or instant > heard else heard
        watched = _united(runs)
        if self.tampers:
            watched = subtract(watched, self.tampered_spans())
        self._watched = watched
        self.counter_openings = sorted(openings)
        if watched and (heard is None or watched[-1][1] > heard):
            heard = watched[-1][1]
        self._heard_ms = heard
        self._stale = False

    def watched(self) -> list[Interval]:
        """Return ``C(d)`` without the tail, disjoint and ascending."""
        if self._stale:
            self._rebuild()
        return self._watched

    def heard_ms(self) -> int | None:
        """Return ``H(d)``, or None where the device was never heard."""
        if self._stale:
            self._rebuild()
        return self._heard_ms

    def known_until(self) -> int | None:
        """Return the last instant at which the device counts as watching without another word."""
        heard = self.heard_ms()
        return None if heard is None else heard + self.supervision_ms

    def has_tail(self) -> bool:
        """Say whether ``(H, now]`` counts while the device is within its supervision."""
        return not self._tampered_now()

    def in_fault(self) -> bool:
        self.watched()
        newest = max(self.boots.values(), key=lambda track: track.newest_received_ms, default=None)
        return newest is not None and (newest.in_fault or self._tampered_now())

    def door_open_since(self) -> int | None:
        """Return since when the door stands open, by its own edges; None where it is closed or unsaid."""
        if self.edges and self.edges[-1][1] == "Open":
            return self.edges[-1][0]
        return None

    def pieces(self, from_ms: int, to_ms: int, pulse_ms: int) -> Iterator[Interval]:
        """Yield ``C(d)`` at ``pulse_ms`` within ``(from_ms, to_ms]``, ascending, the tail included."""
        watched = self.watched()
        heard = self._heard_ms
        tail: list[Interval] = []
        if heard is not None and heard < pulse_ms <= heard + self.supervision_ms:
            tail = [(heard, pulse_ms)]
            if self.tampers:
                tail = subtract(tail, self.tampered_spans())
        index = bisect_left(watched, from_ms, key=lambda interval: interval[1])
        for interval in watched[index:]:
            if interval[0] >= to_ms:
                return
            yield from _clip(interval, from_ms, to_ms)
        for interval in tail:  # nothing is watched after H, so the tail comes last
            yield from _clip(interval, from_ms, to_ms)


class EventVerdict(NamedTuple):
    """``fresh``: not a copy of what was here; ``extended``: nothing changed but that the watching goes on."""

    instant_ms: int
    rebased: bool
    plausible: bool
    fresh: bool
    extended: bool
    moved: bool = False
    heard_before_ms: int | None = None


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


def _clip(interval: Interval, from_ms: int, to_ms: int) -> Iterator[Interval]:
    low, high = max(interval[0], from_ms), min(interval[1], to_ms)
    if low < high:
        yield low, high
