"""Sensor recordings enter, what the ladder makes of them leaves: ``kaimen replay`` without a broker.

A recording is CSV (plain or gzip) with the columns ``home, time, sensor, kind, state``. It carries no heartbeats, so
it is taken as heard throughout, from its first row to its last. Its times are the home's wall clock, read as UTC.
"""

from __future__ import annotations

import csv
import gzip
import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np

from kaimen.policy import DAY_MS, HOUR_MS, MINUTE_MS, THRESHOLDS_DEFAULT_MS

YEAR_MS = 365.25 * DAY_MS
_IN_WITHIN_MS = 5 * MINUTE_MS


class RecordingError(ValueError):
    """A file that cannot be read as what it should be; the text says which, where and how to mend it."""


def open_text(path: Path) -> TextIO:
    """Open a text file that may be gzip."""
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8", newline=""))
    return path.open(encoding="utf-8", newline="")


@dataclass(frozen=True, slots=True)
class Recording:
    """One home: instants of its local wall clock, read as if it were UTC, in milliseconds."""

    home: str
    first_ms: int
    last_ms: int
    openings_ms: list[int]
    front_states: list[tuple[int, bool]]
    activity_ms: list[int]

    @property
    def days(self) -> float:
        return (self.last_ms - self.first_ms) / 86_400_000


_COLUMNS = {"home", "time", "sensor", "kind", "state"}
_OPEN_WORDS = {"on": True, "open": True, "1": True, "off": False, "close": False, "closed": False, "0": False}


def read_recording(path: Path) -> list[Recording]:
    """Read the homes of one recording (CSV with a header, plain or gzip, sorted by time).

    Raises
    ------
    RecordingError
        If a column is missing, a time cannot be read or a state is neither on nor off; with file and line.
    """
    rows: dict[str, list[tuple[int, str, str, bool]]] = {}
    try:
        with open_text(path) as stream:
            reader = csv.DictReader(stream)
            missing = _COLUMNS - set(reader.fieldnames or ())
            if missing:
                raise RecordingError(f"{path.name}: the header lacks {', '.join(sorted(missing))}")
            for number, row in enumerate(reader, start=2):
                rows.setdefault(row["home"], []).append(_parse_row(path, number, row))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{path.name}: cannot be read: {error}") from error
    return [_fold_home(home, sorted(found)) for home, found in rows.items()]


def _parse_row(path: Path, number: int, row: dict[str, str]) -> tuple[int, str, str, bool]:
    try:
        at = datetime.fromisoformat(row["time"]).replace(tzinfo=UTC)
    except (TypeError, ValueError) as error:
        raise RecordingError(f"{path.name}, line {number}: time {row['time']!r} is not ISO 8601") from error
    state = _OPEN_WORDS.get((row["state"] or "").strip().lower())
    if state is None:
        raise RecordingError(f"{path.name}, line {number}: state {row['state']!r} is neither on nor off")
    return round(at.timestamp() * 1000), row["sensor"], row["kind"], state


def _fold_home(home: str, rows: list[tuple[int, str, str, bool]]) -> Recording:
    """Turn states into Closed→Open edges of the front door, each of its sensors by itself."""
    open_now: dict[str, bool] = {}
    openings: list[int] = []
    states: list[tuple[int, bool]] = []
    activity: list[int] = []
    for at, sensor, kind, state in rows:
        if kind == "front_door":
            if state and not open_now.get(sensor, False):
                openings.append(at)
            open_now[sensor] = state
            states.append((at, state))
        elif state:
            activity.append(at)
    return Recording(home, rows[0][0], rows[-1][0], openings, states, activity)


def crossings_of(
    recording: Recording, thresholds_ms: Sequence[int] = THRESHOLDS_DEFAULT_MS
) -> list[tuple[int, int]]:
    """Return the ladder's crossings of one home as (stage, instant), ascending by instant.

    Watching starts with the recording's first row, as ``watched_from`` does in the service.
    """
    from ingest.detector import kernel

    evidence = np.asarray([recording.first_ms, *recording.openings_ms], np.int64)
    thresholds = np.asarray(thresholds_ms, np.int64)
    stages = np.zeros(max(1, len(evidence) * len(thresholds)), np.int64)
    instants = np.zeros_like(stages)
    count = kernel.fold_recording(evidence, recording.last_ms, thresholds, stages, instants)
    found = zip(stages[:count].tolist(), instants[:count].tolist(), strict=True)
    return sorted(found, key=lambda item: (item[1], item[0]))


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


def replay_recordings(recordings: Sequence[Recording]) -> dict[str, Any]:
    """Return the report of the mandated ladder over homes (shape: the ``replay`` contract of the README).

    ``false_alerts`` counts warnings: the recordings know of no emergency, absences count as false.
    """
    homes: list[dict[str, Any]] = []
    latencies: list[float] = []
    for recording in recordings:
        crossings = crossings_of(recording)
        counts = [len([stage for stage, _ in crossings if stage == wanted]) for wanted in (1, 2, 3)]
        latency = _mean(collapse_latencies_h(recording))
        if latency is not None:
            latencies.append(latency)
        homes.append(
            {
                "home": recording.home,
                "days": round(recording.days, 2),
                "openings": len(recording.openings_ms),
                "crossings": dict(zip(("warning", "call", "visit"), counts, strict=True)),
                "false_alerts": counts[0],
                "latency_hours_mean": latency,
                "heard": "taken as heard throughout: the recording carries no heartbeats",
            }
        )
    years = sum(recording.last_ms - recording.first_ms for recording in recordings) / YEAR_MS
    alerts = sum(home["false_alerts"] for home in homes)
    return {
        "detector": "ladder",
        "homes": homes,
        "total": {
            "home_years": round(years, 4),
            "false_alerts_per_home_year": round(alerts / years, 2) if years else None,
            "ci95": poisson_interval(alerts, years) if years else None,
            "latency_hours_mean": _mean(latencies),
        },
    }
