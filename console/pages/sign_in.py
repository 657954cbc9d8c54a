"""Signing in and out, and the language: a name and a password enter, a session cookie leaves."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.audit.chain import Entry, append
from console.identity import sent_codes
from console.identity import sessions as identity
from console.identity.sessions import (
    NAME_LENGTH_MAX,
    PASSWORD_LENGTH_MAX,
    Asker,
    CodeAwaited,
    Opened,
    Refused,
    SignInRefusal,
)
from console.metrics import SIGN_INS
from console.rendering import render
from console.scope import Section, Viewer, sections_of
from console.seat import (
    LANGUAGE_COOKIE,
    NOTICE_COOKIE,
    CheckedForm,
    RefusedError,
    SignedIn,
    check_origin,
    find_seat,
    local_path,
    outer_shell,
    secure_cookies,
    session_cookie,
)
from console.services import Services, services_of
from console.views import parts as view_parts
from console.views import shell as shell_views
from console.views import sign_in as sign_in_views
from console.words import LANGUAGES
from kaimen.database import queries
from kaimen.vocabulary import Role

router = APIRouter()

VISITOR_COOKIE = "kaimen_visitor"
STEP_COOKIE = "kaimen_step"
SENT_COOKIE = "kaimen_sent"
DEVICE_COOKIE = "kaimen_device"
DEMO_SIGN_INS_FILE = "demo-sign-ins.json"

_REFUSAL_WORDS = {
    SignInRefusal.WRONG: "wrong_password",
    SignInRefusal.WAIT: "wait_a_little",
    SignInRefusal.BUSY: "too_many_attempts",
}

ARRIVALS: dict[Section, str] = {
    Section.ALARMS: "/alarms",
    Section.TASKS: "/tasks",
    Section.POLICE: "/police",
    Section.TICKETS: "/police/tickets",
    Section.AUDIT: "/audit",
    Section.FAMILY: "/family",
    Section.ADMIN: "/admin",
    Section.PORTFOLIO: "/portfolio",
    Section.COMMITTEE: "/committee",
    Section.RESIDENT: "/resident",
}


def arrival_of(viewer: Viewer) -> str:
    """Return where a role begins its work."""
    return ARRIVALS[sections_of(viewer.role)[0]]


@router.get("/")
def home(seat: SignedIn) -> Response:
    return RedirectResponse(arrival_of(seat.viewer), 303)


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "/", lost: str = "") -> Response:
    if find_seat(request) is not None:
        return RedirectResponse(local_path(next), 303)
    return answer(request, view_parts.Form(), next, lost=bool(lost))


def answer(
    request: Request, form: view_parts.Form, after: str, status: int = 200, *, wait: timedelta = timedelta(0),
    subject: str = "", lost: bool = False,
) -> Response:  # fmt: skip
    """The page for signing in, with what was wrong and how long to wait before the next attempt."""
    services = services_of(request)
    visitor = visitor_of(request)
    with services.transaction() as connection:
        sends_codes = bool(sent_codes.load_channels(connection))
    page = sign_in_views.SignInPage(
        form,
        local_path(after),
        load_demo_users(services),
        wait_ms(wait),
        outer_name(services),
        subject,
        lost,
        sends_codes,
    )
    shell = outer_shell(request, csrf=identity.csrf_of(visitor))
    response = HTMLResponse(render("sign_in.html", shell=shell, page=page), status)
    keep_visitor(response, visitor, services)
    if wait:
        response.headers["Retry-After"] = str(wait_ms(wait) // 1000)
    return response


def visitor_of(request: Request) -> str:
    """Return the token of a browser nobody is signed in with, a new one where it has none."""
    visitor = request.cookies.get(VISITOR_COOKIE, "")
    return visitor if 20 <= len(visitor) <= 100 else secrets.token_urlsafe(32)


def keep_visitor(response: Response, visitor: str, services: Services) -> None:
    response.set_cookie(
        VISITOR_COOKIE, visitor, path="/", httponly=True, samesite="lax", secure=secure_cookies(services)
    )


def outer_name(services: Services) -> str:
    """What the identity provider is called here; empty where there is none."""
    settings = services.settings
    return (settings.oidc_name or urlsplit(settings.oidc_issuer).netloc) if settings.oidc_issuer else ""


def wait_ms(wait: timedelta) -> int:
    """Whole seconds, rounded up: who waits as long as she was told is not refused again."""
    return 1000 * ceil(wait.total_seconds())


def asker_of(request: Request) -> Asker:
    return Asker(
        request.client.host if request.client else "unknown",
        request.headers.get("user-agent", ""),
        request.cookies.get(DEVICE_COOKIE, ""),
    )


def check_visitor(request: Request, csrf: str) -> bool:
    """Say whether a form for somebody who is not signed in came from our own page, in the same browser."""
    check_origin(request, services_of(request))
    visitor = request.cookies.get(VISITOR_COOKIE, "")
    return bool(visitor) and identity.same_token(csrf, identity.csrf_of(visitor))


def load_demo_users(services: Services) -> tuple[sign_in_views.DemoUser, ...]:
    """Return the sign-ins a demo prints on its page; a real installation has none."""
    folder: Path | None = services.settings.stack_dir
    if not services.settings.demo or folder is None or not (folder / DEMO_SIGN_INS_FILE).exists():
        return ()
    users = json.loads((folder / DEMO_SIGN_INS_FILE).read_text(encoding="utf-8"))
    return tuple(
        sign_in_views.DemoUser(found["user"], found["password"], Role(role)) for role, found in users.items()
    )


@router.post("/sign-in")
def sign_in(
    request: Request,
    name: Annotated[str, Form(max_length=NAME_LENGTH_MAX)] = "",
    password: Annotated[str, Form(max_length=PASSWORD_LENGTH_MAX)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",
    csrf: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    services = services_of(request)
    if not check_visitor(request, csrf):
        return answer(request, view_parts.Form({"name": name}, {"": "stale_form"}), next, 403)
    result = identity.sign_in(
        services.transaction, name=name, password=password, asker=asker_of(request), rule=services.factor_rule,
        now=services.wall_now(),
    )  # fmt: skip
    if isinstance(result, Refused):
        SIGN_INS.labels(result=result.why.value).inc()
        status = 401 if result.why is SignInRefusal.WRONG else 429
        form = view_parts.Form({"name": name}, {"": _REFUSAL_WORDS[result.why]})
        return answer(request, form, next, status, wait=result.wait)
    return let_in(request, result, next)


def let_in(request: Request, result: Opened | CodeAwaited, next: str, *, way: str = "") -> Response:
    """Lead somebody whose password was right to where she works, or to the page for her code.

    ``way`` is how she came in where it was not by her password.
    """
    services = services_of(request)
    secure = secure_cookies(services)
    after = local_path(next)
    if isinstance(result, CodeAwaited):
        SIGN_INS.labels(result="code_awaited").inc()
        response = RedirectResponse(f"/sign-in/code?next={quote(after, safe='/')}", 303)
        response.set_cookie(
            STEP_COOKIE, result.token, path="/sign-in", httponly=True, samesite="lax", secure=secure,
            max_age=int(identity.STEP_LIVES.total_seconds()),
        )  # fmt: skip
        return response
    SIGN_INS.labels(result="signed_in").inc()
    viewer = result.viewer
    device = request.cookies.get(DEVICE_COOKIE, "")
    if not 20 <= len(device) <= 100:
        device = secrets.token_urlsafe(32)
    with services.transaction() as connection:
        identity.know_device(connection, viewer.user_id, device, now=services.wall_now())
        entry = Entry(
            services.now(), f"user:{viewer.user_id}", viewer.role.value, "signed_in", "work", "user",
            str(viewer.user_id), {"way": way} if way else {},
        )  # fmt: skip
        append(connection, entry, key=services.audit_key)
    response = RedirectResponse(arrival_of(viewer) if after == "/" else after, 303)
    response.set_cookie(
        session_cookie(services), result.token, path="/", httponly=True, samesite="lax", secure=secure,
        max_age=int(identity.limits_of(viewer.role).absolute.total_seconds()),
    )  # fmt: skip
    response.set_cookie(
        DEVICE_COOKIE, device, path="/sign-in", httponly=True, samesite="lax", secure=secure,
        max_age=int(identity.DEVICE_KNOWN_FOR.total_seconds()),
    )  # fmt: skip
    if result.failures:
        response.set_cookie(
            NOTICE_COOKIE, "notice.failed_before", max_age=60, path="/", httponly=True, samesite="lax",
            secure=secure,
        )  # fmt: skip
    response.delete_cookie(VISITOR_COOKIE, path="/")
    for name in (STEP_COOKIE, SENT_COOKIE):
        response.delete_cookie(name, path="/sign-in")
    return response


@router.post("/sign-out", dependencies=[CheckedForm])
def sign_out(request: Request, seat: SignedIn) -> Response:
    assert seat.session is not None
    with seat.transaction() as connection:
        identity.end_session(connection, seat.session.token_hash)
    return forget_cookie(RedirectResponse("/sign-in", 303), seat.services)


def forget_cookie(response: Response, services: Services) -> Response:
    """Take the session's cookie back, and what the browser kept of the pages it opened."""
    response.delete_cookie(session_cookie(services), path="/", secure=secure_cookies(services), httponly=True)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@router.post("/language")
def language(
    request: Request,
    language: Annotated[str, Form(max_length=10)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Choose the language: kept in a cookie and, where somebody is signed in, with the person."""
    services = services_of(request)
    check_origin(request, services)
    if language not in LANGUAGES:
        raise RefusedError(422, "not_valid")
    seat = find_seat(request)
    if seat is not None:
        with seat.transaction() as connection:
            connection.execute(
                queries("console")["user_language"], {"user_id": seat.viewer.user_id, "language": language}
            )
    response = RedirectResponse(local_path(next), 303)
    response.set_cookie(
        LANGUAGE_COOKIE, language, max_age=365 * 86_400, path="/", httponly=True, samesite="lax",
        secure=secure_cookies(services),
    )  # fmt: skip
    return response


@router.get("/offline")
def offline(request: Request) -> Response:
    """The page a phone keeps for a stairwell without a signal; it holds nothing about anybody."""
    page = shell_views.ErrorPage(503, "offline")
    return HTMLResponse(
        render("offline.html", shell=outer_shell(request), page=page), headers={"Cache-Control": "no-cache"}
    )
