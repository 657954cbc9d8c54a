"""Where messages go: a broker, a file in the form of the wire page, or a list.

A publisher takes messages and gives notices: a gateway's session stands or has fallen, the broker has a message.
Each gateway is a client of its own with its last will; a session that fell is begun anew after a pause with jitter,
and what was under way then is the device's to send again.
"""

from __future__ import annotations

import json
import queue
import random
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from firmware_sim.street import Delivery, Outgoing
from kaimen import wire

KEEPALIVE_S = 60
RECONNECT_LEAST_S = 0.3
RECONNECT_MOST_S = 20.0
UNACKNOWLEDGED_MAX = 2_000
CONNECT_S = 10.0
CLOSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Connected:
    gateway_id: str


@dataclass(frozen=True, slots=True)
class Fallen:
    gateway_id: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    ticket: int


Notice = Connected | Fallen | Acknowledged


class Publisher(Protocol):
    """A way for gateways to reach the other side."""

    def want(self, gateway_id: str, *, linked: bool, will: tuple[str, bytes]) -> None:
        """Say whether a gateway would hold a session now; its last will is (topic, payload)."""

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Take messages for sending."""

    def notices(self, timeout_s: float) -> list[Notice]:
        """Wait for something to tell, at most ``timeout_s``; return all there is."""

    def has_room(self) -> bool:
        """Say whether more may be sent before acknowledgements come in."""

    def close(self) -> None:
        """End all sessions; nobody hears a goodbye, for the devices are gone and their last wills say so."""


@dataclass
class ListPublisher:
    """Keeps everything and acknowledges at once; for tests and for counting."""

    sent: list[Outgoing] = field(default_factory=list)
    acknowledges: bool = True
    _waiting: list[Notice] = field(default_factory=list)
    _standing: set[str] = field(default_factory=set)

    def want(self, gateway_id: str, *, linked: bool, will: tuple[str, bytes]) -> None:
        if linked and gateway_id not in self._standing:
            self._standing.add(gateway_id)
            self._waiting.append(Connected(gateway_id))
        elif not linked and gateway_id in self._standing:
            self._standing.discard(gateway_id)
            self._waiting.append(Fallen(gateway_id))

    def send(self, messages: Sequence[Outgoing]) -> None:
        self.sent.extend(messages)
        if self.acknowledges:
            self._waiting.extend(Acknowledged(message.ticket) for message in messages if message.ticket)

    def notices(self, timeout_s: float) -> list[Notice]:
        found, self._waiting = self._waiting, []
        return found

    def has_room(self) -> bool:
        return True

    def close(self) -> None:
        self._standing.clear()


class FilePublisher(ListPublisher):
    """Appends each message as a line of the wire page's file form; the receipt is the instant of sending."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = MessageFile(path, append=True)

    def send(self, messages: Sequence[Outgoing]) -> None:
        self._file.write((message.sent_ms, message.topic, message.payload) for message in messages)
        self._file.flush()
        self._waiting.extend(Acknowledged(message.ticket) for message in messages if message.ticket)

    def close(self) -> None:
        super().close()
        self._file.close()


class MessageFile:
    """JSON lines ``{"received_at", "topic", "payload"}``."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        self._stream: IO[bytes] = path.open("ab" if append else "wb", buffering=1 << 20)

    def write(self, deliveries: Iterable[Delivery]) -> None:
        write = self._stream.write
        for received_ms, topic, payload in deliveries:
            # Topic and payload are our own JSON-safe bytes: no second encoding of half a million payloads.
            write(b'{"received_at":%d,"topic":"%s","payload":%s}\n' % (received_ms, topic.encode(), payload))

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_registry(path: Path, registry: dict[str, Any]) -> None:
    """Write the registry of the wire page beside the messages."""
    path.write_text(json.dumps(registry, ensure_ascii=False))


# The broker -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and who we are to it; ``mqtt://user:password@host:1883`` or ``mqtts://…``."""

    host: str
    port: int
    secure: bool
    user: str | None
    password: str | None


def parse_broker(url: str) -> BrokerAddress:
    """Read a broker's address; raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise ValueError("a broker reads mqtt://host:port or mqtts://host:port")
    secure = parts.scheme == "mqtts"
    return BrokerAddress(
        parts.hostname, parts.port or (8883 if secure else 1883), secure, parts.username, parts.password
    )


def _new_client(address: BrokerAddress, client_id: str) -> mqtt.Client:
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=False,
        protocol=mqtt.MQTTv311,
        reconnect_on_failure=False,
    )
    if address.user is not None:
        client.username_pw_set(address.user, address.password)
    if address.secure:
        client.tls_set()
    client.connect_timeout = CONNECT_S
    client.max_inflight_messages_set(200)
    client.max_queued_messages_set(0)
    return client


@dataclass
class _Session:
    """One gateway's life with the broker; ``epoch`` tells an old client's callbacks from the present one's."""

    gateway_id: str
    wanted: bool = False
    will: tuple[str, bytes] | None = None
    client: mqtt.Client | None = None
    standing: bool = False
    epoch: int = 0
    failures: int = 0
    next_try: float = 0.0
    tickets: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Report:
    """What a client's thread saw: connected (mid None, good), fallen (mid None, not good), acknowledged (mid)."""

    gateway_id: str
    epoch: int
    mid: int | None
    good: bool


class BrokerPublisher:
    """One MQTT 3.1.1 client per gateway, QoS 1 for events and states, QoS 0 for heartbeats."""

    def __init__(self, url: str) -> None:
        self._address = parse_broker(url)
        self._sessions: dict[str, _Session] = {}
        self._reports: queue.SimpleQueue[_Report] = queue.SimpleQueue()
        self._fallen: list[Notice] = []
        self._enders: list[threading.Thread] = []
        self._jitter = random.Random()  # noqa: S311 (only spreads reconnects)

    def want(self, gateway_id: str, *, linked: bool, will: tuple[str, bytes]) -> None:
        session = self._sessions.setdefault(gateway_id, _Session(gateway_id))
        session.wanted, session.will = linked, will
        if not linked and session.client is not None:
            self._tear(session)

    def send(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            session = self._sessions.get(message.gateway_id)
            if session is None or session.client is None or not session.standing:
                continue  # the device keeps it: its session has fallen, and the notice is on its way
            told = session.client.publish(message.topic, message.payload, message.qos, message.retain)
            if message.ticket:
                session.tickets[told.mid] = message.ticket

    def has_room(self) -> bool:
        return sum(len(session.tickets) for session in self._sessions.values()) < UNACKNOWLEDGED_MAX

    def notices(self, timeout_s: float) -> list[Notice]:
        for session in self._sessions.values():
            self._begin_if_due(session)
        found, self._fallen = self._fallen, []
        try:
            found += self._read(self._reports.get(timeout=0 if found else timeout_s))
            while True:
                found += self._read(self._reports.get_nowait())
        except queue.Empty:
            return found

    def _read(self, report: _Report) -> list[Notice]:
        session = self._sessions[report.gateway_id]
        if report.epoch != session.epoch:
            return []
        if report.mid is not None:
            ticket = session.tickets.pop(report.mid, None)
            return [] if ticket is None else [Acknowledged(ticket)]
        if report.good:
            session.standing, session.failures = True, 0
            return [Connected(session.gateway_id)]
        self._drop(session)
        return [Fallen(session.gateway_id)]

    def _begin_if_due(self, session: _Session) -> None:
        if not session.wanted or session.client is not None or time.monotonic() < session.next_try:
            return
        session.epoch += 1
        session.client = self._client_of(session)
        session.client.connect_async(self._address.host, self._address.port, KEEPALIVE_S)
        session.client.loop_start()

    def _client_of(self, session: _Session) -> mqtt.Client:
        client = _new_client(self._address, session.gateway_id)
        if session.will is not None:
            client.will_set(session.will[0], session.will[1], qos=1, retain=True)
        gateway_id, epoch, reports = session.gateway_id, session.epoch, self._reports

        def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            reports.put(_Report(gateway_id, epoch, None, not reason.is_failure))

        def on_connect_fail(_client: Any, _data: Any) -> None:
            reports.put(_Report(gateway_id, epoch, None, good=False))

        def on_disconnect(_client: Any, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
            reports.put(_Report(gateway_id, epoch, None, good=False))

        def on_publish(_client: Any, _data: Any, mid: int, _reason: Any, _properties: Any) -> None:
            reports.put(_Report(gateway_id, epoch, mid, good=True))

        client.on_connect, client.on_connect_fail = on_connect, on_connect_fail
        client.on_disconnect, client.on_publish = on_disconnect, on_publish
        return client

    def _tear(self, session: _Session) -> None:
        """Pull the cable: no goodbye, so that the broker sends out the last will."""
        stood = session.standing
        self._drop(session)
        session.failures = 0
        if stood:
            self._fallen.append(Fallen(session.gateway_id))

    def _drop(self, session: _Session) -> None:
        client, session.client = session.client, None
        session.standing = False
        session.epoch += 1
        session.tickets.clear()
        session.failures += 1
        pause_s = min(RECONNECT_MOST_S, RECONNECT_LEAST_S * 2 ** min(session.failures, 8))
        session.next_try = time.monotonic() + pause_s * self._jitter.uniform(0.5, 1.0)
        if client is not None:
            # Ending a client may wait for its connection attempt; the street does not wait with it.
            self._end(client)

    def _end(self, client: mqtt.Client) -> None:
        self._enders = [thread for thread in self._enders if thread.is_alive()]
        thread = threading.Thread(target=_bury, args=(client,), daemon=True)
        self._enders.append(thread)
        thread.start()

    def close(self) -> None:
        for session in self._sessions.values():
            client, session.client = session.client, None
            session.epoch += 1
            if client is not None:
                self._end(client)
        deadline = time.monotonic() + CLOSE_S
        for thread in self._enders:
            thread.join(max(0.0, deadline - time.monotonic()))


def _bury(client: mqtt.Client) -> None:
    """End a client's thread and its socket without a goodbye of its own."""
    _break(client)
    client.loop_stop()
    _break(client)


def _break(client: mqtt.Client) -> None:
    stream = client.socket()
    if isinstance(stream, socket.socket):
        with suppress(OSError):  # already gone, which is what is wanted
            stream.shutdown(socket.SHUT_RDWR)


def publish_all(deliveries: Iterable[Delivery], url: str, *, client_id: str) -> int:
    """Publish recorded messages through one client as fast as the broker acknowledges; return how many.

    Raises
    ------
    ConnectionError
        If the broker cannot be reached, refuses, or goes away.
    """
    return _Bulk(parse_broker(url), client_id).publish(deliveries)


class _Bulk:
    def __init__(self, address: BrokerAddress, client_id: str) -> None:
        self._client = _new_client(address, client_id)
        self._address = address
        self._reports: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._open = 0

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._reports.put(f"the broker refused: {reason}" if reason.is_failure else None)

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._reports.put(f"the broker went away: {reason}")

    def _on_publish(self, _client: Any, _data: Any, _mid: int, _reason: Any, _properties: Any) -> None:
        self._reports.put(None)

    def _await(self) -> None:
        try:
            trouble = self._reports.get(timeout=CONNECT_S * 3)
        except queue.Empty:
            raise ConnectionError("the broker does not acknowledge") from None
        if trouble is not None:
            raise ConnectionError(trouble)

    def publish(self, deliveries: Iterable[Delivery]) -> int:
        self._client.connect(self._address.host, self._address.port, KEEPALIVE_S)
        self._client.loop_start()
        try:
            self._await()
            count = self._pour(deliveries)
            while self._open:
                self._await()
                self._open -= 1
            return count
        finally:
            self._client.on_disconnect = None
            self._client.disconnect()
            self._client.loop_stop()

    def _pour(self, deliveries: Iterable[Delivery]) -> int:
        count = 0
        for _received_ms, topic, payload in deliveries:
            channel = wire.parse_topic(topic).channel
            self._client.publish(topic, payload, 0 if channel == "hb" else 1, channel == "state")
            count += 1
            # Paho reports heartbeats too, when they have left; so one window bounds both.
            self._open += 1
            while self._open >= UNACKNOWLEDGED_MAX:
                self._await()
                self._open -= 1
        return count
