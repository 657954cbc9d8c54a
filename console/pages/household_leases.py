"""The leases of one home as the desk enters and corrects them: days enter, rows of the book of leases leave.

A lease says who may be there and until when; it gives nobody a card and ends none. What its doors tell otherwise stands
with the rented dwellings.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Path
from starlette.responses import Response

from console.books.cells import read_row
from console.books.forms import FormRefusedError
from console.books.rows import CLEAR
from console.loaders.household_books import SQL
from console.pages.household import Guard, HouseholdId
from console.pages.household_books import change
from console.seat import CheckedForm, Seat, not_here
from kaimen.database import Connection

router = APIRouter()
Text = Annotated[str, Form(max_length=400)]
PathId = Annotated[str, Path(max_length=100)]


@router.post("/households/{household_id}/books/leases", dependencies=[CheckedForm])
def add_lease(
    seat: Guard, household_id: HouseholdId, id_: Annotated[str, Form(alias="id", max_length=64)] = "",
    from_at: Text = "", to_at: Text = "", occupants: Text = "", registration: Text = "",
) -> Response:  # fmt: skip
    """Enter a lease; ``to_at`` is its last day, none: no end was agreed."""
    typed = {"from_at": from_at, "to_at": to_at, "occupants": occupants, "registration": registration}

    def make(connection: Connection) -> dict[str, Any]:
        if not id_.startswith("l-"):
            raise FormRefusedError({"": "not_valid"})
        return {"rows": {"leases": [_cells(connection, seat, household_id, id_, typed)]}, "lease": id_}

    return change(seat, household_id, "new_lease", typed, make, action="lease_entered", notice="notice.lease")


@router.post("/households/{household_id}/books/leases/{lease_id}", dependencies=[CheckedForm])
def change_lease(
    seat: Guard, household_id: HouseholdId, lease_id: PathId, mark: Text = "",
    from_at: Text = "", to_at: Text = "", occupants: Text = "", registration: Text = "",
) -> Response:  # fmt: skip
    """Correct a lease, or end it by its last day."""
    typed = {"from_at": from_at, "to_at": to_at, "occupants": occupants, "registration": registration}

    def make(connection: Connection) -> dict[str, Any]:
        rows = connection.execute(SQL["leases"], {"household_id": household_id}).fetchall()
        if all(row["id"] != lease_id for row in rows):
            raise not_here()
        cells = _cells(connection, seat, household_id, lease_id, typed)
        return {"rows": {"leases": [cells]}, "was": ("leases", (lease_id,), mark), "lease": lease_id}

    return change(
        seat, household_id, f"lease:{lease_id}", typed, make, action="lease_corrected", notice="notice.lease"
    )


def _cells(
    connection: Connection, seat: Seat, household_id: str, lease_id: str, typed: dict[str, str]
) -> dict[str, str]:
    """Return the cells of a lease as the import reads them: days in the community's zone, the last one included."""
    said = {name: text.strip() for name, text in typed.items()}
    read = read_row("leases", said, ZoneInfo(seat.reader(connection).zone))
    if not read["from_at"]:
        raise FormRefusedError({"from_at": "required"})
    begins, ends = _instant(read["from_at"]), _instant(read["to_at"])
    if begins is not None and ends is not None and ends <= begins:
        raise FormRefusedError({"to_at": "lease_order"})
    cells = {name: text or CLEAR for name, text in read.items()}
    return cells | {"id": lease_id, "household_id": household_id, "recorded_at": seat.now.isoformat()}


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None  # none was given, or the row's own check says what is wrong with it
