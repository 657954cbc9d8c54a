"""``python -m tests.experiments.homes [HOMES …]``: numbers of homes enter; what one ingest worker needs for them leaves.

The real PostgreSQL, NATS and ingest. For each number of homes the worker starts once with an empty history, once with
``KAIMEN_TEST_EVENTS_A_HOME`` (24) events of the last days for each, which it then writes down, and once more from that;
printed are its memory and the time until it listens.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from console.benches.processes import cpu_seconds, memory_peak_mb
from ingest.restart.rows import BLOCK_DEVICES
from kaimen.clock import as_datetime
from kaimen.database import queries
from tests.experiments.million import make_database
from tests.experiments.stage import WALL, ingest
from tests.fix_servers import nats_server, postgres_server, wait_until
from tests.integration.ingest_street import DAY

EVENTS_A_HOME = int(os.environ.get("KAIMEN_TEST_EVENTS_A_HOME", "24"))
DAYS = 12
_LAY_OUT = queries("console.benches", "ingest.sql")["lay_out"]
_HISTORY = """
INSERT INTO door_events (
  occurred_at, received_at, recorded_at, device_no, household_no, boot, seq, ts_ms, up_ms, clock_quality, replayed, type,
  state, opens, plausible, batch
)
SELECT at, at, at, d.no, h.no, d.no, n, (extract(epoch FROM at) * 1000)::bigint,
       (extract(epoch FROM at - %(from)s::timestamptz) * 1000)::bigint, 'ntp', false, 'DoorPhysicalState',
       CASE n %% 2 WHEN 1 THEN 'Open' ELSE 'Closed' END, (n + 1) / 2, true, 0
FROM generate_series(1, %(events)s) AS n, LATERAL (SELECT %(from)s::timestamptz + n * %(step)s::interval AS at) AS t,
     devices AS d JOIN household_doors AS b ON b.device_id = d.id JOIN households AS h ON h.id = b.household_id
"""

_MISSING = """
SELECT 1 FROM (SELECT DISTINCT no / %s AS block_no FROM devices) AS wanted
WHERE NOT EXISTS (SELECT 1 FROM detector_snapshots s WHERE s.block_no = wanted.block_no AND s.written_at >= %s) LIMIT 1
"""
_WRITTEN = """
SELECT count(*), avg(octet_length(state)), sum(octet_length(state))::float / (SELECT count(*) FROM devices)
FROM detector_snapshots
"""


def measure(homes: int, folder: Path) -> None:
    """Start a worker for so many homes, without and with a history, and print what it needs."""
    now_ms = WALL.now_ms()
    begin = as_datetime(now_ms - DAYS * DAY)
    with postgres_server(durable=False) as postgres, nats_server() as broker:
        url = make_database(postgres)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_LAY_OUT, {"homes": homes, "at": begin})
            connection.execute("ANALYZE")
        empty = start(url, broker.url, folder, f"{homes:,} homes, no history")
        with psycopg.connect(url, autocommit=True) as connection:
            values = {
                "from": begin,
                "events": EVENTS_A_HOME,
                "step": f"{(DAYS - 1) * DAY // EVENTS_A_HOME} ms",
            }
            connection.execute("SELECT ensure_event_partitions(%s, %s)", (begin, as_datetime(now_ms)))
            connection.execute(_HISTORY, values)
            connection.execute("ANALYZE")
        full = start(url, broker.url, folder, f"{homes:,} homes, {EVENTS_A_HOME} events each")
        again = start(url, broker.url, folder, f"{homes:,} homes, from what was written down")
        print(f"{homes:,} homes: {again - full:+.0f} MB")
        each = (full - empty) * 1024 * 1024 / (homes * EVENTS_A_HOME)
        print(f"{homes:,} homes: {each:.0f} bytes an event at the most", flush=True)


def start(url: str, broker_url: str, folder: Path, words: str) -> float:
    """Let a worker start and write down every block; return the most memory it held, in MB."""
    began = time.monotonic()
    begun_at = as_datetime(WALL.now_ms())
    settings = {"KAIMEN_INGEST_LEASE_S": "600", "KAIMEN_INGEST_SNAPSHOT_S": "1"}
    with ingest(url, broker_url, folder, settings, within_s=3_600) as service:
        took_s = time.monotonic() - began
        with psycopg.connect(url, autocommit=True) as connection:
            wait_until(
                lambda: connection.execute(_MISSING, (BLOCK_DEVICES, begun_at)).fetchone() is None, "every block is written down",
                within_s=3_600, poll_s=1,
            )  # fmt: skip
            row = connection.execute(_WRITTEN).fetchone()
            assert row is not None
            print(
                f"{words}: {row[0]} blocks of {row[1] / 1024:.1f} KB, {row[2]:.0f} bytes a device", flush=True
            )
        process = service.program.process
        assert process is not None
        resident = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096 / 1024 / 1024
        peak = memory_peak_mb(process.pid)
        rebuilt = next(
            (line for line in service.program.log_path.read_text().splitlines() if "rebuilt" in line), ""
        )
        print(rebuilt)
        print(
            f"{words}: {resident:.0f} MB, at the most {peak:.0f} MB; listens after {took_s:.0f} s,"
            f" {cpu_seconds(process.pid):.0f} s of a processor in all; load {os.getloadavg()[0]:.0f}", flush=True,
        )  # fmt: skip
    return resident


def main() -> int:
    for homes in [int(one) for one in sys.argv[1:]] or [100_000]:
        with tempfile.TemporaryDirectory(prefix="kaimen-experiment-") as folder:
            Path(folder).chmod(0o755)
            measure(homes, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
