"""A day of history of a hundred sites enters at the edges' own order and pace; how soon a live opening is seen leaves.

Each site has its spool and its ``SendOrder`` as in the edge; only the hundred links are one client's, for the machine has
two cores. Seen means: the household's state, which every page reads, carries an evidence of after the publication. It
is written at the next whole second, so half a second is what an idle system takes in the middle.
"""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import psycopg

from edge.sending import SendOrder, join_messages
from edge.spool import Spool
from kaimen import wire
from kaimen.clock import as_datetime
from kaimen.settings import EdgeSettings
from tests.experiments.stage import WALL, Outcome, outcome, rows_of, say, world
from tests.fix_servers import nats_server, postgres_server
from tests.integration.ingest_street import DAY, Door, Publisher, device_id, household_id, lay_out

SITES = int(os.environ.get("KAIMEN_TEST_SITES", "100"))
HOMES = int(os.environ.get("KAIMEN_TEST_HOMES_A_SITE", "10"))
EVENTS_A_DAY = 40
MEASURED = "measured"
GIVE_UP_S = 60.0
_STORED = (
    "SELECT count(*) FROM door_events e JOIN devices d ON d.no = e.device_no WHERE d.site_id LIKE 'site-%'"
)


class Backlog:
    """Edges after a day without a link."""

    def __init__(self, broker_url: str, now_ms: int) -> None:
        self._publisher = Publisher(broker_url)
        self._now_ms = now_ms
        self._stop, self._ready, self._go = threading.Event(), threading.Event(), threading.Event()
        self.sent = 0
        self.messages = 0
        self.total = SITES * HOMES * EVENTS_A_DAY
        self.all_sent_s: float | None = None
        self._thread = threading.Thread(target=self._replay)
        self._thread.start()
        assert self._ready.wait(300)

    def _site(self, site: str) -> SendOrder:
        booted_ms = self._now_ms - 2 * DAY
        spool = Spool(":memory:", bytes_max=1 << 30, days_max=45)
        doors = [
            Door(device_id(home, site), site, f"{random.getrandbits(64):016x}", booted_ms)
            for home in range(1, HOMES + 1)
        ]
        with spool.transaction():
            for step in range(EVENTS_A_DAY):
                at_ms = self._now_ms - DAY + step * (DAY // EVENTS_A_DAY)
                for door in doors:
                    event = door.event(at_ms, hist=True, state="Closed" if step % 2 else "Open")
                    spool.append(
                        topic=door.topic("evt"), device=door.device, boot=door.boot, seq=event.seq,
                        payload=wire.format_event(event), created_ms=at_ms,
                    )  # fmt: skip
        return SendOrder(spool, per_s=EdgeSettings().edge_backlog_per_s)

    def _replay(self) -> None:
        # A spool belongs to the thread that opened it.
        sites = [self._site(f"site-{number}") for number in range(SITES)]
        self._ready.set()
        self._go.wait()
        began = time.monotonic()
        for order in sites:
            order.begin(began)
        while not self._stop.wait(0.02) and self.sent < self.total:
            for order in sites:
                # Beyond the first, so many publications may be on their way as the edge allows in its turn.
                for in_flight in range(12):
                    chosen = order.next(time.monotonic(), backlog_in_flight=in_flight)
                    if chosen is None:
                        break
                    topic, payload = join_messages(chosen[1])
                    self._publisher._client.publish(topic, payload, qos=1)
                    order.sent(*chosen)
                    self.sent += len(chosen[1])
                    self.messages += 1
        self.all_sent_s = time.monotonic() - began

    def start(self) -> None:
        self._go.set()

    def stop(self) -> None:
        self._stop.set()
        self._go.set()
        self._thread.join()
        self._publisher.close()


class Watched:
    """One home whose door opens now and again, and how soon her state shows each opening."""

    def __init__(self, url: str, broker_url: str) -> None:
        self._url = url
        self._publisher = Publisher(broker_url)
        self._door = Door(device_id(1, MEASURED), MEASURED, f"{random.getrandbits(64):016x}", WALL.now_ms())
        self.opened = 0

    def measure(self, seconds: float) -> list[float]:
        """Publish openings one by one and wait until her state shows each; return the seconds that took, sorted."""
        spans = []
        with psycopg.connect(self._url, autocommit=True) as connection:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                spans.append(self._one(connection))
                time.sleep(random.uniform(0.05, 0.4))
        return sorted(spans)

    def _one(self, connection: psycopg.Connection[tuple[object, ...]]) -> float:
        at_ms, began = WALL.now_ms(), time.monotonic()
        self._publisher._client.publish(*self._door.opening(at_ms), qos=1)
        self.opened += 1
        while time.monotonic() - began < GIVE_UP_S:
            row = connection.execute(
                "SELECT evidence_at >= %s FROM household_states WHERE household_id = %s",
                (as_datetime(at_ms), household_id(1, MEASURED)),
            ).fetchone()
            if row is not None and row[0]:
                return time.monotonic() - began
            time.sleep(0.005)
        return GIVE_UP_S

    def close(self) -> None:
        self._publisher.close()


def words_of(spans: list[float]) -> str:
    def at(share: float) -> float:
        return spans[min(len(spans) - 1, int(share * len(spans)))]

    return f"p50 {at(0.5):.2f} s, p99 {at(0.99):.2f} s, longest {spans[-1]:.2f} s ({len(spans)} openings)"


def backlog_beside_live(seconds: float, folder: Path) -> Outcome:
    """A hundred sites come back with a day of history at the edges' pace, while doors open now."""
    began = time.monotonic()
    now_ms = WALL.now_ms()

    def lay_out_sites(url: str) -> None:
        lay_out(url, site=MEASURED, watched_from_ms=now_ms - DAY // 2)
        for number in range(SITES):
            lay_out(url, homes=HOMES, site=f"site-{number}", watched_from_ms=now_ms - 2 * DAY)

    with (
        postgres_server(durable=True) as postgres,
        nats_server() as broker,
        world(postgres, broker.url, folder, lay_out_more=lay_out_sites) as (url, doors, _),
    ):
        history, watched = Backlog(broker.url, now_ms), Watched(url, broker.url)
        try:
            say(f"alone: an opening is seen after {words_of(watched.measure(20))}", began)
            history.start()
            spans: list[float] = []
            stored, until = 0, time.monotonic() + seconds
            while time.monotonic() < until and stored < history.total:
                spans = sorted(spans + watched.measure(10))
                stored = rows_of(url, _STORED)[0][0]
                say(
                    f"sent {history.sent} of {history.total} in {history.messages} messages, stored {stored};"
                    f" so far {words_of(spans)}", began,
                )  # fmt: skip
            say(f"beside the backlog: an opening is seen after {words_of(spans)}", began)
        finally:
            history.stop()
            watched.close()
        found = outcome(url, doors, more=history.sent + watched.opened, within_s=600)
        say(found.words(), began)
        return found
