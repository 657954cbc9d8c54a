"""The cards of one home as the desk gives them out and takes them back; a card's number enters, its token stays.

The number is turned into what devices report of it while the form is read: it is stored nowhere, written into no trace,
and stands on no answer, not on that of a refused form either.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path
from starlette.responses import Response

from console import residents
from console.books.checks import Ledger
from console.books.forms import FormRefusedError
from console.loaders.household_books import SQL
from console.pages.household import Guard, HouseholdId, load_one
from console.pages.household_books import change
from console.seat import CheckedForm, Seat, not_here
from edge.credentials import token_of
from kaimen.database import Connection, queries

router = APIRouter()
Text = Annotated[str, Form(max_length=400)]
#: A token in an address is its hash's beginning: addresses stand in histories.
Handle = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
_NUMBER = re.compile(r"[!-~]{4,64}", re.ASCII)
#: What the edge makes of a card, for whoever was told that and not the number.
_TOKEN = re.compile(r"c_[a-z2-7]{16}", re.ASCII)
_RESIDENTS = queries("console", "residents.sql")


@router.post("/households/{household_id}/books/cards", dependencies=[CheckedForm])
def issue(seat: Guard, household_id: HouseholdId, card: Text = "", whose: Text = "") -> Response:
    """Enter a card that somebody of the home carries from now on."""

    def make(connection: Connection) -> dict[str, Any]:
        home = connection.execute(SQL["home"], {"household_id": household_id}).fetchone()
        if home is None:
            raise not_here()
        holders = connection.execute(SQL["holders"], {"household_id": household_id}).fetchall()
        holder = next((row for row in holders if row["id"] == whose), None)
        if holder is None:
            raise FormRefusedError({"whose": "required"})
        token = _token(seat, home["site_id"], card.strip())
        said = {
            "token": token, "class": holder["class"], "household_id": household_id, "person_id": holder["id"],
        }  # fmt: skip
        known = connection.execute(SQL["card"], {"token": token}).fetchone() is not None
        # The form sent twice names a card that is entered already: it counts since then, and not only since now.
        begun = {} if known else {"valid_from": seat.now.isoformat()}
        return {
            "rows": {"credentials": [said | begun]}, "person": holder["id"],
            "check": lambda ledger: _is_free(ledger, said, seat.now),
        }  # fmt: skip

    return change(
        seat, household_id, "new_card", {"whose": whose}, make, action="card_entered", notice="notice.card_entered"
    )  # fmt: skip


def _token(seat: Seat, site_id: str, read: str) -> str:
    if not read:
        raise FormRefusedError({"card": "required"})
    if _TOKEN.fullmatch(read):
        return read
    if not _NUMBER.fullmatch(read):
        raise FormRefusedError({"card": "card_form"})
    token = token_of(residents.edge_key(seat.services), site_id, read)
    if token is None:
        # Stored as it is read, it would be the number itself.
        raise FormRefusedError({"card": "no_card_key"})
    return token


def _is_free(ledger: Ledger, said: dict[str, Any], now: datetime) -> None:
    """Refuse a card that is somebody else's or was ended: what it opened before would change hands with it."""
    for line, _ in ledger.of_files("credentials"):
        stored = line.stored
        if stored and (
            any(stored[name] != said[name] for name in ("class", "household_id", "person_id"))
            or (stored["valid_to"] is not None and stored["valid_to"] <= now)
        ):
            raise FormRefusedError({"card": "card_taken"})


@router.post("/households/{household_id}/books/cards/{handle}/lost", dependencies=[CheckedForm])
def lost(seat: Guard, household_id: HouseholdId, handle: Handle) -> Response:
    """A lost card counts for nobody from now on; that it is still to be blocked at the doors stands with the notes."""
    token = _standing(seat, household_id, handle)
    values = {"household_id": household_id, "token": token, "now": seat.now}
    with seat.rights_transaction() as connection:
        done = connection.execute(_RESIDENTS["card_lost"], values).fetchone() is not None
        if done:
            place = connection.execute(_RESIDENTS["home"], values).fetchone()
            assert place is not None
            residents.ask_desk(
                connection, community_id=place["community_id"], kind="card_lost", household_id=household_id,
                credential=token, now=seat.now,
            )  # fmt: skip
            _audit(connection, seat, household_id, "card_lost")
    return seat.go(f"/households/{household_id}/books#card", "notice.card_lost" if done else None)


@router.post("/households/{household_id}/books/cards/{handle}/end", dependencies=[CheckedForm])
def end(seat: Guard, household_id: HouseholdId, handle: Handle) -> Response:
    """A card was given back: it counts no more."""
    values = {"household_id": household_id, "token": _standing(seat, household_id, handle), "now": seat.now}
    with seat.rights_transaction() as connection:
        done = connection.execute(SQL["card_end"], values).fetchone() is not None
        if done:
            _audit(connection, seat, household_id, "card_returned")
    return seat.go(f"/households/{household_id}/books#card", "notice.card_returned" if done else None)


def _standing(seat: Seat, household_id: str, handle: str) -> str:
    """Return the token of a card of a home this desk may see."""
    with seat.transaction() as connection:
        load_one(connection, seat.reader(connection), household_id)
        rows = connection.execute(SQL["cards"], {"household_id": household_id, "now": seat.now}).fetchall()
    found = [str(row["token"]) for row in rows if residents.handle_of(row["token"]) == handle]
    if not found:
        raise not_here()
    return found[0]


def _audit(connection: Connection, seat: Seat, household_id: str, action: str) -> None:
    seat.audit(
        connection, action, purpose="administration", object_kind="household", object_id=household_id
    )  # fmt: skip
