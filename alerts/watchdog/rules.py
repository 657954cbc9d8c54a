"""What the watchdog makes of what it sees: suspicions and open findings enter, what begins, stays and ends leaves; pure.

All instants here are wall time: the watchdog guards people who wait by their own clocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

#: After the first time a finding is told again at growing distances; the last one repeats until it is mended.
TELL_AGAIN_S = (300, 900, 1_800, 3_600, 7_200, 14_400)


class Check(StrEnum):
    """What is looked at; ``watchdog_findings.check_name``."""

    CASE_WITHOUT_FUTURE = "case_without_future"
    NOBODY_ANSWERS = "nobody_answers"
    OUTBOX_WAITS = "outbox_waits"
    NOBODY_REACHED = "nobody_reached"
    SERVICE_STANDS = "service_stands"
    SERVICE_BEHIND = "service_behind"
    LEASE_LOST = "lease_lost"
    CLOCK_WRONG = "clock_wrong"
    HAPPENING_WAITS = "happening_waits"
    HAPPENING_SET_ASIDE = "happening_set_aside"
    DATABASE_AWAY = "database_away"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Something that would be a fault if it stayed. Another ``mark`` is another thing: work went on meanwhile."""

    check: Check
    subject: str = ""
    patience_s: float = 0.0
    mark: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """A row of ``watchdog_findings`` that has not ended; without ``found_at`` it is a suspicion still."""

    id: int
    check: Check
    subject: str
    mark: str
    suspected_at: datetime
    found_at: datetime | None = None
    told_count: int = 0
    tell_at: datetime | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a turn makes of the rows: ids, and suspicions that are new."""

    new: tuple[Suspicion, ...]
    kept: tuple[tuple[int, Suspicion], ...]
    found: tuple[int, ...]
    ended: tuple[int, ...]
    forgotten: tuple[int, ...]


def fold(known: Sequence[Finding], seen: Iterable[Suspicion], wall: datetime) -> Changes:
    """Compare what is seen now with what stood: a suspicion that lasted its patience is a finding."""
    by_key = {(item.check, item.subject): item for item in seen}
    kept: list[tuple[int, Suspicion]] = []
    found: list[int] = []
    ended: list[int] = []
    forgotten: list[int] = []
    for row in known:
        item = by_key.get((row.check, row.subject))
        if item is None or item.mark != row.mark:
            (forgotten if row.found_at is None else ended).append(row.id)
            continue
        del by_key[row.check, row.subject]
        kept.append((row.id, item))
        if row.found_at is None and wall - row.suspected_at >= timedelta(seconds=item.patience_s):
            found.append(row.id)
    return Changes(tuple(by_key.values()), tuple(kept), tuple(found), tuple(ended), tuple(forgotten))


def next_tell_at(told_count: int, wall: datetime) -> datetime:
    """Say when a finding that was told ``told_count`` times, now the last time, is told again."""
    step = TELL_AGAIN_S[min(max(told_count, 1), len(TELL_AGAIN_S)) - 1]
    return wall + timedelta(seconds=step)


def due_to_tell(findings: Iterable[Finding], wall: datetime) -> tuple[Finding, ...]:
    """Return what is told now: found, and never told or its distance over."""
    return tuple(
        row for row in findings if row.found_at is not None and (row.tell_at is None or row.tell_at <= wall)
    )
