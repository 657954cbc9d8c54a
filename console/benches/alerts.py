"""``kaimen bench alerts``: a number of open cases enters; lags, spans and how fast the outbox is drained leave.

Everything runs on a PostgreSQL of this run's own, with the code of the service. Of a span the limit is what the
product permits, and of a rate what the bare statements reach; in both a ratio above 1 is the better side.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg

from alerts import acts
from alerts.worker import Worker
from console.benches.draining import bench_outbox
from console.benches.measuring import Peer, Report
from console.benches.peers import make_database, temporary_postgres
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import Pool, connect, open_pool, queries, transaction
from kaimen.schema import migrate

_SQL = queries("console.benches", "alerts.sql")
_STEPS_PER_S = 100
_STEPS_MAX = 2_000
_CROSSINGS_MAX = _ACTS_MAX = 200
_LAG_LIMIT_S, _VISIBLE_LIMIT_S, _ACT_LIMIT_S = 2.0, 1.0, 0.1
#: As long as the service waits where nobody wakes it.
_TURN_S = 0.5
_PATIENCE_S = 30.0
#: Messages for each open case.
_MESSAGES_PER_CASE = 5


def bench_alerts(cases: int, report: Report) -> None:
    """Measure the engine under ``cases`` open cases, its acts, and the outbox."""
    with temporary_postgres(report) as admin:
        if admin is None:
            return
        url = make_database(admin)
        migrate(url)
        pool = open_pool(url, service="bench", size_max=4)
        try:
            steps = min(_STEPS_MAX, cases)
            crossings = max(5, min(_CROSSINGS_MAX, cases // 10))
            with report.preparing(f"{cases:,} open cases"):
                _open_cases(pool, url, cases, crossings)
            commits = _commit_spans(pool, min(_ACTS_MAX, cases))
            peer = Peer("one row and its commit, p99", _p99(commits))
            _bench_lag(pool, report, steps=steps, cases=cases, peer=peer)
            _bench_crossings(pool, url, report, first=cases + 1, count=crossings, cases=cases, peer=peer)
            _bench_acts(pool, report, count=min(_ACTS_MAX, cases), peer=peer)
            bench_outbox(pool, url, report, messages=cases * _MESSAGES_PER_CASE)
        finally:
            pool.close()


def _now() -> Any:
    return as_datetime(SystemClock().now_ms())


def _p99(spans_s: Sequence[float]) -> float:
    return sorted(spans_s)[min(len(spans_s) - 1, int(len(spans_s) * 0.99))]


# --- the engine ------------------------------------------------------------------------------------------------


def _open_cases(pool: Pool, url: str, cases: int, crossings: int) -> None:
    """Open one case as the service does, and copy it for the other homes."""
    with pool.connection() as connection, psycopg.ClientCursor(connection) as cursor:
        cursor.execute(_SQL["lay_out"], {"homes": cases + crossings})
        cursor.execute(_SQL["cross"], {"household_id": "h1", "now": _now()})
    worker = Worker(pool=pool, clock=SystemClock(), name="bench")
    while worker.turn().handled:
        pass
    with transaction(pool) as connection:
        for name in ("facts_of_all", "copy_case", "copy_tasks"):
            connection.execute(_SQL[name], {"cases": cases})
    with connect(url, service="bench", autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _bench_lag(pool: Pool, report: Report, *, steps: int, cases: int, peer: Peer) -> None:
    """Let steps come due a hundred a second; the lag is from a step's time to its commit."""
    with transaction(pool) as connection:
        args = {"steps": steps, "per_second": _STEPS_PER_S, "from": _now() + timedelta(seconds=1)}
        dues_ms = sorted(row["at"].timestamp() * 1000 for row in connection.execute(_SQL["make_due"], args))
    report.say(f"{steps:,} steps come due, {_STEPS_PER_S} a second …")
    worker = Worker(pool=pool, clock=SystemClock(), name="bench")
    lags: list[float] = []
    deadline = time.perf_counter() + steps / _STEPS_PER_S + _PATIENCE_S
    while len(lags) < steps and time.perf_counter() < deadline:
        done = worker.turn()
        now_ms = SystemClock().now_ms()
        # Steps are taken in the order in which they come due.
        lags += [(now_ms - due_ms) / 1000 for due_ms in dues_ms[len(lags) : len(lags) + done.timers]]
        if not (done.more and done.timers):
            time.sleep(_TURN_S)
    _all_there("due steps", len(lags), steps)
    report.add_span(
        f"engine lag, p99, {cases:,} open cases, {_STEPS_PER_S} due steps/s, {steps:,} steps",
        _p99(lags), _LAG_LIMIT_S, [peer],
    )  # fmt: skip


def _bench_crossings(
    pool: Pool, url: str, report: Report, *, first: int, count: int, cases: int, peer: Peer
) -> None:
    """Write crossings as ingest does, one after another; the span is until listeners hear of the case."""
    worker = Worker(pool=pool, clock=SystemClock(), name="bench")
    stop = threading.Event()
    kwargs = {"database_url": url, "turn_s": _TURN_S, "scaled": False}
    thread = threading.Thread(target=worker.run, args=(stop,), kwargs=kwargs, daemon=True)
    spans: list[float] = []
    with connect(url, service="bench listen", autocommit=True) as listener:
        listener.execute("LISTEN kaimen_cases")
        thread.start()
        try:
            for number in range(first, first + count):
                begun = time.perf_counter()
                with transaction(pool) as connection:
                    connection.execute(_SQL["cross"], {"household_id": f"h{number}", "now": _now()})
                    connection.execute("NOTIFY kaimen_happenings")
                heard = list(listener.notifies(timeout=_PATIENCE_S, stop_after=1))
                _all_there("crossings", len(spans) + bool(heard), len(spans) + 1)
                spans.append(time.perf_counter() - begun)
        finally:
            stop.set()
            thread.join()
    report.add_span(
        f"crossing row to visible case, p99, {cases:,} open cases, {count} crossings",
        _p99(spans[1:]), _VISIBLE_LIMIT_S, [peer],
    )  # fmt: skip


def _bench_acts(pool: Pool, report: Report, *, count: int, peer: Peer) -> None:
    with transaction(pool) as connection:
        ids = [row["id"] for row in connection.execute("SELECT id FROM cases ORDER BY id LIMIT %s", (count,))]
        clerk = connection.execute("SELECT id FROM users").fetchone()
    assert clerk is not None

    def claim(case_id: int) -> None:
        with transaction(pool) as connection:
            acts.claim(connection, case_id=case_id, user_id=clerk["id"], now=_now())

    spans = [_span(partial(claim, case_id)) for case_id in ids]
    report.add_span(f"act to commit, p99, {len(spans)} claims", _p99(spans), _ACT_LIMIT_S, [peer])


def _commit_spans(pool: Pool, count: int) -> list[float]:
    def commit() -> None:
        with transaction(pool) as connection:
            connection.execute(_SQL["bare_commit"], {"now": _now()})

    return [_span(commit) for _ in range(count)]


def _span(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _all_there(what: str, found: int, wanted: int) -> None:
    if found < wanted:
        raise RuntimeError(
            f"{found} of {wanted} {what} were done within {_PATIENCE_S:g} s: the engine stands"
        )
