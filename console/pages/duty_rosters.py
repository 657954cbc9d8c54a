"""Rosters as the director writes them: rules, changes for a day, deputies, calendars and holidays enter, rows leave.

Nothing is saved that leaves a minute of the next fourteen days without a reachable person who was there before: the
page comes back as it was typed, with the first such minute.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, File, Form, Path, Request, UploadFile
from starlette.responses import Response

from alerts.duty.holidays import HolidayTableError, parse_years
from alerts.duty.readiness import Gap
from alerts.duty.roster import DUTY_ROLES, Deputy, Override
from alerts.duty.store import (
    RosterRefusedError,
    RosterWordsError,
    add_deputy,
    add_override,
    end_span,
    save_holidays,
    save_rules,
    save_shifts,
)
from alerts.sending.outbox import write_single
from alerts.sending.recipients import VOICE, Address
from console.commands.duty import known_names
from console.duty.calendar import CalendarError, read_shifts
from console.duty.forms import PeopleError, parse_people, parse_rows, parse_span, read_rows
from console.duty.line import check_duty_line, end_duty_line, save_duty_line
from console.duty.shown import RosterPage, RuleRow, rows_of, with_empty
from console.identity.leaving import NotHereError, leave
from console.pages.duty import Community, RowId, choose_community, load_for, make_change, show
from console.scope import Section
from console.seat import CheckedForm, RefusedError, Seat, entering, not_here
from console.views.parts import DutyLine
from console.views.parts import Form as FormView
from kaimen.database import Connection, queries

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.ADMIN))]
RoleName = Annotated[str, Path(max_length=30)]
Text = Annotated[str, Form(max_length=500)]
_SQL = queries("console", "duty.sql")
_ROSTER = queries("alerts.duty", "roster.sql")
CALENDAR_BYTES_MAX = 60_000


async def typed_form(request: Request) -> dict[str, str]:
    """Return every text of the form; a page with a table of lines has no fixed fields."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


Typed = Annotated[dict[str, str], Depends(typed_form)]


def _check_role(role: str) -> str:
    if role not in DUTY_ROLES:
        raise not_here()
    return role


def _show(
    connection: Connection,
    seat: Seat,
    community_id: str,
    role: str,
    *,
    rows: tuple[RuleRow, ...] | None = None,
    form: FormView | None = None,
    refusal: Gap | None = None,
    status: int = 200,
) -> Response:
    duty = load_for(connection, community_id)
    names = {person.id: person.name for person in duty.people.values()}
    args: dict[str, Any] = {"community_id": community_id, "role": role, "since": seat.now}
    roster = duty.rosters.get(role)
    overrides = connection.execute(_ROSTER["duty_overrides"], args).fetchall()
    deputies = connection.execute(_ROSTER["duty_deputies"], args).fetchall()
    page = RosterPage(
        community_id,
        role,
        roster is not None,
        rows if rows is not None else rows_of(roster.rules if roster else (), names),
        tuple(connection.execute(_SQL["staff_names"], args).fetchall()),
        tuple(row for row in overrides if row["role"] == role),
        tuple(
            row for row in deputies if row["user_id"] in names and role in duty.people[row["user_id"]].roles
        ),
        names,
        form or FormView(),
        refusal,
    )
    return seat.answer(
        connection, "duty_roster.html", page, section=Section.DUTY, status=status,
        path=_path(role, community_id), live=False,
    )  # fmt: skip


def _path(role: str, community_id: str) -> str:
    return f"/duty/rosters/{role}?community={community_id}"


@router.get("/duty/rosters/{role}")
def roster(seat: Guard, role: RoleName, community: Community = None) -> Response:
    with seat.transaction() as connection:
        return _show(connection, seat, choose_community(connection, seat, community), _check_role(role))


def _audit(connection: Connection, seat: Seat, action: str, community_id: str, object_id: object) -> None:
    seat.audit(
        connection,
        action,
        purpose="administration",
        object_kind="roster",
        object_id=str(object_id),
        of=community_id,
    )


@router.post("/duty/rosters/{role}", dependencies=[CheckedForm])
def save(seat: Guard, role: RoleName, typed: Typed) -> Response:
    """Write the rules in place of those there were; none: the role is told whole again."""
    _check_role(role)
    rows = read_rows(typed)
    with seat.transaction() as connection:
        community_id = choose_community(connection, seat, typed.get("community"))
        rules, shown = parse_rows(rows, known_names(connection, community_id, role))
        if any(row.error for row in shown):
            form = FormView({}, {"": "error"})
            return _show(connection, seat, community_id, role, rows=with_empty(shown), form=form, status=422)
    try:
        with seat.transaction() as connection:
            save_rules(make_change(connection, seat, community_id), role, rules)
            _audit(connection, seat, "roster_saved", community_id, role)
    except (RosterRefusedError, RosterWordsError) as error:
        return _refused(seat, community_id, role, error, rows=with_empty(shown))
    return seat.go(_path(role, community_id), "notice.duty_saved")


def _refused(
    seat: Seat,
    community_id: str,
    role: str,
    error: Exception,
    *,
    rows: tuple[RuleRow, ...] | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    """The change was rolled back: the page as it was typed, and why."""
    refusal = error.gaps[0] if isinstance(error, RosterRefusedError) else None
    word = error.word if isinstance(error, CalendarError) else str(error)
    errors = {} if refusal else {"": f"duty.{word}"}
    with seat.transaction() as connection:
        form = FormView(dict(typed or {}), errors)
        return _show(connection, seat, community_id, role, rows=rows, form=form, refusal=refusal, status=409)


@router.post("/duty/rosters/{role}/override", dependencies=[CheckedForm])
def override(seat: Guard, role: RoleName, typed: Typed) -> Response:
    """Put other people on duty for once, or further ones."""
    return _span(seat, role, typed, "override")


@router.post("/duty/rosters/{role}/deputy", dependencies=[CheckedForm])
def deputy(seat: Guard, role: RoleName, typed: Typed) -> Response:
    """Let somebody stand in for a person from and to an instant."""
    return _span(seat, role, typed, "deputy")


def _span(seat: Seat, role: str, typed: dict[str, str], kind: str) -> Response:
    _check_role(role)
    with seat.transaction() as connection:
        community_id = choose_community(connection, seat, typed.get("community"))
        zone = load_for(connection, community_id).zone
        known = known_names(connection, community_id, role)
        span = parse_span(typed.get(f"{kind}_from", ""), typed.get(f"{kind}_to", ""), zone)
        errors = {} if span else {f"{kind}_from": "not_a_time"}
        people: dict[str, tuple[int, ...]] = {}
        for name in ("override_people",) if kind == "override" else ("deputy_of", "deputy_by"):
            try:
                people[name] = parse_people(typed.get(name, "")[:500], known)
            except PeopleError:
                errors[name] = "duty.unknown_person"
        if errors or span is None:
            form = FormView(typed, errors)
            return _show(connection, seat, community_id, role, form=form, status=422)
    reason = typed.get(f"{kind}_reason", "").strip()[:200]
    try:
        with seat.transaction() as connection:
            change = make_change(connection, seat, community_id)
            if kind == "override":
                adds = bool(typed.get("override_adds"))
                made = add_override(
                    change, role, Override(*span, people["override_people"], adds), reason=reason
                )
            else:
                pair = (people["deputy_of"][0], people["deputy_by"][0])
                made = add_deputy(change, Deputy(*span, *pair), reason=reason)
            _audit(connection, seat, f"duty_{kind}_made", community_id, made)
    except (RosterRefusedError, RosterWordsError) as error:
        return _refused(seat, community_id, role, error, typed=typed)
    return seat.go(_path(role, community_id), "notice.duty_saved")


@router.post("/duty/rosters/{role}/{kind}/{span_id}/end", dependencies=[CheckedForm])
def end(
    seat: Guard, role: RoleName, kind: Annotated[str, Path(max_length=20)], span_id: RowId, typed: Typed
) -> Response:
    _check_role(role)
    if kind not in ("override", "deputy"):
        raise not_here()
    community_id = ""
    try:
        with seat.transaction() as connection:
            community_id = choose_community(connection, seat, typed.get("community"))
            if not end_span(make_change(connection, seat, community_id), kind, span_id):
                raise not_here()
            _audit(connection, seat, f"duty_{kind}_ended", community_id, span_id)
    except RosterRefusedError as error:
        return _refused(seat, community_id, role, error)
    return seat.go(_path(role, community_id), "notice.duty_saved")


@router.post("/duty/rosters/{role}/import", dependencies=[CheckedForm])
def import_calendar(
    seat: Guard, role: RoleName, typed: Typed, calendar: Annotated[UploadFile | None, File()] = None
) -> Response:
    """Take shifts from a calendar file in place of those of the role that have not begun."""
    _check_role(role)
    data = b"" if calendar is None else calendar.file.read(CALENDAR_BYTES_MAX + 1)
    community_id = ""
    try:
        with seat.transaction() as connection:
            community_id = choose_community(connection, seat, typed.get("community"))
            if not data or len(data) > CALENDAR_BYTES_MAX:
                raise CalendarError("too_large" if data else "not_a_calendar")
            zone = load_for(connection, community_id).zone
            shifts = read_shifts(data, known_names(connection, community_id, role), zone=zone, now=seat.now)
            save_shifts(make_change(connection, seat, community_id), role, shifts)
            _audit(connection, seat, "duty_imported", community_id, role)
    except (CalendarError, RosterRefusedError, RosterWordsError) as error:
        return _refused(seat, community_id, role, error)
    return seat.go(_path(role, community_id), "notice.duty_saved")


@router.post("/duty/holidays", dependencies=[CheckedForm])
def holidays(seat: Guard, table: Annotated[str, Form(max_length=20_000)] = "") -> Response:
    """Enter a year's public holidays and make-up workdays, as announced; for whoever has every community."""
    if seat.viewer.community_id is not None:
        raise RefusedError(403)
    with seat.transaction() as connection:
        community_id = choose_community(connection, seat, None)
        try:
            years = parse_years(table)
        except HolidayTableError:
            form = FormView({"table": table}, {"table": "duty.bad_table"})
            return show(connection, seat, community_id, form=form, status=422)
        save_holidays(connection, years, by=f"user:{seat.viewer.user_id}", now=seat.now)
        for year in sorted(years.years):
            _audit(connection, seat, "holidays_entered", community_id, year)
    return seat.go("/duty", "notice.duty_saved")


@router.post("/duty/line", dependencies=[CheckedForm])
def set_line(seat: Guard, typed: Typed) -> Response:
    """Show everybody who may need it the one number somebody on duty answers, and when."""
    fields = {name: typed.get(name, "").strip() for name in ("line_phone", "line_hours", "line_hours_en")}
    line = DutyLine(*fields.values())
    with seat.transaction() as connection:
        community_id = choose_community(connection, seat, typed.get("community"))
        errors = check_duty_line(connection, line)
        if errors:
            form = FormView(fields, errors)
            return show(connection, seat, community_id, form=form, status=422)
        save_duty_line(connection, community_id, line, by=f"user:{seat.viewer.user_id}", now=seat.now)
        _audit(connection, seat, "duty_line", community_id, "set")
    return seat.go(f"/duty?community={quote(community_id, safe='')}", "notice.duty_saved")


@router.post("/duty/line/end", dependencies=[CheckedForm])
def end_line(seat: Guard, typed: Typed) -> Response:
    with seat.transaction() as connection:
        community_id = choose_community(connection, seat, typed.get("community"))
        end_duty_line(connection, community_id)
        _audit(connection, seat, "duty_line", community_id, "end")
    return seat.go(f"/duty?community={quote(community_id, safe='')}", "notice.duty_saved")


@router.post("/duty/tests/{test_id}/send", dependencies=[CheckedForm])
def send_test(seat: Guard, test_id: RowId, typed: Typed) -> Response:
    """Ring somebody for a test, or send it to her first address; only a pressed key or her tap counts as reached."""
    with seat.transaction() as connection:
        community_id = choose_community(connection, seat, typed.get("community"))
        to = _address_of_test(connection, test_id, community_id)
        if to is None:
            return show(
                connection, seat, community_id, form=FormView({}, {"": "duty.no_address"}), status=409
            )
        outbox_id = write_single(
            connection, step="test", template="test", now=seat.now, key=f"live_{secrets.token_hex(16)}", address=to,
            args={"number": "", "audience": "test", "community": community_id},
        )  # fmt: skip
        values = {"id": test_id, "outbox_id": outbox_id, "now": seat.now}
        connection.execute(_ROSTER["live_test_started"], values)
        rings = to.channel == VOICE
        _audit(connection, seat, "live_test_rung" if rings else "live_test_sent", community_id, test_id)
    notice = "notice.duty_test_rung" if rings else "notice.duty_test_sent"
    return seat.go(f"/duty?community={community_id}", notice)


def _address_of_test(connection: Connection, test_id: int, community_id: str) -> Address | None:
    """Her telephone where a gateway can ring it, else her first address on a channel that is open."""
    values = {"id": test_id, "community_id": community_id}
    phone = connection.execute(_SQL["test_phone"], values).fetchone()
    if phone is not None:
        return Address(0, f"user:{phone['user_id']}", VOICE, phone["language"])
    found = connection.execute(_SQL["test_address"], values).fetchone()
    if found is None:
        return None
    return Address(found["id"], found["recipient"], found["channel"], found["language"])


@router.post("/duty/tests/{test_id}/{result}", dependencies=[CheckedForm])
def test_result(
    seat: Guard, test_id: RowId, result: Annotated[str, Path(max_length=20)], typed: Typed
) -> Response:
    """Write down whether somebody was reached when she was rung."""
    if result not in ("reached", "not_reached"):
        raise not_here()
    with seat.transaction() as connection:
        community_id = choose_community(connection, seat, typed.get("community"))
        values = {
            "id": test_id, "community_id": community_id, "state": result, "now": seat.now,
            "by": f"user:{seat.viewer.user_id}", "note": typed.get("note", "").strip()[:200],
        }  # fmt: skip
        if connection.execute(_ROSTER["live_test_done"], values).fetchone() is None:
            raise not_here()
        _audit(connection, seat, f"live_test_{result}", community_id, test_id)
    return seat.go(f"/duty?community={community_id}", "notice.duty_saved")


@router.post("/admin/users/{name}/leave", dependencies=[CheckedForm])
def let_go(seat: Guard, name: Annotated[str, Path(max_length=64)]) -> Response:
    """A person leaves: what was ended, given back and left uncovered is shown once. Nobody lets herself go."""
    if name == seat.viewer.name:
        raise not_here()
    try:
        with seat.transaction() as connection:
            left = leave(
                connection, name=name, community_id=seat.viewer.community_id, by=f"user:{seat.viewer.user_id}",
                now=seat.now, wall_now=seat.services.wall_now(),
            )  # fmt: skip
            seat.audit(
                connection, "user_left", purpose="administration", object_kind="user", object_id=str(left.user_id),
                cases=len(left.given_back),
            )  # fmt: skip
            return seat.answer(
                connection, "left.html", left, section=Section.ADMIN, path="/admin", live=False
            )
    except NotHereError as error:
        raise not_here() from error
