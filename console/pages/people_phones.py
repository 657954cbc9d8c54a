"""On which number a member of staff is rung: a number and a place in the order enter, a row leaves.

Whoever is rung no more may leave a minute in which nobody can be reached: then it is refused, as a roster would be.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form
from starlette.responses import Response

from alerts.duty.store import Change, RosterRefusedError
from alerts.voice.gateway import InvalidNumberError, dialled
from console.pages.people import Guard, UserName, find, note, show
from console.seat import CheckedForm
from kaimen.database import queries
from kaimen.vocabulary import Role

router = APIRouter()
_SQL = queries("console", "staff_phones.sql")
_DUTY = queries("console", "duty.sql")
POSITIONS = range(1, 100)


@router.post("/admin/people/{name}/phone", dependencies=[CheckedForm])
def set_phone(
    seat: Guard,
    name: UserName,
    phone: Annotated[str, Form(max_length=100)] = "",
    order: Annotated[str, Form(max_length=20)] = "1",
) -> Response:
    """Ring her on a number; without one she is rung no more."""
    typed = {"phone": phone.strip(), "order": order.strip()}
    place = int(typed["order"]) if typed["order"].isascii() and typed["order"].isdigit() else 0
    errors = {}
    if place not in POSITIONS:
        errors["order"] = "phone_position"
    try:
        number = dialled(typed["phone"]) if typed["phone"] else ""
    except InvalidNumberError:
        errors["phone"] = "no_phone_number"
    with seat.transaction() as connection:
        row = find(connection, seat, name)
        if row["role"] in (Role.FAMILY, Role.RESIDENT):
            errors["phone"] = "not_staff"
        if errors:
            return show(connection, seat, name, errors=errors, typed=typed, status=422)
    try:
        with seat.transaction() as connection:
            values = {"user_id": row["id"], "phone": number, "position": place}
            communities = [
                found["id"] for found in connection.execute(_DUTY["leaver_places"], values).fetchall()
            ]
            changes = [
                Change(connection, community, f"user:{seat.viewer.user_id}", seat.now)
                for community in communities
            ]
            known = [change.begin() for change in changes]
            connection.execute(_SQL["ring" if number else "ring_no_more"], values)
            for change, gaps in zip(changes, known, strict=True):
                change.finish(gaps)
            note(connection, seat, "staff_phone", row["id"], rings=bool(number))
    except RosterRefusedError:
        with seat.transaction() as connection:
            return show(connection, seat, name, errors={"phone": "phone_leaves_gap"}, typed=typed, status=409)
    return seat.go(f"/admin/people/{quote(name, safe='')}", "notice.person_changed")
