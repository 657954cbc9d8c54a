"""Nothing enters; a PostgreSQL and its streaming stand-by on loopback leave, which can change places.

What is committed on the one is on the disk of the other before it is confirmed, as an operator sets it up who wants to
lose nothing: ``synchronous_standby_names``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.fix_servers import (
    _UNPRIVILEGED,
    PostgresServer,
    Program,
    free_port,
    postgres_server,
    temporary_folder,
    wait_until,
)

_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_SYNCHRONOUS = "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"


class PostgresPair:
    """Two servers, one of which takes writes."""

    def __init__(self, first: PostgresServer, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._programs = Path(first.program.arguments[0]).parent
        self._ports = (first.port, free_port())
        self._number = 0
        self.primary = first
        self.standby = self._follow(first, self._ports[1])

    def url(self, database: str) -> str:
        """Return the address as an operator writes it: both hosts, and nothing of which takes writes."""
        places = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        return f"postgresql://postgres@{places}/{database}"

    def fail_over(self) -> None:
        """Cut the power of the one that takes writes and let the other one take them."""
        self.primary.program.kill()
        with psycopg.connect(self.standby.admin_url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote(true, 60)")
        self.primary, self.standby = self.standby, self.primary

    def rebuild(self) -> None:
        """Make the one that lost its place a stand-by of the other; its own data are thrown away."""
        self.standby = self._follow(self.primary, self.standby.port)

    def _follow(self, primary: PostgresServer, port: int) -> PostgresServer:
        self._number += 1
        data = self._folder / f"data-{self._number}"
        as_root = os.geteuid() == 0
        if as_root:
            shutil.chown(self._folder, *_UNPRIVILEGED)
        user, group = _UNPRIVILEGED if as_root else (None, None)
        made = subprocess.run(
            [self._programs / "pg_basebackup", "--pgdata", data, "--write-recovery-conf", "--wal-method=stream",
             "--checkpoint=fast", "--no-sync", f"--dbname={primary.url('postgres')}"],
            user=user, group=group, extra_groups=[] if as_root else None, cwd="/",
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        # What the one before demanded of its stand-by, this one would demand of itself.
        _forget_demand(data)
        options = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
        program = Program(
            "PostgreSQL stand-by",
            [str(self._programs / "postgres"), "-D", str(data), "-p", str(port), *options],
            self._folder.with_name(f"{self._folder.name}-{self._number}.log"),
            working_folder=Path("/"),
            unprivileged=as_root,
            stop_signal=signal.SIGINT,
        )
        server = PostgresServer(program, port)
        program.start()
        self._stack.callback(program.stop)
        program.wait_until(server.is_ready)
        with psycopg.connect(primary.admin_url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
            wait_until(
                lambda: connection.execute(_SYNCHRONOUS).fetchone() == (1,),
                "the stand-by keeps up",
                poll_s=0.05,
            )
        return server


def _forget_demand(data: Path) -> None:
    settings = data / "postgresql.auto.conf"
    lines = settings.read_text().splitlines(keepends=True)
    settings.write_text("".join(line for line in lines if not line.startswith("synchronous_standby_names")))


@contextlib.contextmanager
def postgres_pair() -> Iterator[PostgresPair]:
    """Run a durable primary and its synchronous stand-by."""
    with (
        postgres_server(durable=True) as first,
        temporary_folder("standby") as folder,
        contextlib.ExitStack() as stack,
    ):
        inner = folder / "servers"
        inner.mkdir(mode=0o755)
        yield PostgresPair(first, inner, stack)
