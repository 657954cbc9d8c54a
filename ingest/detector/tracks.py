"""The tracks of a registry's devices, awake or asleep: who asks for one gets it awake. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ingest.detector.boots import BootTrack
from ingest.detector.cold import Load
from ingest.detector.coverage import DeviceTrack
from ingest.detector.sleeping import SUPERVISION_MAX_MS, blank, home_of, move, wake

Told = Callable[[str, BootTrack], None]


class Tracks(Mapping[str, DeviceTrack]):
    """By device id; ``awake`` are those that are, the one asked for longest ago first."""

    def __init__(self, *, retain: bool, told: Told) -> None:
        self._retain = retain
        #: Called with each start that heartbeats went past, when its track wakes.
        self._told = told
        self._entries: dict[str, DeviceTrack | bytearray] = {}
        self.awake: dict[str, None] = {}
        #: Brings what lies elsewhere of a device.
        self.load: Load | None = None

    def __getitem__(self, device_id: str) -> DeviceTrack:
        entry = self._entries[device_id]
        if isinstance(entry, DeviceTrack):
            return entry
        track, boot = wake(entry, device_id, self.load)
        self._entries[device_id] = track
        self.awake[device_id] = None
        if boot is not None:
            self._told(device_id, boot)
        return track

    def __contains__(self, device_id: object) -> bool:
        return device_id in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def asleep(self, device_id: str) -> bytearray | None:
        """Return a track that is asleep as it is; None where it is awake."""
        entry = self._entries[device_id]
        return entry if isinstance(entry, bytearray) else None

    def awake_of(self, device_id: str) -> DeviceTrack | None:
        """Return a track that is awake; None where it sleeps."""
        entry = self._entries[device_id]
        return entry if isinstance(entry, DeviceTrack) else None

    def all_awake(self) -> Iterator[DeviceTrack]:
        """Yield every track that is awake."""
        return (entry for entry in self._entries.values() if isinstance(entry, DeviceTrack))

    def home_of(self, device_id: str) -> int:
        """Return the number of the home whose dwelling's door a device is (``sleeping``)."""
        entry = self._entries[device_id]
        return entry.home if isinstance(entry, DeviceTrack) else home_of(entry)

    def touch(self, device_id: str) -> None:
        """Note that a track that is awake is asked for again."""
        awake = self.awake
        if device_id in awake:
            del awake[device_id]
            awake[device_id] = None

    def place(self, device_id: str, home: int, supervision_ms: int | None) -> None:
        """Note whose door a device is and how long it may be silent (None: as before); it is made where it is new."""
        entry = self._entries.get(device_id)
        if entry is None:
            supervision_ms = supervision_ms or 0
            if self._retain or supervision_ms > SUPERVISION_MAX_MS:
                entry = DeviceTrack(device_id, supervision_ms, retain=self._retain)
                entry.home = home
            else:
                entry = blank(home, supervision_ms)
            self._entries[device_id] = entry
            return
        if (
            isinstance(entry, bytearray)
            and supervision_ms is not None
            and supervision_ms > SUPERVISION_MAX_MS
        ):
            entry = self[device_id]
        if isinstance(entry, DeviceTrack):
            entry.home = home
            entry.supervision_ms = entry.supervision_ms if supervision_ms is None else supervision_ms
        else:
            move(entry, home, supervision_ms)

    def put_asleep(self, device_id: str, asleep: bytearray) -> None:
        """Keep a track as its bytes."""
        track = self.awake_of(device_id)
        if track is not None:
            track.let_go()
        self._entries[device_id] = asleep
        del self.awake[device_id]

    def wake_all(self) -> None:
        """Have every track awake."""
        for device_id in self._entries:
            self[device_id]
