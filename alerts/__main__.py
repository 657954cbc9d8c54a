"""The alerts service: settings enter; one worker, its couriers and a listener for metrics run until SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from alerts import metrics
from alerts.channels import Channel, open_channels
from alerts.courier import Courier
from alerts.recipients import CONSOLE
from alerts.worker import Worker
from kaimen.clock import Clock, SystemClock, as_datetime, open_clock
from kaimen.database import Pool, open_pool, transaction
from kaimen.logs import get_logger, set_up_logs
from kaimen.metrics import serve_metrics
from kaimen.settings import AlertsSettings

log = get_logger()

COURIERS = 2
_MEASURE_EVERY_S = 5.0
_COURIER_WAIT_S = 0.5
_COURIER_WAIT_SCALED_S = 0.05
#: Without a finished turn for this long the service is not doing its work.
_TURN_AGE_MAX_MS = 30_000


def main(settings: AlertsSettings) -> int:
    """Run the alerts service; return its exit status."""
    set_up_logs("alerts", level=settings.log_level, form=settings.log_format)
    channels = open_channels(settings)
    clock = open_clock(settings.clock)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    pool = open_pool(settings.database_url, service="alerts", size_max=settings.database_pool_max)
    try:
        return _serve(settings, pool, clock, channels, stop)
    finally:
        pool.close()


def _serve(
    settings: AlertsSettings, pool: Pool, clock: Clock, channels: dict[str, Channel], stop: threading.Event
) -> int:
    scaled = settings.clock != "system"
    couriers = [
        Courier(pool, clock, channels, f"{settings.alerts_worker}/{number}", settings.public_url)
        for number in range(COURIERS)
    ]

    def wake_couriers() -> None:
        for courier in couriers:
            courier.wake.set()

    worker = Worker(
        pool=pool,
        clock=clock,
        name=settings.alerts_worker,
        claim_max=settings.alerts_claim_max,
        outside_channels=tuple(name for name in channels if name != CONSOLE),
        on_messages=wake_couriers,
    )
    wait_s = _COURIER_WAIT_SCALED_S if scaled else _COURIER_WAIT_S
    threads = [
        threading.Thread(target=courier.run, args=(stop,), kwargs={"wait_s": wait_s}, name=courier.name)
        for courier in couriers
    ]
    threads.append(threading.Thread(target=_measure, args=(pool, clock, worker, stop), name="measure"))
    with _running(threads, stop), _listening(settings, worker, threads):
        log.info("alerts runs", worker=settings.alerts_worker, count=len(channels))
        worker.run(stop, database_url=settings.database_url, turn_s=settings.alerts_turn_s, scaled=scaled)
        wake_couriers()
    log.info("alerts stopped", worker=settings.alerts_worker)
    return 0


@contextmanager
def _running(threads: list[threading.Thread], stop: threading.Event) -> Iterator[None]:
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def _listening(settings: AlertsSettings, worker: Worker, threads: list[threading.Thread]) -> Iterator[None]:
    wall = SystemClock()
    started_ms = wall.now_ms()

    def healthy() -> tuple[bool, str]:
        dead = [thread.name for thread in threads if not thread.is_alive()]
        if dead:
            return False, "a sender has ended"
        age_ms = wall.now_ms() - (worker.turned_wall_ms or started_ms)
        return age_ms < _TURN_AGE_MAX_MS, f"last turn {age_ms} ms ago"

    server = serve_metrics(settings.metrics_host, settings.metrics_port, healthy)
    try:
        yield
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()


def _measure(pool: Pool, clock: Clock, worker: Worker, stop: threading.Event) -> None:
    while not stop.wait(_MEASURE_EVERY_S):
        try:
            with transaction(pool) as connection:
                now = as_datetime(clock.now_ms())
                metrics.measure(connection, now=now, done_up_to=worker.done_up_to)
        except psycopg.OperationalError as error:
            log.warning("the database is away", error=type(error).__name__)


if __name__ == "__main__":
    sys.exit(main(AlertsSettings()))
