"""A registered street, devices that speak the wire protocol, and an ingest worker, for the tests of ingest."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion
from psycopg.rows import dict_row

from ingest.__main__ import Worker
from kaimen import wire
from kaimen.clock import as_datetime, set_clock
from kaimen.settings import IngestSettings
from tests.fix_clock import STORY_BEGINS_MS
from tests.fix_servers import Program, free_port, nats_program, temporary_folder, wait_until

SITE = "west-gate"
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
BEGIN_MS = STORY_BEGINS_MS


def lay_out(
    url: str, *, homes: int = 1, site: str = SITE, watched_from_ms: int = BEGIN_MS, gateway: bool = False
) -> None:
    """Register ``homes`` households ``h-1`` … with a door ``door-1`` … each."""
    with psycopg.connect(url) as connection:
        run = connection.execute
        run("INSERT INTO communities (id, name) VALUES ('c-1', 'West') ON CONFLICT DO NOTHING")
        run("INSERT INTO sites (id, community_id, name) VALUES (%s, 'c-1', 'Gate')", (site,))
        at = as_datetime(watched_from_ms)
        if gateway:
            run(
                "INSERT INTO devices (id, site_id, kind, registered_at) VALUES (%s, %s, 'gateway', %s)",
                (f"gateway-{site}", site, at),
            )
        for number in range(1, homes + 1):
            household, device = household_id(number, site), device_id(number, site)
            run(
                "INSERT INTO devices (id, site_id, kind, gateway_id, registered_at)"
                " VALUES (%s, %s, 'controller', %s, %s)",
                (device, site, f"gateway-{site}" if gateway else None, at),
            )
            run(
                "INSERT INTO households (id, site_id, label, building, unit, floor, room, watched_from)"
                " VALUES (%s, %s, %s, '1', '1', 1, %s, %s)",
                (household, site, household, str(number), at),
            )
            run(
                "INSERT INTO household_doors (household_id, device_id, role) VALUES (%s, %s, 'dwelling')",
                (household, device),
            )
            run(
                "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES (%s, 'watch', 'she', %s)",
                (household, at),
            )


def household_id(number: int, site: str = SITE) -> str:
    return f"h-{number}" if site == SITE else f"h-{site}-{number}"


def device_id(number: int, site: str = SITE) -> str:
    return f"door-{number}" if site == SITE else f"door-{site}-{number}"


@dataclass
class Door:
    """A door controller: gives its messages as (topic, payload)."""

    device: str = "door-1"
    site: str = SITE
    boot: str = "9f2c41d07be3a856"
    booted_ms: int = BEGIN_MS
    seq: int = 0
    opens: int = 0

    def topic(self, channel: str) -> str:
        return wire.format_topic(self.site, self.device, channel)

    def event(self, at_ms: int, **fields: Any) -> wire.Event:
        self.seq += 1
        given: dict[str, Any] = {"type": "DoorPhysicalState", "state": "Open", **fields}
        if given["type"] == "DoorPhysicalState" and given["state"] == "Open":
            self.opens += 1
        return wire.Event(
            v=1, boot=self.boot, seq=self.seq, ts=at_ms, up=at_ms - self.booted_ms, clk="ntp", opens=self.opens,
            **given,
        )  # fmt: skip

    def opening(self, at_ms: int, **fields: Any) -> tuple[str, bytes]:
        return self.topic("evt"), wire.format_event(self.event(at_ms, **fields))

    def heartbeat(self, at_ms: int, **fields: Any) -> tuple[str, bytes]:
        beat = wire.Heartbeat(
            v=1, boot=self.boot, ts=at_ms, up=at_ms - self.booted_ms, clk="ntp", seq_last=self.seq,
            opens=self.opens, **fields,
        )  # fmt: skip
        return self.topic("hb"), wire.format_heartbeat(beat)


class Publisher:
    """Publishes and knows, over any number of connections, what the broker has answered for."""

    def __init__(self, broker_url: str) -> None:
        address = urlsplit(broker_url)
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"street-{os.urandom(4).hex()}", clean_session=False
        )
        self._answered: set[int] = set()
        # Not by ``wait_for_publish``: it raises for what is queued while disconnected, and delivered later.
        self._client.on_publish = lambda _client, _data, packet_id, *_rest: self._answered.add(packet_id)
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(1, 1)
        if address.username:
            self._client.username_pw_set(address.username, address.password)
        self._client.connect(address.hostname or "", address.port or 1883)
        self._client.loop_start()
        wait_until(self._client.is_connected, "the street is connected")

    def send(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish and wait for the broker's answer."""
        packet_id = self._client.publish(topic, payload, qos=qos, retain=retain).mid
        wait_until(lambda: packet_id in self._answered, "the broker answers", poll_s=0.001)
        self._answered.discard(packet_id)

    def send_all(self, messages: list[tuple[str, bytes]]) -> None:
        """Publish many at once and wait for all answers."""
        packet_ids = {self._client.publish(topic, payload, qos=1).mid for topic, payload in messages}
        wait_until(lambda: packet_ids <= self._answered, "the broker answers for all")
        self._answered -= packet_ids

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.contextmanager
def publishing(broker_url: str) -> Iterator[Publisher]:
    publisher = Publisher(broker_url)
    try:
        yield publisher
    finally:
        publisher.close()


def rows(url: str, statement: str, values: tuple[Any, ...] | dict[str, Any] = ()) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row, autocommit=True) as connection:
        return connection.execute(statement, values).fetchall()  # type: ignore[arg-type]


def count(url: str, table: str, condition: str = "true") -> int:
    return int(rows(url, f"SELECT count(*) AS n FROM {table} WHERE {condition}")[0]["n"])


def facts(url: str) -> dict[str, list[dict[str, Any]]]:
    """Everything ingest told alerts, without row ids."""
    return {
        "crossings": rows(
            url,
            "SELECT c.household_id, c.stage, c.at, c.announced_at, c.evidence_at, c.evidence, c.inactive_ms,"
            " w.withdrawn_at, w.evidence_at AS withdrawn_by, w.late FROM stage_crossings c"
            " LEFT JOIN crossing_withdrawals w ON w.crossing_id = c.id ORDER BY 4, 1, 2",
        ),
        "checks": rows(
            url,
            "SELECT c.household_id, c.step, c.at, c.noticed_at, c.evidence_at, c.inactive_ms, e.ended_at"
            " FROM checks_due c LEFT JOIN check_ends e ON e.check_id = c.id ORDER BY 4, 1, 2",
        ),
        "outages": rows(
            url,
            "SELECT o.device_id, o.began_at, o.heard_at, e.ended_at FROM outages o"
            " LEFT JOIN outage_ends e ON e.outage_id = o.id ORDER BY 2, 1",
        ),
        "happenings": rows(
            url,
            # Whose fault an outage is depends on whether we were deaf ourselves; that it was one does not.
            "SELECT kind, household_id, at FROM happenings WHERE kind <> 'outage_moved'"
            " ORDER BY at, kind, household_id",
        ),
    }


@dataclass
class Street:
    """A worker in this process on a clock that stands until it is moved."""

    database_url: str
    broker_url: str
    clock_path: Path
    settings: dict[str, Any] = field(default_factory=dict)
    worker: Worker | None = None
    _thread: threading.Thread | None = None

    @property
    def now_ms(self) -> int:
        return set_clock(self.clock_path, speed=0)

    def ingest_settings(self, **changes: Any) -> IngestSettings:
        given = {
            "database_url": self.database_url,
            "broker_url": self.broker_url,
            "clock": f"file:{self.clock_path}",
            "ingest_lease_s": 2,
            "ingest_redelivery_s": 0,
            **self.settings,
            **changes,
        }
        return IngestSettings(**given)

    def start(self, **changes: Any) -> Worker:
        """Start a worker in this process and wait until it listens."""
        self.worker = Worker(self.ingest_settings(**changes))
        self._thread = threading.Thread(target=self.worker.run, name="worker")
        self._thread.start()
        self.wait_until_listening()
        return self.worker

    def wait_until_listening(self) -> None:
        worker = self.worker
        assert worker is not None

        def listens() -> bool:
            if worker.failed is not None:
                raise worker.failed
            return worker.health() == (True, "listening")

        wait_until(listens, "ingest listens", within_s=60)

    def stop(self) -> None:
        """Stop the worker cleanly."""
        if self.worker is not None and self._thread is not None:
            self.worker.stop.set()
            self._thread.join(30)
            assert not self._thread.is_alive(), "the worker does not stop"
            failed, self.worker = self.worker.failed, None
            if failed is not None:
                raise failed

    def move_clock(self, to_ms: int, *, wait: bool = True) -> None:
        """Let community time jump forward, and wait until ingest has done its work up to there."""
        set_clock(self.clock_path, speed=0, now_ms=to_ms)
        if wait:
            self.wait_for_progress(to_ms)

    def wait_for_progress(self, to_ms: int) -> None:
        at = as_datetime(to_ms)
        wait_until(
            lambda: count(self.database_url, "service_progress", f"service = 'ingest' AND at >= '{at}'") == 1,
            f"ingest has done its work up to {at}",
            within_s=30,
            poll_s=0.01,
        )

    def wait_for(self, table: str, number: int, condition: str = "true") -> None:
        wait_until(
            lambda: count(self.database_url, table, condition) >= number,
            f"{number} rows in {table} where {condition}",
            within_s=60,
        )


@contextlib.contextmanager
def street(database_url: str, broker_url: str, folder: Path, **settings: Any) -> Iterator[Street]:
    """A clock that stands at the story's begin; the worker is started by the test and stopped at the end."""
    clock_path = folder / "clock.json"
    set_clock(clock_path, speed=0, now_ms=BEGIN_MS)
    made = Street(database_url, broker_url, clock_path, settings)
    try:
        yield made
    finally:
        made.stop()


@contextlib.contextmanager
def ingest_process(made: Street, folder: Path, **environment: str) -> Iterator[Program]:
    """A worker in a process of its own, that a test may kill."""
    settings = {
        "KAIMEN_DATABASE_URL": made.database_url,
        "KAIMEN_BROKER_URL": made.broker_url,
        "KAIMEN_CLOCK": f"file:{made.clock_path}",
        "KAIMEN_INGEST_LEASE_S": "2",
        "KAIMEN_INGEST_REDELIVERY_S": "0",
        "KAIMEN_LOG_FORMAT": "text",
        **environment,
    }
    program = Program(
        "ingest",
        [sys.executable, "-m", "ingest"],
        folder / f"ingest-{time.monotonic_ns()}.log",
        environment={**os.environ, **settings},
        working_folder=Path(__file__).parents[2],
    )
    program.start()
    try:
        yield program
    finally:
        if program.is_alive():
            program.stop()


@contextlib.contextmanager
def roomy_broker() -> Iterator[str]:
    """A NATS server that takes 16 MB, as the stack configures it; its default closes the connection at 1 MB."""
    with temporary_folder("nats") as folder:
        port = free_port()
        settings = folder / "nats.conf"
        settings.write_text(
            f"server_name: kaimen-roomy\nlisten: 127.0.0.1:{free_port()}\nmax_payload: 16MB\n"
            f'jetstream {{ store_dir: "{folder}/jetstream", max_file_store: 1GB }}\n'
            f'mqtt {{ listen: "127.0.0.1:{port}", ack_wait: "5s", max_ack_pending: 10000 }}\n'
        )
        program = Program("nats-server", [nats_program(), "-c", str(settings)], folder / "nats.log")
        program.start()
        try:
            url = f"mqtt://127.0.0.1:{port}"

            def ready() -> bool:
                try:
                    Publisher(url).close()
                except OSError:
                    return False
                return True

            program.wait_until(ready)
            yield url
        finally:
            program.stop()
