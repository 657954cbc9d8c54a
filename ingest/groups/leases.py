"""A shard group and wall time enter; the right to write for it, as a token, leaves.

The lease decides who connects with the group's client id; the token decides whose transaction counts. Every
writing transaction renews the row with its token first, so a worker that was away learns it before it writes.
Leases are transport: wall time of the machine, never community time.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime

from ingest.faults import pass_point
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import Connection, queries

_SQL = queries("ingest")
_wall = SystemClock()


#: A writing transaction may take so many times the lease; a healthy one takes a hundredth of it.
TRANSACTION_LEASES = 4


class LeaseLostError(RuntimeError):
    """Another worker writes for this group now: stop writing, disconnect, ask again."""


class GroupsChangedError(RuntimeError):
    """The database was provisioned for another number of groups; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for ``group_no`` of ``groups`` until ``token`` is no longer the row's."""

    group_no: int
    groups: int
    token: int
    duration_s: int
    #: Whether whoever held it before went without giving it back: what it had in hand comes again.
    abandoned: bool = False

    @property
    def transaction_ms(self) -> int:
        """How long a writing transaction may take before the server ends it."""
        return TRANSACTION_LEASES * self.duration_s * 1000

    def expires_at(self) -> datetime:
        """Return the wall instant to which a renewal now extends the lease."""
        return as_datetime(_wall.now_ms() + self.duration_s * 1000)


def name_worker(worker: str) -> str:
    """Return the worker's name with machine and process, so that a dead predecessor can be told from a live one."""
    return f"{worker}@{socket.gethostname()}:{os.getpid()}"


def provision(connection: Connection, groups: int) -> None:
    """Make the lease rows of all groups.

    Raises
    ------
    GroupsChangedError
        If the rows are of another number of groups: messages may wait in those sessions.
    """
    with connection.transaction():
        others = connection.execute(_SQL["load_other_groupings"], {"groups": groups}).fetchall()
        if others:
            raise GroupsChangedError(
                f"the database was set up for {others[0]['groups']} groups, KAIMEN_INGEST_GROUPS is {groups}: run"
                " ingest with the old number until the broker's queues are empty, then delete ingest_leases"
            )
        connection.execute(_SQL["provision_leases"], {"groups": groups})
        pass_point("provisioning")


def acquire(
    connection: Connection, *, group_no: int, groups: int, worker: str, duration_s: int
) -> Lease | None:
    """Take the lease if nobody holds it, its time is over, or its holder was a process of this machine that died."""
    wall_ms = _wall.now_ms()
    with connection.transaction():
        row = connection.execute(_SQL["lock_lease"], {"group_no": group_no, "groups": groups}).fetchone()
        if row is None:
            return None
        held = row["expires_at"] is not None and row["expires_at"] > as_datetime(wall_ms)
        if held and not is_dead_here(row["worker"], worker):
            return None
        taken = connection.execute(
            _SQL["take_lease"],
            {
                "group_no": group_no,
                "worker": worker,
                "expires_at": as_datetime(wall_ms + duration_s * 1000),
            },
        ).fetchone()
        pass_point("lease_taking")
    assert taken is not None
    return Lease(group_no, groups, taken["token"], duration_s, abandoned=row["worker"] is not None)


def renew(connection: Connection, lease: Lease) -> None:
    """Extend the lease; raises ``LeaseLostError`` if the token is no longer ours."""
    with connection.transaction():
        row = connection.execute(
            _SQL["renew_lease"],
            {"group_no": lease.group_no, "token": lease.token, "expires_at": lease.expires_at()},
        ).fetchone()
    if row is None:
        raise LeaseLostError(f"group {lease.group_no}: token {lease.token} is no longer the lease's")


def release(connection: Connection, lease: Lease) -> None:
    """Give the lease back at a clean stop, so that a successor need not wait for its end."""
    with connection.transaction():
        connection.execute(_SQL["release_lease"], {"group_no": lease.group_no, "token": lease.token})


def is_dead_here(holder: str | None, asking: str) -> bool:
    """Say whether the holder was the same worker on this machine and its process is gone."""
    if holder is None:
        return True
    holder_place, _, holder_pid = holder.rpartition(":")
    asking_place, _, asking_pid = asking.rpartition(":")
    if holder_place != asking_place or not holder_pid.isdecimal():
        return False
    if holder_pid == asking_pid:
        return True  # a container that was restarted gets the same process number
    try:
        os.kill(int(holder_pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
