"""The communities of a city to choose one of, as frozen types: loaders fill them, the template reads them."""

from __future__ import annotations

from dataclasses import dataclass

from console.views.registry import TEMPLATES


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A community, with how many of its cases are about devices and open."""

    id: str
    name: str
    open_count: int
    url: str


@dataclass(frozen=True, slots=True)
class PlacesPage:
    path: str  # of the page that a community is chosen for
    rows: tuple[PlaceRow, ...] = ()  # most open cases first
    total: int = 0  # of those that the name fits
    name: str = ""  # part of a community's name or id


TEMPLATES["places.html"] = (PlacesPage, "/devices")  # of whoever sees a whole city; fragment: list
