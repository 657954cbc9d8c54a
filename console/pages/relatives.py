"""The desk opens the sign-in of a relative it rings anyway: a contact of a home enters, an account with her number leaves."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from console import binding
from console.binding import BindingError, Owner
from console.identity import sent_codes
from console.identity.sessions import hash_password
from console.loaders.households import load_households
from console.pages.channels import DeskGuard, book_of, show_contacts
from console.scope import mask_phone
from console.seat import CheckedForm, Seat, not_here
from console.views.channels import Opened
from kaimen.database import Connection, queries

router = APIRouter()
_SQL = queries("console", "channels.sql")
_PathId = Annotated[str, Path(max_length=100)]
#: What an account is called that nobody gave a name: no letters that are taken for others.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def _check_contact(connection: Connection, seat: Seat, household_id: str, person_id: str) -> None:
    found = load_households(connection, seat.reader(connection), [household_id]).get(household_id)
    rows = connection.execute(_SQL["contacts_of_household"], {"household_id": household_id}).fetchall()
    if found is None or person_id not in {row["person_id"] for row in rows}:
        raise not_here()


@router.post("/households/{household_id}/contacts/{person_id}/sign-in", dependencies=[CheckedForm])
def open_sign_in(seat: DeskGuard, household_id: _PathId, person_id: _PathId) -> Response:
    """Give a relative a sign-in with her stored number, where the resident agreed that the family is told."""
    unused = hash_password(secrets.token_urlsafe(32))
    with seat.transaction() as connection:
        _check_contact(connection, seat, household_id, person_id)
        channels = sent_codes.load_channels(connection)
        channel = next((name for name in channels if name.startswith("sms_")), None)
        if channel is None:
            return show_contacts(connection, seat, household_id, refused="no_text_channel")
        values = {
            "household_id": household_id, "person_id": person_id, "password_hash": unused, "now": seat.now,
            "name": "jia-" + "".join(secrets.choice(_LETTERS) for _ in range(6)),
        }  # fmt: skip
        row = connection.execute(_SQL["open_relative"], values).fetchone()
        if row is None:
            return show_contacts(connection, seat, household_id, refused="relative_not_now")
        try:
            binding.add_address(
                connection, book_of(seat.services), Owner(user_id=row["user_id"]), channel,
                binding.check_address(channel, row["phone"]), now=seat.now, added_by=f"user:{seat.viewer.user_id}",
                is_proven=False,
            )  # fmt: skip
        except BindingError as error:
            connection.rollback()
            return show_contacts(connection, seat, household_id, refused=error.word)
        seat.audit(
            connection, "relative_sign_in_opened", purpose="administration", object_kind="household",
            object_id=household_id, household=household_id, person=person_id,
        )  # fmt: skip
        account = connection.execute(_SQL["contacts_of_household"], values).fetchall()
        name = next(one for one in account if one["person_id"] == person_id)
        opened = Opened(
            (name["name"] or "")[:1] + "*", f"{seat.services.settings.public_url.rstrip('/')}/sign-in/sent",
            mask_phone(row["phone"]), name["account"],
        )  # fmt: skip
        return show_contacts(connection, seat, household_id, opened=opened)


@router.post("/households/{household_id}/contacts/{person_id}/sign-in/end", dependencies=[CheckedForm])
def end_sign_in(seat: DeskGuard, household_id: _PathId, person_id: _PathId) -> Response:
    """Let a relative see this home no more; who has no other is signed out everywhere."""
    with seat.transaction() as connection:
        _check_contact(connection, seat, household_id, person_id)
        values = {"household_id": household_id, "person_id": person_id, "now": seat.now}
        row = connection.execute(_SQL["close_relative"], values).fetchone()
        if row is not None and row["is_closed"]:
            seat.audit(
                connection, "relative_sign_in_ended", purpose="administration", object_kind="household",
                object_id=household_id, household=household_id, person=person_id,
            )  # fmt: skip
    return seat.go(f"/households/{household_id}/contacts", "notice.relative_sign_in_ended")
