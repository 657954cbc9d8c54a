"""Messages enter; a file or a real broker has them all, in spite of a broker that dies."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event, Thread

import paho.mqtt.client as mqtt
import pytest

from firmware_sim import faults
from firmware_sim.community import make_community
from firmware_sim.control import order
from firmware_sim.live import Live, open_street
from firmware_sim.publish import BrokerPublisher, MessageFile, parse_broker, publish_all, write_registry
from firmware_sim.street import Street, history
from kaimen import wire
from kaimen.clock import FileClock, set_clock
from tests.fix_broker import Broker
from tests.fix_servers import wait_until

START_MS = 1_761_955_200_000
HOUR_MS = 3_600_000
COMMUNITY = make_community(5, 24, 8, "baihe", START_MS)
HOME = COMMUNITY.watched[0]


class Listener:
    """Keeps everything below ``kaimen/#``; a session of its own that survives the broker's death."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.found: list[tuple[str, bytes]] = []
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        self._client.on_message = lambda _c, _d, message: self.found.append((message.topic, message.payload))
        ready = Event()
        self._client.on_connect = lambda *_rest: self._client.subscribe("kaimen/#", qos=1)
        self._client.on_subscribe = lambda *_rest: ready.set()
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert ready.wait(20)

    def keys(self) -> set[tuple[str, str, int]]:
        found = set()
        for topic, payload in list(self.found):
            address = wire.parse_topic(topic)
            if address.channel == "evt":
                event = wire.parse_event(payload)
                found.add((address.device_id, event.boot, event.seq))
            elif address.channel == "evb":
                for item in wire.parse_batch(payload):
                    assert isinstance(item, wire.Event)
                    found.add((address.device_id, item.boot, item.seq))
        return found

    def states(self, device_id: str) -> list[str]:
        return [
            wire.parse_state(payload).status
            for topic, payload in list(self.found)
            if topic.endswith(f"/{device_id}/state")
        ]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_a_file_has_one_line_for_each_message_as_the_wire_page_says(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    with MessageFile(path) as file:
        file.write(history(COMMUNITY, START_MS, START_MS + 6 * HOUR_MS))
    expected = list(history(COMMUNITY, START_MS, START_MS + 6 * HOUR_MS))
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert len(lines) == len(expected)
    for line, (received_ms, topic, payload) in zip(lines, expected, strict=True):
        assert (line["received_at"], line["topic"]) == (received_ms, topic)
        assert line["payload"] == json.loads(payload)


def test_the_registry_is_written_beside(tmp_path: Path) -> None:
    write_registry(tmp_path / "registry.json", COMMUNITY.to_registry())
    assert json.loads((tmp_path / "registry.json").read_text()) == json.loads(
        json.dumps(COMMUNITY.to_registry())
    )


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "127.0.0.1:1883", "mqtt:/x"])
def test_what_is_no_address_of_a_broker_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="mqtt://"):
        parse_broker(url)


def test_an_address_may_carry_port_and_sign_in() -> None:
    address = parse_broker("mqtts://sim:secret@broker.example")
    assert (address.host, address.port, address.secure) == ("broker.example", 8883, True)
    assert (address.user, address.password) == ("sim", "secret")
    assert parse_broker("mqtt://127.0.0.1:11883").port == 11_883


def test_nobody_listening_is_told_and_not_waited_for() -> None:
    with pytest.raises(OSError):
        publish_all([(0, "kaimen/v1/3/f/baihe/d/evt", b"{}")], "mqtt://127.0.0.1:1", client_id="x")


def test_history_goes_through_a_broker_whole(broker: Broker) -> None:
    listener = Listener(broker, "sim-history")
    try:
        deliveries = list(history(COMMUNITY, START_MS, START_MS + 12 * HOUR_MS, rates=faults.NONE))
        assert publish_all(deliveries, broker.url, client_id="sim-bulk") == len(deliveries)
        expected = sum(topic.endswith(("/evt", "/evb", "/state")) for _at, topic, _payload in deliveries)
        wait_until(
            lambda: sum(not topic.endswith("/hb") for topic, _payload in listener.found) >= expected,
            "all events of the history",
            within_s=30,
        )
    finally:
        listener.close()


def _run(live: Live, stop: Event) -> Thread:
    thread = Thread(target=live.run, args=(stop,))
    thread.start()
    return thread


def test_a_broker_that_dies_gets_everything_in_the_end(broker: Broker, tmp_path: Path) -> None:
    if broker.server is None:
        pytest.skip("this broker cannot be killed by a test")
    listener = Listener(broker, "sim-live")
    clock_path = tmp_path / "clock.json"
    set_clock(clock_path, speed=0, now_ms=START_MS)
    street = Street(COMMUNITY, START_MS, rates=faults.NONE, real_link=True)
    publisher = BrokerPublisher(broker.url)
    stop = Event()
    state = open_street(street, tmp_path / "sim.sqlite")
    thread: Thread | None = None
    try:
        # The file is used by one thread: the one that opens it.
        state.close()
        thread = Thread(target=_run_all, args=(street, clock_path, publisher, tmp_path, stop))
        thread.start()
        gateways = COMMUNITY.gateway_ids
        set_clock(clock_path, speed=0, now_ms=START_MS + HOUR_MS)
        wait_until(lambda: all("online" in listener.states(item) for item in gateways), "births", within_s=30)
        cut = order(tmp_path / "control", do="unplug_gateway", gateway=HOME.gateway_id)
        wait_until(cut.exists, "the order is answered", within_s=30)
        wait_until(lambda: "offline" in listener.states(HOME.gateway_id), "the last will", within_s=30)
        set_clock(clock_path, speed=0, now_ms=START_MS + 10 * HOUR_MS)
        broker.server.program.kill()
        set_clock(clock_path, speed=0, now_ms=START_MS + 20 * HOUR_MS)
        broker.server.start_again()
        order(tmp_path / "control", do="plug_gateway", gateway=HOME.gateway_id)
        end_ms = START_MS + 24 * HOUR_MS
        set_clock(clock_path, speed=0, now_ms=end_ms)
        expected = {
            (wire.parse_topic(topic).device_id, event.boot, event.seq)
            for _at, topic, payload in Street(COMMUNITY, START_MS, rates=faults.NONE).run(end_ms)
            if topic.endswith("/evt")
            for event in [wire.parse_event(payload)]
        }
        # Reconnected devices send what they stored some community seconds later.
        set_clock(clock_path, speed=60, now_ms=end_ms)
        wait_until(lambda: expected <= listener.keys(), "every event", within_s=90)
    finally:
        stop.set()
        if thread is not None:
            thread.join(30)
        publisher.close()
        listener.close()


def _run_all(street: Street, clock_path: Path, publisher: BrokerPublisher, folder: Path, stop: Event) -> None:
    state = open_street(street, folder / "sim.sqlite")
    try:
        Live(street, FileClock(clock_path), publisher, state, folder / "control").run(stop)
    finally:
        state.close()
