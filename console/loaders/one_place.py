"""One community of a whole city: whoever sees many enters with the one she chose; for whom is read, or the choice, leaves."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from console.loaders import Reader
from console.seat import not_here
from console.views.places import PlaceRow, PlacesPage
from kaimen.database import Connection, queries

#: So many communities are shown in one list; of more, one is chosen first: a list of everything that hangs at every door of
#: a city takes longer than anybody waits, and nobody reads it.
TOGETHER_MAX = 10
ROWS_MAX = 200


def read_for(connection: Connection, reader: Reader, place: str) -> Reader | None:
    """Return the reader of the community that was chosen; of all there are where they are few; None: one is to be chosen.

    Raises
    ------
    HTTPException
        If the community is none of hers.
    """
    if place:
        chosen = connection.execute(queries("console")["community"], {"id": place}).fetchone()
        if chosen is None or reader.viewer.community_id not in (None, place):
            raise not_here()
        return replace(reader, viewer=replace(reader.viewer, community_id=place))
    if reader.viewer.community_id is not None:
        return reader
    row = connection.execute(queries("console")["communities_up_to"], {"limit": TOGETHER_MAX + 1}).fetchone()
    return reader if row is None or row["n"] <= TOGETHER_MAX else None


def load_places(connection: Connection, path: str, *, name: str) -> PlacesPage:
    """Return the communities whose name or id holds ``name``, those with most open technical cases first."""
    rows = connection.execute(
        queries("console")["places_to_choose"], {"name": name, "limit": ROWS_MAX}
    ).fetchall()
    return PlacesPage(
        path=path,
        name=name,
        rows=tuple(
            PlaceRow(
                row["id"], row["name"] or row["id"], row["open"], f"{path}?{urlencode({'place': row['id']})}"
            )
            for row in rows
        ),
        total=rows[0]["total"] if rows else 0,
    )
