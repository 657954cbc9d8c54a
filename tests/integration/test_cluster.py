"""Three nodes as one broker: what was answered for survives the loss of any of them, and without a majority nothing is.

``KAIMEN_TEST_CLUSTER_ROUNDS`` is how often a node is killed under load (default once); the times until events are
stored again are printed with ``-s``.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections import OrderedDict, deque
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from kaimen.broker import Nodes, parse_broker_urls
from tests.fix_cluster import NODES, nats_cluster
from tests.fix_servers import wait_until
from tests.integration.ingest_street import BEGIN_MS, HOUR, SECOND, Door, count, lay_out, rows, street

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.one_store]

ROUNDS = int(os.environ.get("KAIMEN_TEST_CLUSTER_ROUNDS", "1"))
WITHIN_S = 120.0
EVERY_S = 0.01


class Sender:
    """A device that keeps each opening until a broker has answered for it, and goes to another node when one is gone."""

    def __init__(self, urls: str, door: Door) -> None:
        self._nodes = Nodes(parse_broker_urls(urls))
        self._door = door
        #: Packet ids as they are answered, from the network thread; everything else belongs to this one's own.
        self._acks: deque[int] = deque()
        self._waiting: OrderedDict[int, tuple[str, bytes]] = OrderedDict()
        self._flying: dict[int, int] = {}
        self.answered: set[int] = set()
        self._client: mqtt.Client | None = None
        self.sending = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            client = self._client
            self._count_answers()
            if client is None or not client.is_connected():
                self._connect()
            elif self.sending.is_set():
                self._open_door(client)

    def _connect(self) -> None:
        if self._client is not None:
            self._client.loop_stop()
        self._count_answers()
        self._flying.clear()
        self._acks = acks = deque()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        client.on_publish = lambda _client, _data, packet_id, *_rest: acks.append(packet_id)
        client.connect_timeout = 2.0
        gone = threading.Event()
        client.on_disconnect = lambda *_rest: gone.set()
        self._client = None
        try:
            client.connect(self._nodes.current.host, self._nodes.current.port, 10)
        except OSError:
            self._nodes.move_on()
            return
        client.loop_start()
        deadline = time.monotonic() + 5.0
        while not client.is_connected():
            if gone.is_set() or time.monotonic() > deadline:
                self._nodes.move_on()
                client.loop_stop()
                return
            time.sleep(EVERY_S)
        self._client = client
        for seq, (topic, payload) in list(self._waiting.items()):
            self._publish(client, seq, topic, payload)

    def _open_door(self, client: mqtt.Client) -> None:
        topic, payload = self._door.opening(BEGIN_MS + self._door.seq * SECOND // 10)
        seq = self._door.seq
        self._waiting[seq] = (topic, payload)
        self._publish(client, seq, topic, payload)

    def _publish(self, client: mqtt.Client, seq: int, topic: str, payload: bytes) -> None:
        self._flying[client.publish(topic, payload, qos=1).mid] = seq

    def _count_answers(self) -> None:
        while self._acks:
            seq = self._flying.pop(self._acks.popleft())
            self._waiting.pop(seq, None)
            self.answered.add(seq)

    @property
    def sent(self) -> int:
        return self._door.seq

    def all_answered(self) -> bool:
        return len(self.answered) == self._door.seq

    def end(self) -> None:
        self._ended.set()
        self._thread.join(20)
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()


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
