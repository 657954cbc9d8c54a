"""How fast the outbox is drained: messages enter; rows a second leave, beside the barest queues of the same database.

Workers are processes of their own with the code of the service, and every commit is durable. The limit is one statement
that changes a state in a table of two columns; nothing with an idempotency key, lanes and a record of every attempt
can be faster.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg

from alerts.channels import AfterDoubt, Channel, Message, Receipt, Traits
from alerts.channels.console import ConsoleChannel
from alerts.sending.courier import Courier
from console.benches.measuring import Peer, Report
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import Pool, connect, open_pool, queries, transaction

_SQL = queries("console.benches", "draining.sql")
_PATIENCE_S = 60.0
_DRAINED_WITHIN_S = 600.0
#: Batch, workers, and the part of the messages that is sent so.
_WAYS = ((1, 1, 0.04), (100, 1, 0.5), (100, 4, 1.0), (500, 4, 1.0))
_TWO_STEPS = ((100, 4),)
_MESSAGES_MIN = 20

Target = Callable[[Pool, int, str, Any], None]


class _AtOnce:
    """A provider that answers at once: a lease, a sending and a record, as for every channel that goes outside."""

    name = "console"
    is_real = False
    traits = Traits(after_doubt=AfterDoubt.RESEND, takes_at_most_s=0, batch_max=500)

    def deliver(self, message: Message) -> Receipt:
        return Receipt("accepted")


def bench_outbox(pool: Pool, url: str, report: Report, *, messages: int) -> None:
    """Drain the outbox in one step and in two, and the barest queues there can be."""
    usual = _drain(pool, url, _drain_bare, _part(messages, 0.04), 1, 1)
    for batch, workers, share in _WAYS:
        count = _part(messages, share)
        report.say(f"draining {count:,} messages, batch {batch}, {workers} workers …")
        limit = _drain(pool, url, _drain_bare, count, batch, workers)
        deleted = _drain(pool, url, _drain_deleting, count, batch, workers)
        peers = [
            Peer("a job table, one job and commit at a time, one worker", usual),
            Peer("a table that forgets what was sent (DELETE RETURNING)", deleted),
        ]
        ways: list[tuple[str, Target]] = [("console", _drain_console)]
        if (batch, workers) in _TWO_STEPS:
            ways.append(("in two steps, a provider that answers at once", _drain_outside))
        for words, target in ways:
            rate = _drain(pool, url, target, count, batch, workers)
            report.add(
                f"outbox drained by couriers, {words}, batch {batch}, {workers} workers, {count:,} messages",
                rate, "rows/s", limit, peers,
            )  # fmt: skip


def _part(messages: int, share: float) -> int:
    return max(_MESSAGES_MIN, int(messages * share))


def _drain(pool: Pool, url: str, target: Target, messages: int, batch: int, workers: int) -> float:
    """Return rows a second from the moment all workers are ready until nothing waits."""
    bare = target in (_drain_bare, _drain_deleting)
    with pool.connection() as connection, psycopg.ClientCursor(connection) as cursor:
        statement = "make_queue" if bare else "fill_outbox"
        cursor.execute(_SQL[statement], {"messages": messages, "now": _now()})
    with connect(url, service="bench", autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE outbox")
        connection.execute("CHECKPOINT")
    # Everything is imported once, in a server without threads: a worker costs a fork.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ready = context.Barrier(workers + 1)
    processes = [
        context.Process(target=_be_worker, args=(target, url, batch, number, ready), daemon=True)
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    ready.wait(_PATIENCE_S)
    begun = time.perf_counter()
    ready.wait(_DRAINED_WITHIN_S)
    took = time.perf_counter() - begun
    for process in processes:
        process.join()
    with transaction(pool) as connection:
        left = connection.execute(_SQL["count_waiting"]).fetchone()
    failed = [process.exitcode for process in processes if process.exitcode]
    if failed or (left and left["count"] and not bare):
        raise RuntimeError(f"the outbox was not drained: {left} wait, workers ended with {failed}")
    return messages / took


def _now() -> datetime:
    return as_datetime(SystemClock().now_ms())


def _be_worker(target: Target, url: str, batch: int, number: int, ready: Any) -> None:
    pool = open_pool(url, service=f"bench {number}", size_max=1)
    try:
        target(pool, batch, f"bench-{number}", ready)
        ready.wait(_DRAINED_WITHIN_S)
    except BaseException:
        ready.abort()
        raise
    pool.close()


def _drain_console(pool: Pool, batch: int, name: str, ready: Any) -> None:
    _send(ConsoleChannel(), pool, batch, name, ready)


def _drain_outside(pool: Pool, batch: int, name: str, ready: Any) -> None:
    _send(_AtOnce(), pool, batch, name, ready)


def _send(channel: Channel, pool: Pool, batch: int, name: str, ready: Any) -> None:
    courier = Courier(pool, SystemClock(), {channel.name: channel}, name, "http://127.0.0.1:8000")
    ready.wait(_PATIENCE_S)
    while courier.send_some(limit=batch):
        pass


def _drain_bare(pool: Pool, batch: int, _name: str, ready: Any) -> None:
    _take_all(pool, "bare_done", batch, ready)


def _drain_deleting(pool: Pool, batch: int, _name: str, ready: Any) -> None:
    _take_all(pool, "bare_deleted", batch, ready)


def _take_all(pool: Pool, statement: str, batch: int, ready: Any) -> None:
    ready.wait(_PATIENCE_S)
    while True:
        with transaction(pool) as connection:
            found = connection.execute(_SQL[statement], {"limit": batch}).rowcount
        if not found:
            return
