"""``kaimen bench replay``: a number of households enters; how fast their year goes through the rule leaves.

The data are what a look back needs most of: openings as whole seconds, sorted by household, watched throughout.
Getting them sorted is not counted, for any of the peers.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from console.benches.measuring import Peer, Report, precise, seconds, seconds_cold
from console.benches.peers import load_peer, temporary_postgres
from console.benches.synthesis import Year, year_of_openings
from ingest.detector.compiled import compiled
from ingest.detector.gaps import QUARTER_S, Spans, count_crossings, find_long_spans, spans_between
from kaimen.database import queries

_SQL = queries("console.benches")
DAY_S = 86_400
LADDER_S = (DAY_S, 2 * DAY_S, 3 * DAY_S)
TEN_LADDERS_S = tuple(tuple(hours * 3_600 * stage for stage in (1, 2, 3)) for hours in range(16, 36, 2))
#: Peers that would take minutes are measured on the first of the same households; rates are per opening.
_TEN_HOUSEHOLDS = 20_000
_PEER_HOUSEHOLDS = 5_000
_SERVER_HOUSEHOLDS = 500
_UNIT = "M openings/s"
#: Openings whose gaps fit the processor's second cache.
_PIECE = 1 << 16
#: After one opening in so many comes a long span: every three months; or every ten days, as public recordings have it.
_RARELY, _OFTEN = 1024, 100

Counts = tuple[int, ...]


class PeersDisagreeError(AssertionError):
    """A peer counted something else: then its time says nothing."""


@compiled
def _scan(words: NDArray[np.uint64]) -> np.uint64:
    """Touch every byte once: what no program that reads the data can beat."""
    folded = np.uint64(0)
    for word in words:
        folded ^= word
    return folded


def _scan_all(year: Year, threads: int) -> None:
    words = year.instants_s[: len(year.instants_s) // 2 * 2].view(np.uint64)
    if threads == 1:
        _scan(words)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(_scan, np.array_split(words, threads)))


def bench_replay(households: int, report: Report) -> None:
    """Measure a year of openings of many households through one policy and through ten."""
    threads = min(2, os.cpu_count() or 1)
    with report.preparing(f"openings of {households:,} households over a year, from a seed"):
        year = year_of_openings(households, away_one_in=_RARELY, threads=threads)
    peers = _peers(year, report)
    million = len(year.instants_s) / 1e6
    words = f"a year of {households:,} households, {million:,.1f} M openings"
    limits = {used: _limit(year, used) for used in sorted({1, threads})}
    for used, limit in limits.items():
        took = _time_ladders(year, [LADDER_S], used)
        report.add(f"{words}, {_threads(used)}", million / took, _UNIT, limit, peers, seconds=precise(took))
    spans = _bench_spans(year, words, limits[threads], threads, peers, report)
    part = year.first(_TEN_HOUSEHOLDS)
    ten_in_numpy = Peer("numpy diff, ten policies", _rate(part, _numpy(part, TEN_LADDERS_S)), _of(part))
    took = _time_ladders(year, TEN_LADDERS_S, threads)
    name = f"{words}, ten policies in one pass, {_threads(threads)}"
    report.add(name, million / took, _UNIT, limits[threads], [ten_in_numpy], seconds=precise(took))
    took = _time_ladders(year, TEN_LADDERS_S, threads, spans)
    name = f"{words}, ten policies in one pass, kept in quarters of an hour, {_threads(threads)}"
    report.add(name, million / took, _UNIT, 4 * limits[threads], [ten_in_numpy], seconds=precise(took))
    del year, part, spans
    with report.preparing("the same, with a long span every ten days as in recordings"):
        year = year_of_openings(households, away_one_in=_OFTEN, threads=threads)
    took = _time_ladders(year, [LADDER_S], threads)
    name = f"{words}, a long span every ten days, {_threads(threads)}"
    report.add(name, million / took, _UNIT, limits[threads], peers[:1], seconds=precise(took))


def _bench_spans(
    year: Year, words: str, limit: float, threads: int, peers: list[Peer], report: Report
) -> Spans:
    """Measure the question as a look back asks it: of the spans in whole quarters, made once, a quarter of the bytes."""
    with report.preparing("the spans between openings in whole quarters of an hour, once for all questions"):
        spans = spans_between(year.instants_s, year.offsets, threads=threads)
    million = len(year.instants_s) / 1e6
    if not np.array_equal(_count(year, [LADDER_S], threads, spans), _count(year, [LADDER_S], threads)):
        raise PeersDisagreeError("quarters of an hour count something else than seconds")

    def in_numpy() -> Counts:
        # As ours: what may be long enough by its quarters is looked at to the second.
        found = np.flatnonzero(spans >= LADDER_S[0] // QUARTER_S)
        gaps = year.instants_s[found + 1] - year.instants_s[found]
        return tuple(int(np.count_nonzero(gaps > limit)) for limit in LADDER_S)

    peers = [*peers, _peer("numpy on the same quarters", year, in_numpy, report)]
    took = _time_ladders(year, [LADDER_S], threads, spans)
    name = f"{words}, kept in quarters of an hour, {_threads(threads)}"
    report.add(name, million / took, _UNIT, 4 * limit, peers, seconds=precise(took))
    return spans


def _limit(year: Year, threads: int) -> float:
    return len(year.instants_s) / 1e6 / seconds(lambda: _scan_all(year, threads))


def _time_ladders(year: Year, ladders_s: Any, threads: int, spans: Spans | None = None) -> float:
    return seconds(lambda: _count(year, ladders_s, threads, spans))


def _count(year: Year, ladders_s: Any, threads: int, spans: Spans | None = None) -> NDArray[np.int64]:
    return count_crossings(
        year.instants_s, year.offsets, from_s=0, until_s=year.until_s, thresholds_s=ladders_s, spans=spans,
        threads=threads,
    )  # fmt: skip


def _threads(used: int) -> str:
    return "1 thread" if used == 1 else f"{used} threads"


def _of(part: Year) -> str:
    return f"on {part.households:,} of the households"


def _rate(
    part: Year, work: Callable[[], Any], measure: Callable[[Callable[[], Any]], float] = seconds
) -> float:
    return len(part.instants_s) / 1e6 / measure(work)


def _peers(year: Year, report: Report) -> list[Peer]:
    """Measure what others would use, each on as much as it takes a few seconds for."""
    part = year.first(_PEER_HOUSEHOLDS)
    peers = [
        _peer("numpy diff", year, _numpy(year, [LADDER_S]), report),
        _peer("numpy diff in pieces that fit the cache", year, _numpy_in_pieces(year), report),
    ]
    polars = load_peer("polars", report)
    if polars is not None:
        peers.append(_peer("polars diff().over", part, _polars(part, polars), report))
    duckdb = load_peer("duckdb", report)
    if duckdb is not None:
        peers.append(_peer("duckdb lag() over", part, _duckdb(part, duckdb, report), report))
    small = year.first(_SERVER_HOUSEHOLDS)
    with temporary_postgres(report) as connection:
        if connection is not None:
            work = _postgres(small, connection, report)
            peers.append(_peer("PostgreSQL lag() over", small, work, report, seconds_cold))
    return peers


def _peer(
    name: str,
    part: Year,
    work: Callable[[], Counts],
    report: Report,
    measure: Callable[[Callable[[], Any]], float] = seconds,
) -> Peer:
    report.say(f"peer: {name}, {_of(part)}")
    expected, counted = _expected(part), work()
    if counted != expected:
        raise PeersDisagreeError(f"{name} counts {counted}, where {expected} is right")
    return Peer(name, _rate(part, work, measure), _of(part))


def _expected(part: Year) -> Counts:
    """Count between neighbours alone, as the peers do: ours also judges the first and the last span of each."""
    found = find_long_spans(spans_between(part.instants_s, part.offsets), LADDER_S[0] // QUARTER_S)
    gap_s = part.instants_s[found + 1] - part.instants_s[found]
    return tuple(int((gap_s > limit).sum()) for limit in LADDER_S)


def _numpy(part: Year, ladders_s: Any) -> Callable[[], Counts]:
    def work() -> Counts:
        gaps = np.diff(part.instants_s)
        gaps[part.offsets[1:-1] - 1] = 0  # between two households
        return tuple(int(np.count_nonzero(gaps > limit)) for ladder in ladders_s for limit in ladder)

    return work


def _numpy_in_pieces(part: Year) -> Callable[[], Counts]:
    """The fastest that numpy alone was brought to: nothing leaves the cache, and only what is long is looked at."""
    last = len(part.instants_s) - 1
    starts = range(0, last, _PIECE)
    # Between two households there is no gap: where those are in each piece, which is not counted.
    ends = part.offsets[1:-1] - 1
    bounds = np.searchsorted(ends, [*starts, last]).tolist()
    between = [ends[low:high] - start for start, low, high in zip(starts, bounds, bounds[1:], strict=False)]
    room = np.empty(_PIECE, np.uint32)

    def work() -> Counts:
        counts = [0] * len(LADDER_S)
        for start, none in zip(starts, between, strict=True):
            stop = min(start + _PIECE, last)
            gaps = np.subtract(
                part.instants_s[start + 1 : stop + 1], part.instants_s[start:stop], out=room[: stop - start]
            )
            gaps[none] = 0
            long = gaps[gaps > LADDER_S[0]]
            for stage, limit in enumerate(LADDER_S):
                counts[stage] += int(np.count_nonzero(long > limit))
        return tuple(counts)

    return work


def _polars(part: Year, polars: Any) -> Callable[[], Counts]:
    frame = polars.DataFrame({"household": part.owners(), "instant_s": part.instants_s})
    gap = polars.col("instant_s").diff().over("household").alias("gap")

    def work() -> Counts:
        longer = [(polars.col("gap") > limit).sum().alias(str(limit)) for limit in LADDER_S]
        return tuple(int(count) for count in frame.select(gap).select(longer).row(0))

    return work


def _duckdb(part: Year, duckdb: Any, report: Report) -> Callable[[], Counts]:
    connection = duckdb.connect()
    with report.preparing("openings into duckdb"):
        columns = {"household": part.owners(), "instant_s": part.instants_s}
        connection.register("columns_given", columns)
        connection.execute("CREATE TABLE openings AS SELECT * FROM columns_given")
    return lambda: tuple(connection.execute(_SQL["lag_gaps"]).fetchone())


def _postgres(part: Year, connection: Any, report: Report) -> Callable[[], Counts]:
    with report.preparing("openings into PostgreSQL, with an index on household and instant"):
        connection.execute("CREATE TABLE openings (household int4 NOT NULL, instant_s int8 NOT NULL)")
        with connection.cursor().copy("COPY openings FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(_binary_rows(part))
        connection.execute("CREATE INDEX ON openings (household, instant_s)")
        connection.execute("VACUUM ANALYZE openings")
    return lambda: tuple(connection.execute(_SQL["lag_gaps"]).fetchone())


def _binary_rows(part: Year) -> bytes:
    """Return the openings in PostgreSQL's binary form: number of fields, then each field's length and value."""
    form = np.dtype(
        [("fields", ">i2"), ("l1", ">i4"), ("household", ">i4"), ("l2", ">i4"), ("instant_s", ">i8")]
    )
    rows = np.empty(len(part.instants_s), form)
    rows["fields"], rows["l1"], rows["l2"] = 2, 4, 8
    rows["household"], rows["instant_s"] = part.owners(), part.instants_s
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"
