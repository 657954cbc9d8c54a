"""The database and a period enter; what was heard and watched of every household leaves, ready for ``backtest``.

Doors are taken a few stairwells at a time, so that a year of a community never is in memory. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg.rows import tuple_row

from ingest.detector.coverage import DeviceTrack
from ingest.detector.rule import HouseholdRule, tokens_by_household
from ingest.detector.stretches import beats_of
from ingest.look_back.backtest import HouseholdPast, household_past
from ingest.replay import base_of, event_of, point_of
from ingest.rows.book import Book, load_book
from ingest.rows.event_columns import StoredEvent, read_columns
from ingest.rows.event_rows import boot_text
from kaimen import wire
from kaimen.clock import as_datetime
from kaimen.database import Connection, queries
from kaimen.policy import DAY_MS, PAST_MAX_MS
from kaimen.vocabulary import DoorRole, Household

_SQL = queries("ingest.look_back", "backtest.sql")
#: Events looked at before the period, for what stood at its begin, and after it, for what came late.
MARGIN_MS = PAST_MAX_MS
#: About this many events are in memory at once, at so many per door and day.
_EVENTS_AT_ONCE = 200_000
_EVENTS_PER_DOOR_DAY = 20
#: A device whose household is known now was heard up to now: heartbeats themselves are written every ten minutes.
_HEARD_UP_TO_NOW_MS = 365 * DAY_MS


@dataclass(frozen=True, slots=True)
class StoredCrossing:
    """A crossing that was announced; ``late``: withdrawn by evidence that had happened before and came afterwards."""

    household_id: str
    stage: int
    at_ms: int
    late: bool


class NothingStoredError(ValueError):
    """There is nothing to look back on; the text says why."""


def load_zone(connection: Connection, community: str | None) -> str:
    """Return the zone whose days are counted.

    Raises
    ------
    NothingStoredError
        If there is no such community, or several zones and no community named.
    """
    zones = {row["id"]: row["zone"] for row in connection.execute(_SQL["communities"]).fetchall()}
    if not zones:
        raise NothingStoredError("no community is registered: kaimen import enters one")
    if community is not None:
        if community not in zones:
            raise NothingStoredError(f"no community {community!r}; there are: {', '.join(zones)}")
        return str(zones[community])
    if len(set(zones.values())) > 1:
        raise NothingStoredError(f"communities of several zones: name one of {', '.join(zones)}")
    return str(next(iter(zones.values())))


def load_reached(connection: Connection) -> datetime:
    """Return the community time up to which ingest has done its work.

    Raises
    ------
    NothingStoredError
        If it has not done any.
    """
    row = connection.execute(_SQL["reached"]).fetchone()
    if row is None:
        raise NothingStoredError(
            "ingest has not worked on this database yet: there is nothing to look back on"
        )
    at: datetime = row["at"]
    return at


def load_stored_crossings(
    connection: Connection, community: str | None, from_ms: int, before_ms: int
) -> list[StoredCrossing]:
    """Return what was announced in ``[from_ms, before_ms)``, by the instant at which each stage was reached."""
    rows = connection.execute(
        _SQL["stored_crossings"],
        {"community": community, "from_at": as_datetime(from_ms), "before": as_datetime(before_ms)},
    ).fetchall()
    return [StoredCrossing(row["household_id"], row["stage"], row["at_ms"], row["late"]) for row in rows]


def count_policies_begun(connection: Connection, from_ms: int, before_ms: int) -> int:
    """Return how many policies began to hold within a period."""
    row = connection.execute(
        _SQL["policies_begun"], {"from_at": as_datetime(from_ms), "before": as_datetime(before_ms)}
    ).fetchone()
    assert row is not None
    return int(row["n"])


def load_policy(connection: Connection, name: str, version: int | None) -> tuple[str, tuple[int, ...]]:
    """Return a stored policy's name with its version, and its thresholds in milliseconds.

    Raises
    ------
    NothingStoredError
        If there is none, with those there are.
    """
    row = connection.execute(_SQL["policy"], {"id": name, "version": version}).fetchone()
    if row is None:
        stored = [
            f"{item['id']}@{item['version']}" for item in connection.execute(_SQL["policy_names"]).fetchall()
        ]
        wanted = name if version is None else f"{name}@{version}"
        raise NothingStoredError(f"no policy {wanted!r}; there are: {', '.join(stored) or 'none'}")
    return f"{row['id']}@{row['version']}", tuple(1000 * second for second in row["thresholds_s"])


def load_past(
    connection: Connection,
    *,
    community: str | None,
    from_ms: int,
    before_ms: int,
    now_ms: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[HouseholdPast]:
    """Reduce every watched household of a community to what the rule needs of ``[from_ms, before_ms)``.

    The registry is taken as it is now. ``now_ms`` is how far ingest has worked; ``progress`` is told how many
    households are done, of how many. The connection is in a transaction that sees one state of the database.
    """
    book = load_book(connection, now_ms=now_ms, since_ms=from_ms - MARGIN_MS)
    rows = connection.execute(_SQL["households"], {"community": community}).fetchall()
    known = {row["id"] for row in rows if row["known"]}
    until_ms = min(now_ms, before_ms + MARGIN_MS)
    wanted = [
        _from(book.registry.households[row["id"]], from_ms - MARGIN_MS)
        for row in rows
        if row["id"] in book.registry.households
    ]
    wanted = [item for item in wanted if item.consent and item.watched_from_ms <= until_ms]
    reader = _Reader(connection, book, from_ms - MARGIN_MS, until_ms, known if until_ms == now_ms else set())
    days = max(1, (until_ms - from_ms + MARGIN_MS) // DAY_MS)
    doors_max = max(1, _EVENTS_AT_ONCE // (days * _EVENTS_PER_DOOR_DAY))
    pasts: list[HouseholdPast] = []
    progress(0, len(wanted))
    for part in _parts(wanted, doors_max):
        pasts.extend(reader.read(part))
        progress(len(pasts), len(wanted))
    return sorted(pasts, key=lambda item: item.household_id)


def _from(household: Household, from_ms: int) -> Household:
    """What lies before the margin is not loaded and is not judged: the watch begins there at the earliest."""
    return replace(household, watched_from_ms=max(household.watched_from_ms, from_ms))


def _dwellings(household: Household) -> set[str]:
    return {binding.device_id for binding in household.doors if binding.role == DoorRole.DWELLING}


def _parts(households: Sequence[Household], doors_max: int) -> Iterator[list[Household]]:
    """Yield households in parts that share no dwelling door, of at most ``doors_max`` doors where that can be."""
    part: list[Household] = []
    doors = 0
    for neighbours in _neighbours(households):
        new = len({door for household in neighbours for door in _dwellings(household)})
        if part and doors + new > doors_max:
            yield part
            part, doors = [], 0
        part.extend(neighbours)
        doors += new
    if part:
        yield part


def _neighbours(households: Iterable[Household]) -> list[list[Household]]:
    """Return households in groups: those that have a dwelling door in common, directly or by others, are together."""
    group_by_door: dict[str, list[Household]] = {}
    groups: dict[int, list[Household]] = {}
    for household in households:
        together = [household]
        doors = _dwellings(household)
        for found in {
            id(group_by_door[door]): group_by_door[door] for door in doors & group_by_door.keys()
        }.values():
            del groups[id(found)]
            together.extend(found)
        groups[id(together)] = together
        for member in together:
            group_by_door.update(dict.fromkeys(_dwellings(member), together))
    return list(groups.values())


class _Reader:
    """Reads some households' doors and lets the rule say what it makes of them."""

    def __init__(
        self, connection: Connection, book: Book, since_ms: int, until_ms: int, known: set[str]
    ) -> None:
        self._connection, self._book, self._until_ms, self._known = connection, book, until_ms, known
        self._span = {"since": as_datetime(since_ms), "before": as_datetime(until_ms + 1)}
        self._tokens = tokens_by_household(book.registry.credentials)

    def read(self, households: Sequence[Household]) -> list[HouseholdPast]:
        """Reduce households that share no dwelling door with anybody else."""
        tracks = self._silent_tracks(households)
        dwellings = {door for household in households for door in _dwellings(household)}
        tokens = [token for item in households for token in self._tokens.get(item.household_id, ())]
        self._fill(tracks, sorted(dwellings), "event_columns", {})
        self._fill(tracks, sorted(tracks.keys() - dwellings), "passage_columns", {"tokens": tokens})
        credentials = self._book.registry.credentials
        return [
            household_past(
                HouseholdRule(household, tracks, credentials, self._tokens.get(household.household_id, ())),
                self._until_ms,
            )
            for household in households
        ]

    def _silent_tracks(self, households: Sequence[Household]) -> dict[str, DeviceTrack]:
        tracks: dict[str, DeviceTrack] = {}
        for household in households:
            for binding in household.doors:
                device = self._book.registry.devices.get(binding.device_id)
                supervision_ms = 0 if device is None else device.supervision_ms
                if household.household_id in self._known:
                    supervision_ms = _HEARD_UP_TO_NOW_MS
                track = tracks.setdefault(binding.device_id, DeviceTrack(binding.device_id, supervision_ms))
                track.supervision_ms = max(track.supervision_ms, supervision_ms)
        return tracks

    def _fill(
        self, tracks: dict[str, DeviceTrack], devices: Sequence[str], events: str, values: dict[str, Any]
    ) -> None:
        device_by_no = {
            self._book.device_no[device]: device for device in devices if device in self._book.device_no
        }
        values = {**self._span, **values}
        _restore_bases(self._connection, tracks, device_by_no, values)
        packed, rest = read_columns(self._connection, _SQL[events], values, device_by_no)
        loose: dict[str, list[tuple[wire.Event, int]]] = {}
        for device_id, event, received_ms in rest:
            loose.setdefault(device_id, []).append((event, received_ms))
        for device_id in packed.keys() | loose.keys():
            tracks[device_id].load_packed(packed.get(device_id, {}), loose.get(device_id, ()))
        _take_points(self._connection, tracks, device_by_no, values)


def fill_tracks(
    connection: Connection,
    tracks: Mapping[str, DeviceTrack],
    device_by_no: Mapping[int, str],
    values: Mapping[str, Any],
) -> dict[str, list[tuple[wire.Event, int]]]:
    """Give tracks what is stored of their devices: boots' bases first, then events, then heartbeats.

    ``values`` holds ``since`` and ``before``. Return the events with their receipt (UTC ms) by device.
    """
    _restore_bases(connection, tracks, device_by_no, values)
    stored: dict[str, list[tuple[wire.Event, int]]] = {}
    for device_id, event, received_ms in _events(connection, device_by_no, values):
        stored.setdefault(device_id, []).append((event, received_ms))
    for device_id, found in stored.items():
        tracks[device_id].load(found)
    _take_points(connection, tracks, device_by_no, values)
    return stored


def _restore_bases(
    connection: Connection,
    tracks: Mapping[str, DeviceTrack],
    device_by_no: Mapping[int, str],
    values: Mapping[str, Any],
) -> None:
    for row in connection.execute(_SQL["boots"], {**values, "devices": list(device_by_no)}):
        base = base_of(device_by_no[row["device_no"]], row)
        tracks[base.device_id].restore_base(base.boot, base)


def _take_points(
    connection: Connection,
    tracks: Mapping[str, DeviceTrack],
    device_by_no: Mapping[int, str],
    values: Mapping[str, Any],
) -> None:
    for row in connection.execute(_SQL["points"], {**values, "devices": list(device_by_no)}):
        point = point_of(device_by_no[row["device_no"]], row)
        for beat in beats_of(point):
            tracks[point.device_id].take_beat(point.boot, beat)


def _events(
    connection: Connection, device_by_no: Mapping[int, str], values: Mapping[str, Any]
) -> Iterator[StoredEvent]:
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        cursor.execute(_SQL["events"], {**values, "devices": list(device_by_no)})
        for device_no, received_ms, boot, *said in cursor:
            yield device_by_no[device_no], event_of(boot_text(boot), said), received_ms
