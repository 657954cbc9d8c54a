"""The street of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.views.case import TimelineEntry
from console.views.parts import _CALLING, DayLine, Mark
from console.views.registry import TEMPLATES
from console.views.sign_in import DemoUser


@dataclass(frozen=True, slots=True)
class Home:
    household_id: str
    label: str
    floor: int
    room: str
    mark: Mark
    door_open: bool = False
    kept_shut: bool = False
    url: str | None = None
    line: DayLine | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    name: str
    homes: tuple[Home, ...]
    gateway_id: str | None = None
    gateway_known: bool = True


@dataclass(frozen=True, slots=True)
class Building:
    name: str
    units: tuple[Unit, ...]

    @property
    def marks(self) -> tuple[tuple[Mark, int], ...]:
        """How many homes carry each mark that calls for somebody; the gravest first."""
        found = [home.mark for unit in self.units for home in unit.homes]
        return tuple((mark, found.count(mark)) for mark in _CALLING if mark in found)


@dataclass(frozen=True, slots=True)
class DemoPage:
    """The clock and the street. ``selected`` is the home whose door is acted on (``/demo?home=…``)."""

    buildings: tuple[Building, ...]
    speed: float
    speeds: tuple[int, ...] = (1, 60, 720, 2880)
    paused: bool = False
    next_crossing_at: datetime | None = None
    next_crossing_label: str | None = None
    selected: Home | None = None
    ingest_running: bool = True
    acts: tuple[TimelineEntry, ...] = ()
    open_cases: int = 0
    users: tuple[DemoUser, ...] = ()


TEMPLATES["demo.html"] = (DemoPage, "/demo")  # ?home=; fragment: street
