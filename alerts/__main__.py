"""The alerts service: settings enter; one worker, its couriers and a listener for metrics run until SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import psycopg

from alerts import figures, metrics
from alerts.channels import Channel, Lane, open_channels, traits_of
from alerts.retention import Keeper
from alerts.sending.addresses import AddressBook, open_address_book
from alerts.sending.courier import Courier
from alerts.sending.digest import Digest
from alerts.sending.homecoming import HomeNotices
from alerts.sending.mirror import Mirror
from alerts.sending.recipients import CONSOLE
from alerts.voice.opening import open_dialler
from alerts.worker import Worker
from kaimen.clock import Clock, SystemClock, as_datetime, open_clock
from kaimen.database import Connection, Pool, open_pool, queries, transaction, why_away
from kaimen.logs import get_logger, set_up_logs
from kaimen.metrics import serve_metrics
from kaimen.settings import AlertsSettings

log = get_logger()

_OUTBOX = queries("alerts.sending", "outbox.sql")
#: A day of attempts is all that any bound counts.
_FORGET_AFTER = timedelta(days=1)
_MEASURE_EVERY_S = 5.0
#: Figures of a day change slowly and are not cheap.
_FIGURES_EVERY_TURNS = 24
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
    addresses = open_address_book(settings.address_key_file)
    couriers = make_couriers(settings, pool, clock, channels, addresses)
    with transaction(pool) as connection:
        note_channels(connection, channels)

    def wake_couriers() -> None:
        for courier in couriers:
            courier.wake.set()

    worker = Worker(
        pool=pool,
        clock=clock,
        name=settings.alerts_worker,
        claim_max=settings.alerts_claim_max,
        outside_channels=tuple(
            name for name, channel in channels.items() if name != CONSOLE and not traits_of(channel).personal
        ),
        on_messages=wake_couriers,
    )
    wait_s = _COURIER_WAIT_SCALED_S if scaled else _COURIER_WAIT_S
    threads = [
        threading.Thread(target=courier.run, args=(stop,), kwargs={"wait_s": wait_s}, name=courier.name)
        for courier in couriers
    ]
    threads += _diallers(settings, clock, stop)
    threads.append(threading.Thread(target=_measure, args=(pool, clock, worker, stop), name="measure"))
    mirror = Mirror(pool, clock, channels, settings.public_url)
    threads.append(threading.Thread(target=mirror.run, args=(stop,), name="mirror"))
    personal = tuple(name for name, channel in channels.items() if traits_of(channel).personal)
    notices = HomeNotices(pool, clock, wake_couriers, personal)
    threads.append(
        threading.Thread(target=notices.run, args=(stop,), kwargs={"scaled": scaled}, name="homecoming")
    )
    threads.append(threading.Thread(target=Keeper(pool, clock).run, args=(stop,), name="retention"))
    if personal:
        digest = Digest(pool, clock, personal)
        threads.append(threading.Thread(target=digest.run, args=(stop,), name="digest"))
    with _running(threads, stop), _listening(settings, worker, threads):
        log.info("alerts runs", worker=settings.alerts_worker, count=len(channels))
        worker.run(stop, database_url=settings.database_url, turn_s=settings.alerts_turn_s, scaled=scaled)
        wake_couriers()
    log.info("alerts stopped", worker=settings.alerts_worker)
    return 0


def make_couriers(
    settings: AlertsSettings,
    pool: Pool,
    clock: Clock,
    channels: Mapping[str, Channel],
    addresses: AddressBook,
) -> list[Courier]:
    """Return the senders: one for each channel, so that a provider in trouble holds up no other; for channels that
    go outside a second one, which sends the life lane alone and never waits behind a list.
    """
    couriers = []
    for name, channel in channels.items():
        for lane, word in ((Lane.DIGEST, "all"), (Lane.LIFE, "life")):
            if name == CONSOLE and lane is Lane.LIFE:
                continue
            worker = f"{settings.alerts_worker}/{name}/{word}"
            courier = Courier(pool, clock, {name: channel}, worker, settings.public_url)
            courier.lane_max, courier.addresses = lane, addresses
            couriers.append(courier)
    return couriers


def note_channels(connection: Connection, channels: Mapping[str, Channel]) -> None:
    """Tell the database which channels there are: acts at the console and its page of channels look there."""
    wall = as_datetime(SystemClock().now_ms())
    for name, channel in channels.items():
        values = {"channel": name, "wall": wall, "personal": traits_of(channel).personal}
        connection.execute(_OUTBOX["channel_opened"], values)
    connection.execute(_OUTBOX["channels_closed"], {"channels": list(channels)})


def _diallers(settings: AlertsSettings, clock: Clock, stop: threading.Event) -> list[threading.Thread]:
    dialler = open_dialler(settings, clock)
    if dialler is None:
        return []
    return [
        threading.Thread(
            target=dialler.run_alone,
            args=(stop,),
            kwargs={"database_url": settings.database_url},
            name=dialler.name,
        )
    ]


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
    turns = 0
    while not stop.wait(_MEASURE_EVERY_S):
        try:
            with transaction(pool) as connection:
                now = as_datetime(clock.now_ms())
                metrics.measure(connection, now=now, done_up_to=worker.done_up_to)
                if turns % _FIGURES_EVERY_TURNS == 0:
                    figures.measure(connection, now=now)
                turns += 1
                before = as_datetime(SystemClock().now_ms()) - _FORGET_AFTER
                connection.execute(_OUTBOX["forget_sendings"], {"before": before})
        except psycopg.OperationalError as error:
            log.warning("the database is away", error=why_away(error))


if __name__ == "__main__":
    sys.exit(main(AlertsSettings()))
