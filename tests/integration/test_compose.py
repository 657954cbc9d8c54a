"""What docker-compose.yml would start, started without containers: every service's own command, environment,
files and health check, with host names mapped to loopback ports and volumes to temporary folders.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import urlopen

import pytest

from kaimen.rights import ROLES
from tests.compose_file import REPOSITORY, load_compose, read_environment_file
from tests.fix_database import DatabaseServer
from tests.fix_servers import Program, free_port, postgres_programs, temporary_folder, wait_until

PROGRAMS = Path(sys.executable).parent
#: Given from outside in the compose file too: the database's image is not ours to start here.
NOT_OURS = ("database", "prometheus", "phone")  # the telephone has tests of its own, and a profile
BROKER_NODES = ("broker", "broker-2", "broker-3")
HEALTHY_WITHIN_S = 90.0


@dataclass
class Deployment:
    """The compose file on loopback: service by service, in the order their conditions ask for."""

    compose: dict[str, Any]
    folder: Path
    database_url: str
    admin_url: str
    programs: dict[str, Program] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def port(self, name: str) -> int:
        return self.ports.setdefault(name, free_port())

    def substitutions(self, name: str) -> dict[str, str]:
        """What stands for itself inside the container, and where that is out here."""
        service = self.compose["services"][name]
        home = self.folder / name
        parts = urlsplit(self.database_url)
        mapped = {
            "postgresql://kaimen@database:5432/kaimen": self.database_url,
            "postgresql://postgres@database:5432/postgres": self.admin_url,
            **{
                f"postgresql://{role}@database:5432/kaimen": urlunsplit(
                    parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}")
                )
                for role in ROLES
            },
            "0.0.0.0:8883": f"127.0.0.1:{self.port(name)}",
            "0.0.0.0:6222": f"127.0.0.1:{self.port(f'{name} routes')}",
            **{f"{node}:8883": f"127.0.0.1:{self.port(node)}" for node in BROKER_NODES},
            **{f"{node}:6222": f"127.0.0.1:{self.port(f'{node} routes')}" for node in BROKER_NODES},
            "127.0.0.1:8222": f"127.0.0.1:{self.port(f'{name} health')}",
            "127.0.0.1:9100": f"127.0.0.1:{self.port(f'{name} metrics')}",
            "127.0.0.1:4222": f"127.0.0.1:{self.port(f'{name} native')}",
            "/var/lib/kaimen": str(home / "data"),
            "/tmp/nats.pid": str(home / "nats.pid"),
        }
        for kind in ("configs", "secrets"):
            for item in service.get(kind, []):
                source = item if isinstance(item, str) else item["source"]
                target = f"/run/secrets/{source}" if isinstance(item, str) else item["target"]
                mapped[target] = str(home / Path(target).name)
        return mapped

    def translate(self, name: str, text: str) -> str:
        for inside, outside in self.substitutions(name).items():
            text = text.replace(inside, outside)
        return text

    def environment(self, name: str) -> dict[str, str]:
        """Exactly what the file gives the service, and nothing of the machine's but the path of programs."""
        given = self.compose["services"][name].get("environment", {})
        environment = {key: self.translate(name, str(value)) for key, value in given.items()}
        for key in ("KAIMEN_METRICS_HOST", "KAIMEN_CONSOLE_HOST"):
            if key in environment:
                environment[key] = "127.0.0.1"
        if environment.get("KAIMEN_METRICS_PORT", "0") != "0":
            environment["KAIMEN_METRICS_PORT"] = str(self.port(f"{name} metrics"))
        if "KAIMEN_CONSOLE_PORT" in environment:
            environment["KAIMEN_CONSOLE_PORT"] = str(self.port("console"))
        return environment | {
            "PATH": f"{PROGRAMS}:/usr/bin:/bin",
            "NUMBA_CACHE_DIR": str(self.folder / "numba"),
        }

    def put_files(self, name: str) -> None:
        """Mount configs and secrets: copies, with the container's addresses translated."""
        (self.folder / name / "data").mkdir(parents=True, exist_ok=True)
        service = self.compose["services"][name]
        for kind in ("configs", "secrets"):
            for item in service.get(kind, []):
                source = item if isinstance(item, str) else item["source"]
                target = f"/run/secrets/{source}" if isinstance(item, str) else item["target"]
                content = Path(self.compose[kind][source]["file"]).read_text(encoding="utf-8")
                mounted = Path(self.substitutions(name)[target])
                mounted.unlink(missing_ok=True)
                mounted.write_text(self.translate(name, content), encoding="utf-8")
                mounted.chmod(0o444)

    def command(self, name: str, words: list[str]) -> list[str]:
        return [self.translate(name, word) for word in words]

    def start(self, name: str) -> None:
        self.put_files(name)
        program = Program(
            name,
            self.command(name, self.compose["services"][name]["command"]),
            self.folder / name / "output.log",
            environment=self.environment(name),
            working_folder=self.folder / name / "data",
        )
        program.start()
        self.programs[name] = program

    def is_healthy(self, name: str) -> bool:
        """Run the service's own health check, within its own time."""
        check = self.compose["services"][name]["healthcheck"]
        kind, *words = check["test"]
        assert kind == "CMD"
        try:
            answered = subprocess.run(
                self.command(name, words),
                env=self.environment(name),
                cwd=self.folder / name / "data",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=float(check["timeout"].removesuffix("s")),
            )
        except subprocess.TimeoutExpired:
            return False
        return answered.returncode == 0

    def wait_for_condition(self, name: str, condition: str) -> None:
        program = self.programs[name]
        if condition == "service_healthy":
            program.wait_until(lambda: self.is_healthy(name), within_s=HEALTHY_WITHIN_S)
            return
        assert condition == "service_completed_successfully"
        wait_until(lambda: not program.is_alive(), f"{name} has done its work")
        assert program.process is not None and program.process.returncode == 0, program.last_words()

    def start_all(self, profiles: Sequence[str] = ()) -> None:
        waiting = [
            name
            for name, service in self.compose["services"].items()
            if name not in NOT_OURS and set(service.get("profiles", profiles)) <= set(profiles)
        ]
        while waiting:
            ready = [name for name in waiting if not self.needs(name) & set(waiting)]
            assert ready, f"these wait for each other: {waiting}"
            for name in ready:
                for other in sorted(self.needs(name)):
                    self.wait_for_condition(
                        other, self.compose["services"][name]["depends_on"][other]["condition"]
                    )
                self.start(name)
                waiting.remove(name)

    def needs(self, name: str) -> set[str]:
        return set(self.compose["services"][name].get("depends_on", {})) - set(NOT_OURS)

    def watched(self) -> list[str]:
        return [name for name in self.programs if "healthcheck" in self.compose["services"][name]]

    def stop_all(self) -> dict[str, int]:
        """Stop in reverse order, as the compose tool does; return exit statuses."""
        statuses = {}
        for name in reversed(list(self.programs)):
            grace = float(self.compose["services"][name]["stop_grace_period"].removesuffix("s"))
            statuses[name] = self.programs[name].stop(within_s=grace)
        return statuses


def _prepare(folder: Path, *options: str) -> Mapping[str, str]:
    """Make keys and passwords as an operator does; return what ``.env`` then says."""
    environment_path = folder / "environment"
    subprocess.run(
        [REPOSITORY / "deploy" / "prepare", *options, "localhost"],
        env={
            "PATH": "/usr/bin:/bin",
            "KAIMEN_PRIVATE": str(folder / "private"),
            "KAIMEN_ENV_FILE": str(environment_path),
        },
        check=True,
        capture_output=True,
    )
    return read_environment_file(environment_path)


@pytest.fixture
def deployment(tmp_path: Path, database_server: DatabaseServer) -> Iterator[Deployment]:
    with _deployed(tmp_path, database_server) as made:
        yield made


@contextmanager
def _deployed(tmp_path: Path, database_server: DatabaseServer, *options: str) -> Iterator[Deployment]:
    compose = load_compose(_prepare(tmp_path, *options))
    for kind in ("configs", "secrets"):
        for entry in compose[kind].values():
            path = entry["file"].replace("deploy/private/", f"{tmp_path}/private/")
            entry["file"] = str(REPOSITORY / path)  # an absolute path stays what it is
    with _database(database_server, tmp_path / "private") as url:
        made = Deployment(compose, tmp_path, url, database_server.admin_url)
        try:
            yield made
        finally:
            for program in made.programs.values():
                program.kill()


@contextmanager
def _database(server: DatabaseServer, private: Path) -> Iterator[str]:
    """Run the script that the database's image runs on an empty volume; the role's name is the test's own."""
    name = f"kaimen_compose_{secrets.token_hex(6)}"
    admin = urlsplit(server.admin_url)
    with temporary_folder("psql") as scratch:
        made = subprocess.run(
            [REPOSITORY / "deploy" / "database-init.sh"],
            env={
                "PATH": f"{postgres_programs(scratch)}:/usr/bin:/bin",
                "PGHOST": str(admin.hostname),
                "PGPORT": str(admin.port),
                "POSTGRES_USER": str(admin.username),
                "KAIMEN_DATABASE_NAME": name,
                "KAIMEN_DATABASE_PASSWORD_FILE": str(private / "database_password"),
            },
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert made.returncode == 0, made.stderr
    try:
        yield f"postgresql://{name}@{admin.hostname}:{admin.port}/{name}"
    finally:
        server.drop(name)
        server.execute(f'DROP ROLE "{name}"')


def test_the_broker_takes_devices_by_tls_and_holds_them_to_their_own_name(deployment: Deployment) -> None:
    import paho.mqtt.client as mqtt

    deployment.start("broker")
    deployment.wait_for_condition("broker", "service_healthy")
    heard: list[str] = []
    granted: list[int] = []
    environment = {name: deployment.environment(name) for name in ("ingest", "edge")}
    deployment.put_files("ingest")

    def client(name: str) -> mqtt.Client:
        made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"test-{name}")
        made.username_pw_set(
            environment[name]["KAIMEN_BROKER_USER"], environment[name]["KAIMEN_BROKER_PASSWORD"]
        )
        made.tls_set(ca_certs=environment["ingest"]["KAIMEN_BROKER_CA_FILE"])
        made.connect("127.0.0.1", deployment.port("broker"))
        made.loop_start()
        wait_until(made.is_connected, f"{name} is connected")
        return made

    ingest, edge = client("ingest"), client("edge")
    try:
        ingest.on_message = lambda _client, _data, message: heard.append(message.topic)
        ingest.on_subscribe = lambda _client, _data, _mid, codes, _properties: granted.extend(
            code.value for code in codes
        )
        ingest.subscribe([("kaimen/v1/+/+/+/+/evt", 1), ("other/#", 1)])
        wait_until(lambda: len(granted) == 2, "the subscriptions are answered")
        assert granted == [1, 0x80]
        edge.publish("other/topic", b"{}", qos=1).wait_for_publish(10)
        edge.publish("kaimen/v1/0/0/site/door/evt", b"{}", qos=1).wait_for_publish(10)
        ingest.publish("kaimen/v1/0/0/site/door/evt", b"{}", qos=1)
        edge.publish("kaimen/v1/0/0/site/last/evt", b"{}", qos=1).wait_for_publish(10)
        wait_until(lambda: "kaimen/v1/0/0/site/last/evt" in heard, "the last message comes")
        assert heard == ["kaimen/v1/0/0/site/door/evt", "kaimen/v1/0/0/site/last/evt"]
    finally:
        for one in (ingest, edge):
            one.disconnect()
            one.loop_stop()


@pytest.mark.slow
@pytest.mark.one_store
def test_every_service_becomes_healthy_by_its_own_command_and_stops_when_asked(
    deployment: Deployment,
) -> None:
    deployment.start_all()
    for name in deployment.watched():
        deployment.wait_for_condition(name, "service_healthy")
    assert {name for name in deployment.watched() if deployment.is_healthy(name)} == {
        "broker", "edge", "ingest", "alerts", "console", "watchdog",
    }  # fmt: skip
    for name in ("edge", "ingest", "alerts", "console", "watchdog"):
        with urlopen(f"http://127.0.0.1:{deployment.port(f'{name} metrics')}/metrics", timeout=5) as answer:
            assert b"kaimen_" in answer.read(), name
    with urlopen(f"http://127.0.0.1:{deployment.port('console')}/healthz", timeout=5) as answer:
        assert answer.status == 200
    statuses = deployment.stop_all()
    assert {name: status for name, status in statuses.items() if status != 0 and name != "broker"} == {}


@pytest.mark.slow
@pytest.mark.one_store
def test_a_service_without_its_broker_says_so_and_recovers(deployment: Deployment) -> None:
    deployment.start_all()
    deployment.wait_for_condition("ingest", "service_healthy")
    broker = deployment.programs["broker"]
    broker.kill()
    wait_until(
        lambda: not deployment.is_healthy("ingest"), "ingest misses its broker", within_s=HEALTHY_WITHIN_S
    )
    broker.start()
    wait_until(
        lambda: deployment.is_healthy("ingest"), "ingest has its broker again", within_s=HEALTHY_WITHIN_S
    )


def test_the_settings_of_a_cluster_are_what_the_broker_takes(
    tmp_path: Path, database_server: DatabaseServer
) -> None:
    with _deployed(tmp_path, database_server, "--cluster") as made:
        for name in BROKER_NODES:
            made.put_files(name)
            words = [*made.command(name, made.compose["services"][name]["command"]), "-t"]
            checked = subprocess.run(
                words, env=made.environment(name), cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert checked.returncode == 0, checked.stderr
            assert "nats-cluster.conf" in made.compose["configs"]["broker_settings"]["file"]


@pytest.mark.slow
@pytest.mark.one_store
@pytest.mark.skipif(
    "KAIMEN_TEST_COMPOSE_CLUSTER" not in os.environ,
    reason="a minute: KAIMEN_TEST_COMPOSE_CLUSTER=1 asks for it",
)
def test_a_cluster_of_three_nodes_and_two_workers_becomes_healthy_and_stands_the_loss_of_a_node(
    tmp_path: Path, database_server: DatabaseServer
) -> None:
    with _deployed(tmp_path, database_server, "--cluster") as made:
        made.start_all(["cluster"])
        for name in made.watched():
            made.wait_for_condition(name, "service_healthy")
        assert {*BROKER_NODES, "ingest", "ingest-2"} <= set(made.watched())
        made.programs["broker-2"].kill()

        def works() -> bool:
            return all(made.is_healthy(name) for name in ("ingest", "ingest-2", "edge"))

        wait_until(works, "both workers and the edge go on", within_s=HEALTHY_WITHIN_S)
        assert not made.is_healthy("broker-2")


def test_a_place_prepared_for_one_node_is_not_made_a_cluster_afterwards(tmp_path: Path) -> None:
    before = _prepare(tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        _prepare(tmp_path, "--cluster")
    assert read_environment_file(tmp_path / "environment") == before


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    first = _prepare(tmp_path)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "private").iterdir()}
    assert _prepare(tmp_path) == first
    assert {path.name: path.read_bytes() for path in (tmp_path / "private").iterdir()} == kept
    assert (tmp_path / "private").stat().st_mode & 0o077 == 0
    assert len(set(first.values())) == len(first)
