"""An MQTT session of one shard group enters; bounded batches of messages leave, acknowledged when told to.

The network thread only stamps and queues. Whoever takes batches owns the reconnecting: a session is never resumed
before its owner has read again that the group is still its own, for two clients with one id kick each other for
ever. Each connection is an epoch; what an older one delivered is acknowledged only through its redelivery.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt

from ingest import metrics
from ingest.admission import Message
from ingest.faults import pass_point
from ingest.session.receiving import Received, Take, new_client
from ingest.session.waiting import BATCH_BYTES_MAX, Delivery, Waiting
from kaimen.broker import NEXT_NODE_S_MAX, BrokerAddress, Nodes, parse_broker_urls
from kaimen.broker_tls import BrokerTls, explain
from kaimen.clock import Clock
from kaimen.logs import get_logger

#: Bytes of payload in the queue at which the network thread waits; one message more may stand above it.
QUEUE_BYTES_MAX = 64 * 1024 * 1024
#: Share of the queue at which heartbeats are dropped: the room above is for events alone.
HEARTBEAT_SHARE = 0.5
#: A batch is closed when nothing has come for this long: brokers with a small window wait for our answer.
IDLE_S = 0.003
CONNECT_WITHIN_S = 10.0
KEEPALIVE_S = 60
RETRY_S_MIN, RETRY_S_MAX = 0.5, 15.0
#: A connection that held this long proves that the trouble is over.
STABLE_AFTER_S = 300.0

log = get_logger()


def client_id_of(group_no: int, groups: int) -> str:
    """Return the fixed client id under which the broker keeps a group's session."""
    return f"kaimen-ingest-g{group_no}of{groups}"


def subscriptions_of(group_no: int, groups: int) -> list[tuple[str, int]]:
    """Return the topic filters of a group with their QoS: events and states 1, heartbeats 0."""
    width = 16 // groups
    digits = ["+"] if groups == 1 else [f"{d:x}" for d in range(group_no * width, (group_no + 1) * width)]
    return [
        (f"kaimen/v1/{digit}/+/+/+/{channel}", qos)
        for channel, qos in (("evt", 1), ("evb", 1), ("state", 1), ("hb", 0))
        for digit in digits
    ]


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages, and the clock reading up to which everything received is in here; how many bytes of it are arrays."""

    messages: Sequence[Message]
    now_ms: int
    deliveries: Sequence[Delivery] = field(default=(), repr=False)
    arrays_bytes: int = 0


class Subscriber:
    """One group's session behind batches; all methods but the callbacks belong to one thread."""

    def __init__(
        self,
        broker_url: str,
        *,
        clock: Clock,
        group_no: int = 0,
        groups: int = 1,
        queue_max: int = 10_000,
        user: str | None = None,
        password: str | None = None,
        security: BrokerTls | None = None,
        make_client: Callable[..., mqtt.Client] = new_client,
    ) -> None:
        self._make_client = make_client
        self._nodes = Nodes(parse_broker_urls(broker_url, user=user, password=password, security=security))
        self._clock = clock
        self._group = str(group_no)
        self._client_id = client_id_of(group_no, groups)
        self._subscriptions = subscriptions_of(group_no, groups)
        self._queue_max = queue_max
        metrics.QUEUE_MESSAGES_MAX.labels(self._group).set(queue_max)

        self._changed = threading.Condition()
        self._queue = Waiting()
        self._awaited = False
        self._by_packet: dict[int, Delivery] = {}
        self._by_content: dict[tuple[str, bytes], list[Delivery]] = {}
        self._epoch = 0
        self._client: mqtt.Client | None = None
        self._subscribed = False
        self._ended = True
        self._connected_at: float | None = None
        self._retry_s = RETRY_S_MIN
        self._retry_at = 0.0
        self._ever_subscribed = False

    # -- connecting -----------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether the session is subscribed and delivers."""
        return self._subscribed

    @property
    def is_idle(self) -> bool:
        """Whether no connection stands or is being made."""
        return self._ended

    @property
    def queued(self) -> int:
        """How many messages wait to be taken."""
        return len(self._queue)

    @property
    def waited_ms(self) -> int:
        """For how long the oldest array that was not taken yet has waited here."""
        with self._changed:
            oldest_ms = self._queue.oldest_array_ms
        return 0 if oldest_ms is None else max(0, self._clock.now_ms() - oldest_ms)

    def tell(self, topic: str, payload: bytes) -> bool:
        """Publish a retained message for a device; False while there is no session to do it through."""
        with self._changed:
            client = self._client if self._subscribed else None
        if client is None:
            return False
        return client.publish(topic, payload, qos=1, retain=True).rc == mqtt.MQTT_ERR_SUCCESS

    def may_connect(self) -> bool:
        """Say whether the back-off is over and nothing is under way."""
        return self._ended and time.monotonic() >= self._retry_at

    def connect(self) -> None:
        """Begin to connect in the background; the caller has just read that the lease is its own."""
        assert self._ended, "one connection at a time"
        self._close()
        with self._changed:
            self._epoch += 1
            epoch = self._epoch
            self._by_packet.clear()
            self._ended = False
            node = self._nodes.current
            client = self._new_client(epoch, node)
            self._client = client
        metrics.CONNECTS.inc()
        threading.Thread(
            target=self._begin, args=(client, epoch, node), name=f"connect-{self._client_id}", daemon=True
        ).start()

    def _new_client(self, epoch: int, node: BrokerAddress) -> mqtt.Client:
        take: Take = lambda received: self._take_in(received, epoch)  # noqa: E731
        client = self._make_client(
            take,
            client_id=self._client_id,
            clean_session=False,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_WITHIN_S
        if node.user is not None:
            client.username_pw_set(node.user, node.password)
        client.on_socket_open = _send_at_once
        client.on_connect = lambda who, _data, flags, reason, _properties: self._on_connect(
            who, flags, reason
        )
        client.on_subscribe = lambda _who, _data, _mid, reasons, _properties: self._on_subscribe(
            reasons, epoch
        )
        client.on_disconnect = lambda _who, _data, _flags, reason, _properties: self._on_end(
            epoch, str(reason)
        )
        return client

    def _begin(self, client: mqtt.Client, epoch: int, node: BrokerAddress) -> None:
        try:
            if node.tls:
                client.tls_set_context(node.security.open_context())
            client.connect(node.host, node.port, keepalive=KEEPALIVE_S)
        except OSError as error:
            self._on_end(epoch, f"{node}: {explain(error)}")
            return
        with self._changed:
            wanted = epoch == self._epoch
        if wanted:
            client.loop_start()
        else:
            # The group was given up meanwhile; a session that lingered would kick its successor.
            open_socket = client.socket()
            if open_socket is not None:
                _shut(open_socket)

    def _on_connect(self, client: mqtt.Client, flags: Any, reason: Any) -> None:
        if reason.is_failure:
            log.warning("broker refused the session", reason=str(reason), group=self._group)
            return  # the broker closes; on_disconnect follows
        if not flags.session_present:
            metrics.SESSIONS_NEW.inc()
            if self._ever_subscribed:
                log.error(
                    "the broker had forgotten the session: messages may have been lost", group=self._group
                )
        client.subscribe(self._subscriptions)

    def _on_subscribe(self, reasons: Sequence[Any], epoch: int) -> None:
        refused = [
            wanted[0]
            for wanted, reason in zip(self._subscriptions, reasons, strict=False)
            if reason.is_failure or (wanted[1] == 1 and reason.value < 1)
        ]
        with self._changed:
            if epoch != self._epoch or self._ended:
                return
            if refused:
                client = self._client
            else:
                client = None
                self._subscribed = self._ever_subscribed = True
                self._connected_at = time.monotonic()
                metrics.CONNECTED.labels(self._group).set(1)
                self._changed.notify_all()
        if client is not None:
            log.error(
                "the broker refused subscriptions; with NATS check that mqtt.max_ack_pending leaves room for each",
                count=len(refused), group=self._group,
            )  # fmt: skip
            client.disconnect()
        else:
            log.info("listening", group=self._group)

    def _on_end(self, epoch: int, reason: str) -> None:
        with self._changed:
            if epoch != self._epoch or self._ended:
                return
            now = time.monotonic()
            if self._connected_at is not None and now - self._connected_at >= STABLE_AFTER_S:
                self._retry_s = RETRY_S_MIN
                self._nodes.worked()
            all_failed = self._nodes.move_on()
            # Full jitter: a broker that comes back is not met by everybody at once.
            wait_s = self._retry_s if all_failed else min(self._retry_s, NEXT_NODE_S_MAX)
            self._retry_at = now + random.uniform(0, wait_s)  # noqa: S311
            if all_failed:
                self._retry_s = min(self._retry_s * 2, RETRY_S_MAX)
            self._ended = True
            self._subscribed = False
            self._connected_at = None
            metrics.CONNECTED.labels(self._group).set(0)
            self._changed.notify_all()
        log.warning("not connected to the broker", reason=reason, group=self._group)

    def disconnect(self, *, forget: bool = True) -> None:
        """Leave the broker; with ``forget`` what is not acknowledged is left to be delivered again."""
        with self._changed:
            self._epoch += 1  # callbacks of the connection that is closed say nothing any more
            self._ended = True
            self._subscribed = False
            self._connected_at = None
            metrics.CONNECTED.labels(self._group).set(0)
            if forget:
                self._queue.clear()
                self._by_packet.clear()
                self._by_content.clear()
            self._changed.notify_all()
        self._close()

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        client.disconnect()
        # A network that swallows everything must not hold the last packets, and this thread, for ever.
        ended = threading.Thread(target=client.loop_stop, daemon=True)
        ended.start()
        ended.join(1.0)
        if ended.is_alive():
            open_socket = client.socket()
            if open_socket is not None:
                _shut(open_socket)
            ended.join(5.0)

    # -- receiving (network thread) -------------------------------------------------------------------------

    def _take_in(self, received: Sequence[Received], epoch: int) -> None:
        """Stamp and queue messages in one step: whoever reads the clock under this lock has everything before it."""
        with self._changed:
            now_ms = self._clock.now_ms()
            for message in received:
                if epoch != self._epoch:
                    return  # the connection is given up: what was not answered comes again
                if message.qos and self._is_known(message, epoch):
                    metrics.REDELIVERED.inc()
                    continue
                if message.qos == 0 and len(self._queue) >= self._queue_max * HEARTBEAT_SHARE:
                    metrics.HEARTBEATS_DROPPED.inc()
                    continue
                if self._is_full():
                    if not self._wait_for_room(epoch):
                        return
                    now_ms = self._clock.now_ms()
                self._queue_up(message, epoch, now_ms)
            if self._awaited and self._queue:
                self._awaited = False
                self._changed.notify_all()

    def _queue_up(self, message: Received, epoch: int, now_ms: int) -> None:
        topic, payload, packet_id, qos, _, retain = message
        delivery = Delivery(Message(topic, payload, now_ms, retain), qos, epoch, [packet_id])
        self._queue.append(delivery)
        if qos:
            self._by_packet[packet_id] = delivery
            self._by_content.setdefault((topic, payload), []).append(delivery)

    def _is_known(self, message: Received, epoch: int) -> bool:
        """Say whether this is a redelivery of a message in flight; if so its acknowledgement goes the new way."""
        same = self._by_content.get((message.topic, message.payload))
        if same is None:
            return False
        standing = self._by_packet.get(message.packet_id)
        if standing is not None:
            return standing in same  # the broker did not wait: one packet id, one message
        for delivery in same:
            if delivery.epoch != epoch or message.dup:
                if delivery.epoch != epoch:
                    delivery.epoch, delivery.packet_ids = epoch, []
                delivery.packet_ids.append(message.packet_id)
                self._by_packet[message.packet_id] = delivery
                return True
        return False

    def _is_full(self) -> bool:
        return len(self._queue) >= self._queue_max or self._queue.bytes >= QUEUE_BYTES_MAX

    def _wait_for_room(self, epoch: int) -> bool:
        """Wait until the queue has room; say whether the connection is still wanted then."""
        metrics.QUEUE_FULL.inc()
        self._awaited = False
        self._changed.notify_all()  # whoever waits for a first message must not wait for the last one too
        while self._is_full() and epoch == self._epoch:
            self._changed.wait()
        return epoch == self._epoch

    # -- taking ---------------------------------------------------------------------------------------------

    def take(
        self, *, messages_max: int, wait_s: float, gather_s: float, arrays_bytes_max: int = BATCH_BYTES_MAX
    ) -> Batch:
        """Wait for a first message, gather a batch, and read the clock.

        Parameters
        ----------
        messages_max
            Bound of the batch; arrays come on top.
        wait_s
            How long to wait for the first message; an empty batch carries the clock alone.
        gather_s
            How long a batch may gather while messages keep coming.
        arrays_bytes_max
            Bytes of payload at which no more arrays are taken; they wait behind what is said one by one.
        """
        with self._changed:
            if not self._queue and wait_s > 0:
                self._awaited = True
                self._changed.wait(wait_s)
                self._awaited = False
            if self._queue:
                self._gather(messages_max, gather_s)
            taken, arrays_bytes, now_ms = self._queue.take(
                messages_max, arrays_bytes_max, self._clock.now_ms()
            )
            metrics.QUEUE_MESSAGES.labels(self._group).set(len(self._queue))
            self._changed.notify_all()
        return Batch([delivery.message for delivery in taken], now_ms, taken, arrays_bytes)

    def _gather(self, messages_max: int, gather_s: float) -> None:
        deadline = time.monotonic() + gather_s
        while len(self._queue) < messages_max and self._queue.bytes < BATCH_BYTES_MAX:
            left = deadline - time.monotonic()
            before = len(self._queue)
            if left <= 0 or self._ended:
                return
            self._changed.wait(min(IDLE_S, left))
            if len(self._queue) == before:
                return

    def batches(self, *, messages_max: int, wait_ms: int) -> Iterator[Batch]:
        """Offer batches for as long as somebody takes them; each is to be acknowledged in turn."""
        while True:
            yield self.take(messages_max=messages_max, wait_s=wait_ms / 1000, gather_s=wait_ms / 1000)

    def acknowledge(self, batch: Batch) -> None:
        """Answer the broker for a committed batch, in the order received; answers to old connections are dropped."""
        ready: list[int] = []
        with self._changed:
            client = self._client
            for delivery in batch.deliveries:
                if delivery.qos == 0:
                    continue
                self._forget(delivery)
                if delivery.epoch == self._epoch and client is not None and not self._ended:
                    ready.extend(delivery.packet_ids)
                else:
                    metrics.STALE_ACKS.inc()
        if client is not None and ready:
            half = (len(ready) + 1) // 2
            _answer(client, ready[:half])
            pass_point("mid_ack")
            _answer(client, ready[half:])

    def _forget(self, delivery: Delivery) -> None:
        for packet_id in delivery.packet_ids:
            if self._by_packet.get(packet_id) is delivery:
                del self._by_packet[packet_id]
        key = (delivery.message.topic, delivery.message.payload)
        same = self._by_content.get(key)
        if same is not None and delivery in same:
            same.remove(delivery)
            if not same:
                del self._by_content[key]

    def wake(self) -> None:
        """Let a waiting ``take`` return; for a clean stop."""
        with self._changed:
            self._changed.notify_all()


def _send_at_once(_client: mqtt.Client, _data: Any, open_socket: Any) -> None:
    # Bursts of small acknowledgements wait for delayed answers otherwise; paho leaves Nagle's algorithm on.
    open_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _answer(client: mqtt.Client, packet_ids: Sequence[int]) -> None:
    """Send acknowledgements in one piece, or one by one where this paho has no such door."""
    queue = getattr(client, "_packet_queue", None)
    if queue is None:
        for packet_id in packet_ids:
            client.ack(packet_id, 1)
    elif packet_ids:
        packets = b"".join([b"\x40\x02" + packet_id.to_bytes(2, "big") for packet_id in packet_ids])
        queue(0x40, packets, 0, 1)


def _shut(open_socket: Any) -> None:
    try:
        open_socket.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already, which is what was wanted
