"""Stored months enter; a rebuilt detector leaves, and how long that took. KAIMEN_TEST_EVENTS=285000 for the figure of the docs."""

from __future__ import annotations

import os
import time

import psycopg
import pytest

from ingest.detector import Detector
from ingest.detector.coverage import DeviceTrack
from ingest.groups import leases
from ingest.groups.group_state import GroupState
from ingest.look_back.past import fill_tracks
from ingest.replay import Rebuilt, rebuild
from ingest.restart.rows import block_of
from ingest.restart.snapshots import Snapshots
from ingest.rows.book import Book, load_book
from ingest.rows.unsaved import Coverage
from ingest.store import Store
from kaimen.clock import as_datetime
from kaimen.database import Connection, connect
from tests.integration.ingest_street import BEGIN_MS, DAY, lay_out

pytestmark = pytest.mark.slow

EVENTS = int(os.environ.get("KAIMEN_TEST_EVENTS", "0"))
EVENTS_PER_HOME = 450 if EVENTS else 60
HOMES = max(3, EVENTS // EVENTS_PER_HOME)
STEP_MS = 44 * DAY // EVENTS_PER_HOME
NOW_MS = BEGIN_MS + 44 * DAY


def fill(url: str) -> None:
    """Openings and closings for 44 days; one event stands twice with other words, one has numbers beyond all sense."""
    lay_out(url, homes=HOMES)
    values = {
        "begin": as_datetime(BEGIN_MS), "begin_ms": BEGIN_MS, "n": EVENTS_PER_HOME, "step": STEP_MS, "homes": HOMES,
    }  # fmt: skip
    with psycopg.connect(url) as connection:
        connection.execute(
            "SELECT ensure_event_partitions(%(begin)s, %(begin)s::timestamptz + interval '46 days')", values
        )
        connection.execute(
            "INSERT INTO door_events (occurred_at, received_at, recorded_at, device_no, boot, seq, ts_ms, up_ms,"
            " clock_quality, replayed, type, state, opens, door, plausible, batch)"
            " SELECT at, at, at, d.no, -d.no, s, %(begin_ms)s + s * %(step)s, s * %(step)s, 'ntp', false,"
            " 'DoorPhysicalState', CASE s %% 2 WHEN 1 THEN 'Open' ELSE 'Closed' END, (s + 1) / 2, 'a door', true, 1"
            " FROM devices d, generate_series(1, %(n)s::bigint) s,"
            " LATERAL (SELECT %(begin)s::timestamptz + s * %(step)s * interval '1 millisecond' AS at) a",
            values,
        )
        for seq, up in ((7, 7 * STEP_MS + 5), (EVENTS_PER_HOME + 1, 1 << 60)):
            connection.execute(
                "INSERT INTO door_events SELECT occurred_at, received_at, recorded_at, device_no, household_no, boot, %s,"
                " ts_ms, %s, clock_quality, replayed, type, state, direction, method, credential, opens, reason, door,"
                " plausible, batch FROM door_events WHERE seq = 7 AND ts_ms - up_ms = %s AND device_no = (SELECT min(no) FROM devices)",
                (seq, up, BEGIN_MS),
            )


def time_what_is_written_down(connection: Connection, book: Book, rebuilt: Rebuilt) -> None:
    """Write every block down, turn by turn, and print what that took, and a start from it."""
    leases.provision(connection, 1)
    lease = leases.acquire(connection, group_no=0, groups=1, worker="a@here:1", duration_s=600)
    assert lease is not None
    state = GroupState(
        book, rebuilt.detector, rebuilt.causes, Coverage(600_000), pulse_ms=NOW_MS, loader=rebuilt.loader
    )
    store, written = Store(), Snapshots("0", 1e-9)
    written.begin(rebuilt.restart, HOMES)
    blocks = {block_of(number) for number in book.device_no.values()}
    spans: list[float] = []
    for number in range(len(blocks) + 1):
        state.apply([], NOW_MS + 1000 * number)
        turn = state.draft(NOW_MS + 1000 * number)
        time.sleep(0.1)
        begun = time.thread_time()
        written.draft(state, turn)
        spans.append(time.thread_time() - begun)
        store.write(connection, lease, book, turn)
        state.confirm(turn)
        begun = time.thread_time()
        written.confirm(state, turn)
        spans[-1] += time.thread_time() - begun
    size = connection.execute("SELECT sum(octet_length(state)) AS n FROM detector_snapshots").fetchone()
    begun, used = time.perf_counter(), time.process_time()
    again = rebuild(connection, book, now_ms=NOW_MS)
    took_s, used_s = time.perf_counter() - begun, time.process_time() - used
    judged = time.perf_counter()
    again.detector.pulse(NOW_MS + 1000 * len(spans))
    print(
        f"{len(blocks)} blocks, {size['n'] / HOMES if size else 0:.0f} bytes a home, {1000 * max(spans[1:]):.1f} ms of processor for one at the most;"
        f" a start of {again.restart.devices} devices from that: {took_s:.2f} s, {used_s:.2f} s of processor,"
        f" first pulse {time.perf_counter() - judged:.2f} s"
    )


def test_what_is_read_as_columns_is_what_was_stored(database_url: str) -> None:
    fill(database_url)
    with connect(database_url, service="test", autocommit=True) as connection:
        book = load_book(connection, now_ms=NOW_MS)
        begun, used = time.perf_counter(), time.process_time()
        rebuilt = rebuild(connection, book, now_ms=NOW_MS)
        took_s, used_s = time.perf_counter() - begun, time.process_time() - used
        judged = time.perf_counter()
        facts = rebuilt.detector.pulse(NOW_MS)
        print(
            f"{rebuilt.event_count} events of {HOMES} homes: {took_s:.2f} s, {used_s:.2f} s of processor, first pulse {time.perf_counter() - judged:.2f} s"
        )
        assert rebuilt.event_count == HOMES * EVENTS_PER_HOME + 2
        plain = Detector(book.registry, now_ms=NOW_MS)
        if EVENTS:
            time_what_is_written_down(connection, book, rebuilt)
            return
        tracks = {device_id: DeviceTrack(device_id, 0) for device_id in book.device_no}
        span = {"since": as_datetime(BEGIN_MS), "before": as_datetime(NOW_MS + DAY)}
        stored = fill_tracks(connection, tracks, book.device_by_no(), span)
        plain.restore(events=((device_id, *pair) for device_id, pairs in stored.items() for pair in pairs))
    assert [repr(fact) for fact in facts] == [repr(fact) for fact in plain.pulse(NOW_MS)]
    for household in book.registry.households:
        ours, theirs = rebuilt.detector.rule_of(household), plain.rule_of(household)
        assert ours.history(NOW_MS) == theirs.history(NOW_MS)
