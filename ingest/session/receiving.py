"""An MQTT connection enters; messages leave, as many at once as have come.

Two clients, one behaviour. The plain one is paho's. The other leaves connecting, TLS, keep-alive and every answer of
the broker to paho, but takes all messages of a receive buffer in one look: paho asks the system four times for each.
It goes by a few of paho's inner doors, so it proves itself before it is used, and is left for the plain one if it
ever fails.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from ingest import metrics
from kaimen.logs import get_logger

#: Bytes asked for at once, and messages found at once. A longer message makes the buffer grow until it is through.
BUFFER_BYTES = 256 * 1024
FRAMES_MAX = 4096

log = get_logger()


class Received(NamedTuple):
    """One message as it was delivered; ``packet_id`` is 0 at QoS 0."""

    topic: str
    payload: bytes
    packet_id: int
    qos: int
    dup: bool
    retain: bool


Take = Callable[[Sequence[Received]], None]


def new_client(take: Take, **options: Any) -> mqtt.Client:
    """Return a client that hands over what it receives: the fast one where it is sound, else the plain one."""
    if Bulk.may_be_used():
        return BulkClient(take, **options)
    metrics.RECEIVING_PLAIN.inc()
    return plain_client(take, **options)


def plain_client(take: Take, **options: Any) -> mqtt.Client:
    """Return paho's own client."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, **options)
    client.on_message = lambda _client, _data, message: take([_received(message)])
    return client


def _received(message: mqtt.MQTTMessage) -> Received:
    try:
        topic = message.topic
    except UnicodeDecodeError:
        topic = NO_TOPIC
    return Received(
        topic, bytes(message.payload), message.mid, message.qos, bool(message.dup), bool(message.retain)
    )


#: What stands for a topic that is no text; no such topic is of the protocol.
NO_TOPIC = "not-utf8"


class BulkClient(mqtt.Client):
    """paho's client with a receive buffer of its own."""

    def __init__(self, take: Take, **options: Any) -> None:
        from ingest.session.frames import WORDS

        super().__init__(CallbackAPIVersion.VERSION2, **options)
        self._take = take
        self._buffer = np.empty(BUFFER_BYTES, np.uint8)
        self._filled = 0
        self._found = np.empty((FRAMES_MAX, WORDS), np.int64)
        self._fed: memoryview | None = None

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._fed is None:
            return super()._sock_recv(bufsize)
        given, self._fed = self._fed[:bufsize], self._fed[bufsize:]
        return bytes(given)

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Take what has come; called by paho's thread when something has."""
        try:
            code = self._read()
        except Exception as error:  # a paho that is built otherwise: the next connection is a plain one
            log.exception("the fast receiving failed", error=type(error).__name__)
            Bulk.give_up()
            code = mqtt.MQTT_ERR_PROTOCOL
        return self._loop_rc_handle(code) if code else code

    def _read(self) -> MQTTErrorCode:
        open_socket: Any = self.socket()
        if open_socket is None:
            return mqtt.MQTT_ERR_NO_CONN
        try:
            got = open_socket.recv_into(self._buffer.data[self._filled :])
        except (BlockingIOError, ssl.SSLWantReadError):
            return mqtt.MQTT_ERR_SUCCESS
        except ssl.SSLWantWriteError:
            self._call_socket_register_write()
            return mqtt.MQTT_ERR_SUCCESS
        except OSError:
            return mqtt.MQTT_ERR_CONN_LOST
        if not got:
            return mqtt.MQTT_ERR_CONN_LOST
        self._note_bytes()
        self._filled += got
        return self._go_through()

    def _note_bytes(self) -> None:
        # The broker lives: what paho's keep-alive asks. Its name differs between versions.
        with self._msgtime_mutex:
            if hasattr(self, "_last_bytes_received"):
                self._last_bytes_received = mqtt.time_func()
            else:
                self._last_msg_in = mqtt.time_func()

    def _go_through(self) -> MQTTErrorCode:
        """Hand over the messages in the buffer, and let paho read every other packet that is whole."""
        from ingest.session.frames import BROKEN, scan

        start, size = 0, 0
        while start < self._filled:
            count, reached, size = scan(self._buffer, start, self._filled, self._found)
            if count:
                self._take(_messages(self._buffer, start, reached, self._found[:count]))
            start = reached
            if size == BROKEN:
                return mqtt.MQTT_ERR_PROTOCOL
            if size == 0:
                if count == FRAMES_MAX:
                    continue
                break
            if start + size > self._filled:
                break
            code = self._let_paho_read(start, start + size)
            if code or self.socket() is None:
                return code
            start, size = start + size, 0
        self._keep_rest(start, size)
        return mqtt.MQTT_ERR_SUCCESS

    def _let_paho_read(self, start: int, stop: int) -> MQTTErrorCode:
        self._fed = self._buffer.data[start:stop]
        try:
            return self._packet_read()
        finally:
            self._fed = None

    def _keep_rest(self, start: int, size: int) -> None:
        """Move what is not whole yet to the front of a buffer that has room for its packet."""
        rest = self._buffer[start : self._filled].copy()
        needed = max(BUFFER_BYTES, size)
        if len(self._buffer) != needed:
            self._buffer = np.empty(needed, np.uint8)
        self._filled = len(rest)
        self._buffer[: self._filled] = rest


def _messages(
    data: np.ndarray[Any, Any], start: int, stop: int, found: np.ndarray[Any, Any]
) -> list[Received]:
    """Return the messages that a scan found in ``data`` between ``start`` and ``stop``."""
    text = data[start:stop].tobytes()
    received = []
    for first, topic_from, topic_to, packet_id, payload_from, end in (found - _OFFSETS * start).tolist():
        try:
            topic = text[topic_from:topic_to].decode()
        except UnicodeDecodeError:
            topic = NO_TOPIC
        received.append(
            Received(topic, text[payload_from:end], packet_id, first >> 1 & 3, first & 8 != 0, first & 1 != 0)
        )
    return received


#: Which columns of a found frame are places.
_OFFSETS = np.array([0, 1, 1, 0, 1, 1], np.int64)


class Bulk:
    """Whether this process receives in bulk: proved once, given up for good at the first failure."""

    _lock = threading.RLock()  # what fails during its proof gives itself up
    _sound: bool | None = None

    @classmethod
    def may_be_used(cls) -> bool:
        """Say whether the fast client is sound with this paho; the first to ask waits for the proof."""
        with cls._lock:
            if cls._sound is None:
                cls._sound = proves_itself()
                if not cls._sound:
                    log.warning("receiving messages one by one: the fast way does not fit this paho-mqtt")
            return cls._sound

    @classmethod
    def give_up(cls) -> None:
        """Receive one by one from the next connection on."""
        with cls._lock:
            cls._sound = False


def proves_itself() -> bool:
    """Let both clients read the same bytes and say whether they say the same: messages, answers, the broken end."""
    try:
        return _said_of(BulkClient) == _said_of(lambda take, **options: plain_client(take, **options))
    except Exception as error:
        log.exception("the fast receiving could not be proved", error=type(error).__name__)
        return False


def _said_of(make: Callable[..., mqtt.Client]) -> list[object]:
    """Return what a client makes of a stream that comes in awkward pieces."""
    said: list[object] = []
    client = make(said.extend, client_id="proof", clean_session=False, manual_ack=True)
    client.on_connect = lambda _client, _data, flags, reason, _: said.append(
        (flags.session_present, str(reason))
    )
    client.on_subscribe = lambda _client, _data, mid, reasons, _: said.append(
        (mid, [str(one) for one in reasons])
    )
    client.on_disconnect = lambda _client, _data, _flags, reason, _: said.append(reason.is_failure)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        client._sock = ours
        sent = 0
        for size in (1, 2, 3, 150, 5, 9_000, 70, 1 << 20):
            piece = PROOF[sent : sent + size]
            sent += len(piece)
            while piece:
                theirs.setblocking(False)
                written = theirs.send(piece)
                piece = piece[written:]
                _read_dry(client)
    return said


def _read_dry(client: mqtt.Client) -> None:
    """Let a client read all that waits."""
    for _ in range(1_000):
        if client.socket() is None or client.loop_read() != mqtt.MQTT_ERR_SUCCESS:
            return
        waiting: Any = client.socket()
        try:
            if not waiting.recv(1, socket.MSG_PEEK):
                return
        except BlockingIOError:
            return


def publish_packet(first: int, topic: bytes, payload: bytes, packet_id: int | None) -> bytes:
    """Return a PUBLISH as a broker writes it."""
    body = len(topic).to_bytes(2, "big") + topic
    if packet_id is not None:
        body += packet_id.to_bytes(2, "big")
    body += payload
    length, left = b"", len(body)
    while True:
        left, digit = divmod(left, 128)
        length += bytes([digit | (128 if left else 0)])
        if not left:
            return bytes([first]) + length + body


#: The answers to connecting and subscribing, messages of all kinds and lengths, a ping's answer, no packet.
PROOF = b"".join(
    [
        b"\x20\x02\x01\x00",
        b"\x90\x06\x00\x01\x01\x01\x00\x80",
        publish_packet(0x32, b"kaimen/v1/0/0/site/door/evt", b'{"v":1}', 1),
        publish_packet(0x3A, b"kaimen/v1/0/0/site/door/evt", b'{"v":1}', 65_535),
        publish_packet(0x30, b"kaimen/v1/0/0/site/door/hb", b"", None),
        b"\xd0\x00",
        publish_packet(0x33, "小区".encode(), b"\x00" * 300, 515),
        publish_packet(0x32, b"\xff\xfe", b"no text", 7),
        publish_packet(0x32, b"kaimen/v1/0/0/site/door/evb", b"x" * 20_000, 8),
        publish_packet(0x31, b"t", b"y" * 127, None),
        publish_packet(0x32, b"", b"no topic", 9),
    ]
)
