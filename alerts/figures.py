"""How well the alarms are managed: a community and spans of time enter, counted figures leave, and gauges of the last day.

After ISA-18.2 and EEMUA 191 (annunciated alarms per operator-hour, floods, stale, chattering, split by priority) and the
service levels of telecare (time to acknowledge, time to an outcome, visits on time).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from prometheus_client import Gauge

from kaimen.database import Connection, queries

_SQL = queries("alerts", "figures.sql")
#: More annunciations than this in ten minutes are a flood (EEMUA 191).
FLOOD_OVER = 10
#: The same thing annunciated so often within an hour chatters.
CHATTER_FROM = 3

PER_HOUR = Gauge(
    "kaimen_figures_annunciated_per_operator_hour",
    "Annunciated alarms per operator-hour, last day",
    ["community"],
)
FLOODS = Gauge("kaimen_figures_floods", "Ten minutes with more than ten alarms, last day", ["community"])
STALE = Gauge("kaimen_figures_stale", "Cases that have stood for more than a day", ["community"])
CHATTERING = Gauge(
    "kaimen_figures_chattering", "Things annunciated three times in an hour, last day", ["community"]
)
BY_PRIORITY = Gauge(
    "kaimen_figures_annunciated", "Annunciated alarms of the last day", ["community", "priority"]
)
ACKNOWLEDGE_S = Gauge(
    "kaimen_figures_acknowledge_seconds", "Median from annunciation to a holder, last day", ["community"]
)
OUTCOME_S = Gauge(
    "kaimen_figures_outcome_seconds",
    "Median from the start of a task to its outcome, last day",
    ["community", "task"],
)
VISITS = Gauge("kaimen_figures_visits", "Visits due in the last day", ["community", "result"])


class Span(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Figures:
    """One span; medians in seconds, None where nothing of the kind happened."""

    begins_at: datetime
    ends_at: datetime
    annunciated: int
    high: int
    middle: int
    low: int
    floods: int
    chattering: int
    stale: int
    acknowledge_s: float | None
    call_s: float | None
    visit_s: float | None
    visits_due: int
    visits_on_time: int

    def per_operator_hour(self, now: datetime, operators: int = 1) -> float:
        """Return annunciations per hour of the span that has passed, for each of the desk's operators."""
        hours = (min(self.ends_at, now) - self.begins_at) / timedelta(hours=1)
        return self.annunciated / hours / operators if hours > 0 else 0.0


def spans_until(now: datetime, span: Span, count: int, zone: str) -> list[tuple[datetime, datetime]]:
    """Return the last ``count`` local days, weeks (from Monday) or months with the one that runs, oldest first."""
    place = ZoneInfo(zone)
    today = now.astimezone(place).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    starts = [_begin(today, span)]
    while len(starts) < count:
        starts.append(_begin(starts[-1] - timedelta(days=1), span))
    starts.reverse()
    ends = [*starts[1:], _begin(starts[-1] + timedelta(days={"day": 1, "week": 7, "month": 32}[span]), span)]
    return [
        (begin.replace(tzinfo=place), end.replace(tzinfo=place))
        for begin, end in zip(starts, ends, strict=True)
    ]


def _begin(day: datetime, span: Span) -> datetime:
    if span is Span.MONTH:
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if span is Span.WEEK else day


def load_figures(
    connection: Connection, community_id: str, spans: Sequence[tuple[datetime, datetime]], *, now: datetime
) -> list[Figures]:
    """Count each span of a community from stored facts, newest first."""
    rows = connection.execute(
        _SQL["figures"],
        {
            "community_id": community_id, "begins": [begin for begin, _ in spans], "ends": [end for _, end in spans],
            "from_at": spans[0][0], "to_at": spans[-1][1], "now": now, "flood_over": FLOOD_OVER,
            "chatter_from": CHATTER_FROM,
        },
    ).fetchall()  # fmt: skip
    return [_figures(row) for row in rows]


def _figures(row: dict[str, Any]) -> Figures:
    values: dict[str, Any] = dict(row)
    for name in ("acknowledge_s", "call_s", "visit_s"):
        values[name] = None if row[name] is None else float(row[name])
    return Figures(**values)


def list_communities(connection: Connection) -> list[tuple[str, str, str]]:
    """Return every community: id, name, zone."""
    return [
        (row["id"], row["name"], row["zone"]) for row in connection.execute(_SQL["communities"]).fetchall()
    ]


def measure(connection: Connection, *, now: datetime) -> None:
    """Set the gauges: the last twenty-four hours of every community."""
    for gauge in (PER_HOUR, FLOODS, STALE, CHATTERING, BY_PRIORITY, ACKNOWLEDGE_S, OUTCOME_S, VISITS):
        gauge.clear()
    for community_id, _, _ in list_communities(connection):
        (found,) = load_figures(connection, community_id, [(now - timedelta(days=1), now)], now=now)
        PER_HOUR.labels(community_id).set(found.per_operator_hour(now))
        FLOODS.labels(community_id).set(found.floods)
        STALE.labels(community_id).set(found.stale)
        CHATTERING.labels(community_id).set(found.chattering)
        for priority in ("high", "middle", "low"):
            BY_PRIORITY.labels(community_id, priority).set(getattr(found, priority))
        if found.acknowledge_s is not None:
            ACKNOWLEDGE_S.labels(community_id).set(found.acknowledge_s)
        for task, seconds in (("call", found.call_s), ("visit", found.visit_s)):
            if seconds is not None:
                OUTCOME_S.labels(community_id, task).set(seconds)
        VISITS.labels(community_id, "on_time").set(found.visits_on_time)
        VISITS.labels(community_id, "late").set(found.visits_due - found.visits_on_time)
