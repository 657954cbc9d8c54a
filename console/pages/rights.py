"""A home's rights at the desk: taking data out, deleting a person, legal holds, and words to read again after it."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Path
from starlette.responses import Response

from console.loaders.households import load_households
from console.rights import holds, ledger
from console.rights.deletion import (
    ASKED_BY,
    Author,
    DeletionRefusedError,
    delete_person,
    find_deletion,
    read_review,
    settle_review,
)
from console.rights.export import export_person, seal_certificate
from console.scope import Section, mask_name
from console.seat import CheckedForm, RefusedError, Seat, entering, not_here
from console.services import Services
from console.views.parts import Form as FormView
from console.views.parts import HouseholdName
from console.views.rights import DeletionView, HoldView, PersonView, ReviewsPage, ReviewView, RightsPage
from kaimen.database import Connection, queries, transaction

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.HOUSEHOLDS))]
HouseholdId = Annotated[str, Path(max_length=100)]
PersonId = Annotated[str, Path(max_length=100)]
RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
_SQL = queries("console", "rights/rights.sql")
_PAGE = "/households/{household_id}/rights"


def author_of(seat: Seat) -> Author:
    viewer = seat.viewer
    return Author(f"user:{viewer.user_id}", viewer.role.value, seat.services.audit_key, viewer.community_id)


def sync_ledger(services: Services) -> None:
    """Bring the ledger's file outside the database up to it, where the installation keeps one."""
    path = services.settings.console_rights_ledger
    if path is not None:
        with services.rights_pool() as pool, transaction(pool) as connection:
            ledger.sync_file(connection, path, services.audit_key)


def package(data: bytes, name: str) -> Response:
    return Response(
        data,
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="kaimen-{name}.zip"'},
    )


def _home(connection: Connection, seat: Seat, household_id: str) -> HouseholdName:
    found = load_households(connection, seat.reader(connection), [household_id]).get(household_id)
    if found is None:
        raise not_here()
    return found.name


def _person(connection: Connection, seat: Seat, household_id: str, person_id: str) -> None:
    """Only who lives in this home, or is of its family: nobody is reached through another's home."""
    _home(connection, seat, household_id)
    rows = connection.execute(_SQL["persons_of"], {"household_id": household_id}).fetchall()
    if person_id not in {row["id"] for row in rows}:
        raise not_here()


@router.get(_PAGE)
def rights(seat: Guard, household_id: HouseholdId) -> Response:
    with seat.rights_transaction() as connection:
        name = _home(connection, seat, household_id)
        seat.audit(
            connection, "rights_read", purpose="rights", object_kind="household", object_id=household_id
        )
        return _answer(connection, seat, name)


def _answer(
    connection: Connection,
    seat: Seat,
    name: HouseholdName,
    *,
    person_id: str = "",
    form: FormView | None = None,
    hold_form: FormView | None = None,
    status: int = 200,
) -> Response:
    values = {"household_id": name.id}

    def person_of(row: dict[str, Any]) -> PersonView:
        mine = row["id"] == person_id
        return PersonView(
            row["id"], mask_name(row["name"] or ""), row["relation"],
            (form if mine and form else FormView()), (hold_form if mine and hold_form else FormView()),
        )  # fmt: skip

    page = RightsPage(
        household=name,
        persons=tuple(person_of(row) for row in connection.execute(_SQL["persons_of"], values).fetchall()),
        holds=tuple(
            _hold_view(hold, f"user:{seat.viewer.user_id}")
            for hold in holds.load_holds(connection, household_id=name.id, now=seat.now)
        ),
        deletions=tuple(
            DeletionView(row["person_id"], row["deleted_at"], row["asked_by"])
            for row in connection.execute(_SQL["deletions_of"], values).fetchall()
        ),
        asked_by=ASKED_BY,
    )
    return seat.answer(
        connection, "rights.html", page, section=Section.HOUSEHOLDS, status=status,
        path=f"/households/{name.id}/rights",
    )  # fmt: skip


def _hold_view(hold: holds.Hold, reader: str) -> HoldView:
    return HoldView(
        hold.id, hold.authority, hold.document, hold.until_at, hold.asked_at, hold.standing,
        confirmed=hold.confirmed_by is not None, end_asked=hold.end_asked_by is not None,
        may_confirm=hold.standing and hold.confirmed_by is None and hold.asked_by != reader,
        may_end=hold.standing and hold.end_asked_by != reader,
    )  # fmt: skip


@router.post(_PAGE + "/{person_id}/export", dependencies=[CheckedForm])
def export(seat: Guard, household_id: HouseholdId, person_id: PersonId) -> Response:
    with seat.rights_transaction() as connection:
        _person(connection, seat, household_id, person_id)
        made = export_person(
            connection, person_id, author=author_of(seat), now=seat.now, language=seat.language,
            zone=seat.reader(connection).zone,
        )  # fmt: skip
    return package(made.data, "person")


@router.post(_PAGE + "/{person_id}/delete", dependencies=[CheckedForm])
def delete(
    seat: Guard,
    household_id: HouseholdId,
    person_id: PersonId,
    asked_by: Annotated[str, Form(max_length=20)] = "",
    sure: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    with seat.rights_transaction() as connection:
        _person(connection, seat, household_id, person_id)
        name = _home(connection, seat, household_id)
        errors = {} if asked_by in ASKED_BY else {"asked_by": "required"}
        if sure != "yes":
            errors["sure"] = "required"
        if errors:
            form = FormView({"asked_by": asked_by}, errors)
            return _answer(connection, seat, name, person_id=person_id, form=form, status=422)
        try:
            with connection.transaction():
                delete_person(connection, person_id, asked_by=asked_by, author=author_of(seat), now=seat.now)
        except DeletionRefusedError as error:
            form = FormView({"asked_by": asked_by}, {"": error.reason.value})
            return _answer(connection, seat, name, person_id=person_id, form=form, status=409)
    sync_ledger(seat.services)
    return seat.go(f"/households/{household_id}/rights", "notice.person_deleted")


@router.get(_PAGE + "/{gone_id}/certificate")
def certificate(seat: Guard, household_id: HouseholdId, gone_id: PersonId) -> Response:
    with seat.rights_transaction() as connection:
        _home(connection, seat, household_id)
        found = find_deletion(connection, gone_id)
        if found is None or found.certificate["household"] != household_id:
            raise not_here()
        data = seal_certificate(
            found.certificate, language=seat.language, zone=seat.reader(connection).zone, now=seat.now,
            key=seat.services.audit_key,
        )  # fmt: skip
    return package(data, "deletion")


# --- Legal holds --------------------------------------------------------------------------------------------------


@router.post(_PAGE + "/{person_id}/hold", dependencies=[CheckedForm])
def hold(
    seat: Guard,
    household_id: HouseholdId,
    person_id: PersonId,
    authority: Annotated[str, Form(max_length=400)] = "",
    document: Annotated[str, Form(max_length=400)] = "",
    until: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    values = {"authority": authority, "document": document, "until": until}
    with seat.rights_transaction() as connection:
        _person(connection, seat, household_id, person_id)
        name = _home(connection, seat, household_id)
        until_at = _end_of_day(until, seat.reader(connection).zone)
        try:
            hold_id = holds.place_hold(
                connection, person_id=person_id, authority=authority, document=document,
                until_at=until_at or seat.now, by=f"user:{seat.viewer.user_id}", now=seat.now,
            )  # fmt: skip
        except holds.HoldRefusedError as error:
            where = {"authority_missing": "authority", "case_number_missing": "document"}
            form = FormView(values, {where.get(error.reason.value, "until"): error.reason.value})
            return _answer(connection, seat, name, person_id=person_id, hold_form=form, status=422)
        seat.audit(
            connection, "hold_placed", purpose="rights", object_kind="person", object_id=person_id,
            household=household_id, hold=hold_id, document=document.strip(),
        )  # fmt: skip
    return seat.go(f"/households/{household_id}/rights", "notice.hold_placed")


def _end_of_day(text: str, zone: str) -> datetime | None:
    try:
        day = datetime.fromisoformat(text.strip()).date()
    except ValueError:
        return None
    return datetime.combine(day, time(23, 59, 59), ZoneInfo(zone))


@router.post("/rights/holds/{hold_id}/confirm", dependencies=[CheckedForm])
def confirm_hold(seat: Guard, hold_id: RowId) -> Response:
    return _second_person(seat, hold_id, confirming=True)


@router.post("/rights/holds/{hold_id}/end", dependencies=[CheckedForm])
def end_hold(seat: Guard, hold_id: RowId) -> Response:
    return _second_person(seat, hold_id, confirming=False)


def _second_person(seat: Seat, hold_id: int, *, confirming: bool) -> Response:
    by = f"user:{seat.viewer.user_id}"
    with seat.rights_transaction() as connection:
        found = holds.load_hold(connection, hold_id, now=seat.now)
        if found is None or found[1] is None or found[1] != seat.viewer.community_id:
            raise not_here()
        standing = found[0]
        try:
            if confirming:
                holds.confirm_hold(connection, standing, by=by, now=seat.now)
                word = "hold_confirmed"
            else:
                ended = holds.end_hold(connection, standing, by=by, now=seat.now)
                word = "hold_ended" if ended else "hold_end_asked"
        except holds.HoldRefusedError as error:
            raise RefusedError(409, error.reason.value) from error
        seat.audit(
            connection, word, purpose="rights", object_kind="person", object_id=standing.person_id,
            household=standing.household_id, hold=hold_id,
        )  # fmt: skip
    return seat.go(f"/households/{standing.household_id}/rights", f"notice.{word}")


# --- Words to read again ------------------------------------------------------------------------------------------


@router.get("/rights/reviews")
def reviews(seat: Guard) -> Response:
    with seat.rights_transaction() as connection:
        rows = connection.execute(_SQL["reviews"], {"community_id": seat.viewer.community_id}).fetchall()
        page = ReviewsPage(
            tuple(
                ReviewView(row["id"], read_review(connection, row), row["in_table"], row["flagged_at"])
                for row in rows
            )
        )
        if rows:
            seat.audit(
                connection, "reviews_read", purpose="rights", object_kind="community",
                object_id=seat.viewer.community_id or "",
            )  # fmt: skip
        return seat.answer(connection, "reviews.html", page, section=Section.HOUSEHOLDS)


@router.post("/rights/reviews/{review_id}/erase", dependencies=[CheckedForm])
def erase_words(seat: Guard, review_id: RowId) -> Response:
    return _settle(seat, review_id, erase=True)


@router.post("/rights/reviews/{review_id}/keep", dependencies=[CheckedForm])
def keep_words(seat: Guard, review_id: RowId) -> Response:
    return _settle(seat, review_id, erase=False)


def _settle(seat: Seat, review_id: int, *, erase: bool) -> Response:
    with seat.rights_transaction() as connection:
        row = settle_review(
            connection, review_id, community_id=seat.viewer.community_id, erase=erase,
            by=f"user:{seat.viewer.user_id}", now=seat.now,
        )  # fmt: skip
        if row is None:
            raise not_here()
        seat.audit(
            connection, "words_erased" if erase else "words_kept", purpose="rights", object_kind="person",
            object_id=row["person_id"], review=review_id,
        )  # fmt: skip
    return seat.go("/rights/reviews", "notice.review_settled")
