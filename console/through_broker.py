"""Recordings enter a whole running stack as sensor frames; what its database holds in the end leaves.

Every process is the real one: frames go to the broker, the edge translates and spools them, ingest admits, judges
and stores, alerts opens and closes cases. Time is lockstep: the shared clock stands still until ingest and alerts
have done everything that was owed by then, so that a month takes a minute and a killed process changes nothing.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion
from tqdm import tqdm

from console.stack.folder import StackFolder, read_json, write_json
from console.stack.nats import open_nats
from console.stack.postgres import open_postgres
from console.stack.services import Stack, free_port
from console.stack.supervisor import StopAskedError, Supervisor
from ingest.recording import Recording, replay_recordings
from ingest.recording_file import RecordingError
from kaimen.clock import RECHECK_S, as_datetime, as_ms, set_clock
from kaimen.database import Connection, connect
from kaimen.logs import get_logger, set_up_logs
from kaimen.policy import HOUR_MS
from kaimen.schema import migrate

#: A sensor that is not touched checks in this often; it may be silent three times as long.
CHECK_IN_MS = 4 * HOUR_MS
SUPERVISION_S = 3 * CHECK_IN_MS // 1000
SECOND_MS = 1000
#: Wall seconds within which a step must be through the stack, a killed process' restart included.
STEP_WITHIN_S = 120.0
SAY_AGAIN_AFTER_S = 1.0
SITE = "replay"
SERVICES = ("edge", "ingest", "alerts", "console", "nats", "postgres")
STAGES = ("warning", "call", "visit")

log = get_logger()


@dataclass(frozen=True, slots=True)
class Frame:
    """One report of one sensor: its state at an instant; ``edge`` where the state changed."""

    sensor_id: str
    at_ms: int
    is_open: bool
    edge: bool


@dataclass(frozen=True, slots=True)
class Home:
    """One recording, moved so that it begins with the others."""

    number: int
    recording: Recording
    shift_ms: int

    @property
    def household_id(self) -> str:
        return f"replay-{self.number}"

    @property
    def last_ms(self) -> int:
        return self.recording.last_ms + self.shift_ms

    def sensor_ids(self) -> dict[str, str]:
        names = sorted({sensor for _, sensor, _ in self.recording.front_states}) or ["front"]
        return {name: f"replay-{self.number}-{index}" for index, name in enumerate(names, start=1)}


@dataclass(slots=True)
class Step:
    """An instant and what the sensors say at it."""

    at_ms: int
    frames: list[Frame] = field(default_factory=list)

    @property
    def opens(self) -> bool:
        return any(frame.edge and frame.is_open for frame in self.frames)

    @property
    def edges(self) -> int:
        return sum(1 for frame in self.frames if frame.edge)


def frames_of(home: Home) -> Iterator[Frame]:
    """Yield a home's frames: closed at the beginning, every change, and check-ins on a common grid, to the last row."""
    first_ms = home.recording.first_ms + home.shift_ms
    for sensor, sensor_id in home.sensor_ids().items():
        changes = [
            (at + home.shift_ms, state) for at, name, state in home.recording.front_states if name == sensor
        ]
        is_open, grid_ms = False, first_ms
        for at, wanted in [*changes, (home.last_ms, None)]:
            while grid_ms < at:
                yield Frame(sensor_id, grid_ms, is_open, False)
                grid_ms += CHECK_IN_MS
            new = is_open if wanted is None else wanted
            yield Frame(sensor_id, at, new, new != is_open)
            is_open = new


def steps_of(homes: Sequence[Home]) -> list[Step]:
    """Return all frames of all homes as ascending steps; a closing travels with the next step, as a slow frame may."""
    by_instant: dict[int, list[Frame]] = {}
    for home in homes:
        for frame in frames_of(home):
            by_instant.setdefault(frame.at_ms, []).append(frame)
    steps: list[Step] = []
    carried: list[Frame] = []
    last = max(by_instant)
    ends = {home.last_ms for home in homes}
    for at in sorted(by_instant):
        carried += by_instant[at]
        waits = any(not frame.edge or frame.is_open for frame in by_instant[at])
        if waits or at in ends or at == last:
            steps.append(Step(at, carried))
            carried = []
    return steps


class StepError(RuntimeError):
    """The stack did not do in time what a step owed; the text says what is missing."""


class Driver:
    """Walks the steps: moves the clock, publishes, and waits for what must have happened."""

    def __init__(
        self, stack: Stack, homes: Sequence[Home], steps: Sequence[Step], kills: Sequence[str]
    ) -> None:
        self._stack = stack
        self._steps = steps
        self._homes = homes
        self._kills = dict(zip(_kill_points(steps, len(kills)), kills, strict=False))
        self._connection: Connection | None = None
        self._answered = threading.Semaphore(0)
        self.sent = 0
        self.edges = 0
        self.killed: list[str] = []

    def run(self, *, quiet: bool) -> None:
        client = self._connect_broker()
        try:
            reached = 0
            for index, step in enumerate(tqdm(self._steps, unit=" steps", disable=quiet, leave=False)):
                if step.opens:
                    self._move_clock(max(step.at_ms - SECOND_MS, reached))
                reached = _second_after(step.at_ms) + SECOND_MS
                # Received between two pulses, so that the next one, and no earlier, sees all of it in every run.
                self._set_clock(_second_after(step.at_ms) + SECOND_MS // 2)
                self._publish(client, step.frames)
                self.edges += step.edges
                if index in self._kills:
                    self._kill(self._kills[index])
                self._wait_for(step.at_ms, client, step)
                self._let_go(step.at_ms)
                if step.edges:
                    self._move_clock(_second_after(step.at_ms) + SECOND_MS)
        finally:
            client.loop_stop()
            client.disconnect()
            if self._connection is not None:
                self._connection.close()

    # -- frames -----------------------------------------------------------------------------------------------

    def _connect_broker(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="replay", clean_session=False, protocol=mqtt.MQTTv311
        )
        client.username_pw_set("street", self._stack.secrets["broker_street"])
        client.reconnect_delay_set(1, 2)
        client.on_publish = lambda *_: self._answered.release()
        client.connect("127.0.0.1", self._stack.nats.mqtt_port, keepalive=30)
        client.loop_start()
        return client

    def _publish(self, client: mqtt.Client, frames: Sequence[Frame]) -> None:
        for frame in frames:
            told = {
                "contact": not frame.is_open,
                "last_seen": as_datetime(frame.at_ms)
                .isoformat(timespec="milliseconds")
                .replace("+00:00", "Z"),
                "linkquality": 100,
            }
            client.publish(f"zigbee2mqtt/{frame.sensor_id}", json.dumps(told), qos=1)
        for _ in frames:
            if not self._answered.acquire(timeout=STEP_WITHIN_S):
                raise StepError("the broker did not answer for a frame")
        self.sent += len(frames)

    def _kill(self, service: str) -> None:
        mark = read_json(self._stack.folder.run / f"{service}.json")
        if mark is None:
            raise StepError(f"there is no process {service} to kill")
        os.kill(mark["pid"], signal.SIGKILL)
        self.killed.append(service)

    # -- waiting ----------------------------------------------------------------------------------------------

    def _set_clock(self, at_ms: int) -> None:
        set_clock(self._stack.folder.clock, speed=0, now_ms=at_ms)
        time.sleep(RECHECK_S)  # the edge dates a check-in by its own clock

    def _move_clock(self, at_ms: int) -> None:
        self._set_clock(at_ms)
        self._wait_for(at_ms)

    def _let_go(self, at_ms: int) -> None:
        """Stop watching the homes whose recording ends here: what nobody recorded is not inactivity."""
        for home in self._homes:
            if home.last_ms == at_ms:
                self._connected().execute(
                    "UPDATE consents SET withdrawn_at = %s WHERE household_id = %s",
                    (as_datetime(at_ms), home.household_id),
                )

    def _wait_for(self, at_ms: int, client: mqtt.Client | None = None, step: Step | None = None) -> None:
        """Wait until what was sent is in the database, and ingest and alerts have done all that was due by then.

        A check-in travels at QoS 0 and may be lost with a killed process; it is said again, as a sensor would.
        """
        deadline = time.monotonic() + STEP_WITHIN_S
        said_at = time.monotonic()
        missing = "nothing was read yet"
        while time.monotonic() < deadline:
            try:
                silent = self._silent(step)
                missing = self._missing(at_ms, silent)
            except psycopg.Error as error:
                self._connection, silent = None, []
                missing = f"the database is away ({type(error).__name__})"
                time.sleep(0.2)
            if not missing:
                return
            if client is not None and silent and time.monotonic() - said_at > SAY_AGAIN_AFTER_S:
                self._publish(client, silent)
                said_at = time.monotonic()
            time.sleep(0.01)
        raise StepError(f"at {as_datetime(at_ms):%d %H:%M:%S} of the replay: {missing}")

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._stack.postgres.url, service="replay", autocommit=True)
        return self._connection

    def _silent(self, step: Step | None) -> list[Frame]:
        """Return the step's check-ins that are not in the database."""
        waiting = [frame for frame in step.frames if not frame.edge] if step is not None else []
        if not waiting:
            return []
        rows = self._connected().execute(
            "SELECT d.id, max(p.last_ts_ms) AS heard_ms FROM coverage_points p JOIN devices d ON d.no = p.device_no"
            " GROUP BY d.id"
        )
        heard = {row["id"]: row["heard_ms"] for row in rows}
        return [frame for frame in waiting if heard.get(frame.sensor_id, 0) < frame.at_ms]

    def _missing(self, at_ms: int, silent: Sequence[Frame]) -> str:
        stored = count_edges(self._connected())
        if stored < self.edges:
            return f"{self.edges - stored} of {self.edges} edges are not stored"
        if silent:
            return f"{len(silent)} check-ins are not stored"
        wanted = at_ms // SECOND_MS * SECOND_MS
        rows = self._connected().execute("SELECT service, at FROM service_progress").fetchall()
        reached = {row["service"]: as_ms(row["at"]) for row in rows}
        behind = [name for name in ("ingest", "alerts") if reached.get(name, 0) < wanted]
        return f"{' and '.join(behind)} did not get there" if behind else ""


def _second_after(at_ms: int) -> int:
    return -(-at_ms // SECOND_MS) * SECOND_MS


def _kill_points(steps: Sequence[Step], count: int) -> list[int]:
    """Return steps at which a door opens, spread over the replay: there is most to lose."""
    opening = [index for index, step in enumerate(steps) if step.opens]
    if count and len(opening) <= count:
        raise RecordingError("the recordings have too few openings to kill that many processes on the way")
    return [opening[(number + 1) * len(opening) // (count + 1)] for number in range(count)]


def count_edges(connection: Connection) -> int:
    """Return how many door edges the database holds."""
    row = connection.execute(
        "SELECT count(*) AS stored FROM door_events WHERE type = 'DoorPhysicalState'"
    ).fetchone()
    assert row is not None
    return int(row["stored"])


# -- the stack ------------------------------------------------------------------------------------------------


def _open_stack(root: Path, start_ms: int) -> Stack:
    folder = StackFolder(root)
    folder.prepare()
    folder.claim_kind("demo")
    secrets = folder.load_secrets()
    set_clock(folder.clock, speed=0, now_ms=start_ms)
    port = free_port()
    return Stack(
        folder=folder,
        secrets=secrets,
        postgres=open_postgres(folder, secrets, free_port()),
        nats=open_nats(folder, secrets, mqtt_port=free_port(), client_port=free_port(), site_id=SITE),
        demo=True,
        site_id=SITE,
        host="127.0.0.1",
        port=port,
        public_url=f"http://127.0.0.1:{port}",
        metrics_ports={name: free_port() for name in ("edge", "ingest", "alerts", "console")},
    )


def _write_registry(stack: Stack, homes: Sequence[Home], start_ms: int) -> None:
    """Register the homes and their sensors, each home with consent to be watched from its first row."""
    start = as_datetime(start_ms)
    with connect(stack.postgres.url, service="replay") as connection:
        connection.execute("INSERT INTO installation (kind, created_at) VALUES ('demo', %s)", (start,))
        connection.execute("INSERT INTO communities (id, name) VALUES (%s, %s)", (SITE, "Replay"))
        connection.execute(
            "INSERT INTO sites (id, community_id, name) VALUES (%s, %s, %s)", (SITE, SITE, "Replay")
        )
        for home in homes:
            label = f"1-1-{home.number:03d}"
            connection.execute(
                "INSERT INTO households (id, site_id, label, building, unit, floor, room, watched_from)"
                " VALUES (%s, %s, %s, '1', '1', 1, %s, %s)",
                (home.household_id, SITE, label, f"{home.number:03d}", start),
            )
            connection.execute(
                "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES (%s, 'watch', 'replay', %s)",
                (home.household_id, start),
            )
            for device_id in home.sensor_ids().values():
                connection.execute(
                    "INSERT INTO devices (id, site_id, kind, heartbeat_s, supervision_s, registered_at)"
                    " VALUES (%s, %s, 'contact', %s, %s, %s)",
                    (device_id, SITE, CHECK_IN_MS // 1000, SUPERVISION_S, start),
                )
                connection.execute(
                    "INSERT INTO household_doors (household_id, device_id, role) VALUES (%s, %s, 'dwelling')",
                    (home.household_id, device_id),
                )
    table = [
        {"source": f"zigbee2mqtt/{device_id}", "dialect": "zigbee2mqtt", "site": SITE, "device": device_id}
        for home in homes
        for device_id in home.sensor_ids().values()
    ]
    write_json(stack.folder.edge_devices, table)


def _run_stack(
    stack: Stack, homes: Sequence[Home], start_ms: int, driver: Driver, *, quiet: bool
) -> dict[str, Any]:
    """Start everything, drive the replay, read what came of it, stop everything."""
    supervisor = Supervisor(stack.folder.run, stack.folder.logs, quiet=True)
    failure: list[BaseException] = []

    def drive() -> None:
        try:
            driver.run(quiet=quiet)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that asked
            failure.append(error)
        finally:
            supervisor.ask_to_stop()

    supervisor.listen_to_signals()
    try:
        supervisor.start(stack.postgres_program(), stack.nats_program())
        stack.postgres.ensure_database()
        migrate(stack.postgres.url)
        _write_registry(stack, homes, start_ms)
        stack.nats.provision_sessions()
        # Check-ins are written at once, so that a step can see that they came.
        ingest = stack.ingest_program()
        ingest = replace(ingest, environment={**ingest.environment, "KAIMEN_INGEST_COVERAGE_FLUSH_S": "0"})
        supervisor.start(stack.edge_program(), ingest, stack.alerts_program(), stack.console_program())
        thread = threading.Thread(target=drive, name="replay", daemon=True)
        thread.start()
        supervisor.watch()
        thread.join(0.5)
        if failure:
            raise failure[0]
        if thread.is_alive():
            raise StopAskedError
        return _read_out(stack, homes)
    finally:
        supervisor.stop()


def _read_out(stack: Stack, homes: Sequence[Home]) -> dict[str, Any]:
    """Read what the stack made of it, in times of the replay."""
    with connect(stack.postgres.url, service="replay") as connection:
        crossings = connection.execute(
            "SELECT household_id, stage, at, evidence_at FROM stage_crossings ORDER BY at, household_id, stage"
        ).fetchall()
        cases = connection.execute(
            "SELECT number, household_id, stage, check_step, state, outcome, opened_at, closed_at FROM cases"
            " WHERE cause = 'inactivity' ORDER BY opened_at, household_id"
        ).fetchall()
        deliveries = connection.execute(
            "SELECT c.number, o.step, o.person, o.channel, o.repetition, o.state, count(d.attempt) AS attempts"
            " FROM outbox o JOIN cases c ON c.id = o.case_id LEFT JOIN deliveries d ON d.outbox_id = o.id"
            " WHERE c.cause = 'inactivity' GROUP BY c.number, o.id ORDER BY c.number, o.id"
        ).fetchall()
        stored = count_edges(connection)
    last_ms = {home.household_id: home.last_ms for home in homes}
    return {
        "edges_stored": stored,
        "crossings": [
            {"household": row["household_id"], "stage": row["stage"], "at": as_ms(row["at"])}
            for row in crossings
            if as_ms(row["at"]) <= last_ms[row["household_id"]]
        ],
        "cases": [_plain(row) for row in cases],
        "deliveries": [_plain(row) for row in deliveries],
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: as_ms(value) if hasattr(value, "tzinfo") else value for key, value in row.items()}


def replay_through_broker(
    recordings: Sequence[Recording],
    *,
    kills: Sequence[str] = (),
    quiet: bool = False,
    root: Path | None = None,
) -> dict[str, Any]:
    """Send recordings through a whole stack of their own and return the ``replay`` report from its database.

    ``kills`` names services that get SIGKILL on the way, in order, each in the middle of an opening.

    Raises
    ------
    RecordingError
        If a service to kill does not exist, or there are too few openings to kill at.
    StepError
        If the stack did not do what a step owed within ``STEP_WITHIN_S`` wall seconds.
    """
    unknown = [name for name in kills if name not in SERVICES]
    if unknown:
        raise RecordingError(f"no service is called {unknown[0]}; there are {', '.join(SERVICES)}")
    set_up_logs("replay", level="ERROR", form="text")
    start_ms = as_ms(
        as_datetime(time.time_ns() // 1_000_000).replace(hour=0, minute=0, second=0, microsecond=0)
    )
    homes = [
        Home(number, recording, start_ms - recording.first_ms)
        for number, recording in enumerate(recordings, start=1)
    ]
    steps = steps_of(homes)
    with tempfile.TemporaryDirectory(prefix="kaimen-replay-") as made:
        stack = _open_stack(root or Path(made) / "stack", start_ms)
        driver = Driver(stack, homes, steps, kills)
        found = _run_stack(stack, homes, start_ms, driver, quiet=quiet)
    return _report(homes, driver, found)


def _report(homes: Sequence[Home], driver: Driver, found: dict[str, Any]) -> dict[str, Any]:
    report = replay_recordings([home.recording for home in homes])
    for home, row in zip(homes, report["homes"], strict=True):
        mine = [item["stage"] for item in found["crossings"] if item["household"] == home.household_id]
        row["crossings"] = {name: mine.count(stage) for stage, name in enumerate(STAGES, start=1)}
        row["heard"] = f"through the broker, checking in every {CHECK_IN_MS // HOUR_MS} hours"
        row["crossings_at"] = [
            {"stage": item["stage"], "at": item["at"] - home.shift_ms}
            for item in found["crossings"]
            if item["household"] == home.household_id
        ]
    report["through_broker"] = {
        "frames_sent": driver.sent,
        "edges_sent": driver.edges,
        "edges_stored": found["edges_stored"],
        "killed": driver.killed,
        "cases": found["cases"],
        "deliveries": found["deliveries"],
    }
    return report
