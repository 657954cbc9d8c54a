"""Sensor recordings enter, what the ladder makes of them leaves: ``kaimen replay`` without a broker.

A recording is CSV (plain or gzip) with the columns ``home, time, sensor, kind, state``. It carries no heartbeats, so
it is taken as heard throughout, from its first row to its last. Its times are the home's wall clock, read as UTC;
where they carry a zone offset, what passed between two rows is counted by it, on the wall clock of the first.
Rows may come in any order; rows of one instant are put into an order of their own, so that theirs does not matter.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.early.signals import FRONT_DOOR_KIND, LifeSignals, Place
from ingest.recording_file import HomeRows, Unreadable, read_rows
from kaimen.policy import DAY_MS, HOUR_MS, MINUTE_MS, THRESHOLDS_DEFAULT_MS

YEAR_MS = 365.25 * DAY_MS
_IN_WITHIN_MS = 5 * MINUTE_MS


def _no_signals() -> NDArray[np.int64]:
    return np.zeros((0, 3), np.int64)


@dataclass(frozen=True, slots=True)
class Recording:
    """One home: instants of its local wall clock, read as if it were UTC, in milliseconds.

    ``signals`` (shape (N, 3)): instant, place and number of the sensor, per sign of life, ascending; ``sensors``: name
    and kind of each sensor, by number; ``interior_sensor``: the one that was kept, if only one was; ``unseen``: spans
    (from, to) in which the recording itself says that a front door was not heard, ascending and apart; ``told``: what
    may not be meant of the file's rows.
    """

    home: str
    first_ms: int
    last_ms: int
    openings_ms: list[int]
    front_states: list[tuple[int, str, bool]]
    activity_ms: list[int]
    signals: NDArray[np.int64] = field(default_factory=_no_signals, compare=False)
    sensors: tuple[tuple[str, str], ...] = ()
    interior_sensor: str | None = None
    unseen: tuple[tuple[int, int], ...] = ()
    told: tuple[str, ...] = ()

    @property
    def seen_ms(self) -> int:
        return self.last_ms - self.first_ms - sum(end - begin for begin, end in self.unseen)

    @property
    def days(self) -> float:
        return (self.last_ms - self.first_ms) / 86_400_000


def read_recording(
    path: Path, unreadable: list[Unreadable] | None = None, front_doors: frozenset[str] = frozenset()
) -> list[Recording]:
    """Read the homes of one recording, in any of the forms of docs/replay.md, plain or packed.

    ``front_doors`` names the sensors that are the front door, where neither their names nor their kinds say it.
    A row that does not fit is noted in ``unreadable`` and the next one read; without that list it is an error.

    Raises
    ------
    RecordingError
        If a column is missing, the file cannot be read to its end, no row at all fits, or some times of a home carry a
        zone offset and some do not; with file, line and how to mend it.
    """
    return [_fold_home(home, found) for home, found in read_rows(path, unreadable, front_doors).items()]


def _unseen(found: HomeRows) -> tuple[tuple[int, int], ...]:
    """Return the spans from a front door's last word that it is not heard to its next state, joined where they touch."""
    first_ms, last_ms = found.rows[0][0], found.rows[-1][0]
    spoke: dict[str, list[int]] = {sensor: [] for _, sensor in found.lost}
    for at, name, _, _ in found.rows:
        if name in spoke:
            spoke[name].append(at)
    spans = []
    for begin, sensor in found.lost:
        later = bisect_right(spoke[sensor], begin)
        end = spoke[sensor][later] if later < len(spoke[sensor]) else last_ms
        spans.append((max(begin, first_ms), end))
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        elif begin < end:
            joined.append((begin, end))
    return tuple(joined)


def _fold_home(home: str, found: HomeRows) -> Recording:
    """Turn states into Closed→Open edges of the front door, each of its sensors by itself, and into signs of life.

    The first state after a time in which the door was not heard is no edge.
    """
    rows, lost = found.rows, deque(found.lost)
    open_now: dict[str, bool] = {}
    openings: list[int] = []
    states: list[tuple[int, str, bool]] = []
    activity: list[int] = []
    life = LifeSignals()
    signals: list[tuple[int, int, int]] = []
    kinds: dict[str, str] = {}
    for at, sensor, kind, state in rows:
        while lost and lost[0][0] <= at:
            open_now[lost.popleft()[1]] = True
        kinds.setdefault(sensor, kind)
        signal = life.take(at, sensor, kind, state)
        if signal is not None:
            signals.append(signal)
        if kind == FRONT_DOOR_KIND:
            if state and not open_now.get(sensor, False):
                openings.append(at)
            open_now[sensor] = state
            states.append((at, sensor, state))
        elif state:
            activity.append(at)
    return Recording(
        home,
        rows[0][0],
        rows[-1][0],
        openings,
        states,
        activity,
        np.asarray(signals, np.int64).reshape(-1, 3),
        tuple((name, kinds[name]) for name in life.sensors),
        unseen=_unseen(found),
        told=tuple(found.doubts),
    )


_WET_NAMES = ("bath", "toilet", "kitchen", "shower", "basin", "flush", "fridge", "浴", "厕", "卫", "厨")


def choose_sensor(recording: Recording) -> int | None:
    """Return the number of the interior sensor that one would put up if there were but one.

    The busiest that stands in a bathroom or kitchen, by its kind or name; else the busiest of all; None without any.
    """
    indoors = recording.signals[recording.signals[:, 1] == Place.INDOORS, 2]
    counts = np.bincount(indoors, minlength=len(recording.sensors))
    found = [number for number, count in enumerate(counts.tolist()) if count]
    wet = [number for number in found if _is_wet(*recording.sensors[number])]
    return max(wet or found, key=lambda number: (int(counts[number]), -number), default=None)


def _is_wet(name: str, kind: str) -> bool:
    return kind == "water" or any(word in name.lower() for word in _WET_NAMES)


def with_one_sensor(recording: Recording) -> Recording:
    """Return the recording as early watch would know it with the front door and one interior sensor."""
    chosen = choose_sensor(recording)
    signals = recording.signals
    kept = signals[:, 1] == Place.FRONT_DOOR
    if chosen is not None:
        kept |= signals[:, 2] == chosen
    name = None if chosen is None else recording.sensors[chosen][0]
    return replace(recording, signals=signals[kept], interior_sensor=name)


def crossings_of(
    recording: Recording, thresholds_ms: Sequence[int] = THRESHOLDS_DEFAULT_MS
) -> list[tuple[int, int]]:
    """Return the ladder's crossings of one home as (stage, instant), ascending by instant.

    Watching starts with the recording's first row, as ``watched_from`` does in the service. Time in which the recording
    says that the door was not heard does not pass.
    """
    from ingest.detector import kernel

    seen = _SeenTime(recording.unseen)
    evidence = np.asarray([seen.of(at) for at in (recording.first_ms, *recording.openings_ms)], np.int64)
    thresholds = np.asarray(thresholds_ms, np.int64)
    stages = np.zeros(max(1, len(evidence) * len(thresholds)), np.int64)
    instants = np.zeros_like(stages)
    count = kernel.fold_recording(evidence, seen.of(recording.last_ms), thresholds, stages, instants)
    found = zip(stages[:count].tolist(), map(seen.instant, instants[:count].tolist()), strict=True)
    return sorted(found, key=lambda item: (item[1], item[0]))


class _SeenTime:
    """The time that was seen, counted on: instants of the wall clock enter and leave."""

    def __init__(self, unseen: Sequence[tuple[int, int]]) -> None:
        self._unseen = unseen

    def of(self, at_ms: int) -> int:
        """Return the instant without the unseen time before it."""
        return at_ms - sum(min(end, at_ms) - begin for begin, end in self._unseen if begin < at_ms)

    def instant(self, seen_ms: int) -> int:
        """Return the earliest instant at which so much was seen."""
        at_ms = seen_ms
        for begin, end in self._unseen:
            if at_ms <= begin:
                break
            at_ms += end - begin
        return at_ms


def collapse_latencies_h(recording: Recording, threshold_ms: int = DAY_MS) -> list[float]:
    """Return, for a collapse simulated at every full hour, the hours until the ladder's first alert.

    A collapse is only simulated where she is presumed in: some interior sensor spoke within five minutes after the
    last opening before it. Where the alert already stands at that hour, the hour is left out.
    """
    hours: list[float] = []
    openings = recording.openings_ms
    for at in range(recording.first_ms + HOUR_MS, recording.last_ms, HOUR_MS):
        index = bisect_right(openings, at) - 1
        if index < 0:
            continue
        opened = openings[index]
        after = bisect_left(recording.activity_ms, opened)
        came_in = (
            after < len(recording.activity_ms) and recording.activity_ms[after] <= opened + _IN_WITHIN_MS
        )
        if came_in and at < opened + threshold_ms:
            hours.append((opened + threshold_ms - at) / HOUR_MS)
    return hours


def poisson_interval(count: int, exposure: float) -> list[float]:
    """Return the exact 95 % interval of a rate of ``count`` per ``exposure``."""

    def below(mean: float, most: int) -> float:
        return sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(most + 1))

    def solve(wanted: float, most: int) -> float:
        low, high = 1e-9, 10.0 * (count + 5)
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if below(middle, most) > wanted else (low, middle)
        return low

    lowest = 0.0 if count == 0 else solve(0.975, count - 1)
    return [round(lowest / exposure, 3), round(solve(0.025, count) / exposure, 3)]


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 2) if values else None


def doubts_of(recording: Recording) -> list[str]:
    """Say what of a recording may not be what was meant."""
    return [*_doubts_of_front_doors(recording), *_doubts_of_unseen(recording), *recording.told]


def _doubts_of_unseen(recording: Recording) -> list[str]:
    if not recording.unseen:
        return []
    hours = (recording.last_ms - recording.first_ms - recording.seen_ms) / HOUR_MS
    return [
        f"its front door was not heard {len(recording.unseen)} times, {hours:.1f} hours in all: the ladder does not count them, "
        "and the first state after each is no opening"
    ]


def _doubts_of_front_doors(recording: Recording) -> list[str]:
    if not recording.front_states:
        doors = ", ".join(name for name, kind in recording.sensors if kind == "door")
        mend = f"its doors are {doors}: name it by --front-door, or" if doors else "if it has one,"
        return [
            f"no row has the kind front_door, so that no door of it ever opens; {mend} name its kind in the file; "
            "the home counts with all its days and alerts"
        ]
    opened, shut = Counter[str](), set()
    for _, sensor, is_open in recording.front_states:
        if is_open:
            opened[sensor] += 1
        else:
            shut.add(sensor)
    if not opened:
        return [
            f"{', '.join(sorted(shut))} never says that it opens, so that the ladder sees no opening; add its on rows"
        ]
    said = [
        f"{sensor} says {count} times that it opens and never that it shuts, so that only its first opening counts; "
        "add its off rows"
        for sensor, count in opened.items()
        if count > 1 and sensor not in shut
    ]
    names = sorted(opened.keys() | shut)
    if len(names) > 1:
        said.append(
            f"{', '.join(names)} are front doors, and the openings of each count; --front-door names the one that is"
        )
    return said


def _home_report(recording: Recording) -> dict[str, Any]:
    """Return what every detector's report says of a home: the mandated ladder's crossings."""
    counts = Counter(stage for stage, _ in crossings_of(recording))
    return {
        "home": recording.home,
        "days": round(recording.days, 2),
        "openings": len(recording.openings_ms),
        "crossings": {"warning": counts[1], "call": counts[2], "visit": counts[3]},
        "heard": "taken as heard throughout: the recording carries no heartbeats",
        "doubts": doubts_of(recording),
    }


def _total(homes: Sequence[dict[str, Any]], span_ms: int) -> dict[str, Any]:
    years = span_ms / YEAR_MS
    alerts = sum(home["false_alerts"] for home in homes)
    latencies = [home["latency_hours_mean"] for home in homes if home["latency_hours_mean"] is not None]
    return {
        "home_years": round(years, 4),
        "false_alerts_per_home_year": round(alerts / years, 2) if years else None,
        "ci95": poisson_interval(alerts, years) if years else None,
        "latency_hours_mean": _mean(latencies),
    }


def replay_recordings(recordings: Sequence[Recording]) -> dict[str, Any]:
    """Return the report of the mandated ladder over homes (shape: the ``replay`` contract of the README).

    ``false_alerts`` counts warnings: the recordings know of no emergency, absences count as false.
    """
    homes = [
        {
            **(report := _home_report(recording)),
            "false_alerts": report["crossings"]["warning"],
            "latency_hours_mean": _mean(collapse_latencies_h(recording)),
        }
        for recording in recordings
    ]
    span_ms = sum(recording.seen_ms for recording in recordings)
    return {"detector": "ladder", "homes": homes, "total": _total(homes, span_ms)}


def replay_early(recordings: Sequence[Recording], method: str, *, one_sensor: bool = False) -> dict[str, Any]:
    """Return the report of an early-watch method over homes, by the protocol of docs/replay.md.

    ``crossings`` stay those of the mandated ladder. Where she was in is told by all sensors, also if the method hears
    one alone. A home not longer than the warm-up has no latency and counts with the days and alerts it has.
    """
    from ingest.early import Method
    from ingest.early.kernel import WARM_UP

    homes = [_early_home(recording, Method(method), one_sensor=one_sensor) for recording in recordings]
    span_ms = sum(recording.seen_ms for recording in recordings)
    after_ms = sum(max(0, recording.last_ms - recording.first_ms - WARM_UP) for recording in recordings)
    after = _total([{**home, "false_alerts": home["false_alerts_after_warm_up"]} for home in homes], after_ms)
    return {
        "detector": method,
        "sensors": "door+1" if one_sensor else "all",
        "homes": homes,
        "total": {**_total(homes, span_ms), "after_warm_up": after},
    }


def _early_home(recording: Recording, method: Any, *, one_sensor: bool) -> dict[str, Any]:
    from ingest.early.kernel import WARM_UP
    from ingest.early.replaying import hours_inside, walk_home

    first_ms, last_ms = recording.first_ms, recording.last_ms
    inside = hours_inside(recording.signals, first_ms, last_ms)
    heard = with_one_sensor(recording) if one_sensor else recording
    walked = walk_home(heard.signals, method, first_ms=first_ms, last_ms=last_ms, inside=inside)
    return {
        **_home_report(recording),
        "false_alerts": len(walked.alerts),
        "false_alerts_after_warm_up": sum(at - first_ms >= WARM_UP for at, _ in walked.alerts),
        "latency_hours_mean": _mean(walked.latencies_h),
        "collapses": len(walked.latencies_h),
        "interior_sensor": heard.interior_sensor,
        "alerts": [{"at": _wall_clock(at), "reason": reason.name.lower()} for at, reason in walked.alerts],
        "note": None
        if last_ms - first_ms > WARM_UP
        else "shorter than the warm-up of seven days: no latency",
    }


def _wall_clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).replace(tzinfo=None).isoformat(timespec="minutes")
