"""Wrong passwords and codes: failures of a name at a place enter, how long to wait before the next attempt leaves.

Nobody is locked out: the wait grows, slowly, for one name at one place of the network, so that whoever fails makes
nobody wait who sits elsewhere. A browser that has signed in before is a place of its own. What is tried while waiting
neither counts nor prolongs.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from kaimen.database import Connection, queries

_SQL = queries("console", "identity.sql")

FAILURES_REMEMBERED = timedelta(hours=24)
FAILURES_FREE = 5
WAIT_FIRST = timedelta(seconds=15)
WAIT_MAX = timedelta(minutes=15)
#: Many names tried from one place: from then on one attempt in a few seconds.
PLACE_FAILURES_FREE = 60
PLACE_WINDOW = timedelta(hours=1)
PLACE_WAIT = timedelta(seconds=5)
_LOCK = 7_241_017


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that is counted as failed until it is known to be right."""

    id: int
    name: str
    place: str


def wait_after(failures: int) -> timedelta:
    """How long after the last of so many failures the next attempt is taken."""
    beyond = failures - FAILURES_FREE
    return timedelta(0) if beyond < 0 else min(WAIT_MAX, WAIT_FIRST * 2 ** min(beyond, 10))


def address_group(address: str) -> str:
    """Return what counts as one address: IPv4 whole, IPv6 by its /64, anything else as one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network(f"{parsed}/64", strict=False).network_address) + "/64"


def begin(
    connection: Connection, *, name: str, place: str, now: datetime, shared: bool
) -> Attempt | timedelta:
    """Count an attempt before it is looked at, or return how long to wait; commit before hashing anything.

    Counted first, so that a hundred at the same instant are a hundred; ``shared``: others may sit at this place too.
    """
    values = {
        "lock": _LOCK, "name": name, "place": place, "now": now, "since": now - FAILURES_REMEMBERED,
        "place_since": now - PLACE_WINDOW,
    }  # fmt: skip
    connection.execute(_SQL["attempts_lock"], values)
    row = connection.execute(_SQL["attempts"], values).fetchone()
    assert row is not None
    left = [wait_after(row["count"]) - (now - row["last_at"])] if row["last_at"] else []
    if shared:
        around = connection.execute(_SQL["attempts_of_place"], values).fetchone()
        if around is not None and around["count"] >= PLACE_FAILURES_FREE:
            left.append(PLACE_WAIT - (now - around["last_at"]))
    wait = max(left, default=timedelta(0))
    if wait > timedelta(0):
        return wait
    made = connection.execute(_SQL["attempt_begin"], values).fetchone()
    assert made is not None
    return Attempt(made["id"], name, place)


def forget(connection: Connection, attempt: Attempt) -> None:
    """It was never looked at: it does not count."""
    connection.execute(_SQL["attempt_forget"], {"id": attempt.id})


def succeed(connection: Connection, attempt: Attempt) -> None:
    """It was right: what failed before it at this place is forgotten."""
    connection.execute(_SQL["attempts_forget"], {"name": attempt.name, "place": attempt.place})
