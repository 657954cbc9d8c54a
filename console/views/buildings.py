"""What the page of buildings shows: the map, the list beside it and the sections of some, as frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass

from console.views.demo import Building
from console.views.grounds import HouseholdLine
from console.views.parts import Mark
from console.views.registry import TEMPLATES


@dataclass(frozen=True, slots=True)
class Position:
    """Where a building stands on the site plan: its middle, in metres, x to the right and y down; turned clockwise."""

    x_m: int
    y_m: int
    width_m: int
    depth_m: int
    turn_deg: int = 0


@dataclass(frozen=True, slots=True)
class BuildingRow:
    """One building in numbers; away counts as normal, so that nobody is found out by subtraction."""

    name: str
    url: str
    grid: str = ""
    homes: int = 0
    watched: int = 0
    counts: tuple[tuple[Mark, int], ...] = ()  # the gravest first; only marks that call for somebody
    silent_devices: int = 0
    position: Position | None = None
    chosen: bool = False

    @property
    def mark(self) -> Mark:
        return self.counts[0][0] if self.counts else Mark.NORMAL


@dataclass(frozen=True, slots=True)
class BuildingsPage:
    """``sections`` are drawn in full; all other buildings are in ``rows`` and one link away."""

    rows: tuple[BuildingRow, ...]
    sections: tuple[Building, ...]
    selected: HouseholdLine | None = None
    chosen: str = ""

    @property
    def placed(self) -> tuple[BuildingRow, ...]:
        return tuple(row for row in self.rows if row.position is not None)


TEMPLATES["buildings.html"] = (BuildingsPage, "/buildings")  # ?building= ?home=; fragment: street
