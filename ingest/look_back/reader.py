"""Look-backs people asked for enter, by their rows; reports in numbers leave into the same rows.

A process of its own, so that reading months of doors never takes the processor from live messages: ``ingest`` starts
it when somebody asks, it keeps the last pasts it read in memory, so that the next policy is judged within
milliseconds, and it ends by itself when nobody has asked for a while.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from ingest.look_back.backtest import Policy
from ingest.look_back.report import Prepared, prepare, report_on
from kaimen.database import Connection, connect, notify, queries, why_away
from kaimen.logs import get_logger, set_up_logs
from kaimen.settings import IngestSettings

_SQL = queries("ingest.look_back", "look_backs.sql")
CHANNEL = "kaimen_look_backs"
IDLE_S = 600.0
#: A past that was read longer ago is read again: ingest has gone on since.
KEPT_S = 600.0
KEPT_MAX = 4
ATTEMPTS_MAX = 2
ADVANCE_EVERY_S = 0.3
NICE = 10

log = get_logger()


class Reader:
    """Answers what waits; ``answer_all`` is what tests drive."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._kept: OrderedDict[tuple[str, int], tuple[float, Prepared]] = OrderedDict()

    def answer_all(self, connection: Connection) -> int:
        """Answer every look-back that waits, the oldest first; return how many. The connection commits by itself."""
        answered = 0
        while True:
            connection.execute(_SQL["give_up"], {"attempts_max": ATTEMPTS_MAX})
            row = connection.execute(_SQL["begin"]).fetchone()
            if row is None:
                return answered
            self._answer(connection, row)
            answered += 1

    def _answer(self, connection: Connection, row: dict[str, Any]) -> None:
        report: dict[str, Any] | None = None
        refusal = None
        try:
            prepared = self._prepared(connection, row)
            tried = [Policy(item["name"], tuple(item["thresholds_ms"])) for item in row["policies"]]
            report = report_on(prepared, tried)
        except ValueError as error:
            log.warning("a look-back cannot be answered", reason=str(error))
            refusal = "nothing_stored"
        said = {"id": row["id"], "report": Jsonb(report) if report is not None else None, "refusal": refusal}
        connection.execute(_SQL["end"], said)
        notify(connection, CHANNEL)

    def _prepared(self, connection: Connection, row: dict[str, Any]) -> Prepared:
        key = (row["community_id"], row["days"])
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept[0] < KEPT_S:
            self._kept.move_to_end(key)
            return kept[1]
        told_at = 0.0

        def advance(done: int, of: int) -> None:
            nonlocal told_at
            if time.monotonic() - told_at >= ADVANCE_EVERY_S:
                told_at = time.monotonic()
                connection.execute(_SQL["advance"], {"id": row["id"], "done": done, "of": of})

        with connect(self._url, service="look-back") as reading:
            reading.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            prepared = prepare(reading, community=row["community_id"], days=row["days"], progress=advance)
        self._kept[key] = (time.monotonic(), prepared)
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return prepared


def serve(settings: IngestSettings) -> int:
    """Answer until nobody has asked for a while; return the exit code."""
    set_up_logs("look-back", level=settings.log_level, form=settings.log_format)
    with connect(settings.database_url, service="look-back", autocommit=True) as connection:
        connection.execute("LISTEN kaimen_look_backs")
        lock = connection.execute(_SQL["lock"]).fetchone()
        if lock is None or not lock["ours"]:
            return 0  # another worker's reader answers
        reader = Reader(settings.database_url)
        while True:
            reader.answer_all(connection)
            if not list(connection.notifies(timeout=IDLE_S, stop_after=1)):
                return 0


def main(settings: IngestSettings) -> int:
    """Run below everything else on the machine."""
    os.nice(NICE)
    try:
        return serve(settings)
    except psycopg.OperationalError as error:
        log.warning("the database is away", error=why_away(error))
        return 1


if __name__ == "__main__":
    raise SystemExit(main(IngestSettings()))
