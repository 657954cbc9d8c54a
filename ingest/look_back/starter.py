"""Look-backs that wait enter; a process that reads them (``ingest.look_back.reader``) is there while somebody asks.

A thread beside the shard groups that mostly sleeps. Its process dies with it, and not with what it reads.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

import psycopg

from ingest.look_back.reader import CHANNEL
from kaimen.database import Connection, queries, why_away
from kaimen.logs import get_logger

_SQL = queries("ingest.look_back", "look_backs.sql")
WAKE_S = 1.0
#: Where a notification was missed, what waits is seen this much later at most.
LOOK_EVERY_WAKES = 10
RETRY_S = 5.0
STOP_WITHIN_S = 3.0

log = get_logger()


class LookBackStarter:
    """``run`` until ``stop``."""

    def __init__(self, *, open_connection: Callable[[], Connection], stop: threading.Event) -> None:
        self._open, self._stop = open_connection, stop
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Serve until ``stop`` is set; a database that is away is waited for."""
        try:
            while not self._stop.is_set():
                try:
                    with self._open() as connection:
                        self._watch(connection)
                except psycopg.Error as error:
                    log.warning("look-backs wait for the database", error=why_away(error))
                    self._stop.wait(RETRY_S)
        finally:
            self._end()

    def _watch(self, connection: Connection) -> None:
        connection.execute("LISTEN kaimen_look_backs")
        wakes = 0
        while not self._stop.is_set():
            told = list(connection.notifies(timeout=WAKE_S, stop_after=1))
            wakes += 1
            if (told or wakes % LOOK_EVERY_WAKES == 1) and not self.is_reading():
                row = connection.execute(_SQL["waiting"]).fetchone()
                if row is not None and row["waiting"]:
                    self._start()

    def is_reading(self) -> bool:
        """Say whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ingest.look_back.reader"], stdin=subprocess.DEVNULL
        )

    def _end(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


assert CHANNEL == "kaimen_look_backs", "the name stands in LISTEN"
