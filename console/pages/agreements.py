"""What waits for a second person about homes: moves to other hours and changed numbers leave; a request or an answer enters."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from starlette.responses import Response

from console import agreements, agreements_homes
from console.agreements import AskRefusal, Kind
from console.agreements_homes import MoveRefusal, StaleMoveError
from console.pages.device_tests import AgreementId, at_of
from console.scope import Section, mask_name, mask_phone
from console.seat import CheckedForm, Seat, entering, not_here
from console.views import parts as view_parts
from console.views.agreements import AgreementsPage, ChangedNumber, WaitingMove
from kaimen.database import Connection
from kaimen.vocabulary import Role

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.HOUSEHOLDS, Section.ADMIN))]
Word = Annotated[str, Form(max_length=200)]
_PAGE = "/agreements"


class HowTold(StrEnum):
    """How an old number was told that another one shall count; the words stand below ``how_told.``."""

    PHONED = "phoned"
    WROTE = "wrote"
    MET = "met"
    DEAD = "dead"


_FIELDS: dict[str, str] = {
    AskRefusal.NO_REASON: "reason",
    MoveRefusal.NO_HOME: "home",
    MoveRefusal.SEVERAL: "person",
    MoveRefusal.NOBODY: "home",
    MoveRefusal.NO_POLICY: "policy",
    MoveRefusal.SAME: "policy",
}


@router.get(_PAGE)
def waiting(seat: Guard) -> Response:
    with seat.transaction() as connection:
        return show(connection, seat, view_parts.Form())


def show(
    connection: Connection, seat: Seat, form: view_parts.Form, *, status: int = 200, shown: int | None = None
) -> Response:
    """Show what waits; the numbers of the change ``shown`` stand there in full."""
    at, community_id = at_of(seat), seat.viewer.community_id
    numbers = agreements_homes.load_numbers(connection, community_id=community_id, at=at)
    page = AgreementsPage(
        tuple(
            _move(row, seat.viewer.user_id, _whose(connection, row))
            for row in agreements.load_open(connection, Kind.HOUSEHOLD, community_id=community_id, at=at)
        ),
        tuple(number_view(row, seat.viewer.user_id, shown) for row in numbers),
        tuple(row["id"] for row in agreements.load_policies(connection, now=at.now)),
        agreements_homes.load_categories(connection),
        seat.viewer.role is Role.PROPERTY_CLERK,
        form,
        tuple(HowTold),
        _residents(connection, form, community_id),
    )
    section = Section.HOUSEHOLDS if page.may_open else Section.ADMIN
    if numbers:
        seat.audit(
            connection, "number_changes_read", purpose="administration", object_kind="community",
            object_id=community_id or "", households=sorted({row["household_id"] for row in numbers}),
        )  # fmt: skip
    return seat.answer(
        connection, "agreements.html", page, section=section, status=status, path=_PAGE, live=False
    )


def _residents(
    connection: Connection, form: view_parts.Form, community_id: str | None
) -> tuple[view_parts.Choice, ...]:
    """Who lives in the home a refused form named, where it must be said whose category is meant."""
    if not (form.values.get("person") or form.errors.get("person")):
        return ()
    rows = agreements_homes.residents_of(connection, form.values.get("home", ""), community_id=community_id)
    return tuple(view_parts.Choice(row["id"], _resident(row)) for row in rows)


def _resident(row: dict[str, Any]) -> str:
    """Enough to tell those of one home apart, masked: a name where the reader may see one, the year she was born."""
    parts = (mask_name(row["name"] or ""), str(row["birth_year"] or ""), row["category"] or "")
    return " · ".join(part for part in parts if part) or str(row["id"])


def _whose(connection: Connection, row: dict[str, Any]) -> str:
    """Whose care category is asked about, where several live there."""
    if row["asked"].get("person") is None:
        return ""
    rows = agreements_homes.load_residents(connection, row["household_id"])
    return next((_resident(one) for one in rows if one["id"] == row["asked"]["person"] and len(rows) > 1), "")


def _move(row: dict[str, Any], reader: int, whose: str) -> WaitingMove:
    asked = row["asked"]
    return WaitingMove(
        row["id"], f"{_PAGE}/moves/{row['id']}", row["label"] or row["household_id"],
        f"/households/{row['household_id']}", asked["what"], asked["from"] or "", asked["to"] or "", row["reason"],
        row["asker"] or "", row["asked_at"], row["expires_at"], row["asked_by"] == reader, whose,
    )  # fmt: skip


def number_view(
    row: dict[str, Any], reader: int, shown: int | None, *, page: str = _PAGE + "/numbers"
) -> ChangedNumber:
    """Make the view of a changed number, masked unless it is the one ``shown``; acts on it go below ``page``."""
    full = row["id"] == shown
    said = (lambda words: words) if full else mask_phone
    return ChangedNumber(
        row["id"], f"{page}/{row['id']}", row["label"], f"/households/{row['household_id']}",
        (row["name"] or "") if full else mask_name(row["name"] or ""),
        said(row["new_phone"] or ""), said(row["old_phone"] or ""), row["told_at"], row["teller"] or "",
        row["confirmed_at"], row["trusted_from"], row["told_by"] == reader, full,
        row["told_how"] if row["told_how"] in set(HowTold) else "",
    )  # fmt: skip


@router.post(_PAGE, dependencies=[CheckedForm])
def ask(
    seat: Guard, home: Word = "", policy: Word = "", category: Word = "", reason: Word = "", person: Word = ""
) -> Response:
    """Ask that a home be moved to another policy, or to a care category; nothing changes until another person agrees."""
    typed = {
        "home": home.strip(),
        "policy": policy.strip(),
        "category": category.strip(),
        "reason": reason.strip(),
        "person": person,
    }
    at = at_of(seat)
    with seat.transaction() as connection:
        move = agreements_homes.find_move(
            connection, home=typed["home"], policy=typed["policy"], category=typed["category"],
            community_id=seat.viewer.community_id, at=at, person=person,
        )  # fmt: skip
        asked: object = move
        if isinstance(move, agreements_homes.Move):
            asked = agreements_homes.ask(
                connection, move, reason=typed["reason"], by=seat.viewer.user_id, at=at
            )
            if isinstance(asked, int):
                _note(connection, seat, "household_move_asked", move.household_id, move.asked(), asked)
        if isinstance(asked, AskRefusal | MoveRefusal):
            form = view_parts.Form(typed, {_FIELDS[asked]: asked.value})
            return show(connection, seat, form, status=422)
    return seat.go(_PAGE, "notice.agreement_waits")


def _note(
    connection: Connection, seat: Seat, action: str, household_id: str, asked: dict[str, Any], request: int
) -> None:
    seat.audit(
        connection, action, purpose="administration", object_kind="household", object_id=household_id,
        request=request, what=asked["what"], household=household_id,
    )  # fmt: skip


def _decide(seat: Seat, move_id: int, *, agreed: bool) -> Response:
    word = "agreed" if agreed else "refused"
    try:
        with seat.transaction() as connection:
            row = agreements_homes.decide_move(
                connection, move_id, agreed=agreed, community_id=seat.viewer.community_id, by=seat.viewer.user_id,
                at=at_of(seat),
            )  # fmt: skip
            if row is None:
                raise not_here()
            _note(connection, seat, f"household_move_{word}", row["household_id"], row["asked"], move_id)
    except StaleMoveError:
        with seat.transaction() as connection:
            return show(connection, seat, view_parts.Form({}, {"": "move_stale"}), status=409)
    return seat.go(_PAGE, f"notice.request_{word}")


@router.post(_PAGE + "/moves/{move_id}/agree", dependencies=[CheckedForm])
def agree(seat: Guard, move_id: AgreementId) -> Response:
    return _decide(seat, move_id, agreed=True)


@router.post(_PAGE + "/moves/{move_id}/refuse", dependencies=[CheckedForm])
def refuse(seat: Guard, move_id: AgreementId) -> Response:
    """Refuse, or take back what one asked oneself."""
    return _decide(seat, move_id, agreed=False)
