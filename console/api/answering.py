"""What every answer of the JSON API is made with: a status or an instant enters, a problem or a text leaves.

Instants are ISO 8601 in UTC with ``Z``; every error is a problem as in RFC 9457, with ``code`` and ``mend`` beside.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse

from console.seat import RefusedError

PROBLEM_TYPE = "application/problem+json"

_ERRORS: dict[int, tuple[str, str, str]] = {
    400: ("bad_request", "the request could not be read", "send what the description of this address asks for"),
    401: ("not_signed_in", "nobody is signed in", "send a bearer token, or sign in at /sign-in"),
    403: ("not_allowed", "this is not for your role", "ask whoever keeps the roles of your community"),
    404: ("not_found", "there is nothing here that you may see", "check the id; what is out of scope is not found either"),
    405: ("wrong_method", "this address does not take that method", "use the method of the description"),
    409: ("not_possible_now", "the state does not allow this act", "read the case again and decide anew"),
    413: ("too_large", "the body is larger than 64 KiB", "send less"),
    414: ("too_long", "the query is longer than 8 KiB", "ask for less at once"),
    422: ("not_valid", "a value is missing or not of its kind", "mend the named fields"),
    429: ("too_many", "too many requests or open streams", "wait a little, then try again"),
    500: ("failed", "something went wrong on our side", "try again; tell the operator the request id"),
    503: ("away", "the database is away", "try again in a few seconds"),
}  # fmt: skip

_MENDS = {
    "scope_missing": "make a token with the scope this address needs, on the page My sign-ins",
    "factor_due": "set up the second step of signing in at /account/second-factor",
    "password_due": "change the password at /account/password",
    "stale_form": "send the session's token as X-CSRF-Token; GET /api/me tells it",
    "other_site": "send writes from the console's own address, or with a bearer token",
}


def error_response(status: int, code: str | None = None, detail: str = "", mend: str = "") -> JSONResponse:
    """An error in the one shape all errors have."""
    default_code, default_detail, default_mend = _ERRORS.get(status, _ERRORS[500 if status >= 500 else 400])
    body = {
        "code": code or default_code,
        "detail": detail or default_detail,
        "mend": mend or _MENDS.get(code or "", default_mend),
    }
    headers = {"WWW-Authenticate": 'Bearer realm="kaimen"'} if status == 401 else None
    # What it is in general says the status; what it is here, ``code``. ``error`` is the shape of before.
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        **body,
        "error": body,
    }
    return JSONResponse(problem, status, headers=headers, media_type=PROBLEM_TYPE)


def instant(at: datetime | None) -> str | None:
    """Format an instant; None stays None."""
    if at is None:
        return None
    text = at.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


class Body(BaseModel):
    """What is sent to the API: nothing that nobody asked for."""

    model_config = ConfigDict(extra="forbid")


def aware(at: datetime | None) -> datetime | None:
    if at is not None and at.tzinfo is None:
        raise RefusedError(422, "not_a_time")
    return at
