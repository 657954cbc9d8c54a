"""Signing in with an identity provider: a browser goes there and comes back; who is tied here gets a session, nobody else."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from console.identity import sessions as identity
from console.identity.oidc import ATTEMPT_LIVES, OuterError, OuterRefusal, Provider, seal, unseal
from console.metrics import SIGN_INS
from console.pages.sign_in import answer, asker_of, let_in
from console.seat import local_path, not_here, secure_cookies
from console.services import Services, services_of
from console.views import parts as view_parts
from kaimen.database import queries
from kaimen.logs import get_logger

router = APIRouter()
_SQL = queries("console", "identity.sql")
OUTGOING_COOKIE = "kaimen_outgoing"
BACK = "/sign-in/outer/back"
log = get_logger()


def _provider(request: Request, services: Services) -> Provider:
    """The one provider of this installation, kept with the application; without one there is no such page."""
    settings = services.settings
    if not settings.oidc_issuer:
        raise not_here()
    kept = getattr(request.app.state, "oidc_provider", None)
    if kept is None:
        secret = settings.oidc_client_secret
        kept = request.app.state.oidc_provider = Provider(
            issuer=settings.oidc_issuer, client_id=settings.oidc_client_id,
            client_secret=secret.get_secret_value() if secret else "",
            redirect_url=settings.public_url.rstrip("/") + BACK, claim=settings.oidc_claim,
        )  # fmt: skip
    assert isinstance(kept, Provider)
    return kept


def _refuse(
    request: Request, word: str, after: str = "/", *, subject: str = "", status: int = 401
) -> Response:
    SIGN_INS.labels(result=word).inc()
    response = answer(request, view_parts.Form({}, {"": word}), after, status, subject=subject)
    response.delete_cookie(OUTGOING_COOKIE, path="/sign-in")
    return response


@router.get("/sign-in/outer")
def go_out(request: Request, next: str = "/") -> Response:
    """On to the provider. A plain link: a form's answer may lead nowhere but here."""
    services = services_of(request)
    provider = _provider(request, services)
    wall_now = services.wall_now()
    try:
        url, outgoing = provider.begin(local_path(next), now=wall_now)
    except OuterError as error:
        log.warning("the identity provider is away", reason=str(error))
        return _refuse(request, error.why.value, next, status=503)
    response = RedirectResponse(url, 303)
    response.set_cookie(
        OUTGOING_COOKIE, seal(outgoing, services.audit_key), path="/sign-in", httponly=True, samesite="lax",
        secure=secure_cookies(services), max_age=int(ATTEMPT_LIVES.total_seconds()),
    )  # fmt: skip
    return response


@router.get(BACK)
def come_back(
    request: Request,
    code: Annotated[str, Query(max_length=2000)] = "",
    state: Annotated[str, Query(max_length=200)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Take the provider's answer, in the browser that went there, once."""
    services = services_of(request)
    provider = _provider(request, services)
    wall_now = services.wall_now()
    try:
        outgoing = unseal(request.cookies.get(OUTGOING_COOKIE, ""), services.audit_key, wall_now)
        if error or not code:
            raise OuterError(OuterRefusal.REFUSED)
        subject = provider.finish(outgoing, state=state, code=code, now=wall_now)
    except OuterError as refused:
        log.info("an identity provider's answer was not taken", reason=str(refused))
        return _refuse(request, refused.why.value)
    settings = services.settings
    with services.transaction() as connection:
        values = {"issuer": settings.oidc_issuer, "subject": subject}
        row = connection.execute(_SQL["outer_find"], values).fetchone()
        if row is None:
            return _refuse(request, "outer_not_tied", outgoing.next, subject=subject, status=403)
        viewer = identity.viewer_of(connection, row)
        trusted = settings.oidc_trusts_second_factor
        result: identity.Opened | identity.CodeAwaited
        if row["has_factor"] and not trusted:
            result = identity.await_code(connection, viewer, now=wall_now)
        else:
            result = identity.complete(
                connection, viewer, asker=asker_of(request), rule=services.factor_rule, now=wall_now,
                factor_outside=trusted,
            )  # fmt: skip
    response = let_in(request, result, outgoing.next)
    response.delete_cookie(OUTGOING_COOKIE, path="/sign-in")
    return response
