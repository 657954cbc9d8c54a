"""The demo's clock in people's hands: play, pause, a speed, the next crossing enter; the clock file leaves.

What people chose is kept beside the clock, for the clock itself also obeys two rules: it runs at the speed of life
while somebody has a case or a list of work open, and until somebody has come at all, unless a speed was asked for at
the start; and it stands at a crossing it was sent to.
Every change is made under a lock, for the console serves several people and the supervisor looks after arrival.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from console.stack.folder import StackFolder, read_json, write_json
from kaimen.clock import ClockSetting, FileClock, SystemClock, write_clock

SPEED_DEFAULT = 1_440.0
SPEED_MAX = 10_080.0
#: A day in half a minute: as fast as every service certainly follows.
TRAVEL_SPEED = 2_880.0
#: The pulse that announces a crossing is the one of the next whole second.
ARRIVAL_MARGIN_MS = 2_000
#: A killed supervisor last noted the time at most so long ago (wall time).
NOTED_EVERY_S = 1.0
_LOST_AT_MOST_S = 2.0
#: Every process has read a new clock file after so long. A slower clock holds from then on, so that nobody who still
#: goes by the old one is ahead of the new one: at a day per half minute 20 ms are a minute.
_KNOWN_AFTER_MS = 30

_wall = SystemClock()


@dataclass(frozen=True, slots=True)
class Wish:
    """What people chose; ``readers`` counts those who have a case open, ``until_ms`` is where the clock is sent.

    ``awaited``: nobody has come since the start, so that whoever comes first finds the morning as it was prepared.
    """

    speed: float = SPEED_DEFAULT
    fixed: bool = False
    paused: bool = True
    readers: int = 0
    until_ms: int | None = None
    awaited: bool = False

    @property
    def effective_speed(self) -> float:
        if self.until_ms is not None:
            return max(self.speed, TRAVEL_SPEED)
        if self.paused:
            return 0.0
        return 1.0 if (self.readers or self.awaited) and not self.fixed else self.speed


class Steering:
    """The hands on one demo's clock; any process of the demo may have some."""

    def __init__(self, folder: StackFolder) -> None:
        self._folder = folder
        self._path = folder.root / "clock-wish.json"

    @contextmanager
    def _locked(self) -> Iterator[Wish]:
        descriptor = os.open(self._folder.root / "clock.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield self.wish()
        finally:
            os.close(descriptor)

    def wish(self) -> Wish:
        """Return what people chose."""
        found = read_json(self._path)
        return Wish() if found is None else Wish(**found)

    def _setting(self) -> ClockSetting:
        return FileClock(self._folder.clock).setting()

    def now_ms(self) -> int:
        """Return the community's time."""
        return self._setting().at(_wall.now_ms())

    def _obey(self, wish: Wish) -> None:
        write_json(self._path, asdict(wish))
        before, wall_ms = self._setting(), _wall.now_ms()
        if wish.effective_speed < before.speed:
            wall_ms += _KNOWN_AFTER_MS
        write_clock(
            self._folder.clock,
            ClockSetting(wall_ms, before.at(wall_ms), wish.effective_speed, wish.until_ms),
        )

    def play(self) -> None:
        """Let time pass at the chosen speed."""
        with self._locked() as wish:
            self._obey(replace(wish, paused=False, until_ms=None))

    def pause(self) -> None:
        with self._locked() as wish:
            self._obey(replace(wish, paused=True, until_ms=None))

    def set_speed(self, speed: float) -> None:
        """Choose a speed, and play at it."""
        if not 0 < speed <= SPEED_MAX:
            raise ValueError(f"a speed is above 0 and at most {SPEED_MAX:g}")
        with self._locked() as wish:
            self._obey(replace(wish, speed=speed, paused=False, until_ms=None))

    def travel_to(self, at_ms: int) -> None:
        """Run fast until shortly after an instant, and stand there."""
        with self._locked() as wish:
            self._obey(replace(wish, until_ms=at_ms + ARRIVAL_MARGIN_MS))

    def look(self) -> None:
        """Stand still where the clock was sent to, once it is there."""
        wish = self.wish()
        if wish.until_ms is not None and self.now_ms() >= wish.until_ms:
            with self._locked() as latest:
                if latest.until_ms == wish.until_ms:
                    self._obey(replace(latest, paused=True, until_ms=None))

    def set_readers(self, count: int) -> None:
        """Say how many people have a case open."""
        with self._locked() as wish:
            self._note(wish, replace(wish, readers=count, awaited=wish.awaited and not count))

    def welcome(self) -> None:
        """Say that somebody has come: the clock need not wait any more."""
        with self._locked() as wish:
            self._note(wish, replace(wish, awaited=False))

    def _note(self, wish: Wish, changed: Wish) -> None:
        if changed != wish:
            if changed.effective_speed == wish.effective_speed:
                write_json(self._path, asdict(changed))
            else:
                self._obey(changed)

    # -- starts and stops ---------------------------------------------------------------------------------------

    def begin(self, speed: float | None) -> int:
        """Before a start: hold the clock where it stood when the stack ended; return the community's time.

        Time that passed while nothing ran did not pass in the community. ``speed`` is the one asked for at the
        start, which then holds also while somebody has a case open.
        """
        found = self._setting()
        noted = read_json(self._folder.root / "clock-noted.json")
        community_ms = found.at(_wall.now_ms())
        if noted is not None and found.speed > 0:
            lost_ms = int(_LOST_AT_MOST_S * 1000 * found.speed)
            community_ms = min(community_ms, max(int(noted["now_ms"]) + lost_ms, found.community_ms))
        with self._locked() as wish:
            chosen = wish.speed if speed is None else speed
            write_json(self._path, asdict(Wish(speed=chosen, fixed=speed is not None, awaited=speed is None)))
            write_clock(self._folder.clock, ClockSetting(_wall.now_ms(), community_ms, 0.0))
        return community_ms

    def note(self) -> None:
        """Write down how late it is, for a start after a kill."""
        write_json(self._folder.root / "clock-noted.json", {"now_ms": self.now_ms()})

    def end(self) -> None:
        """Hold the clock: the stack is stopped."""
        with self._locked() as wish:
            self._obey(replace(wish, paused=True, until_ms=None, readers=0))
