"""A small town for the integration tests of alerts: a database address enters, rows that ingest would write leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from alerts.worker import Worker
from kaimen.clock import ManualClock, as_datetime, as_ms
from kaimen.database import Pool, open_pool

#: 09:00 in Shanghai on a Monday.
MORNING = datetime(2025, 11, 17, 1, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)

_PEOPLE = """
INSERT INTO communities (id, name) VALUES ('c1', 'Linden Court'), ('c2', 'River View');
INSERT INTO sites (id, community_id, name) VALUES ('s1', 'c1', 'one'), ('s2', 'c2', 'two');
INSERT INTO users (name, display_name, password_hash, role, community_id, created_at) VALUES
  ('clerk', 'Clerk', '', 'property_clerk', 'c1', '2025-01-01'),
  ('second', 'Second', '', 'property_clerk', 'c1', '2025-01-01'),
  ('officer', 'Officer', '', 'police_officer', 'c1', '2025-01-01'),
  ('watcher', 'Watcher', '', 'neighbour_watcher', 'c1', '2025-01-01'),
  ('daughter', 'Daughter', '', 'family', 'c1', '2025-01-01');
"""


@dataclass
class Town:
    """One database with two communities; ``now`` is moved by hand, ingest is played by the test."""

    url: str
    pool: Pool
    clock: ManualClock
    users: dict[str, int] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        return as_datetime(self.clock.now_ms())

    def worker(self, name: str = "w1", **further: Any) -> Worker:
        return Worker(pool=self.pool, clock=self.clock, name=name, **further)

    def at(self, now: datetime) -> datetime:
        self.clock.advance_to(as_ms(now))
        return now

    def rows(self, statement: str, *args: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.url, row_factory=dict_row, options="-c timezone=UTC") as connection:
            cursor = connection.execute(statement, args)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def row(self, statement: str, *args: object) -> dict[str, Any]:
        rows = self.rows(statement, *args)
        assert len(rows) == 1, f"{len(rows)} rows instead of one"
        return rows[0]

    def settle(self, worker: Worker | None = None) -> None:
        """Turn until nothing is left to do at this instant."""
        worker = worker or self.worker()
        for _ in range(200):
            report = worker.turn()
            if not report.more and not report.handled and not report.timers:
                return
        raise AssertionError("the worker never comes to rest")

    # --- the registry --------------------------------------------------------------------------------------------

    def household(
        self, household_id: str, *, site: str = "s1", helpers: Sequence[str] = (), family: Sequence[str] = ()
    ) -> str:
        device = f"door-{household_id}"
        self.rows(
            "INSERT INTO households (id, site_id, label, building, unit, floor, room, watched_from)"
            " VALUES (%s, %s, %s, '3', '1', 12, '01', '2025-01-01')",
            household_id, site, household_id,
        )  # fmt: skip
        self.rows(
            "INSERT INTO devices (id, site_id, kind, registered_at) VALUES (%s, %s, 'contact', '2025-01-01')",
            device, site,
        )  # fmt: skip
        self.rows(
            "INSERT INTO household_doors (household_id, device_id, role) VALUES (%s, %s, 'dwelling')",
            household_id, device,
        )  # fmt: skip
        self.rows(
            "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES (%s, 'watch', 'her', '2025-01-01')",
            household_id,
        )
        for position, role in enumerate(helpers):
            person = f"{household_id}-{role}"
            self.rows("INSERT INTO persons (id, relation) VALUES (%s, 'helper')", person)
            self.rows(
                "INSERT INTO household_contacts (household_id, person_id, role, position) VALUES (%s, %s, %s, %s)",
                household_id, person, role, position,
            )  # fmt: skip
        for name in family:
            self.rows(
                "INSERT INTO user_households (user_id, household_id) VALUES (%s, %s)",
                self.users[name], household_id,
            )  # fmt: skip
            self.rows(
                "INSERT INTO consents (household_id, purpose, given_by, given_at)"
                " VALUES (%s, 'notify_family', 'her', '2025-01-01')",
                household_id,
            )  # fmt: skip
        return household_id

    # --- what ingest writes --------------------------------------------------------------------------------------

    def _fact(self, kind: str, household_id: str | None, at: datetime, statement: str, *args: object) -> int:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(statement, args).fetchone()  # type: ignore[arg-type]
            assert row is not None
            connection.execute(
                "INSERT INTO happenings (kind, fact_id, household_id, at) VALUES (%s, %s, %s, %s)",
                (kind, row[0], household_id, at),
            )
            connection.execute("NOTIFY kaimen_happenings")
            return int(row[0])

    def crosses(
        self,
        household_id: str,
        stage: int,
        *,
        evidence_at: datetime | None = None,
        at: datetime | None = None,
    ) -> int:
        at = at or self.now
        return self._fact(
            "crossing", household_id, at,
            "INSERT INTO stage_crossings (household_id, stage, at, announced_at, evidence_at, evidence, inactive_ms,"
            " elapsed_ms, thresholds_ms) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            household_id, stage, at, at, evidence_at or at - stage * DAY, Jsonb({"kind": "opening"}),
            stage * 86_400_000, stage * 86_400_000, [86_400_000, 172_800_000, 259_200_000],
        )  # fmt: skip

    def withdraws(self, crossing_id: int, *, evidence_at: datetime | None = None, late: bool = False,
                  evidence: Mapping[str, Any] | None = None) -> None:  # fmt: skip
        household = self.row("SELECT household_id FROM stage_crossings WHERE id = %s", crossing_id)[
            "household_id"
        ]
        self._fact(
            "withdrawal", household, self.now,
            "INSERT INTO crossing_withdrawals (crossing_id, withdrawn_at, evidence_at, evidence, late)"
            " VALUES (%s, %s, %s, %s, %s) RETURNING crossing_id",
            crossing_id, self.now, evidence_at or self.now, Jsonb(evidence or {"kind": "opening"}), late,
        )  # fmt: skip

    def check_due(self, household_id: str, step: int, *, evidence_at: datetime | None = None) -> int:
        return self._fact(
            "check_due", household_id, self.now,
            "INSERT INTO checks_due (household_id, step, at, noticed_at, evidence_at, evidence, inactive_ms)"
            " VALUES (%s, %s, %s, %s, %s, %s, 0) RETURNING id",
            household_id, step, self.now, self.now, evidence_at or self.now - step * DAY, Jsonb({"kind": "opening"}),
        )  # fmt: skip

    def check_ends(self, check_id: int) -> None:
        household = self.row("SELECT household_id FROM checks_due WHERE id = %s", check_id)["household_id"]
        self._fact(
            "check_ended", household, self.now,
            "INSERT INTO check_ends (check_id, ended_at, evidence_at, evidence) VALUES (%s, %s, %s, %s)"
            " RETURNING check_id",
            check_id, self.now, self.now, Jsonb({"kind": "opening"}),
        )  # fmt: skip

    def goes_out(self, device_id: str, *, cause: str = "device", cause_id: str | None = None) -> int:
        return self._fact(
            "outage_began", None, self.now,
            "INSERT INTO outages (device_id, cause, cause_id, began_at, heard_at) VALUES (%s, %s, %s, %s, %s)"
            " RETURNING id",
            device_id, cause, device_id if cause_id is None else cause_id, self.now, self.now - 3 * MINUTE,
        )  # fmt: skip

    def moves(self, outage_id: int, cause: str, cause_id: str) -> None:
        """The outage belongs to another cause than was told."""
        now = self.row("SELECT cause, cause_id FROM outages_now WHERE id = %s", outage_id)
        self._fact(
            "outage_moved", None, self.now,
            "INSERT INTO outage_moves (outage_id, cause, cause_id, from_cause, from_cause_id, moved_at)"
            " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
            outage_id, cause, cause_id, now["cause"], now["cause_id"], self.now,
        )  # fmt: skip

    def is_heard(self, outage_id: int) -> None:
        self._fact(
            "outage_ended", None, self.now,
            "INSERT INTO outage_ends (outage_id, ended_at) VALUES (%s, %s) RETURNING outage_id",
            outage_id, self.now,
        )  # fmt: skip


@contextmanager
def build_town(url: str, *, now: datetime = MORNING) -> Iterator[Town]:
    pool = open_pool(url, service="test")
    try:
        town = Town(url, pool, ManualClock(as_ms(now)))
        with psycopg.connect(url) as connection:
            connection.execute(_PEOPLE)
        town.users = {row["name"]: row["id"] for row in town.rows("SELECT id, name FROM users")}
        yield town
    finally:
        pool.close()
