"""A resident's own page: how the system sees her in her own words, 'I am well', absences, consents and who looked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query
from starlette.responses import Response

from alerts import acts
from alerts.voice import people
from console import residents
from console.duty.line import load_duty_line
from console.loaders.evidence import load_openings
from console.loaders.households import LoadedHousehold, evidence_kind, load_households
from console.pages import home_phone
from console.pages.absences import write_absence
from console.pages.case import refusal_word
from console.pages.consents import PURPOSES, notice_of_given, settle_withdrawn
from console.pages.family import state_of
from console.pages.rights import author_of, package
from console.rights.export import export_person
from console.scope import Section, Viewer
from console.seat import CheckedForm, RefusedError, Seat, entering, not_here
from console.views.admin import LookRow
from console.views.evidence import Opening
from console.views.family import FamilyState
from console.views.parts import Form as FormView
from console.views.screens import (
    PurposeRow,
    RelativeRow,
    ResidentConsentsPage,
    ResidentLookedPage,
    ResidentPage,
    RungRow,
)
from kaimen.database import Connection, queries
from kaimen.vocabulary import EvidenceSource

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.RESIDENT))]
RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
LOOKS_PAGE = 50
#: Without these an elder's page tells her nothing; what she did herself is not news to her.
_OWN_ROLES = ("resident",)
_SQL = queries("console", "residents.sql")


def home_of(viewer: Viewer) -> str:
    """The one household a resident signs in for."""
    if len(viewer.household_ids) != 1:
        raise not_here()
    return next(iter(viewer.household_ids))


def load_home(connection: Connection, seat: Seat) -> LoadedHousehold:
    home = home_of(seat.viewer)
    found = load_households(connection, seat.reader(connection), [home]).get(home)
    if found is None:
        raise not_here()
    return found


@router.get("/resident")
def resident(seat: Guard, fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        return answer(connection, seat, fragment=fragment)


def answer(
    connection: Connection,
    seat: Seat,
    *,
    fragment: str | None = None,
    well: FormView | None = None,
    away: FormView | None = None,
    status: int = 200,
) -> Response:
    found = load_home(connection, seat)
    row = found.row
    values = {"household_id": row["id"], "now": seat.now}
    absence = connection.execute(_SQL["absence_now"], values).fetchone()
    called = connection.execute(queries("console")["family_help"], {"household_id": row["id"]}).fetchone()
    has_it = connection.execute(_SQL["help_worker"], {"case_id": called["id"]}).fetchone() if called else None
    page = ResidentPage(
        place=found.name.label,
        state=FamilyState.HELP
        if called
        else FamilyState.UNWATCHED
        if found.line is None
        else state_of(found),
        evidence_kind=evidence_kind(row["evidence"] or {}),
        evidence_at=row["evidence_at"],
        line=found.line,
        known=bool(row["known"]),
        doubted=found.grounds is not None and found.grounds.doubted,
        unknown_since=row["not_known_since"],
        absence_id=absence["id"] if absence else None,
        away_from=absence["from_at"] if absence else None,
        away_until=absence["to_at"] if absence else None,
        away_by=_declared_by(connection, seat, absence) if absence else "",
        openings=_openings(connection, seat, found),
        duty_line=load_duty_line(connection, household_id=row["id"]),
        worker=has_it["name"] if has_it else None,
        has_code=connection.execute(_SQL["code_stands"], values).fetchone() is not None,
        well_form=well or FormView(),
        away_form=away or FormView(),
    )
    return seat.answer(
        connection, "resident.html", page, section=Section.RESIDENT, fragment=fragment, status=status,
        path="/resident",
    )  # fmt: skip


def _openings(connection: Connection, seat: Seat, found: LoadedHousehold) -> tuple[Opening, ...] | None:
    """Return what was written down of her door lately; whose card it was, where nobody else lives there."""
    if found.line is None:
        return None
    alone = found.row["resident_count"] == 1
    return load_openings(connection, seat.reader(connection), found.row, named=alone)


def _declared_by(connection: Connection, seat: Seat, absence: Mapping[str, Any]) -> str:
    """Return who declared an absence that she did not declare herself: a relative by name, staff as staff."""
    name = str(absence["declared_by"])
    if name in (seat.viewer.display_name, "resident"):
        return ""
    rows = connection.execute(_SQL["relatives"], {"household_id": home_of(seat.viewer)}).fetchall()
    return name if any(row["display_name"] == name for row in rows) else "staff"


@router.post("/resident/well", dependencies=[CheckedForm])
def well(seat: Guard) -> Response:
    """Take her own press as evidence: like every word nobody heard, not often in succession."""
    with seat.transaction() as connection:
        home = load_home(connection, seat)
        if home.line is None:
            raise not_here()
        try:
            with connection.transaction():
                acts.record_remote_well(
                    connection, household_id=home.row["id"], via=f"resident:{seat.viewer.user_id}", now=seat.now,
                    user_id=seat.viewer.user_id, source=EvidenceSource.BUTTON,
                    recorded_by=f"user:{seat.viewer.user_id}",
                )  # fmt: skip
                _note(connection, seat, "resident_well", "care")
        except acts.ActRefused as error:
            word = refusal_word(error)
            form = FormView(errors={"": "resident_too_often" if word == "remote_too_often" else word})
            return answer(connection, seat, well=form, status=409)
    return seat.go("/resident", "notice.resident_well")


def _note(connection: Connection, seat: Seat, action: str, purpose: str, **detail: Any) -> None:
    seat.audit(
        connection, action, purpose=purpose, object_kind="household", object_id=home_of(seat.viewer), **detail
    )


@router.post("/resident/away", dependencies=[CheckedForm])
def away(
    seat: Guard,
    reason: Annotated[str, Form(max_length=20)] = "",
    from_text: Annotated[str, Form(alias="from", max_length=40)] = "",
    to_text: Annotated[str, Form(alias="to", max_length=40)] = "",
) -> Response:
    values = {"reason": reason, "from": from_text, "to": to_text}
    with seat.transaction() as connection:
        home = home_of(seat.viewer)
        errors = write_absence(connection, seat, seat.reader(connection), home, values)
        if errors:
            return answer(connection, seat, away=FormView(values, errors), status=422)
    return seat.go("/resident", "notice.absence_declared")


@router.post("/resident/away/{absence_id}/end", dependencies=[CheckedForm])
def end_away(seat: Guard, absence_id: RowId) -> Response:
    """She is back: the absence ends now, or is taken back where it has not begun."""
    with seat.transaction() as connection:
        ended = connection.execute(
            queries("console")["absence_end"],
            {"id": absence_id, "household_id": home_of(seat.viewer), "now": seat.now},
        ).rowcount
        if not ended:
            raise not_here()
        _note(connection, seat, "absence_ended", "absence", absence=absence_id)
    return seat.go("/resident", "notice.absence_ended")


# --- Consents and relatives --------------------------------------------------------------------------------------


@router.get("/resident/consents")
def consents(seat: Guard) -> Response:
    with seat.transaction() as connection:
        home = home_of(seat.viewer)
        standing = {
            row["purpose"]: row
            for row in connection.execute(queries("console")["consents"], {"household_id": home}).fetchall()
            if row["withdrawn_at"] is None
        }
        rows = connection.execute(_SQL["relatives"], {"household_id": home}).fetchall()
        page = ResidentConsentsPage(
            purposes=tuple(
                PurposeRow(purpose, standing[purpose]["given_at"], standing[purpose]["given_by"])
                if purpose in standing
                else PurposeRow(purpose)
                for purpose in PURPOSES
            ),
            relatives=tuple(
                RelativeRow(
                    row["id"], row["display_name"], row["relation_words"], row["blocked_at"] is not None
                )
                for row in rows
            ),
            rung=tuple(
                RungRow(row["id"], row["name"] or "", row["automatic_from"], row["shown_number"])
                for row in home_phone.load_people(connection, seat, home)
                if row["lives_here"] and row["automatic_from"] is not None
            ),
        )
        return seat.answer(connection, "resident_consents.html", page, section=Section.RESIDENT_CONSENTS)


@router.post("/resident/consents/{purpose}/give", dependencies=[CheckedForm])
def give(seat: Guard, purpose: Annotated[str, Path(max_length=40)]) -> Response:
    return _change_consent(seat, purpose, "give", "consent_given")


@router.post("/resident/consents/{purpose}/withdraw", dependencies=[CheckedForm])
def withdraw(seat: Guard, purpose: Annotated[str, Path(max_length=40)]) -> Response:
    return _change_consent(seat, purpose, "withdraw", "consent_withdrawn")


def _change_consent(seat: Seat, purpose: str, statement: str, action: str) -> Response:
    if purpose not in PURPOSES:
        raise not_here()
    with seat.transaction() as connection:
        values = {
            "household_id": home_of(seat.viewer), "purpose": purpose, "given_by": "resident", "now": seat.now,
        }  # fmt: skip
        made = connection.execute(queries("console", "consents.sql")[statement], values)
        notice = f"notice.{action}" if made.rowcount else None
        if made.rowcount:
            if statement == "withdraw":
                settle_withdrawn(connection, home_of(seat.viewer), purpose, seat.now)
            else:
                notice = notice_of_given(made.fetchone())
            _note(connection, seat, action, "consent", consent=purpose)
    return seat.go("/resident/consents", notice)


@router.post("/resident/phone/{person_id}/withdraw", dependencies=[CheckedForm])
def ring_no_more(seat: Guard, person_id: Annotated[str, Path(max_length=100)]) -> Response:
    """Let no machine ring her any more, at once; the desk, where she agreed to it, writes it down anew."""
    with seat.transaction() as connection:
        home = home_of(seat.viewer)
        rows = home_phone.load_people(connection, seat, home)
        if not any(row["id"] == person_id and row["lives_here"] for row in rows):
            raise not_here()
        people.withdraw(connection, person_id=person_id)
        home_phone.note(connection, seat, "phone_withdrawn", home, person_id)
    return seat.go("/resident/consents", "notice.phone_withdrawn")


@router.post("/resident/relatives/{user_id}/block", dependencies=[CheckedForm])
def block(seat: Guard, user_id: RowId) -> Response:
    """From now on this relative sees what somebody sees whom she did not agree to tell; nobody tells him."""
    return _change_relative(seat, user_id, "relative_block", "relative_blocked")


@router.post("/resident/relatives/{user_id}/unblock", dependencies=[CheckedForm])
def unblock(seat: Guard, user_id: RowId) -> Response:
    return _change_relative(seat, user_id, "relative_unblock", "relative_unblocked")


def _change_relative(seat: Seat, user_id: int, statement: str, action: str) -> Response:
    with seat.transaction() as connection:
        values = {"household_id": home_of(seat.viewer), "user_id": user_id, "now": seat.now}
        if not connection.execute(_SQL[statement], values).rowcount:
            raise not_here()
        # Of a relative, not of the household: no list that another relative reads has it.
        seat.audit(connection, action, purpose="consent", object_kind="relative", object_id=str(user_id))
    return seat.go("/resident/consents", f"notice.{action}")


# --- Her data ----------------------------------------------------------------------------------------------------


@router.post("/resident/export", dependencies=[CheckedForm])
def export(seat: Guard) -> Response:
    """Everything stored of her, in one package; where several live together the desk tells them apart."""
    with seat.rights_transaction() as connection:
        home = home_of(seat.viewer)
        rows = connection.execute(
            queries("console", "rights/rights.sql")["persons_of"], {"household_id": home}
        ).fetchall()
        mine = [row["id"] for row in rows if row["relation"] == "resident"]
        if len(mine) != 1:
            raise RefusedError(409, "several_live_there")
        made = export_person(
            connection, mine[0], author=author_of(seat), now=seat.now, language=seat.language,
            zone=seat.reader(connection).zone,
        )  # fmt: skip
    return package(made.data, "my-data")


@router.post("/resident/ask-deletion", dependencies=[CheckedForm])
def ask_deletion(seat: Guard) -> Response:
    """The desk calls her and does it with her: a deletion is not made by whoever has her telephone."""
    return _ask_desk(seat, "delete", "deletion_asked")


@router.post("/resident/ask-correction", dependencies=[CheckedForm])
def ask_correction(seat: Guard) -> Response:
    """The desk calls her and corrects what is wrong: her number, her people, what was written about her."""
    return _ask_desk(seat, "correct", "correction_asked")


def _ask_desk(seat: Seat, said: str, action: str) -> Response:
    with seat.transaction() as connection:
        home = connection.execute(_SQL["home"], {"household_id": home_of(seat.viewer)}).fetchone()
        if home is None:
            raise not_here()
        residents.ask_desk(
            connection, community_id=home["community_id"], kind="call_back", household_id=home["id"], said=said,
            now=seat.now,
        )  # fmt: skip
        _note(connection, seat, action, "rights")
    return seat.go("/resident/consents", f"notice.{action}")


# --- Who looked --------------------------------------------------------------------------------------------------


@router.get("/resident/looked")
def looked(seat: Guard, before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None) -> Response:
    """Everybody who read or did something about her home, by role; what police had delayed comes when it may."""
    with seat.transaction() as connection:
        rows = _looks(connection, home_of(seat.viewer), before, seat.now)
        shown = [row for row in rows[:LOOKS_PAGE] if row["role"] not in _OWN_ROLES]
        page = ResidentLookedPage(
            tuple(LookRow(row["at"], "", row["role"], row["action"], row["purpose"]) for row in shown),
            f"/resident/looked?before={rows[LOOKS_PAGE - 1]['id']}" if len(rows) > LOOKS_PAGE else None,
        )
        return seat.answer(connection, "resident_looked.html", page, section=Section.RESIDENT_LOOKED)


def _looks(connection: Connection, home: str, before: int | None, now: datetime) -> list[dict[str, Any]]:
    return connection.execute(
        queries("console")["looks"],
        {
            "before": before, "household_id": home, "community_id": None, "limit": LOOKS_PAGE + 1, "now": now,
            "for_family": False,
        },
    ).fetchall()  # fmt: skip
