"""Stored events and the clock enter; alerts of early watch and their ends leave, every quarter of an hour.

A thread beside the shard groups with a connection of its own: what it finds never delays the ladder, and it judges
nothing that the ladder's own pulse has not reached. One worker of an installation does it at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import psycopg

from ingest.detector.coverage import DeviceTrack, subtract
from ingest.early import Method
from ingest.early.live import LATE_MS, MEMORY_MS, TICK_MS, Alert, Blind, LiveHome, Over, Report, Turn
from ingest.look_back.past import fill_tracks
from ingest.signals.facts import end_early_watch, write_early_watch
from kaimen import wire
from kaimen.clock import Clock, as_datetime, as_ms
from kaimen.database import Connection, notify, queries, why_away
from kaimen.logs import get_logger
from kaimen.settings import IngestSettings

_SQL = queries("ingest.early")
#: A device's folded heartbeats are written at least this often; what is not written yet is not silence.
_WRITTEN_MS = 2 * 600_000
#: After the database refused or was away.
RETRY_S = 30.0
#: A clock may be set forward at any time, so it is looked at now and then.
WAKE_S_MIN, WAKE_S_MAX = 0.2, 2.0

log = get_logger()


@dataclass(frozen=True, slots=True)
class HomeDevice:
    device_id: str
    device_no: int
    supervision_ms: int
    at_door: bool


class EarlyLoop:
    """``run`` until ``stop``; ``turn`` does one tick and is what tests drive."""

    def __init__(
        self,
        settings: IngestSettings,
        *,
        clock: Clock,
        open_connection: Callable[[], Connection],
        stop: threading.Event,
    ) -> None:
        self._method = Method(settings.early_method)
        self._clock, self._open, self._stop = clock, open_connection, stop
        self._homes: dict[str, LiveHome] = {}
        self._done_ms: int | None = None

    def run(self) -> None:
        """Serve until ``stop`` is set; a database that is away is waited for."""
        while not self._stop.is_set():
            try:
                with self._open() as connection:
                    while not self._stop.wait(self._wait_s()):
                        self.turn(connection)
            except psycopg.Error as error:
                log.warning("early watch waits for the database", error=why_away(error))
                self._homes.clear()
                self._stop.wait(RETRY_S)

    def _wait_s(self) -> float:
        if self._done_ms is None:
            return WAKE_S_MIN
        due_in_ms = max(0, self._done_ms + TICK_MS - self._clock.now_ms())
        return min(WAKE_S_MAX, max(WAKE_S_MIN, self._clock.wall_seconds(due_in_ms)))

    def turn(self, connection: Connection) -> int:
        """Judge the newest tick that ingest has reached, once; return how many alerts began or ended."""
        with connection.transaction():
            row = connection.execute(_SQL["reached"]).fetchone()
            if row is None or row["at"] is None:
                return 0
            tick_ms = min(as_ms(row["at"]), self._clock.now_ms()) // TICK_MS * TICK_MS
            if self._done_ms is not None and tick_ms <= self._done_ms:
                return 0
            lock = connection.execute(_SQL["lock"]).fetchone()
            if lock is None or not lock["ours"]:
                return 0
            written = self._judge_all(connection, tick_ms)
            if written:
                notify(connection, "kaimen_happenings")
        self._done_ms = tick_ms
        return written

    def _judge_all(self, connection: Connection, tick_ms: int) -> int:
        zones = {row["id"]: row["zone"] for row in connection.execute(_SQL["homes"])}
        for household_id in self._homes.keys() - zones.keys():
            del self._homes[household_id]
        ids = list(zones)
        connection.execute(_SQL["forget_states"], {"ids": ids})
        devices = _load_devices(connection, ids, tick_ms)
        asked = {"ids": ids, "now": as_datetime(tick_ms)}
        absent = {row["household_id"] for row in connection.execute(_SQL["absent"], asked)}
        standing = {row["household_id"]: row["key"] for row in connection.execute(_SQL["standing"])}
        written = 0
        for household_id, key in standing.items():
            if household_id not in zones:  # consent ends the alert with the watch
                end_early_watch(connection, key=key, at_ms=tick_ms, heard=False, now_ms=tick_ms)
                written += 1
        for household_id, zone in zones.items():
            watching = devices.get(household_id, ())
            if all(device.at_door for device in watching):
                continue  # a door alone says nothing of who is inside
            turn = self._judge(
                connection, household_id, zone, watching, tick_ms,
                is_absent=household_id in absent, standing=household_id in standing,
            )  # fmt: skip
            written += self._write(connection, household_id, turn, standing.get(household_id), tick_ms)
        return written

    def _judge(
        self,
        connection: Connection,
        household_id: str,
        zone: str,
        devices: Iterable[HomeDevice],
        tick_ms: int,
        *,
        is_absent: bool,
        standing: bool,
    ) -> Turn:
        home = self._homes.get(household_id)
        from_ms = tick_ms - (LATE_MS if home is not None else MEMORY_MS)
        if home is None:
            home = LiveHome(self._method, wall_of(ZoneInfo(zone)))
            self._homes[household_id] = home
        heard = load_heard(connection, {device.device_no: device for device in devices}, from_ms, tick_ms)
        return home.tick(tick_ms, heard.reports, heard.blind, is_absent=is_absent, standing=standing)

    def _write(
        self, connection: Connection, household_id: str, turn: Turn, standing: str | None, tick_ms: int
    ) -> int:
        connection.execute(
            _SQL["write_state"],
            {
                "household_id": household_id,
                "method": self._method.value,
                "reason": turn.reason,
                "score": turn.score,
                "threshold": min(turn.threshold, 1e9),
                "last_heard_at": None if turn.last_ms is None else as_datetime(turn.last_ms),
                "learned_days": turn.learned_days,
                "as_of": as_datetime(tick_ms),
            },
        )
        if turn.over is not None and standing is not None:
            _write_over(connection, standing, turn.over, tick_ms)
        if turn.alert is not None:
            _write_alert(connection, household_id, self._method, turn.alert, tick_ms)
        return int(turn.alert is not None) + int(turn.over is not None)


def _write_alert(
    connection: Connection, household_id: str, method: Method, alert: Alert, now_ms: int
) -> None:
    evidence = {
        "method": method.value,
        "reason": alert.score.reason.name.lower(),
        "score": round(alert.score.score, 3),
        "threshold": round(alert.score.threshold, 3),
        "last_heard_ms": alert.last_ms,
    }
    write_early_watch(
        connection, key=f"early_watch:{household_id}:{alert.last_ms}", household_id=household_id, at_ms=alert.at_ms,
        now_ms=now_ms, evidence=evidence,
    )  # fmt: skip


def _write_over(connection: Connection, key: str, over: Over, now_ms: int) -> None:
    end_early_watch(connection, key=key, at_ms=over.at_ms, heard=over.heard, now_ms=now_ms)


def wall_of(zone: ZoneInfo) -> Callable[[int], int]:
    """Return what turns an instant (UTC ms) into milliseconds of the wall clock of a zone."""

    def wall(at_ms: int) -> int:
        offset = as_datetime(at_ms).astimezone(zone).utcoffset()
        assert offset is not None
        return at_ms + int(offset.total_seconds() * 1000)

    return wall


# --- what was stored --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredHeard:
    """What a home's devices reported in a span, and when one of them was not heard."""

    reports: list[Report]
    blind: list[Blind]


def load_heard(
    connection: Connection, devices: Mapping[int, HomeDevice], from_ms: int, tick_ms: int
) -> StoredHeard:
    """Read what some devices (by number) reported in ``[from_ms, tick_ms]`` and the spans nobody can speak for."""
    span = {"since": as_datetime(from_ms), "before": as_datetime(tick_ms + 1)}
    tracks = {
        device.device_id: DeviceTrack(device.device_id, device.supervision_ms + _WRITTEN_MS)
        for device in devices.values()
    }
    stored = fill_tracks(connection, tracks, {no: device.device_id for no, device in devices.items()}, span)
    by_id = {device.device_id: device for device in devices.values()}
    reports = [
        report
        for device_id, found in stored.items()
        for report in _reports(by_id[device_id], tracks[device_id], (event for event, _ in found))
        if report.at_ms <= tick_ms
    ]
    return StoredHeard(reports, blind_spans(tracks.values(), from_ms, tick_ms))


def _reports(device: HomeDevice, track: DeviceTrack, events: Iterable[wire.Event]) -> Iterable[Report]:
    for event in events:
        at_ms, _flagged = track.boots[event.boot].instant_ms(event.ts, event.up, event.clk)
        yield Report(
            at_ms, device.device_no, int(event.boot, 16), event.seq, device.at_door, event.type, event.state
        )


def blind_spans(tracks: Iterable[DeviceTrack], from_ms: int, tick_ms: int) -> list[Blind]:
    """Return the spans of ``(from_ms, tick_ms]`` in which some device was not watched; one at the end may last."""
    blind: list[Blind] = []
    for track in tracks:
        for begin, end in subtract([(from_ms, tick_ms)], list(track.pieces(from_ms, tick_ms, tick_ms))):
            blind.append(Blind(begin, None if end == tick_ms else end))
    return blind


def _load_devices(connection: Connection, ids: list[str], now_ms: int) -> dict[str, list[HomeDevice]]:
    found: dict[str, list[HomeDevice]] = {}
    for row in connection.execute(_SQL["devices"], {"ids": ids, "now": as_datetime(now_ms)}):
        device = HomeDevice(row["device_id"], row["device_no"], row["supervision_s"] * 1000, row["at_door"])
        found.setdefault(row["household_id"], []).append(device)
    return found
