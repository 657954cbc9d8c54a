"""The database changes places under load: nothing that was answered for is lost, and nothing stands twice.

``KAIMEN_TEST_FAILOVER_ROUNDS`` is how often (default once); the times until events are stored again are printed with
``-s``.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

import psycopg
import pytest

from kaimen.schema import migrate
from tests.fix_servers import nats_server, wait_until
from tests.fix_standby import postgres_pair
from tests.integration.door_sender import Sender
from tests.integration.ingest_street import BEGIN_MS, HOUR, Door, count, lay_out, rows, street

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROUNDS = int(os.environ.get("KAIMEN_TEST_FAILOVER_ROUNDS", "1"))
WITHIN_S = 120.0


def test_a_stand_by_takes_over_under_load_and_every_event_stands_once(tmp_path: Path) -> None:
    took_s: list[float] = []
    with postgres_pair() as pair, nats_server(ack_wait="2s") as broker:
        with psycopg.connect(pair.primary.admin_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE kaimen")
        migrate(pair.primary.url("kaimen"))
        lay_out(pair.primary.url("kaimen"))
        with street(pair.url("kaimen"), broker.url, tmp_path) as made:
            made.start()
            # Moved without waiting by the street's own address: it may name the stand-by first.
            made.move_clock(BEGIN_MS + HOUR, wait=False)
            sender = Sender(broker.url, Door())
            try:
                sender.sending.set()

                def stored(seq: int) -> bool:
                    return count(pair.primary.url("kaimen"), "door_events", f"seq = {seq}") == 1

                wait_until(lambda: stored(20), "events are stored", within_s=WITHIN_S)
                for number in range(ROUNDS):
                    if number:
                        pair.rebuild()
                    failed_at = time.monotonic()
                    pair.fail_over()
                    first_after = sender.sent + 1
                    wait_until(
                        lambda seq=first_after: stored(seq), "events are stored again", within_s=WITHIN_S
                    )
                    took_s.append(time.monotonic() - failed_at)
                sender.sending.clear()
                wait_until(sender.all_answered, "everything is answered for", within_s=WITHIN_S)
                wait_until(lambda: stored(sender.sent), "the last one is stored", within_s=WITHIN_S)
                wait_until(
                    lambda: count(pair.primary.url("kaimen"), "door_events") >= sender.sent,
                    "all are stored", within_s=WITHIN_S,
                )  # fmt: skip
            finally:
                sender.end()
        found = rows(pair.primary.url("kaimen"), "SELECT seq FROM door_events ORDER BY seq")
    assert [row["seq"] for row in found] == list(range(1, sender.sent + 1))
    print(
        f"{len(found)} events, {ROUNDS} times: stored again after {statistics.median(took_s):.1f} s (median)"
    )
