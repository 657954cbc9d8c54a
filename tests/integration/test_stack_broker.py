"""The broker of an installation, started from its own settings: what waits in it keeps no start from succeeding."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from console.doctor.broker import Admin, messages_waiting
from console.stack import supervisor as supervising
from console.stack.folder import StackFolder, read_json
from console.stack.nats import Nats, open_nats
from console.stack.nats_desk import Desk
from console.stack.supervisor import Program, Supervisor
from ingest.subscriber import client_id_of
from tests import fix_servers
from tests.experiments.stage import fill, small_disk
from tests.fix_servers import free_port, wait_until

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
    program = fix_servers.Program("nats-server", found.arguments(), tmp_path / "nats.log")
    program.start()
    try:
        program.wait_until(found.is_ready)
        yield found
    finally:
        program.stop()


def _signed_in(nats: Nats, name: str) -> mqtt.Client:
    user = next(user for user in nats.users if user.name == name)
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id=name, clean_session=False, protocol=mqtt.MQTTv311
    )
    client.username_pw_set(user.name, user.password)
    client.reconnect_delay_set(1, 1)
    linked = threading.Event()
    client.on_connect = lambda *_told: linked.set()
    client.connect("127.0.0.1", nats.mqtt_port)
    client.loop_start()
    assert linked.wait(20)
    return client


def _publish_while_nobody_reads(nats: Nats) -> None:
    """As devices do: each message is acknowledged before this returns."""
    client = _signed_in(nats, "street")
    try:
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a small disk")
def test_a_broker_whose_disk_was_full_is_started_anew_once_there_is_room_and_keeps_what_it_had_answered_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(supervising, "STABLE_S", 0.1)
    for name in ("run", "log"):
        (tmp_path / name).mkdir()
    with small_disk(tmp_path / "disk", 100) as disk:
        folder = StackFolder(disk)
        nats = open_nats(
            folder, folder.load_secrets(), mqtt_port=free_port(), client_port=free_port(), site_id="baihe"
        )
        supervisor = Supervisor(tmp_path / "run", tmp_path / "log", quiet=True)
        supervisor.start(
            Program("nats", nats.arguments(), is_ready=nats.is_ready, before_start=nats.make_ready_to_start,
                    why_start_anew=nats.why_start_anew)
        )  # fmt: skip
        nats.provision_sessions()
        watching = threading.Thread(target=supervisor.watch)
        watching.start()
        door = _signed_in(nats, "street")
        try:
            _told(door, "kept").wait_for_publish(20)
            ballast = fill(disk)
            refused = _told(door, "refused" * 1000)
            wait_until(lambda: "write error" in _failure_of(nats), "the broker says that it cannot write")
            assert not refused.is_published()
            assert nats.why_start_anew() == ""  # it would be where it was
            first = read_json(tmp_path / "run" / "nats.json")
            ballast.unlink()
            wait_until(refused.is_published, "the broker answers again", within_s=60)
            assert read_json(tmp_path / "run" / "nats.json") != first
            doctor = Admin(nats.client_port, "doctor", folder.load_secrets()["broker_doctor"], 0)
            assert messages_waiting(doctor, client_id_of(0, 1)) == 2
        finally:
            door.disconnect()
            door.loop_stop()
            supervisor.ask_to_stop()
            watching.join()
            supervisor.stop()


def _told(door: mqtt.Client, text: str) -> mqtt.MQTTMessageInfo:
    return door.publish("kaimen/v1/0/anping/baihe/door-1/evt", text, qos=1)


def _failure_of(nats: Nats) -> str:
    with socket.create_connection(("127.0.0.1", nats.client_port)) as line:
        answer = Desk(line, "watch", nats.watch_password).ask("$SYS.REQ.SERVER.PING.HEALTHZ")
    return str(answer["data"].get("error", ""))


def test_sessions_are_made_again_however_many_messages_wait_in_them(nats: Nats) -> None:
    nats.provision_sessions()
    _publish_while_nobody_reads(nats)
    nats.provision_sessions()
