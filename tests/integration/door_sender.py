"""Addresses of a broker's nodes and a door enter; openings leave until each was answered for, and how many they were."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from kaimen.broker import Nodes, parse_broker_urls
from tests.integration.ingest_street import BEGIN_MS, SECOND, Door

EVERY_S = 0.01


def _story(seq: int) -> int:
    return BEGIN_MS + seq * SECOND // 10


class Sender:
    """A device that keeps each opening until a broker has answered for it, and goes to another node when one is gone."""

    def __init__(
        self, urls: str, door: Door, *, every_s: float = EVERY_S, at_ms: Callable[[int], int] = _story
    ) -> None:
        self._nodes = Nodes(parse_broker_urls(urls))
        self._door, self._every_s, self._at_ms = door, every_s, at_ms
        #: Packet ids as they are answered, from the network thread; everything else belongs to this one's own.
        self._acks: deque[int] = deque()
        self._waiting: OrderedDict[int, tuple[str, bytes]] = OrderedDict()
        self._flying: dict[int, int] = {}
        self.answered: set[int] = set()
        self._sent = 0
        #: What other threads want sent: openings of other doors, and heartbeats that nobody waits for.
        self._wanted: deque[tuple[str, bytes]] = deque()
        self._beats: deque[tuple[str, bytes]] = deque(maxlen=1_000)
        self._client: mqtt.Client | None = None
        self.sending = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            client = self._client
            self._count_answers()
            if client is None or not client.is_connected():
                self._connect()
                continue
            while self._beats:
                client.publish(*self._beats.popleft(), qos=0)
            while self._wanted:
                self._send(client, *self._wanted[0])
                self._wanted.popleft()
            if self.sending.is_set():
                self._send(client, *self._door.opening(self._at_ms(self._door.seq)))

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
        for number, (topic, payload) in list(self._waiting.items()):
            self._publish(client, number, topic, payload)

    def _send(self, client: mqtt.Client, topic: str, payload: bytes) -> None:
        self._sent += 1
        self._waiting[self._sent] = (topic, payload)
        self._publish(client, self._sent, topic, payload)

    def _publish(self, client: mqtt.Client, number: int, topic: str, payload: bytes) -> None:
        self._flying[client.publish(topic, payload, qos=1).mid] = number

    def send(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Send these too, each until it was answered for."""
        self._wanted.extend(messages)

    def beat(self, topic: str, payload: bytes) -> None:
        """Send this once, if a broker is there."""
        self._beats.append((topic, payload))

    def _count_answers(self) -> None:
        while self._acks:
            number = self._flying.pop(self._acks.popleft(), 0)
            if number:
                self._waiting.pop(number, None)
                self.answered.add(number)

    @property
    def sent(self) -> int:
        return self._sent + len(self._wanted)

    def all_answered(self) -> bool:
        return not self._wanted and len(self.answered) == self._sent

    def end(self) -> None:
        self._ended.set()
        self._thread.join(20)
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
