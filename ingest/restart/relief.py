"""A group's turns enter; where memory is short, what is let go of with each and how much the next may take leave.

What a door said lies in the database once its turn is committed; in memory it is only so that nobody has to ask for it.
So memory has a bound that holds however much is said: below it doors keep all they have, near it they let go of what
is stored, each as far as no judgement needs it, and at it the broker keeps what comes until there is room.
Nothing is forgotten: a judgement or a copy that reaches further back has the door's rows read again.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ingest import metrics
from ingest.detector.cold import Hot
from ingest.groups.memory_limit import MEGABYTE, MemoryLimit, Shortage
from kaimen.logs import get_logger

if TYPE_CHECKING:
    from ingest.groups.group_state import GroupState
    from ingest.store import Turn

#: A door with fewer events keeps them: it would gain nothing. In need, a few more doors are worth asking.
LADEN_FROM_EVENTS, LADEN_FROM_EVENTS_FULL = 128, 16
#: Doors looked at, and let go of, after one turn.
LOOKED_PER_TURN, LOOKED_PER_TURN_FULL, RELIEVED_PER_TURN = 4_000, 100_000, 400
#: Events let go of after a turn, for each that it brought, and beyond that: memory falls while events come.
LET_GO_PER_EVENT, LET_GO_PER_TURN = 2, 5_000
#: Events received so lately are kept as long as nothing is worse than tight: copies of them may come yet.
KEPT_MS = 10_000
#: How often what was let go of is given back to the system, which counts it as held until then.
GIVEN_BACK_EVERY_S = 5.0
#: A warning now and then: around a line memory may be short in every other turn.
WARNED_EVERY_S = 60.0
#: Batches where memory is short, and where all is used up by what has to be at hand: a few messages, the smallest arrays.
MESSAGES_SHORT, ARRAYS_BYTES_SHORT = 1_000, 1024 * 1024
MESSAGES_LEAST, ARRAYS_BYTES_LEAST = 100, 64 * 1024
_ALL = 1 << 62

log = get_logger()


class Relief:
    """Keeps one shard group's part of the process below the limit."""

    def __init__(self, limit: MemoryLimit, *, group: str) -> None:
        self._limit = limit
        self._group = group
        self._hots: list[Hot] = []
        self._let_go = 0
        self._asked = False
        self._given_back_at = 0.0
        self._warned_at = -WARNED_EVERY_S
        self._held_bytes = 0
        self.shortage = Shortage.NONE
        metrics.MEMORY_LIMIT_BYTES.set(limit.limit_bytes)

    def look(self) -> None:
        """See, before a turn, how much is held."""
        self._held_bytes = self._limit.held_bytes()
        self.shortage = self._limit.shortage_at(self._held_bytes)
        metrics.MEMORY_BYTES.set(self._held_bytes)
        metrics.MEMORY_SHORTAGE.labels(self._group).set(self.shortage)
        now = time.monotonic()
        if self.shortage >= Shortage.SHORT and now - self._warned_at >= WARNED_EVERY_S:
            self._warned_at = now
            log.warning(
                "memory is short: less is taken from the broker", group=self._group, found=self.words()
            )

    def words(self) -> str:
        """Return what to tell people, "" where memory is not short."""
        if self.shortage < Shortage.SHORT:
            return ""
        held, limit = self._held_bytes // MEGABYTE, self._limit.limit_bytes // MEGABYTE
        if self.is_too_small:
            return f"{held} MB of {limit} MB held and nothing to let go of: raise KAIMEN_INGEST_MEMORY_MB"
        return f"memory is short, {held} MB of {limit} MB held: less is taken from the broker"

    @property
    def is_too_small(self) -> bool:
        """Whether all may be used up by what has to be at hand."""
        return self.shortage is Shortage.FULL and self._asked and not self._let_go

    @property
    def is_pressing(self) -> bool:
        """Whether a turn has to be written for something to be let go of, also if nothing was said."""
        return self.shortage is Shortage.FULL and not self.is_too_small

    def bounds(self, messages_max: int, arrays_bytes_max: int) -> tuple[int, int]:
        """Return how many messages and bytes of arrays the next batch may have; none where there is no room for any."""
        if self.shortage < Shortage.SHORT:
            return messages_max, arrays_bytes_max
        metrics.BATCHES_HELD_BACK.labels(self._group).inc()
        if self.is_pressing:
            return 0, 0
        if self.shortage is Shortage.FULL:
            return min(messages_max, MESSAGES_LEAST), min(arrays_bytes_max, ARRAYS_BYTES_LEAST)
        return min(messages_max, MESSAGES_SHORT), min(arrays_bytes_max, ARRAYS_BYTES_SHORT)

    def draft(self, state: GroupState, turn: Turn) -> None:
        """Choose, in a turn that is about to be written, who lets go of what; what of them waits goes along."""
        self._hots, self._let_go = [], 0
        self._asked = self.shortage is not Shortage.NONE
        if not self._asked:
            return
        chosen = self._choose(state, turn)
        if not chosen:
            return
        state.collect(chosen)
        state.coverage.add(turn, frozenset(chosen))
        for device_id, count in chosen.items():
            hot = state.relieved_of(device_id)
            if hot is not None:
                self._hots.append(hot)
                self._let_go += count

    def _choose(self, state: GroupState, turn: Turn) -> dict[str, int]:
        """Return the next few doors that hold enough, each with how many events."""
        # Short of the last line only as much as is needed: what a door lets go of too soon costs more than it is worth.
        is_full = self.shortage is Shortage.FULL
        return state.laden(
            LOOKED_PER_TURN_FULL if is_full else LOOKED_PER_TURN,
            RELIEVED_PER_TURN,
            events_min=LADEN_FROM_EVENTS_FULL if is_full else LADEN_FROM_EVENTS,
            events_max=_ALL if is_full else LET_GO_PER_TURN + LET_GO_PER_EVENT * turn.event_count,
        )

    def confirm(self, state: GroupState, turn: Turn) -> None:
        """The turn is committed: let go of what lies in the database."""
        if not self._asked:
            return
        kept_from_ms = turn.now_ms - KEPT_MS if self.shortage is Shortage.TIGHT else _ALL
        for hot in self._hots:
            state.cool(hot, kept_from_ms)
        metrics.DEVICES_RELIEVED.labels(self._group).inc(len(self._hots))
        self._hots = []
        now = time.monotonic()
        if self._let_go and (self.is_pressing or now - self._given_back_at >= GIVEN_BACK_EVERY_S):
            self._given_back_at = now
            _give_back()


def _find_trim() -> Callable[[int], int] | None:
    """Return the C library's own way to give memory back; None where it has none (macOS, musl)."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    return trim


_trim = _find_trim()


def _give_back() -> None:
    if _trim is not None:
        _trim(0)
