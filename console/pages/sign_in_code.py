"""The second step of signing in: a code of the authenticator or a recovery code enters, a session cookie leaves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.identity import sessions as identity
from console.identity.sessions import Refused, SignInRefusal
from console.metrics import SIGN_INS
from console.pages.sign_in import STEP_COOKIE, asker_of, let_in, wait_ms
from console.rendering import render
from console.seat import check_origin, local_path, outer_shell
from console.services import services_of
from console.views import parts as view_parts
from console.views.identity import CodePage

router = APIRouter()


def _step_token(request: Request) -> str:
    token = request.cookies.get(STEP_COOKIE, "")
    return token if 20 <= len(token) <= 100 else ""


def _answer(request: Request, page: CodePage, status: int = 200) -> Response:
    shell = outer_shell(request, csrf=identity.csrf_of(_step_token(request)))
    response = HTMLResponse(render("sign_in_code.html", shell=shell, page=page), status)
    if page.wait_ms:
        response.headers["Retry-After"] = str(page.wait_ms // 1000)
    return response


@router.get("/sign-in/code")
def code_page(request: Request, next: str = "/") -> Response:
    services = services_of(request)
    token = _step_token(request)
    with services.transaction() as connection:
        awaited = token and identity.find_step(connection, token, now=services.wall_now())
    if not awaited:
        return RedirectResponse("/sign-in", 303)
    return _answer(request, CodePage(view_parts.Form(), local_path(next)))


@router.post("/sign-in/code")
def code(
    request: Request,
    code: Annotated[str, Form(max_length=60)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",
    csrf: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    services = services_of(request)
    check_origin(request, services)
    token, after = _step_token(request), local_path(next)
    if not token:
        return RedirectResponse("/sign-in", 303)
    if not identity.same_token(csrf, identity.csrf_of(token)):
        return _answer(request, CodePage(view_parts.Form({}, {"": "stale_form"}), after), 403)
    result = identity.check_code(
        services.transaction, token=token, code=code, asker=asker_of(request), rule=services.factor_rule,
        key=services.audit_key, now=services.wall_now(),
    )  # fmt: skip
    if result is None:
        return RedirectResponse("/sign-in", 303)
    if isinstance(result, Refused):
        wrong = result.why is SignInRefusal.WRONG
        SIGN_INS.labels(result="wrong_code" if wrong else "wait").inc()
        form = view_parts.Form({}, {"code": "wrong_totp"} if wrong else {"": "wait_a_little"})
        return _answer(request, CodePage(form, after, wait_ms(result.wait)), 401 if wrong else 429)
    return let_in(request, result, after)
