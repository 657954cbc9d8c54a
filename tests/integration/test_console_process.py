"""The console as a process: real sockets, real notifications, a clean end."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from console.identity import sessions as identity
from kaimen.clock import ManualClock
from kaimen.database import notify, transaction
from tests.fix_servers import Program, free_port
from tests.integration.console_world import PASSWORD, World, build_world


class Stream:
    """One open event stream, read event by event."""

    def __init__(self, client: httpx.Client, headers: dict[str, str] | None = None) -> None:
        self._context = client.stream("GET", "/stream", headers=headers, timeout=20)
        self.response = self._context.__enter__()
        self._lines = self.response.iter_lines()

    def next(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in self._lines:
            if line.startswith((":", "retry")):
                continue
            if not line and "event" in found:
                if found["event"] != "alive":
                    return found
                found = {}
            if line:
                name, _, value = line.partition(": ")
                found[name] = value
        return {"event": "ended"}

    def until(self, name: str) -> dict[str, str]:
        while (event := self.next())["event"] not in (name, "ended"):
            pass
        return event

    def close(self) -> None:
        self._context.__exit__(None, None, None)


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    for client in built.clients.values():
        client.close()
    built.close()


@pytest.fixture
def console(world: World, tmp_path: Path) -> Iterator[tuple[Program, str]]:
    port, metrics_port = free_port(), free_port()
    program = Program(
        "console",
        [sys.executable, "-m", "console"],
        tmp_path / "console.log",
        environment={
            **os.environ,
            "KAIMEN_DATABASE_URL": world.url,
            "KAIMEN_CONSOLE_PORT": str(port),
            "KAIMEN_METRICS_PORT": str(metrics_port),
            "KAIMEN_CONSOLE_SECURE_COOKIES": "false",
        },
    )
    program.start()
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/healthz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    program.wait_until(ready)
    yield program, url
    if program.is_alive():
        program.stop()


def _client(world: World, url: str, name: str) -> httpx.Client:
    # Signed in by the machine's clock, which the process lives by.
    with transaction(world.pool) as connection:
        user = connection.execute("SELECT * FROM users WHERE name = %s", (name,)).fetchone()
        assert user is not None
        token = identity.open_session(
            connection, viewer=identity.viewer_of(connection, user), agent="test", now=datetime.now(UTC)
        )
    return _opened(world, httpx.Client(base_url=url, cookies={"kaimen_session": token}))


def _opened(world: World, client: httpx.Client) -> httpx.Client:
    world.clients[str(len(world.clients))] = client
    return client


def _say_changed(world: World, key: str) -> None:
    with transaction(world.pool) as connection:
        notify(connection, "kaimen_cases", str(world.case_ids[key]))


def test_a_change_in_the_database_reaches_the_browsers_that_may_know_and_survives_a_reconnect(
    world: World, console: tuple[Program, str]
) -> None:
    _, url = console
    clerk, police, other = (_client(world, url, name) for name in ("clerk", "police", "clerk-b"))
    streams = [Stream(client) for client in (clerk, police, other)]
    assert all(stream.response.headers["content-type"].startswith("text/event-stream") for stream in streams)
    # Whatever happened before the console listened is unknown to it: here or refetch, both are heard first.
    for stream in streams:
        assert stream.next()["event"] in ("here", "refetch")
    _say_changed(world, "zhao")
    _say_changed(world, "other")
    heard = [stream.until("cases") for stream in streams]
    assert heard[0]["data"] == f'{{"case":{world.case_ids["zhao"]}}}'
    assert heard[1]["data"] == "{}"
    assert heard[2]["data"] == f'{{"case":{world.case_ids["other"]}}}'
    streams[0].close()
    _say_changed(world, "wang")
    assert streams[1].until("cases")["data"] == f'{{"case":{world.case_ids["wang"]}}}'
    back = Stream(clerk, {"last-event-id": heard[0]["id"]})
    assert back.until("cases")["data"] == f'{{"case":{world.case_ids["wang"]}}}'
    for stream in (streams[1], streams[2], back):
        stream.close()
    assert httpx.get(f"{url}/stream").status_code == 401


def test_the_stream_comes_back_when_the_database_was_away(world: World, console: tuple[Program, str]) -> None:
    _, url = console
    stream = Stream(_client(world, url, "clerk"))
    stream.next()
    world.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kaimen console stream'"
        " AND datname = current_database()"
    )
    assert stream.until("refetch")["event"] == "refetch"
    _say_changed(world, "wang")
    assert stream.until("cases")["data"] == f'{{"case":{world.case_ids["wang"]}}}'
    stream.close()


def test_a_clean_stop_ends_the_streams_first(world: World, console: tuple[Program, str]) -> None:
    program, url = console
    streams = [Stream(_client(world, url, "clerk")) for _ in range(3)]
    for stream in streams:
        stream.next()
    assert program.process is not None
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(4) == 0, program.last_words()
    assert {stream.until("ended")["event"] for stream in streams} == {"ended"}
    for stream in streams:
        stream.close()
    assert "Traceback" not in program.last_words()


def test_one_signs_in_through_a_browser_without_scripts(world: World, console: tuple[Program, str]) -> None:
    program, url = console
    client = _opened(world, httpx.Client(base_url=url, follow_redirects=True))
    page = client.get("/alarms")
    assert page.url.path == "/sign-in"
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text)
    assert token is not None
    landed = client.post(
        "/sign-in",
        data={"csrf": token[1], "name": "clerk", "password": PASSWORD, "next": "/alarms"},
        headers={"origin": url},
    )
    assert landed.status_code == 200 and landed.url.path == "/alarms" and "王*英" in landed.text
    assert client.get("/metrics").status_code == 200
    words = program.last_words(200)
    assert "王" not in words and PASSWORD not in words and "clerk" not in words
