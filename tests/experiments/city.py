"""``python -m tests.experiments.city [HOMES [SITES [GROUPS]]] [--together | --spoken]``: a city enters; what its workers need leaves.

The homes of a whole city stand in the registry, over many sites of many communities; one worker of as many as there are
shard groups starts, takes its one group, and judges it. The real PostgreSQL, NATS and ingest. Printed are the time until
it listens, until each home of its group was judged, its memory and processor; then the same after it was killed.
With ``--spoken`` its doors speak before it is killed; then once with what it wrote down of them, and once without.
With ``--together`` every group has its worker, all at once on this machine: how long until the whole city was judged, and how
soon openings of homes anywhere are seen while doors of the whole city speak.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import LiteralString

import psycopg

from console.benches.processes import cpu_seconds, memory_peak_mb
from ingest.restart.rows import BLOCK_DEVICES
from ingest.rows.book import is_of_group
from kaimen import wire
from kaimen.clock import as_datetime
from tests.experiments.million import Watch, make_database
from tests.experiments.stage import WALL, Ingest, ingest, launch
from tests.fix_servers import nats_server, postgres_server
from tests.integration.ingest_street import DAY, HOUR, Door, Publisher

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
#: So many of a door's openings, five minutes apart, stand behind it when its worker is killed.
_OPENINGS = 10
#: A device number is in its block, and each block of ours was written since.
_WRITTEN_DOWN = """
SELECT count(*) FILTER (WHERE s.written_at >= %s) >= count(*) FROM
  (SELECT DISTINCT no / %s AS block_no FROM devices WHERE id = ANY (%s)) AS b
  LEFT JOIN detector_snapshots s USING (block_no)
"""
_JUDGED = "SELECT count(*) >= %s FROM household_states WHERE as_of >= %s"


def lay_out(url: str, homes: int, sites: int, now_ms: int) -> None:
    """Write the city into a migrated database."""
    began = time.monotonic()
    given = {"homes": homes, "sites": sites, "near": _SITES_A_COMMUNITY, "at": as_datetime(now_ms - HOUR)}
    with psycopg.connect(url, autocommit=True) as connection:
        # Neither notes of millions of rows, which nobody reads, nor keys that are right by construction.
        connection.execute("SET session_replication_role = replica")
        for statement in _LAY_OUT:
            connection.execute(statement, given)
        connection.execute("ANALYZE")
    print(f"{homes:,} homes at {sites:,} sites: laid out in {time.monotonic() - began:.0f} s", flush=True)


def measure(homes: int, sites: int, groups: int, folder: Path, *, spoken: bool = False) -> None:
    """Lay a city out, and let one worker of ``groups`` serve its share, twice; or thrice, once its doors have ``spoken``."""
    now_ms = WALL.now_ms()
    with postgres_server(durable=False) as postgres, nats_server() as broker:
        url = make_database(postgres)
        lay_out(url, homes, sites, now_ms)
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in _OTHERS:
                connection.execute(statement, {"until": as_datetime(now_ms + DAY), "groups": groups})
        own = [n for n in range(homes) if is_of_group(f"s-{n * sites // homes}", 0, groups)]
        print(f"{len(own):,} of them are the group's", flush=True)
        if not spoken:
            for words in ("first start", "restart"):
                serve(len(own), groups, url, broker.url, folder, words)
            return

        def speak_and_write_down(connection: psycopg.Connection) -> None:
            doors = [Door(f"d-{n}", f"s-{n * sites // homes}", f"{n + 1:016x}", now_ms - HOUR) for n in own]
            tell_past(connection, broker.url, doors, now_ms)

        serve(len(own), groups, url, broker.url, folder, "first start", speak_and_write_down)
        serve(len(own), groups, url, broker.url, folder, "restart from what was written down")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DELETE FROM detector_snapshots")
        serve(len(own), groups, url, broker.url, folder, "restart with nothing written down")


def tell_past(connection: psycopg.Connection, broker_url: str, doors: Sequence[Door], now_ms: int) -> None:
    """Let each door tell the openings of its last hour, and wait until they are stored and each block is written down."""
    began, step_ms = time.monotonic(), 5 * 60_000
    publisher = Publisher(broker_url)
    for first in range(0, len(doors), 1_000):
        messages = []
        for door in doors[first : first + 1_000]:
            openings = [door.event(now_ms - HOUR + (n + 1) * step_ms) for n in range(_OPENINGS)]
            messages.append((door.topic("evb"), wire.format_batch(openings)))
        publisher.send_all(messages)
    publisher.close()
    told = len(doors) * _OPENINGS
    while not _is_true(connection, "SELECT count(*) >= %s FROM door_events", (told,)):
        if time.monotonic() - began > 1_800:
            raise TimeoutError("not every opening was stored")
        time.sleep(1)
    print(f"{told:,} openings told and stored in {time.monotonic() - began:.0f} s", flush=True)
    began, stored = time.monotonic(), as_datetime(WALL.now_ms())
    given = (stored, BLOCK_DEVICES, [door.device for door in doors])
    while not _is_true(connection, _WRITTEN_DOWN, given):
        if time.monotonic() - began > 1_800:
            raise TimeoutError("not every block was written down")
        time.sleep(1)
    row = connection.execute("SELECT count(*), sum(length(state)) FROM detector_snapshots").fetchone()
    assert row is not None
    print(
        f"written down within {time.monotonic() - began:.0f} s: {row[0]:,} blocks, {row[1] / 1e6:.0f} MB",
        flush=True,
    )


def serve(
    own: int, groups: int, url: str, broker_url: str, folder: Path, words: str,
    act: Callable[[psycopg.Connection], None] = lambda _: None,
) -> None:  # fmt: skip
    """Start the worker, wait until each home of its group was judged, ``act``, and kill it."""
    begun, began = as_datetime(WALL.now_ms()), time.monotonic()
    settings = {
        "KAIMEN_INGEST_LEASE_S": "15", "KAIMEN_INGEST_GROUPS": str(groups), "KAIMEN_INGEST_SNAPSHOT_S": "60",
    }  # fmt: skip
    with ingest(url, broker_url, folder, settings, within_s=3_600) as service:
        print(f"{words}: listens after {time.monotonic() - began:.0f} s", flush=True)
        log = service.program.log_path.read_text()
        print("\n".join(line for line in log.splitlines() if "rebuilt" in line), flush=True)

        def is_judged(connection: psycopg.Connection) -> bool:
            row = connection.execute(_JUDGED, (own, begun)).fetchone()
            return row is not None and bool(row[0])

        Watch(service, url).until(f"{words}: everybody of the group judged", is_judged, poll_s=2)
        with psycopg.connect(url, autocommit=True) as connection:
            act(connection)
        service.program.kill()


def together(homes: int, sites: int, groups: int, folder: Path) -> None:
    """Lay a city out, let as many workers as there are groups serve it, and let its doors speak."""
    now_ms = WALL.now_ms()
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server(durable=False))
        broker = stack.enter_context(nats_server())
        url = make_database(postgres)
        lay_out(url, homes, sites, now_ms)
        begun, began = as_datetime(WALL.now_ms()), time.monotonic()
        settings = {"KAIMEN_INGEST_LEASE_S": "15", "KAIMEN_INGEST_GROUPS": str(groups)}
        workers = [launch(url, broker.url, folder, settings) for _ in range(groups)]
        for worker in workers:
            stack.callback(worker.program.stop)
        with psycopg.connect(url, autocommit=True) as connection:

            def until(words: str, seen: Callable[[], bool], poll_s: float) -> None:
                while not seen():
                    if time.monotonic() - began > 3_600 or not all(w.program.is_alive() for w in workers):
                        raise TimeoutError(words)
                    time.sleep(poll_s)
                print(f"{words}: after {time.monotonic() - began:.0f} s; {_used(workers)}", flush=True)

            until("the whole city judged", lambda: _is_true(connection, _JUDGED, (homes, begun)), 5)
            speak(connection, broker.url, homes, sites, now_ms)
            print(_used(workers), flush=True)


def _is_true(connection: psycopg.Connection, statement: LiteralString, args: Sequence[object]) -> bool:
    row = connection.execute(statement, args).fetchone()
    return row is not None and bool(row[0])


def _used(workers: Sequence[Ingest]) -> str:
    pids = [worker.program.process.pid for worker in workers if worker.program.process is not None]
    memory = sum(memory_peak_mb(pid) for pid in pids)
    seconds = sum(cpu_seconds(pid) for pid in pids)
    return f"{len(pids)} workers with {memory:,.0f} MB at the most, {seconds:.0f} s of a processor; load {os.getloadavg()[0]:.0f}"


def speak(
    connection: psycopg.Connection, broker_url: str, homes: int, sites: int, now_ms: int,
    *, per_s: int = 200, for_s: int = 60, seed: int = 13,
) -> None:  # fmt: skip
    """Let doors anywhere open, each once; every half second one is looked for until its home's state shows it."""
    chance = random.Random(seed)
    order = chance.sample(range(homes), min(homes, per_s * for_s))
    publisher, waits = Publisher(broker_url), list[float]()
    sent, stop = 0, threading.Event()

    def opening(number: int) -> int:
        nonlocal sent
        at_ms = WALL.now_ms()
        door = Door(f"d-{number}", f"s-{number * sites // homes}", f"{number + 1:016x}", now_ms - HOUR)
        publisher._client.publish(*door.opening(at_ms), qos=1)
        sent += 1
        return at_ms

    def crowd() -> None:
        while not stop.wait(0.05):
            for _ in range(per_s // 20):
                if order:
                    opening(order.pop())

    thread = threading.Thread(target=crowd)
    began = time.monotonic()
    thread.start()
    seen = "SELECT evidence_at >= %s FROM household_states WHERE household_id = %s"
    while time.monotonic() - began < for_s and order:
        number = order.pop()
        asked, at = time.monotonic(), as_datetime(opening(number))
        while not _is_true(connection, seen, (at, f"h-{number}")):
            if time.monotonic() - asked > 60:
                raise TimeoutError(f"the opening of h-{number} is not seen")
            time.sleep(0.02)
        waits.append(time.monotonic() - asked)
        time.sleep(max(0.0, 0.5 - waits[-1]))
    stop.set()
    thread.join()
    waits.sort()
    middle, last = waits[len(waits) // 2], waits[min(len(waits) - 1, len(waits) * 99 // 100)]
    print(f"{sent:,} openings in {time.monotonic() - began:.0f} s; of {len(waits)} looked for seen after p50 {middle:.2f}, p99 {last:.2f} s (seed {seed})", flush=True)  # fmt: skip
    while not _is_true(connection, "SELECT count(*) >= %s FROM door_events", (sent,)):
        if time.monotonic() - began > 600:
            raise TimeoutError("not every opening was stored")
        time.sleep(1)
    row = connection.execute(
        "SELECT count(*), count(DISTINCT (device_no, boot, seq)) FROM door_events"
    ).fetchone()
    print(f"stored: {row}", flush=True)
    publisher.close()


def main() -> int:
    is_together = "--together" in sys.argv
    given = [int(one) for one in sys.argv[1:] if not one.startswith("--")]
    homes, sites, groups = (*given, *(1_000_000, 400, 16)[len(given) :])
    with tempfile.TemporaryDirectory(prefix="kaimen-experiment-") as folder:
        Path(folder).chmod(0o755)
        if is_together:
            together(homes, sites, groups, Path(folder))
        else:
            measure(homes, sites, groups, Path(folder), spoken="--spoken" in sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
