"""The police's list."""

from __future__ import annotations

from dataclasses import dataclass

from console.views.case import CaseRow
from console.views.registry import TEMPLATES
from console.views.tickets import TicketView


@dataclass(frozen=True, slots=True)
class BuildingCount:
    """Before VISIT police see counts only."""

    building: str
    watched: int
    warning: int
    call: int
    visit: int
    unknown: int


@dataclass(frozen=True, slots=True)
class PolicePage:
    buildings: tuple[BuildingCount, ...]
    cases: tuple[CaseRow, ...]
    tickets: tuple[TicketView, ...] = ()


TEMPLATES["police.html"] = (PolicePage, "/police")  # fragment: list
