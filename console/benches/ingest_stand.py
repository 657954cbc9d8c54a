"""A broker and a database enter; the ingest service between them, in a process of its own, leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from console.benches.mqtt_load import Loader
from console.benches.peers import RunningNats
from kaimen.broker_tls import BrokerTls

_ENDS_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Stand:
    """The servers of a run."""

    url: str
    connection: psycopg.Connection
    broker: RunningNats

    def loader(self, name: str) -> Loader:
        user = self.broker.user("street")
        return Loader(
            self.broker.port, user=user.name, password=user.password, client_id=name, security=self.broker.security
        )  # fmt: skip

    @property
    def words(self) -> str:
        """What the report says of how the broker is spoken to."""
        return "" if self.broker.security is None else ", TLS"


@contextmanager
def running_service(stand: Stand, more: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The ingest worker as it is started in service; ``more`` are further settings of its environment."""
    user = stand.broker.user("ingest")
    security = stand.broker.security
    scheme = "mqtt" if security is None else "mqtts"
    environment = {
        **os.environ,
        **({} if security is None else _as_settings(security)),
        "KAIMEN_DATABASE_URL": stand.url,
        "KAIMEN_BROKER_URL": f"{scheme}://127.0.0.1:{stand.broker.port}",
        "KAIMEN_BROKER_USER": user.name,
        "KAIMEN_BROKER_PASSWORD": user.password,
        "KAIMEN_METRICS_PORT": "0",
        "KAIMEN_LOG_LEVEL": "WARNING",
        **(more or {}),
    }
    stand.broker.nats.provision_sessions()
    with (stand.broker.nats.folder.root / "ingest.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "ingest"], env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=_ENDS_WITHIN_S)


def _as_settings(security: BrokerTls) -> dict[str, str]:
    assert security.ca_file is not None and security.name is not None
    return {"KAIMEN_BROKER_CA_FILE": str(security.ca_file), "KAIMEN_BROKER_TLS_NAME": security.name}
