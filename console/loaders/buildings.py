"""Buildings: a reader enters; rows with their places and numbers, and sections with every home, leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from console.loaders import Reader
from console.views import parts as view_parts
from console.views.buildings import BuildingRow, Position
from console.views.demo import Building, Home, Unit
from console.views.parts import Mark
from kaimen.database import Connection, queries
from kaimen.vocabulary import Stage

#: Homes drawn at once: more are neither read by anybody nor sent in the time a page may take.
HOMES_SHOWN_MAX = 400
_SQL = queries("console", "buildings.sql")
_COUNTED = ((Mark.HIGH, "day3"), (Mark.MID, "day2"), (Mark.LOW, "day1"), (Mark.UNKNOWN, "unknown"))


def load_rows(connection: Connection, reader: Reader, chosen: str = "") -> tuple[BuildingRow, ...]:
    """Return every building of the reader's community in the order of their numbers."""
    rows = connection.execute(_SQL["buildings"], {"community_id": reader.viewer.community_id}).fetchall()
    return tuple(_row(row, chosen) for row in rows)


def _row(row: Mapping[str, Any], chosen: str) -> BuildingRow:
    place = None
    if row["x_m"] is not None:
        place = Position(row["x_m"], row["y_m"], row["width_m"], row["depth_m"], row["turn_deg"])
    return BuildingRow(
        name=row["name"],
        url="/buildings?" + urlencode({"building": row["name"]}),
        grid=row["grid"],
        homes=row["homes"],
        watched=row["watched"],
        counts=tuple((mark, row[name]) for mark, name in _COUNTED if row[name]),
        silent_devices=row["silent_devices"],
        position=place,
        chosen=row["name"] == chosen,
    )


def sections_to_show(rows: Sequence[BuildingRow], chosen: str = "") -> list[str]:
    """Name the buildings drawn in full: the chosen one, else those that call for somebody first, within a bound."""
    if chosen:
        return [row.name for row in rows if row.name == chosen]
    order = {mark: place for place, mark in enumerate((Mark.HIGH, Mark.MID, Mark.LOW, Mark.UNKNOWN))}
    calling_first = sorted(rows, key=lambda row: order.get(row.mark, len(order)))
    shown: set[str] = set()
    homes = 0
    for row in calling_first:
        if shown and homes + row.homes > HOMES_SHOWN_MAX:
            break
        shown.add(row.name)
        homes += row.homes
    return [row.name for row in rows if row.name in shown]


def load_street(
    connection: Connection, reader: Reader, *, base: str, buildings: Sequence[str] | None = None
) -> tuple[Building, ...]:
    """Return some buildings of the reader's community, or all; a home that nobody watches is an empty window."""
    scope = {
        "community_id": reader.viewer.community_id,
        "buildings": None if buildings is None else list(buildings),
    }
    gateways = {
        (row["building"], row["unit"]): row
        for row in connection.execute(_SQL["unit_gateways"], scope).fetchall()
    }
    homes: dict[str, dict[str, list[Home]]] = {}
    for row in connection.execute(_SQL["street"], scope).fetchall():
        homes.setdefault(row["building"], {}).setdefault(row["unit"], []).append(_home(row, base))
    return tuple(
        Building(
            name,
            tuple(
                Unit(
                    unit,
                    tuple(found),
                    gateway_id=gateways[(name, unit)]["gateway_id"] if (name, unit) in gateways else None,
                    gateway_known=gateways[(name, unit)]["known"] if (name, unit) in gateways else True,
                )
                for unit, found in units.items()
            ),
        )
        for name, units in homes.items()
    )


def _home(row: Mapping[str, Any], base: str) -> Home:
    return Home(
        household_id=row["id"],
        label=row["label"],
        floor=row["floor"],
        room=row["room"],
        mark=_mark(row),
        door_open=row["door_open_since"] is not None,
        url=f"{base}{row['id']}",
    )


def _mark(row: Mapping[str, Any]) -> Mark:
    if not row["watched"] or row["stage"] is None:
        return Mark.NORMAL
    if row["stage"] and row["absent_until"] is None:
        return view_parts.MARK_BY_STAGE[Stage(min(row["stage"], Stage.VISIT))]
    if row["absent_until"] is not None:
        # A board hangs on the wall: nobody learns from it which home is empty.
        return Mark.NORMAL
    return Mark.NORMAL if row["known"] else Mark.UNKNOWN
