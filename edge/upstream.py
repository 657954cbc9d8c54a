"""From the spool to the central broker: waiting messages and PUBACKs enter, publications leave.

A message is deleted only after the central broker's PUBACK, in one commit per turn; what was not acknowledged on one
connection is sent again on the next, and is recognised by its (boot, seq).
"""

from __future__ import annotations

import time
from typing import Any

from edge import metrics
from edge.faults import pass_point
from edge.link import Link, Published
from edge.sending import IN_FLIGHT_MAX, Lane, SendOrder, join_messages
from edge.spool import Message, Spool
from kaimen.logs import get_logger

#: A node that takes publications and answers none is cut off from its cluster: another one is tried.
STALLED_AFTER_S = 30.0


class Upstream:
    """Publishes what waits, a bounded number in flight; ``epoch`` is the central connection's, 0 while there is none."""

    def __init__(self, link: Link, spool: Spool, *, per_s: float) -> None:
        self._link = link
        self._spool = spool
        self._log: Any = get_logger()
        self.epoch = 0
        self._order = SendOrder(spool, per_s=per_s)
        self._in_flight: dict[int, tuple[int, ...]] = {}
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

    def leave_stalled_node(self) -> None:
        """Go to the next node of a cluster when the present one has long answered for nothing."""
        if self._link.node_count == 1 or not self._in_flight:
            return
        if time.monotonic() - self._answered_at >= STALLED_AFTER_S:
            self._log.warning(
                "the broker node answers for nothing: trying another", count=len(self._in_flight)
            )
            self.begin(0)
            self._link.reconnect()

    def published(self, item: Published) -> None:
        """Take a PUBACK of the central broker; one of an earlier connection says nothing."""
        if item.epoch != self.epoch:
            metrics.STALE_ACKS.inc()
            return
        ids = self._in_flight.pop(item.message_id, None)
        self._backlog_flights.discard(item.message_id)
        if ids is None:
            return
        self._answered_at = time.monotonic()
        self._delivered.extend(ids)
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
        if not self._in_flight:
            self._answered_at = time.monotonic()
        self._in_flight[message_id] = tuple(message.id for message in group)
        if lane is Lane.BACKLOG:
            self._backlog_flights.add(message_id)
            metrics.BACKLOG_SENT.inc(len(group))
        pass_point("edge_published")
        return True
