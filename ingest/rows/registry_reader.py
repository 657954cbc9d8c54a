"""The registry's rows enter: whole once, then what changed of them; differences of a shard group's book leave.

Whoever changes a row of the registry leaves a note of it (``registry_changes``) in the same transaction. What was noted
by transactions that the last look may not have seen is looked at, and those homes and doors alone are read. Where that
is not enough to go by, or too much, everything is read and compared; so it is now and then in any case: nobody may stay
unwatched because something changed of which no note was left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from ingest import metrics
from ingest.detector.changes import RegistryChanges, bearers, differences
from ingest.rows.book import (
    Book,
    BookChanges,
    Share,
    bind,
    load_book,
    load_credentials,
    load_devices,
    load_doors,
    load_households,
    required_devices,
    wiring,
)
from kaimen.clock import as_datetime, as_ms
from kaimen.database import Connection, queries
from kaimen.logs import get_logger
from kaimen.policy import PAST_MAX_MS
from kaimen.vocabulary import Credential, Device, Household

_SQL = queries("ingest")
log = get_logger()

#: So many notes, or this part of all homes, are followed one by one; of more everything is read.
CHANGES_MAX, CHANGES_PART = 5_000, 20
#: Everything is read anew so long after it was last, and no sooner than so many times what that took: a whole read stops
#: the group, a quarter of a minute where a million homes are watched.
WHOLE_EVERY_S, WHOLE_SHARE = 300.0, 300
_OF_HOME = frozenset({"households", "household_doors", "consents", "absences", "verified_contacts"})
_OF_SIGNALS = frozenset(
    {"household_sensors", "home_notices", "leases", "persons"}
)  # nothing the detector asks for


@dataclass(slots=True)
class _Noted:
    """What the notes name: homes, devices, homes whose credentials are others; ``of_nobody``: and the staff's."""

    households: set[str] = field(default_factory=set)
    devices: set[str] = field(default_factory=set)
    bearers: set[str] = field(default_factory=set)
    of_nobody: bool = False
    #: It cannot be told from the notes what is otherwise.
    unsure: bool = False

    def take(self, kind: str | None, household_id: str | None, device_id: str | None) -> None:
        if kind in _OF_HOME and household_id is not None:
            self.households.add(household_id)
        elif kind == "devices" and device_id is not None:
            self.devices.add(device_id)
        elif kind == "credentials":
            self.of_nobody |= household_id is None
            self.bearers |= {household_id} if household_id is not None else set()
        elif kind not in _OF_SIGNALS:
            self.unsure = True


class RegistryReader:
    """Reads the registry of one shard group, and then what changed."""

    def __init__(self, group_no: int, groups: int) -> None:
        self._group_no, self._groups = group_no, groups
        self._mark = "0"
        self._read_ms = 0
        self._policy_ms: int | None = None
        self._whole_due_s = 0.0

    def read(self, connection: Connection, *, now_ms: int, alive: Callable[[], None] = lambda: None) -> Book:
        """Read everything as it holds at ``now_ms``; ``alive`` is called now and then."""
        begun = time.monotonic()
        mark = changes_mark(
            connection
        )  # before anything is read: what is noted from here on is looked at again
        book = load_book(connection, now_ms=now_ms, group_no=self._group_no, groups=self._groups, alive=alive)
        self._note_read(connection, mark, now_ms)
        metrics.REGISTRY_READS.labels("whole").inc()
        now = time.monotonic()
        self._whole_due_s = now + max(WHOLE_EVERY_S, (now - begun) * WHOLE_SHARE)
        return book

    def read_changes(
        self, connection: Connection, book: Book, *, now_ms: int, alive: Callable[[], None] = lambda: None
    ) -> BookChanges:
        """Return how the registry differs at ``now_ms`` from a book that this reader read and that took every change."""
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            mark = changes_mark(connection)
            noted = self._load_noted(connection, len(book.household_no), now_ms)
            changes = None if noted.unsure else self._read_noted(connection, book, noted, now_ms)
            if changes is not None and time.monotonic() < self._whole_due_s:
                self._note_read(connection, mark, now_ms)
                metrics.REGISTRY_READS.labels("changes").inc()
                return changes
            whole = self._compare(connection, book, self.read(connection, now_ms=now_ms, alive=alive), now_ms)
        untold = 0 if changes is None else whole.count() - changes.count()
        if untold > 0:
            # What fell out of the memory of absences and words, or was changed past the triggers.
            metrics.REGISTRY_UNTOLD.inc(untold)
            log.info("the registry had changed and no note of it was left", count=untold)
        return whole

    def _compare(self, connection: Connection, book: Book, after: Book, now_ms: int) -> BookChanges:
        credentials = differences(book.registry.credentials, after.registry.credentials)
        return BookChanges(
            RegistryChanges(
                differences(book.registry.devices, after.registry.devices),
                differences(book.registry.households, after.registry.households),
                credentials,
                self._load_passed(connection, book, credentials, now_ms),
            ),
            differences(book.device_no, after.device_no),
            differences(book.household_no, after.household_no),
            after.sites,
        )

    def _note_read(self, connection: Connection, mark: str, now_ms: int) -> None:
        row = connection.execute(_SQL["load_next_policy"], {"now": as_datetime(now_ms)}).fetchone()
        self._policy_ms = None if row is None or row["at"] is None else as_ms(row["at"])
        self._mark, self._read_ms = mark, now_ms

    def _load_noted(self, connection: Connection, homes: int, now_ms: int) -> _Noted:
        """Return what was noted since the last look, and what ended by itself."""
        noted = _Noted()
        rows_max = max(CHANGES_MAX, homes // CHANGES_PART)
        rows = load_changes(connection, self._mark, rows_max=rows_max + 1)
        for row in rows:
            noted.take(row["kind"], row["household_id"], row["device_id"])
        span = {"from_at": as_datetime(self._read_ms), "now": as_datetime(now_ms)}
        ended = connection.execute(_SQL["load_ended_doors"], span).fetchall()
        noted.households |= {row["household_id"] for row in ended}
        noted.unsure |= len(rows) > rows_max or (self._policy_ms is not None and now_ms >= self._policy_ms)
        return noted

    def _read_noted(self, connection: Connection, book: Book, noted: _Noted, now_ms: int) -> BookChanges:
        households = set(noted.households)
        if noted.devices:
            households |= _homes_of(connection, noted.devices)
        if not households and not noted.devices and not noted.bearers and not noted.of_nobody:
            return BookChanges(RegistryChanges(), {}, {})
        share = Share.of_group(connection, self._group_no, self._groups, now_ms=now_ms)
        registry, ids = book.registry, sorted(households)
        before = [registry.households[key] for key in ids if key in registry.households]
        rows = load_doors(connection, share, ids)
        near = (
            noted.devices
            | {row[1] for row in rows}
            | {door.device_id for home in before for door in home.doors}
        )
        shared: dict[Any, Any] = {}
        found = load_devices(connection, share, sorted(near), shared=shared)
        doors = bind(rows, {item.device.device_id: item.device for item in found})
        homes, numbers = load_households(connection, share, doors, ids, shared=shared)
        around = (
            homes.get(key) if key in households else registry.households.get(key)
            for key in _homes_of(connection, near)
        )
        wired = wiring(found, required_devices((home for home in around if home is not None), now_ms))
        devices: dict[str, Device] = {item.device.device_id: item.device for item in found}
        devices |= {item.device_id: item for item in wired}
        if share.sites is not None:
            # Homes that came to the group's sites, or left them, are known with their credentials, or no longer.
            noted.bearers |= {key for key in households if (key in homes) != (key in registry.households)}
        credentials = self._read_credentials(connection, book, noted, share, homes)
        return BookChanges(
            RegistryChanges(
                _differing(registry.devices, devices, near),
                _differing(registry.households, homes, households),
                credentials,
                self._load_passed(connection, book, credentials, now_ms),
            ),
            _differing(book.device_no, {item.device.device_id: item.no for item in found}, near),
            _differing(book.household_no, numbers, households),
            share.sites,
        )

    def _read_credentials(
        self,
        connection: Connection,
        book: Book,
        noted: _Noted,
        share: Share,
        homes: Mapping[str, Household],
    ) -> dict[str, Credential | None]:
        if not noted.bearers and not noted.of_nobody:
            return {}
        before = {
            token: credential
            for token, credential in book.registry.credentials.items()
            if credential.household_id in noted.bearers
            or (noted.of_nobody and credential.household_id is None)
        }
        known = {key: homes.get(key) or book.registry.households.get(key) for key in noted.bearers}
        owners = {key: home for key, home in known.items() if home is not None}
        after = load_credentials(connection, owners, share, sorted(noted.bearers), of_nobody=noted.of_nobody)
        changed = differences(before, after)
        # Another home's now, or nobody's: that is another note's to say.
        return {token: now for token, now in changed.items() if book.registry.credentials.get(token) != now}

    def _load_passed(
        self, connection: Connection, book: Book, changed: Mapping[str, Credential | None], now_ms: int
    ) -> frozenset[str]:
        tokens = bearers(book.registry.credentials, changed)
        if not tokens:
            return frozenset()
        values = {"tokens": tokens, "since": as_datetime(now_ms - PAST_MAX_MS)}
        return frozenset(row["id"] for row in connection.execute(_SQL["load_passed"], values).fetchall())


def changes_mark(connection: Connection) -> str:
    """Return the first transaction of which this snapshot may not see everything, for ``load_changes`` later."""
    row = connection.execute(_SQL["mark_changes"]).fetchone()
    assert row is not None
    mark: str = row["mark"]
    return mark


def load_changes(connection: Connection, mark: str, *, rows_max: int) -> list[dict[str, Any]]:
    """Return what was noted by transactions that a snapshot's mark may not have seen: kind, household_id, device_id."""
    return connection.execute(_SQL["load_changes"], {"mark": mark, "rows_max": rows_max}).fetchall()


def _homes_of(connection: Connection, devices: Iterable[str]) -> set[str]:
    rows = connection.execute(_SQL["load_households_of_doors"], {"devices": sorted(devices)}).fetchall()
    return {row["household_id"] for row in rows}


def _differing(before: Mapping[str, Any], after: Mapping[str, Any], keys: Set[str]) -> dict[str, Any]:
    """Return what some are now, of those that are otherwise than before; None for what is gone."""
    return {key: after.get(key) for key in keys if before.get(key) != after.get(key)}
