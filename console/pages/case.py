"""The case page and what people do to a case: an act enters, one transaction with its audit entry leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Path, Request
from starlette.responses import Response

from alerts import acts
from console.loaders import cases as loader
from console.loaders.case_pages import load_case_view
from console.loaders.cases import LoadedCase
from console.metrics import ACTS
from console.scope import Act, RevealPurpose, Section, Sight, may_act, may_enter
from console.seat import CheckedForm, RefusedError, Seat, entering, local_path, not_here, parse_local_time
from console.views import case as case_views
from console.views import parts as view_parts
from kaimen.database import Connection
from kaimen.vocabulary import CaseCause, Role

router = APIRouter()
Guard = Annotated[Seat, Depends(entering(Section.ALARMS, Section.POLICE, Section.TASKS, Section.DEVICES))]
CaseId = Annotated[int, Path(ge=1, le=2**63 - 1)]
NOTE_LENGTH_MAX = 2_000
Note = Annotated[str, Form(max_length=NOTE_LENGTH_MAX)]

_BACK = {Section.ALARMS: "/alarms", Section.POLICE: "/police", Section.TASKS: "/tasks"}


def refusal_word(error: acts.ActRefused) -> str:
    """The word below ``error.`` for why alerts did not allow an act."""
    return str(getattr(error.reason, "value", error.reason))


def notice_of(decision: object) -> str | None:
    """What is said once after an act: the reason alerts gave for what it decided."""
    reason = getattr(decision, "reason", None)
    return None if reason is None else str(reason.value)


@router.get("/cases/{case_id}")
def case_page(seat: Guard, case_id: CaseId, fragment: str | None = None) -> Response:
    with seat.transaction() as connection:
        case = _load(connection, seat, case_id)
        # Whose home is declared empty is told on this page alone, and whoever reads it leaves a trace.
        if (case.sight is Sight.NAMED or case.facts.cause is CaseCause.ABSENCE) and fragment is None:
            seat.audit(
                connection, "case_read", purpose="case", object_kind="case", object_id=str(case_id),
                household=case.row["household_id"],
            )  # fmt: skip
        return _answer(connection, seat, case, fragment=fragment)


def _load(connection: Connection, seat: Seat, case_id: int) -> LoadedCase:
    case = loader.load_case(connection, seat.reader(connection), case_id)
    if case is None or case.sight <= Sight.PLACE:
        raise not_here()
    return case


def _answer(
    connection: Connection,
    seat: Seat,
    case: LoadedCase,
    *,
    fragment: str | None = None,
    form_name: str = "",
    form: view_parts.Form | None = None,
    status: int = 200,
    live: bool = True,
) -> Response:
    view = load_case_view(connection, seat.reader(connection), case, full=True)
    if form is not None:
        view = replace(view, **cast(Any, {form_name: form}))
    section = next((item for item in _BACK if may_enter(seat.viewer, item)), Section.ALARMS)
    page = case_views.CasePage(view, back_url=_BACK.get(section, "/"), back_name=section.value)
    return seat.answer(
        connection, "case.html", page, section=section, fragment=fragment, status=status,
        path=f"/cases/{case.id}", live=live,
    )  # fmt: skip


def _back_to(request: Request, case_id: int) -> str:
    """Where the person was when the button was pressed: the console's aside, or the case page."""
    referer = urlsplit(request.headers.get("referer", ""))
    path = referer.path + (f"?{referer.query}" if referer.query else "")
    return local_path(path) if referer.path == "/alarms" else f"/cases/{case_id}"


def _perform(
    seat: Seat,
    case_id: int,
    act: Act,
    do: Callable[[Connection], object],
    *,
    form_name: str = "note_form",
    values: dict[str, str] | None = None,
    purpose: str = "case",
    stay: bool = False,
) -> Response:
    """Do an act in one transaction with its audit entry; a refusal shows the case as it is now, in words."""
    with seat.transaction() as connection:
        case = loader.load_case(connection, seat.reader(connection), case_id)
        if case is None:
            raise not_here()
        if not may_act(seat.viewer, act, case.facts):
            raise RefusedError(403)
        try:
            with connection.transaction():
                decision = do(connection)
                seat.audit(
                    connection, act.value, purpose=purpose, object_kind="case", object_id=str(case_id),
                    household=case.row["household_id"],
                )  # fmt: skip
        except acts.ActRefused as error:
            ACTS.labels(act=act.value, result="refused").inc()
            now_case = loader.load_case(connection, seat.reader(connection), case_id)
            if now_case is None or now_case.sight <= Sight.PLACE:
                raise RefusedError(409, refusal_word(error)) from error
            form = view_parts.Form(values or {}, {"": refusal_word(error)})
            return _answer(connection, seat, now_case, form_name=form_name, form=form, status=409)
    ACTS.labels(act=act.value, result="done").inc()
    path = f"/cases/{case_id}" if stay else _back_to(seat.request, case_id)
    return seat.go(path, notice_of(decision))


@router.post("/cases/{case_id}/claim", dependencies=[CheckedForm])
def claim(seat: Guard, case_id: CaseId) -> Response:
    return _perform(
        seat, case_id, Act.CLAIM,
        lambda connection: acts.claim(
            connection, case_id=case_id, user_id=seat.viewer.user_id, now=seat.now, role=seat.viewer.role
        ),
    )  # fmt: skip


@router.post("/cases/{case_id}/release", dependencies=[CheckedForm])
def release(seat: Guard, case_id: CaseId) -> Response:
    return _perform(
        seat, case_id, Act.RELEASE,
        lambda connection: acts.release(connection, case_id=case_id, user_id=seat.viewer.user_id, now=seat.now),
    )  # fmt: skip


@router.post("/cases/{case_id}/note", dependencies=[CheckedForm])
def note(seat: Guard, case_id: CaseId, note: Note = "") -> Response:
    return _perform(
        seat, case_id, Act.NOTE,
        lambda connection: acts.add_note(
            connection, case_id=case_id, user_id=seat.viewer.user_id, note=note.strip(), now=seat.now
        ),
        values={"note": note},
    )  # fmt: skip


@router.post("/cases/{case_id}/hold", dependencies=[CheckedForm])
def hold(
    seat: Guard, case_id: CaseId, reason: Note = "", until: Annotated[str, Form(max_length=40)] = ""
) -> Response:
    with seat.transaction() as connection:
        zone = seat.reader(connection).zone
        until_at = parse_local_time(until, zone)
        if until_at is None:
            case = _load(connection, seat, case_id)
            form = view_parts.Form({"reason": reason, "until": until}, {"until": "hold_needs_end"})
            return _answer(connection, seat, case, form_name="hold_form", form=form, status=422)
    return _perform(
        seat, case_id, Act.HOLD,
        lambda connection: acts.hold(
            connection, case_id=case_id, user_id=seat.viewer.user_id, reason=reason.strip(), until=until_at, now=seat.now
        ),
        form_name="hold_form", values={"reason": reason, "until": until},
    )  # fmt: skip


@router.post("/cases/{case_id}/hand-over", dependencies=[CheckedForm])
def hand_over(
    seat: Guard, case_id: CaseId, to_role: Annotated[str, Form(max_length=40)] = "", note: Note = ""
) -> Response:
    def do(connection: Connection) -> object:
        try:
            role = Role(to_role)
        except ValueError as error:
            raise acts.ActRefused(acts.Refusal.UNKNOWN_ROLE) from error
        return acts.hand_over(
            connection,
            case_id=case_id,
            user_id=seat.viewer.user_id,
            to_role=role,
            note=note.strip(),
            now=seat.now,
        )

    return _perform(
        seat, case_id, Act.HAND_OVER, do,
        form_name="hand_over_form", values={"to_role": to_role, "note": note},
    )  # fmt: skip


@router.post("/cases/{case_id}/confirm-closing", dependencies=[CheckedForm])
def confirm_closing(
    seat: Guard, case_id: CaseId, confirmed: Annotated[str, Form(max_length=10)] = "", note: Note = "",
    stay: Annotated[str, Form(max_length=10)] = "",
) -> Response:  # fmt: skip
    """Answer whether a case may be closed; ``stay`` shows its page afterwards, with what is offered there."""
    if confirmed not in ("yes", "no"):
        raise RefusedError(422, "not_valid")
    return _perform(
        seat, case_id, Act.CONFIRM_CLOSING,
        lambda connection: acts.confirm_closing(
            connection, case_id=case_id, user_id=seat.viewer.user_id, confirmed=confirmed == "yes",
            note=note.strip(), now=seat.now,
        ),
        form_name="confirm_form", values={"note": note}, stay=stay == "yes",
    )  # fmt: skip


@router.post("/cases/{case_id}/reveal", dependencies=[CheckedForm])
def reveal(seat: Guard, case_id: CaseId, purpose: Annotated[str, Form(max_length=40)] = "") -> Response:
    """Show the full name once, to whoever says why; the reading is written down before it is shown."""
    with seat.transaction() as connection:
        case = _load(connection, seat, case_id)
        if purpose not in {item.value for item in RevealPurpose}:
            form = view_parts.Form({}, {"purpose": "purpose_missing"})
            return _answer(connection, seat, case, form_name="reveal_form", form=form, status=422)
        if case.household is None or not may_act(seat.viewer, Act.REVEAL, case.facts):
            raise RefusedError(403)
        seat.audit(
            connection, "name_revealed", purpose=purpose, object_kind="case", object_id=str(case_id),
            household=case.row["household_id"],
        )  # fmt: skip
        named = replace(case.household.name, name=case.household.row["name"] or "")
        case = replace(case, household=replace(case.household, name=named), sight=Sight.NAMED)
        # Shown once: a page that fetched itself again would hide the name under the reader's eyes.
        return _answer(connection, seat, case, live=False)
