"""Two neighbouring points of one start of a device enter; what the span between them proves leaves. Pure.

With the arithmetic of intervals that coverage is made of: tuples of UTC milliseconds, from (excluded) to (included).
"""

from __future__ import annotations

from dataclasses import dataclass

Interval = tuple[int, int]
#: position, kind, up_ms, instant_ms, opens (-1: no counter), whether it is an Open edge
Point = tuple[int, int, int, int, int, bool]
#: up_ms, ts_ms, clock, seq_last, opens, received_ms, by_check_in
Beat = tuple[int, int, str, int, int, int, bool]

START, EVENT, HEARTBEAT = 0, 1, 2
NO_COUNTER = -1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the span between two neighbouring points proves."""

    watched: bool
    opening: bool
    fault: bool


_WATCHED = Verdict(True, False, False)
_BLIND = Verdict(False, False, False)
_OPENED = Verdict(False, True, False)
_OPENED_UNSAID = Verdict(False, True, True)
_FAULT = Verdict(False, False, True)


def decide_between(left: Point, right: Point) -> Verdict:
    """Say what may be concluded for the time from ``left`` (excluded) to ``right`` (included)."""
    missing = right[0] - left[0] - (1 if right[1] == EVENT else 0)
    if left[4] == NO_COUNTER or right[4] == NO_COUNTER:
        return _WATCHED if missing == 0 else _BLIND
    opened = right[4] - left[4] - (1 if right[5] else 0)
    if opened == 0:
        return _WATCHED
    if 1 <= opened <= max(missing, 1):
        return _OPENED if missing else _OPENED_UNSAID
    return _FAULT


def says_nothing(before: Point, middle: Point, after: Point) -> bool:
    return (
        before[1] == middle[1] == after[1] == HEARTBEAT
        and before[0] == middle[0] == after[0]
        and before[4] == middle[4] == after[4]
        and before[3] <= middle[3] <= after[3]
    )


def extend(runs: list[Interval], added: Interval) -> None:
    """Append an interval, melting it with the last where they touch."""
    if runs and runs[-1][1] >= added[0] and runs[-1][0] <= added[0]:
        runs[-1] = (runs[-1][0], max(runs[-1][1], added[1]))
    else:
        runs.append(added)


def united(runs: list[Interval]) -> list[Interval]:
    """Return the union of intervals as disjoint ascending ones."""
    united: list[Interval] = []
    for low, high in sorted(runs):
        if united and low <= united[-1][1]:
            if high > united[-1][1]:
                united[-1] = (united[-1][0], high)
        else:
            united.append((low, high))
    return united


def subtract(intervals: list[Interval], holes: list[Interval]) -> list[Interval]:
    """Return the disjoint ascending ``intervals`` without the disjoint ascending ``holes``."""
    left = list(intervals)
    for low, high in holes:
        kept: list[Interval] = []
        for a, b in left:
            if high <= a or low >= b:
                kept.append((a, b))
                continue
            if a < low:
                kept.append((a, low))
            if high < b:
                kept.append((high, b))
        left = kept
    return left
