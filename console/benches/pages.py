"""``kaimen bench console``: a number of stored events enters; how long pages, the API and the stream take leaves.

A community of 5,000 homes with 200 open cases (fewer where there are few events) is laid out on a PostgreSQL of this
run's own; one worker serves the console as in service, with the console's own login and its row-level security, in a
process of its own, and this one asks.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import secrets
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import psycopg

from console.benches.lists import bench_lists
from console.benches.measuring import Peer, Report
from console.benches.pages_server import serve
from console.benches.peers import make_database, temporary_postgres
from console.identity import sessions as identity
from console.opening import console_key
from console.stack.services import free_port
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import connect, notify, open_pool, queries, transaction
from kaimen.rights import introduce_console, set_passwords
from kaimen.schema import migrate

HOMES, CASES, VIEWERS = 5_000, 200, 1_000
DAYS = 90
PAGE_LIMIT_S, API_LIMIT_S, STREAM_LIMIT_S = 1.0, 0.25, 1.0
_READY_WITHIN_S = 120.0
_HEARD_WITHIN_S = 60.0
_SQL = queries("console.benches", "pages.sql")


def bench_console(events: int, report: Report) -> None:
    """Measure the console over ``events`` stored events."""
    homes, asks = min(HOMES, max(20, events // 400)), 5 if events < 100_000 else 60
    cases, viewers = min(CASES, max(10, events // 2_000)), min(VIEWERS, max(20, events // 400))
    # Twenty million events in one go: a log of a gigabyte would be emptied every few seconds.
    with temporary_postgres(report, "-c", "max_wal_size=3GB", "-c", "maintenance_work_mem=256MB") as admin:
        if admin is None:
            return
        url = make_database(admin)
        migrate(url)
        with report.preparing(f"{homes:,} homes, {cases} open cases, {events:,} events"):
            token = _lay_out(url, homes=homes, cases=cases, events=events)
        port = free_port()
        password = secrets.token_hex(16)
        with psycopg.connect(url, autocommit=True) as connection:
            set_passwords(connection, {"kaimen_console": password})
            introduce_console(connection, console_key(b""))
        own_url = f"postgresql://kaimen_console:{password}@{admin.info.host}:{admin.info.port}/bench"
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(own_url, port), daemon=True)
        server.start()
        try:
            # As a browser asks that comes from one of our pages: answers are packed for it.
            headers = {"cookie": f"kaimen_session={token}", "sec-fetch-site": "same-origin"}
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
                _wait(client)
                size = f"{homes:,} homes, {cases} open cases, {events:,} events"
                _bench_pages(client, report, asks=asks, size=size)
            assert server.pid is not None
            bench_lists(port, token, server.pid, url, report, rounds=max(1, asks // 3), size=size)
            _bench_stream(url, port, token, report, viewers=viewers, rounds=5 if events < 100_000 else 20)
        finally:
            server.terminate()
            server.join(30)


def _lay_out(url: str, *, homes: int, cases: int, events: int) -> str:
    now = as_datetime(SystemClock().now_ms())
    with psycopg.connect(url, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(_SQL["lay_out"], {"homes": homes, "cases": cases, "now": now})
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        # Rows first, indexes afterwards: sorted once instead of kept sorted row by row.
        indexes = [row[0] for row in connection.execute(_SQL["event_indexes"]).fetchall()]
        connection.execute(_SQL["drop_event_indexes"])
        for day in range(DAYS):
            count = events // DAYS + (day < events % DAYS)
            args = {"first": day * (events // DAYS + 1), "count": count, "homes": homes}
            connection.execute(_SQL["events"], {**args, "day": now - timedelta(days=DAYS - day)})
        for index in indexes:
            connection.execute(index)
        connection.execute("VACUUM ANALYZE")
    pool = open_pool(url, service="bench", size_max=1)
    with transaction(pool) as sessions:
        user = sessions.execute("SELECT * FROM users WHERE name = 'clerk'").fetchone()
        assert user is not None
        viewer = identity.viewer_of(sessions, user)
        token = identity.open_session(sessions, viewer=viewer, agent="bench", now=now)
    pool.close()
    return token


def _wait(client: httpx.Client) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while True:
        with suppress(httpx.TransportError):
            if client.get("/healthz").status_code == 200:
                return
        if time.monotonic() > deadline:
            raise RuntimeError("the console did not come up")
        time.sleep(0.1)


def _spans(work: Callable[[], Any], count: int) -> list[float]:
    work()
    spans = []
    for _ in range(count):
        begun = time.perf_counter()
        work()
        spans.append(time.perf_counter() - begun)
    return spans


def _percentile(spans: list[float], share: float) -> float:
    return sorted(spans)[min(len(spans) - 1, int(len(spans) * share))]


def _get(client: httpx.Client, path: str) -> Callable[[], None]:
    def ask() -> None:
        answer = client.get(path)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")

    return ask


def _bench_pages(client: httpx.Client, report: Report, *, asks: int, size: str) -> None:
    """Each page and address alone, one request after another; the peer is the answer that does nothing."""
    idle = statistics.median(_spans(_get(client, "/healthz"), asks))
    peer = Peer("an answer without work, p50", idle)
    case_id = client.get("/api/cases?limit=1").json()["items"][0]["id"]
    for path, limit_s in (
        ("/alarms", PAGE_LIMIT_S), ("/alarms?fragment=list", PAGE_LIMIT_S), (f"/cases/{case_id}", PAGE_LIMIT_S),
        ("/morning", PAGE_LIMIT_S), ("/households", PAGE_LIMIT_S), ("/households/h1", PAGE_LIMIT_S),
        ("/buildings", PAGE_LIMIT_S), ("/access-log", PAGE_LIMIT_S), ("/devices", PAGE_LIMIT_S),
        ("/api/cases", API_LIMIT_S), (f"/api/cases/{case_id}", API_LIMIT_S), ("/api/households", API_LIMIT_S),
        ("/api/households/h1", API_LIMIT_S),
    ):  # fmt: skip
        spans = _spans(_get(client, path), asks)
        name = path.replace(str(case_id), "{id}").replace("/h1", "/{id}")
        for word, share in (("p50", 0.5), ("p99", 0.99)):
            report.add_span(f"{name}, {word}, {size}", _percentile(spans, share), limit_s, [peer])


# --- the stream ------------------------------------------------------------------------------------------------


def _bench_stream(url: str, port: int, token: str, report: Report, *, viewers: int, rounds: int) -> None:
    """Open streams, then let cases change one after another; the span is from the commit to each viewer's event."""
    spans, raw = asyncio.run(_follow(url, port, token, viewers=viewers, rounds=rounds))
    report.add_span(
        f"commit to event at {viewers:,} viewers of one worker, p99, {rounds} changes",
        _percentile(spans, 0.99), STREAM_LIMIT_S, [Peer("a notification of the database alone, p50", raw)],
    )  # fmt: skip
    report.add_span(
        f"commit to event at {viewers:,} viewers of one worker, p50, {rounds} changes",
        _percentile(spans, 0.5), STREAM_LIMIT_S, [Peer("a notification of the database alone, p50", raw)],
    )  # fmt: skip


async def _follow(url: str, port: int, token: str, *, viewers: int, rounds: int) -> tuple[list[float], float]:
    request = (
        f"GET /stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: kaimen_session={token}\r\n\r\n".encode()
    )
    heard: asyncio.Queue[float] = asyncio.Queue()
    opened = 0

    async def view() -> None:
        nonlocal opened
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        try:
            await reader.readuntil(b"event: alive\ndata: {}\n\n")
            opened += 1
            while True:
                await reader.readuntil(b"event: cases\n")
                heard.put_nowait(time.perf_counter())
        finally:
            writer.close()

    tasks = []
    # In groups, as people come: a backlog of a thousand connections at once is no viewer's case.
    for begin in range(0, viewers, 50):
        tasks += [asyncio.create_task(view()) for _ in range(min(50, viewers - begin))]
        deadline = time.monotonic() + _HEARD_WITHIN_S
        while opened < len(tasks):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{opened} of {len(tasks)} streams opened")
            await asyncio.sleep(0.02)
    spans: list[float] = []
    for number in range(rounds):
        begun = await asyncio.to_thread(_change, url, number)
        instants = [await asyncio.wait_for(heard.get(), _HEARD_WITHIN_S) for _ in range(viewers)]
        spans += [instant - begun for instant in instants]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return spans, await asyncio.to_thread(_notified, url, rounds)


def _change(url: str, number: int) -> float:
    """Change a case as alerts does, and say when it was about to be committed."""
    with connect(url, service="bench") as connection:
        row = connection.execute(
            "UPDATE cases SET version = version + 1 WHERE id = (SELECT min(id) + %s %% count(*) FROM cases) RETURNING id",
            (number,),
        ).fetchone()
        assert row is not None
        notify(connection, "kaimen_cases", str(row["id"]))
        begun = time.perf_counter()
        connection.commit()
    return begun


def _notified(url: str, rounds: int) -> float:
    with connect(url, service="bench", autocommit=True) as listener:
        listener.execute("LISTEN kaimen_cases")
        spans = []
        for number in range(rounds):
            begun = _change(url, number)
            list(listener.notifies(timeout=_HEARD_WITHIN_S, stop_after=1))
            spans.append(time.perf_counter() - begun)
    return statistics.median(spans)
