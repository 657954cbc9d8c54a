"""What was watched and heard of a community enters with policies; what each would have made leaves, by day. Pure.

The slow part does not depend on the thresholds, and is done once: for each household the instants at which evidence
of life begins a span, and the intervals its doors were watched (``household_past``, by the detector's own rule). Any
number of policies is then judged over arrays in milliseconds. Blind time is in no interval, so it is never counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.detector.coverage import Interval, subtract
from ingest.detector.gaps import (
    NEVER,
    QUARTER_S,
    find_long_spans,
    judge_spans,
    padded_thresholds,
    spans_between,
)
from ingest.detector.rule import HouseholdRule
from ingest.detector.state import Instants

#: The three mandated stages; a policy with more has them counted as well, by number.
STAGES = ("warning", "call", "visit")
SETS_MAX = 20
QUARTER_MS = QUARTER_S * 1000

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class HouseholdPast:
    """One household as no policy changes it; instants and spans in UTC milliseconds, ascending.

    ``marks`` are evidence and the begins of absences; ``begins`` says which of them begin inactivity. The last one
    is no mark but the end of what is known.
    """

    household_id: str
    thresholds_ms: tuple[int, ...]
    watch_from_ms: int
    marks: tuple[int, ...]
    begins: tuple[bool, ...]
    watched: tuple[Interval, ...]
    absences: tuple[Interval, ...]


def household_past(rule: HouseholdRule, until_ms: int) -> HouseholdPast:
    """Reduce a household to what the rule says of it at ``until_ms``, whatever the thresholds."""
    absences = [(low, high) for low, high in rule.suspensions() if low < high]
    watch_from = rule.household.watched_from_ms
    starts = {item.instant_ms for item in rule.all_evidence(until_ms)}
    starts |= {high for _, high in absences if watch_from <= high <= until_ms}
    marks = sorted(starts | {low for low, _ in absences if watch_from <= low <= until_ms})
    begins = [mark in starts and not any(low <= mark < high for low, high in absences) for mark in marks]
    return HouseholdPast(
        rule.household.household_id,
        rule.household.thresholds_ms,
        watch_from,
        (*marks, until_ms + 1),
        (*begins, False),
        tuple(rule.pieces(watch_from, until_ms, until_ms)),
        tuple(_united(absences)),
    )


def _united(spans: Sequence[Interval]) -> list[Interval]:
    united: list[Interval] = []
    for low, high in sorted(spans):
        if united and low <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], high))
        else:
            united.append((low, high))
    return united


@dataclass(frozen=True, slots=True)
class Policy:
    """A set of ascending thresholds for everybody; None: each household's own, as they are in force."""

    name: str
    thresholds_ms: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """How much of the period was seen, per day; household-milliseconds, shape (D,)."""

    watchable_ms: Counts
    absent_ms: Counts
    watched_ms: Counts

    @property
    def unseen_ms(self) -> Counts:
        """Time in which somebody should have been watched, and nobody could have heard the door."""
        unseen: Counts = self.watchable_ms - self.absent_ms - self.watched_ms
        return unseen


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy would have made: entries into stages, and checks, per day; shapes (D, T).

    ``crossings`` are (household id, stage, instant in milliseconds) within the period, ascending by instant.
    """

    policy: Policy
    stages: Counts
    checks: Counts
    crossings: tuple[tuple[str, int, int], ...]

    @property
    def household_count(self) -> int:
        """How many households would have entered a stage at all."""
        return len({household_id for household_id, _, _ in self.crossings})


class Past:
    """A community's past as arrays; ``days_ms`` are the begins of its days and the end of the last, shape (D + 1,)."""

    def __init__(self, households: Sequence[HouseholdPast], days_ms: Sequence[int]) -> None:
        self.households = households
        self.days_ms: Instants = np.asarray(days_ms, np.int64)
        self._marks_ms = _joined([item.marks for item in households])
        self._begins = _joined([item.begins for item in households]).astype(bool)
        self._offsets = _offsets([len(item.marks) for item in households])
        self._spans = spans_between(self._marks_ms, self._offsets, unit=QUARTER_MS)
        self._watched = _joined([item.watched for item in households]).reshape(-1, 2)
        self._watched_from = np.ascontiguousarray(self._watched[:, 0])
        self._watched_to = np.ascontiguousarray(self._watched[:, 1])
        self._watched_offsets = _offsets([len(item.watched) for item in households])
        self.seen = self._measure()
        # What was joined need not be kept twice: a community's past may stay for a while.
        self.households = [replace(item, marks=(), begins=(), watched=(), absences=()) for item in households]

    def judge(self, policies: Sequence[Policy]) -> list[Outcome]:
        """Say what each policy would have made of this past."""
        tables = [self._table(policy) for policy in policies]
        if not self.households:
            return [self._empty(policy) for policy in policies]
        shortest_ms = min(int(limits.min()) for limits, _ in tables)
        if shortest_ms >= QUARTER_MS:
            found = find_long_spans(self._spans, shortest_ms // QUARTER_MS)
        else:
            found = np.setdiff1d(np.arange(len(self._marks_ms)), self._offsets[1:] - 1)
        found = found[self._begins[found]]
        owner = np.searchsorted(self._offsets, found, side="right") - 1
        spans = (owner, self._marks_ms[found], self._marks_ms[found + 1] - 1)
        return [
            self._judge(policy, limits, rows, *spans)
            for policy, (limits, rows) in zip(policies, tables, strict=True)
        ]

    def _table(self, policy: Policy) -> tuple[Instants, Counts]:
        """Return a policy's distinct thresholds and which of them each household has."""
        own = [policy.thresholds_ms or item.thresholds_ms for item in self.households]
        distinct = sorted(set(own)) or [policy.thresholds_ms or (1,)]
        row_by_thresholds = {thresholds: row for row, thresholds in enumerate(distinct)}
        rows = np.asarray([row_by_thresholds[thresholds] for thresholds in own], np.int64)
        return padded_thresholds(distinct), rows

    def _judge(
        self, policy: Policy, limits: Instants, rows: Counts, owner: Counts, start: Instants, last: Instants
    ) -> Outcome:
        shape = (len(owner), limits.shape[1])
        crossing_ms, check_ms = np.full(shape, NEVER, np.int64), np.full(shape, NEVER, np.int64)
        judge_spans(
            owner, start, last, self._watched_from, self._watched_to, self._watched_offsets, rows, limits,
            crossing_ms, check_ms,
        )  # fmt: skip
        inside = (self.days_ms[0] <= crossing_ms) & (crossing_ms < self.days_ms[-1])
        crossings = sorted(
            (int(crossing_ms[span, stage]), self.households[int(owner[span])].household_id, int(stage) + 1)
            for span, stage in np.argwhere(inside)
        )
        return Outcome(
            policy,
            self._by_day(crossing_ms),
            self._by_day(check_ms),
            tuple((household_id, stage, at_ms) for at_ms, household_id, stage in crossings),
        )

    def _by_day(self, at_ms: Instants) -> Counts:
        days = len(self.days_ms) - 1
        counts = np.zeros((days, max(at_ms.shape[1], len(STAGES))), np.int64)
        for stage in range(at_ms.shape[1]):
            at = at_ms[:, stage]
            inside = at[(self.days_ms[0] <= at) & (at < self.days_ms[-1])]
            day = np.searchsorted(self.days_ms, inside, side="right") - 1
            counts[:, stage] = np.bincount(day, minlength=days)
        return counts

    def _empty(self, policy: Policy) -> Outcome:
        nothing = np.zeros((len(self.days_ms) - 1, len(STAGES)), np.int64)
        return Outcome(policy, nothing, nothing, ())

    def _measure(self) -> Seen:
        days = len(self.days_ms) - 1
        watchable, absent, watched = (np.zeros(days, np.int64) for _ in range(3))
        for item in self.households:
            watch = [(item.watch_from_ms, item.marks[-1] - 1)]
            watchable += self._length_by_day(watch)
            away = subtract(watch, subtract(watch, list(item.absences)))
            absent += self._length_by_day(away)
            watched += self._length_by_day(subtract(list(item.watched), away) if away else item.watched)
        return Seen(watchable, absent, watched)

    def _length_by_day(self, spans: Sequence[Interval]) -> Counts:
        """Return how much of disjoint ascending spans lies in each day."""
        if not spans:
            return np.zeros(len(self.days_ms) - 1, np.int64)
        edges = np.asarray(spans, np.int64)
        length = np.maximum(edges[:, 1] - edges[:, 0], 0)
        reached = np.concatenate([[0], np.cumsum(length)])
        # How much lies before an instant grows in a straight line within each span and not at all between them.
        index = np.searchsorted(edges[:, 0], self.days_ms, side="right") - 1
        within = np.clip(self.days_ms - edges[np.maximum(index, 0), 0], 0, length[np.maximum(index, 0)])
        before = np.where(index < 0, 0, reached[np.maximum(index, 0)] + within)
        by_day: Counts = np.diff(before)
        return by_day


def _joined(parts: Sequence[Sequence[object]]) -> Instants:
    arrays = [np.asarray(part, np.int64).reshape(-1) for part in parts if len(part)]
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)


def _offsets(lengths: Sequence[int]) -> Counts:
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, np.int64))]).astype(np.int64)
