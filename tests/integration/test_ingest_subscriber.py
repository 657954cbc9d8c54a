"""The session at a real broker: nothing is queued twice, nothing answered before it is told to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import REGISTRY

from ingest.session.receiving import BulkClient, plain_client
from ingest.subscriber import Batch, Subscriber, client_id_of
from kaimen.clock import ManualClock
from tests.fix_clock import STORY_BEGINS_MS
from tests.fix_servers import wait_until
from tests.integration.ingest_street import SECOND, Door, publishing

BOTH = pytest.mark.parametrize("make_client", [plain_client, BulkClient], ids=["plain", "bulk"])


@contextlib.contextmanager
def subscribed(
    broker_url: str,
    clock: ManualClock,
    *,
    queue_max: int = 1_000,
    make_client: Callable[..., mqtt.Client] = BulkClient,
) -> Iterator[Subscriber]:
    _forget_session(broker_url)
    subscriber = Subscriber(broker_url, clock=clock, queue_max=queue_max, make_client=make_client)
    listen(subscriber)
    try:
        yield subscriber
    finally:
        subscriber.disconnect()


def listen(subscriber: Subscriber) -> None:
    def is_listening() -> bool:
        if subscriber.may_connect():  # again, too, where the broker had not yet let the last connection go
            subscriber.connect()
        return subscriber.is_connected

    wait_until(is_listening, "the session is subscribed")


def connect_once(broker_url: str, *, clean: bool) -> None:
    """Connect and leave under the group's client id: kicks whoever is there; ``clean`` forgets the session."""
    address = urlsplit(broker_url)
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id=client_id_of(0, 1), clean_session=clean, manual_ack=True
    )
    client.connect(address.hostname or "", address.port or 1883)
    client.loop_start()
    wait_until(client.is_connected, "the other client is connected")
    client.disconnect()
    client.loop_stop()


def _forget_session(broker_url: str) -> None:
    connect_once(broker_url, clean=True)


def take(subscriber: Subscriber, number: int, *, messages_max: int = 1_000) -> list[Batch]:
    """Take batches until ``number`` messages are there."""
    batches: list[Batch] = []
    for _ in range(1_000):
        batch = subscriber.take(messages_max=messages_max, wait_s=0.05, gather_s=0.05)
        if batch.messages:
            batches.append(batch)
        if sum(len(b.messages) for b in batches) >= number:
            return batches
    raise AssertionError(f"{sum(len(b.messages) for b in batches)} of {number} messages came")


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(f"kaimen_ingest_{name}_total") or 0.0


@pytest.fixture
def openings() -> list[tuple[str, bytes]]:
    door = Door()
    return [door.opening(STORY_BEGINS_MS + index * SECOND) for index in range(50)]


@BOTH
def test_messages_come_in_order_and_are_answered_when_told(
    make_client: Callable[..., mqtt.Client],
    broker_url: str,
    manual_clock: ManualClock,
    openings: list[tuple[str, bytes]],
) -> None:
    with (
        subscribed(broker_url, manual_clock, make_client=make_client) as subscriber,
        publishing(broker_url) as publisher,
    ):
        publisher.send_all(openings)
        got = []
        # More than a broker's window of twenty: each answer lets the next ones come.
        for batch in subscriber.batches(messages_max=1_000, wait_ms=50):
            got += [(message.topic, message.payload) for message in batch.messages]
            subscriber.acknowledge(batch)
            if len(got) >= len(openings):
                break
    assert got == openings


@pytest.mark.slow
def test_a_redelivery_of_what_is_in_flight_is_answered_once_and_not_queued_again(
    broker_url: str, manual_clock: ManualClock, openings: list[tuple[str, bytes]]
) -> None:
    with subscribed(broker_url, manual_clock) as subscriber, publishing(broker_url) as publisher:
        publisher.send_all(openings[:10])
        batches = take(subscriber, 10)
        before = metric("redelivered")
        connect_once(broker_url, clean=False)
        wait_until(lambda: subscriber.is_idle, "it was kicked")
        listen(subscriber)
        wait_until(lambda: metric("redelivered") >= before + 10, "the broker delivers again")
        assert not subscriber.take(messages_max=10, wait_s=0, gather_s=0).messages
        for batch in batches:
            subscriber.acknowledge(batch)
        # Answered on the new connection: after another one nothing but news comes.
        subscriber.disconnect(forget=False)
        listen(subscriber)
        publisher.send(*openings[10])
        (news,) = take(subscriber, 1)
        assert [message.payload for message in news.messages] == [openings[10][1]]


@pytest.mark.slow
def test_an_answer_to_an_older_connection_is_dropped(
    broker_url: str, manual_clock: ManualClock, openings: list[tuple[str, bytes]]
) -> None:
    with subscribed(broker_url, manual_clock) as subscriber, publishing(broker_url) as publisher:
        publisher.send_all(openings[:5])
        old = take(subscriber, 5)
        subscriber.disconnect()
        listen(subscriber)
        stale = metric("stale_acks")
        for batch in old:
            subscriber.acknowledge(batch)
        assert metric("stale_acks") == stale + 5
        again = take(subscriber, 5)
        assert sorted(m.payload for b in again for m in b.messages) == sorted(p for _, p in openings[:5])


@BOTH
def test_a_full_queue_holds_the_network_back_and_drops_only_heartbeats(
    make_client: Callable[..., mqtt.Client],
    broker_url: str,
    manual_clock: ManualClock,
    openings: list[tuple[str, bytes]],
) -> None:
    with (
        subscribed(broker_url, manual_clock, queue_max=8, make_client=make_client) as subscriber,
        publishing(broker_url) as publisher,
    ):
        dropped, full = metric("heartbeats_dropped"), metric("queue_full")
        publisher.send_all(openings[:4])
        wait_until(lambda: subscriber.queued >= 4, "four events wait")
        publisher.send(*Door().heartbeat(STORY_BEGINS_MS), qos=0)
        wait_until(lambda: metric("heartbeats_dropped") > dropped, "a heartbeat is dropped")
        publisher.send_all(openings[4:30])
        wait_until(lambda: metric("queue_full") > full, "the network thread waits")
        got = []
        while len(got) < 30:
            for batch in take(subscriber, 1, messages_max=5):
                assert len(batch.messages) <= 5
                got += [message.payload for message in batch.messages]
                subscriber.acknowledge(batch)
    assert got == [payload for _, payload in openings[:30]]


def test_the_clock_of_a_batch_stays_before_what_it_leaves_behind(
    broker_url: str, manual_clock: ManualClock, openings: list[tuple[str, bytes]]
) -> None:
    with subscribed(broker_url, manual_clock) as subscriber, publishing(broker_url) as publisher:
        publisher.send(*openings[0])
        wait_until(lambda: subscriber.queued == 1, "one waits")
        manual_clock.advance_to(STORY_BEGINS_MS + SECOND)
        publisher.send(*openings[1])
        wait_until(lambda: subscriber.queued == 2, "two wait")
        manual_clock.advance_to(STORY_BEGINS_MS + 5 * SECOND)
        first = subscriber.take(messages_max=1, wait_s=0, gather_s=0)
        assert first.now_ms == STORY_BEGINS_MS + SECOND - 1
        second = subscriber.take(messages_max=1, wait_s=0, gather_s=0)
        assert second.now_ms == STORY_BEGINS_MS + 5 * SECOND
