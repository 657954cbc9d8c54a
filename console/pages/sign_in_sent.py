"""Signing in with a code that was sent: a telephone number or a name enters, then the code; a session cookie leaves."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.identity import sent_codes
from console.identity import sessions as identity
from console.identity.sessions import NAME_LENGTH_MAX, Refused
from console.metrics import SIGN_INS
from console.pages.channels import book_of
from console.pages.sign_in import (
    SENT_COOKIE,
    asker_of,
    check_visitor,
    keep_visitor,
    let_in,
    visitor_of,
    wait_ms,
)
from console.rendering import render
from console.seat import check_origin, find_seat, local_path, not_here, outer_shell, secure_cookies
from console.services import Services, services_of
from console.views import parts as view_parts
from console.views.sign_in import SentAskPage, SentCodePage

router = APIRouter()

Next = Annotated[str, Form(max_length=2000)]
Csrf = Annotated[str, Form(max_length=200)]


def _check_offered(services: Services) -> None:
    with services.transaction() as connection:
        if not sent_codes.load_channels(connection):
            raise not_here()


def _ask_answer(
    request: Request, form: view_parts.Form, after: str, status: int = 200, wait: timedelta = timedelta(0)
) -> Response:
    services = services_of(request)
    visitor = visitor_of(request)
    page = SentAskPage(form, local_path(after), wait_ms(wait))
    shell = outer_shell(request, csrf=identity.csrf_of(visitor))
    response = HTMLResponse(render("sign_in_sent.html", shell=shell, page=page), status)
    keep_visitor(response, visitor, services)
    if wait:
        response.headers["Retry-After"] = str(wait_ms(wait) // 1000)
    return response


@router.get("/sign-in/sent")
def ask_page(request: Request, next: str = "/") -> Response:
    _check_offered(services_of(request))
    if find_seat(request) is not None:
        return RedirectResponse(local_path(next), 303)
    return _ask_answer(request, view_parts.Form(), next)


@router.post("/sign-in/sent")
def ask(
    request: Request,
    who: Annotated[str, Form(max_length=NAME_LENGTH_MAX + 200)] = "",
    next: Next = "/",
    csrf: Csrf = "",
) -> Response:
    """Ask for a code; the answer is the same whether or not anybody is known by what was typed."""
    services = services_of(request)
    _check_offered(services)
    typed = view_parts.Form({"who": who})
    if not check_visitor(request, csrf):
        return _ask_answer(request, view_parts.Form(typed.values, {"": "stale_form"}), next, 403)
    if not who.strip():
        return _ask_answer(request, view_parts.Form(typed.values, {"who": "required"}), next, 422)
    with services.transaction() as connection:
        asked = sent_codes.ask(
            connection, typed=who, token=_token(request), asker=asker_of(request), book=book_of(services),
            key=services.audit_key, now=services.wall_now(), community_now=services.now(),
        )  # fmt: skip
    if isinstance(asked, Refused):
        SIGN_INS.labels(result="wait").inc()
        form = view_parts.Form(typed.values, {"": "wait_a_little"})
        return _ask_answer(request, form, next, 429, asked.wait)
    response = RedirectResponse(f"/sign-in/sent/code?next={quote(local_path(next), safe='/')}", 303)
    response.set_cookie(
        SENT_COOKIE, asked.token, path="/sign-in", httponly=True, samesite="lax", secure=secure_cookies(services),
        max_age=int(sent_codes.CODE_LIVES.total_seconds()),
    )  # fmt: skip
    return response


def _token(request: Request) -> str:
    token = request.cookies.get(SENT_COOKIE, "")
    return token if 20 <= len(token) <= 100 else ""


def _code_answer(request: Request, form: view_parts.Form, after: str, status: int = 200) -> Response:
    shell = outer_shell(request, csrf=identity.csrf_of(_token(request)))
    return HTMLResponse(
        render("sign_in_sent_code.html", shell=shell, page=SentCodePage(form, local_path(after))), status
    )


@router.get("/sign-in/sent/code")
def code_page(request: Request, next: str = "/") -> Response:
    services = services_of(request)
    with services.transaction() as connection:
        awaited = sent_codes.is_awaited(connection, _token(request), now=services.wall_now())
    if not awaited:
        return RedirectResponse(f"/sign-in/sent?next={quote(local_path(next), safe='/')}", 303)
    return _code_answer(request, view_parts.Form(), next)


@router.post("/sign-in/sent/code")
def code(
    request: Request, code: Annotated[str, Form(max_length=60)] = "", next: Next = "/", csrf: Csrf = ""
) -> Response:
    services = services_of(request)
    check_origin(request, services)
    token = _token(request)
    if token and not identity.same_token(csrf, identity.csrf_of(token)):
        return _code_answer(request, view_parts.Form({}, {"": "stale_form"}), next, 403)
    result = token and sent_codes.check(
        services.transaction, token=token, code=code, asker=asker_of(request), rule=services.factor_rule,
        key=services.audit_key, now=services.wall_now(), community_now=services.now(),
    )  # fmt: skip
    if not result:
        return _ask_answer(request, view_parts.Form({}, {"": "sent_code_over"}), next, 401)
    if isinstance(result, Refused):
        SIGN_INS.labels(result="wrong_code").inc()
        return _code_answer(request, view_parts.Form({}, {"code": "wrong_code"}), next, 401)
    return let_in(request, result, next, way="sent_code")
