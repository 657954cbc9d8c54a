"""What the page about other policies shows: frozen view-models, read by the template and by drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from console.views.parts import Choice, Form
from console.views.registry import TEMPLATES


class LookBackPurpose(StrEnum):
    """What a look-back is for: a closed list."""

    POLICY_REVIEW = "policy_review"
    STAFFING = "staffing"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Tried:
    """A policy somebody wants to see, as hours; ``value`` is how forms carry it."""

    value: str
    hours: tuple[str, ...]
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """How far the doors are read; ``all`` is 0 before the first."""

    done: int
    all: int
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class EarlierRow:
    id: int
    at: datetime
    days: int
    purpose: str
    answered: bool
    policies: tuple[Tried, ...]


@dataclass(frozen=True, slots=True)
class LookBackPage:
    """``report`` is that of ``kaimen backtest --json``; None while it is read, or nothing is asked."""

    community_id: str
    community: str
    communities: tuple[Choice, ...]
    form: Form
    tried: tuple[Tried, ...] = ()
    presets: tuple[Tried, ...] = ()
    days_choices: tuple[Choice, ...] = ()
    reading: Reading | None = None
    report: Mapping[str, Any] | None = None
    until: datetime | None = None
    earlier: tuple[EarlierRow, ...] = ()
    room: bool = True

    def hours_of(self, policy: Mapping[str, Any]) -> tuple[str, ...]:
        """Return a policy's thresholds in hours; nothing where households have several."""
        return tuple(in_hours(1000 * second) for second in policy["thresholds_s"] or ())

    def change(self, policy: Mapping[str, Any], stage: str) -> float:
        """Return how many more (or fewer) a day than with the policy in force."""
        assert self.report is not None
        return float(policy["difference"].get(stage, 0)) / max(1, len(self.report["days"]))

    def checks_a_day(self, policy: Mapping[str, Any]) -> float:
        assert self.report is not None
        return float(sum(policy["checks"].values())) / max(1, len(self.report["days"]))

    @staticmethod
    def day_of(text: str) -> date:
        """Return a day of the report, which is written as ISO 8601, to be said in the reader's way."""
        return date.fromisoformat(text)

    def days(self) -> Sequence[tuple[str, float, list[tuple[int, int, int]]]]:
        """Return each day, newest first, with what nobody saw of it and each policy's warnings, calls and visits."""
        assert self.report is not None
        rows = []
        for at, day in enumerate(self.report["days"]):
            counts = [
                tuple(
                    int(policy["by_day"].get(stage, [0] * (at + 1))[at])
                    for stage in ("warning", "call", "visit")
                )
                for policy in self.report["policies"]
            ]
            rows.append((str(day), float(self.report["unseen_by_day"][at]), counts))
        return list(reversed(rows))  # type: ignore[arg-type]


def in_hours(ms: int) -> str:
    """Return milliseconds as hours, with a decimal only where there is one."""
    hours = ms / 3_600_000
    return f"{hours:.0f}" if hours == int(hours) else f"{hours:.2f}".rstrip("0")


TEMPLATES["look_back.html"] = (LookBackPage, "/look-back")  # ?asked=
