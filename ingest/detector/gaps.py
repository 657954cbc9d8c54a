"""Households' instants of evidence enter, sorted; the spans between them that are long enough to matter leave.

A stage cannot be reached sooner than its threshold after the evidence, whatever was watched. So one pass over all
spans finds the few longer than the shortest threshold, for any number of policies at once; only those are judged,
with the coverage they had. Where everything was watched the length of the span is the inactivity itself.

Who asks more than once keeps the spans in whole quarters of an hour (``spans_between``): one byte for an instant, of
which a question reads nothing else but where a span may be long enough. Rounded down they never hide one; whoever asks
looks at the instants of what is found, where the quarters do not say enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.detector.compiled import compiled
from ingest.detector.state import FOREVER, Instants, Seconds

#: Spans whose longest is found without a branch before one of them is looked at: more is faster where long ones are
#: rare, fewer where every household has one in ten days.
_GAPS_AT_ONCE = 128
#: The same of spans in whole quarters, and how many of those are then looked at together.
_SPANS_AT_ONCE, _SPANS_OF_THOSE = 256, 64
#: Spans one thread takes at a time: bounds the room for what it finds.
_SLICE = 1 << 20
#: In the answers: the stage was not reached.
NEVER = -1
#: A quarter of an hour: what spans are kept in.
QUARTER_S = 900
#: What is as long or longer says so much: two days and sixteen hours, less a quarter.
SPAN_MAX = (1 << 8) - 1
#: Of a span of so many quarters: only its instants say how many limits it is longer than.
_LOOK = -1

Indices = NDArray[np.int64]
Spans = NDArray[np.uint8]


@compiled
def _fill_spans(
    instants: NDArray[Any], from_household: int, to_household: int, offsets: Indices, unit: int, spans: Spans
) -> None:
    for household in range(from_household, to_household):
        end = offsets[household + 1]
        for index in range(offsets[household], end - 1):
            whole = (np.int64(instants[index + 1]) - np.int64(instants[index])) // unit
            spans[index] = min(int(whole), SPAN_MAX)
        if end > offsets[household]:
            spans[end - 1] = 0


def spans_between(
    instants: Instants | Seconds, offsets: Indices, *, unit: int = QUARTER_S, threads: int = 1
) -> Spans:
    """Return for how many whole quarters nothing came after each instant, at most ``SPAN_MAX``; shape (N,).

    Parameters
    ----------
    instants
        All households' instants, each household's ascending, one household after the other; shape (N,).
    offsets
        Where each household begins, and N; shape (H + 1,). A household's last instant begins no span: it has 0.
    unit
        A quarter of an hour in the unit of the instants, or whatever else spans are to be kept in.
    """
    spans = np.empty(len(instants), np.uint8)
    households = len(offsets) - 1
    bounds = [households * part // threads for part in range(threads + 1)]

    def fill(part: int) -> None:
        _fill_spans(instants, bounds[part], bounds[part + 1], offsets, unit, spans)

    if threads == 1:
        fill(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, range(threads)))
    return spans


@compiled
def _longest(spans: Spans) -> np.uint8:
    """Return the longest of some spans, without a branch: sixty-four at a time."""
    longest = np.uint8(0)
    for position in range(spans.shape[0]):
        longest = max(longest, spans[position])
    return longest


@compiled
def _find_long(spans: Spans, from_index: int, to_index: int, least: int, found: Indices) -> int:
    """Write each index in ``[from_index, to_index)`` whose span has ``least`` quarters or more; return how many.

    ``found`` has room for one more than there are. Many are looked at together, of those fewer, of those each.
    """
    count = np.uint64(0)
    for many in range(from_index, to_index, _SPANS_AT_ONCE):
        end = min(many + _SPANS_AT_ONCE, to_index)
        if _longest(spans[many:end]) < least:
            continue
        for few in range(many, end, _SPANS_OF_THOSE):
            part = spans[few : min(few + _SPANS_OF_THOSE, end)]
            if _longest(part) < least:
                continue
            for position in range(part.shape[0]):
                found[count] = few + position
                count += np.uint64(part[position] >= least)
    return int(count)


def find_long_spans(spans: Spans, least: int, *, threads: int = 1) -> Indices:
    """Return the indices after which nothing came for ``least`` (above zero) whole quarters or more, ascending.

    ``least`` beyond ``SPAN_MAX`` also returns what may be shorter.
    """
    assert least > 0, "a household's last instant begins no span"
    least = min(least, SPAN_MAX)
    shares = _shares(len(spans), threads)

    def search(mine: Sequence[tuple[int, int]]) -> list[Indices]:
        room = np.empty(min(_SLICE, len(spans)) + 1, np.int64)
        return [room[: _find_long(spans, low, high, least, room)].copy() for low, high in mine]

    if len(shares) <= 1:
        parts = [part for mine in shares for part in search(mine)]
    else:
        with ThreadPoolExecutor(len(shares)) as pool:
            parts = [part for found in pool.map(search, shares) for part in found]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _shares(spans: int, threads: int) -> list[list[tuple[int, int]]]:
    """Return the slices of so many spans that each thread takes."""
    slices = [(low, min(low + _SLICE, spans)) for low in range(0, spans, _SLICE)]
    bounds = [len(slices) * part // threads for part in range(threads + 1)]
    return [slices[begin:end] for begin, end in pairwise(bounds) if begin < end]


@compiled
def _count_found(
    found: Indices,
    spans: Spans,
    passed_by_span: Indices,
    instants_s: Seconds,
    limits_s: Indices,
    counts: Indices,
) -> None:
    """Count what was found; by its instants, to the second, where its quarters do not say enough."""
    for position in range(found.shape[0]):
        at = found[position]
        passed = passed_by_span[spans[at]]
        if passed == _LOOK:
            _count_gap(np.int64(instants_s[at + 1]) - np.int64(instants_s[at]), limits_s, counts)
        else:
            counts[passed] += 1


def _passed_by_span(limits_s: Indices, unit: int) -> Indices:
    """Return how many of the ascending limits a span of so many quarters is longer than, ``_LOOK`` where that depends."""
    begin = np.arange(SPAN_MAX + 1, dtype=np.int64) * unit
    last = begin + unit - 1
    last[-1] = FOREVER
    least, most = np.searchsorted(limits_s, begin), np.searchsorted(limits_s, last)
    return np.where(least == most, least, _LOOK)


@compiled
def _count_gap(gap: np.int64, limits_s: Indices, counts: Indices) -> None:
    """Count one span under how many of the ascending limits it is longer than."""
    passed = 0
    while passed < limits_s.shape[0] and gap > limits_s[passed]:
        passed += 1
    if passed > 0:
        counts[passed] += 1


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
                    _count_gap(gap, limits_s, counts)
        index = stop


def count_crossings(
    instants_s: Seconds,
    offsets: Indices,
    *,
    from_s: int,
    until_s: int,
    thresholds_s: Sequence[Sequence[int]],
    spans: Spans | None = None,
    unit_s: int = QUARTER_S,
    threads: int = 1,
) -> Indices:
    """Count the crossings of households that were watched throughout, by policy and stage; shape (P, T).

    ``thresholds_s`` has P policies of T ascending thresholds each; all are counted in one pass. Inactivity begins at
    ``from_s`` with the watch, and ends at ``until_s`` (included). Instants lie within. ``spans`` are their
    ``spans_between`` in ``unit_s``, where those were kept; the counts are the same, to the second, if no threshold is
    shorter than the unit.
    """
    limits = np.unique(np.asarray(thresholds_s, np.int64))
    assert spans is None or limits[0] >= unit_s, "a span shorter than the unit has none of it"
    last = max(len(instants_s) - 1, 0)
    bounds = [last * part // threads for part in range(threads + 1)]
    shares = _shares(len(instants_s), threads)
    passed_by_span = _passed_by_span(limits, unit_s)

    def count(part: int) -> Indices:
        counts = np.zeros(len(limits) + 1, np.int64)
        if spans is None:
            _count_long_gaps(instants_s, bounds[part], bounds[part + 1], limits, counts)
            return counts
        least = min(int(limits[0]) // unit_s, SPAN_MAX)
        room = np.empty(min(_SLICE, len(spans)) + 1, np.int64)
        for low, high in shares[part] if part < len(shares) else ():
            found = room[: _find_long(spans, low, high, least, room)]
            _count_found(found, spans, passed_by_span, instants_s, limits, counts)
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
    for outer in (until_first, since_newest, never):
        passed += _passed(outer, limits)
    if spans is None:
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
