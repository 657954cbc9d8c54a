"""Rows to view-models: a connection and a reader enter, what the pages show leaves; nothing is decided here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from console.scope import Viewer


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, and at which instants.

    ``now`` is community time. ``seen_until`` is how far ingest has done its work: beyond it nobody watched, and
    no state is counted on.
    """

    viewer: Viewer
    now: datetime
    seen_until: datetime
    zone: str = "Asia/Shanghai"

    @property
    def day_begin(self) -> datetime:
        """The latest local midnight."""
        local = self.now.astimezone(ZoneInfo(self.zone))
        return local.replace(hour=0, minute=0, second=0, microsecond=0)

    def ago(self, **span: float) -> datetime:
        return self.now - timedelta(**span)
