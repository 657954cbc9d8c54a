"""In which order the spool is sent: queued messages and the transport's time enter, the next publication leaves.

What a source says now goes first. What waited during an outage follows beside it, the newest first: today's opening
decides whether somebody is called, last week's does not. The waiting part is paced (``per_s`` events after a first
``BURST_EVENTS``, or more slowly for as long as the server says so), so that a hundred sites coming back at once do not stand between the server and what happens now, and
it never takes the last places in flight. Births and last wills are kept in their order, for brokers retain the last one.
Nothing may be concluded from the order in which events arrive (``WIRE.md``), so nothing changes but when they do.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from enum import Enum

from edge.spool import Message, Spool
from kaimen.wire import BATCH_BYTES_MAX, EVENTS_MAX

IN_FLIGHT_MAX = 20
#: Places in flight that the backlog may take; the others are for what happens now.
BACKLOG_IN_FLIGHT_MAX = 12
#: After each connection so many waiting events are sent unpaced: a short break is over at once.
BURST_EVENTS = 200


class Lane(Enum):
    """Which part of the spool a publication is of."""

    STATES = "states"
    LIVE = "live"
    BACKLOG = "backlog"


class SendOrder:
    """Chooses the next publication; ``begin`` at every connection, for what was not acknowledged is sent again."""

    def __init__(self, spool: Spool, *, per_s: float) -> None:
        self._spool = spool
        self.per_s = per_s
        self._waiting: dict[Lane, collections.deque[list[Message]]] = {}
        self._states_up_to = self._live_up_to = 0
        self._backlog_below = 1
        self._credit = 0.0
        self._credited_s = 0.0
        #: The server's pace, and until when it holds.
        self._told: tuple[float, float] | None = None

    def obey(self, per_s: float | None, *, until_s: float) -> None:
        """Go by the server's pace until an instant of the transport's time, never faster than our own; None: by our own."""
        self._told = None if per_s is None else (min(per_s, self.per_s), until_s)

    def _pace(self, now_s: float) -> tuple[float, float]:
        """Return events a second, and how many may go at once."""
        if self._told is None or now_s >= self._told[1]:
            return self.per_s, float(BURST_EVENTS)
        # Who is told a pace finds a server that has enough to do: no burst.
        return self._told[0], max(1.0, self._told[0])

    def begin(self, now_s: float) -> None:
        """Start with everything that waits as the backlog; ``now_s`` is the transport's time."""
        newest = self._spool.newest_id()
        self._waiting = {lane: collections.deque() for lane in Lane}
        self._states_up_to, self._live_up_to, self._backlog_below = 0, newest, newest + 1
        self._credit, self._credited_s = float(BURST_EVENTS), now_s

    def next(self, now_s: float, *, backlog_in_flight: int) -> tuple[Lane, list[Message]] | None:
        """Return the publication that goes now, or None; it is offered again until ``sent``."""
        for lane in (Lane.STATES, Lane.LIVE):
            if group := self._first(lane):
                return lane, group
        if backlog_in_flight >= BACKLOG_IN_FLIGHT_MAX or not self._may_replay(now_s):
            return None
        group = self._first(Lane.BACKLOG)
        return (Lane.BACKLOG, group) if group else None

    def sent(self, lane: Lane, group: Sequence[Message]) -> None:
        """Go on behind a publication that was handed to the broker."""
        self._waiting[lane].popleft()
        if lane is Lane.BACKLOG:
            self._credit -= len(group)

    def _may_replay(self, now_s: float) -> bool:
        # A publication may overdraw; the next one waits until that is earned again.
        per_s, most = self._pace(now_s)
        self._credit = min(most, self._credit + (now_s - self._credited_s) * per_s)
        self._credited_s = now_s
        return self._credit > 0

    def _first(self, lane: Lane) -> list[Message] | None:
        queue = self._waiting.get(lane)
        if queue is None:
            return None  # there was no connection yet
        if not queue:
            queue.extend(self._read(lane))
        return queue[0] if queue else None

    def _read(self, lane: Lane) -> list[list[Message]]:
        if lane is Lane.STATES:
            window = self._spool.states_after(self._states_up_to)
            self._states_up_to = window[-1].id if window else self._states_up_to
            return [[message] for message in window]
        if lane is Lane.LIVE:
            window = self._spool.after(self._live_up_to, events_only=True)
            self._live_up_to = window[-1].id if window else self._live_up_to
            return group_messages(window)
        window = self._spool.before(self._backlog_below)
        self._backlog_below = window[0].id if window else self._backlog_below
        return group_messages(window)[::-1]


def group_messages(messages: Sequence[Message]) -> list[list[Message]]:
    """Cut a window of queued messages into publications: events of one topic and boot share an array.

    The order within a topic and boot is kept; groups stand in the order of their first message.
    """
    groups: list[list[Message]] = []
    open_groups: dict[tuple[str, str], tuple[list[Message], int]] = {}
    for message in messages:
        key = (message.topic, message.boot)
        group, size = open_groups.get(key, ([], 0))
        fits = (
            bool(group)
            and message.joinable
            and message.seq > group[-1].seq
            and len(group) < EVENTS_MAX
            and size + len(message.payload) + 1 <= BATCH_BYTES_MAX
        )
        if not fits:
            group, size = [], 2
            groups.append(group)
        group.append(message)
        if message.joinable:
            open_groups[key] = (group, size + len(message.payload) + 1)
        else:
            open_groups.pop(key, None)
    return groups


def join_messages(group: Sequence[Message]) -> tuple[str, bytes]:
    """Return topic and payload of one publication: a single event as it is, several as an array."""
    if len(group) == 1:
        return group[0].topic, group[0].payload
    topic = group[0].topic.removesuffix("/evt") + "/evb"
    return topic, b"[" + b",".join(message.payload for message in group) + b"]"
