"""The only reader of time: nothing enters, ``now`` leaves.

``SystemClock`` for production; ``FileClock`` is the scaled clock of the demo, shared by every process through one
small file (epoch, speed, pause); ``ManualClock`` for tests. A service reads its clock once per turn and hands the
value down. Transport time-outs are wall time and do not come from here.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

#: Wall seconds after which every reader of a replaced clock file has the new one.
RECHECK_S = 0.02


class Clock(Protocol):
    """Time of the community the service works in."""

    def now_ms(self) -> int:
        """Return UTC milliseconds."""

    def uptime_ms(self) -> int:
        """Return milliseconds that only grow, counting sleep; for ``up`` of devices spoken for."""

    def wall_seconds(self, span_ms: int) -> float:
        """Return how many wall seconds ``span_ms`` of community time take; infinite while paused."""


def as_datetime(ms: int) -> datetime:
    """Turn UTC milliseconds into an aware datetime."""
    seconds, rest = divmod(ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def as_ms(at: datetime) -> int:
    """Turn an aware datetime into UTC milliseconds, rounding down."""
    if at.tzinfo is None:
        raise ValueError("a datetime without a zone is not an instant")
    delta = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def uptime_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def wall_seconds(self, span_ms: int) -> float:
        return span_ms / 1000


class JumpGuard:
    """Notices that a clock was set: it and the machine's uptime, which nobody sets, drift apart at once.

    A correction of less than ``JUMP_MIN_MS`` is none that anybody could be wronged by.
    """

    JUMP_MIN_MS = 60_000

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms: int | None = None

    def take_jump_ms(self) -> int:
        """Return by how much the clock was set since the last call (ahead is positive), 0 where it was not."""
        offset_ms = self._clock.now_ms() - self._clock.uptime_ms()
        before_ms, self._offset_ms = self._offset_ms, offset_ms
        jump_ms = 0 if before_ms is None else offset_ms - before_ms
        return jump_ms if abs(jump_ms) > self.JUMP_MIN_MS else 0


class ManualClock:
    """A clock that stands until it is told; for tests."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def uptime_ms(self) -> int:
        return self._now_ms

    def wall_seconds(self, span_ms: int) -> float:
        return float("inf") if span_ms > 0 else 0.0

    def advance_to(self, now_ms: int) -> None:
        if now_ms < self._now_ms:
            raise ValueError(f"a clock does not go back: {now_ms} < {self._now_ms}")
        self._now_ms = now_ms


@dataclass(frozen=True, slots=True)
class ClockSetting:
    """Community time was ``community_ms`` at wall instant ``wall_ms`` and runs ``speed`` times as fast.

    ``until_ms`` stops it there: how the demo is sent to its next crossing.
    """

    wall_ms: int
    community_ms: int
    speed: float
    until_ms: int | None = None

    def at(self, wall_ms: int) -> int:
        community_ms = self.community_ms + int((wall_ms - self.wall_ms) * self.speed)
        if self.until_ms is not None:
            community_ms = min(community_ms, max(self.until_ms, self.community_ms))
        return community_ms


class FileClock:
    """The scaled clock: every process of a demo or a replay reads the same file.

    The file is replaced, never edited, and a reader looks for a newer one every 20 ms of wall time. A change keeps
    time continuous: it never goes back, whatever the processes read in which order.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._looked = 0.0
        self._latest_ms = 0
        self._setting = self._read()

    def _read(self) -> ClockSetting:
        stat = self._path.stat()
        self._stamp = (stat.st_mtime_ns, stat.st_ino)
        return ClockSetting(**json.loads(self._path.read_text()))

    def setting(self) -> ClockSetting:
        monotonic = time.monotonic()
        if monotonic - self._looked >= RECHECK_S:
            self._looked = monotonic
            stat = self._path.stat()
            if (stat.st_mtime_ns, stat.st_ino) != self._stamp:
                self._setting = self._read()
        return self._setting

    def now_ms(self) -> int:
        now_ms = self.setting().at(time.time_ns() // 1_000_000)
        self._latest_ms = max(self._latest_ms, now_ms)
        return self._latest_ms

    def uptime_ms(self) -> int:
        return self.now_ms()

    def wall_seconds(self, span_ms: int) -> float:
        speed = self.setting().speed
        if speed <= 0:
            return float("inf") if span_ms > 0 else 0.0
        return span_ms / 1000 / speed


def write_clock(path: Path, setting: ClockSetting) -> None:
    """Replace the clock file in one step, so that no reader sees half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(
        json.dumps(
            {
                "wall_ms": setting.wall_ms,
                "community_ms": setting.community_ms,
                "speed": setting.speed,
                "until_ms": setting.until_ms,
            }
        )
    )
    draft.replace(path)


def set_clock(path: Path, *, speed: float, now_ms: int | None = None, until_ms: int | None = None) -> int:
    """Change the speed (0 pauses) or jump forward; return the community time at which the change holds."""
    wall_ms = time.time_ns() // 1_000_000
    current = ClockSetting(**json.loads(path.read_text())).at(wall_ms) if path.exists() else 0
    community_ms = current if now_ms is None else max(now_ms, current)
    write_clock(path, ClockSetting(wall_ms, community_ms, speed, until_ms))
    return community_ms


def open_clock(name: str) -> Clock:
    """Return the clock that a setting names: ``system`` or ``file:PATH``."""
    if name == "system":
        return SystemClock()
    if name.startswith("file:"):
        return FileClock(Path(name.removeprefix("file:")))
    raise ValueError(f"KAIMEN_CLOCK is {name!r}; it must be 'system' or 'file:PATH'")
