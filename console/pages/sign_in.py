"""Signing in and out, and the language: a name and a password enter, a session cookie leaves."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console import identity, views
from console.audit import Entry, append
from console.identity import NAME_LENGTH_MAX, PASSWORD_LENGTH_MAX, SignInRefusal
from console.metrics import SIGN_INS
from console.rendering import render
from console.scope import Section, Viewer, sections_of
from console.seat import (
    LANGUAGE_COOKIE,
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
from console.words import LANGUAGES
from kaimen.database import queries, transaction
from kaimen.vocabulary import Role

router = APIRouter()

VISITOR_COOKIE = "kaimen_visitor"
DEMO_SIGN_INS_FILE = "demo-sign-ins.json"

_REFUSAL_WORDS = {
    SignInRefusal.WRONG: "wrong_password",
    SignInRefusal.LOCKED: "too_many_attempts",
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
def sign_in_page(request: Request, next: str = "/") -> Response:
    if find_seat(request) is not None:
        return RedirectResponse(local_path(next), 303)
    return _answer(request, views.Form(), next)


def _answer(request: Request, form: views.Form, after: str, status: int = 200) -> Response:
    services = services_of(request)
    visitor = request.cookies.get(VISITOR_COOKIE, "")
    if not 20 <= len(visitor) <= 100:
        visitor = secrets.token_urlsafe(32)
    page = views.SignInPage(form, local_path(after), load_demo_users(services))
    shell = outer_shell(request, csrf=identity.csrf_of(visitor))
    response = HTMLResponse(render("sign_in.html", shell=shell, page=page), status)
    response.set_cookie(
        VISITOR_COOKIE, visitor, path="/", httponly=True, samesite="lax", secure=secure_cookies(services)
    )
    return response


def load_demo_users(services: Services) -> tuple[views.DemoUser, ...]:
    """Return the sign-ins a demo prints on its page; a real installation has none."""
    folder: Path | None = services.settings.stack_dir
    if not services.settings.demo or folder is None or not (folder / DEMO_SIGN_INS_FILE).exists():
        return ()
    users = json.loads((folder / DEMO_SIGN_INS_FILE).read_text(encoding="utf-8"))
    return tuple(
        views.DemoUser(found["user"], found["password"], Role(role)) for role, found in users.items()
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
    check_origin(request, services)
    visitor = request.cookies.get(VISITOR_COOKIE, "")
    if not visitor or not identity.same_token(csrf, identity.csrf_of(visitor)):
        return _answer(request, views.Form({"name": name}, {"": "stale_form"}), next, 403)
    result = identity.sign_in(
        services.pool,
        name=name,
        password=password,
        address=request.client.host if request.client else "unknown",
        agent=request.headers.get("user-agent", ""),
        now=services.wall_now(),
    )
    if isinstance(result, SignInRefusal):
        SIGN_INS.labels(result=result.value).inc()
        status = 401 if result is SignInRefusal.WRONG else 429
        return _answer(request, views.Form({"name": name}, {"": _REFUSAL_WORDS[result]}), next, status)
    token, viewer = result
    SIGN_INS.labels(result="signed_in").inc()
    with transaction(services.pool) as connection:
        append(
            connection,
            Entry(
                services.now(),
                f"user:{viewer.user_id}",
                viewer.role.value,
                "signed_in",
                "work",
                "user",
                str(viewer.user_id),
            ),
            key=services.audit_key,
        )
    after = local_path(next)
    response = RedirectResponse(arrival_of(viewer) if after == "/" else after, 303)
    response.set_cookie(
        session_cookie(services), token, path="/", httponly=True, samesite="lax", secure=secure_cookies(services),
        max_age=int(identity.limits_of(viewer.role).absolute.total_seconds()),
    )  # fmt: skip
    response.delete_cookie(VISITOR_COOKIE, path="/")
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
    page = views.ErrorPage(503, "offline")
    return HTMLResponse(
        render("offline.html", shell=outer_shell(request), page=page), headers={"Cache-Control": "no-cache"}
    )
