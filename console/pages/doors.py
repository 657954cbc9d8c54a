"""What needs a look at doors, the rental board, who is presumed at home, and who wants to be told of coming home."""

from __future__ import annotations

from datetime import time
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query
from starlette.responses import Response

from console.loaders.doors import load_presence, load_rentals, load_signals
from console.pages import family as family_page
from console.pages import household as household_page
from console.scope import RevealPurpose, Section
from console.seat import CheckedForm, RefusedError, Seat, entering, not_here
from console.views.parts import Form as FormView
from kaimen.database import queries

router = APIRouter()
SignalsGuard = Annotated[Seat, Depends(entering(Section.SIGNALS))]
RentalsGuard = Annotated[Seat, Depends(entering(Section.RENTALS))]
HomesGuard = Annotated[Seat, Depends(entering(Section.HOUSEHOLDS))]
FamilyGuard = Annotated[Seat, Depends(entering(Section.FAMILY))]
HouseholdId = Annotated[str, Path(max_length=100)]


@router.get("/signals")
def signals(seat: SignalsGuard, days: Annotated[int, Query(ge=1, le=7)] = 1) -> Response:
    with seat.transaction() as connection:
        page, named = load_signals(connection, seat.reader(connection), days=days)
        if named:
            seat.audit(
                connection, "signals_listed", purpose="doors", object_kind="community",
                object_id=str(seat.viewer.community_id), households=named,
            )  # fmt: skip
        return seat.answer(connection, "signals.html", page, section=Section.SIGNALS)


@router.get("/rentals")
def rentals(seat: RentalsGuard) -> Response:
    """Counts and dwellings with masked names; who somebody is, and where somebody went, needs a ticket."""
    with seat.transaction() as connection:
        page, named = load_rentals(connection, seat.reader(connection))
        if named:
            seat.audit(
                connection, "rentals_listed", purpose="tenancy", object_kind="community",
                object_id=str(seat.viewer.community_id), households=named,
            )  # fmt: skip
        return seat.answer(connection, "rentals.html", page, section=Section.RENTALS)


@router.post("/households/{household_id}/presence", dependencies=[CheckedForm])
def presence(
    seat: HomesGuard, household_id: HouseholdId, purpose: Annotated[str, Form(max_length=40)] = ""
) -> Response:
    """Show once whether anybody is presumed at home, to whoever says why; written down before it is shown."""
    with seat.transaction() as connection:
        found = household_page.load_one(connection, seat.reader(connection), household_id)
        if purpose not in {item.value for item in RevealPurpose}:
            form = FormView({}, {"purpose": "purpose_missing"})
            return household_page.answer_household(connection, seat, found, presence_form=form, status=422)
        seat.audit(
            connection, "presence_revealed", purpose=purpose, object_kind="household", object_id=household_id
        )
        shown = load_presence(connection, household_id)
        return household_page.answer_household(
            connection, seat, found, presence=shown, asked=True, live=False
        )


@router.post("/family/{household_id}/notices", dependencies=[CheckedForm])
def notices(
    seat: FamilyGuard,
    household_id: HouseholdId,
    came_home: Annotated[str, Form(max_length=3)] = "",
    not_home: Annotated[str, Form(max_length=3)] = "",
    by_time: Annotated[str, Form(max_length=8)] = "",
) -> Response:
    """Choose to be told of coming home; off until chosen, and only where she agreed that the family is told."""
    with seat.transaction() as connection:
        family_page.load(connection, seat, household_id)
        if "notify_family" not in family_page.standing_consents(connection, household_id):
            raise not_here()
        if came_home not in ("", "yes") or not_home not in ("", "yes"):
            raise RefusedError(422, "not_valid")
        expected = parse_hour(by_time) if not_home else None
        if not_home and expected is None:
            typed = {"came_home": came_home, "not_home": not_home, "by_time": by_time}
            form = FormView(typed, {"by_time": "not_a_time" if by_time.strip() else "hour_is_missing"})
            return family_page.answer(
                connection, seat, open_form="notices", form=form, household_id=household_id, status=422
            )
        sql = queries("console", "doors.sql")
        where = {"household_id": household_id, "user_id": seat.viewer.user_id, "now": seat.now}
        connection.execute(
            sql["choose_notices"], {**where, "came_home": came_home == "yes", "not_home": not_home == "yes"}
        )
        if family_page.is_blocked(seat, household_id):
            pass  # what he wants to be told is his; by when she is expected is hers
        elif expected is not None:
            connection.execute(
                sql["expect_home"], {**where, "by_time": expected, "set_by": f"user:{seat.viewer.user_id}"}
            )
        else:
            connection.execute(sql["expect_nobody"], where)
        seat.audit(
            connection, "home_notices_chosen", purpose="care", object_kind="household", object_id=household_id,
            came_home=came_home == "yes", not_home=not_home == "yes",
        )  # fmt: skip
    return seat.go("/family", "notice.home_notices")


def parse_hour(text: str) -> time | None:
    """Read an hour of the day as a form gives it; None where it is none."""
    try:
        found = time.fromisoformat(text.strip())
    except ValueError:
        return None
    return None if found.tzinfo is not None else found.replace(second=0, microsecond=0)
