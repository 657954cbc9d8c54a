"""Folded heartbeats enter, the rows they are stored as leave, and the other way round. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.detector.boots import BootTrack, Stretch
from ingest.detector.facts import BootBase, CoveragePoint
from ingest.detector.points import NO_COUNTER, Beat

BASE_KEPT_MAX_MS = 1 << 62


def base_of(device_id: str, boot: str, track: BootTrack) -> BootBase:
    """Return what a restart must know of a boot's base, within what a column holds."""
    return BootBase(
        device_id, boot, track.ntp_up_ms, track.ntp_ts_ms, _within(track.ntp_base_min_ms), _within(track.ntp_base_max_ms),
        _within(track.received_base_ms), _within(track.rtc_base_ms), track.newest_received_ms,
    )  # fmt: skip


def _within(base_ms: int | None) -> int | None:
    # The difference of two numbers of 64 bits has 65; a boot that far off proves nothing, wherever it is cut.
    return None if base_ms is None else max(-BASE_KEPT_MAX_MS, min(base_ms, BASE_KEPT_MAX_MS))


def point_of(device_id: str, boot: str, first: Beat, last: Beat) -> CoveragePoint:
    """Return the row of a stretch of heartbeats at one position with one counter."""
    return CoveragePoint(
        device_id, boot, first[3], first[4],
        first[0], first[1], first[5], first[2],
        last[0], last[1], last[5], last[2],
        first[6] or last[6],
    )  # fmt: skip


def stretch_of(point: CoveragePoint) -> Stretch:
    """Return a row as the stretch it was made of."""
    beats = list(beats_of(point))
    return beats[0], beats[-1]


def beats_of(point: CoveragePoint) -> Iterable[Beat]:
    """Yield the heartbeats a folded stretch stands for: its first and, where there was another, its last."""
    yield (
        point.first_up_ms, point.first_ts_ms, point.first_clock, point.seq_last, point.opens,
        point.first_received_ms, point.by_check_in,
    )  # fmt: skip
    if (point.last_up_ms, point.last_ts_ms) != (point.first_up_ms, point.first_ts_ms):
        yield (
            point.last_up_ms, point.last_ts_ms, point.last_clock, point.seq_last, point.opens,
            point.last_received_ms, point.by_check_in,
        )  # fmt: skip


assert NO_COUNTER == -1, "the column comment of coverage_points.opens says so"
