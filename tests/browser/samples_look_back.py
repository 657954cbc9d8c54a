"""The page about other policies in sample states: answered, and being read with refused fields; view-models leave."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from console.views import look_back as look_back_views
from console.views import parts as view_parts
from kaimen.vocabulary import Role

NOW = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)
COMMUNITIES = (view_parts.Choice("wenchang", "文昌花园"), view_parts.Choice("binhe", "滨河苑"))


def look_back_page() -> object:
    days = [f"2026-11-{day:02d}" for day in range(1, 22)]

    def policy(name: str, hours: tuple[int, ...], warnings: int) -> dict[str, Any]:
        by_day = {
            "warning": [(warnings * (day + 3)) % 7 for day in range(21)],
            "call": [day % 3 for day in range(21)],
            "visit": [day % 2 for day in range(21)],
        }
        total = {stage: sum(counts) for stage, counts in by_day.items()}
        return {
            "name": name, "thresholds_s": [3600 * hour for hour in hours], "total": total,
            "a_day": {stage: round(count / 21, 2) for stage, count in total.items()},
            "difference": dict.fromkeys(by_day, 3 if warnings > 2 else 0), "checks": {"warning": 3, "call": 1, "visit": 0},
            "households": 17, "by_day": by_day, "checks_by_day": by_day,
        }  # fmt: skip

    report = {
        "from": days[0], "to": days[-1], "until": NOW.isoformat(), "households": 412, "days": days,
        "household_days": {"all": 8652.0, "watched": 8401.5, "absent": 120.0, "unseen": 130.5},
        "unseen_by_day": [6.2] * 21, "watched_by_day": [400.0] * 21,
        "policies": [policy("in force", (24, 48, 72), 2), policy("20h,40h,60h", (20, 40, 60), 3)],
        "stored": {"same_instant": 61, "withdrawn_by_late_evidence": 2, "announced_only": 0, "backtest_only": 0},
        "note_codes": ["registry_now", "policy_began", "several_policies", "changed_later"],
    }  # fmt: skip
    tried = (look_back_views.Tried("20-40-60", ("20", "40", "60")),)
    return look_back_views.LookBackPage(
        "wenchang", "文昌花园", COMMUNITIES, view_parts.Form({"community": "wenchang", "days": "30", "purpose": "staffing"}),
        tried, tuple(look_back_views.Tried(value, tuple(value.split("-"))) for value in ("20-40-60", "36-60-84")),
        tuple(view_parts.Choice(str(n), str(n)) for n in (7, 30, 90)), None, report, NOW,
        (look_back_views.EarlierRow(4, NOW - timedelta(hours=2), 30, "staffing", True, tried), look_back_views.EarlierRow(3, NOW - timedelta(days=2), 7, "report", False, tried)),
    )  # fmt: skip


def look_back_reading() -> object:
    choices = (view_parts.Choice("30", "30"),)
    form = view_parts.Form(
        {"community": "wenchang", "days": "30"}, {"": "look_back_busy", "warning": "hours_rise"}
    )
    return look_back_views.LookBackPage(
        "wenchang",
        "文昌花园",
        COMMUNITIES[:1],
        form,
        days_choices=choices,
        reading=look_back_views.Reading(120, 412),
    )


_DIRECTOR = {"current": "portfolio", "role": Role.PROPERTY_DIRECTOR}
PAGES: dict[str, tuple[str, Callable[[], object], dict[str, Any]]] = {
    "look-back": ("look_back.html", look_back_page, _DIRECTOR),
    "look-back-reading": ("look_back.html", look_back_reading, _DIRECTOR),
}
