"""Workers and leases as the database has them enter; which groups this worker may take, and which it gives back, leave.

Every worker notes that it is there. Each may hold its share of the groups, no more: when one comes, those that hold
too many give one back after another, cleanly, between two turns; when one goes, its share is open to the others. The
share is advice, the lease is the law: two workers that count differently for a moment never both write. A group that
nobody has taken for two leases is taken by whoever sees it, whatever the shares say.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from ingest import metrics
from ingest.groups import leases
from kaimen.clock import Clock, SystemClock, as_datetime, as_ms
from kaimen.database import Connection, queries
from kaimen.logs import get_logger

_SQL = queries("ingest")
#: A group that is free for so many leases is anybody's.
ORPHANED_LEASES = 2
_wall = SystemClock()
log = get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """What one look at the database said."""

    may_take: frozenset[int] = frozenset()
    give_back: frozenset[int] = frozenset()


def share_of(worker: str, held: Mapping[str, int], groups: int) -> int:
    """Return how many groups a worker may hold.

    Parameters
    ----------
    held
        How many groups each worker that is there holds, this one included.
    groups
        How many there are. The shares add up to it; where it does not divide, who holds most holds one more, so that
        nothing moves that need not.
    """
    ranked = sorted(held, key=lambda name: (-held[name], name))
    each, left = divmod(groups, len(ranked))
    return each + (ranked.index(worker) < left)


def plan_for(
    worker: str, workers: Sequence[str], holders: Mapping[int, str | None], orphaned: frozenset[int]
) -> Plan:
    """Say what a worker may take and should give back, one group at a time.

    Parameters
    ----------
    holders
        For each group the worker that holds a lease in force, None where it is free.
    """
    there = {worker, *workers, *(holder for holder in holders.values() if holder is not None)}
    held = {name: sum(holder == name for holder in holders.values()) for name in there}
    share = share_of(worker, held, len(holders))
    free = frozenset(group_no for group_no, holder in holders.items() if holder is None)
    if held[worker] > share:
        # The last ones go: who holds them all keeps the first.
        return Plan(give_back=frozenset([max(no for no, holder in holders.items() if holder == worker)]))
    room = share - held[worker]
    return Plan(may_take=frozenset(sorted(free)[:room]) | (free & orphaned))


class Sharing:
    """The shares as one worker sees them; its groups' loops ask, one of them looks when a look is due."""

    def __init__(self, worker: str, *, groups: int, lease_s: int, clock: Clock) -> None:
        self._worker, self._groups, self._lease_s, self._clock = worker, groups, lease_s, clock
        self._lock = threading.Lock()
        self._plan = Plan()
        self._looked_at: float | None = None
        self._free_since: dict[int, float] = {}
        self._workers: tuple[str, ...] = ()
        self._asking = threading.Lock()
        self._connection: Connection | None = None
        self._unheard = False

    @contextlib.contextmanager
    def asking(self, open_connection: Callable[[], Connection]) -> Iterator[Connection]:
        """Lend the one connection on which all groups that this worker does not hold are waited for, one after another.

        A connection each would be groups times workers of them, and a server has a hundred.
        """
        with self._asking:
            if self._connection is None:
                self._connection = open_connection()
            try:
                yield self._connection
            except psycopg.Error:
                self._close()
                raise

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()

    def may_take(self, group_no: int) -> bool:
        return group_no in self._plan.may_take

    def must_give_back(self, group_no: int) -> bool:
        return group_no in self._plan.give_back

    def look(self, connection: Connection) -> None:
        """Look again if the last look is old; at most one of the loops does, the others go on."""
        # Before the first look there is nothing to go on with.
        if not self._lock.acquire(blocking=self._looked_at is None):
            return
        try:
            now = time.monotonic()
            if self._looked_at is None or now - self._looked_at >= min(1.0, self._lease_s / 3):
                self._look(connection, now)
                self._looked_at = time.monotonic()
        finally:
            self._lock.release()

    def _look(self, connection: Connection, now: float) -> None:
        wall_ms = _wall.now_ms()
        since = {"since": as_datetime(wall_ms - self._lease_s * 1000)}
        with connection.transaction():
            connection.execute(_SQL["note_worker"], {"worker": self._worker, "at": as_datetime(wall_ms)})
            found = [row["worker"] for row in connection.execute(_SQL["load_workers"], since)]
            rows = connection.execute(_SQL["load_leases"], {"groups": self._groups}).fetchall()
            # A predecessor of this name on this machine whose process is gone is no longer there.
            gone = [
                name for name in found if name != self._worker and leases.is_dead_here(name, self._worker)
            ]
            connection.execute(
                _SQL["forget_workers"],
                {"workers": gone, "before": as_datetime(wall_ms - 100 * self._lease_s * 1000)},
            )
        workers = tuple(name for name in found if name not in gone)
        holders = {row["group_no"]: self._holder_of(row, wall_ms) for row in rows}
        self._free_since = {
            no: self._free_since.get(no, now) for no, holder in holders.items() if holder is None
        }
        patience_s = ORPHANED_LEASES * self._lease_s
        orphaned = frozenset(no for no, since_s in self._free_since.items() if now - since_s >= patience_s)
        self._plan = plan_for(self._worker, workers, holders, orphaned)
        self._tell(workers, rows)

    def _holder_of(self, row: Mapping[str, Any], wall_ms: int) -> str | None:
        holder: str | None = row["worker"]
        in_force = row["expires_at"] is not None and as_ms(row["expires_at"]) > wall_ms
        if not in_force or holder is None:
            return None
        dead = holder != self._worker and leases.is_dead_here(holder, self._worker)
        return None if dead else holder

    def _tell(self, workers: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> None:
        metrics.WORKERS.set(len(workers))
        now_ms = self._clock.now_ms()
        for row in rows:
            behind_ms = 0 if row["pulse_at"] is None else max(0, now_ms - as_ms(row["pulse_at"]))
            metrics.GROUP_BEHIND_SECONDS.labels(str(row["group_no"])).set(behind_ms / 1000)
        if workers != self._workers:
            log.info("workers that share the groups", count=len(workers))
            self._workers = workers

    def leave(self, open_connection: Callable[[], Connection]) -> None:
        """Say goodbye at a clean stop, so that the others need not wait to take what was ours; each group's loop says it."""
        if self._unheard:
            return
        try:
            with self.asking(open_connection) as connection:
                connection.execute(
                    _SQL["forget_workers"], {"workers": [self._worker], "before": as_datetime(0)}
                )
        except psycopg.Error as error:
            # The other loops need not wait for a database that is away, one after another.
            self._unheard = True
            log.warning("could not say goodbye", error=type(error).__name__)

    def close(self) -> None:
        """Close the connection that was lent."""
        with self._asking:
            self._close()
