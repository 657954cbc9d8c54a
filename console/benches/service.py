"""The detector's hot state enters; seconds of its service, with all that is said in them, leave as spans.

The mix: each door is heard once a minute, at a second of its own; one heartbeat in a hundred is lost; each household
opens its door ten times a day. A household is due a day after the opening that was its last when it was looked at, a door is silent three minutes after
its last word.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ingest.detector.applying import BEAT, DEVIATION_ZERO, LAST, LAST_SHIFT, PLACE, PLACE_SHIFT, UNCOUNTED
from ingest.detector.arrays import HotState
from ingest.detector.columns import CLOSED, EVENT, HEARTBEAT, NTP, OPEN, RESIDENT, Columns, Ints
from ingest.detector.state import BLOCK
from kaimen.policy import DAY_MS

OPENINGS_A_DAY, LOST_ONE_IN, BEAT_EVERY_S = 10, 100, 60
MIX = (
    f"each door heard once a minute, one beat in {LOST_ONE_IN} lost, {OPENINGS_A_DAY} openings a day of each"
)
#: In what time of its start the service has looked at each household once.
LOOKED_AT_WITHIN_S = 40
_AT_ONCE = 1 << 20
#: How long after an opening a household of the mix has stood, at most, when the service is looked at first.
_STOOD_MAX_MS = DAY_MS * 5 // 6
_BEAT_AGO_MS, _OPENING_AGO_MS = 900, 1


class LeftOverError(AssertionError):
    """A message was left to the plain rule: then the time says nothing of the fast one."""


class Service:
    """Seconds of service of as many doors as households; ``base_ms`` is when all of them started."""

    def __init__(self, state: HotState, base_ms: int) -> None:
        self._state = state
        self._base_ms = base_ms
        self._chance = np.random.default_rng(41)
        self.now_ms = int((state.rows[:, LAST] >> LAST_SHIFT).max()) // 1000 * 1000 + 1000
        #: How many households were left to the plain rule, and so opened their door at once.
        self.left = 0
        #: What the pulses took of the processor, which neighbours disturb less than the wall's time.
        self.cpu_s = 0.0
        self._stand()

    def _parts(self) -> Iterator[slice]:
        """Yield slices of the households: whole arrays on the way would take as much as the state."""
        count = self._state.households
        return (slice(low, min(low + _AT_ONCE, count)) for low in range(0, count, _AT_ONCE))

    def _stand(self) -> None:
        """Let each door have been heard in the last minute and opened in the last hours, and nothing be known of it yet."""
        state, now_ms = self._state, self.now_ms
        for part in self._parts():
            index = np.arange(part.start, part.stop)
            ago_ms = (now_ms // 1000 - index) % BEAT_EVERY_S * 1000 + _BEAT_AGO_MS
            state.rows[part, LAST] = (now_ms - ago_ms) << LAST_SHIFT | BEAT | DEVIATION_ZERO
            stood_ms = self._chance.exponential(DAY_MS / OPENINGS_A_DAY, len(index)).astype(np.int64)
            state.opened_ms[part] = now_ms - 60_000 - stood_ms % _STOOD_MAX_MS
            # As after the service's start, when each was judged: to be looked at before its door can be silent.
            state.watch.due_s[part] = now_ms // 1000 + self._chance.integers(
                1, LOOKED_AT_WITHIN_S, len(index)
            )
        state.watch.make_bounds()
        state.pulse_ms = now_ms

    def age(self) -> None:
        """Let each block have been gone through at some time since its first household was due, as after days."""
        watch, now_s = self._state.watch, self.now_ms // 1000
        blocks = len(watch.due_s) // BLOCK
        ahead_s = np.maximum(watch.bound_s[:blocks].astype(np.int64) - now_s - 1, 0)
        ago_s = (ahead_s * self._chance.random(blocks)).astype(np.uint32)
        ago_s[ahead_s > DAY_MS // 1000] = 0
        watch.due_s.reshape(blocks, BLOCK)[:] -= ago_s[:, None]
        watch.make_bounds()

    def second(self) -> float:
        """Let a second pass with what is said in it; return how long the pulse at its end took."""
        state = self._state
        self.now_ms += 1000
        doors = np.arange(self.now_ms // 1000 % BEAT_EVERY_S, state.devices, BEAT_EVERY_S, dtype=np.int32)
        self._say(
            doors[self._chance.random(len(doors)) >= 1 / LOST_ONE_IN], HEARTBEAT, self.now_ms - _BEAT_AGO_MS
        )
        openings = int(self._chance.poisson(state.households * OPENINGS_A_DAY / 86_400))
        doors = np.unique(self._chance.integers(0, state.devices, openings).astype(np.int32))
        self._say(doors, EVENT, self.now_ms - _OPENING_AGO_MS)
        start, start_cpu = time.perf_counter(), time.thread_time()
        found = state.pulse(self.now_ms)
        took = time.perf_counter() - start
        self.cpu_s += time.thread_time() - start_cpu
        self._judge(found)
        return took

    def _say(self, doors: NDArray[np.int32], kind: int, at_ms: int) -> None:
        """Let each of some doors say the next thing it has to say."""
        place = self._state.rows[doors, PLACE]
        event, whole = kind == EVENT, np.ones(len(doors), np.int64)
        small = np.ones(len(doors), np.uint8)
        columns = Columns(
            device=doors, boot=(doors + whole).astype(np.uint64), kind=small * kind, seq=(place >> PLACE_SHIFT) + event,
            up=whole * (at_ms - self._base_ms), ts=whole * at_ms, clk=small * NTP, type=small * (OPEN if event else CLOSED),
            cls=small * RESIDENT, remote=np.zeros(len(doors), np.bool_), opens=(place & UNCOUNTED) + event,
            received=whole * at_ms,
        )  # fmt: skip
        left = len(self._state.apply(columns))
        if left:
            raise LeftOverError(f"{left} messages")

    def _judge(self, found: Ints) -> None:
        """In place of the plain rule: whoever fell silent or reached a stage is heard and opens."""
        state = self._state
        self.left += len(found)
        state.opened_ms[found] = self.now_ms
        state.rows[found, LAST] = self.now_ms - _BEAT_AGO_MS << LAST_SHIFT | BEAT | DEVIATION_ZERO
        for household in found.tolist():
            state.watch.set_due(household, self.now_ms + 1000)
