"""`kaimen doctor` on real servers: everything well, the broker away, the database away, a session missing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
import pytest
from click.testing import CliRunner

from console.cli import main
from console.doctor.broker import Admin, Broker, look_at_broker
from console.doctor.database import judge_clocks, judge_schema, look_at_database
from console.doctor.lines import Line
from console.doctor.round import judge_room
from ingest.subscriber import client_id_of, subscriptions_of
from kaimen.clock import SystemClock
from tests.experiments.stage import fill, small_disk
from tests.fix_broker import Broker as RealBroker
from tests.fix_servers import NatsServer, free_port, nats_server, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.one_store]

ROOT = Path(__file__).parents[2]
NAME = client_id_of(0, 1)


def doctor(*words: str, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    names = {name: None for name in os.environ if name.startswith("KAIMEN_")}
    result = CliRunner().invoke(main, ["doctor", "--json", *words], env={**names, **environment})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    report = json.loads(result.stdout)
    assert report["healthy"] == (result.exit_code == 0)
    lines = {line["part"]: line for line in report["lines"]}
    assert all(line["mend"] for line in report["lines"] if line["state"] != "ok")
    return result.exit_code, lines


@contextmanager
def session_of(port: int, name: str, filters: list[tuple[str, int]]) -> Iterator[None]:
    """A lasting session, as ingest leaves it when it stops."""
    heard: list[bool] = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
    client.on_subscribe = lambda *_: heard.append(True)
    client.on_connect = lambda *_: client.subscribe(filters)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        wait_until(lambda: bool(heard), "the session subscribes", within_s=10)
        client.disconnect()
        yield
    finally:
        client.loop_stop()


def publish(port: int, topic: str) -> None:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish(topic, b"{}", qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def serve(url: str, *, pulse: timedelta = timedelta(0), lease: timedelta = timedelta(minutes=1)) -> None:
    """Write what one ingest worker and one alerts worker write while they work."""
    now = datetime.now(UTC)
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM ingest_leases")
        connection.execute(
            "INSERT INTO ingest_leases (group_no, groups, worker, expires_at, pulse_at) VALUES (0, 1, 'one', %s, %s)",
            (now + lease, now + pulse),
        )
        connection.execute(
            "INSERT INTO service_progress (service, at) VALUES ('alerts', %s)"
            " ON CONFLICT (service) DO UPDATE SET at = excluded.at",
            (now + pulse,),
        )


def test_nothing_runs_and_every_line_says_so(database_url: str, broker: RealBroker) -> None:
    status, lines = doctor(KAIMEN_DATABASE_URL=database_url, KAIMEN_BROKER_URL=broker.url)
    assert status == 1
    assert lines["database"]["state"] == lines["schema"]["state"] == lines["broker"]["state"] == "ok"
    assert lines["clock of the database"]["state"] == "ok"
    assert lines["ingest"]["state"] == lines["alerts"]["state"] == "wrong"
    assert lines[f"session {NAME}"]["words"].startswith("is not there")
    assert not any(name.startswith("duty of") for name in lines), "nobody is watched"
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO communities (id, name) VALUES ('garden', 'Garden')")
        connection.execute("INSERT INTO sites VALUES ('south', 'garden', 'South')")
        connection.execute(
            "INSERT INTO households (id, site_id, label, building, unit, floor, room, watched_from)"
            " VALUES ('h-1', 'south', '1-1-101', '1', '1', 1, '101', now())"
        )
    # Looking has not made one: it is missing the second time too.
    again = doctor(KAIMEN_DATABASE_URL=database_url, KAIMEN_BROKER_URL=broker.url)[1]
    assert again[f"session {NAME}"]["state"] == "wrong"
    assert again["duty of garden"]["state"] == "wrong", "a home is watched, and nobody is there to be told"


def test_doors_that_only_cards_of_another_home_open_are_named(database_url: str) -> None:
    now = datetime.now(UTC)
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO communities (id, name) VALUES ('garden', 'Garden')")
        connection.execute("INSERT INTO sites VALUES ('south', 'garden', 'South')")
        for number in (1, 2):
            home, door, room = f"h-{number}", f"z-{number}", f"10{number}"
            connection.execute(
                "INSERT INTO devices (id, site_id, kind, registered_at) VALUES (%s, 'south', 'controller', %s)",
                (door, now - timedelta(days=9)),
            )
            connection.execute(
                "INSERT INTO households (id, site_id, label, building, unit, floor, room)"
                " VALUES (%s, 'south', %s, '1', '1', 1, %s)",
                (home, f"1-1-{room}", room),
            )
            connection.execute(
                "INSERT INTO household_doors (household_id, device_id, role, from_at) VALUES (%s, %s, 'dwelling', %s)",
                (home, door, now - timedelta(days=9)),
            )
            connection.execute(
                "INSERT INTO credentials (token, class, household_id) VALUES (%s, 'resident', %s)",
                (f"card-{number}", home),
            )

    def open_by(door: str, card: str, days_ago: int) -> None:
        at = now - timedelta(days=days_ago)
        with psycopg.connect(database_url) as connection:
            connection.execute("SELECT ensure_event_partitions(%s, %s)", (at, at))
            connection.execute(
                "INSERT INTO door_events (occurred_at, received_at, recorded_at, device_no, boot, seq, ts_ms, up_ms,"
                " clock_quality, replayed, type, credential, plausible, batch)"
                " SELECT %(at)s, %(at)s, %(at)s, no, 1, %(seq)s, 0, 0, 'ntp', false, 'AccessTaken', %(card)s, true, 1"
                " FROM devices WHERE id = %(door)s",
                {"at": at, "seq": 10 - days_ago, "card": card, "door": door},
            )

    def crossed() -> list[str]:
        found = look_at_database(database_url, clock=SystemClock(), scaled=False, groups=1)
        return [line.part for line in found.lines if line.part.startswith("door ")]

    open_by("z-1", "card-2", 2)
    assert crossed() == [], "a neighbour may have been let in once"
    open_by("z-1", "card-2", 1)
    assert crossed() == ["door z-1"]
    open_by("z-1", "card-1", 0)
    assert crossed() == [], "her own card opens it too: it is hers"


def test_a_session_that_is_kept_is_seen_and_stays(database_url: str, broker: RealBroker) -> None:
    serve(database_url, lease=-timedelta(seconds=1))
    with session_of(broker.port, NAME, subscriptions_of(0, 1)):
        for _ in range(2):
            status, lines = doctor(KAIMEN_DATABASE_URL=database_url, KAIMEN_BROKER_URL=broker.url)
            assert lines[f"session {NAME}"]["words"] == "is kept by the broker"
        assert status == 1 and lines["group 0 of 1"]["words"].startswith("no worker holds it")


def test_a_session_in_use_is_not_taken_from_its_worker(database_url: str, broker: RealBroker) -> None:
    serve(database_url)
    lost: list[object] = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=NAME, clean_session=False)
    client.on_disconnect = lambda *_: lost.append(1)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        wait_until(client.is_connected, "it is connected", within_s=10)
        status, lines = doctor(KAIMEN_DATABASE_URL=database_url, KAIMEN_BROKER_URL=broker.url)
        assert status == 0, lines
        assert "not touched" in lines[f"session {NAME}"]["words"]
        assert client.is_connected() and not lost
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "INSERT INTO outbox_holds (reason, begun_at, begun_by) VALUES ('restored', now(), 'x')"
            )
        status, lines = doctor(KAIMEN_DATABASE_URL=database_url, KAIMEN_BROKER_URL=broker.url)
        assert status == 1, "nobody outside is told of anything"
        assert "kaimen outbox open" in lines["messages"]["mend"]
    finally:
        client.disconnect()
        client.loop_stop()


def test_a_worker_whose_clock_or_pulse_is_wrong_is_named(database_url: str, broker: RealBroker) -> None:
    serve(database_url, pulse=timedelta(minutes=3))
    lines = doctor(KAIMEN_DATABASE_URL=database_url, KAIMEN_BROKER_URL=broker.url)[1]
    assert lines["clock of group 0's worker"]["state"] == "wrong"
    assert lines["clock of alerts"]["state"] == "wrong"
    serve(database_url, pulse=-timedelta(minutes=3))
    lines = doctor(KAIMEN_DATABASE_URL=database_url, KAIMEN_BROKER_URL=broker.url)[1]
    assert lines["group 0 of 1"]["state"] == lines["alerts"]["state"] == "wrong"


def test_the_database_is_away_and_the_broker_is_looked_at_all_the_same(broker: RealBroker) -> None:
    url = f"postgresql://postgres@127.0.0.1:{free_port()}/kaimen"
    status, lines = doctor(KAIMEN_DATABASE_URL=url, KAIMEN_BROKER_URL=broker.url)
    assert (status, lines["database"]["state"], lines["broker"]["state"]) == (1, "wrong", "ok")


def test_a_database_of_another_version_is_named(empty_database_url: str, broker: RealBroker) -> None:
    lines = doctor(KAIMEN_DATABASE_URL=empty_database_url, KAIMEN_BROKER_URL=broker.url)[1]
    assert (lines["schema"]["state"], lines["schema"]["mend"]) == ("wrong", "run kaimen db migrate")


@pytest.mark.slow
def test_the_broker_is_away_or_is_none(database_url: str) -> None:
    serve(database_url)
    address = f"mqtt://127.0.0.1:{free_port()}"
    status, lines = doctor(KAIMEN_DATABASE_URL=database_url, KAIMEN_BROKER_URL=address)
    assert (status, lines["broker"]["state"], lines["group 0 of 1"]["state"]) == (1, "wrong", "ok")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"mqtt://127.0.0.1:{silent.getsockname()[1]}"
        lines = doctor(KAIMEN_DATABASE_URL=database_url, KAIMEN_BROKER_URL=address)[1]
    assert lines["broker"]["state"] == "wrong"
    lines = doctor(KAIMEN_DATABASE_URL=database_url, KAIMEN_BROKER_URL="broker:1883")[1]
    assert "reads mqtt://" in lines["broker"]["words"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a small disk")
def test_a_broker_that_refuses_since_its_disk_was_full_is_named_and_the_health_check_ends_it_once_there_is_room(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.doctor.broker._PATIENCE_S", 1.0)
    with small_disk(tmp_path / "disk", 64) as disk:
        monkeypatch.setattr("tempfile.tempdir", str(disk))
        with nats_server(
            more=f"pid_file: {tmp_path}/pid\nhttp: 127.0.0.1:{(port := free_port())}\n"
        ) as server:
            asked = {"KAIMEN_DATABASE_URL": database_url, "KAIMEN_BROKER_URL": server.url}
            with session_of(server.mqtt_port, NAME, subscriptions_of(0, 1)):
                assert doctor(**asked)[1]["broker's store"]["state"] == "ok"
                ballast = fill(disk)
                assert doctor(**asked)[1]["broker's store"]["state"] == "wrong"
            health = [
                "health", f"http://127.0.0.1:{port}/healthz", "--store", str(disk), "--pid-file", str(tmp_path / "pid"),
            ]  # fmt: skip
            assert CliRunner().invoke(main, health).exit_code == 1
            assert server.program.is_alive(), "on a full disk it would be where it was"
            ballast.unlink()
            assert "it was asked to end" in CliRunner().invoke(main, health).output
            wait_until(lambda: not server.program.is_alive(), "it ended")
            server.start_again()
            assert CliRunner().invoke(main, health).exit_code == 0
            assert doctor(**asked)[1]["broker's store"]["state"] == "ok"


def _inside(server: NatsServer, *, bytes_max: int = 2**30) -> dict[str, Line]:
    settings = Path(server.program.arguments[2]).read_text()
    port = int(settings.split("listen: 127.0.0.1:")[1].split()[0])
    broker = Broker("127.0.0.1", server.mqtt_port, admin=Admin(port, "", "", bytes_max))
    return {line.part: line for line in look_at_broker(broker, groups=1, serving=frozenset({0}))}


def test_the_embedded_broker_says_which_topics_a_session_hears_and_what_waits() -> None:
    with nats_server() as server:
        assert _inside(server)[f"session {NAME}"].state == "wrong"
        with session_of(server.mqtt_port, NAME, subscriptions_of(0, 1)[:-2]):
            line = _inside(server)[f"session {NAME}"]
            assert (line.state, line.words) == (
                "wrong", "does not hear kaimen.v1.*.*.*.*.state, kaimen.v1.*.*.*.*.hb",
            )  # fmt: skip
        with session_of(server.mqtt_port, NAME, subscriptions_of(0, 1)):
            publish(server.mqtt_port, "kaimen/v1/a/c/s/d/evt")
            lines = _inside(server)
            assert lines[f"session {NAME}"] == Line(
                f"session {NAME}", "ok", "hears all 4 kinds, 1 messages wait"
            )
            assert lines["broker's queues"].state == "ok"
            assert _inside(server, bytes_max=100)["broker's queues"].state == "wrong"


def test_room_clocks_and_versions_are_judged() -> None:
    gib = 2**30
    rooms = [judge_room("/", free, 1000 * gib).state for free in (500 * gib, 19 * gib, gib, gib // 10)]
    assert rooms == ["ok", "attention", "wrong", "wrong"]
    assert judge_room("/", gib, 8 * gib).state == "attention"
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert judge_clocks("c", now + timedelta(seconds=60), now).state == "ok"
    assert judge_clocks("c", now - timedelta(seconds=61), now).words == "61.0 s behind this machine's"
    assert [judge_schema(version, 5).state for version in (4, 5, 6)] == ["wrong", "ok", "wrong"]


@pytest.mark.slow
def test_an_installation_is_well_and_after_its_end_nothing_answers(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KAIMEN_")}
    with (tmp_path / "out").open("wb") as out:
        up = subprocess.Popen(
            [sys.executable, "-m", "console.cli", "up", "--dir", folder, "--port", "0", "--mqtt-port", "0"],
            cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        wait_until(lambda: b"Kaimen is at" in (tmp_path / "out").read_bytes(), "it is up", within_s=240)
        wait_until(lambda: doctor("--dir", str(folder))[0] == 0, "it is well", within_s=60, poll_s=0.5)
        lines = doctor("--dir", str(folder))[1]
        assert {part: line["state"] for part, line in lines.items() if line["state"] != "ok"} == {
            "channels": "attention"
        }
        assert lines[f"session {NAME}"]["words"].startswith("hears all 4 kinds")
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(90)
    status, lines = doctor("--dir", str(folder))
    assert (status, lines["database"]["state"], lines["broker"]["state"]) == (1, "wrong", "wrong")
    assert doctor_refuses(str(tmp_path))


def doctor_refuses(folder: str) -> bool:
    result = CliRunner().invoke(main, ["doctor", "--dir", folder])
    return result.exit_code == 1 and "is no directory of kaimen up" in result.output
