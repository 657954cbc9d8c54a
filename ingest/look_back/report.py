"""The database, days and policies enter; a report of what each policy would have made leaves, in numbers alone.

``prepare`` reads and judges the doors, which takes its time; ``report_on`` then puts any policies beside the one in
force within milliseconds. Nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ingest.look_back import past as stored
from ingest.look_back.backtest import STAGES, Outcome, Past, Policy
from ingest.look_back.past import StoredCrossing
from kaimen.clock import as_ms
from kaimen.database import Connection
from kaimen.policy import DAY_MS, HOUR_MS, MINUTE_MS

IN_FORCE = "in force"
DAYS_USUAL = 30
DAYS_MAX = 400
POLICIES_MAX = 20
STAGES_MAX = 8
THRESHOLD_MIN_MS = 10 * MINUTE_MS
#: Not longer than what is read before the period, or a stage could be missed.
THRESHOLD_MAX_MS = 30 * DAY_MS

_UNITS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_THRESHOLD = re.compile(r"(\d{1,6})([mhd])")
#: What a reader must know of a report, by code; the words stand with whoever shows it.
NOTES = {
    "registry_now": "the registry is taken as it is now: doors, consents, absences and witnesses' words",
    "policy_began": "another policy began within these days: 'in force' is the one of now, for all of them",
    "several_policies": "households have several policies: 'in force' is each one's own",
    "changed_later": "announced and found differ where evidence, heartbeats or the registry came or changed later",
}


def parse_thresholds(text: str) -> tuple[int, ...]:
    """Return ascending thresholds in milliseconds.

    Raises
    ------
    ValueError
        Saying which part does not fit, and how it is written.
    """
    found: list[int] = []
    for part in text.split(","):
        match = _THRESHOLD.fullmatch(part.strip())
        if match is None:
            raise ValueError(
                f"{part.strip()!r} in {text!r} is no span of time: write 24h,48h,72h (m, h or d)"
            )
        ms = int(match[1]) * _UNITS[match[2]]
        if not THRESHOLD_MIN_MS <= ms <= THRESHOLD_MAX_MS:
            raise ValueError(f"{part.strip()!r} in {text!r} is outside 10m to 30d")
        if found and ms <= found[-1]:
            raise ValueError(
                f"{text!r} does not rise: each stage comes after the one before, as in 24h,48h,72h"
            )
        found.append(ms)
    if len(found) > STAGES_MAX:
        raise ValueError(f"{text!r} has {len(found)} stages; at most {STAGES_MAX}")
    return tuple(found)


def format_thresholds(thresholds_ms: tuple[int, ...]) -> str:
    """Return thresholds as they are written on the command line, in hours where they are whole hours."""
    return ",".join(
        f"{ms // HOUR_MS}h" if ms % HOUR_MS == 0 else f"{ms // MINUTE_MS}m" for ms in thresholds_ms
    )


@dataclass(frozen=True, slots=True)
class Period:
    """Whole local days, both ends included; ``until`` is how far of them anything is known."""

    first: date
    last: date
    zone: ZoneInfo
    until: datetime

    def days(self) -> list[date]:
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    def edges_ms(self) -> list[int]:
        """Return the begin of each day and the end of the last: a day has 23 to 25 hours."""
        dates = [*self.days(), self.last + timedelta(days=1)]
        return [as_ms(datetime.combine(day, time(0), tzinfo=self.zone).astimezone(UTC)) for day in dates]


def choose_period(first: date | None, last: date | None, zone: str, reached: datetime) -> Period:
    """Return the days to look at: the last thirty up to what ingest has reached, where none are named.

    Raises
    ------
    ValueError
        If the days are in the wrong order, too many, or not here yet.
    """
    place = ZoneInfo(zone)
    today = reached.astimezone(place).date()
    chosen = min(last or today, today)
    begin = first or chosen - timedelta(days=DAYS_USUAL - 1)
    if begin > today:
        raise ValueError(f"--from {begin} is after {today}, up to which ingest has worked")
    if begin > chosen:
        raise ValueError(f"--from {begin} is after --to {chosen}")
    if (chosen - begin).days >= DAYS_MAX:
        raise ValueError(f"{(chosen - begin).days + 1} days; at most {DAYS_MAX}")
    return Period(begin, chosen, place, reached)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A community's past, read and judged as far as no policy changes it."""

    community: str | None
    period: Period
    past: Past
    announced: tuple[StoredCrossing, ...]
    policies_begun: int


def prepare(
    connection: Connection,
    *,
    community: str | None = None,
    first: date | None = None,
    last: date | None = None,
    days: int | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Prepared:
    """Read a community's past; ``days`` are the last so many, where neither ``first`` nor ``last`` is named.

    Raises
    ------
    ValueError
        If a name or a day does not fit; the text says what and what there is.
    """
    zone = stored.load_zone(connection, community)
    reached = stored.load_reached(connection)
    if days is not None and first is None:
        first = (last or reached.astimezone(ZoneInfo(zone)).date()) - timedelta(days=days - 1)
    period = choose_period(first, last, zone, reached)
    edges_ms = period.edges_ms()
    span = (edges_ms[0], edges_ms[-1])
    households = stored.load_past(
        connection, community=community, from_ms=span[0], before_ms=span[1], now_ms=as_ms(period.until),
        progress=progress,
    )  # fmt: skip
    announced = stored.load_stored_crossings(connection, community, *span)
    begun = stored.count_policies_begun(connection, *span)
    return Prepared(community, period, Past(households, edges_ms), tuple(announced), begun)


def report_on(prepared: Prepared, tried: Sequence[Policy]) -> dict[str, Any]:
    """Return the report of ``kaimen backtest --json``: the policy in force first, then those that were tried."""
    past, period = prepared.past, prepared.period
    outcomes = past.judge([Policy(IN_FORCE), *tried])
    seen, base = past.seen, outcomes[0]
    report = {
        "community": prepared.community,
        "zone": str(period.zone),
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "until": period.until.isoformat(),
        "households": len(past.households),
        "household_days": {
            "all": _days(seen.watchable_ms.sum()),
            "watched": _days(seen.watched_ms.sum()),
            "absent": _days(seen.absent_ms.sum()),
            "unseen": _days(seen.unseen_ms.sum()),
        },
        "unseen_by_day": [_days(ms) for ms in seen.unseen_ms],
        "watched_by_day": [_days(ms) for ms in seen.watched_ms],
        "days": [day.isoformat() for day in period.days()],
        "policies": [_policy(outcome, base, past) for outcome in outcomes],
        "stored": _compare(prepared.announced, base),
    }
    codes = _note_codes(prepared, report)
    return {**report, "notes": [NOTES[code] for code in codes], "note_codes": codes}


def look_back(
    connection: Connection,
    *,
    thresholds: Sequence[tuple[int, ...]] = (),
    policies: Sequence[str] = (),
    community: str | None = None,
    first: date | None = None,
    last: date | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Return the report on thresholds and stored policies (``id`` or ``id@version``).

    Raises
    ------
    ValueError
        If a name, a day or a policy does not fit; the text says what and what there is.
    """
    tried = [Policy(format_thresholds(found), found) for found in thresholds]
    tried += [Policy(*stored.load_policy(connection, *split_policy(name))) for name in policies]
    prepared = prepare(connection, community=community, first=first, last=last, progress=progress)
    return report_on(prepared, tried)


def split_policy(text: str) -> tuple[str, int | None]:
    """Read ``id`` or ``id@version``.

    Raises
    ------
    ValueError
        If what stands after the @ is no number.
    """
    name, separator, version = text.partition("@")
    if separator and not version.isdecimal():
        raise ValueError(f"{text!r}: after @ comes a version number, as in mandated@2")
    return name, int(version) if version else None


def _stage_names(width: int) -> list[str]:
    return [*STAGES, *(f"stage_{number}" for number in range(len(STAGES) + 1, width + 1))]


def _days(ms: Any) -> float:
    return round(int(ms) / DAY_MS, 2)


def _policy(outcome: Outcome, base: Outcome, past: Past) -> dict[str, Any]:
    days = len(outcome.stages)
    names = _stage_names(outcome.stages.shape[1])
    totals = [int(n) for n in outcome.stages.sum(axis=0)]
    before = [int(n) for n in base.stages.sum(axis=0)] + [0] * len(names)
    own = {outcome.policy.thresholds_ms or item.thresholds_ms for item in past.households}
    return {
        "name": outcome.policy.name,
        "thresholds_s": [ms // 1000 for ms in next(iter(own))] if len(own) == 1 else None,
        "total": dict(zip(names, totals, strict=True)),
        "a_day": {name: round(total / days, 2) for name, total in zip(names, totals, strict=True)},
        "difference": {name: n - before[at] for at, (name, n) in enumerate(zip(names, totals, strict=True))},
        "checks": dict(zip(names, (int(n) for n in outcome.checks.sum(axis=0)), strict=True)),
        "households": outcome.household_count,
        "by_day": {name: outcome.stages[:, at].tolist() for at, name in enumerate(names)},
        "checks_by_day": {name: outcome.checks[:, at].tolist() for at, name in enumerate(names)},
    }


def _compare(announced: Sequence[StoredCrossing], in_force: Outcome) -> dict[str, Any]:
    """Put what was announced beside what the same policy makes of it afterwards."""
    said = {(item.household_id, item.stage, item.at_ms) for item in announced}
    stood = {(item.household_id, item.stage, item.at_ms) for item in announced if not item.late}
    found = set(in_force.crossings)
    names = _stage_names(max((item.stage for item in announced), default=0))
    return {
        "total": {name: sum(item.stage == at for item in announced) for at, name in enumerate(names, 1)},
        "withdrawn_by_late_evidence": sum(item.late for item in announced),
        "same_instant": len(said & found),
        "announced_only": len(stood - found),
        "backtest_only": len(found - said),
    }


def _note_codes(prepared: Prepared, report: dict[str, Any]) -> list[str]:
    codes = ["registry_now"]
    if prepared.policies_begun:
        codes.append("policy_began")
    if len({item.thresholds_ms for item in prepared.past.households}) > 1:
        codes.append("several_policies")
    if report["stored"]["announced_only"] or report["stored"]["backtest_only"]:
        codes.append("changed_later")
    return codes
