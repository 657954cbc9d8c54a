"""The list of cases for whoever asks for it again: a request enters; the same answer leaves, or the request goes on.

Before the routes: guard, session, scope and list are one statement of the database. Where its answer is to the letter
what it was, the loop itself asks and sends what is kept; where a case changed, one thread makes what is new. Anything of
the session that is not exactly as it was when these words were last checked goes the whole way: another role, place or
home, a session that ended, that has to be marked as used, or of which something is asked first.
"""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from console.api import cases
from console.api.lists import Door, Page, enter_list
from console.identity import sessions as identity
from console.seat import STATEMENT_TIMEOUT_MS, token_of
from console.services import Services
from kaimen.database import Connection, single, transaction


class KeptListLayer:
    """Answers from what is kept as long as the database says in the same moment that it may."""

    def __init__(self, app: ASGIApp, *, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/api/cases" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        token = None if "authorization" in request.headers else token_of(request, self._services)
        page = None
        if token is not None:
            door = self._services.lists.door(identity.hash_token(token), scope["query_string"])
            if door is not None:
                page = await self._same(door) or await run_in_threadpool(self._enter, token, door)
        if page is None:
            await self._app(scope, receive, send)
            return
        scope["endpoint"] = cases.cases
        await page.answer(request.headers.get("if-none-match"), request.headers.get("accept-encoding"))(
            scope, receive, send
        )

    async def _same(self, door: Door) -> Page | None:
        """Return the page if the database says, word for word, what it said when it was made."""
        page, now = self._services.lists.last_page(door), self._services.wall_now()
        if page is None or door.same_until is None or now >= door.same_until:
            return None
        row = await self._services.lane.ask(door.question_at(now))
        if row is None:
            return None
        opened, seat, *_, stamps = row
        return page if opened == b"t" and seat == door.seat and (stamps or b"") == page.raw_stamps else None

    def _enter(self, token: str, door: Door) -> Page | None:
        lists = self._services.lists
        with single(self._services.pool) as connection:
            row = self._asked_by_the_same(connection, token, door)
        if row is None:
            return None
        page = lists.kept_page(door, row["stamps"])
        if page is not None:
            return page
        # A scope ends with its transaction: what changed is made in another one, which asks all of it again.
        with transaction(self._services.pool) as connection:
            row = self._asked_by_the_same(connection, token, door)
            return None if row is None else lists.page(connection, door, row["stamps"])

    def _asked_by_the_same(self, connection: Connection, token: str, door: Door) -> dict[str, Any] | None:
        services = self._services
        now = services.wall_now()
        row = enter_list(
            connection, door.viewer, door.asked,
            token_hash=identity.hash_token(token), wall=now, timeout=str(STATEMENT_TIMEOUT_MS),
        )  # fmt: skip
        if not row["open"] or identity.same_until(row, door.viewer, services.factor_rule, now=now) is None:
            return None
        return row
