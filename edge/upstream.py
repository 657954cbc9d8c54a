"""From the spool to the central broker: waiting messages and PUBACKs enter, publications leave.

A message is deleted only after the central broker's PUBACK, in one commit per turn; what was not acknowledged on one
connection is sent again on the next, and is recognised by its (boot, seq).
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from edge import metrics
from edge.faults import pass_point
from edge.link import Link, Published
from edge.sending import IN_FLIGHT_MAX, Lane, SendOrder, join_messages
from edge.spool import Message, Spool
from kaimen.logs import get_logger

#: A node that takes publications and answers none is cut off from its cluster: another one is tried.
STALLED_AFTER_S = 30.0
#: A publication that a broker took and never answered for comes again on another connection alone.
SWALLOWED_AFTER_S = 60.0


class _Flight(NamedTuple):
    """What one publication holds of the spool, and when it was handed over (monotonic seconds)."""

    ids: tuple[int, ...]
    sent_s: float


class Upstream:
    """Publishes what waits, a bounded number in flight; ``epoch`` is the central connection's, 0 while there is none."""

    def __init__(self, link: Link, spool: Spool, *, per_s: float) -> None:
        self._link = link
        self._spool = spool
        self._log: Any = get_logger()
        self.epoch = 0
        self._order = SendOrder(spool, per_s=per_s)
        #: By message id, the one sent first at the front.
        self._in_flight: dict[int, _Flight] = {}
        self._backlog_flights: set[int] = set()
        self._delivered: list[int] = []
        self._answered_at = 0.0

    def obey(self, per_s: float | None, *, hold_s: float) -> None:
        """Send what waits at the server's pace for so long; None: at our own."""
        self._order.obey(per_s, until_s=time.monotonic() + hold_s)

    def begin(self, epoch: int) -> None:
        """Start anew on a connection, or with 0 on none: everything that waits is sent on the next."""
        self.epoch = epoch
        self._in_flight.clear()
        self._backlog_flights.clear()
        self._order.begin(time.monotonic())

    def pump(self) -> None:
        """Publish what waits in its order (``edge/sending.py``), a bounded number in flight at a time."""
        while self.epoch and len(self._in_flight) < IN_FLIGHT_MAX:
            chosen = self._order.next(time.monotonic(), backlog_in_flight=len(self._backlog_flights))
            if chosen is None:
                return
            lane, group = chosen
            if not self._send(lane, group):
                return
            self._order.sent(lane, group)

    def leave_silent_node(self) -> None:
        """Connect anew, to the next node if there is one, where what was sent has long not been answered for."""
        if not self._in_flight:
            return
        now_s = time.monotonic()
        swallowed = now_s - next(iter(self._in_flight.values())).sent_s >= SWALLOWED_AFTER_S
        stalled = self._link.node_count > 1 and now_s - self._answered_at >= STALLED_AFTER_S
        if swallowed or stalled:
            self._log.warning("the broker does not answer: connecting anew", count=len(self._in_flight))
            self.begin(0)
            self._link.reconnect()

    def published(self, item: Published) -> None:
        """Take a PUBACK of the central broker; one of an earlier connection says nothing."""
        if item.epoch != self.epoch:
            metrics.STALE_ACKS.inc()
            return
        flight = self._in_flight.pop(item.message_id, None)
        self._backlog_flights.discard(item.message_id)
        if flight is None:
            return
        self._answered_at = time.monotonic()
        self._delivered.extend(flight.ids)
        metrics.PUBLISHED.inc()

    def settle(self) -> None:
        """Delete, in one commit per turn, what the central broker has acknowledged."""
        if self._delivered:
            with self._spool.transaction():
                self._spool.delete(self._delivered)
                pass_point("edge_deleting")
            pass_point("edge_deleted")
            self._delivered.clear()

    def _send(self, lane: Lane, group: list[Message]) -> bool:
        topic, payload = join_messages(group)
        message_id = self._link.publish(self.epoch, topic, payload, qos=1, retain=group[0].retain)
        if message_id is None:
            return False
        now_s = time.monotonic()
        if not self._in_flight:
            self._answered_at = now_s
        self._in_flight[message_id] = _Flight(tuple(message.id for message in group), now_s)
        if lane is Lane.BACKLOG:
            self._backlog_flights.add(message_id)
            metrics.BACKLOG_SENT.inc(len(group))
        pass_point("edge_published")
        return True
