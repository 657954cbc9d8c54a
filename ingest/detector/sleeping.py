"""A device's track or a home's watch that nothing touched for a while enters; its bytes leave, and the other way round. Pure.

What a track knows is a dozen objects in thirty others, some four kilobytes; said in a row it is a tenth of that. Asleep is
what nobody asks of: an event, a judgement, a snapshot wakes it, and it is what it was. A heartbeat that only lets its
door's watching go on does not: it is noted in the bytes' head, and told to the track when it wakes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from ingest.detector.batches import may_go_on, speaking_boot
from ingest.detector.boots import BootTrack, EventMark
from ingest.detector.cold import Cold, Load
from ingest.detector.coverage import DeviceTrack, Opening
from ingest.detector.facts import BootBase, CheckDue, CoveragePoint, Crossing
from ingest.detector.points import HEARTBEAT, NO_COUNTER, Beat, Interval, Point
from ingest.detector.rule import Judgement
from ingest.detector.stretches import point_of
from ingest.detector.watches import Watch
from kaimen import wire
from kaimen.policy import FUTURE_MAX_MS, PAST_MAX_MS, STEP_MAX_MS

#: A track with more entries stays as it is: its bytes would be long, and making them takes time.
ENTRIES_MAX = 200
#: Whose dwelling's door a device is: of nobody's, of several'.
NOBODYS, SEVERAL = -1, -2
#: Its home; whether heartbeats may go past, and whether one did; supervision, boot, base; least and most of instant less
#: uptime and least of receipt less uptime, from the base; position and counter; of the last heartbeat the uptime, how far
#: its instant is from base + uptime, its receipt from its instant, and the newest receipt from that.
_HEAD = Struct("<ibbxxiQqiiiIiqiii")
_HOME, _SUPERVISION = Struct("<i"), Struct("<i")
_SUPERVISION_AT = 8
_WENT_AT = 5
#: A heartbeat went past that the track must be told of; one that was not written down.
_WENT, _UNTOLD = 1, 2
_TAIL = Struct("<qiii")
_TAIL_AT = _HEAD.size - _TAIL.size
_UNARMED = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
_INT4_MAX = (1 << 31) - 1
#: The head has no room for more: such a track stays awake.
SUPERVISION_MAX_MS = _INT4_MAX
_EVENT_FIELDS = wire.Event.__struct_fields__
_as_tuple = msgspec.structs.astuple


class Went(NamedTuple):
    """A heartbeat that went past a sleeping track; ``is_first``: none before it is waiting to be written down."""

    home: int
    supervision_ms: int
    instant_ms: int
    is_first: bool


class _Boot(msgspec.Struct, array_like=True, gc=False):
    boot: str
    numbers: tuple[int | None, int | None, int | None, int | None, int | None, int | None, int]
    events: list[tuple[list[Any], list[int]]]
    stretches: list[list[Beat]]
    points: list[Point]
    runs: list[Interval]
    counter_openings: list[int]
    in_fault: bool
    is_elsewhere: bool
    elsewhere_seq: int
    elsewhere_heard_ms: int | None


class _Track(msgspec.Struct, array_like=True, gc=False):
    heard_ms: int | None
    watched: list[Interval]
    counter_openings: list[int]
    openings: list[tuple[int, int, int, bool, str | None, str | None]]
    passages: list[tuple[int, str, str]]
    forced: list[int]
    edges: list[tuple[int, str]]
    floor_ms: int | None
    boots: list[_Boot]
    has_newest: bool


class Remembered(msgspec.Struct, array_like=True, gc=False):
    """What the detector remembers of a household beside the arrays and its rule."""

    judgement: Judgement | None
    standing: dict[int, Crossing]
    checks: dict[int, CheckDue]
    not_known_since: int | None
    not_known_runs: list[tuple[int, int]]


_encode = msgspec.msgpack.Encoder().encode
_decode_track = msgspec.msgpack.Decoder(_Track).decode
#: What most tracks' bytes hold, in their form: a track by itself says few things twice. Nothing of it is kept anywhere.
_WORDS = _encode(
    [
        *(["AccessTaken", "AccessGranted", "card", "face", "in", "out", "rtc", "unsynced"],),
        ["0000000000000000", [60_000] + [1_790_000_000_000] * 4 + [None, 1_790_000_000_000]],
        [
            [
                1,
                1_790_000_000_000,
                60_000,
                "ntp",
                "DoorPhysicalState",
                None,
                "Closed",
                *[None] * 6,
                False,
                None,
            ]
        ],
        [
            [
                1,
                "0000000000000000",
                1,
                1_790_000_000_000,
                60_000,
                "ntp",
                "DoorPhysicalState",
                None,
                "Open",
                None,
            ]
        ],
        [[[60_000, 1_790_000_000_000, "ntp", 0, 0, 1_790_000_000_000, False]]],
        [[0, 2, 60_000, 1_790_000_000_000, 0, False], [1_790_000_000_000, 1_790_000_000_000]],
    ]
)
_WINDOW_BITS = -12
_decode_watch = msgspec.msgpack.Decoder(Remembered).decode


# -- tracks -----------------------------------------------------------------------------------------------------


def blank(home: int, supervision_ms: int) -> bytearray:
    """Return a track that never heard anything, asleep."""
    return bytearray(_HEAD.pack(home, 0, 0, supervision_ms, *_UNARMED))


def move(asleep: bytearray, home: int, supervision_ms: int | None) -> None:
    """Note whose door a sleeping track is now, and how long it may be silent (None: as before)."""
    _HOME.pack_into(asleep, 0, home)
    if supervision_ms is not None:
        _SUPERVISION.pack_into(asleep, _SUPERVISION_AT, supervision_ms)


def home_of(asleep: bytearray) -> int:
    """Return whose dwelling's door a sleeping track is."""
    home: int = _HOME.unpack_from(asleep)[0]
    return home


def fall_asleep(track: DeviceTrack) -> bytearray | None:
    """Return a track as bytes; None where it has to stay as it is."""
    if track._stale or track.tampers or track._owed or track.retains or track.home == SEVERAL:
        return None
    if track.supervision_ms > SUPERVISION_MAX_MS:
        return None
    indexed = track._indexed
    entries = len(indexed.openings) + len(indexed.passages) + len(indexed.edges) + len(indexed.forced)
    entries += len(track._watched) + len(track.counter_openings)
    names = list(track.boots)
    boots = []
    for boot in track.boots.values():
        if boot._stale or boot._young or boot._packed is not None or not boot.is_saved():
            return None
        entries += len(boot.events) + len(boot.folded) + len(boot._runs) + len(boot._counter_openings)
        boots.append(_boot_bytes(boot))
    if entries > ENTRIES_MAX or any(opening.boot not in track.boots for opening in indexed.openings):
        return None
    body = _Track(
        track._heard_ms, track._watched, track.counter_openings,
        [
            (o.instant_ms, names.index(o.boot), o.seq, o.edge, o.method, o.credential)
            for o in indexed.openings
        ],
        indexed.passages, indexed.forced, indexed.edges, None if track.cold is None else track.cold.floor_ms, boots,
        track.cold is not None and track.cold.has_newest,
    )  # fmt: skip
    squeezed = zlib.compressobj(1, zlib.DEFLATED, _WINDOW_BITS, 4, zlib.Z_DEFAULT_STRATEGY, _WORDS)
    return bytearray(b"".join((_head_of(track), squeezed.compress(_encode(body)), squeezed.flush())))


def _expanded(asleep: bytearray) -> bytes:
    return zlib.decompressobj(_WINDOW_BITS, _WORDS).decompress(memoryview(asleep)[_HEAD.size :])


def _boot_bytes(boot: BootTrack) -> _Boot:
    return _Boot(
        boot.boot,
        (
            boot.ntp_up_ms, boot.ntp_ts_ms, boot.ntp_base_min_ms, boot.ntp_base_max_ms, boot.received_base_ms,
            boot.rtc_base_ms, boot.newest_received_ms,
        ),
        [
            (list(_as_tuple(mark.event)), mark.received_ms) for marks in boot.events.values() for mark in marks
        ],
        [[first] if last is first else [first, last] for first, last in boot.folded],
        boot._points[-2:], boot._runs, boot._counter_openings, boot.in_fault, boot.fetch is not None,
        boot.elsewhere_seq, boot.elsewhere_heard_ms,
    )  # fmt: skip


def _head_of(track: DeviceTrack) -> bytes:
    """Return the head: armed where the next heartbeats could only go on from the last one."""
    unarmed = _HEAD.pack(track.home, 0, 0, track.supervision_ms, *_UNARMED)
    boot = speaking_boot(track)
    if boot is None or not may_go_on(track, boot) or not boot.folded:
        return unarmed
    seq, kind, up_ms, instant_ms, opens, _ = boot.last_point()
    last = boot.folded[-1][1]
    if boot.prolongs_from_ms() is None:
        return unarmed  # each next heartbeat has to be kept
    if kind != HEARTBEAT or (last[3], last[0], last[1], last[4]) != (seq, up_ms, instant_ms, opens):
        return unarmed
    assert boot.ntp_base_min_ms is not None and boot.ntp_base_max_ms is not None
    assert boot.received_base_ms is not None
    base_ms = boot.base_ms()
    spans = (boot.ntp_base_min_ms - base_ms, boot.ntp_base_max_ms - base_ms, boot.received_base_ms - base_ms)
    lately = (instant_ms - base_ms - up_ms, last[5] - instant_ms, boot.newest_received_ms - last[5])
    if max(map(abs, (*spans, *lately, opens, seq))) >= _INT4_MAX:
        return unarmed
    return _HEAD.pack(
        track.home,
        1,
        0,
        track.supervision_ms,
        int(boot.boot, 16),
        base_ms,
        *spans,
        seq,
        opens,
        up_ms,
        *lately,
    )


def go_past(asleep: bytearray, beat: wire.Heartbeat, received_ms: int, pulse_ms: int) -> Went | None:
    """Note a heartbeat that only prolongs the watching of a sleeping track's door, as ``take_heartbeat`` would.

    None where the track must wake for it.
    """
    (
        home, armed, went, supervision_ms, boot, base_ms, low_ms, high_ms, received_base_ms, seq, opens, up_ms, deviation_ms,
        lag_ms, newest_ms,
    ) = _HEAD.unpack_from(asleep)  # fmt: skip
    if not armed or beat.seq_last != seq or beat.up <= up_ms or beat.clk != "ntp" or beat.basis is not None:
        return None
    if opens != (NO_COUNTER if beat.opens is None else beat.opens) or int(beat.boot, 16) != boot:
        return None
    instant_ms, last_ms = beat.ts, base_ms + up_ms + deviation_ms
    off_ms = instant_ms - beat.up - base_ms
    if not low_ms <= off_ms <= high_ms or not -STEP_MAX_MS <= off_ms <= STEP_MAX_MS:
        return None
    if instant_ms < last_ms or last_ms + supervision_ms < pulse_ms:
        return None
    if received_ms - beat.up - base_ms < received_base_ms:
        return None
    if not received_ms - PAST_MAX_MS <= instant_ms <= received_ms + FUTURE_MAX_MS:
        return None
    newest_received_ms = max(last_ms + lag_ms + newest_ms, received_ms)
    lag_ms, newest_ms = received_ms - instant_ms, newest_received_ms - received_ms
    if max(abs(lag_ms), newest_ms) >= _INT4_MAX:
        return None
    _TAIL.pack_into(asleep, _TAIL_AT, beat.up, off_ms, lag_ms, newest_ms)
    asleep[_WENT_AT] = _WENT | _UNTOLD
    return Went(home, supervision_ms, instant_ms, not went & _UNTOLD)


def wake(asleep: bytearray, device_id: str, load: Load | None) -> tuple[DeviceTrack, BootTrack | None]:
    """Return a track as it was when it fell asleep, told of what went past it; and the start that this was, if any."""
    head = _HEAD.unpack_from(asleep)
    track = DeviceTrack(device_id, head[3])
    track.home = head[0]
    if len(asleep) == _HEAD.size:
        return track, None
    body = _decode_track(_expanded(asleep))
    track._heard_ms, track._watched, track.counter_openings = (
        body.heard_ms,
        body.watched,
        body.counter_openings,
    )
    track._stale = False
    if body.floor_ms is not None:
        assert load is not None, "what is elsewhere was cooled"
        track.cold = Cold(body.floor_ms, load, body.has_newest)
    indexed = track._indexed
    indexed.passages, indexed.forced, indexed.edges = body.passages, body.forced, body.edges
    names = [boot.boot for boot in body.boots]
    for instant_ms, boot_no, seq, edge, method, credential in body.openings:
        opening = Opening(instant_ms, names[boot_no], seq, edge, method, credential)
        indexed.openings.append(opening)
        if credential and not edge:
            indexed.taken.setdefault(credential, []).append(opening)
    for packed in body.boots:
        track.boots[packed.boot] = _wake_boot(packed, track.thaw)
    if not head[2]:
        return track, None
    boot = _tell(track, head)
    return track, boot if head[2] & _UNTOLD else None


def told_of(asleep: bytearray, device_id: str) -> tuple[CoveragePoint, BootBase] | None:
    """Return what is to be written of the heartbeats that went past a sleeping track, once; None where that was done."""
    head = _HEAD.unpack_from(asleep)
    if not head[2] & _UNTOLD:
        return None
    asleep[_WENT_AT] &= ~_UNTOLD
    body = _decode_track(_expanded(asleep))
    packed = next(boot for boot in body.boots if int(boot.boot, 16) == head[4])
    last = _last_beat(head)
    newest_ms = max(packed.numbers[6], last[5] + head[14])
    point = point_of(device_id, packed.boot, packed.stretches[-1][0], last)
    return point, BootBase(device_id, packed.boot, *packed.numbers[:6], newest_ms)


def _last_beat(head: tuple[int, ...]) -> Beat:
    instant_ms = head[5] + head[11] + head[12]
    return head[11], instant_ms, "ntp", head[9], head[10], instant_ms + head[13], False


def _wake_boot(packed: _Boot, thaw: Callable[[], None]) -> BootTrack:
    boot = BootTrack(packed.boot, retain=False)
    (
        boot.ntp_up_ms, boot.ntp_ts_ms, boot.ntp_base_min_ms, boot.ntp_base_max_ms, boot.received_base_ms,
        boot.rtc_base_ms, boot.newest_received_ms,
    ) = packed.numbers  # fmt: skip
    for said, received_ms in packed.events:
        event = wire.Event(**dict(zip(_EVENT_FIELDS, said, strict=True)))
        boot.events.setdefault(event.seq, []).append(EventMark(event, received_ms))
    boot.set_folded((pair[0], pair[-1]) for pair in packed.stretches)
    boot.take_hot(packed.points, packed.runs, packed.counter_openings, packed.in_fault)
    boot.elsewhere_seq, boot.elsewhere_heard_ms = packed.elsewhere_seq, packed.elsewhere_heard_ms
    boot.fetch = thaw if packed.is_elsewhere else None
    return boot


def _tell(track: DeviceTrack, head: tuple[int, ...]) -> BootTrack:
    """Let a track take the last heartbeat that went past it: those between say nothing that it does not."""
    boot = next(boot for name, boot in track.boots.items() if int(name, 16) == head[4])
    last = _last_beat(head)
    verdict = track.take_beat(boot.boot, last)
    assert verdict.extended, "only what prolongs the watching goes past"
    boot.newest_received_ms = max(boot.newest_received_ms, last[5] + head[14])
    return boot


# -- watches ----------------------------------------------------------------------------------------------------


def pack_watch(watch: Watch) -> bytes:
    """Return what the detector remembers of a household beside the arrays and its rule."""
    return _encode(
        Remembered(
            watch.judgement,
            watch.standing,
            watch.checks,
            watch.not_known_since,
            watch.not_known_runs,
        )
    )


def unpack_watch(asleep: bytes, watch: Watch) -> None:
    """Give a fresh watch what was remembered."""
    body = _decode_watch(asleep)
    watch.judgement, watch.standing, watch.checks = body.judgement, body.standing, body.checks
    watch.not_known_since, watch.not_known_runs = body.not_known_since, body.not_known_runs


def remembered_of(asleep: bytes) -> Remembered:
    """Return what is remembered of a sleeping household."""
    return _decode_watch(asleep)


def without_judgement(asleep: bytes) -> bytes | None:
    """Return what is remembered of a household that is to be judged anew; None where that is nothing."""
    found = _decode_watch(asleep)
    if not found.standing and not found.checks and found.not_known_since is None and not found.not_known_runs:
        return None
    found.judgement = None
    return _encode(found)


__all__ = [
    "NOBODYS", "SEVERAL", "SUPERVISION_MAX_MS", "Remembered", "Went", "blank", "fall_asleep", "go_past", "home_of", "move", "pack_watch",
    "remembered_of", "told_of", "unpack_watch", "wake", "without_judgement",
]  # fmt: skip
