"""Households' instants of evidence enter, sorted; the spans between them that are long enough to matter leave.

A stage cannot be reached sooner than its threshold after the evidence, whatever was watched. So one pass over all
instants finds the few spans longer than the shortest threshold, for any number of policies at once; only those are
judged, with the coverage they had. Where everything was watched the length of the span is the inactivity itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ingest.detector.compiled import compiled
from ingest.detector.state import FOREVER, Instants, Seconds

#: Spans whose longest is found without a branch before one of them is looked at: more is faster where long ones are
#: rare, fewer where every household has one in ten days.
_GAPS_AT_ONCE = 128
#: Instants one thread takes at a time: bounds the room for what it finds.
_SLICE = 1 << 22
#: In the answers: the stage was not reached.
NEVER = -1

Indices = NDArray[np.int64]


@compiled
def _find_long_gaps(
    instants_s: Seconds, from_index: int, to_index: int, least_s: int, found: Indices, gap_s: Seconds
) -> int:
    """Write each index in ``[from_index, to_index)`` whose next instant is ``least_s`` or more later, and by how much.

    A difference wraps where an instant is before its neighbour, as between two households: such a pair is found,
    and thrown away by whoever knows the households.
    """
    count = 0
    index = from_index
    while index < to_index:
        stop = min(index + _GAPS_AT_ONCE, to_index)
        # Slices, because an index that might be negative keeps the compiler from taking sixteen at a time.
        before, after = instants_s[index:stop], instants_s[index + 1 : stop + 1]
        longest = np.uint32(0)
        for position in range(before.shape[0]):
            longest = max(longest, np.uint32(after[position] - before[position]))
        if longest >= least_s:
            for position in range(before.shape[0]):
                gap = np.uint32(after[position] - before[position])
                if gap >= least_s:
                    found[count] = index + position
                    gap_s[count] = gap
                    count += 1
        index = stop
    return count


@compiled
def _drop_between_households(found: Indices, gap_s: Seconds, offsets: Indices) -> int:
    """Keep what was found within a household; return how many. Both are ascending, so one walk will do."""
    kept, household = 0, 0
    for position in range(found.shape[0]):
        while household < offsets.shape[0] and offsets[household] <= found[position]:
            household += 1
        if household < offsets.shape[0] and offsets[household] == found[position] + 1:
            continue
        found[kept] = found[position]
        gap_s[kept] = gap_s[position]
        kept += 1
    return kept


def find_long_gaps(
    instants_s: Seconds, offsets: Indices, least_s: int, *, threads: int = 1
) -> tuple[Indices, Seconds]:
    """Return the indices after which nothing came for ``least_s`` seconds or more, ascending, and for how long.

    Parameters
    ----------
    instants_s
        All households' instants, each household's ascending, one household after the other; shape (N,).
    offsets
        Where each household begins, and N; shape (H + 1,). A household's last instant begins no gap.
    """
    last = max(len(instants_s) - 1, 0)
    slices = [(low, min(low + _SLICE, last)) for low in range(0, last, _SLICE)]
    share = -(-len(slices) // max(threads, 1)) or 1

    def search(mine: Sequence[tuple[int, int]]) -> list[tuple[Indices, Seconds]]:
        room, lengths = np.empty(min(_SLICE, last), np.int64), np.empty(min(_SLICE, last), np.uint32)
        parts = []
        for low, high in mine:
            count = _find_long_gaps(instants_s, low, high, least_s, room, lengths)
            parts.append((room[:count].copy(), lengths[:count].copy()))
        return parts

    shares = [slices[begin : begin + share] for begin in range(0, len(slices), share)]
    if len(shares) <= 1:
        parts = [part for mine in shares for part in search(mine)]
    else:
        with ThreadPoolExecutor(len(shares)) as pool:
            parts = [part for found in pool.map(search, shares) for part in found]
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.uint32)
    found, gap_s = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    kept = _drop_between_households(found, gap_s, offsets)
    return found[:kept], gap_s[:kept]


@compiled
def _count_long_gaps(
    instants_s: Seconds, from_index: int, to_index: int, limits_s: Indices, counts: Indices
) -> None:
    """Add to ``counts[k]`` how many gaps are longer than exactly ``k`` of the ascending limits; ``counts[0]`` stays."""
    shortest = limits_s[0]
    index = from_index
    while index < to_index:
        stop = min(index + _GAPS_AT_ONCE, to_index)
        before, after = instants_s[index:stop], instants_s[index + 1 : stop + 1]
        longest = np.uint32(0)
        for position in range(before.shape[0]):
            longest = max(longest, np.uint32(after[position] - before[position]))
        if longest > shortest:
            for position in range(before.shape[0]):
                gap = np.int64(np.uint32(after[position] - before[position]))
                if gap > shortest:
                    passed = 1
                    while passed < limits_s.shape[0] and gap > limits_s[passed]:
                        passed += 1
                    counts[passed] += 1
        index = stop


def count_crossings(
    instants_s: Seconds,
    offsets: Indices,
    *,
    from_s: int,
    until_s: int,
    thresholds_s: Sequence[Sequence[int]],
    threads: int = 1,
) -> Indices:
    """Count the crossings of households that were watched throughout, by policy and stage; shape (P, T).

    ``thresholds_s`` has P policies of T ascending thresholds each; all are counted in one pass. Inactivity begins at
    ``from_s`` with the watch, and ends at ``until_s`` (included). Instants lie within.
    """
    limits = np.unique(np.asarray(thresholds_s, np.int64))
    last = max(len(instants_s) - 1, 0)
    bounds = [last * part // threads for part in range(threads + 1)]

    def count(part: int) -> Indices:
        counts = np.zeros(len(limits) + 1, np.int64)
        _count_long_gaps(instants_s, bounds[part], bounds[part + 1], limits, counts)
        return counts

    if threads == 1:
        passed = count(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            passed = sum(pool.map(count, range(threads)), np.zeros(len(limits) + 1, np.int64))
    has_any = offsets[1:] > offsets[:-1]
    first, newest = instants_s[offsets[:-1][has_any]], instants_s[offsets[1:][has_any] - 1]
    # A span that ends with an opening must be longer than the threshold; the last one may be as long.
    until_first, since_newest = first.astype(np.int64) - from_s, until_s - newest.astype(np.int64) + 1
    never = np.full(int((~has_any).sum()), until_s - from_s + 1, np.int64)
    for spans in (until_first, since_newest, never):
        passed += _passed(spans, limits)
    # Between two households there is no span, whatever the difference of their instants wrapped to.
    passed -= _passed((first[1:] - newest[:-1]).astype(np.int64), limits)
    longer = np.cumsum(passed[::-1])[::-1]
    counts: Indices = longer[1 + np.searchsorted(limits, np.asarray(thresholds_s, np.int64))]
    return counts


def _passed(spans: Instants, limits: Instants) -> Indices:
    """Return how many spans are longer than exactly ``k`` of the ascending limits, for each ``k``; none for 0."""
    long = spans[spans > limits[0]]
    return np.bincount(np.searchsorted(limits, long, side="left"), minlength=len(limits) + 1)


@compiled
def judge_spans(
    household: Indices,
    start_ms: Instants,
    last_ms: Instants,
    watched_from_ms: Instants,
    watched_to_ms: Instants,
    watched_offsets: Indices,
    row_of: Indices,
    thresholds_ms: Instants,
    crossing_ms: Instants,
    check_ms: Instants,
) -> None:
    """Say when each span after evidence reached each stage under one policy, and when each check fell due.

    Parameters
    ----------
    household, start_ms, last_ms
        Whose spans, when each began with evidence and the last instant that belongs to it; shape (E,).
    watched_from_ms, watched_to_ms, watched_offsets
        What was watched: disjoint ascending intervals, and where each household's begin; shapes (W,), (W,), (H + 1,).
    row_of, thresholds_ms
        Each household's row of the table of ascending thresholds padded with ``FOREVER``; shapes (H,), (R, T).
    crossing_ms, check_ms
        The answers, ``NEVER`` where there is none; shape (E, T).
    """
    stages = thresholds_ms.shape[1]
    for index in range(household.shape[0]):
        limits = thresholds_ms[row_of[household[index]]]
        low, high = watched_offsets[household[index]], watched_offsets[household[index] + 1]
        end = high
        while low < high:  # the first interval that ends after the evidence
            middle = (low + high) // 2
            if watched_to_ms[middle] <= start_ms[index]:
                low = middle + 1
            else:
                high = middle
        seen, stage = 0, 0
        while low < end and stage < stages and watched_from_ms[low] < last_ms[index]:
            begin = max(watched_from_ms[low], start_ms[index])
            length = min(watched_to_ms[low], last_ms[index]) - begin
            while stage < stages and limits[stage] != FOREVER and seen + length >= limits[stage]:
                crossing_ms[index, stage] = begin + limits[stage] - seen
                stage += 1
            seen += length
            low += 1
        for number in range(stages):
            due = start_ms[index] + limits[number]
            if limits[number] == FOREVER or due > last_ms[index]:
                break
            if crossing_ms[index, number] == NEVER or crossing_ms[index, number] > due:
                check_ms[index, number] = due


def padded_thresholds(policies: Sequence[Sequence[int]]) -> Instants:
    """Return a table of ascending thresholds in milliseconds, padded with ``FOREVER``; shape (R, T)."""
    table = np.full((len(policies), max(len(policy) for policy in policies)), FOREVER, np.int64)
    for row, thresholds_ms in zip(table, policies, strict=True):
        row[: len(thresholds_ms)] = thresholds_ms
    return table
