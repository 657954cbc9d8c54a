"""``python -m tests.experiments.city [HOMES [SITES [GROUPS]]]``: a city enters; what one of its workers needs leaves.

The homes of a whole city stand in the registry, over many sites of many communities; one worker of as many as there are
shard groups starts, takes its one group, and judges it. The real PostgreSQL, NATS and ingest. Printed are the time until
it listens, until each home of its group was judged, its memory and processor; then the same after it was killed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import psycopg

from ingest.rows.book import is_of_group
from kaimen.clock import as_datetime
from tests.experiments.million import Watch, make_database
from tests.experiments.stage import WALL, ingest
from tests.fix_servers import nats_server, postgres_server
from tests.integration.ingest_street import DAY, HOUR

_SITES_A_COMMUNITY = 5
#: A home, its door, the agreement and a card each; site by site, as towns grow.
_LAY_OUT = (
    "INSERT INTO communities (id, name) SELECT 'c-' || n, '' FROM generate_series(0, %(sites)s / %(near)s) AS n",
    "INSERT INTO sites (id, community_id, name) SELECT 's-' || n, 'c-' || n / %(near)s, '' FROM generate_series(0, %(sites)s - 1) AS n",
    "INSERT INTO devices (id, site_id, kind, registered_at)"
    " SELECT 'd-' || n, 's-' || n * %(sites)s / %(homes)s, 'controller', %(at)s FROM generate_series(0, %(homes)s::bigint - 1) AS n",
    "INSERT INTO households (id, site_id, label, building, unit, floor, room, watched_from)"
    " SELECT 'h-' || n, 's-' || n * %(sites)s / %(homes)s, n::text, '1', '1', 1, n::text, %(at)s"
    " FROM generate_series(0, %(homes)s::bigint - 1) AS n",
    "INSERT INTO household_doors (household_id, device_id, role)"
    " SELECT 'h-' || n, 'd-' || n, 'dwelling' FROM generate_series(0, %(homes)s::bigint - 1) AS n",
    "INSERT INTO consents (household_id, purpose, given_by, given_at)"
    " SELECT 'h-' || n, 'watch', 'city', %(at)s FROM generate_series(0, %(homes)s::bigint - 1) AS n",
    "INSERT INTO credentials (token, class, household_id)"
    " SELECT 'c_' || n, 'resident', 'h-' || n FROM generate_series(0, %(homes)s::bigint - 1) AS n",
)
#: Every other group is another worker's, who is there: a group that nobody serves is taken by whoever sees it.
_OTHERS = (
    "INSERT INTO ingest_workers (worker, seen_at) SELECT 'another-' || n, %(until)s FROM generate_series(1, %(groups)s - 1) AS n",
    "INSERT INTO ingest_leases (group_no, groups, token, worker, expires_at)"
    " SELECT n, %(groups)s, 1, 'another-' || n, %(until)s FROM generate_series(1, %(groups)s - 1) AS n",
)
_JUDGED = "SELECT count(*) >= %s FROM household_states WHERE as_of >= %s"


def measure(homes: int, sites: int, groups: int, folder: Path) -> None:
    """Lay a city out, and let one worker of ``groups`` serve its share, twice."""
    now_ms = WALL.now_ms()
    with postgres_server(durable=False) as postgres, nats_server() as broker:
        url = make_database(postgres)
        began = time.monotonic()
        given = {"homes": homes, "sites": sites, "near": _SITES_A_COMMUNITY, "at": as_datetime(now_ms - HOUR)}
        with psycopg.connect(url, autocommit=True) as connection:
            # Neither notes of millions of rows, which nobody reads, nor keys that are right by construction.
            connection.execute("SET session_replication_role = replica")
            for statement in _LAY_OUT:
                connection.execute(statement, given)
            connection.execute("ANALYZE")
            for statement in _OTHERS:
                connection.execute(statement, {"until": as_datetime(now_ms + DAY), "groups": groups})
        own = sum(is_of_group(f"s-{n * sites // homes}", 0, groups) for n in range(homes))
        print(f"{homes:,} homes at {sites:,} sites, {own:,} of them the group's: laid out in {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
        for words in ("first start", "restart"):
            serve(own, groups, url, broker.url, folder, words)


def serve(own: int, groups: int, url: str, broker_url: str, folder: Path, words: str) -> None:
    """Start the worker, wait until each home of its group was judged, and kill it."""
    begun, began = as_datetime(WALL.now_ms()), time.monotonic()
    settings = {"KAIMEN_INGEST_LEASE_S": "15", "KAIMEN_INGEST_GROUPS": str(groups)}
    with ingest(url, broker_url, folder, settings, within_s=3_600) as service:
        print(f"{words}: listens after {time.monotonic() - began:.0f} s", flush=True)
        log = service.program.log_path.read_text()
        print("\n".join(line for line in log.splitlines() if "rebuilt" in line), flush=True)

        def is_judged(connection: psycopg.Connection) -> bool:
            row = connection.execute(_JUDGED, (own, begun)).fetchone()
            return row is not None and bool(row[0])

        Watch(service, url).until(f"{words}: everybody of the group judged", is_judged, poll_s=2)
        service.program.kill()


def main() -> int:
    given = [int(one) for one in sys.argv[1:]]
    homes, sites, groups = (*given, *(1_000_000, 400, 16)[len(given) :])
    with tempfile.TemporaryDirectory(prefix="kaimen-experiment-") as folder:
        Path(folder).chmod(0o755)
        measure(homes, sites, groups, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
