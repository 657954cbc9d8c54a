"""Both ways of receiving read the same bytes: the same messages, the same answers, the same end."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from prometheus_client import REGISTRY

from ingest.session import receiving
from ingest.session.frames import BROKEN, WORDS, scan
from ingest.session.receiving import (
    FRAMES_MAX,
    NO_TOPIC,
    Bulk,
    BulkClient,
    Received,
    plain_client,
    publish_packet,
)

Make = Callable[..., mqtt.Client]
BOTH = pytest.mark.parametrize("make", [plain_client, BulkClient], ids=["plain", "bulk"])


class Line:
    """A client at one end of a socket, what a broker writes at the other."""

    def __init__(self, make: Make, take: Callable[[Sequence[Received]], None] | None = None) -> None:
        self.received: list[Received] = []
        self.subscribed: list[int] = []
        self.ended = False
        self.client = make(take or self.received.extend, client_id="unit", manual_ack=True)
        self.client.on_subscribe = lambda _c, _d, mid, _r, _p: self.subscribed.append(mid)
        self.client.on_disconnect = lambda *_: setattr(self, "ended", True)
        ours, self.broker = socket.socketpair()
        ours.setblocking(False)
        self.broker.setblocking(False)
        self.client._sock = ours
        self._ours = ours

    def write(self, data: bytes) -> None:
        while data and not self.ended:
            data = data[self.broker.send(data) :]
            receiving._read_dry(self.client)

    def close(self) -> None:
        self.broker.close()
        self._ours.close()


@pytest.fixture
def line() -> Iterator[Callable[..., Line]]:
    lines: list[Line] = []

    def open_line(*arguments: Any) -> Line:
        lines.append(Line(*arguments))
        return lines[-1]

    yield open_line
    for one in lines:
        one.close()


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was proved yet, and what is found out here is forgotten again."""
    monkeypatch.setattr(Bulk, "_sound", None)


def some_messages(chance: random.Random, count: int) -> list[Received]:
    found = []
    for number in range(count):
        qos = chance.choice([0, 1, 1])
        topic = f"kaimen/v1/0/{number % 16:x}/site/door-{number % 40}/{'hb' if not qos else 'evt'}"
        payload = chance.randbytes(chance.choice([0, 1, 90, 120, 130, 500, 17_000 if number == 50 else 60]))
        retain = chance.random() < 0.1
        dup = qos == 1 and chance.random() < 0.1
        found.append(Received(topic, payload, number + 1 if qos else 0, qos, dup, retain))
    return found


def as_packet(message: Received) -> bytes:
    first = 0x30 | message.dup << 3 | message.qos << 1 | message.retain
    return publish_packet(
        first, message.topic.encode(), message.payload, message.packet_id if message.qos else None
    )


@BOTH
@pytest.mark.parametrize("piece_max", [1, 40, 5_000, 400_000])
def test_messages_come_whole_however_the_stream_is_cut(
    make: Make, piece_max: int, line: Callable[..., Line]
) -> None:
    chance = random.Random(piece_max)
    sent = some_messages(chance, 5 if piece_max == 1 else 100)
    stream = b"".join(map(as_packet, sent))
    at, one = 0, line(make)
    while at < len(stream):
        size = chance.randint(1, piece_max)
        one.write(stream[at : at + size])
        at += size
    assert one.received == sent
    assert not one.ended


@BOTH
def test_a_message_longer_than_the_buffer_comes_whole(make: Make, line: Callable[..., Line]) -> None:
    long = Received("kaimen/v1/0/0/site/door/evb", bytes(receiving.BUFFER_BYTES * 2 + 7), 3, 1, False, False)
    short = Received("kaimen/v1/0/0/site/door/evt", b"{}", 4, 1, False, False)
    one = line(make)
    one.write(b"".join(map(as_packet, [short, long, short, short])))
    assert one.received == [short, long, short, short]


def test_more_messages_in_a_buffer_than_are_found_at_once(line: Callable[..., Line]) -> None:
    one = line(BulkClient)
    messages = [Received("t", b"", number, 1, False, False) for number in range(1, FRAMES_MAX + 5)]
    stream = np.frombuffer(b"".join(map(as_packet, messages)), np.uint8)
    one.client._buffer[: len(stream)] = stream
    one.client._filled = len(stream)
    assert one.client._go_through() == mqtt.MQTT_ERR_SUCCESS
    assert one.received == messages


@BOTH
def test_the_brokers_answers_between_messages_reach_paho(make: Make, line: Callable[..., Line]) -> None:
    message = Received("kaimen/v1/0/0/site/door/evt", b"{}", 4, 1, False, False)
    one = line(make)
    one.write(
        as_packet(message) + b"\x90\x03\x00\x09\x01" + as_packet(message) + b"\xd0\x00" + as_packet(message)
    )
    assert one.received == [message] * 3
    assert one.subscribed == [9]


@BOTH
def test_a_topic_that_is_no_text_is_called_so(make: Make, line: Callable[..., Line]) -> None:
    one = line(make)
    one.write(publish_packet(0x32, b"\xff\xfe", b"x", 5))
    assert one.received == [Received(NO_TOPIC, b"x", 5, 1, False, False)]


@BOTH
@pytest.mark.parametrize(
    "packet", [b"\x32\xff\xff\xff\xff\x01", publish_packet(0x32, b"", b"x", 5)], ids=["length", "topic"]
)
def test_what_is_no_packet_ends_the_connection(make: Make, packet: bytes, line: Callable[..., Line]) -> None:
    message = Received("kaimen/v1/0/0/site/door/evt", b"{}", 4, 1, False, False)
    one = line(make)
    one.write(as_packet(message) + packet)
    assert one.received == [message]
    assert one.ended


@BOTH
def test_the_brokers_end_is_noticed(make: Make, line: Callable[..., Line]) -> None:
    one = line(make)
    one.broker.close()
    assert one.client.loop_read() != mqtt.MQTT_ERR_SUCCESS
    assert one.ended


@pytest.mark.parametrize("seed", range(10))
def test_rubbish_is_scanned_the_same_compiled_and_plain_and_never_past_its_end(seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(b"".join(map(as_packet, some_messages(chance, 20))))
    for _ in range(chance.randrange(8)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    plain_rows, rows = np.zeros((64, WORDS), np.int64), np.zeros((64, WORDS), np.int64)
    array = np.frombuffer(bytes(data), np.uint8)
    for stop in (0, 1, 2, len(data) // 2, len(data)):
        expected = scan.py_func(array[:stop], 0, stop, plain_rows)  # type: ignore[attr-defined]
        count, reached, size = scan(array, 0, stop, rows)
        assert (count, reached, size) == expected
        assert (rows[:count] == plain_rows[:count]).all()
        assert 0 <= reached <= stop
        assert size >= BROKEN
        assert (rows[:count, 1:3] <= stop).all() and (rows[:count, 4:] <= stop).all()


@pytest.mark.usefixtures("forgotten")
def test_the_fast_way_proves_itself_with_the_installed_paho() -> None:
    assert isinstance(receiving.new_client(lambda _: None), BulkClient)


@pytest.mark.usefixtures("forgotten")
def test_where_it_cannot_be_proved_messages_are_taken_one_by_one_and_it_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(mqtt.Client, "_packet_read")
    before = REGISTRY.get_sample_value("kaimen_ingest_receiving_plain_total") or 0.0
    assert not isinstance(receiving.new_client(lambda _: None), BulkClient)
    assert REGISTRY.get_sample_value("kaimen_ingest_receiving_plain_total") == before + 1


@pytest.mark.usefixtures("forgotten")
def test_after_a_failure_the_connection_ends_and_the_next_is_a_plain_one(line: Callable[..., Line]) -> None:
    def fail(_: Sequence[Received]) -> None:
        raise RuntimeError("another paho")

    one = line(BulkClient, fail)
    one.write(as_packet(Received("t", b"", 1, 1, False, False)))
    assert one.ended
    assert not isinstance(receiving.new_client(lambda _: None), BulkClient)
