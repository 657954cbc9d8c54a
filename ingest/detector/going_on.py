"""Events of one device in the order they came enter; how far they plainly go on, and what follows for its homes, leave.

What ``DeviceTrack.take_event`` ends in, for the events that nearly all events are: the next of their boot, by
a synchronised clock, with the counter it should have. They are taken here in one loop; the first that is anything
else is left to ``take_event``, which knows every case. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ingest.detector.boots import BootTrack, EventMark
from ingest.detector.coverage import TAMPER_TYPES, DeviceTrack
from ingest.detector.following import follow
from ingest.detector.packed import SANE_MAX, PackedEvents
from ingest.detector.points import EVENT, NO_COUNTER, united
from kaimen import wire
from kaimen.policy import CLONE_SPREAD_MS, FUTURE_MAX_MS, PAST_MAX_MS, STEP_DRIFT_DIVISOR, STEP_MAX_MS
from kaimen.vocabulary import EventType

LIVES = frozenset({EventType.DOOR_PHYSICAL_STATE.value, EventType.ACCESS_TAKEN.value})
#: Types that say whose an opening was, or that the device cannot be trusted: they change more than coverage.
TELLS = LIVES | {
    EventType.ACCESS_GRANTED.value,
    EventType.DOOR_FORCED_OPEN.value,
    EventType.DOOR_TAMPER.value,
    EventType.DOOR_FAULT.value,
}
#: The first event of a start says nothing of what was watched; where some before it are lost, the second neither.
REFRESHED_MAX = 2
#: A track is brought up to date for a run of so many events, if they are so great a part of what is kept.
_REFRESHED_FOR_EVENTS, _KEPT_PER_EVENT_MAX = 8, 4
_STATE = EventType.DOOR_PHYSICAL_STATE.value
_STEP_SCALED = STEP_MAX_MS * STEP_DRIFT_DIVISOR


class Gone(NamedTuple):
    """Events before ``reached`` were taken.

    ``tells``: the homes behind the door are to be judged; ``known_until_ms``: until when the last event that was not of
    that kind lets the door count as watched.
    """

    reached: int
    tells: bool = False
    known_until_ms: int | None = None


def go_on(
    track: DeviceTrack, events: Sequence[wire.Event], receipts: Sequence[int], start: int, pulse_ms: int
) -> Gone:
    """Take events from ``start`` on for as long as each only follows the one before; ``receipts`` are theirs."""
    boot = track.boots.get(events[start].boot)
    if boot is None or not _stands_ready(track, boot, events[start].seq):
        return Gone(start)
    assert boot.ntp_up_ms is not None and boot.ntp_ts_ms is not None
    assert boot.ntp_base_min_ms is not None and boot.ntp_base_max_ms is not None
    assert boot.received_base_ms is not None
    name, first_up, base_ms = boot.boot, boot.ntp_up_ms, boot.ntp_ts_ms - boot.ntp_up_ms
    low, high = boot.ntp_base_min_ms, boot.ntp_base_max_ms
    newest, received_base, supervision_ms = (
        boot.newest_received_ms,
        boot.received_base_ms,
        track.supervision_ms,
    )
    stored, points = boot.events, boot._points
    position, _, _, instant, counter, _ = points[-1]
    tells, known_until_ms, reached = False, None, start
    for reached in range(start, len(events) + 1):
        if reached == len(events):
            break
        event, received_ms = events[reached], receipts[reached]
        ts, up, seq, kind, opens = event.ts, event.up, event.seq, event.type, event.opens
        spread = ts - up
        if (
            seq != position + 1
            or event.boot != name
            or event.clk != "ntp"
            or up <= first_up
            or ts < instant
            or not received_ms - PAST_MAX_MS <= ts <= received_ms + FUTURE_MAX_MS
            or abs(spread - base_ms) * STEP_DRIFT_DIVISOR > _STEP_SCALED + up
            or kind in TAMPER_TYPES
            or seq in stored
        ):
            break
        edge = kind == _STATE and event.state == "Open"
        if opens is None:
            opens = NO_COUNTER
        elif counter != NO_COUNTER and opens - counter != edge:
            break
        if not low <= spread <= high:
            if max(high, spread) - min(low, spread) > CLONE_SPREAD_MS:
                break
            low, high = min(low, spread), max(high, spread)
        stored[seq] = [EventMark(event, [received_ms])]
        points.append((seq, EVENT, up, ts, opens, edge))
        track._index(boot, event, ts)
        if kind in TELLS or instant + supervision_ms < pulse_ms:
            tells = True
        else:
            known_until_ms = ts + supervision_ms
        position, instant, counter = seq, ts, opens
        if received_ms > newest:
            newest = received_ms
        if received_ms - up < received_base:
            received_base = received_ms - up
    if reached > start:
        boot.let_old_points_go()
        boot.ntp_base_min_ms, boot.ntp_base_max_ms = low, high
        boot.newest_received_ms, boot.received_base_ms = newest, received_base
        tells = _note_watched(track, boot, position_ms=boot._runs[-1][1], instant=instant) or tells
    return Gone(reached, tells, known_until_ms)


def _note_watched(track: DeviceTrack, boot: BootTrack, *, position_ms: int, instant: int) -> bool:
    """Lengthen what was watched from the boot's last word on; say whether more than its end changed."""
    boot._runs[-1] = (boot._runs[-1][0], instant)
    if track._heard_ms == track._watched[-1][1] == position_ms:
        track._watched[-1] = (track._watched[-1][0], instant)
        track._heard_ms = instant
        return False
    # Another start of the device was heard later: what this one says now belongs between.
    track._watched = united([*track._watched, boot._runs[-1]])
    track._heard_ms = instant if track._heard_ms is None else max(track._heard_ms, instant)
    return True


def go_on_together(track: DeviceTrack, name: str, events: PackedEvents, pulse_ms: int) -> Gone | None:
    """Take all of an array's events if each only follows the one before, as ``go_on`` would; None, and nothing is taken,
    where one does not.

    ``events`` are of one boot, ascending without a gap, by a synchronised clock, each with one receipt.
    """
    seq = int(events.seq[0])
    boot = track.boots.get(name)
    if boot is None or not _stands_ready(track, boot, seq):
        return None
    position, _, _, instant, counter, _ = boot._points[-1]
    assert boot.ntp_up_ms is not None and boot.ntp_ts_ms is not None
    assert boot.ntp_base_min_ms is not None and boot.ntp_base_max_ms is not None
    assert boot.received_base_ms is not None
    base_ms, low, high = boot.ntp_ts_ms - boot.ntp_up_ms, boot.ntp_base_min_ms, boot.ntp_base_max_ms
    numbers = (base_ms, low, high, instant, counter, boot.received_base_ms)
    if seq != position + 1 or any(abs(number) >= SANE_MAX for number in numbers):
        return None
    if boot.events and not boot.events.keys().isdisjoint(range(seq, events.last_seq + 1)):
        return None
    found = follow(
        events.ts, events.up, events.opens, events.received, events.kind,
        boot.ntp_up_ms, base_ms, low, high, instant, counter, track.supervision_ms, pulse_ms,
    )  # fmt: skip
    if not found[0]:
        return None
    _, tells, known_until_ms, low, high, newest, received_base = found
    boot.append_packed(events)
    track.owe(boot, events)
    boot._points[:] = [*boot._points[-1:], *events.last_points(2)][-2:]
    boot.ntp_base_min_ms, boot.ntp_base_max_ms = low, high
    boot.newest_received_ms = max(boot.newest_received_ms, newest)
    boot.received_base_ms = min(boot.received_base_ms, received_base)
    moved = _note_watched(track, boot, position_ms=boot._runs[-1][1], instant=int(events.ts[-1]))
    return Gone(len(events.seq), bool(tells) or moved, known_until_ms if known_until_ms >= 0 else None)


def is_worth_refreshing(track: DeviceTrack, left: int) -> bool:
    """Say whether bringing a track up to date costs less than taking the ``left`` events of a run one by one."""
    return (
        track._stale
        and left >= _REFRESHED_FOR_EVENTS
        and not track.tampers
        and track.unpacked_count() <= left * _KEPT_PER_EVENT_MAX
    )


def _stands_ready(track: DeviceTrack, boot: BootTrack, seq: int) -> bool:
    """Say whether the device was watched up to this boot's last word in it, and all that is kept of both is up to date."""
    if track._stale or boot._stale or track.tampers or boot.ntp_up_ms is None:
        return False
    if boot.received_base_ms is None or boot.cloned() or not boot._runs or not track._watched:
        return False
    if seq <= boot.packed_to:
        return False
    reaches_back = seq <= boot.elsewhere_seq or (
        track.cold is not None and boot._points[-1][3] < track.cold.floor_ms
    )
    return not reaches_back and boot._runs[-1][1] == boot._points[-1][3]
