"""Recorded columns and their households enter; every crossing and check of the whole set leaves. Compiled, pure.

What ``HouseholdRule.history`` says of one household in plain Python, for a street of them at once: devices are folded
by ``folding.fold_device``, then each household is judged over the intersection of what its doors watched.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.detector.columns import Columns, Homes, Ints
from ingest.detector.compiled import compiled
from ingest.detector.folding import first_at, fold_device, group_rows, sort_ms
from kaimen.policy import ABSENCE_MAX_MS

#: ``ended_at`` of a check that still stands.
NOT_ENDED = -1


class History(NamedTuple):
    """Rows (household, stage, at) and (household, step, at, ended_at), sorted by (at, household, number)."""

    crossings: Ints
    checks: Ints


class Folded(NamedTuple):
    """What devices proved: watched intervals ``low`` .. ``high`` and instants of evidence, with offsets per device."""

    run_begin: Ints
    low: Ints
    high: Ints
    evidence_begin: Ints
    evidence: Ints


@compiled
def with_room(values: Ints, used: int, needed: int) -> Ints:
    """Return ``values``, or a copy with more room where ``needed`` do not fit."""
    if needed <= values.shape[0]:
        return values
    roomier = np.empty(2 * needed, np.int64)
    for index in range(used):
        roomier[index] = values[index]
    return roomier


@compiled
def fold_devices(
    first: int,
    last: int,
    begin: Ints,
    grouped: Ints,
    device: NDArray[np.int32],
    boot: NDArray[np.uint64],
    kind: NDArray[np.uint8],
    seq: Ints,
    up: Ints,
    ts: Ints,
    clk: NDArray[np.uint8],
    type_: NDArray[np.uint8],
    cls: NDArray[np.uint8],
    remote: NDArray[np.bool_],
    opens: Ints,
    received: Ints,
    supervision_ms: Ints,
    until_ms: int,
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Fold devices ``first`` to ``last`` (excluded); return the arrays of ``Folded``, longer than they are filled."""
    most = 0
    for index in range(first, last):
        most = max(most, begin[index + 1] - begin[index])
    runs = np.empty((2, 3 * most + 4), np.int64)
    spare = np.empty((2, 3 * most + 4), np.int64)
    evidence = np.empty(2 * most, np.int64)
    keys = np.empty((6, most), np.int64)
    content = np.empty((4, most), np.int64)
    order = np.empty((2, most), np.int64)
    marks = np.empty((6, most), np.int64)
    run_begin = np.zeros(last - first + 1, np.int64)
    evidence_begin = np.zeros(last - first + 1, np.int64)
    low = np.empty(1024, np.int64)
    high = np.empty(1024, np.int64)
    all_evidence = np.empty(1024, np.int64)
    ran, told = 0, 0
    for index in range(first, last):
        run_count, counted = fold_device(
            grouped[begin[index] : begin[index + 1]],
            boot, kind, seq, up, ts, clk, type_, cls, remote, opens, received,
            supervision_ms[index], until_ms,
            runs, spare, evidence, keys, content, order, marks,
        )  # fmt: skip
        low = with_room(low, ran, ran + run_count)
        high = with_room(high, ran, ran + run_count)
        all_evidence = with_room(all_evidence, told, told + counted)
        for number in range(run_count):
            low[ran], high[ran] = runs[0, number], runs[1, number]
            ran += 1
        for number in range(counted):
            all_evidence[told] = evidence[number]
            told += 1
        run_begin[index - first + 1] = ran
        evidence_begin[index - first + 1] = told
    return run_begin, low, high, evidence_begin, all_evidence


@compiled
def intersect(count: int, left: Ints, low: Ints, high: Ints, first: int, last: int, out: Ints) -> int:
    """Write ``left`` (shape (2, n), ``count`` used) where ``low .. high`` of ``first`` to ``last`` hold, to ``out``."""
    kept = 0
    a, b = 0, first
    while a < count and b < last:
        since, until = max(left[0, a], low[b]), min(left[1, a], high[b])
        if since < until:
            out[0, kept], out[1, kept] = since, until
            kept += 1
        if left[1, a] <= high[b]:
            a += 1
        else:
            b += 1
    return kept


@compiled
def reach(watched: Ints, first: int, count: int, from_ms: int, to_ms: int, threshold_ms: int) -> int:
    """Return when watched time within ``(from, to]`` reaches the threshold, -1 where it does not."""
    seen = 0
    for index in range(first, count):
        if watched[0, index] >= to_ms:
            break
        low, high = max(watched[0, index], from_ms), min(watched[1, index], to_ms)
        if low < high:
            if seen + high - low >= threshold_ms:
                return int(low + threshold_ms - seen)
            seen += high - low
    return -1


@compiled
def suspend(
    absence_from: Ints,
    absence_to: Ints,
    first: int,
    last: int,
    evidence: Ints,
    told: int,
    watched_from: int,
    out: Ints,
) -> int:
    """Write absences ``first`` to ``last`` as from .. their end or first evidence inside; drop empty ones."""
    count = 0
    for index in range(first, last):
        low, high = absence_from[index], absence_to[index]
        inside = first_at(evidence, told, low)
        if inside < told:
            high = min(high, evidence[inside])
        if low <= watched_from:
            high = min(high, watched_from)
        if low < high:
            out[0, count], out[1, count] = low, high
            count += 1
    return count


@compiled
def list_starts(
    evidence: Ints, told: int, spans: Ints, span_count: int, watched_from: int, until_ms: int, starts: Ints
) -> int:
    """Write the instants at which inactivity begins anew, ascending; return how many."""
    count = 1
    starts[0] = watched_from
    for index in range(told):
        if watched_from <= evidence[index] <= until_ms:
            starts[count] = evidence[index]
            count += 1
    for index in range(span_count):
        if watched_from <= spans[1, index] <= until_ms:
            starts[count] = spans[1, index]
            count += 1
    sort_ms(starts, starts, count)
    return count


@compiled
def judge_home(
    home: int,
    watched: Ints,
    run_count: int,
    spans: Ints,
    span_count: int,
    starts: Ints,
    start_count: int,
    thresholds: Ints,
    until_ms: int,
    crossings: Ints,
    crossed: int,
    checks: Ints,
    checked: int,
) -> tuple[int, int]:
    """Judge one household as ``HouseholdRule.history``; append rows to ``crossings`` and ``checks`` (flat)."""
    first = 0
    for index in range(start_count):
        start = starts[index]
        if index + 1 < start_count and starts[index + 1] == start:
            continue
        ended = starts[index + 1] if index + 1 < start_count else NOT_ENDED
        suspended = False
        for span in range(span_count):
            if spans[0, span] <= start < spans[1, span]:
                suspended = True
            if start < spans[0, span] <= until_ms and (ended == NOT_ENDED or spans[0, span] < ended):
                ended = spans[0, span]
        if suspended:
            continue
        last = until_ms if ended == NOT_ENDED else ended - 1
        while first < run_count and watched[1, first] <= start:
            first += 1
        for number in range(thresholds.shape[0]):
            due = start + thresholds[number]
            if due > last:
                break
            at = reach(watched, first, run_count, start, last, thresholds[number])
            if at != -1:
                crossings[crossed], crossings[crossed + 1], crossings[crossed + 2] = home, number + 1, at
                crossed += 3
            if at == -1 or at > due:
                checks[checked], checks[checked + 1] = home, number + 1
                checks[checked + 2], checks[checked + 3] = due, ended
                checked += 4
    return crossed, checked


@compiled
def judge_homes(
    first: int,
    last: int,
    door_begin: Ints,
    doors: NDArray[np.int32],
    watched_from: Ints,
    thresholds: Ints,
    absence_begin: Ints,
    absence_from: Ints,
    absence_to: Ints,
    run_begin: Ints,
    low: Ints,
    high: Ints,
    evidence_begin: Ints,
    evidence: Ints,
    until_ms: int,
) -> tuple[Ints, int, Ints, int]:
    """Judge households ``first`` to ``last`` (excluded) over their folded doors.

    Returns the rows of ``History``, flat and longer than filled, each with how many numbers of it are filled.
    """
    crossings, crossed = np.empty(1024, np.int64), 0
    checks, checked = np.empty(1024, np.int64), 0
    for home in range(first, last):
        if watched_from[home] > until_ms:
            continue
        size, told = 0, 0
        for number in range(door_begin[home], door_begin[home + 1]):
            door = doors[number]
            size += run_begin[door + 1] - run_begin[door]
            told += evidence_begin[door + 1] - evidence_begin[door]
        watched = np.empty((2, size), np.int64)
        spare = np.empty((2, size), np.int64)
        opened = np.empty(told, np.int64)
        count, told = 0, 0
        for number in range(door_begin[home], door_begin[home + 1]):
            door = doors[number]
            if number == door_begin[home]:
                for index in range(run_begin[door], run_begin[door + 1]):
                    watched[0, count], watched[1, count] = low[index], high[index]
                    count += 1
            else:
                count = intersect(count, watched, low, high, run_begin[door], run_begin[door + 1], spare)
                watched, spare = spare, watched
            for index in range(evidence_begin[door], evidence_begin[door + 1]):
                opened[told] = evidence[index]
                told += 1
        sort_ms(opened, opened, told)
        away, back = absence_begin[home], absence_begin[home + 1]
        spans = np.empty((2, back - away), np.int64)
        span_count = suspend(absence_from, absence_to, away, back, opened, told, watched_from[home], spans)
        starts = np.empty(told + span_count + 1, np.int64)
        start_count = list_starts(opened, told, spans, span_count, watched_from[home], until_ms, starts)
        room = start_count * thresholds.shape[1]
        crossings = with_room(crossings, crossed, crossed + 3 * room)
        checks = with_room(checks, checked, checked + 4 * room)
        crossed, checked = judge_home(
            home, watched, count, spans, span_count, starts, start_count, thresholds[home], until_ms,
            crossings, crossed, checks, checked,
        )  # fmt: skip
    return crossings, crossed, checks, checked


def history_of_columns(columns: Any, households: Any, until_ms: int, *, workers: int = 1) -> History:
    """Judge recorded messages of many households at once, as the whole set shows them at ``until_ms``.

    Parameters
    ----------
    columns, households
        The layouts of ``Columns`` and ``Homes``, or anything with arrays of those names. Messages received after
        ``until_ms`` are not looked at.
    workers
        Threads; each folds a share of the devices and holds no lock while it does.

    Raises
    ------
    ColumnsError
        If an array is missing or has values outside the layout.
    """
    homes = Homes.of(households)
    devices = len(homes.supervision_ms)
    found = Columns.of(columns, devices=devices)
    if len(found) and int(found.received.max()) > until_ms:
        heard = found.received <= until_ms
        found = Columns(*(column[heard] for column in found.arrays()))
    begin, grouped = np.zeros(devices + 1, np.int64), np.empty(len(found), np.int64)
    group_rows(found.device, devices, begin, grouped)
    bounds = np.searchsorted(begin, np.linspace(0, len(found), workers + 1)).tolist()
    bounds = [0, *(min(bound, devices) for bound in bounds[1:-1]), devices]

    def fold(share: int) -> Folded:
        arrays: Any = tuple(found.arrays())
        first, last = bounds[share], bounds[share + 1]
        fold_all: Any = fold_devices
        told = fold_all(first, last, begin, grouped, *arrays, homes.supervision_ms, until_ms)
        return Folded(*told)

    folded = _joined(_each(fold, workers))
    absences = _absences_of(homes)
    cuts = np.linspace(0, len(homes), workers + 1).astype(int).tolist()

    def judge(share: int) -> History:
        crossings, crossed, checks, checked = judge_homes(
            cuts[share], cuts[share + 1], homes.door_begin, homes.doors, homes.watched_from, homes.thresholds,
            *absences, *folded, until_ms,
        )  # fmt: skip
        return History(crossings[:crossed].reshape(-1, 3), checks[:checked].reshape(-1, 4))

    parts = _each(judge, workers)
    return History(_in_order([part.crossings for part in parts]), _in_order([part.checks for part in parts]))


def _each(work: Any, workers: int) -> list[Any]:
    if workers == 1:
        return [work(0)]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, range(workers)))


def _joined(parts: list[Folded]) -> Folded:
    """Put the shares of neighbouring devices together."""
    if len(parts) == 1:
        return parts[0]
    return Folded(
        _offsets([part.run_begin for part in parts]),
        np.concatenate([part.low[: part.run_begin[-1]] for part in parts]),
        np.concatenate([part.high[: part.run_begin[-1]] for part in parts]),
        _offsets([part.evidence_begin for part in parts]),
        np.concatenate([part.evidence[: part.evidence_begin[-1]] for part in parts]),
    )


def _offsets(parts: list[Ints]) -> Ints:
    counts = np.concatenate([np.diff(part) for part in parts])
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def _absences_of(homes: Homes) -> tuple[Ints, Ints, Ints]:
    """Return offsets per household, and beginning and end of the absences that count, ascending in each."""
    low, high = homes.absence_from, homes.absence_to
    valid = (low < high) & (high <= low + ABSENCE_MAX_MS)
    owners, low, high = homes.absence_household[valid], low[valid], high[valid]
    order = np.lexsort((high, low, owners))
    counts = np.bincount(owners, minlength=len(homes))
    begin = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    return begin, low[order], high[order]


def _in_order(parts: list[Ints]) -> Ints:
    rows = np.concatenate(parts)
    return rows[np.lexsort((rows[:, 1], rows[:, 0], rows[:, 2]))]
