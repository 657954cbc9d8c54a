"""What a household agreed to, purpose by purpose: who gave it and when enters, what stands and what was leaves.

A consent is given by her, or by whom the law lets speak for her, and written down by the desk with the words of who
gave it. Withdrawing is as short as giving and takes effect in the same transaction: the detector, the ladder and the
pages read the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path
from starlette.responses import Response

from alerts import acts
from console.loaders import Reader
from console.loaders.households import load_households
from console.scope import Section
from console.seat import CheckedForm, Seat, entering, not_here
from console.views.parts import Form as FormView
from console.views.parts import HouseholdName
from kaimen.database import Connection, queries

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.HOUSEHOLDS))]
HouseholdId = Annotated[str, Path(max_length=100)]
PURPOSES = ("watch", "notify_family", "exact_times", "share_with_police", "early_watch", "visit_photo")
GIVEN_BY_MAX = 80
#: What early watch found, in the words a reader gets: nobody learns from it that a home is empty, but whoever is
#: asked to look finds no "nothing unusual" here.
EARLY_WORDS = {
    "nothing_heard": "early.nothing_heard",
    "learning": "early.learning",
    "below_line": "early.usual",
    "below_floor": "early.usual",
    "presumed_out": "early.usual",
    "over_door_clock": "early.silent",
    "absent": "early.usual",
    "over_line": "early.silent",
    "over_cap": "early.silent",
    "not_known": "early.not_known",
}


@dataclass(frozen=True, slots=True)
class ConsentEntry:
    """One giving of one purpose, with its end where it has one."""

    given_by: str
    given_at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class PurposeView:
    purpose: str
    entries: tuple[ConsentEntry, ...]  # newest first
    form: FormView

    @property
    def standing(self) -> ConsentEntry | None:
        return next((entry for entry in self.entries if entry.withdrawn_at is None), None)


@dataclass(frozen=True, slots=True)
class EarlyView:
    """What early watch last found of this home; ``words`` is a catalogue key, ``as_of`` None: it found nothing yet."""

    words: str
    last_heard_at: datetime | None = None
    learned_days: int = 0
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConsentsPage:
    household: HouseholdName
    purposes: tuple[PurposeView, ...]
    early: EarlyView | None


@router.get("/households/{household_id}/consents")
def consents(seat: Guard, household_id: HouseholdId, fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        name = _name(connection, seat.reader(connection), household_id)
        if fragment is None:
            seat.audit(
                connection,
                "consents_read",
                purpose="consent",
                object_kind="household",
                object_id=household_id,
            )
        return _answer(connection, seat, name, fragment=fragment)


@router.post("/households/{household_id}/consents/{purpose}/give", dependencies=[CheckedForm])
def give(
    seat: Guard,
    household_id: HouseholdId,
    purpose: Annotated[str, Path(max_length=40)],
    given_by: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    words = given_by.strip()
    with seat.transaction() as connection:
        name = _name(connection, seat.reader(connection), household_id)
        if purpose not in PURPOSES:
            raise not_here()
        if error := _check(words):
            form = FormView({"given_by": given_by}, {"given_by": error})
            return _answer(connection, seat, name, purpose=purpose, form=form, status=422)
        values = {"household_id": household_id, "purpose": purpose, "given_by": words, "now": seat.now}
        given = connection.execute(queries("console", "consents.sql")["give"], values).fetchone()
        if given is not None:
            seat.audit(
                connection, "consent_given", purpose="consent", object_kind="household", object_id=household_id,
                consent=purpose,
            )  # fmt: skip
    return seat.go(f"/households/{household_id}/consents", notice_of_given(given))


def notice_of_given(given: Mapping[str, Any] | None) -> str | None:
    """Say that a consent stands, and whether an absence ended with it; nothing where it stood before."""
    if given is None:
        return None
    return "notice.watched_absence_over" if given["ended_absence"] else "notice.consent_given"


@router.post("/households/{household_id}/consents/{purpose}/withdraw", dependencies=[CheckedForm])
def withdraw(
    seat: Guard, household_id: HouseholdId, purpose: Annotated[str, Path(max_length=40)]
) -> Response:
    with seat.transaction() as connection:
        _name(connection, seat.reader(connection), household_id)
        values = {"household_id": household_id, "purpose": purpose, "now": seat.now}
        ended = connection.execute(queries("console", "consents.sql")["withdraw"], values).rowcount
        if ended:
            settle_withdrawn(connection, household_id, purpose, seat.now)
            seat.audit(
                connection, "consent_withdrawn", purpose="consent", object_kind="household",
                object_id=household_id, consent=purpose,
            )  # fmt: skip
    return seat.go(f"/households/{household_id}/consents", "notice.consent_withdrawn" if ended else None)


def settle_withdrawn(connection: Connection, household_id: str, purpose: str, now: datetime) -> None:
    """Let a withdrawal take effect in its own transaction: on what is open, and on what was going to be told."""
    values = {"household_id": household_id, "now": now}
    if purpose == "watch":
        acts.settle_consent_withdrawn(connection, household_id=household_id, now=now)
        connection.execute(queries("console", "consents.sql")["forget_presence"], values)
    elif purpose == "notify_family":
        connection.execute(queries("console", "consents.sql")["untell_family"], values)
    elif purpose == "early_watch":
        connection.execute(queries("console", "consents.sql")["forget_early"], values)


def _check(given_by: str) -> str | None:
    if not given_by:
        return "given_by_is_missing"
    return "given_by_too_long" if len(given_by) > GIVEN_BY_MAX else None


def _name(connection: Connection, reader: Reader, household_id: str) -> HouseholdName:
    found = load_households(connection, reader, [household_id]).get(household_id)
    if found is None:
        raise not_here()
    return found.name


def _answer(
    connection: Connection,
    seat: Seat,
    name: HouseholdName,
    *,
    fragment: str | None = None,
    purpose: str = "",
    form: FormView | None = None,
    status: int = 200,
) -> Response:
    sql = queries("console", "consents.sql")
    entries: dict[str, list[ConsentEntry]] = {key: [] for key in PURPOSES}
    for row in connection.execute(sql["history"], {"household_id": name.id}):
        entries[row["purpose"]].append(ConsentEntry(row["given_by"], row["given_at"], row["withdrawn_at"]))
    page = ConsentsPage(
        household=name,
        purposes=tuple(
            PurposeView(key, tuple(entries[key]), form if form is not None and key == purpose else FormView())
            for key in PURPOSES
        ),
        early=_early(connection, name.id),
    )
    return seat.answer(
        connection, "consents.html", page, section=Section.HOUSEHOLDS, fragment=fragment, status=status,
        path=f"/households/{name.id}/consents",
    )  # fmt: skip


def _early(connection: Connection, household_id: str) -> EarlyView | None:
    row = connection.execute(
        queries("console", "consents.sql")["early"], {"household_id": household_id}
    ).fetchone()
    if row is None:
        return None
    if not row["has_sensors"]:
        return EarlyView("early.no_sensors")
    if row["as_of"] is None:
        return EarlyView("early.not_begun")
    return EarlyView(
        EARLY_WORDS.get(row["reason"], "early.usual"), row["last_heard_at"], row["learned_days"], row["as_of"]
    )
