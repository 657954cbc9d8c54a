"""A broker without any memory of other tests: a NATS server of its own, and mosquitto where one is named.

``KAIMEN_TEST_BROKER_MOSQUITTO`` (``mqtt://127.0.0.1:PORT``) names a mosquitto whose contents the tests may
discard; with it every test that asks for a broker runs on both.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.fix_servers import NatsServer, nats_server, speaks_mqtt, wait_until

_MOSQUITTO_URL = os.environ.get("KAIMEN_TEST_BROKER_MOSQUITTO", "")
_BROKERS = ["nats", "mosquitto"] if _MOSQUITTO_URL else ["nats"]


@dataclass(frozen=True)
class Broker:
    """A broker to test against; ``server`` is there where the test may kill it and start it again."""

    kind: str
    url: str
    server: NatsServer | None = None

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 1883


@contextmanager
def _alone_with(port: int) -> Iterator[None]:
    """Let one test process at a time use a broker that several share."""
    with (Path(tempfile.gettempdir()) / f"kaimen-test-broker-{port}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _discard_sessions(port: int) -> None:
    """End the sessions that services keep under fixed names; others belong to tests, which choose fresh ones."""
    from ingest.subscriber import client_id_of
    from kaimen.settings import EdgeSettings

    edge_id = EdgeSettings.model_fields["edge_id"].default
    groups = [client_id_of(group_no, count) for count in (1, 2, 4, 8, 16) for group_no in range(count)]
    for client_id in (edge_id, f"{edge_id}-source", *groups):
        assert speaks_mqtt(port, client_id), f"mosquitto does not answer on port {port}"


def _discard_retained(port: int) -> None:
    """Empty a shared broker of retained messages."""
    import paho.mqtt.client as mqtt

    found: list[str] = []
    state = {"heard_end": False}
    end_topic = f"kaimen-test/{os.urandom(8).hex()}"

    def on_message(client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic == end_topic:
            state["heard_end"] = True
        elif message.retain:
            found.append(message.topic)

    def on_subscribe(client: mqtt.Client, *_rest: object) -> None:
        # Retained messages of a subscription are sent before what is published after it.
        client.publish(end_topic, b"", qos=1)

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_message = on_message
    client.on_subscribe = on_subscribe
    client.on_connect = lambda *_rest: client.subscribe("#", qos=1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        wait_until(lambda: state["heard_end"], "the shared broker shows what it retains", within_s=20)
        for topic in found:
            client.publish(topic, b"", qos=1, retain=True).wait_for_publish(20)
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.fixture(params=_BROKERS)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Each broker in turn: embedded ``nats`` always, ``mosquitto`` where one is named."""
    if request.param == "mosquitto":
        shared = Broker("mosquitto", _MOSQUITTO_URL)
        with _alone_with(shared.port):
            _discard_sessions(shared.port)
            _discard_retained(shared.port)
            yield shared
        return
    with nats_server() as server:
        yield Broker("nats", server.url, server)


@pytest.fixture
def broker_url(broker: Broker) -> str:
    """The address for KAIMEN_BROKER_URL."""
    return broker.url
