"""The people who sign in, for administrators: lists, forms and second opinions enter; people, positions, resets leave.

An administrator of one community sees and changes its people alone; out of her reach and not there are one answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Path
from starlette.responses import Response

from console.identity import people
from console.identity.people import Asked, Done, Kind
from console.identity.positions import GIVEN_HERE, refuse_place, refuse_position
from console.identity.sessions import NAME_LENGTH_MAX
from console.pages.account_tokens import token_rows
from console.pages.sign_in import outer_name
from console.scope import Section
from console.seat import CheckedForm, Seat, entering, not_here
from console.views import parts as view_parts
from console.views.identity import (
    HeldPosition,
    NewPersonPage,
    PeoplePage,
    PersonPage,
    PersonRow,
    RequestRow,
    StaffPhone,
)
from kaimen.database import Connection, queries
from kaimen.vocabulary import Role

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.ADMIN))]
UserName = Annotated[str, Path(max_length=NAME_LENGTH_MAX)]
RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Word = Annotated[str, Form(max_length=300)]

_SQL = queries("console", "identity.sql")
_CONSOLE = queries("console")
_PHONES = queries("console", "staff_phones.sql")
ROWS_MAX = 200
_NAME = re.compile(r"[^\s/]{1,64}")
_GIVEN = tuple(role.value for role in GIVEN_HERE)


# --- Lists -------------------------------------------------------------------------------------------------------


def _requests(connection: Connection, seat: Seat, user_id: int | None = None) -> tuple[RequestRow, ...]:
    values = {"community_id": seat.viewer.community_id, "now": seat.services.wall_now()}
    return tuple(
        RequestRow(
            row["id"], row["kind"], row["name"], row["display_name"], row["asker"], row["asked_at"],
            row["expires_at"], Role(row["role"]) if row["role"] else None, row["community_name"] or "",
            seat.viewer.user_id in (row["asked_by"], row["user_id"]),
        )
        for row in connection.execute(_SQL["requests_open"], values).fetchall()
        if user_id in (None, row["user_id"])
    )  # fmt: skip


def _person_row(row: Mapping[str, Any], *, factor: bool) -> PersonRow:
    return PersonRow(
        row["name"], row["display_name"], Role(row["role"]), row["community_name"] or "", row["seen_at"],
        row["disabled_at"], factor,
    )  # fmt: skip


@router.get("/admin/people")
def list_people(seat: Guard, q: str = "", role: str = "", after: str = "") -> Response:
    text, asked = q.strip()[:100], role if role in {item.value for item in Role} else ""
    with seat.transaction() as connection:
        values = {
            "community_id": seat.viewer.community_id, "role": asked, "text": text, "after": after[:100],
            "limit": ROWS_MAX + 1,
        }  # fmt: skip
        rows = connection.execute(_SQL["people"], values).fetchall()
        page = PeoplePage(
            view_parts.Form({"q": text, "role": asked}),
            tuple(_person_row(row, factor=row["has_factor"]) for row in rows[:ROWS_MAX]),
            _requests(connection, seat), tuple(item.value for item in Role),
            rows[ROWS_MAX - 1]["name"] if len(rows) > ROWS_MAX else "",
        )  # fmt: skip
        return seat.answer(connection, "people.html", page, section=Section.ADMIN)


def _places(connection: Connection, seat: Seat) -> tuple[view_parts.Choice, ...]:
    rows = connection.execute(_SQL["places_to_give"], {"community_id": seat.viewer.community_id}).fetchall()
    return tuple(view_parts.Choice(row["id"], row["name"]) for row in rows)


def _choose(
    connection: Connection, seat: Seat, role: str, community: str
) -> tuple[Role | None, str | None, str | None]:
    """Read a role and a place of a form; the third is what is wrong with them, in a word."""
    chosen = Role(role) if role in _GIVEN else None
    place = community or None
    if place is not None and place not in {choice.value for choice in _places(connection, seat)}:
        return chosen, None, "place_needed"
    if place is None and seat.viewer.community_id is not None:
        # Whoever looks after one community gives nobody the others.
        return chosen, None, "place_needed"
    refusal = refuse_place(chosen, place)
    return chosen, place, None if refusal is None else refusal.value


# --- Adding ------------------------------------------------------------------------------------------------------


@router.get("/admin/people/new")
def new_person(seat: Guard) -> Response:
    with seat.transaction() as connection:
        page = NewPersonPage(view_parts.Form(), _GIVEN, _places(connection, seat))
        return seat.answer(connection, "person_new.html", page, section=Section.ADMIN)


def _is_taken(connection: Connection, name: str) -> bool:
    row = connection.execute(_CONSOLE["user_name_taken"], {"name": name}).fetchone()
    return bool(row and row["yes"])


@router.post("/admin/people/new", dependencies=[CheckedForm])
def add(
    seat: Guard, name: Word = "", display_name: Word = "", role: Word = "", community: Word = ""
) -> Response:
    """Add somebody; her first password is shown once and changed by her before she sees anything."""
    name, shown = name.strip(), display_name.strip()
    typed = {"name": name, "display_name": shown, "role": role, "community": community}
    with seat.transaction() as connection:
        chosen, place, wrong = _choose(connection, seat, role, community)
        errors = {} if wrong is None else {"role" if wrong == "no_such_role" else "community": wrong}
        if not _NAME.fullmatch(name) or not name.isprintable() or name == "new":
            errors["name"] = "name_form"
        elif _is_taken(connection, name):
            errors["name"] = "name_taken"
        if not 1 <= len(shown) <= 100 or not shown.isprintable():
            errors["display_name"] = "required"
        if errors or chosen is None:
            page = NewPersonPage(view_parts.Form(typed, errors), _GIVEN, _places(connection, seat))
            return seat.answer(
                connection,
                "person_new.html",
                page,
                section=Section.ADMIN,
                status=422,
                path="/admin/people/new",
            )
        user_id, done = people.add_person(
            connection, name=name, display_name=shown, role=chosen, community_id=place,
            language=seat.language, by=seat.viewer.user_id, now=seat.services.wall_now(),
        )  # fmt: skip
        response = show(connection, seat, name, password=done.password)
        note(connection, seat, "user_added", user_id, given=chosen.value, place=place, waits=done.waits)
        return response


# --- One person --------------------------------------------------------------------------------------------------


def find(connection: Connection, seat: Seat, name: str, *, acting: bool = True) -> dict[str, Any]:
    """Return a person in reach of this administrator; to act on oneself is to act on nobody."""
    values = {"name": name, "community_id": seat.viewer.community_id, "now": seat.services.wall_now()}
    row = connection.execute(_SQL["person"], values).fetchone()
    if row is None or (acting and row["id"] == seat.viewer.user_id):
        raise not_here()
    return row


def note(connection: Connection, seat: Seat, action: str, user_id: int, **detail: Any) -> None:
    """Write down what was done about a person who signs in."""
    seat.audit(
        connection, action, purpose="administration", object_kind="user", object_id=str(user_id), **detail
    )


def show(
    connection: Connection,
    seat: Seat,
    name: str,
    *,
    errors: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
    password: str = "",
    status: int = 200,
) -> Response:
    """Show a person's page; ``password`` is one that is shown this once."""
    row = find(connection, seat, name, acting=False)
    of_her = {"user_id": row["id"], "now": seat.services.wall_now()}
    base = f"/admin/people/{quote(name, safe='')}"
    page = PersonPage(
        _person_row(row, factor=row["factor_at"] is not None),
        row["created_at"],
        view_parts.Form(typed or {}, errors or {}),
        sessions=row["sessions"],
        factor_at=row["factor_at"],
        trained_until=row["trained_until"],
        password_due=row["password_due"],
        positions=tuple(
            HeldPosition(held["id"], Role(held["role"]), held["community_name"] or "")
            for held in connection.execute(_SQL["positions"], of_her).fetchall()
        ),
        places=tuple(
            view_parts.Choice(held["id"], held["name"])
            for held in connection.execute(_SQL["other_places"], of_her).fetchall()
        ),
        tokens=token_rows(connection.execute(_SQL["tokens"], of_her).fetchall(), f"{base}/tokens"),
        outer=tuple(tied["subject"] for tied in connection.execute(_SQL["outer_of"], of_her).fetchall()),
        outer_name=outer_name(seat.services),
        requests=_requests(connection, seat, row["id"]),
        roles=_GIVEN,
        all_places=_places(connection, seat),
        phone=_phone(connection, row),
        may_act=row["id"] != seat.viewer.user_id,
        shown_password=password,
    )
    return seat.answer(
        connection, "person.html", page, section=Section.ADMIN, status=status, path=base, live=False
    )


def _phone(connection: Connection, row: Mapping[str, Any]) -> StaffPhone | None:
    """On which number a member of staff is rung; None: of whom nobody in the house rings."""
    if row["role"] in (Role.FAMILY, Role.RESIDENT):
        return None
    found = connection.execute(_PHONES["staff_phone"], {"user_id": row["id"]}).fetchone()
    return StaffPhone("", 1) if found is None else StaffPhone(found["phone"], found["position"])


@router.get("/admin/people/{name}")
def person(seat: Guard, name: UserName) -> Response:
    with seat.transaction() as connection:
        return show(connection, seat, name)


def _ask(connection: Connection, seat: Seat, asked: Asked) -> Done:
    done = people.ask(connection, asked, by=seat.viewer.user_id, now=seat.services.wall_now())
    note(
        connection, seat, f"user_{asked.kind.value}", asked.user_id, waits=done.waits,
        given=asked.role.value if asked.role else None, place=asked.community_id,
    )  # fmt: skip
    return done


def _after(seat: Seat, name: str, done: Done) -> Response:
    notice = "notice.person_waits" if done.waits else "notice.person_changed"
    return seat.go(f"/admin/people/{quote(name, safe='')}", notice)


@router.post("/admin/people/{name}/role", dependencies=[CheckedForm])
def change_role(seat: Guard, name: UserName, role: Word = "", community: Word = "") -> Response:
    """Another first position: positions beside it, tokens and sessions end with the old one."""
    with seat.transaction() as connection:
        row = find(connection, seat, name)
        chosen, place, wrong = _choose(connection, seat, role, community)
        if row["role"] in (Role.FAMILY, Role.RESIDENT):
            wrong = "not_together"
        if wrong is not None or chosen is None:
            return show(connection, seat, name, errors={"role": wrong or "no_such_role"}, status=422)
        done = _ask(connection, seat, Asked(Kind.CHANGE_ROLE, row["id"], chosen, place))
    return _after(seat, name, done)


@router.post("/admin/people/{name}/positions", dependencies=[CheckedForm])
def give_position(seat: Guard, name: UserName, role: Word = "", community: Word = "") -> Response:
    """One more position; she chooses among hers, and one is active at a time."""
    with seat.transaction() as connection:
        row = find(connection, seat, name)
        chosen, place, wrong = _choose(connection, seat, role, community)
        if wrong is None and chosen is not None:
            held = connection.execute(_SQL["positions"], {"user_id": row["id"]}).fetchall()
            refusal = refuse_position(Role(row["role"]), [Role(one["role"]) for one in held], chosen)
            wrong = None if refusal is None else refusal.value
        if wrong is not None or chosen is None:
            return show(connection, seat, name, errors={"position": wrong or "no_such_role"}, status=422)
        done = _ask(connection, seat, Asked(Kind.GIVE_POSITION, row["id"], chosen, place))
    return _after(seat, name, done)


@router.post("/admin/people/{name}/positions/{position_id}/end", dependencies=[CheckedForm])
def end_position(seat: Guard, name: UserName, position_id: RowId) -> Response:
    """Take a position away; whoever works in it at this moment is signed out."""
    with seat.transaction() as connection:
        row = find(connection, seat, name)
        values = {"user_id": row["id"], "position_id": position_id}
        connection.execute(_SQL["sessions_of_position_end"], values)
        if connection.execute(_SQL["position_end"], values).rowcount == 0:
            raise not_here()
        note(connection, seat, "user_position_ended", row["id"])
    return _after(seat, name, Done(False))


@router.post("/admin/people/{name}/password", dependencies=[CheckedForm])
def reset_password(seat: Guard, name: UserName) -> Response:
    """A new password, shown once; of whoever holds a role with far sight a second administrator agrees first."""
    with seat.transaction() as connection:
        row = find(connection, seat, name)
        done = _ask(connection, seat, Asked(Kind.RESET_PASSWORD, row["id"]))
        if done.password:
            return show(connection, seat, name, password=done.password)
    return _after(seat, name, done)


@router.post("/admin/people/{name}/factor", dependencies=[CheckedForm])
def reset_factor(seat: Guard, name: UserName) -> Response:
    """Take a lost second factor away; it is set up anew at the next sign-in where the role needs one."""
    with seat.transaction() as connection:
        row = find(connection, seat, name)
        done = _ask(connection, seat, Asked(Kind.RESET_FACTOR, row["id"]))
    return _after(seat, name, done)


@router.post("/admin/people/{name}/sessions", dependencies=[CheckedForm])
def end_sessions(seat: Guard, name: UserName) -> Response:
    """End every session of a person."""
    with seat.transaction() as connection:
        row = find(connection, seat, name)
        connection.execute(_CONSOLE["sessions_of_user_end"], {"user_id": row["id"]})
        note(connection, seat, "user_sessions_ended", row["id"])
    return _after(seat, name, Done(False))


@router.post("/admin/people/{name}/tokens/{token_id}/revoke", dependencies=[CheckedForm])
def revoke_token(seat: Guard, name: UserName, token_id: RowId) -> Response:
    with seat.transaction() as connection:
        row = find(connection, seat, name)
        values = {"token_id": token_id, "user_id": row["id"], "now": seat.services.wall_now()}
        if connection.execute(_SQL["token_revoke"], values).rowcount == 0:
            raise not_here()
        note(connection, seat, "token_revoked", row["id"])
    return _after(seat, name, Done(False))


@router.post("/admin/people/{name}/training", dependencies=[CheckedForm])
def train(seat: Guard, name: UserName, until: Word = "") -> Response:
    """Until which day an officer's training for look-ups counts; without it she looks nothing up."""
    with seat.transaction() as connection:
        row = find(connection, seat, name)
        day = _day(until)
        if day is None and until.strip():
            return show(connection, seat, name, errors={"until": "not_a_date"}, status=422)
        if connection.execute(_SQL["person_trained"], {"user_id": row["id"], "until": day}).rowcount == 0:
            raise not_here()
        note(connection, seat, "user_trained", row["id"], until=None if day is None else day.isoformat())
    return _after(seat, name, Done(False))


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d").date()  # noqa: DTZ007 - a day of the calendar
    except ValueError:
        return None


@router.post("/admin/people/{name}/outer", dependencies=[CheckedForm])
def tie_identity(seat: Guard, name: UserName, subject: Word = "") -> Response:
    """Say who this person is at the identity provider; nobody comes in by a provider's word alone."""
    issuer, subject = seat.services.settings.oidc_issuer, subject.strip()
    with seat.transaction() as connection:
        row = find(connection, seat, name)
        if not issuer or not subject or not subject.isprintable() or len(subject) > 255:
            return show(connection, seat, name, errors={"subject": "required"}, status=422)
        asked = Asked(Kind.TIE_IDENTITY, row["id"], issuer=issuer, subject=subject)
        done = _ask(connection, seat, asked)
    return _after(seat, name, done)


@router.post("/admin/people/{name}/outer/end", dependencies=[CheckedForm])
def untie_identity(seat: Guard, name: UserName, subject: Word = "") -> Response:
    with seat.transaction() as connection:
        row = find(connection, seat, name)
        values = {"user_id": row["id"], "subject": subject}
        if connection.execute(_SQL["outer_end"], values).rowcount == 0:
            raise not_here()
        connection.execute(_CONSOLE["sessions_of_user_end"], values)
        note(connection, seat, "user_identity_ended", row["id"])
    return _after(seat, name, Done(False))


# --- A second administrator --------------------------------------------------------------------------------------


@router.post("/admin/people/requests/{request_id}/{answer}", dependencies=[CheckedForm])
def decide(seat: Guard, request_id: RowId, answer: Annotated[str, Path(max_length=10)]) -> Response:
    """Agree to what another administrator asked, or refuse it; nobody agrees to her own, nor to what is about her."""
    if answer not in ("agree", "refuse"):
        raise not_here()
    past = {"agree": "request_agreed", "refuse": "request_refused"}[answer]
    wall_now, viewer = seat.services.wall_now(), seat.viewer
    with seat.transaction() as connection:
        row = people.find_request(connection, request_id, community_id=viewer.community_id, now=wall_now)
        own = row is not None and row["asked_by"] == viewer.user_id
        about_her = row is not None and row["user_id"] == viewer.user_id
        # Whoever asked may take it back, and nothing else.
        if row is None or about_her or (own and answer == "agree"):
            raise not_here()
        password = people.decide(
            connection,
            row,
            agreed=answer == "agree",
            decided_by=None if own else viewer.user_id,
            now=wall_now,
        )
        note(connection, seat, past, row["user_id"], kind=row["kind"], asked_by=row["asked_by"])
        if password:
            return show(connection, seat, row["name"], password=password)
    return seat.go("/admin/people", f"notice.{past}")
