"""One's own account: a second factor and a password enter, recovery codes said once and ended sessions leave."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from console.identity import attempts, second_factor, totp
from console.identity import sessions as identity
from console.identity.attempts import Attempt
from console.identity.sessions import PASSWORD_LENGTH_MAX
from console.pages.sign_in import wait_ms
from console.seat import CheckedForm, Seat, SignedIn
from console.views import parts as view_parts
from console.views.identity import FactorPage, PasswordPage
from kaimen.database import Connection, queries

router = APIRouter()
_SQL = queries("console", "identity.sql")
Code = Annotated[str, Form(max_length=60)]
Password = Annotated[str, Form(max_length=PASSWORD_LENGTH_MAX)]


def _note(connection: Connection, seat: Seat, action: str) -> None:
    user_id = str(seat.viewer.user_id)
    seat.audit(connection, action, purpose="administration", object_kind="user", object_id=user_id)


def _begin(connection: Connection, seat: Seat, kind: str) -> Attempt | timedelta:
    """Count what is tried inside a session: a session left open is no way to guess at a password."""
    return attempts.begin(
        connection, name=seat.viewer.name, place=f"account:{kind}", now=seat.services.wall_now(), shared=False
    )


# --- Second factor -----------------------------------------------------------------------------------------------


def _show_factor(
    connection: Connection,
    seat: Seat,
    *,
    form: view_parts.Form | None = None,
    codes: tuple[str, ...] = (),
    status: int = 200,
    wait: timedelta = timedelta(0),
) -> Response:
    user_id = seat.viewer.user_id
    factor = second_factor.load_factor(connection, user_id)
    secret = None
    if factor.confirmed_at is None:
        secret = second_factor.offer_secret(
            connection, user_id, key=seat.services.audit_key, now=seat.services.wall_now()
        )
    page = FactorPage(
        form or view_parts.Form(),
        confirmed_at=factor.confirmed_at,
        codes_left=factor.codes_left,
        url=totp.enrolment_url(secret, name=seat.viewer.name) if secret else "",
        secret=totp.secret_text(secret) if secret else "",
        codes=codes,
        needed=seat.viewer.role in seat.services.factor_rule.roles,
        wait_ms=wait_ms(wait),
    )
    return seat.answer(
        connection, "account_factor.html", page, status=status, path="/account/second-factor", live=False
    )


@router.get("/account/second-factor")
def factor(seat: SignedIn) -> Response:
    with seat.transaction() as connection:
        return _show_factor(connection, seat)


def _checked(seat: Seat, kind: str) -> Attempt | timedelta:
    with seat.transaction() as connection:
        return _begin(connection, seat, kind)


@router.post("/account/second-factor", dependencies=[CheckedForm])
def confirm(seat: SignedIn, code: Code = "") -> Response:
    """Take the first code of a new authenticator; other sessions, opened without one, end."""
    begun = _checked(seat, "code")
    wall_now = seat.services.wall_now()
    with seat.transaction() as connection:
        if isinstance(begun, timedelta):
            form = view_parts.Form({}, {"": "wait_a_little"})
            return _show_factor(connection, seat, form=form, status=429, wait=begun)
        codes = second_factor.confirm(
            connection, seat.viewer.user_id, code, key=seat.services.audit_key, now=wall_now
        )
        if codes is None:
            form = view_parts.Form({}, {"code": "wrong_totp"})
            return _show_factor(connection, seat, form=form, status=422)
        attempts.succeed(connection, begun)
        _end_others(connection, seat)
        _note(connection, seat, "factor_confirmed")
        return _show_factor(connection, seat, codes=codes)


@router.post("/account/second-factor/codes", dependencies=[CheckedForm])
def recovery_codes(seat: SignedIn, code: Code = "") -> Response:
    """New recovery codes against a code of the authenticator; the old ones end."""
    return _with_code(seat, code, renew=True)


@router.post("/account/second-factor/end", dependencies=[CheckedForm])
def end_factor(seat: SignedIn, code: Code = "") -> Response:
    """Another telephone: the factor ends against one of its codes; where one is needed the next is set up at once."""
    return _with_code(seat, code, renew=False)


def _with_code(seat: Seat, code: str, *, renew: bool) -> Response:
    begun = _checked(seat, "code")
    wall_now, key, user_id = seat.services.wall_now(), seat.services.audit_key, seat.viewer.user_id
    with seat.transaction() as connection:
        if isinstance(begun, timedelta):
            form = view_parts.Form({}, {"": "wait_a_little"})
            return _show_factor(connection, seat, form=form, status=429, wait=begun)
        if not second_factor.check(connection, user_id, code, key=key, now=wall_now):
            form = view_parts.Form({}, {"code": "wrong_totp"})
            return _show_factor(connection, seat, form=form, status=422)
        attempts.succeed(connection, begun)
        if renew:
            codes = second_factor.new_recovery_codes(connection, user_id, key=key, now=wall_now)
            _note(connection, seat, "recovery_codes_made")
            return _show_factor(connection, seat, codes=codes)
        second_factor.end(connection, user_id, now=wall_now)
        _end_others(connection, seat)
        _note(connection, seat, "factor_ended")
    return seat.go("/account/second-factor", "notice.factor_ended")


def _end_others(connection: Connection, seat: Seat) -> int:
    assert seat.session is not None
    values = {"user_id": seat.viewer.user_id, "token_hash": seat.session.token_hash}
    return connection.execute(_SQL["sessions_end_others"], values).rowcount


# --- Password ----------------------------------------------------------------------------------------------------


def _show_password(
    connection: Connection, seat: Seat, *, errors: dict[str, str] | None = None, status: int = 200,
    wait: timedelta = timedelta(0),
) -> Response:  # fmt: skip
    due = seat.session is not None and seat.session.password_due
    page = PasswordPage(view_parts.Form({}, errors or {}), due, wait_ms(wait))
    return seat.answer(
        connection, "account_password.html", page, status=status, path="/account/password", live=False
    )


@router.get("/account/password")
def password_page(seat: SignedIn) -> Response:
    with seat.transaction() as connection:
        return _show_password(connection, seat)


@router.post("/account/password", dependencies=[CheckedForm])
def change_password(seat: SignedIn, old: Password = "", new: Password = "", again: Password = "") -> Response:
    """Change one's own password against the old one: every other session ends, and no browser is known any more."""
    begun = _checked(seat, "password")
    with seat.transaction() as connection:
        if isinstance(begun, timedelta):
            return _show_password(connection, seat, errors={"": "wait_a_little"}, status=429, wait=begun)
        row = connection.execute(_SQL["user_standing_by_id"], {"user_id": seat.viewer.user_id}).fetchone()
    fits = identity.password_fits(row["password_hash"] if row else None, old)
    errors = _wrong_with(fits, old, new, again)
    hashed = None if errors else identity.hash_password(new)
    with seat.transaction() as connection:
        if fits is not False:
            attempts.forget(connection, begun)
        if errors:
            return _show_password(connection, seat, errors=errors, status=422)
        of_her = {"user_id": seat.viewer.user_id, "password_hash": hashed, "due": False}
        connection.execute(_SQL["password_change"], of_her)
        connection.execute(_SQL["devices_of_user_end"], of_her)
        connection.execute(_SQL["steps_of_user_end"], of_her)
        _end_others(connection, seat)
        _note(connection, seat, "password_changed")
    return seat.go("/sessions", "notice.password_changed")


def _wrong_with(fits: bool | None, old: str, new: str, again: str) -> dict[str, str]:
    if fits is None:
        return {"": "too_many_attempts"}
    if not fits:
        return {"old": "wrong_old_password"}
    if not identity.PASSWORD_LENGTH_MIN <= len(new) <= PASSWORD_LENGTH_MAX:
        return {"new": "password_length"}
    if new == old:
        return {"new": "password_same"}
    return {} if new == again else {"again": "password_differs"}


@router.post("/account/sessions/end-others", dependencies=[CheckedForm])
def end_others(seat: SignedIn) -> Response:
    """End every session of one's own but this one."""
    with seat.transaction() as connection:
        _end_others(connection, seat)
        _note(connection, seat, "sessions_ended")
    return seat.go("/sessions", "notice.sessions_ended")
