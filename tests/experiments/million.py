"""``python -m tests.experiments.million [HOMES …]``: numbers of homes enter; what one worker needs at a start and for a change leaves.

The real PostgreSQL, NATS and ingest. Printed are the time until the worker listens, until each home was judged and shown,
its memory, how far behind its pulse was at the most, and how long it takes until what changed in the registry of one home is
seen; then the same after a restart.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psycopg

from console.benches.processes import cpu_seconds, memory_peak_mb
from kaimen.clock import as_datetime
from kaimen.database import queries
from kaimen.schema import migrate
from tests.experiments.stage import WALL, Ingest, ingest
from tests.fix_servers import PostgresServer, nats_server, postgres_server
from tests.integration.ingest_street import DAY, HOUR

_LAY_OUT = queries("console.benches", "ingest.sql")["lay_out"]
_AWAY = """
INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)
VALUES ('h77', %(from)s, %(to)s, 'travel', 'she', %(from)s)
"""
_MOVED = "INSERT INTO household_doors (household_id, device_id, role) VALUES ('h78', 'door-79', 'shared')"
_AGE = re.compile(r"^kaimen_ingest_pulse_age_seconds\{[^}]*\} (\S+)", re.MULTILINE)


class Watch:
    """Looks once a second how far behind a worker's pulse is, while something is awaited."""

    def __init__(self, service: Ingest, url: str) -> None:
        self._service, self._url = service, url

    def until(self, words: str, seen: Callable[[psycopg.Connection], bool], poll_s: float = 1.0) -> None:
        began, oldest_s = time.monotonic(), 0.0
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not seen(connection):
                if time.monotonic() - began > 3_600:
                    raise TimeoutError(words)
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{self._service.port}/metrics", timeout=60
                ) as answer:
                    ages = [float(age) for age in _AGE.findall(answer.read().decode())]
                oldest_s = max([oldest_s, *ages])
                time.sleep(poll_s)
        took_s = time.monotonic() - began
        print(
            f"{words}: {took_s:.2f} s, a pulse at the most {oldest_s:.1f} s old; {self._words()}", flush=True
        )

    def _words(self) -> str:
        process = self._service.program.process
        assert process is not None
        resident = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096 / 1024 / 1024
        return (
            f"{resident:.0f} MB, at the most {memory_peak_mb(process.pid):.0f} MB,"
            f" {cpu_seconds(process.pid):.0f} s of a processor; load {os.getloadavg()[0]:.0f}"
        )


def make_database(postgres: PostgresServer) -> str:
    """Return the address of a migrated database of its own."""
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE kaimen")
    url = postgres.url("kaimen")
    migrate(url)
    return url


def measure(homes: int, folder: Path) -> None:
    """Let a worker start for so many homes, change the registry, and start it again."""
    now_ms = WALL.now_ms()
    with postgres_server(durable=False) as postgres, nats_server() as broker:
        url = make_database(postgres)
        began = time.monotonic()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SET session_replication_role = replica"
            )  # notes of millions of rows: nobody reads them
            connection.execute(_LAY_OUT, {"homes": homes, "at": as_datetime(now_ms - HOUR)})
            connection.execute("ANALYZE")
        print(f"{homes:,} homes: laid out in {time.monotonic() - began:.0f} s", flush=True)
        serve(homes, url, broker.url, folder, "first start")
        serve(homes, url, broker.url, folder, "restart")


def serve(homes: int, url: str, broker_url: str, folder: Path, words: str) -> None:
    """Start a worker, wait until everybody was judged, and change the registry."""
    begun = as_datetime(WALL.now_ms())
    began = time.monotonic()
    settings = {"KAIMEN_INGEST_LEASE_S": "15"}  # as it is where nobody says otherwise
    with ingest(url, broker_url, folder, settings, within_s=3_600) as service:
        print(f"{words}: listens after {time.monotonic() - began:.0f} s", flush=True)
        log = service.program.log_path.read_text()
        print("\n".join(line for line in log.splitlines() if "rebuilt" in line), flush=True)
        watch = Watch(service, url)
        watch.until(
            f"{words}: the first progress",
            lambda connection: _one(connection, "SELECT max(at) >= %s FROM service_progress", begun),
        )
        watch.until(
            f"{words}: everybody judged",
            lambda connection: _one(
                connection,
                "SELECT count(*) FILTER (WHERE as_of >= %s) >= " + str(homes) + " FROM household_states",
                begun,
            ),
            poll_s=5,
        )
        values = {"from": as_datetime(WALL.now_ms()), "to": as_datetime(WALL.now_ms() + DAY)}
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DELETE FROM absences")
            connection.execute("DELETE FROM household_doors WHERE role = 'shared'")
            time.sleep(5)
            connection.execute(_AWAY, values)
        watch.until(
            f"{words}: one home away is seen",
            lambda connection: _one(
                connection,
                "SELECT absent_until IS NOT NULL FROM household_states WHERE household_id = %s",
                "h77",
            ),
            poll_s=0.05,
        )
        with psycopg.connect(url, autocommit=True) as connection:
            at = as_datetime(WALL.now_ms())
            connection.execute(_MOVED)
        watch.until(
            f"{words}: a door added is judged",
            lambda connection: _one(
                connection,
                "SELECT as_of >= '" + at.isoformat() + "' FROM household_states WHERE household_id = %s",
                "h78",
            ),
            poll_s=0.05,
        )
        began = time.monotonic()
    print(f"{words}: stopped in {time.monotonic() - began:.1f} s", flush=True)


def _one(connection: psycopg.Connection, statement: str, value: object) -> bool:
    row = connection.execute(statement, (value,)).fetchone()  # type: ignore[arg-type]
    return row is not None and bool(row[0])


def main() -> int:
    for homes in [int(one) for one in sys.argv[1:]] or [1_000_000]:
        with tempfile.TemporaryDirectory(prefix="kaimen-experiment-") as folder:
            Path(folder).chmod(0o755)
            measure(homes, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
