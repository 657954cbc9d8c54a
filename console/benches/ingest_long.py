"""``kaimen bench ingest --duration``: seconds enter; what is durable a second in the first and in the last minute leaves.

Doors speak without a pause, and never further ahead than the service follows, so that what is measured is the service
and not a queue. The clock of service and doors is started half a run before a midnight: the day's partition turns over
in the middle. PostgreSQL writes a checkpoint at least once a minute. Publisher, broker, database and service share this
machine; what each takes of it is told. At the end every event that was sent must be stored once.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from console.benches.ingest_stand import Stand, running_service
from console.benches.measuring import Peer, Report
from console.benches.mqtt_load import Loader
from console.benches.peers import make_database, temporary_nats, temporary_postgres
from console.benches.processes import Spent, cpu_seconds, memory_peak_mb, postgres_pids
from kaimen import wire
from kaimen.clock import FileClock, SystemClock, as_datetime, set_clock
from kaimen.database import queries
from kaimen.policy import DAY_MS
from kaimen.schema import migrate

_SQL = queries("console.benches", "ingest.sql")
_SITE, _HOMES = "bench", 5_000
_WAYS = ((1, False), (100, False), (1, True), (100, True))
_HOUR_MS, _START_MS = 3_600_000, 60_000
_MINUTE_S = 60.0
#: Messages that may be sent and not stored; of arrays the database tells a second late what it holds of many events.
_AHEAD_MESSAGES, _AHEAD_ARRAYS = 20_000, 15
#: Messages that are written at once.
_AT_ONCE, _AT_ONCE_ARRAYS = 1_000, 100
_LOOK_S, _STUCK_S = 0.25, 120.0
_CHECKPOINTS_EVERY_S = 60
#: Numbers that stand in an event for what is written into its place.
_SEQ, _TS, _UP, _OPENS = 700_000_000_001, 700_000_000_002, 700_000_000_003, 700_000_000_004


def bench_ingest_long(seconds: int, report: Report, ways: Sequence[tuple[int, bool]] = _WAYS) -> None:
    """Let doors speak for so long in each way: events a message, and whether the broker wants TLS."""
    for per, secured in ways:
        with ExitStack() as stack:
            admin = stack.enter_context(
                temporary_postgres(
                    report, "-c", f"checkpoint_timeout={max(30, min(seconds // 4, _CHECKPOINTS_EVERY_S))}"
                )
            )
            broker = stack.enter_context(temporary_nats(report, site_id=_SITE, secured=secured))
            if admin is None or broker is None:
                return
            url = make_database(admin)
            migrate(url)
            connection = stack.enter_context(psycopg.connect(url, autocommit=True))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kaimen-bench-")))
            _run(Stand(url, connection, broker), folder, seconds, per, report)


@dataclass
class _Course:
    """How many events were stored at which second of the run, and what the service had used of a processor by then."""

    marks: list[tuple[float, int, float]] = field(default_factory=list)

    def rate(self, from_s: float, until_s: float) -> tuple[float, float]:
        """Return events a second, and the service's microseconds an event, between the marks nearest to two instants."""
        (low_s, low, low_cpu_s), (high_s, high, high_cpu_s) = (
            min(self.marks, key=lambda mark: abs(mark[0] - at_s)) for at_s in (from_s, until_s)
        )
        events = max(high - low, 1)
        return events / max(high_s - low_s, 1e-9), (high_cpu_s - low_cpu_s) / events * 1e6


class _Doors:
    """Doors that open and close in turn, each with a number and a time of its own."""

    def __init__(self, clock: FileClock, per: int) -> None:
        self._clock, self._per = clock, per
        self._boot = os.urandom(8).hex()
        self._booted_ms = clock.now_ms() - _HOUR_MS
        self._seq = 0
        channel = "evt" if per == 1 else "evb"
        names = [f"door-{number}" for number in range(1, _HOMES + 1)]
        self._topics = [wire.format_topic(_SITE, name, channel) for name in names]
        self._said = [tuple(self._form(name, state) for state in ("Closed", "Open")) for name in names]

    def _form(self, name: str, state: str) -> bytes:
        """Return an event as the wire writes it, with places for what changes."""
        event = wire.Event(
            v=1, boot=self._boot, seq=_SEQ, ts=_TS, up=_UP, clk="ntp", door=f"3-1-{name}",
            type="DoorPhysicalState", state=state, method="card", cred=f"c_{name}", opens=_OPENS,
        )  # fmt: skip
        text = wire.format_event(event).replace(b"%", b"%%")
        for mark, place in ((_SEQ, b"%(seq)d"), (_TS, b"%(ts)d"), (_UP, b"%(up)d"), (_OPENS, b"%(opens)d")):
            text = text.replace(b"%d" % mark, place)
        return text

    def rounds(self) -> Iterator[list[tuple[str, bytes]]]:
        """Yield messages without an end: in each round every door says one."""
        at_once = _AT_ONCE if self._per == 1 else _AT_ONCE_ARRAYS
        while True:
            first, self._seq = self._seq + 1, self._seq + self._per
            for start in range(0, _HOMES, at_once):
                # An event a millisecond: whoever speaks in arrays speaks seldom enough for that.
                ts = self._clock.now_ms() - self._per
                values = [
                    {b"seq": seq, b"ts": ts + number, b"up": ts + number - self._booted_ms, b"opens": (seq + 1) // 2}
                    for number, seq in enumerate(range(first, first + self._per))
                ]  # fmt: skip
                yield [
                    (self._topics[door], self._say(door, values)) for door in range(start, start + at_once)
                ]

    def _say(self, door: int, values: Sequence[dict[bytes, int]]) -> bytes:
        forms = self._said[door]
        events = [forms[each[b"seq"] % 2] % each for each in values]
        return events[0] if self._per == 1 else b"[" + b",".join(events) + b"]"


def _run(stand: Stand, folder: Path, seconds: int, per: int, report: Report) -> None:
    clock_file = folder / "clock.json"
    midnight_ms = SystemClock().now_ms() // DAY_MS * DAY_MS
    begin_ms = midnight_ms - seconds * 500
    at = as_datetime(begin_ms - 2 * _HOUR_MS)
    stand.connection.execute(_SQL["lay_out"], {"homes": _HOMES, "at": at})
    set_clock(clock_file, speed=1, now_ms=begin_ms - _START_MS)
    with running_service(stand, {"KAIMEN_CLOCK": f"file:{clock_file}"}) as service:
        doors, loader = _Doors(FileClock(clock_file), per), stand.loader("bench-long")
        try:
            with report.preparing(f"{per} a message{stand.words}: the service's start and its first round"):
                sent = _first_round(stand, service, doors, loader, per)
            pids = {
                "ingest": [service.pid], "broker": [stand.broker.pid], "database": postgres_pids(stand.connection),
            }  # fmt: skip
            # Midnight belongs into the middle of what is measured, however long the start took.
            set_clock(clock_file, speed=1, now_ms=begin_ms)
            checkpoints, memory = _number(stand, "checkpoints"), memory_peak_mb(service.pid)
            before = Spent.of(pids)
            course, more = _speak(stand, service, doors, loader, seconds, per)
            spent, sent = Spent.of(pids).since(before), sent + more
            stored = _settle(stand, service, sent)
            made = _number(stand, "checkpoints") - checkpoints
            _tell(stand, report, course, per, seconds, sent=more, spent=spent, checkpoints=made,
                  memory=(memory, memory_peak_mb(service.pid)))  # fmt: skip
        finally:
            loader.close()
    if stored != sent:
        raise RuntimeError(f"{stored} rows for {sent} events")


def _first_round(
    stand: Stand, service: subprocess.Popen[bytes], doors: _Doors, loader: Loader, per: int
) -> int:
    rounds, sent = doors.rounds(), 0
    while sent < _HOMES * per:
        messages = next(rounds)
        loader.send(loader.encode(messages))
        sent += len(messages) * per
    _settle(stand, service, sent)
    return sent


def _speak(
    stand: Stand, service: subprocess.Popen[bytes], doors: _Doors, loader: Loader, seconds: int, per: int
) -> tuple[_Course, int]:
    """Publish for so long, as far ahead as is allowed; return what was stored when, and how many events were sent."""
    ahead = _AHEAD_MESSAGES * min(per, _AHEAD_ARRAYS)
    course, rounds, sent = _Course(), doors.rounds(), 0
    base = _number(stand, "count_written")
    stored, looked, begun = 0, 0.0, time.monotonic()
    while (now := time.monotonic()) < begun + seconds:
        if now - looked >= _LOOK_S:
            looked, stored = now, _number(stand, "count_written") - base
            course.marks.append((now - begun, stored, cpu_seconds(service.pid)))
            if service.poll() is not None:
                raise RuntimeError("the service ended during the bench")
        if sent - stored > ahead:
            time.sleep(_LOOK_S / 10)
            continue
        messages = next(rounds)
        loader.send(loader.encode(messages))
        sent += len(messages) * per
    return course, sent


def _settle(stand: Stand, service: subprocess.Popen[bytes], sent: int) -> int:
    """Wait until everything that was sent is stored; return how much is."""
    stored, moved = 0, time.monotonic()
    while stored < sent and time.monotonic() - moved < _STUCK_S and service.poll() is None:
        before, stored = stored, _number(stand, "count_stored")
        if stored > before:
            moved = time.monotonic()
        time.sleep(_LOOK_S)
    return stored


def _number(stand: Stand, name: str) -> int:
    row = stand.connection.execute(_SQL[name]).fetchone()
    assert row is not None
    return int(row[0])


def _tell(
    stand: Stand, report: Report, course: _Course, per: int, seconds: int, *, sent: int, spent: Spent,
    checkpoints: int, memory: tuple[float, float],
) -> None:  # fmt: skip
    minute = min(_MINUTE_S, seconds / 3)
    end_s = course.marks[-1][0]
    first, first_us = course.rate(0.0, minute)
    last, last_us = course.rate(end_s - minute, end_s)
    days: dict[str, int] = dict(stand.connection.execute(_SQL["count_days"]).fetchall())
    each = {f"{name}_us": round(used / sent * 1e6, 1) for name, used in spent.seconds.items()}
    name = f"durable events, {per} a message{stand.words}, {seconds} s, over midnight"
    report.say(
        f"{name}: {first:,.0f} a second at first, {last:,.0f} at last; {checkpoints} checkpoints; {days}"
    )
    report.add(
        f"{name}, last minute", last, "events/s", first, [Peer("its first minute", first)],
        whole=round(course.rate(0.0, end_s)[0]), events=sent, cpu_an_event=each, checkpoints=checkpoints, days=days,
        ingest_us_first_and_last=(round(first_us, 1), round(last_us, 1)), memory_mb_first_and_last=memory,
    )  # fmt: skip
