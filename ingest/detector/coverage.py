"""One device's messages enter in any order; during which intervals its door was watched leaves. Pure.

This is the coverage rule of the wire protocol (``docs/wire.md``, "What may be concluded"). Everything here is a
function of the set of messages: a late or repeated one ends in the same intervals as one that came in time.
One start of a device is ``boots``, the span between two points ``points``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from ingest.detector import cold as colds
from ingest.detector.boots import BootTrack, EventMark, Past, beat_of, plausible_marks
from ingest.detector.facts import BootBase
from ingest.detector.packed import (
    EDGE,
    FORCED,
    GRANTED,
    OPEN_EDGE,
    OTHER,
    TAKEN,
    TAMPERED,
    PackedEvents,
    Words,
    kind_of,
)
from ingest.detector.points import (
    EVENT,
    HEARTBEAT,
    NO_COUNTER,
    START,
    Beat,
    Interval,
    Point,
    subtract,
    united,
)
from kaimen import wire
from kaimen.policy import FUTURE_MAX_MS, PAST_MAX_MS
from kaimen.vocabulary import EventType

__all__ = [
    "EVENT", "HEARTBEAT", "NO_COUNTER", "START", "Beat", "BootTrack", "DeviceTrack", "EventVerdict", "Interval",
    "Opening", "Past", "Point", "beat_of", "instant_of", "subtract",
]  # fmt: skip

_STATE, _TAKEN, _FORCED = (
    EventType.DOOR_PHYSICAL_STATE.value,
    EventType.ACCESS_TAKEN.value,
    EventType.DOOR_FORCED_OPEN.value,
)
TAMPER_TYPES = frozenset({EventType.DOOR_TAMPER.value, EventType.DOOR_FAULT.value})
_PASSAGE = frozenset({EventType.ACCESS_GRANTED.value, EventType.ACCESS_TAKEN.value})


class Opening(msgspec.Struct, frozen=True, gc=False):
    """An event that may be evidence: an Open edge or a taken access, at its instant."""

    instant_ms: int
    boot: str
    seq: int
    edge: bool
    method: str | None
    credential: str | None

    def __lt__(self, other: Opening) -> bool:
        # Of two in one millisecond the later said comes last, in whatever order they came here.
        return (self.instant_ms, self.seq) < (other.instant_ms, other.seq)


FOREVER = 1 << 62
NEVER_HEARD_MS = -(1 << 62)
Put = Callable[[list[Any], Any], None]


def _append(listed: list[Any], item: Any) -> None:
    listed.append(item)


def _insert(listed: list[Any], item: Any) -> None:
    """Put an item in its place, which mostly is the end."""
    if not listed or not item < listed[-1]:
        listed.append(item)
    else:
        insort(listed, item)


def instant_of(opening: Opening) -> int:
    return opening.instant_ms


class Indexed:
    """What one device said, by instant: each list ascends."""

    __slots__ = ("edges", "forced", "openings", "passages", "taken")

    def __init__(self) -> None:
        self.openings: list[Opening] = []
        self.taken: dict[str, list[Opening]] = {}
        self.passages: list[tuple[int, str, str]] = []
        self.forced: list[int] = []
        #: The last one; all of them where the device told of tampering: nothing else asks what came before.
        self.edges: list[tuple[int, str]] = []

    def note_edge(self, edge: tuple[int, str]) -> None:
        """Keep an edge, if it is the last."""
        if not self.edges or self.edges[-1] < edge:
            self.edges[:] = [edge]

    def append(self, boot: str, events: PackedEvents) -> bool:
        """Append events that stand where they say; say whether all is in order still."""
        first_ms = int(events.ts[0])
        newest_ms = max(
            (listed[-1][0] for listed in (self.edges, self.passages) if listed),
            default=NEVER_HEARD_MS,
        )
        in_order = first_ms > newest_ms and not (self.forced and self.forced[-1] >= first_ms)
        in_order = in_order and bool((events.ts[1:] > events.ts[:-1]).all())
        kinds = [kind_of(words[0], words[1]) for words in events.words]
        told = list(zip(events.ts.tolist(), events.seq.tolist(), events.words_no.tolist(), strict=True))
        words = events.words
        last = max(
            ((ts, words[no][1] or "") for ts, _, no in told if EDGE <= kinds[no] <= OPEN_EDGE), default=None
        )
        if last is not None:
            self.note_edge(last)
        if any(kind in (OPEN_EDGE, TAKEN) for kind in kinds):
            self.openings += [
                Opening(ts, boot, seq, kinds[no] == OPEN_EDGE, words[no][3], words[no][4])
                for ts, seq, no in told
                if kinds[no] in (OPEN_EDGE, TAKEN)
            ]
        if any(kind > OPEN_EDGE for kind in kinds):
            self._append_passages(boot, told, kinds, words)
        return in_order

    def _append_passages(
        self, boot: str, told: Sequence[tuple[int, int, int]], kinds: Sequence[int], words: Sequence[Words]
    ) -> None:
        for ts, seq, no in told:
            _, _, _, method, credential, _, _ = words[no]
            if kinds[no] == FORCED:
                self.forced.append(ts)
            elif kinds[no] in (GRANTED, TAKEN):
                self.passages.append((ts, credential or "", method or ""))
                if kinds[no] == TAKEN and credential:
                    opening = Opening(ts, boot, seq, False, method, credential)
                    self.taken.setdefault(credential, []).append(opening)

    def sort(self) -> None:
        """Put in order what was appended."""
        self.openings.sort()
        for openings in self.taken.values():
            openings.sort()
        for listed in (self.passages, self.forced, self.edges):
            listed.sort()


class DeviceTrack:
    """All boots of one device (one door)."""

    __slots__ = (
        "_heard_ms", "_indexed", "_owed", "_stale", "_watched", "boots", "cold", "counter_openings", "device_id",
        "home", "retains", "supervision_ms", "tampers",
    )  # fmt: skip

    def __init__(self, device_id: str, supervision_ms: int, *, retain: bool = False) -> None:
        self.device_id = device_id
        self.supervision_ms = supervision_ms
        self.boots: dict[str, BootTrack] = {}
        self._indexed = Indexed()
        #: Arrays whose events are not indexed yet: nobody has asked since they came.
        self._owed: tuple[tuple[BootTrack, PackedEvents], ...] = ()
        self.tampers: list[int] = []
        self.counter_openings: list[int] = []
        self._watched: list[Interval] = []
        self._heard_ms: int | None = None
        self._stale = True
        self.retains = retain
        #: The number of the home whose dwelling's door it is; -1 where it is nobody's, -2 where several'.
        self.home = -1
        #: What lies elsewhere of it; None where everything is here.
        self.cold: colds.Cold | None = None

    def let_go(self) -> None:
        """Let memory go at once with the last who holds this: its boots and it hold one another, and a collection that
        would find that comes after some fifty million objects.
        """
        for boot in self.boots.values():
            boot.fetch = None

    # -- what was said, by instant --------------------------------------------------------------------------

    @property
    def openings(self) -> list[Opening]:
        """Every event that may be evidence."""
        return self._up_to_date().openings

    @property
    def taken(self) -> dict[str, list[Opening]]:
        """Taken accesses by credential: what counts at a shared door."""
        return self._up_to_date().taken

    @property
    def passages(self) -> list[tuple[int, str, str]]:
        """Instant, credential, method of grants and taken accesses."""
        return self._up_to_date().passages

    @property
    def forced(self) -> list[int]:
        """When the door was forced."""
        return self._up_to_date().forced

    @property
    def edges(self) -> list[tuple[int, str]]:
        """Instant and state of what the door said of itself."""
        return self._up_to_date().edges

    def owe(self, boot: BootTrack, events: PackedEvents) -> None:
        """Index an array's plausible events, none of which tells of tampering, when somebody asks."""
        self._owed = (*self._owed, (boot, events))

    def _up_to_date(self) -> Indexed:
        if self._owed:
            owed, self._owed = self._owed, ()
            in_order = True
            for boot, events in owed:
                in_order = self._indexed.append(boot.boot, events) and in_order
            if not in_order:
                self._indexed.sort()
        return self._indexed

    # -- taking messages ------------------------------------------------------------------------------------

    def take_event(self, event: wire.Event, received_ms: int) -> EventVerdict:
        """Add one event; its plausibility is judged with the base as it is now."""
        self._up_to_date()  # what is packed may be asked for by its position, and is then no longer there
        track = self.boot(event.boot)
        unheard = track.received_base_ms is None
        moved, repeated = track.take_event(event, received_ms)
        if moved and unheard:
            moved = False  # nothing stood on this base yet
        elif moved:
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
        if self.cold is not None and instant < self.cold.floor_ms:
            self.thaw()
            return EventVerdict(instant, rebased, plausible=True, fresh=True, extended=False)
        heard_before = self._heard_ms
        if unheard and self._begin(track):
            self._index(track, event, instant)
            self._heard_ms = instant if heard_before is None else max(heard_before, instant)
            return EventVerdict(instant, rebased, plausible=True, fresh=True, extended=False)
        extended = self._append_event(track, event, instant)
        self._index(track, event, instant)
        if not extended or (self.tampers and (event.type in TAMPER_TYPES or self._tampered_now())):
            track.mark_stale()
            self._stale = True
            extended = False
        return EventVerdict(
            instant, rebased, plausible=True, fresh=True, extended=extended, heard_before_ms=heard_before
        )

    def _append_event(self, track: BootTrack, event: wire.Event, instant: int) -> bool:
        if self._stale or len(track.events[event.seq]) > 1:
            return False
        added = track.append_event(event, instant)
        if added is None or not self._extend(track, added):
            return False
        if self._heard_ms is None or instant > self._heard_ms:
            self._heard_ms = instant
        return True

    def take_heartbeat(self, heartbeat: wire.Heartbeat, received_ms: int) -> EventVerdict:
        """Add one heartbeat."""
        return self.take_beat(heartbeat.boot, beat_of(heartbeat, received_ms))

    def take_beat(self, boot: str, beat: Beat, *, stored: bool = False) -> EventVerdict:
        """Add one heartbeat; one that is ``stored`` is in its stretch already."""
        track = self.boot(boot)
        if track.fetch is not None and not _comes_after(track, beat):
            self.thaw()
        unheard = track.received_base_ms is None
        moved = track.take_beat(beat)
        if moved and unheard:
            moved = False  # nothing stood on this base yet
        elif moved:
            self._restart(track)
        received_ms = beat[5]
        instant, rebased = track.instant_ms(beat[1], beat[0], beat[2])
        if not received_ms - PAST_MAX_MS <= instant <= received_ms + FUTURE_MAX_MS:
            return EventVerdict(instant, rebased, plausible=False, fresh=True, extended=False, moved=moved)
        added = track.append_beat(beat, instant, stored=stored)
        if unheard and self._begin(track):
            return EventVerdict(instant, rebased, plausible=True, fresh=True, extended=False)
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

    def _begin(self, track: BootTrack) -> bool:
        """Add what the first message of a start proves, where nothing else has to be looked at; say whether it was.

        The message itself is not indexed here, and an event's instant not yet heard.
        """
        if self._stale or self.tampers:
            return False
        if runs := track.runs():
            self._watched = united([*self._watched, *runs])
            if self._heard_ms is None or runs[-1][1] > self._heard_ms:
                self._heard_ms = runs[-1][1]
        return True

    def restore_base(self, boot: str, base: BootBase) -> None:
        """Take over what an earlier run knew of a boot's base: folded heartbeats are no longer there to say it."""
        self.boot(boot).restore_base(base)

    def boot(self, boot: str) -> BootTrack:
        """Return a start, made where it was not heard of before."""
        track = self.boots.get(boot)
        if track is None:
            track = self.boots[boot] = BootTrack(boot, retain=self.retains)
        return track

    # -- what lies elsewhere --------------------------------------------------------------------------------

    def reach(self, from_ms: int) -> None:
        """Have at hand everything that happened at or after an instant."""
        if self.cold is not None and from_ms < self.cold.floor_ms:
            self.thaw()

    def thaw(self) -> None:
        """Bring what lies elsewhere, all of it."""
        cold, self.cold = self.cold, None
        if cold is None:
            return
        colds.fill(self, cold.load(self.device_id))
        for track in self.boots.values():
            track.mark_stale()
        self._index_again()

    def take_hot(self, hot: colds.Hot) -> None:
        """Take over what was known at hand, instead of what is here."""
        self._watched, self._heard_ms = list(hot.watched), hot.heard_ms
        self.counter_openings = list(hot.counter_openings)
        indexed = self._indexed = Indexed()
        self._owed, self.tampers = (), []
        indexed.passages, indexed.forced, indexed.edges = (
            list(hot.passages),
            list(hot.forced),
            list(hot.edges),
        )
        indexed.openings = [Opening(*item) for item in hot.openings]
        for opening in indexed.openings:
            if opening.credential and not opening.edge:
                indexed.taken.setdefault(opening.credential, []).append(opening)
        self._stale = False

    def load(self, stored: Iterable[tuple[wire.Event, int]]) -> None:
        """Take events that were stored before, in any order, at once: what ``take_event`` ends in, without its answers."""
        for event, received_ms in stored:
            self.boot(event.boot).take_event(event, received_ms)
        for track in self.boots.values():
            track.mark_stale()
        self._index_again()

    def load_packed(
        self, packed: Mapping[str, PackedEvents], stored: Iterable[tuple[wire.Event, int]]
    ) -> None:
        """As ``load``, most of it packed by boot; ``stored`` is what could not be packed."""
        for boot, events in packed.items():
            self.boot(boot).load_packed(events)
        self.load(stored)

    def pack(self, before_ms: int) -> None:
        """Pack what is settled, and forget what lies before an instant, whole boots too: memory stays bounded.

        What lies elsewhere of a track is forgotten there.
        """
        self._up_to_date()
        if self.cold is not None:
            for track in self.boots.values():
                track.pack_settled()
            return
        forgotten = 0
        for name, track in list(self.boots.items()):
            forgotten += track.pack(before_ms)
            if track.newest_received_ms < before_ms and not (
                track.has_events() or track.folded or track.beats
            ):
                del self.boots[name]
                forgotten += 1
        if forgotten:
            self._index_again()

    def unpacked_count(self) -> int:
        """Return how many events lie here as they came."""
        return sum(len(track.events) + track.young_count for track in self.boots.values())

    def packable_count(self) -> int:
        """Return as how many events that came alone weighs what packing would make smaller."""
        return sum(track.packable_count() for track in self.boots.values())

    def held_count(self) -> int:
        """Return how many events are here, packed or not."""
        return sum(track.held_count() for track in self.boots.values())

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
        self.thaw()
        self._stale = True
        self._indexed, self._owed, self.tampers = Indexed(), (), []
        for track in self.boots.values():
            for instant, mark in plausible_marks(track):
                self._index(track, mark.event, instant, put=_append)
            if track.packed is not None:
                self._index_packed(track, track.packed)
        self._indexed.sort()
        self.tampers.sort()
        if not self.tampers:
            del self._indexed.edges[:-1]

    def _index(self, track: BootTrack, event: wire.Event, instant: int, *, put: Put | None = None) -> None:
        put = put or _insert
        indexed = self._indexed if put is _append else self._up_to_date()
        kind = event.type
        edge = False
        if kind == _STATE:
            if put is _append or self.tampers:
                put(indexed.edges, (instant, event.state or ""))
            else:
                indexed.note_edge((instant, event.state or ""))
            edge = event.state == "Open"
        elif kind in _PASSAGE:
            put(indexed.passages, (instant, event.cred or "", event.method or ""))
        elif kind in TAMPER_TYPES:
            if put is not _append and not self.tampers:
                self._index_again()  # from now on every edge tells something
                return
            put(self.tampers, instant)
        elif kind == _FORCED:
            put(indexed.forced, instant)
        if edge or kind == _TAKEN:
            opening = Opening(instant, track.boot, event.seq, edge, event.method, event.cred)
            put(indexed.openings, opening)
            if event.cred and not edge:
                put(indexed.taken.setdefault(event.cred, []), opening)

    def _index_packed(self, track: BootTrack, packed: PackedEvents) -> None:
        """As ``_index`` of every packed event, in no order."""
        instants = packed.instants(track.base_ms())
        rows = np.flatnonzero(packed.plausible(instants) & (packed.kind != OTHER))
        indexed = self._indexed
        edges, openings, boot = indexed.edges, indexed.openings, track.boot
        told = zip(
            instants[rows].tolist(), packed.kind[rows].tolist(), packed.words_no[rows].tolist(), packed.seq[rows].tolist(),
            strict=True,
        )  # fmt: skip
        for instant, kind, number, seq in told:
            _, state, _, method, credential, _, _ = packed.words[number]
            if kind <= OPEN_EDGE:
                edges.append((instant, state or ""))
                if kind == OPEN_EDGE:
                    openings.append(Opening(instant, boot, seq, True, method, credential))
            elif kind == TAMPERED:
                self.tampers.append(instant)
            elif kind == FORCED:
                indexed.forced.append(instant)
            else:
                indexed.passages.append((instant, credential or "", method or ""))
                if kind == TAKEN:
                    opening = Opening(instant, boot, seq, False, method, credential)
                    openings.append(opening)
                    if credential:
                        indexed.taken.setdefault(credential, []).append(opening)

    def _extend(self, track: BootTrack, added: Interval) -> bool:
        """Lengthen the last watched interval where that is all that happened; say whether it was."""
        watched, heard_ms = self._watched, self._heard_ms
        if not watched or watched[-1][1] != added[0] or track.cloned():
            return False
        if self.tampers and self.tampered_spans()[-1][1] > added[0]:
            return False
        if heard_ms is not None and heard_ms > added[0]:
            return False  # the interval also fills in what the tail from a later event had left open
        if added[1] > added[0]:
            watched[-1] = (watched[-1][0], added[1])
            self._heard_ms = added[1]
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
        if self.cold is not None and any(
            track.fetch is not None and track.is_stale() for track in self.boots.values()
        ):
            self.thaw()
        for track in self.boots.values():
            runs.extend(track.runs())
            openings.extend(track.counter_openings())
            if not track.cloned():
                elsewhere_ms = track.elsewhere_heard_ms
                if elsewhere_ms is not None and (heard is None or elsewhere_ms > heard):
                    heard = elsewhere_ms
                for instant, _ in plausible_marks(track):
                    heard = instant if heard is None or instant > heard else heard
                if track.packed is not None:
                    instants = track.packed.instants(track.base_ms())
                    newest = instants[track.packed.plausible(instants)].max(initial=NEVER_HEARD_MS)
                    if newest > NEVER_HEARD_MS and (heard is None or newest > heard):
                        heard = int(newest)
        watched = united(runs)
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

    def grows_at(self, pulse_ms: int) -> bool:
        """Say whether what is watched goes on at a pulse: in the tail, or in what a clock ahead of ours said already."""
        heard = self.heard_ms()
        if heard is None or heard <= pulse_ms:
            return self.has_tail()
        watched = self._watched
        index = bisect_right(watched, pulse_ms, key=lambda interval: interval[0])
        return index > 0 and pulse_ms < watched[index - 1][1]

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


class EventVerdict(msgspec.Struct, frozen=True, gc=False):
    """``fresh``: not a copy of what was here; ``extended``: nothing changed but that the watching goes on."""

    instant_ms: int
    rebased: bool
    plausible: bool
    fresh: bool
    extended: bool
    moved: bool = False
    heard_before_ms: int | None = None


def _comes_after(track: BootTrack, beat: Beat) -> bool:
    return not track.is_stale() and (beat[3], HEARTBEAT, beat[0]) > track.last_point()[:3]


def _clip(interval: Interval, from_ms: int, to_ms: int) -> Iterator[Interval]:
    low, high = max(interval[0], from_ms), min(interval[1], to_ms)
    if low < high:
        yield low, high
