"""What somebody says of a task that has ended meanwhile: her words enter, an entry of the case leaves.

Half an hour after a helper stood at a door the visit is asked of the next role, and while she runs the desk may have
closed the case. What she saw is told all the same: it moves no timer, but whoever has the case now reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from console.scope import Viewer
from kaimen.database import Connection, notify, queries
from kaimen.vocabulary import Outcome, Role

_SQL = queries("console", "visits.sql")
_SAID = ("contacted", "witness")


@dataclass(frozen=True, slots=True)
class EndedTask:
    """A task that is done, passed on or no longer needed."""

    id: int
    kind: str
    case_id: int
    household_id: str | None
    created_at: datetime


def find_ended(connection: Connection, viewer: Viewer, task_id: int) -> EndedTask | None:
    """Return a task that ended without this person's word, where it was once hers; the desk's are everybody's there."""
    row = connection.execute(
        _SQL["ended_task"],
        {
            "id": task_id, "user_id": viewer.user_id, "community_id": viewer.community_id,
            "at_desk": viewer.role is Role.PROPERTY_CLERK,
        },
    ).fetchone()  # fmt: skip
    return None if row is None else EndedTask(**row)


def is_answered_by(connection: Connection, task_id: int, user_id: int) -> bool:
    """Say whether this person has recorded what came of a task; she may come back to its page."""
    asked = {"id": task_id, "user_id": user_id}
    return connection.execute(_SQL["answered_task"], asked).fetchone() is not None


def keep_words(
    connection: Connection, ended: EndedTask, values: Mapping[str, str], *, user_id: int, at: datetime
) -> bool:
    """Write into the case what was found, once however often it is sent; return whether anything was said at all."""
    if values.get("outcome") not in set(Outcome):
        return False
    said = {key: values[key].strip() for key in _SAID if values.get(key, "").strip()}
    entry = {
        "case_id": ended.case_id, "user_id": user_id, "at": at, "note": values.get("note", "").strip() or None,
        "words": "said_late_met" if len(said) == len(_SAID) else "said_late",
        "args": Jsonb({"outcome": values["outcome"], **said}),
    }  # fmt: skip
    if connection.execute(_SQL["said_already"], entry).fetchone() is None:
        connection.execute(_SQL["insert_entry"], entry)
        notify(connection, "kaimen_cases", str(ended.case_id))
    return True
