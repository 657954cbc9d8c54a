"""How long arrays waited and how many events were taken enter; how fast edges may send what they had kept leaves.

After an outage of ours every edge comes back with a backlog at once. Each sends it at a pace of its own, and a hundred
together may be more than we store: arrays pile up in the broker, turns grow, and what happens now stands behind them.
Then edges are told a slower pace (``cfg``, ``docs/wire.md``), together what we store and no more, until nothing waits. It
holds for a while only: an edge that hears nothing more goes by its own pace again. ``BacklogPace`` is pure.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from ingest import metrics
from ingest.causes import Wiring
from kaimen import wire
from kaimen.logs import get_logger

#: An array that waited so long says that edges are too fast; so long, that they may be faster.
PRESSED_S, EASY_S = 1.0, 0.3
DECIDE_EVERY_S = 3.0
#: Of what we stored in a second so much is shared out: the rest is for what happens now and to work off what waits.
SHARED_OUT = 0.7
SLOWER, FASTER = 0.5, 1.5
PER_S_MIN = 0.5
#: Edges that may be so fast are left to their own pace.
PER_S_MAX = 200.0
#: What was told holds so long, and is said again when half of it is over.
HOLD_S = 60
#: Edges told in one turn, and in a second at most.
TOLD_PER_TURN, TOLD_PER_S = 50, 100

log = get_logger()


class BacklogPace:
    """The pace of each edge of a group in events a second; None: its own."""

    def __init__(self) -> None:
        self.per_s: float | None = None
        self._decided_s: float | None = None
        self._events = 0
        self._waited_s = self._waited_before_s = 0.0

    def note(self, events: int, waited_s: float) -> None:
        """Learn from a turn: events it took from arrays, and how long the oldest array that is left has waited."""
        self._events += events
        self._waited_s = max(self._waited_s, waited_s)

    def decide(self, now_s: float, edges: int) -> bool:
        """Say whether the pace changed; ``now_s`` is the transport's time."""
        if self._decided_s is None:
            self._decided_s = now_s
        span_s = now_s - self._decided_s
        if span_s < max(DECIDE_EVERY_S, edges / TOLD_PER_S):
            return False
        before = self.per_s
        if self._waited_s > PRESSED_S:
            # What piled up needs its time: only where the wait does not get shorter are they still too fast.
            if self.per_s is None or self._waited_s >= self._waited_before_s:
                self.per_s = self._slower(self._events / span_s / max(1, edges))
        elif self._waited_s < EASY_S and self.per_s is not None:
            faster = self.per_s * FASTER
            self.per_s = None if faster > PER_S_MAX else faster
        self._waited_before_s = self._waited_s
        self._decided_s, self._events, self._waited_s = now_s, 0, 0.0
        return self.per_s != before

    def _slower(self, stored_per_s: float) -> float:
        share = stored_per_s * SHARED_OUT
        return max(PER_S_MIN, share if self.per_s is None else min(share, self.per_s * SLOWER))


class Source(Protocol):
    """The session through which edges are told."""

    @property
    def waited_ms(self) -> int: ...
    def tell(self, topic: str, payload: bytes) -> bool: ...


class EdgePacing:
    """Tells the edges of one group how fast they may be."""

    def __init__(self, source: Source, group: str) -> None:
        self._source = source
        self._group = group
        self._pace = BacklogPace()
        self._to_tell: deque[str] = deque()
        self._payload = b""
        self._version = 0
        self._told_s = 0.0
        self._wiring: tuple[Wiring, ...] = ()
        self._topics: list[str] = []

    def turn(self, wiring: tuple[Wiring, ...], *, now_s: float, now_ms: int, events: int) -> None:
        """Note a turn that took ``events`` from arrays, and tell the edges what came of it."""
        if wiring is not self._wiring:
            self._wiring = wiring
            self._topics = [
                wire.format_topic(item.site_id, item.device_id, "cfg") for item in wiring if item.is_gateway
            ]
        self._pace.note(events, self._source.waited_ms / 1000)
        changed = self._pace.decide(now_s, len(self._topics))
        again = self._pace.per_s is not None and now_s - self._told_s > HOLD_S / 2
        if (changed or again) and self._topics:
            self._announce(now_s, now_ms)
        for _ in range(min(TOLD_PER_TURN, len(self._to_tell))):
            if not self._source.tell(self._to_tell[0], self._payload):
                return
            self._to_tell.popleft()

    def _announce(self, now_s: float, now_ms: int) -> None:
        per_s = self._pace.per_s
        self._version = max(self._version + 1, now_ms)
        self._payload = wire.format_config(
            wire.Config(v=1, version=self._version, backlog_per_s=per_s, hold_s=HOLD_S)
        )
        self._to_tell = deque(self._topics)
        self._told_s = now_s
        metrics.EDGES_PER_SECOND.labels(self._group).set(-1 if per_s is None else per_s)
        log.info("edges are told a pace", group=self._group, count=len(self._topics), size=per_s)
