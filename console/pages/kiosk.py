"""The terminal of an entrance hall: big 'I am well' and 'I am away'. A press and a code enter; nothing is shown of anybody.

Nobody signs in. Without a resident's card, code or picture a press is only a note for a call back. What was typed is
forgotten after 20 seconds; what may be pressed is bounded, and the terminal's address can be revoked.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from alerts import acts
from console import residents
from console.audit.chain import Entry, append
from console.duty.line import load_duty_line
from console.identity import sessions as identity
from console.rendering import render
from console.seat import check_origin, outer_shell
from console.services import Services, services_of
from console.views.parts import DutyLine
from console.views.parts import Form as FormView
from console.views.screens import KioskPage, KioskStep
from console.words import LANGUAGES
from kaimen.database import Connection, queries
from kaimen.vocabulary import EvidenceSource

router = APIRouter()
Token = Annotated[str, Path(min_length=20, max_length=100)]
WRONG_MAX = 10
WRONG_WITHIN = timedelta(minutes=10)
PRESSES_MAX = 120
PRESSES_WITHIN = timedelta(hours=1)
SEEN_EVERY = timedelta(minutes=1)
DOOR_LENGTH_MAX = 40
AWAY_DAYS = ("1", "3", "7", "14")
#: Nobody types eight digits in twenty seconds; scripts count from the last key instead.
ENTRY_REFRESH_S = 60
_SQL = queries("console", "residents.sql")


def forget_presses(connection: Connection, *, now: datetime) -> None:
    """Delete what was pressed longer ago than any limit looks back."""
    connection.execute(_SQL["kiosk_forget"], {"before": now - PRESSES_WITHIN})


def _find(connection: Connection, token: str) -> dict[str, Any] | None:
    return connection.execute(_SQL["kiosk_find"], {"token_hash": identity.hash_token(token)}).fetchone()


def _answer(
    request: Request,
    token: str,
    language: str,
    step: KioskStep,
    *,
    form: FormView | None = None,
    line: DutyLine | None = None,
    status: int = 200,
) -> Response:
    chosen = language if language in LANGUAGES else "zh"
    start = f"/kiosk/{token}" + (f"?language={chosen}" if chosen != "zh" else "")
    entry = step in (KioskStep.WELL, KioskStep.AWAY)
    page = KioskPage(
        step, start, form or FormView(), refresh_s=ENTRY_REFRESH_S if entry else 20, duty_line=line
    )
    shell = outer_shell(request, csrf=identity.csrf_of(token))
    # The next one in the hall may read another language: nothing of the last one's choice is kept.
    shell = replace(shell, language=chosen)
    return HTMLResponse(render("kiosk.html", shell=shell, page=page), status)


@router.get("/kiosk/{token}")
def start(request: Request, token: Token, language: Annotated[str, Query(max_length=5)] = "zh") -> Response:
    return _show(request, token, language, KioskStep.START)


@router.get("/kiosk/{token}/{step}")
def step_page(
    request: Request, token: Token, step: KioskStep, language: Annotated[str, Query(max_length=5)] = "zh"
) -> Response:
    return _show(request, token, language, step)


def _show(request: Request, token: str, language: str, step: KioskStep) -> Response:
    services = services_of(request)
    now = services.wall_now()
    with services.transaction() as connection:
        kiosk = _find(connection, token)
        if kiosk is not None:
            connection.execute(
                _SQL["kiosk_seen"], {"id": kiosk["id"], "now": now, "before": now - SEEN_EVERY}
            )
        line = None if kiosk is None else load_duty_line(connection, community_id=kiosk["community_id"])
    if kiosk is None:
        return _answer(request, token, language, KioskStep.GONE, status=404)
    return _answer(request, token, language, step, line=line)


@router.post("/kiosk/{token}/{step}")
def press(
    request: Request,
    token: Token,
    step: KioskStep,
    language: Annotated[str, Query(max_length=5)] = "zh",
    code: Annotated[str, Form(max_length=64)] = "",
    door: Annotated[str, Form(max_length=200)] = "",
    days: Annotated[str, Form(max_length=3)] = "",
    way: Annotated[str, Form(max_length=10)] = "code",
    csrf: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Take a press: with a code it is her word, without one a note."""
    services = services_of(request)
    check_origin(request, services)
    if step not in (KioskStep.WELL, KioskStep.AWAY) or not identity.same_token(csrf, identity.csrf_of(token)):
        return _answer(request, token, language, KioskStep.GONE, status=404)
    values = {"days": days}  # neither code nor door is shown again: the next one may stand there already
    with services.transaction() as connection:
        kiosk = _find(connection, token)
        if kiosk is None:
            return _answer(request, token, language, KioskStep.GONE, status=404)
        connection.execute(_SQL["kiosk_lock"], {"id": kiosk["id"]})
        if _is_busy(connection, kiosk, services.wall_now()):
            line = load_duty_line(connection, community_id=kiosk["community_id"])
            return _answer(request, token, language, KioskStep.BUSY, line=line, status=429)
        errors, reached = _take(connection, services, kiosk, step, code=code, door=door, days=days, way=way)
    if reached is None:
        return _answer(request, token, language, step, form=FormView(values, errors), status=422)
    return RedirectResponse(f"/kiosk/{token}/{reached.value}?language={language}", 303)


def _is_busy(connection: Connection, kiosk: dict[str, Any], now: datetime) -> bool:
    row = connection.execute(
        _SQL["kiosk_presses"],
        {"id": kiosk["id"], "since": now - PRESSES_WITHIN, "wrong_since": now - WRONG_WITHIN},
    ).fetchone()
    return row is not None and (row["wrong"] >= WRONG_MAX or row["all_presses"] >= PRESSES_MAX)


def _take(
    connection: Connection,
    services: Services,
    kiosk: dict[str, Any],
    step: KioskStep,
    *,
    code: str,
    door: str,
    days: str,
    way: str,
) -> tuple[dict[str, str], KioskStep | None]:
    """Return what is wrong with a press, or the page it leads to."""

    def counted(*, right_code: bool) -> None:
        connection.execute(
            _SQL["kiosk_press"], {"id": kiosk["id"], "now": services.wall_now(), "right_code": right_code}
        )

    if way == "note":
        place = " ".join(door.split())
        if not place or len(place) > DOOR_LENGTH_MAX or not place.isprintable():
            return {"door": "kiosk_door"}, None
        counted(right_code=True)
        _ask(connection, services, kiosk, step, door=place)
        return {}, KioskStep.NOTED
    if step is KioskStep.AWAY and days not in AWAY_DAYS:
        return {"days": "kiosk_days"}, None
    if not code.strip():
        return {"code": "kiosk_code"}, None
    home = _home(connection, services, kiosk, code)
    counted(right_code=home is not None)
    if home is None:
        return {"code": "kiosk_code_unknown"}, None
    if not home["watched"] or not _record(connection, services, kiosk, step, home["household_id"], days):
        _ask(connection, services, kiosk, step, household_id=home["household_id"])
        return {}, KioskStep.NOTED
    return {}, KioskStep.TAKEN


def _home(
    connection: Connection, services: Services, kiosk: dict[str, Any], code: str
) -> dict[str, Any] | None:
    community_id = kiosk["community_id"]
    return connection.execute(
        _SQL["kiosk_home"],
        {
            "community_id": community_id,
            "code_hash": residents.hash_code(services.audit_key, code),
            "tokens": residents.tokens_of(connection, services, community_id, code),
            "now": services.now(),
        },
    ).fetchone()


def _record(
    connection: Connection,
    services: Services,
    kiosk: dict[str, Any],
    step: KioskStep,
    household_id: str,
    days: str,
) -> bool:
    """Write her word; False where it may not count: pressed too often in succession, or away already."""
    now, by = services.now(), f"kiosk:{kiosk['id']}"
    if step is KioskStep.AWAY:
        absence = residents.declare_away(connection, household_id, days=int(days), now=now)
        if absence is None:
            return False
        _note(connection, services, kiosk, "absence_declared", "absence", household_id)
        return True
    try:
        with connection.transaction():
            acts.record_remote_well(
                connection, household_id=household_id, via=by, now=now, source=EvidenceSource.BUTTON,
                recorded_by=by,
            )  # fmt: skip
            _note(connection, services, kiosk, "resident_well", "care", household_id)
    except acts.ActRefused:
        return False
    return True


def _note(
    connection: Connection,
    services: Services,
    kiosk: dict[str, Any],
    action: str,
    purpose: str,
    household_id: str,
) -> None:
    entry = Entry(
        services.now(), f"kiosk:{kiosk['id']}", "kiosk", action, purpose, "household", household_id,
        {"community": kiosk["community_id"]},
    )  # fmt: skip
    append(connection, entry, key=services.audit_key)


def _ask(
    connection: Connection,
    services: Services,
    kiosk: dict[str, Any],
    step: KioskStep,
    *,
    household_id: str | None = None,
    door: str = "",
) -> None:
    residents.ask_desk(
        connection, community_id=kiosk["community_id"], kind="call_back", household_id=household_id,
        kiosk_id=kiosk["id"], said=step.value, door=door, now=services.now(),
    )  # fmt: skip
