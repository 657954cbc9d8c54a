"""The experiments of ``tests/experiments`` in small: the server's clock is set by an hour, gateways lose their broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaimen.clock import SystemClock, as_datetime
from tests.experiments.storm import Gateways
from tests.fix_servers import nats_server, wait_until
from tests.integration.ingest_street import HOUR, SECOND, Door, Publisher, count, lay_out, publishing, street

GATEWAYS = 16
SITE = "storm"


class SetClock(SystemClock):
    """The machine's clock, which somebody sets; the machine's uptime nobody sets."""

    offset_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.offset_ms


@pytest.mark.one_store
def test_a_clock_set_by_an_hour_dates_nothing_and_loses_nothing(
    database_url: str, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, true = SetClock(), SystemClock()
    monkeypatch.setattr("ingest.__main__.open_clock", lambda _name: wall)
    monkeypatch.setattr("ingest.pulse.CLOCK_RETRY_S", 0.2)
    began_ms = true.now_ms()
    lay_out(database_url, homes=6, watched_from_ms=began_ms - HOUR)
    doors = [
        Door(f"door-{number}", boot=f"{number:016x}", booted_ms=began_ms - HOUR) for number in range(1, 7)
    ]

    def beat(publisher: Publisher) -> None:
        for door in doors:
            publisher.send(*door.heartbeat(true.now_ms()), qos=0)

    with street(database_url, broker_url, tmp_path) as made, publishing(broker_url) as publisher:
        worker = made.start(clock="system")
        wall.offset_ms = HOUR
        wait_until(lambda: worker.health()[1].startswith("our clock was set by 3"), "the step is seen")
        publisher.send(*doors[0].opening(true.now_ms()))

        def distrusts() -> bool:
            beat(publisher)
            return "ahead of most devices" in worker.health()[1]

        wait_until(distrusts, "a clock that stays wrong is not gone by", poll_s=0.1)
        assert count(database_url, "door_events") == 0
        wall.offset_ms = 0  # the same the other way: back by an hour, in one step

        def listens_again() -> bool:
            beat(publisher)
            return worker.health() == (True, "listening") and count(database_url, "door_events") == 1

        wait_until(listens_again, "the opening is taken once the clock is right", poll_s=0.1)
    until = as_datetime(true.now_ms() + SECOND)
    assert (
        count(database_url, "door_events", f"received_at NOT BETWEEN '{as_datetime(began_ms)}' AND '{until}'")
        == 0
    )
    assert count(database_url, "happenings", f"at > '{until}'") == 0
    assert count(database_url, "stage_crossings") == count(database_url, "checks_due") == 0


@pytest.mark.one_store
def test_gateways_that_lose_their_broker_together_come_back_and_each_opening_is_stored_once(
    database_url: str, tmp_path: Path
) -> None:
    lay_out(database_url, homes=GATEWAYS, site=SITE, watched_from_ms=SystemClock().now_ms() - HOUR)
    with nats_server() as broker, street(database_url, broker.url, tmp_path) as made:
        made.start(clock="system")
        gateways = Gateways(broker.url, GATEWAYS, SITE, backoff_first_s=0.1)
        gateways.start()
        try:
            broker.program.kill()
            gateways.up_at.clear()
            gateways.open_all()
            wait_until(lambda: len(gateways.attempts) > 2 * GATEWAYS, "gateways look for their broker")
            assert not gateways.answered
            broker.start_again()
            wait_until(
                lambda: len(gateways.answered) == GATEWAYS, "the broker answered for all", within_s=120
            )
            made.wait_for("door_events", GATEWAYS)
        finally:
            gateways.stop()
    distinct = "SELECT DISTINCT device_no, boot, seq FROM door_events"
    assert count(database_url, f"({distinct}) AS one") == count(database_url, "door_events") == GATEWAYS
