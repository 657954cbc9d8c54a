"""The demo's clock keeps pace with its readers: requests enter, the speed of life or the chosen one leaves.

Time must not run away under somebody who reads a deadline; and until somebody has come at all, the morning waits.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from console.seat import session_cookie
from console.services import Services
from console.stack.folder import StackFolder
from console.stack.steering import Steering

#: Without scripts nothing says that a page is still open: this long somebody is taken to read it.
READS_FOR_S = 120.0
#: Who goes from one page to another is between them for no longer than this.
LEAVES_FOR_S = 8.0


@dataclass(slots=True)
class _Reader:
    """What one session has open."""

    reads: bool = False
    asked_at: float = 0.0
    streams: int = 0


@dataclass(slots=True)
class Readers:
    """Who has a page open: with a stream that stands, or asked for a moment ago."""

    by_session: dict[str, _Reader] = field(default_factory=dict)

    def note_page(self, session: str, *, reads: bool, now: float) -> None:
        reader = self.by_session.setdefault(session, _Reader())
        reader.reads, reader.asked_at = reads, now

    def note_stream(self, session: str, change: int, *, now: float) -> None:
        reader = self.by_session.setdefault(session, _Reader())
        reader.streams += change
        if change < 0 and reader.streams == 0 and now - reader.asked_at > LEAVES_FOR_S:
            # The page was left, perhaps for another whose own stream is to come: no time runs in between.
            reader.asked_at = now - READS_FOR_S + LEAVES_FOR_S

    def count(self, now: float) -> int:
        """Return how many sessions read now, and forget those that left."""
        for session, reader in list(self.by_session.items()):
            if not reader.streams and now - reader.asked_at > READS_FOR_S:
                del self.by_session[session]
        return sum(reader.reads for reader in self.by_session.values())


#: Pages beside which time may run: the one it is steered from, and those without anything of the street.
_NOT_READ = ("demo", "account", "language", "offline", "sign-in", "sessions")


def is_read(path: str) -> bool:
    """Say whether an address shows what is told of the street, so that it must not run away under a reader."""
    first = path.strip("/").partition("/")[0]
    return first not in _NOT_READ


class SlowWhileRead:
    """Runs the demo's clock at the speed of life while somebody reads what is told of the street."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._readers = Readers()
        self._told = -1
        self._somebody_came = False
        self._pending: asyncio.Future[None] | None = None
        self._steering = Steering(StackFolder(Path(services.settings.stack_dir or ".")))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = _session_of(scope, session_cookie(self._services)) if scope["type"] == "http" else None
        if not self._somebody_came and scope["type"] == "http" and scope["path"].startswith("/api/"):
            await self._welcome()
        if session is None or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        if scope["path"] == "/stream":
            await self._follow(session, scope, receive, send)
            return
        if not scope["path"].startswith(("/static", "/api", "/healthz", "/readyz", "/metrics")):
            reads = is_read(scope["path"])
            self._readers.note_page(session, reads=reads, now=time.monotonic())
            await self._tell()
            if not self._somebody_came:
                await self._welcome()
            # Whoever reads without scripts is forgotten after a while.
            asyncio.get_running_loop().call_later(READS_FOR_S + 1, self._tell_soon)
        await self._app(scope, receive, send)

    async def _welcome(self) -> None:
        """Let the clock go on: somebody has come, be it a program that asks the API."""
        self._somebody_came = True
        await asyncio.to_thread(self._steering.welcome)

    async def _follow(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        referer = urlsplit(Headers(scope=scope).get("referer", ""))
        self._readers.note_stream(session, 1, now=time.monotonic())
        if is_read(referer.path):
            self._readers.note_page(session, reads=True, now=time.monotonic())
        await self._tell()
        try:
            await self._app(scope, receive, send)
        finally:
            self._readers.note_stream(session, -1, now=time.monotonic())
            asyncio.get_running_loop().call_later(LEAVES_FOR_S + 1, self._tell_soon)

    def _tell_soon(self) -> None:
        self._pending = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        count = self._readers.count(time.monotonic())
        if count != self._told:
            self._told = count
            await asyncio.to_thread(self._steering.set_readers, count)


def _session_of(scope: Scope, cookie: str) -> str | None:
    found = cookie_parser(Headers(scope=scope).get("cookie", "")).get(cookie)
    return found if found else None
