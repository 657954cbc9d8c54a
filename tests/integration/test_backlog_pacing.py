"""Edges with a backlog each, one broker, and an ingest that is slow: they are told to be slower, and nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.gateway import Gateway
from edge.spool import Spool
from ingest.pulse import GroupLoop
from ingest.store import Turn, Writing
from kaimen import wire
from kaimen.clock import SystemClock, as_datetime
from kaimen.settings import EdgeSettings
from tests.fix_servers import wait_until
from tests.integration.ingest_street import (
    DAY,
    HOUR,
    MINUTE,
    SITE,
    Door,
    count,
    device_id,
    lay_out,
    publishing,
    street,
)

EDGES, DOORS, EVENTS = 3, 5, 300
#: What a slow disk would take for each event.
SLOW_S = 0.004


def edge_site(number: int) -> str:
    return f"edge-{number}"


@contextmanager
def edge_with_backlog(number: int, broker_url: str, folder: Path, now_ms: int) -> Iterator[Gateway]:
    """An edge that was without a link for hours."""
    site = edge_site(number)
    doors = [
        Door(device_id(home, site), site, f"{number:08x}{home:08x}", now_ms - DAY)
        for home in range(1, DOORS + 1)
    ]
    made: list[Gateway] = []
    begun = threading.Event()

    def work() -> None:  # a spool belongs to the thread that opened it
        spool = Spool(folder / f"{site}.sqlite", bytes_max=1 << 30, days_max=45)
        with spool.transaction():
            for step in range(EVENTS // DOORS):
                at_ms = now_ms - HOUR + step * MINUTE
                for door in doors:
                    event = door.event(at_ms, hist=True, state="Closed" if step % 2 else "Open")
                    spool.append(
                        topic=door.topic("evt"), device=door.device, boot=door.boot, seq=event.seq,
                        payload=wire.format_event(event), created_ms=at_ms,
                    )  # fmt: skip
        settings = EdgeSettings(
            broker_url=broker_url, edge_id=f"gateway-{site}", edge_site=site, edge_backlog_per_s=100
        )
        made.append(Gateway(settings, SystemClock(), spool))
        begun.set()
        try:
            made[0].run()
        finally:
            spool.close()

    thread = threading.Thread(target=work, name=site)
    thread.start()
    try:
        assert begun.wait(60)
        yield made[0]
    finally:
        made[0].stop()
        thread.join(60)
        assert not thread.is_alive()


class SlowDisk:
    """Lets each turn of a worker take as long as its events would on a slow disk, until it is ``quick``."""

    def __init__(self, loop: GroupLoop) -> None:
        self.quick = threading.Event()
        self._begin = loop._store.begin
        loop._store.begin = self._slowly  # type: ignore[method-assign]

    @contextmanager
    def _slowly(self, *given: Any, **named: Any) -> Iterator[Writing]:
        with self._begin(*given, **named) as writing:
            finish = writing.finish

            def slowly(turn: Turn) -> int:
                self.quick.wait(len(turn.events) * SLOW_S)
                return finish(turn)

            writing.finish = slowly  # type: ignore[method-assign]
            yield writing


def told(gateway: Gateway) -> float | None:
    order = gateway._upstream._order._told
    return None if order is None else order[0]


@pytest.mark.one_store
def test_edges_that_come_back_together_are_paced_and_an_opening_of_now_does_not_wait_for_them(
    database_url: str, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.groups.edge_pacing.DECIDE_EVERY_S", 0.3)
    monkeypatch.setattr("ingest.groups.edge_pacing.PRESSED_S", 0.3)
    monkeypatch.setattr("ingest.groups.edge_pacing.FASTER", 1_000.0)
    monkeypatch.setattr("ingest.session.pace.ARRAYS_BYTES_FIRST", 16 * 1024)
    monkeypatch.setattr("ingest.session.pace.ARRAYS_BYTES_MIN", 16 * 1024)
    now_ms = SystemClock().now_ms()
    lay_out(database_url, watched_from_ms=now_ms - DAY)
    for number in range(EDGES):
        lay_out(
            database_url, homes=DOORS, site=edge_site(number), watched_from_ms=now_ms - 2 * DAY, gateway=True
        )
    with (
        street(database_url, broker_url, tmp_path, clock="system") as made,
        publishing(broker_url) as publisher,
    ):
        disk = SlowDisk(made.start().loops[0])
        with (
            edge_with_backlog(0, broker_url, tmp_path, now_ms) as first,
            edge_with_backlog(1, broker_url, tmp_path, now_ms) as second,
            edge_with_backlog(2, broker_url, tmp_path, now_ms) as third,
        ):
            edges = (first, second, third)
            wait_until(lambda: all(told(edge) is not None for edge in edges), "the edges are told a pace")
            pace = told(first)
            assert pace is not None and pace < 100
            door = Door(device_id(1), SITE, "ab" * 8, now_ms - HOUR)
            opened_ms = SystemClock().now_ms()
            began = time.monotonic()
            publisher.send(*door.opening(opened_ms))
            made.wait_for("household_states", 1, f"evidence_at >= '{as_datetime(opened_ms)}'")
            took_s, behind = time.monotonic() - began, count(database_url, "door_events")
            assert behind < EDGES * EVENTS, f"the opening was seen after {took_s:.1f} s, behind the backlog"
            disk.quick.set()
            made.wait_for("door_events", EDGES * EVENTS + 1)
            wait_until(lambda: all(told(edge) is None for edge in edges), "the edges are let go")
    stored = "SELECT device_no, boot, seq FROM door_events GROUP BY 1, 2, 3"
    assert (
        count(database_url, f"({stored}) AS one") == count(database_url, "door_events") == EDGES * EVENTS + 1
    )
    assert count(database_url, "quarantine") == 0
