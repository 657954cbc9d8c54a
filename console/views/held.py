"""The page of held messages as the template takes it: rows of the outbox enter, what is shown of them leaves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.views.registry import TEMPLATES


@dataclass(frozen=True, slots=True)
class HeldRow:
    """One message; a case number and a way, never to whom."""

    id: int
    number: str
    channel: str
    planned_at: datetime
    case_closed: bool


@dataclass(frozen=True, slots=True)
class HeldPage:
    """``since`` is None where nothing is held; ``backup_at`` when the backup was taken that was restored."""

    since: datetime | None
    reason: str
    backup_at: datetime | None
    waiting: int
    rows: tuple[HeldRow, ...]
    may_open: bool
    newer_url: str | None
    older_url: str | None


TEMPLATES["held.html"] = (HeldPage, "/admin/held")  # ?after=
