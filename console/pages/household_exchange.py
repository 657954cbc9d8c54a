"""Two devices that hang at one another's doors: what was found at the doors enters, both homes' windows leave exchanged.

They are exchanged from when the mistake was made, not from now: what one home's door said is taken back from the other,
and each is judged anew by its own door from that minute on. No row of an import can say that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, LiteralString

from fastapi import APIRouter, Form, Path
from starlette.responses import Response

from console.books.forms import FormRefusedError
from console.loaders import Reader
from console.loaders.household_books import SQL
from console.pages.household import Guard, HouseholdId, load_one
from console.pages.household_books import refuse
from console.seat import CheckedForm, Seat, not_here, parse_local_time
from kaimen.database import Connection, queries

router = APIRouter()
Text = Annotated[str, Form(max_length=100)]
PathId = Annotated[str, Path(max_length=100)]
Window = Mapping[str, Any]
_RIGHTS = queries("console.rights", "exchange.sql")


@router.post("/households/{household_id}/books/doors/{device_id}/exchange", dependencies=[CheckedForm])
def exchange(
    seat: Guard, household_id: HouseholdId, device_id: PathId, other: Text = "", since: Text = ""
) -> Response:
    """Exchange a device of the home's own door with another home's; ``since`` empty: ever since they hang there."""
    typed = {"device_id": device_id, "other": other.strip().lower(), "since": since}
    done = seat.go(f"/households/{household_id}/books", "notice.exchanged")
    try:
        with seat.transaction() as connection:
            reader = seat.reader(connection)
            load_one(connection, reader, household_id)
            ours, theirs = _find(connection, reader, device_id, typed["other"])
            if theirs["household_id"] == household_id:
                return done  # sent twice: exchanged once more, they would hang wrong again
            if ours["household_id"] != household_id:
                raise not_here()
            since_at = _read_since(since, reader, ours, theirs)
        with seat.rights_transaction() as connection:
            _exchange(connection, seat, ours, theirs, since_at)
    except FormRefusedError as refusal:
        return refuse(seat, household_id, "exchange", typed, refusal.errors)
    return done


def _find(connection: Connection, reader: Reader, device_id: str, other: str) -> tuple[Window, Window]:
    """Return the standing windows of two devices, each at one home's own door that this reader may see."""
    found = _windows(connection, SQL["exchange_windows"], device_id, other)
    if device_id not in found:
        raise not_here()
    if other not in found or other == device_id or found[other]["site_id"] != found[device_id]["site_id"]:
        raise FormRefusedError({"other": "exchange_other"})
    for window in found.values():
        load_one(connection, reader, window["household_id"])
    return found[device_id], found[other]


def _windows(connection: Connection, query: LiteralString, *devices: str) -> dict[str, Window]:
    rows = connection.execute(query, {"devices": sorted(set(devices))}).fetchall()
    found: dict[str, Window] = {row["device_id"]: row for row in rows}
    # A device that speaks for two homes is shared, whatever its rows say: nobody could tell whom to give it.
    return found if len(found) == len(rows) else {}


def _read_since(text: str, reader: Reader, *windows: Window) -> datetime | None:
    if not text:
        return None
    since = parse_local_time(text, reader.zone)
    if since is None:
        raise FormRefusedError({"since": "not_a_time"})
    if since > reader.now or any(row["from_at"] is not None and row["from_at"] >= since for row in windows):
        raise FormRefusedError({"since": "exchange_since"})
    return since


def _exchange(
    connection: Connection, seat: Seat, ours: Window, theirs: Window, since: datetime | None
) -> None:
    """Write the exchange with its trace at both homes; each device takes the other's place in the register."""
    stored = _windows(connection, _RIGHTS["exchange_lock"], ours["device_id"], theirs["device_id"])
    if stored != {row["device_id"]: row for row in (ours, theirs)}:
        raise FormRefusedError({"": "changed_meanwhile"})
    for one, two in ((ours, theirs), (theirs, ours)):
        values = {
            "device_id": one["device_id"], "from_home": one["household_id"], "to_home": two["household_id"],
            "place": two["place"], "since": since,
        }  # fmt: skip
        for query in ("exchange_whole",) if since is None else ("exchange_end", "exchange_begin"):
            connection.execute(_RIGHTS[query], values)
        connection.execute(_RIGHTS["exchange_place"], values)
        seat.audit(
            connection, "doors_exchanged", purpose="administration", object_kind="household",
            object_id=one["household_id"], device=one["device_id"], for_device=two["device_id"],
            since=None if since is None else since.isoformat(),
        )  # fmt: skip
