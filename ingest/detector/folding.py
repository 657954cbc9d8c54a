"""All messages of a device in columns enter; what its door proves leaves: watched intervals and evidence. Compiled.

The coverage rule of ``coverage.py`` (the reference) evaluated once over a whole set instead of message by message;
the tests hold the two against each other and against the brute-force oracle. Pure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.detector.columns import (
    CLOSED,
    EVENT,
    FAULT,
    FORCED,
    GRANTED,
    NO_COUNTER,
    NTP,
    OPEN,
    RTC,
    STAFF,
    TAKEN,
    TAMPER,
    Bytes,
    Ints,
)
from ingest.detector.compiled import compiled
from kaimen.policy import (
    ATTRIBUTION_AFTER_GRANT_MS,
    ATTRIBUTION_FORCED_MS,
    CLONE_SPREAD_MS,
    FUTURE_MAX_MS,
    PAST_MAX_MS,
    STEP_DRIFT_DIVISOR,
    STEP_MAX_MS,
)

NONE = -(1 << 62)
FOREVER = 1 << 62
WATCHED, BLIND, OPENED = 0, 1, 2


@compiled
def group_rows(device: NDArray[np.int32], count: int, begin: Ints, order: Ints) -> None:
    """Write each device's rows, in order of receipt, to ``order[begin[d]:begin[d + 1]]``; ``begin`` has D + 1."""
    for index in range(count + 1):
        begin[index] = 0
    for row in range(device.shape[0]):
        begin[device[row] + 1] += 1
    for index in range(count):
        begin[index + 1] += begin[index]
    cursor = begin.copy()
    for row in range(device.shape[0]):
        order[cursor[device[row]]] = row
        cursor[device[row]] += 1


@compiled
def placed_ms(ts: int, up: int, clk: int, base: int) -> int:
    """Return a message's instant: its ``ts`` where its clock was right, else by its uptime."""
    if clk == NTP and abs(ts - up - base) <= STEP_MAX_MS + up // STEP_DRIFT_DIVISOR:
        return ts
    return base + up


@compiled
def is_plausible(instant_ms: int, received_ms: int) -> bool:
    """Say whether a message may have happened when it says."""
    return received_ms - PAST_MAX_MS <= instant_ms <= received_ms + FUTURE_MAX_MS


@compiled
def decide(
    left_seq: int, left_opens: int, right_seq: int, right_event: bool, right_opens: int, edge: bool
) -> int:
    """Say what may be concluded between two neighbouring points; as ``coverage.decide_between``."""
    missing = right_seq - left_seq - (1 if right_event else 0)
    if left_opens == NO_COUNTER or right_opens == NO_COUNTER:
        return WATCHED if missing == 0 else BLIND
    opened = right_opens - left_opens - (1 if edge else 0)
    if opened == 0:
        return WATCHED
    if 1 <= opened <= max(missing, 1):
        return OPENED
    return BLIND


@compiled
def comes_before(a: int, b: int, keys: Ints) -> bool:
    """Compare two rows by boot, position, kind, uptime, instant, counter (rows of ``keys``, shape (6, n))."""
    for key in range(keys.shape[0]):
        if keys[key, a] != keys[key, b]:
            return bool(keys[key, a] < keys[key, b])
    return False


@compiled
def sort_rows(count: int, keys: Ints, order: Ints, spare: Ints) -> None:
    """Sort ``0 .. count`` into ``order``, stably: a merge sort that passes over what is in order already."""
    for index in range(count):
        order[index] = index
    width = 1
    while width < count:
        for low in range(0, count - width, 2 * width):
            middle = low + width
            high = min(middle + width, count)
            if not comes_before(order[middle], order[middle - 1], keys):
                continue
            for index in range(low, middle):
                spare[index] = order[index]
            left, right, to = low, middle, low
            while left < middle:
                if right < high and comes_before(order[right], spare[left], keys):
                    order[to] = order[right]
                    right += 1
                else:
                    order[to] = spare[left]
                    left += 1
                to += 1
        width *= 2


@compiled
def note_base(slot: int, ts: int, up: int, clk: int, received: int, bases: Ints) -> None:
    """Take a message into its boot's base; ``bases`` has a row (ntp up, ntp ts, least, most, received, rtc)."""
    base = ts - up
    if clk == NTP:
        lowest = bases[slot, 0]
        if lowest == NONE or up < lowest or (up == lowest and ts < bases[slot, 1]):
            bases[slot, 0], bases[slot, 1] = up, ts
        if bases[slot, 2] == NONE or base < bases[slot, 2]:
            bases[slot, 2] = base
        if bases[slot, 3] == NONE or base > bases[slot, 3]:
            bases[slot, 3] = base
    if bases[slot, 4] == NONE or received - up < bases[slot, 4]:
        bases[slot, 4] = received - up
    if clk == RTC and (bases[slot, 5] == NONE or base < bases[slot, 5]):
        bases[slot, 5] = base


@compiled
def with_more_boots(boots: NDArray[np.uint64], bases: Ints) -> tuple[NDArray[np.uint64], Ints]:
    """Return both tables with room for twice as many boots, and eight more."""
    known = boots.shape[0]
    more = np.empty(2 * known + 8, np.uint64)
    wider = np.empty((2 * known + 8, 6), np.int64)
    for slot in range(2 * known + 8):
        for part in range(6):
            wider[slot, part] = bases[slot, part] if slot < known else NONE
        if slot < known:
            more[slot] = boots[slot]
    return more, wider


@compiled
def base_ms(slot: int, bases: Ints) -> int:
    """Return the instant at which the boot started."""
    if bases[slot, 0] != NONE:
        return int(bases[slot, 1] - bases[slot, 0])
    if bases[slot, 5] != NONE:
        return int(min(bases[slot, 4], bases[slot, 5]))
    return int(bases[slot, 4])


@compiled
def is_cloned(slot: int, bases: Ints) -> bool:
    """Say whether synchronised messages disagree about the start by more than an hour."""
    return bool(bases[slot, 2] != NONE and bases[slot, 3] - bases[slot, 2] > CLONE_SPREAD_MS)


@compiled
def same_content(a: int, b: int, content: Ints) -> bool:
    """Compare two rows' contents (rows of ``content``: ts, up, opens, packed codes; shape (4, n))."""
    return bool(
        content[0, a] == content[0, b]
        and content[1, a] == content[1, b]
        and content[2, a] == content[2, b]
        and content[3, a] == content[3, b]
    )


@compiled
def sort_ms(values: Ints, other: Ints, count: int) -> None:
    """Sort the first ``count`` values in place, moving ``other`` along; made for what is nearly in order (Shell)."""
    gap = 1
    while gap < count // 9:
        gap = 3 * gap + 1
    while gap > 0:
        for index in range(gap, count):
            value, beside = values[index], other[index]
            at = index
            while at >= gap and values[at - gap] > value:
                values[at], other[at] = values[at - gap], other[at - gap]
                at -= gap
            values[at], other[at] = value, beside
        gap //= 3


@compiled
def first_at(values: Ints, count: int, instant_ms: int) -> int:
    """Return the index of the first of ``count`` ascending values that is not before an instant."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if values[middle] < instant_ms:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def any_within(values: Ints, count: int, low_ms: int, high_ms: int) -> bool:
    """Say whether ``count`` ascending instants have one in ``[low, high]``."""
    index = first_at(values, count, low_ms)
    return bool(index < count and values[index] <= high_ms)


@compiled
def add_run(low: int, high: int, count: int, runs: Ints) -> int:
    """Append an interval to ``runs`` (shape (2, n)), melting it with the last where they touch."""
    if count and runs[1, count - 1] >= low and runs[0, count - 1] <= low:
        runs[1, count - 1] = max(runs[1, count - 1], high)
        return count
    runs[0, count], runs[1, count] = low, high
    return count + 1


@compiled
def unite(count: int, runs: Ints) -> int:
    """Make intervals disjoint and ascending, in place; return how many are left."""
    sort_ms(runs[0], runs[1], count)
    kept = 0
    for index in range(count):
        low, high = runs[0, index], runs[1, index]
        if kept and low <= runs[1, kept - 1]:
            runs[1, kept - 1] = max(runs[1, kept - 1], high)
        else:
            runs[0, kept], runs[1, kept] = low, high
            kept += 1
    return kept


@compiled
def cut(count: int, runs: Ints, holes: int, spans: Ints, spare: Ints) -> int:
    """Take ascending disjoint ``spans`` out of ascending disjoint ``runs``, in place; both shape (2, n)."""
    if holes == 0:
        return count
    kept = 0
    hole = 0
    for index in range(count):
        low, high = runs[0, index], runs[1, index]
        while hole < holes and spans[1, hole] <= low:
            hole += 1
        at = hole
        while at < holes and spans[0, at] < high:
            if low < spans[0, at]:
                spare[0, kept], spare[1, kept] = low, spans[0, at]
                kept += 1
            low = max(low, spans[1, at])
            at += 1
        if low < high:
            spare[0, kept], spare[1, kept] = low, high
            kept += 1
    for index in range(kept):
        runs[0, index], runs[1, index] = spare[0, index], spare[1, index]
    return kept


@compiled
def tampered_spans(tampers: Ints, tamper_count: int, states: Ints, state_count: int, spans: Ints) -> int:
    """Write the spans from each tamper to the next door state; both lists ascending. Return how many."""
    count = 0
    for number in range(tamper_count):
        instant = tampers[number]
        if count and instant < spans[1, count - 1]:
            continue
        index = first_at(states, state_count, instant + 1)
        spans[0, count] = instant
        spans[1, count] = states[index] if index < state_count else FOREVER
        count += 1
    return count


@compiled
def fold_device(
    rows: Ints,
    boot: NDArray[np.uint64],
    kind: Bytes,
    seq: Ints,
    up: Ints,
    ts: Ints,
    clk: Bytes,
    type_: Bytes,
    cls: Bytes,
    remote: NDArray[np.bool_],
    opens: Ints,
    received: Ints,
    supervision_ms: int,
    until_ms: int,
    runs: Ints,
    spare: Ints,
    evidence: Ints,
    keys: Ints,
    content: Ints,
    order: Ints,
    marks: Ints,
) -> tuple[int, int]:
    """Fold one device's rows (indices in order of receipt, n of them) as the whole set shows it at ``until_ms``.

    Writes the watched intervals, tail included, to ``runs`` (shape (2, 3n + 4)) and the instants of evidence at a
    dwelling door, ascending, to ``evidence`` (shape (2n,)); returns how many of each. The rest is scratch: ``spare``
    like ``runs``, ``keys`` (6, n), ``content`` (4, n), ``order`` (2, n), ``marks`` (6, n).
    """
    count = rows.shape[0]
    # -- boots and their bases
    boots = np.empty(0, np.uint64)
    bases = np.empty((0, 6), np.int64)
    boots, bases = with_more_boots(boots, bases)
    known = 0
    slot = 0
    for index in range(count):
        row = rows[index]
        if known == 0 or boots[slot] != boot[row]:
            slot = 0
            while slot < known and boots[slot] != boot[row]:
                slot += 1
            if slot == known:
                if known == boots.shape[0]:
                    boots, bases = with_more_boots(boots, bases)
                boots[known] = boot[row]
                known += 1
        note_base(slot, ts[row], up[row], clk[row], received[row], bases)
        keys[0, index] = slot
    # -- instants, and the order of the points
    for index in range(count):
        row = rows[index]
        slot = keys[0, index]
        keys[1, index] = seq[row]
        keys[2, index] = 1 if kind[row] == EVENT else 2
        keys[3, index] = up[row]
        keys[4, index] = placed_ms(ts[row], up[row], clk[row], base_ms(slot, bases))
        keys[5, index] = opens[row]
        content[0, index], content[1, index], content[2, index] = ts[row], up[row], opens[row]
        codes = (clk[row] << 8 | type_[row]) << 8 | cls[row] << 1 | (1 if remote[row] else 0)
        content[3, index] = codes
    sort_rows(count, keys, order[0], order[1])
    # -- what neighbouring points prove; what events are there
    run_count = 0
    counted = 0
    heard = NONE
    edges, takens, states, tampers, forced, others = 0, 0, 0, 0, 0, 0
    last_slot = -1
    cloned = False
    last_seq, last_opens, last_ms = 0, NO_COUNTER, 0
    at = 0
    while at < count:
        index = order[0, at]
        slot = keys[0, index]
        if slot != last_slot:
            last_slot = slot
            cloned = is_cloned(slot, bases)
            last_seq, last_opens, last_ms = 0, NO_COUNTER, base_ms(slot, bases)
        point = -1
        if keys[2, index] == 2:
            if is_plausible(keys[4, index], received[rows[index]]):
                point = index
            at += 1
        else:
            end = at + 1
            while end < count:
                other = order[0, end]
                if keys[0, other] != slot or keys[1, other] != keys[1, index] or keys[2, other] != 1:
                    break
                end += 1
            rank = count
            for place in range(at, end):
                found = order[0, place]
                if not is_plausible(keys[4, found], received[rows[found]]):
                    continue
                earliest = found
                repeated = False
                for elsewhere in range(at, end):
                    other = order[0, elsewhere]
                    if other != found and same_content(found, other, content):
                        earliest = min(earliest, other)
                        if elsewhere < place and is_plausible(keys[4, other], received[rows[other]]):
                            repeated = True
                if repeated:
                    continue
                better = point == -1 or keys[3, found] < keys[3, point]
                if not better and keys[3, found] == keys[3, point]:
                    better = keys[4, found] < keys[4, point]
                    better = better or (keys[4, found] == keys[4, point] and earliest < rank)
                if better:
                    point, rank = found, earliest
                instant = keys[4, found]
                if not cloned and instant > heard:
                    heard = instant
                row = rows[found]
                what = type_[row]
                if what == OPEN:
                    marks[0, edges] = instant
                    edges += 1
                if what in (OPEN, CLOSED):
                    marks[1, states] = instant
                    states += 1
                if what in (TAMPER, FAULT):
                    marks[2, tampers] = instant
                    tampers += 1
                if what == FORCED:
                    marks[3, forced] = instant
                    forced += 1
                if what in (GRANTED, TAKEN):
                    if remote[row] or cls[row] >= STAFF:
                        marks[4, others] = instant
                        others += 1
                    elif what == TAKEN:
                        marks[5, takens] = instant
                        takens += 1
            at = end
        if point == -1:
            continue
        event = keys[2, point] == 1
        edge = event and type_[rows[point]] == OPEN
        if not cloned:
            verdict = decide(last_seq, last_opens, keys[1, point], event, keys[5, point], edge)
            if verdict == WATCHED and keys[4, point] > last_ms:
                run_count = add_run(last_ms, keys[4, point], run_count, runs)
            elif verdict == OPENED:
                evidence[counted] = last_ms
                counted += 1
        last_seq, last_opens, last_ms = keys[1, point], keys[5, point], keys[4, point]
    # -- watched intervals, without tampered spans, with the tail
    sort_ms(marks[1], marks[1], states)
    sort_ms(marks[2], marks[2], tampers)
    sort_ms(marks[3], marks[3], forced)
    sort_ms(marks[4], marks[4], others)
    run_count = unite(run_count, runs)
    spans = np.empty((2, tampers), np.int64)
    holes = tampered_spans(marks[2], tampers, marks[1], states, spans)
    run_count = cut(run_count, runs, holes, spans, spare)
    if run_count and runs[1, run_count - 1] > heard:
        heard = runs[1, run_count - 1]
    if heard != NONE and heard < until_ms <= heard + supervision_ms:
        tail = np.empty((2, holes + 1), np.int64)
        tail[0, 0], tail[1, 0] = heard, until_ms
        pieces = cut(1, tail, holes, spans, spare)
        for index in range(pieces):
            runs[0, run_count], runs[1, run_count] = tail[0, index], tail[1, index]
            run_count += 1
    # -- evidence
    for index in range(takens):
        evidence[counted] = marks[5, index]
        counted += 1
    for index in range(edges):
        instant = marks[0, index]
        if any_within(marks[3], forced, instant - ATTRIBUTION_FORCED_MS, instant + ATTRIBUTION_FORCED_MS):
            continue
        if any_within(marks[4], others, instant - ATTRIBUTION_AFTER_GRANT_MS, instant):
            continue
        evidence[counted] = instant
        counted += 1
    sort_ms(evidence, evidence, counted)
    return run_count, counted
