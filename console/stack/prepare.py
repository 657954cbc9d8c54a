"""Gives a new demo its past: an empty database enters; people, thirty days of doors, cases and sign-ins leave in it.

Run once as a process of its own, for the detector's compiler is heavy and nobody needs it afterwards. Killed at any
point, the next start begins again with an empty database: the marker is written last.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from alerts.worker import Worker
from console.stack import staff
from console.stack.folder import StackFolder, write_json
from console.stack.history import read_frames
from console.stack.registers import SignIn, add_edge, add_sign_ins, fill_registers, foreign_homes
from console.stack.story import StreetChoice, choose_street, load_choice, look_at_homes, save_choice
from console.stack.supervisor import python_module
from firmware_sim.people import Community
from firmware_sim.residents import DAY_MS, HOUR_MS, MINUTE_MS
from firmware_sim.street import Delivery
from kaimen.clock import ClockSetting, ManualClock, SystemClock, as_datetime, write_clock
from kaimen.database import connect, open_pool, transaction
from kaimen.logs import get_logger, set_up_logs

#: Alerts follow the past in steps of this many messages, about four hours of a community of 300.
MESSAGES_PER_STEP = 2_000
#: The last morning is told more closely, so that what came up a quarter of an hour ago came up then.
MESSAGES_PER_LATE_STEP = ((6 * HOUR_MS, 300), (90 * MINUTE_MS, 80))
TURNS_PER_STEP_MAX = 50

log = get_logger()


def prepare(folder: StackFolder, database_url: str, choice: StreetChoice) -> None:
    """Fill a fresh database and the directory of a demo."""
    community = choice.make()
    with subprocess.Popen(
        [*python_module("console.stack.history"), str(folder.root)], stdout=subprocess.PIPE
    ) as player:
        assert player.stdout is not None
        try:
            with connect(database_url, service="prepare") as connection:
                fill_registers(connection, community, now_ms=choice.now_ms)
                shut = look_at_homes(community, choice.now_ms)
                sign_ins = add_sign_ins(connection, community, shut=shut, now_ms=choice.start_ms)
            _store_past(database_url, choice, player.stdout)
        finally:
            if sys.exc_info()[0] is not None:
                player.kill()
    if player.returncode != 0:
        raise RuntimeError("the history was not played to its end")
    with connect(database_url, service="prepare") as connection:
        add_edge(connection, community, now_ms=choice.now_ms)
        staff.keep_rosters(connection, community.site_id, now=as_datetime(choice.now_ms))
    write_edge_devices(folder, community)
    _write_sign_ins(folder, sign_ins)
    write_clock(folder.clock, ClockSetting(SystemClock().now_ms(), choice.now_ms, 0.0))


def _store_past(database_url: str, choice: StreetChoice, stream: IO[bytes]) -> None:
    from ingest.backfill import backfill  # the compiler: load it while the first days are being played

    office = Office(database_url, choice)
    with closing(office), _progress_bar(choice) as bar:
        watched = _Watched(read_frames(stream))

        def after_step(_messages: int) -> None:
            office.follow(watched.latest_ms)
            bar.update((watched.latest_ms - choice.start_ms) / DAY_MS - bar.n)

        report = backfill(
            database_url, watched, until_ms=choice.now_ms, progress=after_step,
            messages_per_transaction=lambda at_ms: _messages_per_step(choice.now_ms - at_ms),
        )  # fmt: skip
        office.follow(choice.now_ms)
        bar.update((choice.now_ms - choice.start_ms) / DAY_MS - bar.n)
    log.info("the past is stored", messages=report.messages, events=report.events)


def _messages_per_step(left_ms: int) -> int:
    """Return how many messages are told at once where so much is left until the demo begins."""
    return min(
        (count for within_ms, count in MESSAGES_PER_LATE_STEP if left_ms < within_ms),
        default=MESSAGES_PER_STEP,
    )


class _Watched:
    """Passes messages on and remembers when the latest was received."""

    def __init__(self, deliveries: Iterator[Delivery]) -> None:
        self._deliveries = deliveries
        self.latest_ms = 0

    def __iter__(self) -> Iterator[Delivery]:
        for delivery in self._deliveries:
            self.latest_ms = delivery[0]
            yield delivery


def _progress_bar(choice: StreetChoice) -> tqdm[Any]:
    return tqdm(
        total=(choice.now_ms - choice.start_ms) / DAY_MS,
        desc="playing thirty days of doors",
        file=sys.stderr,
        disable=None,
        bar_format="{desc} {bar} {n:.0f}/{total:.0f} [{elapsed}<{remaining}]",
    )


class Office:
    """Alerts and the desk of the past: they see each fact when it happened, not when it is stored."""

    def __init__(self, database_url: str, choice: StreetChoice) -> None:
        self._pool = open_pool(database_url, service="prepare", size_max=2)
        self._clock = ManualClock(choice.start_ms)
        self._worker = Worker(pool=self._pool, clock=self._clock, name="prepare")
        self._ahead_until_ms = choice.now_ms - MESSAGES_PER_LATE_STEP[0][0] - HOUR_MS
        with transaction(self._pool) as connection:
            self._people = staff.people_of(connection)

    def follow(self, now_ms: int) -> None:
        """Let alerts and the desk do what was due by then."""
        self._clock.advance_to(max(now_ms, self._clock.now_ms()))
        for _ in range(TURNS_PER_STEP_MAX):
            report = self._worker.turn()
            if not (report.handled or report.timers or report.more):
                break
        ahead = self._clock.now_ms() < self._ahead_until_ms
        with transaction(self._pool) as connection:
            staff.work(connection, self._people, now=as_datetime(self._clock.now_ms()), ahead=ahead)

    def close(self) -> None:
        with transaction(self._pool) as connection:
            # What stood on the desk's screen in the past is nobody's news today.
            connection.execute(
                "UPDATE outbox SET state = 'superseded' WHERE state = 'planned'"
                " AND case_id IN (SELECT id FROM cases WHERE state = 'closed')"
            )
        self._pool.close()


def write_edge_devices(folder: StackFolder, community: Community) -> None:
    """Write the edge's device table: which doors another maker's bridge speaks of."""
    write_json(
        folder.edge_devices,
        [
            {
                "source": f"zigbee2mqtt/{home.label}", "site": community.site_id, "device": home.door_id,
                "door": home.label, "dialect": "zigbee2mqtt", "vendor": "simulated", "model": "contact",
                "supervision_s": community.device_by_id[home.door_id].supervision_s,
            }
            for home in foreign_homes(community)
        ],
    )  # fmt: skip


def _write_sign_ins(folder: StackFolder, sign_ins: list[SignIn]) -> None:
    write_json(
        folder.sign_ins,
        {
            item.role.value: {"user": item.user, "password": item.password, "token": item.token}
            for item in sign_ins
        },
    )


def main() -> int:
    """Prepare the demo of KAIMEN_STACK_DIR in the database of KAIMEN_DATABASE_URL."""
    set_up_logs("prepare", level=os.environ.get("KAIMEN_LOG_LEVEL", "INFO"))
    folder = StackFolder(Path(os.environ["KAIMEN_STACK_DIR"]))
    choice = load_choice(folder)
    if choice is None:
        choice = choose_street(SystemClock().now_ms())
        save_choice(folder, choice)
    log.info("a street is chosen", seed=choice.seed, now=as_datetime(choice.now_ms).isoformat())
    started = time.monotonic()
    prepare(folder, os.environ["KAIMEN_DATABASE_URL"], choice)
    log.info("the demo is prepared", duration_ms=int((time.monotonic() - started) * 1000))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
