"""How a home is spoken to by telephone: who can be, who hears badly, and whom a machine may ring; rows leave.

A person rings on the second day unless she agreed to a machine, before somebody, and was told from which number it
rings. To take that back needs nothing and holds at once: calls that are planned go to nobody. Whoever cannot be
spoken to by telephone is visited instead.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Path
from starlette.responses import Response

from alerts.voice import people
from alerts.voice.gateway import InvalidNumberError, dialled
from console.loaders.households import LoadedHousehold
from console.pages.household import Guard, HouseholdId, load_one
from console.scope import Section, mask_name, mask_phone
from console.seat import CheckedForm, Seat, not_here
from console.views.parts import Form as FormView
from console.views.phones import HomePhonePage, PhonePerson
from kaimen.database import Connection, queries

router = APIRouter()
_SQL = queries("console", "home_phone.sql")
PersonId = Annotated[str, Path(max_length=100)]
Words = Annotated[str, Form(max_length=400)]
Answer = Annotated[str, Form(max_length=8)]
_PAGE = "/households/{}/phone"


def load_people(connection: Connection, seat: Seat, household_id: str) -> list[dict[str, Any]]:
    """Return who lives in a home and whom it named, with how each is rung."""
    values = {"household_id": household_id, "now": seat.now}
    return connection.execute(_SQL["phone_people"], values).fetchall()


@router.get("/households/{household_id}/phone")
def home_phone(seat: Guard, household_id: HouseholdId) -> Response:
    with seat.transaction() as connection:
        home = load_one(connection, seat.reader(connection), household_id)
        seat.audit(
            connection, "phone_profiles_read", purpose="care", object_kind="household", object_id=household_id
        )
        return _show(connection, seat, home)


def _show(
    connection: Connection, seat: Seat, home: LoadedHousehold, *, person_id: str = "", form: FormView | None = None,
    status: int = 200,
) -> Response:  # fmt: skip
    place = _PAGE.format(home.name.id)
    page = HomePhonePage(
        home.name,
        tuple(
            PhonePerson(
                row["id"], f"{place}/{row['id']}", mask_name(row["name"] or ""), row["relation"],
                mask_phone(row["phone"] or ""), row["lives_here"], row["has_phone"], row["hard_of_hearing"],
                row["automatic_from"], row["automatic_agreed_by"] or "", row["shown_number"], row["number_changed"],
                form if form is not None and row["id"] == person_id else FormView(),
            )
            for row in load_people(connection, seat, home.name.id)
        ),
    )  # fmt: skip
    return seat.answer(
        connection, "home_phone.html", page, section=Section.HOUSEHOLDS, status=status, path=place, live=False
    )


def _find(connection: Connection, seat: Seat, household_id: str, person_id: str) -> LoadedHousehold:
    home = load_one(connection, seat.reader(connection), household_id)
    if person_id not in {row["id"] for row in load_people(connection, seat, household_id)}:
        raise not_here()
    return home


def note(
    connection: Connection, seat: Seat, action: str, household_id: str, person_id: str, **detail: Any
) -> None:
    """Write down what was changed about how somebody of a home is rung."""
    seat.audit(
        connection, action, purpose="care", object_kind="household", object_id=household_id, person=person_id,
        **detail,
    )  # fmt: skip


@router.post("/households/{household_id}/phone/{person_id}/profile", dependencies=[CheckedForm])
def profile(
    seat: Guard, household_id: HouseholdId, person_id: PersonId, has_phone: Answer = "", hearing: Answer = ""
) -> Response:
    """Say whether somebody can be spoken to by telephone, and whether a resident hears badly."""
    with seat.transaction() as connection:
        home = _find(connection, seat, household_id, person_id)
        if has_phone not in ("yes", "no") or hearing not in ("yes", "no", ""):
            form = FormView({}, {"has_phone": "required"})
            return _show(connection, seat, home, person_id=person_id, form=form, status=422)
        people.set_has_phone(connection, person_id=person_id, has_phone=has_phone == "yes")
        if hearing:
            values = {"household_id": household_id, "person_id": person_id, "hard": hearing == "yes"}
            connection.execute(_SQL["set_hearing"], values)
        note(
            connection, seat, "phone_profile", household_id, person_id, has_phone=has_phone,
            **({"hearing": hearing} if hearing else {}),
        )  # fmt: skip
    return seat.go(_PAGE.format(household_id), "notice.phone_profile")


@router.post("/households/{household_id}/phone/{person_id}/agree", dependencies=[CheckedForm])
def agree(
    seat: Guard,
    household_id: HouseholdId,
    person_id: PersonId,
    agreed_by: Words = "",
    shown_number: Words = "",
) -> Response:
    """Write that she agreed to be rung by a machine, before whom, and which number she was given."""
    typed = {"agreed_by": agreed_by.strip(), "shown_number": shown_number.strip()}
    with seat.transaction() as connection:
        home = _find(connection, seat, household_id, person_id)
        errors = _check(typed)
        if errors:
            form = FormView(typed, errors)
            return _show(connection, seat, home, person_id=person_id, form=form, status=422)
        people.agree(connection, person_id=person_id, now=seat.now, **typed)
        note(connection, seat, "phone_agreed", household_id, person_id)
    return seat.go(_PAGE.format(household_id), "notice.phone_agreed")


def _check(typed: dict[str, str]) -> dict[str, str]:
    errors = {}
    if not typed["agreed_by"]:
        errors["agreed_by"] = "given_by_is_missing"
    elif len(typed["agreed_by"]) > people.WORDS_LENGTH_MAX:
        errors["agreed_by"] = "given_by_too_long"
    try:
        dialled(typed["shown_number"])
    except InvalidNumberError:
        errors["shown_number"] = "no_phone_number"
    return errors


@router.post("/households/{household_id}/phone/{person_id}/withdraw", dependencies=[CheckedForm])
def withdraw(seat: Guard, household_id: HouseholdId, person_id: PersonId) -> Response:
    """Let no machine ring her any more, from now on."""
    with seat.transaction() as connection:
        _find(connection, seat, household_id, person_id)
        people.withdraw(connection, person_id=person_id)
        note(connection, seat, "phone_withdrawn", household_id, person_id)
    return seat.go(_PAGE.format(household_id), "notice.phone_withdrawn")
