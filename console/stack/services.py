"""The stack's processes as start lines: a directory, its servers and ports enter, programs in their order leave."""

from __future__ import annotations

import os
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import ingest
from console.stack.folder import StackFolder
from console.stack.nats import Nats, tls_of_own
from console.stack.postgres import Postgres
from console.stack.supervisor import Program, python_module

#: Of a demo's surroundings only these reach its services: it takes no channel, no device and no database of others.
_DEMO_MAY_SET = ("KAIMEN_LOG_LEVEL", "KAIMEN_KERNEL_CACHE")
EDGE_ID = "edge"


def free_port() -> int:
    """Return a loopback TCP port that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def is_free(host: str, port: int) -> bool:
    """Say whether a listener could be opened there now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Stack:
    """What the services of one start share; ``site_id`` is where the edge stands."""

    folder: StackFolder
    secrets: Mapping[str, str]
    postgres: Postgres
    nats: Nats
    demo: bool
    site_id: str
    host: str
    port: int
    public_url: str
    metrics_ports: Mapping[str, int]

    def shared_environment(self) -> dict[str, str]:
        """Return the settings all services have."""
        passed = (
            _DEMO_MAY_SET if self.demo else tuple(name for name in os.environ if name.startswith("KAIMEN_"))
        )
        return {
            **{name: os.environ[name] for name in passed if name in os.environ},
            "KAIMEN_CLOCK": f"file:{self.folder.clock}" if self.demo else "system",
            "KAIMEN_DEMO": "true" if self.demo else "false",
            "KAIMEN_LOG_FORMAT": "json",
            "KAIMEN_STACK_DIR": str(self.folder.root),
        }

    def database_environment(self, service: str | None = None) -> dict[str, str]:
        """Return the settings of a service with its own login at the database; without a name the owner's."""
        url = self.postgres.url if service is None else self.postgres.url_of(service)
        return {**self.shared_environment(), **self._compiler_environment(), "KAIMEN_DATABASE_URL": url}

    def _compiler_environment(self) -> dict[str, str]:
        """Keep compiled code in the directory where it cannot be kept beside the program."""
        beside = Path(ingest.__file__).parent / "detector"
        if "NUMBA_CACHE_DIR" in os.environ or os.access(beside, os.W_OK):
            return {}
        return {"NUMBA_CACHE_DIR": str(self.folder.root / "compiled")}

    def broker_environment(self, user: str) -> dict[str, str]:
        """Return the settings of a service that speaks MQTT as ``user``."""
        found = {
            "KAIMEN_BROKER_URL": self.nats.url,
            "KAIMEN_BROKER_USER": user,
            "KAIMEN_BROKER_PASSWORD": self.secrets[f"broker_{user}"],
        }
        if self.nats.certificate is not None:
            tls = tls_of_own(self.nats.certificate[0])
            found |= {"KAIMEN_BROKER_CA_FILE": str(tls.ca_file), "KAIMEN_BROKER_TLS_NAME": str(tls.name)}
        return found

    def _metrics(self, name: str) -> dict[str, str]:
        return {"KAIMEN_METRICS_HOST": "127.0.0.1", "KAIMEN_METRICS_PORT": str(self.metrics_ports[name])}

    # -- programs ---------------------------------------------------------------------------------------------

    def postgres_program(self) -> Program:
        return Program(
            "postgres", self.postgres.arguments(), is_ready=self.postgres.is_ready,
            before_start=self.postgres.make_ready_to_start, account=self.postgres.account,
            stop_signal=signal.SIGINT,  # fast: do not wait for clients
            stop_within_s=30.0,
        )  # fmt: skip

    def nats_program(self) -> Program:
        return Program(
            "nats", self.nats.arguments(), is_ready=self.nats.is_ready,
            before_start=self.nats.make_ready_to_start, why_start_anew=self.nats.why_start_anew,
        )  # fmt: skip

    def edge_program(self) -> Program:
        environment = {
            **self.shared_environment(), **self.broker_environment("edge"), **self._metrics("edge"),
            "KAIMEN_EDGE_ID": EDGE_ID, "KAIMEN_EDGE_SITE": self.site_id,
            "KAIMEN_EDGE_SPOOL": str(self.folder.edge_spool),
            "KAIMEN_EDGE_DEVICES_FILE": str(self.folder.edge_devices),
            "KAIMEN_EDGE_CREDENTIAL_KEY": self.secrets["edge_credentials"],
        }  # fmt: skip
        if self.demo:
            environment["KAIMEN_EDGE_HEARTBEAT_S"] = "3600"
        return self._service("edge", environment)

    def ingest_program(self) -> Program:
        environment = {
            **self.database_environment("ingest"), **self.broker_environment("ingest"), **self._metrics("ingest"),
        }  # fmt: skip
        return self._service("ingest", environment)

    def alerts_program(self) -> Program:
        environment = {
            **self.database_environment("alerts"), **self._metrics("alerts"), "KAIMEN_PUBLIC_URL": self.public_url,
        }  # fmt: skip
        return self._service("alerts", environment)

    def phone_programs(self) -> tuple[Program, ...]:
        """Return the telephone's program where the settings name a line; a demo has none."""
        if self.demo or os.environ.get("KAIMEN_VOICE_GATEWAY") != "sip":
            return ()
        host, _, port = os.environ.get("KAIMEN_SIP_CONTROL", "127.0.0.1:4444").rpartition(":")
        return (
            Program(
                "phone", python_module("alerts.voice.sidecar"), self.shared_environment(),
                # Its wire takes one client: a question to it would be that client.
                is_ready=lambda: not is_free(host, int(port)), working_folder=self.folder.root, stop_within_s=3.0,
            ),
        )  # fmt: skip

    def watchdog_program(self) -> Program:
        """Return the process that watches the others; nothing of theirs is its own but the database's address."""
        environment = {**self.database_environment("watchdog"), **self._metrics("watchdog")}
        probe = http_probe(f"http://127.0.0.1:{self.metrics_ports['watchdog']}/healthz")
        return Program(
            "watchdog", [*python_module("console.cli"), "watchdog"], environment, is_ready=probe,
            working_folder=self.folder.root,
        )  # fmt: skip

    def console_program(self) -> Program:
        environment = {
            **self.database_environment("console"),
            "KAIMEN_RIGHTS_DATABASE_URL": self.postgres.url_of("rights"),
            "KAIMEN_CONSOLE_HOST": self.host,
            "KAIMEN_CONSOLE_PORT": str(self.port),
            "KAIMEN_CONSOLE_SECRET_FILE": str(self.folder.console_secret),
            "KAIMEN_CONSOLE_RIGHTS_LEDGER": str(self.folder.root / "rights-ledger.jsonl"),
            "KAIMEN_CONSOLE_CHECKPOINTS": str(self.folder.root / "audit-checkpoints.jsonl"),
            "KAIMEN_PUBLIC_URL": self.public_url,
            "KAIMEN_EDGE_CREDENTIAL_KEY": self.secrets["edge_credentials"],
            # The demo is reached over plain loopback; so is a production console without a proxy before it.
            "KAIMEN_CONSOLE_SECURE_COOKIES": "true" if self.public_url.startswith("https:") else "false",
        }
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return self._service("console", environment, ready=http_probe(f"http://{host}:{self.port}/healthz"))

    def street_program(self) -> Program:
        environment = {**self.database_environment(), **self.broker_environment("street")}
        linked = self.folder.street_linked
        return Program(
            "street", python_module("console.stack.street"), environment, is_ready=linked.exists,
            before_start=lambda: linked.unlink(missing_ok=True), working_folder=self.folder.root,
        )  # fmt: skip

    def _service(
        self, name: str, environment: Mapping[str, str], *, ready: Callable[[], bool] | None = None
    ) -> Program:
        probe = ready or http_probe(f"http://127.0.0.1:{self.metrics_ports[name]}/healthz")
        return Program(
            name, python_module(name), environment, is_ready=probe, working_folder=self.folder.root
        )


def http_probe(url: str) -> Callable[[], bool]:
    """Return a question whether an address answers 200."""

    def answers() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310 - our own loopback address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return answers
