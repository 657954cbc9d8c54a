"""The interface of early watch: households that consented, their signals and an instant enter, a score leaves."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import NamedTuple

import numpy as np

from ingest.early import kernel
from ingest.early.signals import Signal

#: Active windows per hour that a home is taken to have until its first day was learned.
RATE_FIRST = 2.0


class Method(StrEnum):
    HAZARD = "hazard"
    CUDDIHY = "cuddihy"
    WILHELM = "wilhelm"
    FLOECK = "floeck"
    TAIL = "tail"

    @property
    def number(self) -> int:
        """Return the kernel's number of this method."""
        return int(getattr(kernel, self.name))


class Presence(IntEnum):
    """What is presumed; CAME_IN: the door spoke after an absence, and nothing indoors since."""

    IN = kernel.IN
    LEFT = kernel.LEFT
    CAME_IN = kernel.CAME_IN


class Reason(IntEnum):
    NOTHING_HEARD = kernel.NOTHING_HEARD
    LEARNING = kernel.LEARNING
    BELOW_LINE = kernel.BELOW_LINE
    BELOW_FLOOR = kernel.BELOW_FLOOR
    PRESUMED_OUT = kernel.PRESUMED_OUT
    OVER_LINE = kernel.OVER_LINE
    OVER_CAP = kernel.OVER_CAP
    OVER_DOOR_CLOCK = kernel.OVER_DOOR_CLOCK

    @property
    def is_alert(self) -> bool:
        return bool(kernel.is_alert(self.value))


class Score(NamedTuple):
    """Score and threshold in the method's own unit (comparable with each other only), state and reason."""

    score: float
    threshold: float
    state: Presence
    reason: Reason


def new_homes(count: int) -> kernel.Home:
    """Return the arrays of ``count`` households of which nothing is known, one row each."""
    hours = np.arange(kernel.SLOTS + 1, dtype=np.float64) * (24.0 / kernel.SLOTS)
    homes = kernel.Home(
        marks=np.full((count, kernel.MARKS), kernel.NEVER, np.int64),
        level=np.zeros((count, kernel.LEVELS), np.float64),
        hazard=np.tile(RATE_FIRST * hours, (count, 1)),
        line=np.zeros((count, kernel.SLOTS), np.float64),
        days=np.full((count, kernel.DAYS), kernel.NEVER, np.int64),
        active=np.zeros((count, kernel.DAYS, kernel.SLOTS), np.uint8),
        present=np.zeros((count, kernel.DAYS, kernel.SLOTS), np.float32),
        peak=np.zeros((count, kernel.DAYS, kernel.SLOTS), np.float32),
        gaps=np.zeros((count, kernel.GAPS, 2), np.int64),
        fired=np.full((count, kernel.SENSORS), kernel.NEVER, np.int64),
    )
    for column in (kernel.PLACE, kernel.WAS, kernel.ROW, kernel.GAP_COUNT):
        homes.marks[:, column] = 0
    return homes


def home_at(homes: kernel.Home, index: int) -> kernel.Home:
    """Return the views of one household."""
    return kernel.Home(*(array[index] for array in homes))


def learn(home: kernel.Home, method: Method, day: int) -> None:
    """Learn the household's line anew from what it remembers, for ``day``; only the method's own code is compiled."""
    kernel.learn_hazard_line(home)
    if method is Method.HAZARD:
        kernel.learn_hazard(home)
    elif method is Method.CUDDIHY:
        kernel.learn_cuddihy(home)
    elif method is Method.WILHELM:
        kernel.learn_wilhelm(home, kernel.is_weekend(day))
    elif method is Method.FLOECK:
        kernel.learn_floeck(home)
    else:
        kernel.learn_tail(home)


def learn_if_due(home: kernel.Home, method: Method, at_ms: int) -> None:
    """Learn the household's line anew, once a day, before the day's first event is taken."""
    day = at_ms // kernel.DAY
    if home.marks[kernel.LAST] != kernel.NEVER and home.marks[kernel.LEARNED] != day:
        learn(home, method, day)
    home.marks[kernel.LEARNED] = day


class HomeWatch:
    """One household: ``update`` with every signal in order of time, ``score`` at any instant from the last one on."""

    def __init__(self, home: kernel.Home, method: Method) -> None:
        self._home = home
        self._method = method

    def update(self, event: Signal) -> None:
        """Take a signal; one older than the last is taken as of the last one's instant."""
        learn_if_due(self._home, self._method, event.at_ms)
        kernel.take(self._home, self._method.number, event.at_ms, int(event.place), event.sensor)

    def score(self, now_ms: int) -> Score:
        """Return (score, threshold, state, reason) at ``now_ms``; it is an alert if ``reason.is_alert``."""
        now_ms = max(now_ms, int(self._home.marks[kernel.LAST]))
        score, threshold, state, reason = kernel.judge(self._home, self._method.number, now_ms)
        return Score(float(score), float(threshold), Presence(state), Reason(reason))


class EarlyWatch:
    """The households that consented, each with a row in the arrays; nobody else has one, and nothing is kept of them."""

    def __init__(self, consenting: Iterable[str], method: Method = Method.HAZARD) -> None:
        self._rows = {household_id: row for row, household_id in enumerate(consenting)}
        self._homes = new_homes(len(self._rows))
        self._method = method

    def of(self, household_id: str) -> HomeWatch | None:
        """Return the watch of a household, None without its consent."""
        row = self._rows.get(household_id)
        return None if row is None else HomeWatch(home_at(self._homes, row), self._method)

    def withdraw(self, household_id: str) -> None:
        """End a household's watch and erase what was learned of it."""
        row = self._rows.pop(household_id, None)
        if row is None:
            return
        for name, empty in new_homes(1)._asdict().items():
            getattr(self._homes, name)[row] = empty[0]
