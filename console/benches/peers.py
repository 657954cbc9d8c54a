"""A peer's name enters; the peer leaves, ready to be measured, or why it is not here.

polars and duckdb are wanted by no other part of the product: they come with the extra ``bench``, and a run without
them says so and goes on. PostgreSQL is the product's own, started for the run in a folder of its own.
"""

from __future__ import annotations

import importlib
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from console.benches.measuring import Report
from console.stack.folder import StackError, StackFolder, write_private
from console.stack.nats import BrokerUser, Nats, open_nats, tls_of_own
from console.stack.postgres import open_postgres
from console.stack.processes import start_line
from console.stack.services import free_port
from kaimen.broker_tls import BrokerTls
from kaimen.clock import SystemClock, as_datetime

#: As much of the machine as a server that does nothing else would be given.
_SHARED_BUFFERS = "512MB"
_READY_WITHIN_S = 60
_POLL_S = 0.05


def load_peer(name: str, report: Report) -> Any | None:
    """Return a peer's module; None where it is not installed, which the report then says."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        report.leave_out(name, 'not installed: pip install "kaimen[bench]"')
        return None


@contextmanager
def temporary_postgres(report: Report, *settings: str) -> Iterator[psycopg.Connection | None]:
    """A connection to a PostgreSQL of this run's own, durable as in service; None where there are no programs."""
    with tempfile.TemporaryDirectory(prefix="kaimen-bench-") as scratch:
        folder = StackFolder(Path(scratch))
        try:
            server = open_postgres(folder, {"postgres": secrets.token_hex(16), "database": ""}, free_port())
            server.make_ready_to_start()
        except StackError as error:
            report.leave_out("PostgreSQL", str(error))
            yield None
            return
        arguments = [*server.arguments(), "-c", f"shared_buffers={_SHARED_BUFFERS}", *settings]
        with (folder.root / "log").open("wb") as log:
            process = subprocess.Popen(
                start_line(arguments, account=server.account), cwd="/", stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            deadline = time.monotonic() + _READY_WITHIN_S
            while not server.is_ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    report.leave_out("PostgreSQL", (folder.root / "log").read_text()[-500:].strip())
                    yield None
                    return
                time.sleep(_POLL_S)
            with psycopg.connect(server.admin_url, autocommit=True) as connection:
                yield connection
        finally:
            process.terminate()
            process.wait(timeout=_READY_WITHIN_S)


def make_database(admin: psycopg.Connection) -> str:
    """Make the run's database on its server; return its address."""
    admin.execute("CREATE DATABASE bench")
    info = admin.info
    return f"postgresql://{info.user}:{quote(info.password)}@{info.host}:{info.port}/bench"


@dataclass(frozen=True, slots=True)
class RunningNats:
    """The product's broker, started for a run."""

    nats: Nats
    pid: int

    @property
    def port(self) -> int:
        return self.nats.mqtt_port

    @property
    def security(self) -> BrokerTls | None:
        """How its certificate is judged; None: it speaks without TLS."""
        return None if self.nats.certificate is None else tls_of_own(self.nats.certificate[0])

    def user(self, name: str) -> BrokerUser:
        return next(user for user in self.nats.users if user.name == name)


@contextmanager
def temporary_nats(report: Report, *, site_id: str, secured: bool = False) -> Iterator[RunningNats | None]:
    """A broker of this run's own, its store flushed every second, with TLS if asked; None where there is no program."""
    with tempfile.TemporaryDirectory(prefix="kaimen-bench-") as scratch:
        folder = StackFolder(Path(scratch))
        names = ("broker_ingest", "broker_edge", "broker_doctor", "broker_watch", "broker_street")
        passwords = {name: secrets.token_hex(16) for name in names}
        try:
            nats = open_nats(
                folder,
                passwords,
                mqtt_port=free_port(),
                client_port=free_port(),
                site_id=site_id,
                certificate=_make_certificate(Path(scratch)) if secured else None,
            )
            nats.make_ready_to_start()
        except StackError as error:
            report.leave_out("NATS", str(error))
            yield None
            return
        with (folder.root / "nats.log").open("wb") as log:
            process = subprocess.Popen(nats.arguments(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + _READY_WITHIN_S
            while not nats.is_ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    report.leave_out("NATS", (folder.root / "nats.log").read_text()[-500:].strip())
                    yield None
                    return
                time.sleep(_POLL_S)
            yield RunningNats(nats, process.pid)
        finally:
            process.terminate()
            process.wait(timeout=_READY_WITHIN_S)


def _make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for this machine and a day, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kaimen bench")])
    now = as_datetime(SystemClock().now_ms())
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(loopback, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(paths[1], private.decode())
    return paths
