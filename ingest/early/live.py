"""Early watch of one home as it lives: reports, spans nobody heard and a tick enter, an alert or its end leaves. Pure.

The mandated ladder counts the door; this counts everything inside, and only ever beside it. What holds there holds
here: time in which a sensor of the home was not heard is neither silence nor habit. A tick is judged as if the last
sign of life had come at the end of such a span, and nothing is learned from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from ingest.early import kernel
from ingest.early.signals import FRONT_DOOR_KIND, LifeSignals, Signal
from ingest.early.watch import HomeWatch, Method, Reason, Score, home_at, learn_if_due, new_homes
from kaimen.policy import DAY_MS

TICK_MS = kernel.TICK
#: Events older than this are not asked for at a start: thirty in-home days fit into it.
MEMORY_MS = 45 * DAY_MS
#: Reports that arrive later than this are not taken into the running watch; the next start learns from them.
LATE_MS = 2 * DAY_MS
#: Reports remembered to know a repeated one; four a minute for two days, a bound no home reaches.
SEEN_MAX = 12_000

_INTERIOR = frozenset({"Motion", "Occupancy", "WaterUse", "PowerUse"})
_OFF = frozenset({"off", "clear", "false", "inactive", "closed", "no", "none", "idle", "0"})


class Report(NamedTuple):
    """One stored event of a home's device: instant (UTC ms), device, whether it is a dwelling door's, type, state."""

    at_ms: int
    device_no: int
    boot: int
    seq: int
    at_door: bool
    type: str
    state: str | None


class Blind(NamedTuple):
    """A span in which a device of the home was not heard; ``to_ms`` None: it lasts."""

    from_ms: int
    to_ms: int | None


class Unjudged(StrEnum):
    """Why a tick was not judged; otherwise the kernel's own reason stands."""

    ABSENT = "absent"
    NOT_KNOWN = "not_known"


@dataclass(frozen=True, slots=True)
class Alert:
    """Silence over the home's own line: when it was noticed, since when nothing was heard, and by how much."""

    at_ms: int
    last_ms: int
    score: Score


@dataclass(frozen=True, slots=True)
class Over:
    """The alert's end: somebody was heard, or the home is declared away."""

    at_ms: int
    heard: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """What a tick found: at most one of alert and end, and the state to show."""

    alert: Alert | None
    over: Over | None
    reason: str
    score: float
    threshold: float
    last_ms: int | None
    learned_days: int


class LiveHome:
    """One consenting home; ``local`` turns an instant into milliseconds of its wall clock."""

    def __init__(self, method: Method, local: Callable[[int], int]) -> None:
        self._method = method
        self._local = local
        self._home = home_at(new_homes(1), 0)
        self._watch = HomeWatch(self._home, method)
        self._life = LifeSignals()
        self._seen: dict[tuple[int, int, int], None] = {}
        self._last_ms: int | None = None

    def tick(
        self,
        tick_ms: int,
        reports: Iterable[Report],
        blind: Sequence[Blind],
        *,
        is_absent: bool,
        standing: bool,
    ) -> Turn:
        """Take what was stored up to ``tick_ms`` and judge the home at it.

        ``reports`` may repeat what was given before; ``standing``: an alert is open.
        """
        heard_ms = self._take(reports, blind)
        if is_absent:
            return self._turn(Unjudged.ABSENT.value, over=Over(tick_ms, heard=False) if standing else None)
        if standing and heard_ms is not None:
            return self._turn(Reason.BELOW_LINE.name.lower(), over=Over(heard_ms, heard=True))
        if any(span.to_ms is None or span.to_ms > tick_ms for span in blind):
            return self._turn(Unjudged.NOT_KNOWN.value)
        score = self._judge(tick_ms, blind)
        alert = None
        if is_for_people(score.reason) and not standing and self._last_ms is not None:
            alert = Alert(tick_ms, self._last_ms, score)
        return self._turn(score.reason.name.lower(), score=score, alert=alert)

    def _take(self, reports: Iterable[Report], blind: Sequence[Blind]) -> int | None:
        """Take new reports in order of time; return the newest sign of life among them."""
        ends = sorted(span.to_ms for span in blind if span.to_ms is not None)
        newest = None
        for report in sorted(report for report in reports if self._is_new(report)):
            signal = self._life.take(self._local(report.at_ms), *_kind_of(report))
            if signal is None:
                continue
            self._pass_over(ends, report.at_ms)
            learn_if_due(self._home, self._method, signal.at_ms)
            kernel.take(self._home, self._method.number, *_row(signal))
            self._last_ms = max(self._last_ms or report.at_ms, report.at_ms)
            newest = self._last_ms
        return newest

    def _is_new(self, report: Report) -> bool:
        if not _shows(report):
            return False
        key = (report.device_no, report.boot, report.seq)
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        return True

    def _pass_over(self, ends: Sequence[int], at_ms: int) -> None:
        """Begin the silence that ends at ``at_ms`` anew where the last blind span within it ended."""
        within = [end for end in ends if self._last_ms is not None and self._last_ms < end <= at_ms]
        if within:
            self._home.marks[kernel.LAST] = max(int(self._home.marks[kernel.LAST]), self._local(within[-1]))

    def _judge(self, tick_ms: int, blind: Sequence[Blind]) -> Score:
        last = int(self._home.marks[kernel.LAST])
        ends = [span.to_ms for span in blind if span.to_ms is not None and span.to_ms <= tick_ms]
        if last != kernel.NEVER and ends:
            self._home.marks[kernel.LAST] = max(last, self._local(max(ends)))
        try:
            return self._watch.score(self._local(tick_ms))
        finally:
            self._home.marks[kernel.LAST] = last

    def _turn(
        self, reason: str, *, score: Score | None = None, alert: Alert | None = None, over: Over | None = None
    ) -> Turn:
        days = int(np.count_nonzero(self._home.days != kernel.NEVER))
        return Turn(
            alert,
            over,
            reason,
            score.score if score else 0.0,
            score.threshold if score else 0.0,
            self._last_ms,
            days,
        )


def is_for_people(reason: Reason) -> bool:
    """Say whether somebody is to be told; the door's clocks have spoken through the ladder already."""
    return reason in (Reason.OVER_LINE, Reason.OVER_CAP)


def _shows(report: Report) -> bool:
    if report.type == "DoorPhysicalState" or report.type == "AccessTaken":
        return report.at_door
    return report.type in _INTERIOR


def _kind_of(report: Report) -> tuple[str, str, bool]:
    """Return sensor, kind and whether it says "on", as recordings name them."""
    sensor = f"{report.device_no}:{report.type}"
    is_on = report.state is None or report.state.lower() not in _OFF
    return sensor, FRONT_DOOR_KIND if report.at_door and report.type not in _INTERIOR else "motion", is_on


def _row(signal: Signal) -> tuple[int, int, int]:
    return signal.at_ms, int(signal.place), signal.sensor
