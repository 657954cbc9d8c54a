"""Events enter; MQTT packets, encoded before any clock starts, leave over one socket as fast as the broker takes them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator, Sequence

from kaimen import wire
from kaimen.broker_tls import BrokerTls

#: Packets on their way without the broker's answer, and written at once.
WINDOW, CHUNK = 2_000, 100
_TIMEOUT_S = 60.0
#: Above so many events a message they are short.
_FULL_MAX = 300


def length_of(count: int) -> bytes:
    """Return MQTT's variable-length number."""
    found = b""
    while True:
        count, digit = divmod(count, 128)
        found += bytes([digit | (128 if count else 0)])
        if not count:
            return found


def _text(value: str) -> bytes:
    return len(value.encode()).to_bytes(2, "big") + value.encode()


def publish_packet(topic: str, payload: bytes, packet_id: int) -> bytes:
    """Return one PUBLISH at QoS 1."""
    body = _text(topic) + packet_id.to_bytes(2, "big") + payload
    return b"\x32" + length_of(len(body)) + body


class Loader:
    """A publisher that does nothing but write bytes and count answers."""

    def __init__(
        self, port: int, *, user: str, password: str, client_id: str, security: BrokerTls | None = None
    ) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if security is not None:
            self._socket = security.open_context().wrap_socket(self._socket, server_hostname="127.0.0.1")
        try:
            self._connect(_text(client_id) + _text(user) + _text(password))
        except OSError:
            self._socket.close()
            raise
        self._rest = 0
        self._packet_id = 0
        #: Packets the broker has answered for.
        self.answered = 0

    def _connect(self, who: bytes) -> None:
        body = b"\0\4MQTT\4\xc2\0\0" + who
        self._socket.sendall(b"\x10" + length_of(len(body)) + body)
        if self._socket.recv(4) != b"\x20\x02\x00\x00":
            raise ConnectionError("the broker refuses the bench's publisher")

    def encode(self, messages: Sequence[tuple[str, bytes]]) -> list[tuple[bytes, int]]:
        """Return messages as pieces to write, each with how many packets it holds."""
        return [
            (b"".join(self._packets(messages[at : at + CHUNK])), len(messages[at : at + CHUNK]))
            for at in range(0, len(messages), CHUNK)
        ]

    def _packets(self, messages: Sequence[tuple[str, bytes]]) -> Iterator[bytes]:
        for topic, payload in messages:
            self._packet_id = self._packet_id % 65_535 + 1
            yield publish_packet(topic, payload, self._packet_id)

    def send(self, pieces: Sequence[tuple[bytes, int]]) -> None:
        """Write everything and wait until the broker answered for all of it."""
        sent = answered = 0
        for piece, count in pieces:
            while sent - answered + count > WINDOW:
                answered += self._answers()
            self._socket.sendall(piece)
            sent += count
        while answered < sent:
            answered += self._answers()

    def send_paced(self, messages: Iterable[tuple[str, bytes]], *, begun: float, per_second: int) -> None:
        """Write messages one by one at a pace, from a monotonic instant on; answers are read as they come."""
        sent = answered = 0
        for number, message in enumerate(messages):
            wait_s = begun + number / per_second - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
            for packet in self._packets([message]):
                self._socket.sendall(packet)
            sent += 1
            if sent - answered > WINDOW // 2:
                answered += self._answers()
        while answered < sent:
            answered += self._answers()

    def _answers(self) -> int:
        got = self._socket.recv(1 << 16)
        if not got:
            raise ConnectionError("the broker closed the bench's connection")
        count, self._rest = divmod(self._rest + len(got), 4)
        self.answered += count
        return count

    def close(self) -> None:
        self._socket.close()


def _event(device_id: str, boot: str, seq: int, from_ms: int, step_ms: int, *, short: bool) -> wire.Event:
    """Return a door's event; ``short``: a sensor's, of which an array of the greatest length keeps below 64 KiB."""
    ts, up = from_ms + seq * step_ms, seq * step_ms
    if short:
        return wire.Event(v=1, boot=boot, seq=seq, ts=ts, up=up, clk="ntp", type="Motion")
    return wire.Event(
        v=1, boot=boot, seq=seq, ts=ts, up=up, clk="ntp", door=f"3-1-{device_id}", type="DoorPhysicalState",
        state="Open" if seq % 2 else "Closed", method="card", cred=f"c_{device_id}", opens=(seq + 1) // 2,
    )  # fmt: skip


def make_messages(
    events: int,
    per_message: int,
    *,
    devices: Sequence[tuple[str, str]],
    boot: str,
    from_ms: int,
    until_ms: int,
) -> list[tuple[str, bytes]]:
    """Make messages of doors in turn: opened and closed with a card, evenly over a span.

    Parameters
    ----------
    devices
        Site and device ids; each speaks with ``boot`` and its own sequence.
    from_ms, until_ms
        The start of the boot and the instant of the last event.
    """
    rounds = max(1, events // (len(devices) * per_message))
    step_ms = max(1, (until_ms - from_ms) // (rounds * per_message + 1))
    channel = "evt" if per_message == 1 else "evb"
    messages = []
    for number in range(rounds):
        seqs = range(number * per_message + 1, (number + 1) * per_message + 1)
        for site_id, device_id in devices:
            found = [
                _event(device_id, boot, seq, from_ms, step_ms, short=per_message > _FULL_MAX) for seq in seqs
            ]  # fmt: skip
            payload = wire.format_event(found[0]) if per_message == 1 else wire.format_batch(found)
            messages.append((wire.format_topic(site_id, device_id, channel), payload))
    return messages
