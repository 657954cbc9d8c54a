"""The edge between two real brokers: what a sensor said arrives once, whatever breaks on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
import pytest

from edge import upstream
from edge.gateway import Gateway
from edge.spool import Spool
from kaimen.clock import Clock, ClockSetting, FileClock, SystemClock, write_clock
from kaimen.settings import EdgeSettings
from kaimen.wire import format_topic
from tests.cut import Cut
from tests.fix_servers import NatsServer, free_port, nats_server, wait_until

pytestmark = pytest.mark.integration

DOOR = "zigbee2mqtt/front-1201"
EVENTS = format_topic("garden", "z-1201", "evt")
BATCHES = format_topic("garden", "z-1201", "evb")
BEATS = format_topic("garden", "z-1201", "hb")
TABLE = [{"source": DOOR, "dialect": "zigbee2mqtt", "site": "garden", "device": "z-1201", "door": "3-1-1201"}]


@dataclass
class Listener:
    """The central side: a persistent session that hears everything canonical."""

    port: int
    heard: list[tuple[str, Any]] = field(default_factory=list)
    client: mqtt.Client | None = None

    def start(self) -> None:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)
        client.reconnect_delay_set(1, 1)
        subscribed = threading.Event()
        client.on_connect = lambda *_: client.subscribe("kaimen/v1/#", qos=1)
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_message = self._hear
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        assert subscribed.wait(20)
        self.client = client

    def _hear(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        self.heard.append((message.topic, msgspec.json.decode(message.payload)))

    def stop(self) -> None:
        if self.client is not None:
            self.client.disconnect()
            self.client.loop_stop()

    def events(self) -> list[dict[str, Any]]:
        """Every event once, in the order in which its first copy came."""
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for topic, value in list(self.heard):
            for event in value if topic == BATCHES else [value] if topic == EVENTS else []:
                found.setdefault((event["boot"], event["seq"]), event)
        return list(found.values())

    def beats(self, topic: str = BEATS) -> list[dict[str, Any]]:
        return [value for heard, value in list(self.heard) if heard == topic]


@dataclass
class Sensor:
    """The source side: a bridge that publishes what its sensor says."""

    port: int

    def say(self, is_open: bool, *, qos: int = 1, retain: bool = False, topic: str = DOOR) -> None:
        self.send(topic, {"contact": not is_open, "linkquality": 80}, qos=qos, retain=retain)

    def say_timed(self, is_open: bool) -> int:
        """Say it with the time at which the radio heard it (``last_seen``); return that time."""
        now_ms = SystemClock().now_ms()
        self.send(DOOR, {"contact": not is_open, "linkquality": 80, "last_seen": now_ms})
        return now_ms

    def send(self, topic: str, value: object, *, qos: int = 1, retain: bool = False) -> None:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        try:
            client.publish(topic, msgspec.json.encode(value), qos=qos, retain=retain).wait_for_publish(20)
        finally:
            client.disconnect()
            client.loop_stop()


class Edge:
    """One run of the edge in a thread of its own."""

    def __init__(
        self, settings: EdgeSettings, *, machine_boot: str = "machine-1", clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._machine_boot = machine_boot
        self._made = threading.Event()
        self.gateway: Gateway | None = None
        self.spool: Spool | None = None
        self.messages_waiting = 0
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        spool = Spool(
            self._settings.edge_spool,
            bytes_max=self._settings.edge_spool_bytes_max,
            days_max=self._settings.edge_spool_days_max,
        )
        self.spool = spool
        self.gateway = Gateway(
            self._settings, self._clock, spool, machine_boot=self._machine_boot, backoff_first_s=0.2
        )
        self._made.set()
        try:
            self.gateway.run()
        finally:
            self.messages_waiting = spool.message_count
            spool.close()

    def __enter__(self) -> Edge:
        self._thread.start()
        assert self._made.wait(10)
        wait_until(self.is_working, "both links stand", within_s=30)
        return self

    def is_working(self) -> bool:
        return self.gateway is not None and self.gateway.healthy()[0]

    def has_nothing_left(self) -> bool:
        """Whether the broker answered for all that is on disk: hearing it elsewhere comes before its answer."""
        return self.spool is not None and self.spool.message_count == 0

    def __exit__(self, *_: object) -> None:
        assert self.gateway is not None
        self.gateway.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()


@dataclass
class Site:
    source: NatsServer
    central: NatsServer
    folder: Path
    listener: Listener
    sensor: Sensor

    def settings(self, **given: Any) -> EdgeSettings:
        return EdgeSettings(
            **{
                "broker_url": self.central.url,
                "edge_source_url": self.source.url,
                "edge_id": "edge-1",
                "edge_site": "garden",
                "edge_devices_file": self.folder / "devices.json",
                "edge_spool": self.folder / "spool.sqlite",
                "edge_credential_key": "a test's own key",
            }
            | given
        )

    def list_devices(self, rows: list[dict[str, Any]]) -> None:
        draft = self.folder / "devices.draft"
        draft.write_bytes(msgspec.json.encode(rows))
        draft.replace(self.folder / "devices.json")


@contextmanager
def _site(folder: Path) -> Iterator[Site]:
    with nats_server() as source, nats_server() as central:
        listener = Listener(central.mqtt_port)
        listener.start()
        site = Site(source, central, folder, listener, Sensor(source.mqtt_port))
        site.list_devices(TABLE)
        yield site
        listener.stop()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with _site(tmp_path) as found:
        yield found


def _is_healthy(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def opened(events: list[dict[str, Any]]) -> set[int]:
    return {event["ts"] for event in events if event.get("state") == "Open"}


def kinds(events: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(event["type"], event.get("state")) for event in events]


def test_an_opening_arrives_and_a_repeat_is_only_a_check_in(site: Site) -> None:
    with Edge(site.settings()):
        for is_open in (False, False, True, True):
            site.sensor.say(is_open)
        wait_until(lambda: len(site.listener.beats()) >= 3, "three check-ins", within_s=20)
    (event,) = site.listener.events()
    assert (event["type"], event["state"], event["door"], event["seq"]) == (
        "DoorPhysicalState", "Open", "3-1-1201", 1,
    )  # fmt: skip
    assert event["rx"] >= event["ts"] - 1_000
    assert [beat["seq_last"] for beat in site.listener.beats()] == [0, 0, 1]
    assert {beat["basis"] for beat in site.listener.beats()} == {"check_in"}
    assert {beat["boot"] for beat in site.listener.beats()} == {event["boot"]}


def test_the_gateway_lives_for_itself_and_says_goodbye(site: Site) -> None:
    own_beats = format_topic("garden", "edge-1", "hb")
    own_state = format_topic("garden", "edge-1", "state")
    with Edge(site.settings()):
        wait_until(lambda: site.listener.beats(own_beats), "the gateway's heartbeat", within_s=20)
    wait_until(lambda: len(site.listener.beats(own_state)) >= 2, "birth and goodbye", within_s=20)
    assert [value["status"] for value in site.listener.beats(own_state)] == ["online", "offline"]
    assert site.listener.beats() == [], "no word for the sensor, which said nothing"


def test_a_clock_that_goes_faster_does_not_wait_out_the_hour_of_the_slow_one(
    site: Site, tmp_path: Path
) -> None:
    own_beats, path = format_topic("garden", "edge-1", "hb"), tmp_path / "clock.json"
    now_ms = SystemClock().now_ms()
    write_clock(path, ClockSetting(now_ms, now_ms, 1.0))
    with Edge(site.settings(edge_heartbeat_s=3600), clock=FileClock(path)):
        wait_until(lambda: site.listener.beats(own_beats), "the first heartbeat", within_s=20)
        write_clock(path, ClockSetting(now_ms, now_ms, 36_000.0))
        wait_until(
            lambda: len(site.listener.beats(own_beats)) >= 3, "heartbeats of the fast hours", within_s=20
        )


def test_what_happens_while_the_edge_is_away_comes_in_the_same_boot(site: Site) -> None:
    with Edge(site.settings()):
        site.sensor.say(False)
        wait_until(lambda: site.listener.beats(), "the first check-in", within_s=20)
    site.sensor.say(True)
    site.sensor.say(False)
    with Edge(site.settings()):
        wait_until(lambda: len(site.listener.events()) == 2, "both edges", within_s=20)
    # What waited goes out newest first, where the link to the centre stands later than the one to the source.
    events = sorted(site.listener.events(), key=lambda event: event["seq"])
    assert kinds(events) == [("DoorPhysicalState", "Open"), ("DoorPhysicalState", "Closed")]
    assert [event["seq"] for event in events] == [1, 2]
    assert {event["boot"] for event in events} == {site.listener.beats()[0]["boot"]}


def test_a_boot_ends_where_something_can_have_been_lost(site: Site) -> None:
    boots = []
    for machine_boot, qos in (("machine-1", 0), ("machine-1", 1), ("machine-2", 1), ("machine-2", 1)):
        with Edge(site.settings(), machine_boot=machine_boot):
            known = len(site.listener.beats())
            site.sensor.say(False, qos=qos)
            wait_until(lambda known=known: len(site.listener.beats()) > known, "a check-in", within_s=20)  # type: ignore[misc]
            boots.append(site.listener.beats()[-1]["boot"])
    # A frame without guarantee, then a restart of the machine: only the last run may continue.
    assert len(set(boots)) == 3
    assert boots[2] == boots[3]


def test_what_the_broker_never_answers_for_is_sent_again_on_another_connection(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "SWALLOWED_AFTER_S", 0.5)
    with Cut.before(site.central.url) as wire:
        with Edge(site.settings(broker_url=wire.url(site.central.url))) as edge:
            site.sensor.say(False)
            wait_until(lambda: site.listener.beats(), "the first check-in", within_s=20)
            wire.lose_answers()
            site.sensor.say(True)
            wait_until(lambda: len(site.listener.events()) == 1, "the opening", within_s=20)
            evidence = lambda: [topic for topic, _ in list(site.listener.heard) if topic in (EVENTS, BATCHES)]  # noqa: E731
            wait_until(lambda: len(evidence()) >= 2, "the opening again, for nobody answered", within_s=20)
            wait_until(edge.has_nothing_left, "the broker answers for it", within_s=20)
        assert edge.messages_waiting == 0
    assert len(site.listener.events()) == 1


def test_events_wait_on_disk_while_the_central_broker_is_dead(site: Site) -> None:
    with Edge(site.settings()) as edge:
        site.sensor.say(False)
        wait_until(lambda: site.listener.beats(), "the first check-in", within_s=20)
        site.central.program.kill()
        wait_until(lambda: not edge.is_working(), "the edge sees the loss", within_s=30)
        for _ in range(5):
            site.sensor.say(True)
            site.sensor.say(False)
        site.central.start_again()
        wait_until(lambda: len(site.listener.events()) == 10, "all ten edges", within_s=60)
        wait_until(edge.has_nothing_left, "the broker answers for all", within_s=30)
    assert [event["seq"] for event in site.listener.events()] == list(range(1, 11))
    assert edge.messages_waiting == 0, "what was acknowledged is gone from the disk"


def test_a_lost_source_link_loses_nothing_and_keeps_the_boot(site: Site) -> None:
    with Edge(site.settings()) as edge:
        site.sensor.say(False)
        wait_until(lambda: site.listener.beats(), "the first check-in", within_s=20)
        site.source.program.kill()
        wait_until(lambda: not edge.is_working(), "the edge sees the loss", within_s=30)
        site.source.start_again()
        wait_until(edge.is_working, "the edge works again", within_s=30)
        site.sensor.say(True)
        wait_until(lambda: site.listener.events(), "the opening", within_s=20)
    (event,) = site.listener.events()
    assert event["boot"] == site.listener.beats()[0]["boot"]


@pytest.mark.slow
def test_nothing_that_was_acknowledged_to_the_source_dies_with_the_edge(site: Site) -> None:
    environment = os.environ | {
        "KAIMEN_BROKER_URL": site.central.url,
        "KAIMEN_EDGE_SOURCE_URL": site.source.url,
        "KAIMEN_EDGE_ID": "edge-1",
        "KAIMEN_EDGE_SITE": "garden",
        "KAIMEN_EDGE_DEVICES_FILE": str(site.folder / "devices.json"),
        "KAIMEN_EDGE_SPOOL": str(site.folder / "spool.sqlite"),
        "KAIMEN_METRICS_PORT": str(free_port()),
    }

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "edge"], env=environment)

    process = start()
    try:
        wait_until(lambda: _is_healthy(environment["KAIMEN_METRICS_PORT"]), "the edge works", within_s=30)
        site.sensor.say_timed(False)
        wait_until(lambda: site.listener.beats(), "the first check-in", within_s=30)
        openings = set()
        for turn in range(20):
            openings.add(site.sensor.say_timed(True))
            site.sensor.say_timed(False)
            if turn in (5, 12):
                process.send_signal(signal.SIGKILL)
                process.wait(10)
                process = start()
        # The broker redelivers what the dead edge had not acknowledged late and out of order.
        wait_until(lambda: opened(site.listener.events()) >= openings, "all twenty openings", within_s=60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
    assert opened(site.listener.events()) == openings


def test_a_source_that_nobody_listed_is_kept_and_taken_in_when_it_is(site: Site) -> None:
    stranger = "zigbee2mqtt/front-1202"
    other = {"source": stranger, "site": "garden", "device": "z-1202"}
    with Edge(site.settings()) as edge:
        for is_open in (False, True):
            site.sensor.say(is_open, topic=stranger)
        site.sensor.say(False)
        wait_until(lambda: site.listener.beats(), "the listed one's check-in", within_s=20)
        site.list_devices([*TABLE, other])
        topic = format_topic("garden", "z-1202", "evt")
        wait_until(lambda: site.listener.beats(topic), "what the stranger had said", within_s=20)
        (event,) = site.listener.beats(topic)
        assert (event["state"], event["hist"]) == ("Open", True)
        assert edge.is_working()


def test_a_credential_leaves_as_a_token_and_a_retained_state_says_nothing(site: Site) -> None:
    gate = {"source": "gate-1/1", "site": "garden", "device": "h-1"}
    site.list_devices([*TABLE, gate])
    site.sensor.say(True, retain=True)
    body = {
        "eventType": "AccessControllerEvent",
        "AccessControllerEvent": {
            "majorEventType": 5,
            "subEventType": 1,
            "cardNo": "0011223344",
            "name": "PERSON-A",
        },
    }
    with Edge(site.settings()):
        site.sensor.send("foreign/hikvision/gate-1", body)
        topic = format_topic("garden", "h-1", "evt")
        wait_until(lambda: site.listener.beats(topic), "the access event", within_s=20)
    (event,) = site.listener.beats(topic)
    assert (event["type"], event["method"]) == ("AccessGranted", "card")
    assert event["cred"].startswith("c_")
    text = msgspec.json.encode(site.listener.heard).decode()
    assert "0011223344" not in text and "PERSON-A" not in text
    assert site.listener.events() == []


def test_canonical_frames_of_a_sites_own_broker_are_forwarded_as_they_are(site: Site) -> None:
    event = {"v": 1, "boot": "9f2c41d07be3a856", "seq": 17, "ts": 1763712000123, "up": 86400123, "clk": "ntp",
             "type": "DoorPhysicalState", "state": "Open", "new_field": [1]}  # fmt: skip
    beat = {
        "v": 1,
        "boot": "9f2c41d07be3a856",
        "ts": 1763712060000,
        "up": 86460000,
        "clk": "ntp",
        "seq_last": 17,
    }
    with Edge(site.settings(edge_forward=True)):
        site.sensor.send(format_topic("garden", "c-1", "evt"), event)
        site.sensor.send(format_topic("garden", "c-1", "hb"), beat, qos=0)
        wait_until(
            lambda: (
                site.listener.beats(format_topic("garden", "c-1", "evt"))
                and site.listener.beats(format_topic("garden", "c-1", "hb"))
            ),
            "both frames",
            within_s=20,
        )
    (sent,) = site.listener.beats(format_topic("garden", "c-1", "evt"))
    assert sent.pop("rx") > 1_600_000_000_000
    assert sent == event
    assert site.listener.beats(format_topic("garden", "c-1", "hb"))[0]["seq_last"] == 17


@pytest.mark.slow
def test_a_full_spool_stops_acknowledging_and_loses_nothing(site: Site) -> None:
    # Room for more than half: a broker brings again what was refused only after seconds, each time it was.
    with Edge(site.settings(edge_spool_bytes_max=4_500)) as edge:
        site.sensor.say_timed(False)
        wait_until(lambda: site.listener.beats(), "the first check-in", within_s=20)
        site.central.program.kill()
        wait_until(lambda: not edge.is_working(), "the edge sees the loss", within_s=30)
        openings = set()
        for _ in range(10):
            openings.add(site.sensor.say_timed(True))
            site.sensor.say_timed(False)
        assert edge.gateway is not None
        wait_until(lambda: "full" in edge.gateway.healthy()[1], "the spool is full", within_s=20)  # type: ignore[union-attr]
        site.central.start_again()
        wait_until(lambda: opened(site.listener.events()) >= openings, "all ten openings", within_s=90)
    assert opened(site.listener.events()) == openings
