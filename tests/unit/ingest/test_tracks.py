"""Tracks that sleep leave nothing behind."""

from __future__ import annotations

import gc
import weakref

from ingest.detector.coverage import DeviceTrack
from ingest.detector.sleeping import blank
from ingest.detector.tracks import Tracks


class Watched(DeviceTrack):
    """A track of which one can see whether it is still there."""

    __slots__ = ("__weakref__",)


def test_a_track_that_sleeps_is_let_go_of_at_once_though_its_boots_can_fetch_by_it() -> None:
    tracks = Tracks(retain=False, told=lambda *_: None)
    track = Watched("door-1", 60_000)
    track.boot("9f2c41d07be3a856").fetch = track.thaw
    tracks._entries["door-1"] = track
    tracks.awake["door-1"] = None
    there = weakref.ref(track)
    gc.disable()
    try:
        tracks.put_asleep("door-1", blank(-1, 60_000))
        del track
        assert there() is None, "a worker collects what holds itself once in fifty million objects"
    finally:
        gc.enable()
