"""The outermost layer of the console: requests enter bounded, answers leave with headers that keep browsers safe.

Plain ASGI, so that event streams pass through it unbuffered.
"""

from __future__ import annotations

import ipaddress
import json
import re
import secrets
from collections.abc import Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES_MAX = 64 * 1024
#: A recording of half a minute as a telephone makes it, or a photo, for the forms that take one.
SOUND_BYTES_MAX = 6 * 1024 * 1024 + BODY_BYTES_MAX
SOUND_PATHS = re.compile(
    r"^/(households|family)/[^/]+/voice$|^/tasks/[0-9]+/photos$|^/field/photos$|^/households/new/check$"
)
QUERY_BYTES_MAX = 8 * 1024

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "font-src 'self'",
        "connect-src 'self'", "media-src 'self'", "manifest-src 'self'", "worker-src 'self'", "form-action 'self'",
        "base-uri 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class BodyTooLargeError(Exception):
    """More was sent than any form of ours needs."""


class SecurityLayer:
    """Bounds what comes in, names each request, and adds the headers to what goes out."""

    def __init__(
        self, app: ASGIApp, *, secure: bool, page: Callable[[Scope, int], ASGIApp] | None = None
    ) -> None:
        self._app = app
        self._page = page
        headers = {**_HEADERS, "Cache-Control": "no-store"}
        if secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = secrets.token_hex(6)
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._add_headers(message, state["request_id"])
            await send(message)

        refusal = _refuse_size(scope)
        if refusal is not None:
            await self._refuse(scope, receive, send_with_headers, *refusal)
            return
        try:
            await self._app(scope, _bounded(receive, body_bytes_max(scope["path"])), send_with_headers)
        except BodyTooLargeError:
            if started:
                raise
            await self._refuse(scope, receive, send_with_headers, 413, _too_large(scope["path"]))

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int, words: str) -> None:
        """Answer whoever sent too much: a page in her language where a browser asks, a line for all others."""
        is_browser = "text/html" in Headers(scope=scope).get("accept", "")
        if self._page is not None and is_browser and not scope["path"].startswith("/api/"):
            await self._page(scope, status)(scope, receive, send)
        else:
            await _refuse(scope, send, status, words)

    def _add_headers(self, message: Message, request_id: str) -> None:
        given = message.setdefault("headers", [])
        names = {name.lower() for name, _ in given}
        message["headers"] = [
            *given,
            *(header for header in self._headers if header[0] not in names),
            *([] if b"x-request-id" in names else [(b"x-request-id", request_id.encode())]),
        ]


def body_bytes_max(path: str) -> int:
    """Return how much may be sent to a path: what forms need, and a recording, a photo or a list where one is taken."""
    return SOUND_BYTES_MAX if SOUND_PATHS.match(path) else BODY_BYTES_MAX


def _too_large(path: str) -> str:
    return f"the body is larger than {body_bytes_max(path) // 1024} KiB"


def _refuse_size(scope: Scope) -> tuple[int, str] | None:
    length = Headers(scope=scope).get("content-length", "0")
    if not length.isdecimal() or int(length) > body_bytes_max(scope["path"]):
        return 413, _too_large(scope["path"])
    if len(scope.get("query_string", b"")) > QUERY_BYTES_MAX:
        return 414, "the query is longer than 8 KiB"
    return None


def _bounded(receive: Receive, bytes_max: int) -> Receive:
    taken = 0

    async def receive_bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b"") or b"")
        if taken > bytes_max:
            raise BodyTooLargeError
        return message

    return receive_bounded


async def _refuse(scope: Scope, send: Send, status: int, words: str) -> None:
    """Answer before the application is asked: a problem for programs, a line of text for browsers."""
    body, kind = (words + "\n").encode(), b"text/plain; charset=utf-8"
    if scope["path"].startswith("/api/"):
        kind = b"application/problem+json"
        code = {413: "too_large", 414: "too_long"}[status]
        told = {"code": code, "detail": words, "mend": "send less"}
        title = HTTPStatus(status).phrase
        problem = {"type": "about:blank", "title": title, "status": status, **told, "error": told}
        body = json.dumps(problem).encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def is_loopback(host: str | None, headers: Headers) -> bool:
    """Say whether the client sits on this machine; one that came through a proxy does not."""
    if host is None or "x-forwarded-for" in headers or "forwarded" in headers:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
