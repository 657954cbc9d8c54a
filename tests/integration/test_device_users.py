"""Sign-ins of devices at a real broker: each speaks for its own doors alone, and one taken away is let in no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from click.testing import CliRunner
from paho.mqtt.enums import CallbackAPIVersion

from console.cli import main
from console.stack.folder import StackFolder, read_json, write_json
from console.stack.nats import Nats, open_nats, speaks_mqtt
from console.stack.processes import mark_of
from kaimen.wire import format_topic
from tests.fix_servers import Program, free_port, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    folder = StackFolder(tmp_path)
    folder.prepare()
    found = open_nats(
        folder, folder.load_secrets(), mqtt_port=free_port(), client_port=free_port(), site_id=None
    )
    found.make_ready_to_start()
    program = Program("nats-server", found.arguments(), tmp_path / "nats.log")
    program.start()
    try:
        program.wait_until(found.is_ready)
        assert program.process is not None
        mark = mark_of(program.process.pid)
        assert mark is not None
        write_json(folder.run / "nats.json", asdict(mark))
        yield found
    finally:
        program.stop()


def run(*arguments: object) -> str:
    result = CliRunner().invoke(main, ["device-users", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


class Speaker:
    """A signed-in client that publishes and remembers what it hears."""

    def __init__(self, nats: Nats, name: str, password: str, *topics: str) -> None:
        self.heard: list[str] = []
        ready = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"c-{name}", protocol=mqtt.MQTTv311)
        self.client.username_pw_set(name, password)
        self.client.on_message = lambda _c, _d, message: self.heard.append(message.topic)
        self.client.on_connect = lambda *_told: (
            self.client.subscribe([(topic, 1) for topic in topics]) if topics else ready.set()
        )
        self.client.on_subscribe = lambda *_told: ready.set()
        self.client.connect("127.0.0.1", nats.mqtt_port)
        self.client.loop_start()
        assert ready.wait(30)

    def end(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_a_gateway_speaks_for_its_own_doors_and_for_no_other(nats: Nats, tmp_path: Path) -> None:
    name, password = run("add", "gw-1", "--site", "garden", "--device", "z-1201", "--dir", tmp_path).split(
        "\t"
    )
    assert (name, password in (tmp_path / "devices.json").read_text()) == ("gw-1", True)
    assert (tmp_path / "devices.json").stat().st_mode & 0o077 == 0
    assert password not in run("list", "--dir", tmp_path)
    wait_until(lambda: speaks_mqtt(nats.mqtt_port, name, password), "the broker lets the new gateway in")

    ingest = next(user for user in nats.users if user.name == "ingest")
    listener = Speaker(nats, ingest.name, ingest.password, "kaimen/v1/+/+/+/+/evt", "kaimen/v1/+/+/+/+/event")
    gateway = Speaker(nats, name, password)
    try:
        # A channel there is not: refused, and told by the doctor, instead of answered and heard by nobody.
        gateway.client.publish(
            format_topic("garden", "z-1201", "evt").replace("/evt", "/event"), b"{}", qos=1
        )
        for site, device in (
            ("garden", "z-9999"),
            ("other", "z-1201"),
            ("garden", "z-1201"),
            ("garden", "gw-1"),
        ):
            gateway.client.publish(format_topic(site, device, "evt"), b"{}", qos=1)
        own = {format_topic("garden", "z-1201", "evt"), format_topic("garden", "gw-1", "evt")}
        wait_until(lambda: own <= set(listener.heard), "its own doors are heard")
        assert set(listener.heard) == own
    finally:
        gateway.end()
        listener.end()

    run("remove", "gw-1", "--dir", tmp_path)
    wait_until(lambda: not speaks_mqtt(nats.mqtt_port, name, password), "the broker lets it in no more")
    assert nats.is_ready()  # the services' users stay
    assert read_json(tmp_path / "devices.json") == []


def test_no_device_takes_the_name_of_a_service_or_writes_outside_its_topic(tmp_path: Path) -> None:
    for name in ("ingest", "edge", "a.b", "a>", "*", "A", ""):
        result = CliRunner().invoke(
            main, ["device-users", "add", name, "--site", "garden", "--dir", str(tmp_path)]
        )
        assert result.exit_code == 1, name
    assert not (tmp_path / "devices.json").exists()


def test_users_are_in_the_settings_of_the_next_start(tmp_path: Path) -> None:
    run("add", "gw-1", "--site", "garden", "--dir", tmp_path)
    folder = StackFolder(tmp_path)
    nats = open_nats(
        folder, folder.load_secrets(), mqtt_port=free_port(), client_port=free_port(), site_id=None
    )
    nats.make_ready_to_start()
    subject = format_topic("garden", "gw-1", "cfg").replace("/", ".").removesuffix(".cfg")
    settings = nats.settings_path.read_text()
    assert f'"{subject}.evt"' in settings and f'"{subject}.>"' not in settings
