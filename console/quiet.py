"""A quiet day: a home and an instant enter, the home as it looks on a day on which nothing is the matter leaves; pure.

For a relative the elder blocked without his being told: his page has the form it has on a quiet day, whatever the day
is. Nothing of the real day is in it, neither that a door opened nor that none did.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from console.loaders import Reader
from console.loaders.households import LoadedHousehold, line_of
from console.views.doors import HomeNews

#: From this hour on a quiet day's door has been opened in the morning; before, the evening before.
_SEEN_FROM_HOUR = 10
_MORNING, _EVENING = (7, 30), (18, 0)
_SPREAD_MINUTES = 60


def quiet_instant(household_id: str, now: datetime, zone: str) -> datetime:
    """Return when a door opens on a quiet day: the same for every look of that day, another minute each day."""
    local = now.astimezone(ZoneInfo(zone))
    morning = local.hour >= _SEEN_FROM_HOUR
    day = local if morning else local - timedelta(days=1)
    hour, minute = _MORNING if morning else _EVENING
    spread = sha256(f"{household_id} {day:%Y-%m-%d}".encode()).digest()[0] % _SPREAD_MINUTES
    return day.replace(hour=hour, minute=minute, second=0, microsecond=0) + timedelta(minutes=spread)


def quiet_day(found: LoadedHousehold, reader: Reader) -> LoadedHousehold:
    """Return the home as it looks on a quiet day; one that nobody watches stays so."""
    if found.line is None:
        return found
    at = quiet_instant(str(found.row["id"]), reader.now, reader.zone)
    passed_ms = max(0, round((reader.seen_until - at).total_seconds() * 1000))
    row: dict[str, Any] = {
        **found.row, "stage": 0, "known": True, "not_known_since": None, "absent_until": None, "evidence_at": at,
        "evidence": {"kind": "opening"}, "base_ms": passed_ms, "settled_ms": passed_ms, "anchor_at": reader.seen_until,
        "check_step": 0, "case_id": None, "case_number": None, "case_holder": None, "case_holder_for": None,
    }  # fmt: skip
    return LoadedHousehold(row, found.name, line_of(row, reader), None)


def quiet_news(news: HomeNews) -> HomeNews:
    """Return what he chose to be told, without anything there was to tell."""
    return replace(news, came_home_at=None, missed_at=None, missed_by="")
