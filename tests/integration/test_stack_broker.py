"""The broker of an installation, started from its own settings: what waits in it keeps no start from succeeding."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from console.stack.folder import StackFolder
from console.stack.nats import Nats, open_nats
from tests.fix_servers import Program, free_port

pytestmark = pytest.mark.integration

WAITING = 1_500
#: What devices last said of themselves stays in the broker, and is looked up before a subscription is confirmed.
RETAINED = 400


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    folder = StackFolder(tmp_path)
    found = open_nats(
        folder, folder.load_secrets(), mqtt_port=free_port(), client_port=free_port(), site_id="baihe"
    )
    found.make_ready_to_start()
    program = Program("nats-server", found.arguments(), tmp_path / "nats.log")
    program.start()
    try:
        program.wait_until(found.is_ready)
        yield found
    finally:
        program.stop()


def _publish_while_nobody_reads(nats: Nats) -> None:
    """As devices do: each message is acknowledged before this returns."""
    user = next(user for user in nats.users if user.name == "street")
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="street", protocol=mqtt.MQTTv311)
    client.username_pw_set(user.name, user.password)
    linked = threading.Event()
    client.on_connect = lambda *_told: linked.set()
    client.connect("127.0.0.1", nats.mqtt_port)
    client.loop_start()
    try:
        assert linked.wait(20)
        told = [
            client.publish(f"kaimen/v1/0/anping/baihe/door-{number}/state", b"{}", qos=1, retain=True)
            for number in range(RETAINED)
        ]
        told += [
            client.publish(f"kaimen/v1/0/anping/baihe/door-{number % 7}/evt", b"{}", qos=1)
            for number in range(WAITING)
        ]
        for message in told:
            message.wait_for_publish(20)
            assert message.is_published()
    finally:
        client.disconnect()
        client.loop_stop()


def test_sessions_are_made_again_however_many_messages_wait_in_them(nats: Nats) -> None:
    nats.provision_sessions()
    _publish_while_nobody_reads(nats)
    nats.provision_sessions()
