"""The access log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from console.views.parts import Choice, Form, HouseholdName
from console.views.registry import TEMPLATES


@dataclass(frozen=True, slots=True)
class LogFilter:
    """As typed; ``from_text`` and ``to_text`` are local date-times of ``<input type=datetime-local>``."""

    door: str = ""
    building: str = ""
    unit: str = ""
    from_text: str = ""
    to_text: str = ""
    type: str = ""
    method: str = ""
    origin: str = ""  # live, replayed


@dataclass(frozen=True, slots=True)
class LogRow:
    """One door event; ``credential`` is a pseudonym, ``whose`` the class of its owner (resident, family, …)."""

    occurred_at: datetime
    received_at: datetime
    door: str
    type: str
    device_id: str
    household: HouseholdName | None = None
    state: str | None = None
    direction: str | None = None
    method: str | None = None
    whose: str | None = None
    credential: str | None = None
    reason: str | None = None
    replayed: bool = False
    late: bool = False
    clock: str = "ntp"


@dataclass(frozen=True, slots=True)
class AccessLogPage:
    filter: LogFilter
    rows: tuple[LogRow, ...]
    doors: tuple[Choice, ...] = ()
    buildings: tuple[Choice, ...] = ()
    units: tuple[Choice, ...] = ()
    types: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    total: int | None = None
    newer_url: str | None = None
    older_url: str | None = None
    export_form: Form = field(default_factory=Form)
    from_at: datetime | None = None  # what was asked for, as it stands on paper; None: it could not be read
    to_at: datetime | None = None
    purpose: str = "care"
    purposes: tuple[str, ...] = ()  # for one of these what is shown may be taken out

    @property
    def asked(self) -> tuple[tuple[str, str], ...]:
        """Return what narrows the log beside its span, as (field, what was chosen), doors and places as people call them."""
        names = {
            "door": self.doors,
            "building": self.buildings,
            "unit": self.units,
        }
        chosen = (
            (field_, getattr(self.filter, field_))
            for field_ in ("door", "building", "unit", "type", "method", "origin")
        )
        return tuple(
            (field_, next((item.label for item in names.get(field_, ()) if item.value == value), value))
            for field_, value in chosen
            if value
        )


# ?door= ?building= ?unit= ?from= ?to= ?type= ?method= ?origin=
TEMPLATES["access_log.html"] = (AccessLogPage, "/access-log")
