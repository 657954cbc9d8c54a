"""What watching costs: a community and months enter, calls, visits, messages and staff minutes per watched elder leave.

Counts alone: no household, no person, no door. Minutes run from taking a task up to its result, at most four hours each;
what nobody recorded is not in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kaimen.database import Connection, queries


@dataclass(frozen=True, slots=True)
class EffortRow:
    """One month; ``watched`` are the elders watched now, the divisor of every month."""

    begins_at: datetime
    watched: int
    calls: int
    visits: int
    messages: int
    minutes: float

    def each(self, count: float) -> float | None:
        """Return ``count`` per watched elder; None where nobody is watched."""
        return count / self.watched if self.watched else None


def load_effort(
    connection: Connection, community_id: str, spans: Sequence[tuple[datetime, datetime]], *, now: datetime
) -> tuple[EffortRow, ...]:
    """Return the effort of each span, in their order."""
    watched = connection.execute(
        queries("console")["watched_count"], {"community_id": community_id}
    ).fetchone()
    rows = connection.execute(
        queries("console", "effort.sql")["effort"],
        {
            "community_id": community_id, "now": now, "from_at": min(begin for begin, _ in spans),
            "begins": [begin for begin, _ in spans], "ends": [end for _, end in spans],
        },
    ).fetchall()  # fmt: skip
    return tuple(
        EffortRow(
            row["begins_at"], watched["count"] if watched else 0, row["calls"], row["visits"], row["messages"],
            float(row["minutes"]),
        )
        for row in rows
    )  # fmt: skip
