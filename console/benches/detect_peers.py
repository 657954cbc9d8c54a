"""What others would watch households with: a size enters; each peer's rates leave. None of them knows coverage."""

from __future__ import annotations

import heapq
import pickle
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from console.benches.measuring import Peer, Report, seconds, seconds_cold
from console.benches.peers import load_peer, temporary_postgres
from kaimen.database import queries
from kaimen.policy import DAY_MS

_SQL = queries("console.benches")
START_MS = 1_767_225_600_000
#: Messages in one batch, each of another door, in no order.
BATCH_MAX = 5_000_000
#: The peers' share, where the whole would take minutes; rates are per household and per opening.
_COLUMN_HOUSEHOLDS = 10_000_000
_SERVER_HOUSEHOLDS, _SERVER_BATCH, _SERVER_BATCHES = 1_000_000, 5_000, 10
_TIMER_HOUSEHOLDS, _TIMER_OPENINGS = 200_000, 200_000


@dataclass(slots=True)
class Peers:
    """What the peers reached: households a second, openings a second, bytes a household, households ready a second."""

    pulse: list[Peer]
    apply: list[Peer]
    room: list[Peer]
    ready: list[Peer]


def _of(households: int) -> str:
    return f"on {households:,} households, no coverage"


def measure_peers(households: int, report: Report) -> Peers:
    """Measure every peer that is here, each on as many households as it takes a few seconds for."""
    peers = Peers([], [], [], [])
    count = min(households, _COLUMN_HOUSEHOLDS)
    chance = np.random.default_rng(19)
    last_s = chance.integers(START_MS // 1000, START_MS // 1000 + 43_200, count).astype(np.uint32)
    size = min(count, BATCH_MAX)
    who = chance.permutation(count)[:size].astype(np.int32)
    at = (START_MS // 1000 + 43_200 + chance.integers(0, 60, size)).astype(np.uint32)
    _numpy(peers, report, last_s, who, at)
    _polars(peers, report, last_s, who, at)
    _duckdb(peers, report, last_s, who, at)
    _postgres(peers, report, last_s[: min(count, _SERVER_HOUSEHOLDS)])
    _timers(peers, report, min(count, _TIMER_HOUSEHOLDS))
    return peers


def _overdue_s() -> int:
    """Nobody is overdue yet: every peer looks and finds nothing, like ours."""
    return START_MS // 1000 - 1


def _add(
    peers: Peers, report: Report, name: str, households: int, *, pulse_s: float, openings: int, apply_s: float
) -> None:
    report.say(f"peer: {name}, {_of(households)}")
    peers.pulse.append(Peer(name, households / 1e6 / pulse_s, _of(households)))
    peers.apply.append(Peer(name, openings / 1e6 / apply_s, _of(households)))


def _numpy(peers: Peers, report: Report, last_s: NDArray[Any], who: NDArray[Any], at: NDArray[Any]) -> None:
    mine = last_s.copy()
    pulse_s = seconds(lambda: np.flatnonzero(mine <= _overdue_s()))
    apply_s = seconds(lambda: np.maximum.at(mine, who, at))
    _add(peers, report, "numpy", len(mine), pulse_s=pulse_s, openings=len(who), apply_s=apply_s)
    peers.room.append(Peer("numpy last opening (uint32)", 1e3 / mine.itemsize, "no coverage"))


def _polars(peers: Peers, report: Report, last_s: NDArray[Any], who: NDArray[Any], at: NDArray[Any]) -> None:
    polars = load_peer("polars", report)
    if polars is None:
        return
    households = np.arange(len(last_s), dtype=np.int32)
    state = polars.DataFrame({"household": households, "last_s": last_s})
    batch = polars.DataFrame({"household": who, "at_s": at})
    last, new = polars.col("last_s"), polars.col("at_s")

    def apply() -> Any:
        newest = batch.group_by("household").agg(new.max())
        joined = state.join(newest, on="household", how="left")
        return joined.select("household", polars.max_horizontal(last, new).alias("last_s"))

    assert len(apply()) == len(state)
    pulse_s = seconds(lambda: len(state.filter(last <= _overdue_s())))
    _add(
        peers,
        report,
        "polars group_by + join",
        len(state),
        pulse_s=pulse_s,
        openings=len(who),
        apply_s=seconds(apply, 3),
    )


def _duckdb(peers: Peers, report: Report, last_s: NDArray[Any], who: NDArray[Any], at: NDArray[Any]) -> None:
    duckdb = load_peer("duckdb", report)
    if duckdb is None:
        return
    connection = duckdb.connect()
    households = np.arange(len(last_s), dtype=np.int32)
    connection.register("given", {"household": households, "last_s": last_s})
    connection.execute("CREATE TABLE states AS SELECT * FROM given")
    connection.register("given_batch", {"household": who, "at_s": at})
    connection.execute("CREATE TABLE batch AS SELECT * FROM given_batch")
    pulse_s = seconds(lambda: connection.execute(_SQL["overdue"], [_overdue_s()]).fetchone())
    apply_s = seconds(lambda: connection.execute(_SQL["newest_states"]), 3)
    _add(
        peers,
        report,
        "duckdb group by + join",
        len(last_s),
        pulse_s=pulse_s,
        openings=len(who),
        apply_s=apply_s,
    )


def _postgres(peers: Peers, report: Report, last_s: NDArray[Any]) -> None:
    count = len(last_s)
    with temporary_postgres(report) as connection:
        if connection is None:
            return
        with report.preparing(f"{count:,} households into PostgreSQL, with an index on the last opening"):
            connection.execute(
                "CREATE TABLE last_openings (household int4 PRIMARY KEY, last_s int8 NOT NULL)"
            )
            with connection.cursor().copy("COPY last_openings FROM STDIN") as copy:
                copy.write("".join(f"{n}\t{at}\n" for n, at in enumerate(last_s.tolist())))
            connection.execute("CREATE INDEX ON last_openings (last_s)")
            connection.execute("CREATE TEMP TABLE batch (household int4, at_s int8)")
            connection.execute("VACUUM ANALYZE last_openings")
        room = connection.execute("SELECT pg_total_relation_size('last_openings')").fetchone()
        chance = np.random.default_rng(23)
        batch = min(count, _SERVER_BATCH)
        openings = [
            "".join(
                f"{n}\t{START_MS // 1000 + 90_000 + turn}\n"
                for n in chance.permutation(count)[:batch].tolist()
            )
            for turn in range(_SERVER_BATCHES)
        ]
        pulse_s = seconds(lambda: connection.execute(_SQL["overdue_openings"], [_overdue_s()]).fetchone())
        apply_s = seconds_cold(lambda: _update_all(connection, openings))
        _add(
            peers, report, f"PostgreSQL, COPY + UPDATE of {batch:,}", count, pulse_s=pulse_s,
            openings=batch * len(openings), apply_s=apply_s,
        )  # fmt: skip
        assert room is not None
        peers.room.append(Peer("PostgreSQL table with index", count / room[0] * 1e3, _of(count)))
        ready_s = seconds(
            lambda: connection.execute("SELECT household, last_s FROM last_openings").fetchall(), 1
        )
        peers.ready.append(Peer("PostgreSQL fetchall", count / 1e6 / ready_s, _of(count)))


def _update_all(connection: Any, batches: list[str]) -> None:
    for text in batches:
        with connection.transaction():
            connection.execute("TRUNCATE batch")
            with connection.cursor().copy("COPY batch FROM STDIN") as copy:
                copy.write(text)
            connection.execute(_SQL["take_batch"])


class Timers:
    """A timer per household in a heap; an opening arms it anew and leaves the old one to be passed over."""

    def __init__(self, count: int) -> None:
        self.due = [START_MS + DAY_MS + n for n in range(count)]
        self.heap = [(due, n) for n, due in enumerate(self.due)]
        heapq.heapify(self.heap)

    def open(self, household: int, at_ms: int) -> None:
        self.due[household] = due = at_ms + DAY_MS
        heapq.heappush(self.heap, (due, household))

    def pulse(self, now_ms: int) -> int:
        fired = 0
        while self.heap and self.heap[0][0] <= now_ms:
            due, household = heapq.heappop(self.heap)
            fired += self.due[household] == due
        return fired


def _timers(peers: Peers, report: Report, count: int) -> None:
    tracemalloc.start()
    timers = Timers(count)
    room = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    who = np.random.default_rng(29).integers(0, count, _TIMER_OPENINGS).tolist()

    def apply() -> None:
        for number, household in enumerate(who):
            timers.open(household, START_MS + number)
        # The timers that were left behind have to be taken out one day: that is part of arming anew.
        timers.pulse(START_MS + DAY_MS + number)

    apply_s = seconds_cold(apply)
    pulse_s = seconds(_ticks(timers))
    _add(peers, report, "Python timers (heapq)", count, pulse_s=pulse_s, openings=len(who), apply_s=apply_s)
    peers.room.append(Peer("Python timers (heapq)", 1e3 / room, _of(count)))
    stored = pickle.dumps((timers.due, timers.heap))
    ready_s = seconds(lambda: pickle.loads(stored), 3)  # noqa: S301 - our own bytes of a moment ago
    peers.ready.append(Peer("Python timers from pickle", count / 1e6 / ready_s, _of(count)))


def _ticks(timers: Timers) -> Callable[[], int]:
    return lambda: timers.pulse(0)
