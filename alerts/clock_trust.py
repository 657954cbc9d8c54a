"""Whether timers may be believed after our clock was set: the clock and ingest's progress enter, yes or no leaves.

Alerts hears no device. Ingest does, and admits nothing before devices have confirmed a clock that was set; so its progress,
written with the clock of the same machine or of another, says which time it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import cast

from kaimen.clock import Clock, FileClock, JumpGuard, as_ms
from kaimen.database import Pool, queries, transaction
from kaimen.logs import get_logger

#: So long nothing turns after a jump that nobody confirms: then there is nobody to ask.
PATIENCE_S = 600.0

log = get_logger()
_SQL = queries("alerts")


def load_ingest_progress(pool: Pool) -> datetime | None:
    """Return up to which instant ingest has done its work; None before it ever has."""
    with transaction(pool) as connection:
        row = connection.execute(_SQL["ingest_progress"]).fetchone()
    return None if row is None else cast(datetime, row["at"])


class ClockTrust:
    """Holds turns back after the clock was set by more than a minute, until ingest goes by it as well."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # A scaled clock jumps with every moment's delay.
        self._guard = None if isinstance(clock, FileClock) else JumpGuard(clock)
        self._doubted_until: float | None = None

    def may_turn(self, ingest_at: Callable[[], datetime | None]) -> bool:
        """Say whether the clock may be gone by; ``ingest_at`` is asked only in doubt."""
        if self._guard is None:
            return True
        jump_ms = self._guard.take_jump_ms()
        if jump_ms:
            log.error("our clock was set: timers wait until ingest goes by it", duration_ms=jump_ms)
            self._doubted_until = time.monotonic() + PATIENCE_S
        if self._doubted_until is None:
            return True
        at = ingest_at()
        agrees = at is not None and abs(self._clock.now_ms() - as_ms(at)) <= JumpGuard.JUMP_MIN_MS
        if agrees or time.monotonic() >= self._doubted_until:
            self._doubted_until = None
            return True
        return False
