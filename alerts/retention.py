"""How long what is kept: periods and an instant enter, rows that are due go, a report of how many leaves.

Each class goes in a transaction of its own, in batches, so that a lock it waits for, or a row somebody still needs,
holds up nothing else; what fails is in the report and tried again the next night. Nothing of a home under a legal hold
goes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout

from kaimen.clock import Clock, as_datetime
from kaimen.database import Connection, Pool, queries, transaction
from kaimen.logs import get_logger
from kaimen.tiers import pack_days

_SQL = queries("alerts", "retention.sql")
log = get_logger()

#: The detector reads so far back after a restart (ingest.rows.event_rows.CLAMP_PAST_MS); younger events stay in their place.
EVENTS_READ_FOR = timedelta(days=91)
#: Notes of what changed of the registry: whoever runs takes each within a minute, whoever starts needs none.
NOTES_KEPT_FOR = timedelta(days=7)
BATCH = 2_000
BATCHES_MAX = 500
_LOCK_TIMEOUT = "2s"
_LOOK_EVERY_S = 60.0
#: Once a night, when few doors open; a night that was missed is made up for.
_NIGHT_HOUR = 3
_ZONE = timezone(timedelta(hours=8))
_EVENT_CLASSES = ("event_holders", "door_events")
#: In this order: a message goes before the case it was about.
CLASSES = (
    "event_holders", "door_events", "quarantine", "messages", "facts", "happenings", "checks", "signals", "cases", "absences",
    "words", "consents", "passes", "leases", "desk_notes", "addresses", "reviews",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """How many days a class is kept, and between which bounds that may be chosen."""

    name: str
    keep_days: int
    least_days: int
    most_days: int
    changed_at: datetime | None = None
    changed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """What a run did to one class: rows older than ``before`` that went, or would go; ``failure`` where it did not."""

    before: datetime
    rows: int
    held: int
    failure: str = ""

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"before": self.before.isoformat(), "rows": self.rows, "held": self.held}
        return {**found, "failure": self.failure} if self.failure else found


def load_rules(connection: Connection) -> dict[str, Rule]:
    """Return the period of every class."""
    rows = connection.execute(_SQL["rules"]).fetchall()
    return {
        row["class"]: Rule(
            row["class"], row["keep_days"], row["least_days"], row["most_days"], row["changed_at"], row["changed_by"]
        )
        for row in rows
    }  # fmt: skip


def change_rule(connection: Connection, name: str, days: int, *, by: str, now: datetime) -> bool:
    """Keep a class for another number of days; False where the class or the bounds do not allow it."""
    values = {"class": name, "days": days, "by": by, "now": now}
    return connection.execute(_SQL["rule_change"], values).rowcount == 1


def load_runs(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Return the newest runs with their reports, newest first."""
    return connection.execute(_SQL["runs"], {"limit": limit}).fetchall()


def run_retention(
    pool: Pool, *, now: datetime, by: str, dry: bool, only: tuple[str, ...] = CLASSES
) -> Mapping[str, Removed]:
    """Remove what is due in every class and write the report down; with ``dry`` only count it."""
    report: dict[str, Removed] = {}
    with transaction(pool) as connection:
        rules = load_rules(connection)
    for name in only:
        report[name] = _run_class(pool, rules[name], now=now, dry=dry)
    with transaction(pool) as connection:
        words = {name: removed.as_json() for name, removed in report.items()}
        connection.execute(
            _SQL["run_add"], {"now": now, "by": by, "dry": dry, "report": json.dumps(words, sort_keys=True)}
        )
    return report


def _run_class(pool: Pool, rule: Rule, *, now: datetime, dry: bool) -> Removed:
    before = now - timedelta(days=rule.keep_days)
    rows = held_count = 0
    try:
        for _ in range(BATCHES_MAX):
            with transaction(pool) as connection:
                connection.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
                held = connection.execute(_SQL["held"], {"now": now}).fetchall()
                held_count = len(held)
                if rule.name in _EVENT_CLASSES:
                    return Removed(before, _run_events(connection, rule.name, before, held, dry), held_count)
                found = _run_batch(connection, rule.name, before, [row["household_id"] for row in held], dry)
            rows += found
            if dry or found < BATCH:
                break
    except psycopg.Error as error:
        log.warning("a class of data was not removed", kind=rule.name, error=type(error).__name__)
        return Removed(before, rows, held_count, type(error).__name__)
    return Removed(before, rows, held_count)


def _run_events(
    connection: Connection, name: str, before: datetime, held: list[dict[str, Any]], dry: bool
) -> int:
    values: dict[str, Any] = {"before": before, "held_nos": [row["no"] for row in held], "dry": dry}
    if name == "event_holders":
        done = connection.execute(_SQL["holders_done"]).fetchone()
        begin = done["before"] if done is not None and done["before"] is not None else None
        # What comes in late may be as old as the detector reads back; a day more for the clocks of devices.
        values["from_at"] = (
            begin - timedelta(days=1) if begin is not None else datetime(2000, 1, 1, tzinfo=before.tzinfo)
        )
    row = connection.execute(_SQL[name], values).fetchone()
    return int(row["count"]) if row else 0


def _run_batch(connection: Connection, name: str, before: datetime, held: list[str], dry: bool) -> int:
    limit = BATCH * BATCHES_MAX if dry else BATCH
    due = connection.execute(_SQL[f"{name}_due"], {"before": before, "held": held, "limit": limit}).fetchall()
    if due and not dry:
        ids = [row["id"] for row in due]
        number = 1
        while (statement := _SQL.get(f"{name}_{number}")) is not None:
            connection.execute(statement, {"ids": ids})
            number += 1
    return len(due)


@dataclass(slots=True)
class Keeper:
    """Runs retention once a night, and packs days that are over; ``turn`` may be called by a test, ``run`` is the service."""

    pool: Pool
    clock: Clock
    runs: int = field(default=0, init=False)

    def turn(self) -> Mapping[str, Removed] | None:
        """Run where this night's run is still owed, in one process at a time; None where nothing is owed."""
        now = as_datetime(self.clock.now_ms())
        with transaction(self.pool) as connection:
            # The lock is held by this transaction for as long as the run takes; the classes have their own.
            lock = connection.execute(_SQL["try_lock"]).fetchone()
            last = connection.execute(_SQL["run_last"]).fetchone()
            if not (lock and lock["locked"]) or not is_owed(now, None if last is None else last["at"]):
                return None
            report = run_retention(self.pool, now=now, by="service", dry=False)
            connection.execute(_SQL["forget_registry_notes"], {"before": now - NOTES_KEPT_FOR})
            packed, left = pack_days(self.pool, now)
        self.runs += 1
        log.info(
            "retention ran", count=sum(removed.rows for removed in report.values()), packed=packed, left=left
        )
        return report

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(_LOOK_EVERY_S):
            try:
                self.turn()
            except (psycopg.Error, PoolTimeout) as error:
                log.warning("retention waits", error=type(error).__name__)


def is_owed(now: datetime, last: datetime | None) -> bool:
    """Say whether the night's run is owed: three o'clock has passed since the last one."""
    local = now.astimezone(_ZONE)
    night = local.replace(hour=_NIGHT_HOUR, minute=0, second=0, microsecond=0)
    if local < night:
        night -= timedelta(days=1)
    return last is None or last < night
