"""``kaimen bench ingest``: a number of events enters; how many a second are durable, and who spent what, leaves.

The whole way on this machine: a publisher, a broker, the service in a process of its own, PostgreSQL with its log
flushed at every commit. The limit is the bare COPY of the same rows into a table without an index; the peers take the
same messages and judge nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from console.benches.ingest_stand import Stand, running_service
from console.benches.measuring import Peer, Report
from console.benches.mqtt_load import make_messages
from console.benches.peers import make_database, temporary_nats, temporary_postgres
from console.benches.processes import Spent, memory_peak_mb, postgres_pids
from ingest.rows.copying import Copier, Row
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import queries
from kaimen.schema import migrate

_SQL = queries("console.benches", "ingest.sql")
_UNIT = "events/s"
#: Doors that speak in each way. Each way has doors of its own: a door whose starts overlap in time is judged at length,
#: which no real one asks for.
_HOMES = 500
_SITE = "bench"
#: Events per message, and which part of the size each is measured on: what is slow need not run as long.
_SHARES = {1: 10, 10: 4, 100: 1, 500: 1}
#: What speaks once: the start of each of two services, the ways of the first, the paced one, two of the second.
_STREETS = 2 + len(_SHARES) + 1 + 2
_PEER_SHARES = {"insert": 40, "executemany": 20, "write_row": 10}
_PEER_NAMES = {
    "insert": "paho, one INSERT and commit an event",
    "executemany": "paho, executemany of 100",
    "write_row": "paho, COPY write_row of 1,000",
}
_COPY_ROWS = 5_000
_MINUTES_MS = 50 * 60_000
_STUCK_S, _POLL_S = 60.0, 0.05
_COUNT_S, _COUNTED_OFTEN_MAX = 0.5, 10_000
#: The kernel counts CPU time in hundredths.
_TICK_S = 0.01
_PACE_PER_S, _PACE_S, _PACE_FROM = 1_000, 20, 10_000
#: The service says at least so often how far it is.
_PROGRESS_MS = 2_000
_VISIBLE_LIMIT_S = 0.05


@dataclass(frozen=True, slots=True)
class _Rate:
    """Events a second of wall, and of the CPU: on a shared machine only the latter can be compared between runs."""

    wall: float
    cpu: float


def bench_ingest(events: int, report: Report) -> None:
    """Measure messages of 1, 10, 100 and 500 events from the publisher's first byte to the last commit.

    Those of 1 and 100 once more through a broker that speaks TLS, to publisher and service.
    """
    with (
        temporary_postgres(report, "-c", "track_commit_timestamp=on") as admin,
        temporary_nats(report, site_id=_SITE) as broker,
    ):
        if admin is None or broker is None:
            return
        url = make_database(admin)
        migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            now = SystemClock().now_ms()
            connection.execute(
                _SQL["lay_out"], {"homes": _HOMES * _STREETS, "at": as_datetime(now - 2 * _MINUTES_MS)}
            )
            connection.execute(_SQL["make_bare"])
            for statement in _SQL["make_peer"].split(";"):
                if statement.strip():
                    connection.execute(statement)
            stand = Stand(url, connection, broker)
            streets = _streets()
            limit = _bare_copy(stand, max(_COPY_ROWS, min(events, 200_000)), report)
            peers = {per: _peers(stand, events, per, report) for per in (1, 100)}
            with _service(stand, next(streets), report) as service:
                for per in _SHARES:
                    beside = peers[1 if per < 100 else 100]
                    _measure(stand, service, next(streets), events, per, limit, beside, report)
                _measure_delay(stand, next(streets), report, span_s=_PACE_S if events >= _PACE_FROM else 1)
            if events >= _PACE_FROM:
                _measure_secured(stand, streets, events, limit, peers, report)


def _measure_secured(
    plain: Stand,
    streets: Iterator[Street],
    events: int,
    limit: _Rate,
    peers: dict[int, list[tuple[Peer, Peer]]],
    report: Report,
) -> None:
    """The same way and database, through a broker that speaks TLS only; the peers' figures are without."""
    with temporary_nats(report, site_id=_SITE, secured=True) as broker:
        if broker is None:
            return
        stand = replace(plain, broker=broker)
        with _service(stand, next(streets), report) as service:
            for per, beside in peers.items():
                _measure(stand, service, next(streets), events, per, limit, beside, report)


#: The doors of one way, each with its site.
Street = list[tuple[str, str]]


def _streets() -> Iterator[Street]:
    """Yield doors of the registry that have not spoken yet."""
    for first in range(0, _HOMES * _STREETS, _HOMES):
        yield [(_SITE, f"door-{number}") for number in range(first + 1, first + _HOMES + 1)]


def _messages(street: Street, events: int, per: int) -> list[tuple[str, bytes]]:
    until_ms = SystemClock().now_ms() - 1_000
    devices = street[: max(1, min(_HOMES, events // per))]
    return make_messages(
        events,
        per,
        devices=devices,
        boot=os.urandom(8).hex(),
        from_ms=until_ms - _MINUTES_MS,
        until_ms=until_ms,
    )


# --- ours ------------------------------------------------------------------------------------------------------


@contextmanager
def _service(stand: Stand, street: Street, report: Report) -> Iterator[subprocess.Popen[bytes]]:
    """The ingest worker, when its first messages are stored."""
    with running_service(stand) as process:
        with report.preparing("the service's start and its first messages"):
            _send_and_wait(stand, process, _messages(street, _HOMES, 1), _HOMES)
        yield process


def _send_and_wait(
    stand: Stand, service: subprocess.Popen[bytes], messages: list[tuple[str, bytes]], events: int
) -> float:
    """Publish and wait until all is committed; return the seconds from the first byte to the last commit.

    When that was the database says: to count what is stored costs it as much as storing does, so that is done seldom.
    """
    stand.connection.execute(_SQL["empty_events"])
    loader = stand.loader("bench-publisher")
    try:
        pieces = loader.encode(messages)
        begun = moved = time.perf_counter()
        begun_ms = SystemClock().now_ms()
        stored = 0
        loader.send(pieces)
        while stored < events:
            before, stored = stored, _stored(stand)
            if service.poll() is not None:
                raise RuntimeError("the service ended during the bench")
            if stored > before:
                moved = time.perf_counter()
            elif time.perf_counter() - moved > _STUCK_S:
                raise RuntimeError(f"{stored} of {events} events are stored, and no more come")
            time.sleep(_COUNT_S if events > _COUNTED_OFTEN_MAX else _POLL_S)
        took = min(time.perf_counter() - begun, (_last_commit_ms(stand) - begun_ms) / 1000)
    finally:
        loader.close()
    if stored != events:
        raise RuntimeError(f"{stored} rows for {events} events")
    return took


def _last_commit_ms(stand: Stand) -> float:
    row = stand.connection.execute(_SQL["last_commit"]).fetchone()
    assert row is not None
    return float(row[0])


def _stored(stand: Stand) -> int:
    row = stand.connection.execute(_SQL["count_stored"]).fetchone()
    assert row is not None
    return int(row[0])


def _measure(
    stand: Stand,
    service: subprocess.Popen[bytes],
    street: Street,
    events: int,
    per: int,
    limit: _Rate,
    peers: list[tuple[Peer, Peer]],
    report: Report,
) -> None:
    messages = _messages(street, max(per, events // _SHARES[per]), per)
    count = len(messages) * per
    report.say(f"{count:,} events, {per} a message{stand.words} …")
    pids = {
        "ingest": [service.pid],
        "broker": [stand.broker.pid],
        "database": postgres_pids(stand.connection),
    }
    before = Spent.of(pids)
    took = _send_and_wait(stand, service, messages, count)
    spent = Spent.of(pids).since(before)
    report.say(f"{count / took:,.0f} events/s; CPU seconds {spent.as_dict()}")
    more = {"events": count, "cpu_s": spent.as_dict(), "memory_mb": memory_peak_mb(service.pid)}
    report.add(
        f"durable events, {per} a message{stand.words}", count / took, _UNIT, limit.wall, [peer for peer, _ in peers],
        seconds=round(took, 3), **more,
    )  # fmt: skip
    used = max(spent.seconds["ingest"] + spent.seconds["database"], _TICK_S)
    report.add(
        f"durable events a CPU second of service and database, {per} a message{stand.words}", count / used, _UNIT, limit.cpu,
        [peer for _, peer in peers], **more,
    )  # fmt: skip


def _measure_delay(stand: Stand, street: Street, report: Report, *, span_s: int) -> None:
    """Publish at a steady pace; the span is from the event's instant, which is its publishing, to its row's commit.

    Each door spoke once before, and the service has looked at all homes: what a start costs is no part of the pace.
    """
    boot, origin_ms = os.urandom(8), SystemClock().now_ms()
    report.say(f"{_PACE_PER_S:,} messages a second for {span_s} s …")
    # Each device speaks once a round; a round is half a second at this pace.
    words = make_messages(
        _HOMES, 1, devices=street, boot=boot.hex(), from_ms=origin_ms, until_ms=origin_ms + 1
    )
    loader = stand.loader("bench-pace")

    def publish(first: int, until: int) -> int:
        """Publish those numbers, dated as they go out: whoever made them before would begin late. Return since when."""
        begun, begun_ms = time.monotonic(), SystemClock().now_ms()
        messages = (
            _dated(
                *words[number % len(words)],
                seq=number // len(words) + 1,
                at_ms=begun_ms + (number - first) * 1000 // _PACE_PER_S,
                origin_ms=origin_ms,
            )
            for number in range(first, until)
        )
        loader.send_paced(messages, begun=begun, per_second=_PACE_PER_S)
        return begun_ms

    try:
        stand.connection.execute(_SQL["empty_events"])
        publish(0, len(words))
        _wait(
            lambda: _stored(stand) == len(words) and _is_up_to(stand, SystemClock().now_ms() - _PROGRESS_MS)
        )
        begun_ms = publish(len(words), len(words) + _PACE_PER_S * span_s)
        _wait(lambda: _stored(stand) == len(words) + _PACE_PER_S * span_s)
    finally:
        loader.close()
    number = int.from_bytes(boot, "big", signed=True)
    rows = stand.connection.execute(_SQL["commit_spans"], {"boot": number, "since": begun_ms}).fetchall()
    spans_s = sorted(max(float(row[0]), 0.1) / 1000 for row in rows)
    commit = _commit_span(stand)
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        span = spans_s[min(len(spans_s) - 1, int(len(spans_s) * share))]
        report.add_span(
            f"publish to commit, {name}, {_PACE_PER_S:,} messages/s, {len(spans_s):,} messages", span,
            _VISIBLE_LIMIT_S, [Peer("one row and its commit, p99", commit)],
        )  # fmt: skip


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _STUCK_S
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError("the service does not get on")
        time.sleep(_POLL_S)


def _is_up_to(stand: Stand, instant_ms: int) -> bool:
    """Say whether everything was said that was due by an instant."""
    row = stand.connection.execute(_SQL["progress"]).fetchone()
    return row is not None and float(row[0]) >= instant_ms


def _dated(topic: str, payload: bytes, *, seq: int, at_ms: int, origin_ms: int) -> tuple[str, bytes]:
    """Return an event as its device would send it: the number of its round, the instant of its publishing."""
    found = json.loads(payload)
    found |= {"seq": seq, "ts": at_ms, "up": at_ms - origin_ms + 60_000}
    found.pop("opens", None)
    return topic, json.dumps(found).encode()


def _commit_span(stand: Stand) -> float:
    spans = []
    for number in range(100):
        begun = time.perf_counter()
        stand.connection.execute(
            _SQL["peer_insert"], ("span", "b", number, 0, 0, "t", None, None, None, None, None)
        )
        spans.append(time.perf_counter() - begun)
    return sorted(spans)[98]


# --- limit and peers -------------------------------------------------------------------------------------------


def _bare_copy(stand: Stand, events: int, report: Report) -> _Rate:
    """Return the rows a second of COPY alone: the same bytes, committed every few thousand rows, no index."""
    report.say(f"limit: bare COPY of {events:,} rows …")
    at_ms = SystemClock().now_ms()
    copier = Copier()
    batches = []
    for start in range(0, events, _COPY_ROWS):
        rows = [
            Row(
                number % _HOMES + 1, at_ms + number, at_ms, number % _HOMES + 1, 7, number + 1, at_ms, number, False, True, number,
                ("ntp", "DoorPhysicalState", "Open", None, "card", f"c_door-{number % _HOMES}", None, "3-1-1201"),
            )
            for number in range(start, min(events, start + _COPY_ROWS))
        ]  # fmt: skip
        batches.append(copier.encode(rows, recorded_ms=at_ms, batch=1))
    pids = {"database": postgres_pids(stand.connection)}
    before, begun = Spent.of(pids), time.perf_counter()
    for batch in batches:
        with stand.connection.transaction(), stand.connection.cursor().copy(_SQL["copy_bare"]) as copy:
            copy.write(batch)
    took, spent = time.perf_counter() - begun, Spent.of(pids).since(before)
    return _Rate(events / took, events / max(spent.seconds["database"], _TICK_S))


def _peers(stand: Stand, events: int, per: int, report: Report) -> list[tuple[Peer, Peer]]:
    """Return each peer by the wall and by the CPU time of itself and the database."""
    found = []
    for kind, share in _PEER_SHARES.items():
        messages = _messages(next(_streets()), max(per, events // share), per)
        count = len(messages) * per
        report.say(f"peer: {_PEER_NAMES[kind]}, {count:,} events, {per} a message …")
        rate = _time_peer(stand, kind, messages, count)
        name, of = _PEER_NAMES[kind], f"on {count:,} events, {per} a message"
        found.append((Peer(name, rate.wall, of), Peer(name, rate.cpu, of)))
    return found


def _time_peer(stand: Stand, kind: str, messages: list[tuple[str, bytes]], count: int) -> _Rate:
    stand.connection.execute(_SQL["empty_peer"])
    user = stand.broker.user("ingest")
    arguments = [kind, stand.url, str(stand.broker.port), user.name, user.password, str(count)]
    process = subprocess.Popen(
        [sys.executable, "-m", "console.benches.ingest_peer", *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the peer {kind} does not listen")
        pids = {"database": postgres_pids(stand.connection)}
        before = Spent.of(pids)
        loader = stand.loader(f"bench-{kind}")
        try:
            loader.send(loader.encode(messages))
        finally:
            loader.close()
        told: dict[str, Any] = json.loads(process.stdout.readline())
        spent = Spent.of(pids).since(before)
    finally:
        process.kill()
        process.communicate()
    used = told["cpu_s"] + spent.seconds["database"]
    return _Rate(count / told["seconds"], count / max(used, _TICK_S))
