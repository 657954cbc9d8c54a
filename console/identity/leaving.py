"""A person leaves: who enters; no way in is left to her, and what she held or stood for leaves as a list.

One act in one transaction: sign-in, second factor, positions, sessions, tokens and calendar end, the addresses and the telephone on which she was
told end, her cases are given back and annunciated, swaps she was asked for and whatever of hers waits for a second person fall
away, she stands in for nobody any more, and the gaps her going leaves in the rosters are named. Leaving is never refused because of a gap: who must not come in any more must not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts import acts
from alerts.duty.readiness import Gap, without_known
from alerts.duty.store import load_gaps
from kaimen.database import Connection, queries

_SQL = queries("console", "duty.sql")
_IDENTITY = queries("console", "identity.sql")


@dataclass(frozen=True, slots=True)
class Left:
    """What was ended; ``given_back`` are numbers of cases, ``gaps`` those there are now and were not before."""

    user_id: int
    name: str
    display_name: str
    already: bool
    sessions: int
    tokens: int
    feeds: int
    addresses: int
    given_back: tuple[str, ...]
    rules: int
    gaps: Sequence[Gap]


class NotHereError(LookupError):
    """Nobody signs in by this name, or not in the community of whoever asks."""


def leave(
    connection: Connection, *, name: str, community_id: str | None, by: str, now: datetime, wall_now: datetime
) -> Left:
    """End everything by which a person could come in or be told.

    Raises
    ------
    NotHereError
    """
    row = connection.execute(_SQL["leaver"], {"name": name, "community_id": community_id}).fetchone()
    if row is None:
        raise NotHereError(name)
    of_her = {"user_id": row["id"], "now": now, "wall": wall_now, "by": by, "recipient": f"user:{row['id']}"}
    # Every community in which she holds a position: leaving it bare is named there too.
    places = [found["id"] for found in connection.execute(_SQL["leaver_places"], of_her).fetchall()]
    known = {place: load_gaps(connection, place, now=now) for place in places}
    changed = connection.execute(_SQL["leaver_disable"], of_her).rowcount
    counts = {
        what: connection.execute(_SQL[f"leaver_{what}"], of_her).rowcount
        for what in ("sessions", "tokens", "feeds", "addresses")
    }
    for what in ("codes", "phone", "swaps", "handovers", "deputies", "agreements", "tests"):
        connection.execute(_SQL[f"leaver_{what}"], of_her)
    for what in ("devices", "steps", "outer", "positions"):
        connection.execute(_IDENTITY[f"{what}_of_user_end"], of_her)
    connection.execute(_IDENTITY["requests_of_user_end"], {**of_her, "now": wall_now})
    connection.execute(_IDENTITY["factor_end"], of_her)
    connection.execute(_IDENTITY["recovery_end"], of_her)
    given_back = []
    for case in connection.execute(_SQL["leaver_cases"], of_her).fetchall():
        acts.release(connection, case_id=case["id"], user_id=row["id"], now=now)
        given_back.append(case["number"])
    rules = connection.execute(_SQL["leaver_rules"], of_her).fetchone()
    gaps = [
        gap for place in places for gap in without_known(load_gaps(connection, place, now=now), known[place])
    ]
    return Left(
        row["id"], name, row["display_name"], not changed, counts["sessions"], counts["tokens"],
        counts["feeds"], counts["addresses"], tuple(given_back), int(rules["count"]) if rules else 0, gaps,
    )  # fmt: skip
