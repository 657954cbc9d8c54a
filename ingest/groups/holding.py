"""Settings and the other workers enter; the lease of one group, and the connection it is held through, leave."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import psycopg
from psycopg.pq import TransactionStatus

from ingest import metrics
from ingest.groups import leases
from ingest.groups.leases import Lease
from ingest.groups.sharing import Sharing
from kaimen.database import Connection
from kaimen.logs import get_logger
from kaimen.settings import IngestSettings

#: For so long a turn that is being written waits for a table that it must read; then it is taken anew.
LOCKED_MS = "2000"
#: While a rebuild lasts the lease is renewed so many times before it would end.
RENEWED_PER_LEASE = 6

log = get_logger()


class Holding:
    """Holds a group, or waits for it; ``say`` takes what to tell ``/healthz`` and whether that is good."""

    def __init__(
        self,
        settings: IngestSettings,
        group_no: int,
        *,
        open_connection: Callable[[], Connection],
        sharing: Sharing | None,
        say: Callable[[str, bool], None],
        registry_changed: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._group_no = group_no
        self._open_connection = open_connection
        self._sharing = sharing
        self._say = say
        self._registry_changed = registry_changed
        self._worker = leases.name_worker(settings.ingest_worker)
        self._connection: Connection | None = None
        self._beside: Connection | None = None
        self._renewed_at = 0.0

    # -- the connection -------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def connected(self) -> Connection:
        """Return the connection, made anew where there is none; it hears of changes of the registry."""
        if self._connection is None:
            connection = self._open_connection()
            connection.add_notify_handler(lambda _notify: self._registry_changed())
            connection.execute("LISTEN kaimen_registry")
            self._connection = connection
            self._registry_changed()
        return self._connection

    def reading(self) -> Connection:
        """Return a connection that sees what is committed: ours, or one beside it while a turn is being written."""
        ours = self.connected()
        if ours.info.transaction_status is TransactionStatus.IDLE:
            return ours
        if self._beside is None:
            self._beside = self._open_connection()
            # Whoever waits for our turn to end, to change a table, must not be waited for by it.
            self._beside.execute("SELECT set_config('lock_timeout', %s, false)", (LOCKED_MS,))
        return self._beside

    def close(self) -> None:
        """Close the connection, and the one beside it."""
        self.close_beside()
        connection, self._connection = self._connection, None
        _close(connection)

    def close_beside(self) -> None:
        """Close the connection that was opened while a turn was being written, if there is one."""
        connection, self._beside = self._beside, None
        _close(connection)

    # -- the lease ------------------------------------------------------------------------------------------

    def take_lease(self) -> Lease | None:
        """Take the group's lease if it is free and our share; None where it is not, or the database is away."""
        try:
            with self._asking() as connection:
                leases.provision(connection, self._settings.ingest_groups)
                lease = None
                if self._is_our_share(connection):
                    lease = leases.acquire(
                        connection,
                        group_no=self._group_no,
                        groups=self._settings.ingest_groups,
                        worker=self._worker,
                        duration_s=self._settings.ingest_lease_s,
                    )
        except psycopg.OperationalError as error:
            self._say(f"the database is away: {type(error).__name__}", False)
            self.close()
            return None
        if lease is None:
            self._say("standing by: another worker serves this group", True)
        return lease

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Connection]:
        if self._sharing is None:
            yield self.connected()
            return
        with self._sharing.asking(self._open_connection) as connection:
            yield connection

    def _is_our_share(self, connection: Connection) -> bool:
        if self._sharing is None:
            return True
        self._sharing.look(connection)
        return self._sharing.may_take(self._group_no)

    def must_give_back(self) -> bool:
        """Say, between two turns, whether another worker is there that this group is rather for."""
        if self._sharing is None:
            return False
        self._sharing.look(self.connected())
        if not self._sharing.must_give_back(self._group_no):
            return False
        log.info("giving the group to another worker", group=self._group_no)
        metrics.GROUPS_GIVEN_BACK.inc()
        return True

    def renew_beside(self, lease: Lease) -> None:
        """Renew the lease, now and then, on a connection of its own: a rebuild reads one snapshot on ours."""
        now = time.monotonic()
        if now - self._renewed_at < self._settings.ingest_lease_s / RENEWED_PER_LEASE:
            return
        self._renewed_at = now
        with self._open_connection() as connection:
            leases.renew(connection, lease)

    def rest(self) -> None:
        """Close our connection where the group is waited for on the worker's one."""
        if self._sharing is not None:
            self.close()

    def leave(self) -> None:
        """Tell the other workers that we go, and close."""
        self.close()
        if self._sharing is not None:
            self._sharing.leave(self._open_connection)


def _close(connection: Connection | None) -> None:
    if connection is not None:
        with contextlib.suppress(psycopg.Error):
            connection.close()
