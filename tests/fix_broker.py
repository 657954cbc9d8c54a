"""A broker without any memory of other tests: a NATS server of its own, and mosquitto where one is named.

``KAIMEN_TEST_BROKER_MOSQUITTO`` (``mqtt://127.0.0.1:PORT``) names a mosquitto whose contents the tests may
discard; with it every test that asks for a broker runs on both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from tests.fix_servers import NatsServer, nats_server, wait_until

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


def _discard_retained(port: int) -> None:
    """Empty a shared broker of retained messages; sessions are the tests' own business (fresh client ids)."""
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
        _discard_retained(shared.port)
        yield shared
        return
    with nats_server() as server:
        yield Broker("nats", server.url, server)


@pytest.fixture
def broker_url(broker: Broker) -> str:
    """The address for KAIMEN_BROKER_URL."""
    return broker.url
