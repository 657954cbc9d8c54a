"""Messages that are their own rows: a channel and a bound enter, delivered rows leave; nothing is sent anywhere.

The console's annunciation stands where it was written, so there is no sending between taking a row and recording it:
one statement does both. Killed before its commit nothing has happened, killed after it everything has.
"""

from __future__ import annotations

from datetime import datetime

from alerts.faults import pass_each
from kaimen import fence
from kaimen.database import Pool, queries, transaction

_SQL = queries("alerts.sending", "outbox.sql")
_ON_THE_WAY = ("courier_leased", "courier_before_send", "courier_sent", "courier_recording")


def deliver_in_place(
    pool: Pool, *, channel: str, lane_max: int, limit: int, now: datetime, wall: datetime
) -> int:
    """Deliver at most ``limit`` due messages of ``channel``, the life lane first; return how many there were.

    What was leased or tried before is left to the courier's usual way.
    """
    with transaction(pool) as connection:
        fence.enter(connection)
        args = {"channel": channel, "lane_max": lane_max, "limit": limit, "now": now}
        row = connection.execute(_SQL["deliver_in_place"], args).fetchone()
        count = 0 if row is None else int(row["count"])
        for place in _ON_THE_WAY:
            pass_each(place, channel, count)
        if count:
            # Last: every courier of a channel writes this row.
            connection.execute(_SQL["channel_ok"], {"channel": channel, "wall": wall})
    pass_each("courier_recorded", channel, count)
    return count
