"""Holding every message: an operator's word enters; messages that wait for a person, go or are dropped leave.

After a restore the outbox holds what was planned when the backup was taken: those calls were made long ago. While a hold
stands cases, tasks and the console go on as ever; what would leave the house waits, one by one, for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from kaimen.database import Connection, notify, queries

_SQL = queries("alerts.sending", "holding.sql")
_OUTBOX = queries("alerts.sending", "outbox.sql")
HELD_SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that stands; ``begun_at`` is wall time, ``backup_at`` when the backup was taken that was restored."""

    id: int
    reason: Literal["restored", "operator"]
    begun_at: datetime
    begun_by: str
    backup_at: datetime | None
    waiting: int


def load_hold(connection: Connection) -> Hold | None:
    """Return the hold that stands, if any."""
    row = connection.execute(_OUTBOX["standing_hold"]).fetchone()
    return None if row is None else Hold(**row)


def begin_hold(
    connection: Connection,
    *,
    reason: Literal["restored", "operator"],
    by: str,
    wall: datetime,
    backup_at: datetime | None = None,
) -> bool:
    """Let nothing leave the house any more; return false where a hold stood already."""
    args = {"reason": reason, "by": by, "wall": wall, "backup_at": backup_at}
    return connection.execute(_SQL["begin_hold"], args).fetchone() is not None


def load_held(
    connection: Connection, *, community_id: str | None = None, after: int = 0, limit: int = HELD_SHOWN_MAX
) -> list[dict[str, Any]]:
    """Return what waits for a person's word, in the order it was planned."""
    args = {"community_id": community_id, "after": after, "limit": limit}
    return connection.execute(_SQL["held_messages"], args).fetchall()


def let_go(connection: Connection, ids: Sequence[int], *, wall: datetime) -> int:
    """Let these messages leave although the hold stands; return how many were waiting."""
    rows = connection.execute(_SQL["let_go"], {"ids": list(ids), "wall": wall}).fetchall()
    notify(connection, "kaimen_outbox")
    notify(connection, "kaimen_calls")
    return len(rows)


def drop(connection: Connection, ids: Sequence[int]) -> int:
    """Send these messages to nobody; their cases go on, and tell people again at their next step."""
    return len(connection.execute(_SQL["drop_messages"], {"ids": list(ids)}).fetchall())


def end_hold(connection: Connection, *, by: str, wall: datetime) -> bool:
    """Let messages leave again, what still waits included; return false where no hold stood."""
    ended = connection.execute(_SQL["end_hold"], {"by": by, "wall": wall}).fetchone() is not None
    notify(connection, "kaimen_outbox")
    notify(connection, "kaimen_calls")
    return ended
