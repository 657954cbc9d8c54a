"""A device's track enters; what the next message and the next judgement need of it leaves, and is taken up again. Pure.

Of weeks of events a device's next message is compared with two points, and a home's judgement looks back to its newest
evidence. That is a track's hot part (``Hot``, some hundred bytes). The rest lies where it was stored: a track that was
given its hot part alone asks for the rest (``Load``) when something reaches back that far: a late or repeated event, a
start whose base moved, evidence that counts no longer. What it then holds is what it had held all along.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ingest.detector.boots import BootTrack, begin_of, plausible_marks
from ingest.detector.facts import BootBase, CoveragePoint
from ingest.detector.packed import PackedEvents
from ingest.detector.points import EVENT, HEARTBEAT, Beat, Interval, Point
from ingest.detector.stretches import base_of, beats_of, stretch_of
from kaimen import wire

if TYPE_CHECKING:
    from ingest.detector.coverage import DeviceTrack, Opening

#: Entries a hot part may have: a track with more is stored whole, as its rows, and nowhere else.
HOT_ENTRIES_MAX = 600
#: As many of a shared door of which each credential's newest is kept.
HOT_ENTRIES_SHARED_MAX = 4_000
#: As many where memory is short and nothing of it is written down.
RELIEVED_ENTRIES_MAX = 100_000
_NEVER_MS = -(1 << 62)


class Stored(NamedTuple):
    """What lies in the database of one device: events packed by boot, those that cannot be packed, folded heartbeats."""

    packed: Mapping[str, PackedEvents]
    events: Sequence[tuple[wire.Event, int]]
    points: Sequence[CoveragePoint]


#: By device id; what it returns holds at least everything that was committed before the track became cold.
Load = Callable[[str], Stored]


class Cold(NamedTuple):
    """What a track has not in memory: openings, passages and edges before ``floor_ms``, and all else of its events.

    ``has_newest``: of each credential's taken accesses before that the newest is here all the same.
    """

    floor_ms: int
    load: Load
    has_newest: bool = False


class HotBoot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One start: its base, its last two points and what they prove, and its last stretch of heartbeats."""

    base: BootBase
    points: list[Point]
    runs: list[Interval]
    counter_openings: list[int]
    in_fault: bool
    highest_seq: int
    heard_ms: int | None
    stretch: tuple[Beat, Beat] | None


class Hot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One device. Openings and passages are those since ``floor_ms``, of edges the last one always; with ``has_newest``
    of taken accesses each credential's newest before that, too.
    """

    device_id: str
    floor_ms: int
    heard_ms: int | None
    watched: list[Interval]
    counter_openings: list[int]
    #: instant, boot, position, whether an edge, method, credential
    openings: list[tuple[int, str, int, bool, str | None, str | None]]
    passages: list[tuple[int, str, str]]
    forced: list[int]
    edges: list[tuple[int, str]]
    boots: list[HotBoot]
    has_newest: bool = False


# -- out of a track ---------------------------------------------------------------------------------------------


def hot_of(
    track: DeviceTrack, floor_ms: int, *, entries_max: int = HOT_ENTRIES_MAX, has_newest: bool = False
) -> Hot | None:
    """Return a track's hot part with everything since ``floor_ms``; None where only the whole track will do.

    ``has_newest``: with each credential's newest taken access before that; a track that has no others at hand keeps them.
    """
    heard_ms = track.heard_ms()  # brings it up to date
    if heard_ms is None or track.tampers or track.retains:
        return None
    floor_ms = min(floor_ms, heard_ms)
    if track.cold is not None:
        floor_ms = max(floor_ms, track.cold.floor_ms)
    if any(boot.cloned() or not boot.is_saved() or _told_beyond(boot) for boot in track.boots.values()):
        return None
    boots = [_hot_boot(track.device_id, name, boot) for name, boot in track.boots.items()]
    openings = [item for item in track.openings if item.instant_ms >= floor_ms]
    has_newest = has_newest if track.cold is None else track.cold.has_newest
    if has_newest:
        openings = [*_newest_before(track, floor_ms), *openings]
    passages = [item for item in track.passages if item[0] >= floor_ms]
    edges = [item for item in track.edges if item[0] >= floor_ms] or track.edges[-1:]
    watched = track.watched()
    entries = len(openings) + len(passages) + len(edges) + len(watched) + len(track.counter_openings)
    if entries + sum(4 + len(boot.runs) + len(boot.counter_openings) for boot in boots) > entries_max:
        return None
    return Hot(
        track.device_id, floor_ms, heard_ms, list(watched), list(track.counter_openings),
        [(o.instant_ms, o.boot, o.seq, o.edge, o.method, o.credential) for o in openings],
        passages, [at for at in track.forced if at >= floor_ms], edges, boots, has_newest,
    )  # fmt: skip


def _newest_before(track: DeviceTrack, floor_ms: int) -> list[Opening]:
    """Return the newest taken access of each credential before an instant, ascending."""
    places = ((taken, bisect_left(taken, floor_ms, key=_instant_of)) for taken in track.taken.values())
    return sorted(taken[place - 1] for taken, place in places if place)


def _instant_of(opening: Opening) -> int:
    return opening.instant_ms


def _told_beyond(boot: BootTrack) -> bool:
    """Say whether a stretch lies beyond the last point, since a base that moved: the next heartbeat is not its next."""
    return bool(boot.folded) and begin_of(boot.folded[-1])[:2] > boot.last_point()[0:3:2]


def _hot_boot(device_id: str, name: str, boot: BootTrack) -> HotBoot:
    runs = list(boot.runs())  # brings it up to date
    heard_ms = boot.elsewhere_heard_ms
    newest_ms = max((instant for instant, _ in plausible_marks(boot)), default=_NEVER_MS)
    if boot.packed is not None:
        instants = boot.packed.instants(boot.base_ms())
        newest_ms = max(newest_ms, int(instants[boot.packed.plausible(instants)].max(initial=_NEVER_MS)))
    if newest_ms > _NEVER_MS and (heard_ms is None or newest_ms > heard_ms):
        heard_ms = newest_ms
    return HotBoot(
        base_of(device_id, name, boot), list(boot.last_points()), runs, list(boot.counter_openings()), boot.in_fault,
        boot.highest_seq(), heard_ms, boot.folded[-1] if boot.folded else None,
    )  # fmt: skip


# -- into a track -----------------------------------------------------------------------------------------------


def still_holds(hot: Hot, bases: Mapping[str, BootBase]) -> bool:
    """Say whether every start's base is what it was: else every instant of it may be another."""
    for boot in hot.boots:
        newer = bases.get(boot.base.boot)
        if newer is not None and _base_words(newer) != _base_words(boot.base):
            return False
    return True


def _base_words(base: BootBase) -> tuple[int, bool]:
    track = BootTrack(base.boot, retain=False)
    track.restore_base(base)
    return track.base_ms(), track.cloned()


def cool(track: DeviceTrack, hot: Hot, load: Load, *, kept_from_ms: int) -> None:
    """Let a track hold its hot part, and of its events those received since an instant: copies of them may come yet.

    A fresh track is made one that holds what it is given.
    """
    track.cold = Cold(hot.floor_ms, load, hot.has_newest)
    track.take_hot(hot)
    for known in hot.boots:
        boot = track.boot(known.base.boot)
        boot.restore_base(known.base)
        boot.take_hot(known.points, known.runs, known.counter_openings, known.in_fault)
        boot.keep_received(kept_from_ms)
        boot.set_folded([] if known.stretch is None else [known.stretch])
        boot.elsewhere_seq, boot.elsewhere_heard_ms = known.highest_seq, known.heard_ms
        boot.fetch = track.thaw


def take_tail(
    track: DeviceTrack, events: Iterable[tuple[wire.Event, int]], points: Iterable[CoveragePoint]
) -> None:
    """Let a cold track take what was stored since it was written down, in the order in which it was said."""
    told: list[tuple[tuple[int, int, int], str, int, wire.Event | Beat]] = [
        ((event.seq, EVENT, event.up), event.boot, received_ms, event) for event, received_ms in events
    ]
    for point in points:
        boot, stored = track.boot(point.boot), stretch_of(point)
        known = next((known for known in boot.folded if begin_of(known) == begin_of(stored)), None)
        told += [
            ((beat[3], HEARTBEAT, beat[0]), point.boot, beat[5], beat)
            for beat in beats_of(point)
            if known is None or beat[0] > known[1][0]  # else it is of what was written down
        ]
        boot.restore_stretch(stored)
    begun: dict[str, int] = {}
    for _, name, received_ms, _ in told:
        begun[name] = min(received_ms, begun.get(name, received_ms))
    for _, name, received_ms, said in sorted(
        told, key=lambda item: (begun[item[1]], item[1], item[0], item[2])
    ):
        if isinstance(said, wire.Event):
            track.take_event(said, received_ms)
        else:
            track.take_beat(name, said, stored=True)


def fill(track: DeviceTrack, stored: Stored) -> None:
    """Give a track that was cold what lies elsewhere of it; what was said since is in it already, and stays."""
    since: dict[str, frozenset[int]] = {}
    for name, boot in track.boots.items():
        boot.unpack()
        since[name] = frozenset(boot.events)
        boot.fetch, boot.elsewhere_seq, boot.elsewhere_heard_ms = None, 0, None
    for name, packed in stored.packed.items():
        packed.leave_out(since.get(name, frozenset()))
        track.boot(name).join_packed(packed)
    for event, received_ms in stored.events:
        if event.seq not in since.get(event.boot, frozenset()):
            track.boot(event.boot).take_event(event, received_ms)
    for point in stored.points:
        track.boot(point.boot).restore_stretch(stretch_of(point))


__all__ = ["Cold", "Hot", "HotBoot", "Load", "Stored", "cool", "fill", "hot_of", "still_holds", "take_tail"]
