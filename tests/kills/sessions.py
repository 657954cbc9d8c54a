"""A broker's port, a client id and topics enter; an empty lasting session under that id leaves."""

from __future__ import annotations

from collections.abc import Sequence

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.fix_servers import speaks_mqtt, wait_until


def make_session(port: int, client_id: str, subscriptions: Sequence[tuple[str, int]]) -> None:
    """Discard what the broker kept for ``client_id`` and subscribe it anew."""
    assert speaks_mqtt(port, client_id), f"the broker on port {port} does not answer"
    answered: list[object] = []
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, manual_ack=True
    )
    client.on_connect = lambda who, *_rest: who.subscribe(list(subscriptions))
    client.on_subscribe = lambda *_rest: answered.append(None)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        wait_until(lambda: bool(answered), "the session is subscribed")
    finally:
        client.disconnect()
        client.loop_stop()
