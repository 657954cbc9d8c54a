"""The console's application enters; answers of single requests leave, each without a trace in the database.

Thousands of requests ask whether somebody is let in; a socket, a browser's cookie jar and a commit for each would
take minutes. A request here is one call of the application in one transaction that is rolled back after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount

from console.identity import sessions as identity
from kaimen.clock import as_datetime
from kaimen.database import Connection, connect
from tests.integration.console_world import HOST, World

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class RolledBackPool:
    """One connection in the place of a pool; what its transactions wrote is gone at the end of ``request``."""

    def __init__(self, url: str) -> None:
        self._connection = connect(url, service="test")
        self.statements: list[str] = []
        statements = self.statements

        class Counting(psycopg.Cursor[dict[str, Any]]):
            def execute(self, query: Any, *args: Any, **kwargs: Any) -> Counting:
                statements.append(" ".join(str(query).split()))
                return super().execute(query, *args, **kwargs)

        self._connection.cursor_factory = Counting

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Connection]:
        yield self._connection

    @contextmanager
    def request(self) -> Iterator[None]:
        self.statements.clear()
        with self._connection.transaction(force_rollback=True):
            yield

    def look(self, look: Callable[[Connection, Answer], object], answer: Answer) -> object:
        """Return what ``look`` sees within the request."""
        return look(self._connection, answer)

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers in lower case, body; and what the database was asked on the way.

    ``left`` is what ``look`` saw in the database before all was rolled back.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    statements: tuple[str, ...] = ()
    left: object = None

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


@dataclass
class Asker:
    """Asks the application as one of the world's people, or as nobody."""

    app: FastAPI
    pool: RolledBackPool
    tokens: dict[str, str] = field(default_factory=dict)
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)

    def ask(
        self,
        who: str,
        method: str,
        path: str,
        *,
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        csrf: bool = True,
        look: Callable[[Connection, Answer], object] | None = None,
    ) -> Answer:
        """Send one request; ``who`` is a name of the world, or "" for somebody who is not signed in."""
        token = self.tokens.get(who, "")
        sent = {"host": HOST.partition("//")[2], **(headers or {})}
        if token:
            sent["cookie"] = f"__Host-kaimen_session={token}"
        if body is None:
            form = dict(fields or {})
            if token and csrf and method != "GET":
                form.setdefault("csrf", identity.csrf_of(token))
                sent.setdefault("x-csrf-token", form["csrf"])
            body = b"" if method == "GET" else urlencode(form, errors="surrogatepass").encode()
            sent.setdefault("content-type", "application/x-www-form-urlencoded")
        sent["content-length"] = str(len(body))
        with self.pool.request():
            answer = self.runner.run(_call(self.app, method, path, sent, body))
            answer = replace(answer, statements=tuple(self.pool.statements))
            return answer if look is None else replace(answer, left=self.pool.look(look, answer))

    def close(self) -> None:
        self.runner.close()
        self.pool.close()


async def _call(app: FastAPI, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
    bare, _, query = path.partition("?")
    from urllib.parse import unquote

    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "https", "method": method,
        "path": unquote(bare), "raw_path": bare.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("192.0.2.7", 5000), "server": ("console.test", 443),
    }  # fmt: skip
    found: dict[str, Any] = {"status": 0, "headers": {}, "body": []}
    sent = False
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await gone.wait()
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            found["status"] = message["status"]
            found["headers"] = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            found["body"].append(message.get("body", b""))
            # Nobody reads on in an event stream.
            if found["headers"].get("content-type", "").startswith("text/event-stream"):
                gone.set()

    await app(scope, receive, send)
    return Answer(found["status"], found["headers"], b"".join(found["body"]))


def routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """Every (method, path) the application answers, as the router itself has it; files under /static are not."""
    return sorted(
        {(method, route.path) for route in _walk(app.routes) for method in route.methods if method in METHODS}
    )


def _walk(routes: list[BaseRoute]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        else:  # an included router would have its routes built a second time
            assert isinstance(route, Mount) and route.path == "/static", route


def sign_in_all(world: World, asker: Asker) -> None:
    """Give everybody of the world a session."""
    with world.pool.connection() as connection:
        for user in connection.execute("SELECT * FROM users").fetchall():
            viewer = identity.viewer_of(connection, user)
            asker.tokens[user["name"]] = identity.open_session(
                connection, viewer=viewer, agent="test", now=as_datetime(world.wall.now_ms())
            )


def address(path: str, values: Mapping[str, object]) -> str:
    """Put values into the braces of a route's path."""
    for name, value in values.items():
        path = path.replace("{" + name + "}", quote(str(value), safe=""))
    return path
