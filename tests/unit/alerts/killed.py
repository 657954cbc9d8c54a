"""A worker or courier that dies by itself: a database, a time and a count enter; SIGKILL at that statement leaves.

Run as ``python -m tests.unit.alerts.killed worker|courier URL NOW_MS STATEMENT [WEBHOOK_URL]``. The process kills
itself right before its n-th statement is sent, as a power cut would; exit status 0 means that it got to its end.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import psycopg

from alerts.channels import Channel
from alerts.channels.console import ConsoleChannel
from alerts.channels.webhook import WebhookChannel, parse_target
from alerts.sending.courier import Courier
from alerts.worker import Worker
from kaimen.clock import ManualClock
from kaimen.database import open_pool

KEY = bytes(range(32))


def die_at(statement: int) -> None:
    counted = 0
    execute = psycopg.Connection.execute
    leave = psycopg.Connection.commit

    def count() -> None:
        nonlocal counted
        counted += 1
        if counted == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    def counting_execute(self: Any, *args: Any, **named: Any) -> Any:
        count()
        return execute(self, *args, **named)

    def counting_commit(self: Any) -> None:
        count()
        leave(self)

    psycopg.Connection.execute = counting_execute  # type: ignore[method-assign,assignment]
    psycopg.Connection.commit = counting_commit  # type: ignore[method-assign]


def webhook(url: str) -> Channel:
    return WebhookChannel(parse_target(url, ("127.0.0.1",), demo=False), KEY, answer_within_s=2)


def main(what: str, url: str, now_ms: str, statement: str, hook: str = "") -> None:
    pool = open_pool(url, service="killed")
    clock = ManualClock(int(now_ms))
    die_at(int(statement))
    if what == "worker":
        worker = Worker(pool=pool, clock=clock, name="killed", outside_channels=("webhook",))
        while worker.turn().handled:
            pass
    else:
        channels = {"console": ConsoleChannel(), "webhook": webhook(hook)}
        courier = Courier(pool, clock, channels, "killed", "http://127.0.0.1:8000")
        while courier.send_one():
            pass
    pool.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
