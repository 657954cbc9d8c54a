"""One MQTT connection that comes back: frames and states of the link enter an inbox, publications leave.

A fresh paho client for each connection, so nothing of an old connection can answer on a new one: every message and
every acknowledgement carries the epoch of its connection, and those of another epoch are dropped. Callbacks only
enqueue. Unacknowledged QoS 1 messages come back by themselves when the session is resumed (MQTT 3.1.1, fixed
client id, clean session off). Of several nodes of a cluster the next is tried almost at once; reconnection backs off
with full jitter when all have failed, and the back-off is forgotten only after the link has stood for a while. Time here is the transport's, not the community's.
"""

from __future__ import annotations

import collections
import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from kaimen.broker import NEXT_NODE_S_MAX, BrokerAddress, Nodes
from kaimen.broker_tls import explain
from kaimen.logs import get_logger

KEEPALIVE_S = 30
CONNECT_TIMEOUT_S = 5.0
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 60.0
STABLE_S = 60.0
GOODBYE_S = 2.0
FRAMES_WAITING_MAX = 10_000
UNANSWERED = (
    "the broker closed the connection without an answer: perhaps it wants TLS (mqtts://), or a certificate of ours"
    " (KAIMEN_BROKER_CERTIFICATE_FILE)"
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A message as it came, with the epoch that may acknowledge it."""

    link: str
    epoch: int
    message_id: int
    topic: str
    payload: bytes
    qos: int
    retained: bool
    again: bool = False


@dataclass(frozen=True, slots=True)
class LinkUp:
    link: str
    epoch: int
    session_present: bool


@dataclass(frozen=True, slots=True)
class LinkReady:
    """The broker has confirmed the subscriptions; ``refused`` of them it did not accept."""

    link: str
    epoch: int
    refused: int


@dataclass(frozen=True, slots=True)
class LinkDown:
    link: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Published:
    """The broker has acknowledged our publication."""

    link: str
    epoch: int
    message_id: int


Item = Frame | LinkUp | LinkReady | LinkDown | Published


class Inbox:
    """Bounded hand-over from the network threads to the worker; only frames count towards the bound."""

    def __init__(self, frames_max: int = FRAMES_WAITING_MAX) -> None:
        self._items: collections.deque[Item] = collections.deque()
        self._frames = 0
        self._frames_max = frames_max
        self._ready = threading.Condition()

    def put(self, item: Item) -> bool:
        """Enqueue; False where a frame finds no place. Never waits."""
        with self._ready:
            if isinstance(item, Frame):
                if self._frames >= self._frames_max:
                    return False
                self._frames += 1
            self._items.append(item)
            self._ready.notify()
            return True

    def wake(self) -> None:
        with self._ready:
            self._ready.notify()

    def take(self, *, items_max: int, wait_s: float) -> list[Item]:
        """Return up to ``items_max`` items, waiting at most ``wait_s`` for the first."""
        with self._ready:
            if not self._items:
                self._ready.wait(wait_s)
            found = [self._items.popleft() for _ in range(min(items_max, len(self._items)))]
            self._frames -= sum(isinstance(item, Frame) for item in found)
            return found


@dataclass(frozen=True, slots=True)
class Will:
    topic: str
    payload: bytes


class Link:
    """A connection with one fixed client id that is made again for as long as the link is wanted."""

    def __init__(
        self,
        name: str,
        addresses: Sequence[BrokerAddress],
        *,
        client_id: str,
        inbox: Inbox,
        subscriptions: Callable[[], list[tuple[str, int]]] | None = None,
        will: Will | None = None,
        on_attempt: Callable[[], None] | None = None,
        on_overflow: Callable[[], None] | None = None,
        backoff_first_s: float = BACKOFF_FIRST_S,
        backoff_max_s: float = BACKOFF_MAX_S,
    ) -> None:
        self.name = name
        self._nodes = Nodes(addresses)
        self._client_id = client_id
        self._inbox = inbox
        self._subscriptions = subscriptions
        self._will = will
        self._on_attempt = on_attempt
        self._on_overflow = on_overflow
        self._backoff_first_s = backoff_first_s
        self._backoff_max_s = backoff_max_s
        self._client: mqtt.Client | None = None
        self._epoch = 0
        self._wanted = threading.Event()
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._random = random.SystemRandom()
        self._thread = threading.Thread(target=self._run, name=f"link-{name}", daemon=True)
        self._lock = threading.Lock()
        self._log: Any = get_logger()
        #: Why the last attempt made no connection; empty after one that did.
        self.trouble = ""
        self._answered_epoch = 0

    @property
    def node_count(self) -> int:
        """How many nodes of the broker are known."""
        return self._nodes.count

    def start(self) -> None:
        self._wanted.set()
        self._thread.start()

    def pause(self) -> None:
        """Let the connection go and do not make another: the broker keeps what we do not acknowledge."""
        self._wanted.clear()
        self._disconnect()

    def resume(self) -> None:
        self._wanted.set()
        self._changed.set()

    def reconnect(self) -> None:
        """Let the connection go and make another, so that unacknowledged messages come again."""
        self._disconnect()

    def stop(self, timeout_s: float = 10.0) -> None:
        self._stopping.set()
        self._wanted.set()
        self._changed.set()
        self._disconnect()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _disconnect(self) -> None:
        client = self._client
        if client is not None:
            client.disconnect()

    def publish(
        self, epoch: int, topic: str, payload: bytes, *, qos: int, retain: bool = False
    ) -> int | None:
        """Hand a publication to the connection ``epoch``; return its message id, None if that connection is gone."""
        with self._lock:
            client = self._client
            if client is None or epoch != self._epoch:
                return None
            info = client.publish(topic, payload, qos=qos, retain=retain)
        return info.mid if info.rc == mqtt.MQTT_ERR_SUCCESS else None

    def ack(self, frame: Frame) -> bool:
        """Acknowledge a frame to its source, on the very connection it came by; False if that is gone."""
        if frame.qos == 0:
            return True
        with self._lock:
            client = self._client
            if client is None or frame.epoch != self._epoch:
                return False
            return client.ack(frame.message_id, frame.qos) == mqtt.MQTT_ERR_SUCCESS

    def _make_client(self, epoch: int) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=False,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        address = self._nodes.current
        client.connect_timeout = CONNECT_TIMEOUT_S
        if address.user is not None:
            client.username_pw_set(address.user, address.password)
        if address.tls:
            client.tls_set_context(address.security.open_context())
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, qos=1, retain=True)
        client.on_socket_open = _no_delay
        client.on_connect = self._connected(epoch)
        client.on_subscribe = self._confirmed(epoch)
        client.on_message = self._message(epoch)
        client.on_publish = self._published(epoch)
        return client

    def _connected(self, epoch: int) -> Callable[..., None]:
        def on_connect(client: mqtt.Client, _: Any, flags: Any, reason: Any, *rest: Any) -> None:
            if reason.is_failure:
                self._answered_epoch = epoch
                self._note_trouble(f"the broker refused us: {reason}")
                return
            self.trouble, self._answered_epoch = "", epoch
            # Before the subscriptions: what waited in the session comes right behind.
            self._inbox.put(LinkUp(self.name, epoch, bool(flags.session_present)))
            wanted = self._subscriptions() if self._subscriptions is not None else []
            if wanted:
                client.subscribe(wanted)
            else:
                self._inbox.put(LinkReady(self.name, epoch, 0))

        return on_connect

    def _confirmed(self, epoch: int) -> Callable[..., None]:
        def on_subscribe(_: mqtt.Client, __: Any, ___: int, reasons: Any, *rest: Any) -> None:
            refused = sum(reason.is_failure for reason in reasons)
            self._inbox.put(LinkReady(self.name, epoch, refused))

        return on_subscribe

    def _message(self, epoch: int) -> Callable[..., None]:
        def on_message(client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
            frame = Frame(
                self.name, epoch, message.mid, message.topic, bytes(message.payload), message.qos,
                bool(message.retain), bool(message.dup),
            )  # fmt: skip
            if not self._inbox.put(frame):
                # Not acknowledged, so not lost: it comes again when the session is resumed.
                if self._on_overflow is not None:
                    self._on_overflow()
                client.disconnect()

        return on_message

    def _published(self, epoch: int) -> Callable[..., None]:
        def on_publish(_: mqtt.Client, __: Any, message_id: int, *rest: Any) -> None:
            self._inbox.put(Published(self.name, epoch, message_id))

        return on_publish

    def _run(self) -> None:
        backoff_s = self._backoff_first_s
        while not self._stopping.is_set():
            self._wanted.wait()
            if self._stopping.is_set():
                return
            began = time.monotonic()
            self._once()
            if not self._wanted.is_set():
                continue  # we let go of it ourselves: nothing failed
            if time.monotonic() - began >= STABLE_S:
                backoff_s = self._backoff_first_s
                self._nodes.worked()
            all_failed = self._nodes.move_on()
            wait_s = backoff_s if all_failed else min(backoff_s, NEXT_NODE_S_MAX)
            self._changed.clear()
            if not self._stopping.is_set() and self._wanted.is_set():
                self._changed.wait(self._random.uniform(0.1, 1.0) * wait_s)
            if all_failed:
                backoff_s = min(backoff_s * 2, self._backoff_max_s)

    def _once(self) -> None:
        """Make one connection and stay with it until it ends."""
        with self._lock:
            self._epoch += 1
            epoch = self._epoch
        if self._on_attempt is not None:
            self._on_attempt()
        try:
            client = self._make_client(epoch)
            client.connect(self._nodes.current.host, self._nodes.current.port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            self._note_trouble(explain(error))
            return
        gone = threading.Event()
        client.on_disconnect = lambda *_: gone.set()
        with self._lock:
            self._client = client
        client.loop_start()
        self._stay(gone)
        if self._answered_epoch != epoch and gone.is_set():
            self._note_trouble(UNANSWERED)
        with self._lock:
            self._client = None
        _shut(client)
        client.loop_stop()
        self._inbox.put(LinkDown(self.name, epoch))

    def _note_trouble(self, words: str) -> None:
        # Once for each reason and node: a broker that stays away for a night fills no log.
        words = f"{self._nodes.current}: {words}"
        if words != self.trouble:
            self._log.warning("no connection to the broker", name=self.name, reason=words)
        self.trouble = words

    def _stay(self, gone: threading.Event) -> None:
        """Wait until the connection has ended, or has had its time to end politely."""
        while not gone.wait(0.2):
            if self._stopping.is_set() or not self._wanted.is_set():
                self._disconnect()
                gone.wait(GOODBYE_S)
                return


def _no_delay(_: Any, __: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _shut(client: mqtt.Client) -> None:
    """Make sure that the network thread ends, whatever the network does."""
    sock: Any = client.socket()
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
