"""Building sections: every home of a community as a window, and the chosen one beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from console import views
from console.loaders import Reader
from console.loaders.households import load_households
from console.scope import Section
from console.seat import Seat, entering, not_here
from console.views import Building, Home, Mark, Unit
from kaimen.database import Connection, queries
from kaimen.vocabulary import Stage

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.BUILDINGS))]


@router.get("/buildings")
def buildings(
    seat: Guard, home: Annotated[str, Query(max_length=100)] = "", fragment: str | None = None
) -> Response:
    with seat.transaction() as connection:
        reader = seat.reader(connection)
        selected = None
        if home:
            found = load_households(connection, reader, [home]).get(home)
            if found is None:
                raise not_here()
            selected = found.in_list()
        page = views.BuildingsPage(load_street(connection, reader, base="/buildings?home="), selected)
        return seat.answer(connection, "buildings.html", page, section=Section.BUILDINGS, fragment=fragment)


def load_street(connection: Connection, reader: Reader, *, base: str) -> tuple[Building, ...]:
    """Return the buildings of the reader's community; a home that nobody watches is an empty window."""
    scope = {"community_id": reader.viewer.community_id}
    gateways = {
        (row["building"], row["unit"]): row
        for row in connection.execute(queries("console")["unit_gateways"], scope).fetchall()
    }
    homes: dict[str, dict[str, list[Home]]] = {}
    for row in connection.execute(queries("console")["street"], scope).fetchall():
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
        return views.MARK_BY_STAGE[Stage(min(row["stage"], Stage.VISIT))]
    if row["absent_until"] is not None:
        # A board hangs on the wall: nobody learns from it which home is empty.
        return Mark.NORMAL
    return Mark.NORMAL if row["known"] else Mark.UNKNOWN
