"""Three nodes as one broker: what was answered for survives the loss of any of them, and without a majority nothing is.

``KAIMEN_TEST_CLUSTER_ROUNDS`` is how often a node is killed under load (default once); the times until events are
stored again are printed with ``-s``.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

import pytest

from tests.fix_cluster import NODES, nats_cluster
from tests.fix_servers import wait_until
from tests.integration.door_sender import Sender
from tests.integration.ingest_street import BEGIN_MS, HOUR, Door, count, lay_out, rows, street

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.one_store]

ROUNDS = int(os.environ.get("KAIMEN_TEST_CLUSTER_ROUNDS", "1"))
WITHIN_S = 120.0


def test_any_node_may_die_under_load_and_without_a_majority_nothing_is_promised(
    database_url: str, tmp_path: Path
) -> None:
    lay_out(database_url)
    took_s: list[float] = []
    with nats_cluster(ack_wait="2s") as cluster, street(database_url, cluster.url, tmp_path) as made:
        made.start()
        made.move_clock(BEGIN_MS + HOUR)
        sender = Sender(cluster.url, Door())
        try:
            sender.sending.set()
            made.wait_for("door_events", 50)
            for number in range(ROUNDS):
                node = cluster.nodes[number % NODES]
                killed_at = time.monotonic()
                node.program.kill()
                # What is sent from here on is stored: publisher, broker and ingest have all found another way.
                first_after = sender.sent + 1
                wait_until(
                    lambda seq=first_after: count(database_url, "door_events", f"seq = {seq}") == 1,
                    "events are stored again", within_s=WITHIN_S,
                )  # fmt: skip
                took_s.append(time.monotonic() - killed_at)
                node.start_again()
                cluster.wait_until_ready()
            sender.sending.clear()
            wait_until(sender.all_answered, "everything is answered for", within_s=WITHIN_S)
            made.wait_for("door_events", sender.sent)
            # Two of three are gone: nobody may be told that anything is safe.
            for node in cluster.nodes[:2]:
                node.program.kill()
            before = len(sender.answered)
            sender.sending.set()
            time.sleep(3)  # so long nothing may happen; a slow machine sees less, never something wrong
            assert len(sender.answered) == before
            sender.sending.clear()
            for node in cluster.nodes[:2]:
                node.program.start()
            wait_until(sender.all_answered, "the cluster answers again", within_s=WITHIN_S)
            made.wait_for("door_events", sender.sent)
        finally:
            sender.end()
    stored = [row["seq"] for row in rows(database_url, "SELECT seq FROM door_events ORDER BY seq")]
    assert stored == list(range(1, sender.sent + 1))
    ranked = sorted(took_s)
    print(
        f"{len(stored)} events, {ROUNDS} kills: stored again after p50 {statistics.median(ranked):.1f} s,"
        f" p99 {ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))]:.1f} s"
    )
