"""A community from a fresh seed, through ingest and alerts with people acting: nobody may fall through.

The real loop and the real worker over one database; devices fail as the street makes them fail, ingest itself stands
still now and then, people answer, or do not. Checkers, not expectations. A failing seed is printed, and becomes a test.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from alerts import acts
from alerts.worker import Worker
from console.stack.registers import fill_registers
from firmware_sim.community import make_community
from firmware_sim.drift import DriftLevel
from firmware_sim.faults import LEVELS
from firmware_sim.people import Community as Town
from firmware_sim.street import history
from kaimen.clock import ManualClock, as_datetime
from kaimen.database import connect, open_pool, transaction
from kaimen.vocabulary import Contacted, Outcome
from tests.integration.many_homes import HOUR, Community

pytestmark = [pytest.mark.simulation, pytest.mark.one_store]

START_MS = 1_772_323_200_000
DAYS = 7
STEP_MS = HOUR


@dataclass
class Life:
    """One seed's community with what is done to it hour by hour."""

    seed: int
    town: Town
    services: Community
    chance: random.Random
    clerk: int

    def play(self, faults: str, *, hours: int = DAYS * 24) -> None:
        messages = history(
            self.town, START_MS, START_MS + DAYS * 24 * HOUR, rates=LEVELS[faults], drift=DriftLevel.GENTLE
        )
        waiting: list[tuple[int, str, bytes]] = []
        deaf_until = 0
        dead_until: dict[str, int] = {}
        doors = sorted(home.door_id for home in self.town.households if home.watched)
        self.services.start_ingest()
        for hour, arrived in itertools.groupby(
            messages, key=lambda item: (item[0] - START_MS) // STEP_MS + 1
        ):
            if hour > hours:
                return
            now_ms = START_MS + hour * STEP_MS
            for received, topic, payload in arrived:
                dead = received < dead_until.get(topic.split("/")[5], 0)
                # The broker keeps events while we are deaf, never heartbeats.
                if not dead and not (deaf_until and topic.endswith("/hb")):
                    waiting.append((received, topic, payload))
            if deaf_until and now_ms >= deaf_until:
                deaf_until = 0
                self.services.clock.advance_to(now_ms)
                self.services.start_ingest()
            if deaf_until:
                self.services.clock.advance_to(now_ms)
                continue
            self.services.take(waiting, now_ms)
            waiting = []
            self.services.settle()
            self.people_act()
            self.services.settle()
            self.check()
            if hour % 12 == 5:  # a door breaks, and what it would have sent is lost
                dead_until[self.chance.choice(doors)] = now_ms + self.chance.randint(2, 110) * HOUR
            if hour % 24 == 9 and self.chance.random() < 0.3:
                self.services.stop_ingest()
                deaf_until = now_ms + self.chance.randint(1, 30) * HOUR

    # --- what people do ------------------------------------------------------------------------------------------

    def people_act(self) -> None:
        """Some tasks are answered, some with a word that she is well, some with nobody at home."""
        now = as_datetime(self.services.clock.now_ms())
        for task in self.rows(
            "SELECT t.id, t.kind FROM tasks t JOIN cases c ON c.id = t.case_id WHERE t.state IN ('open', 'claimed')"
            " AND t.kind IN ('call', 'visit') AND t.start_at <= %s ORDER BY t.id",
            now,
        ):
            if self.chance.random() < 0.25:
                outcome = self.chance.choice((Outcome.WELL, Outcome.NO_ANSWER, Outcome.NO_ANSWER))
                well = outcome is Outcome.WELL
                with transaction(self.services.worker.pool) as connection:
                    acts.record_outcome(
                        connection, task_id=task["id"], user_id=self.clerk, outcome=outcome,
                        contacted=Contacted.SAW if well else None, witness="clerk" if well else None, now=now,
                    )  # fmt: skip

    # --- what must hold, whatever happened -------------------------------------------------------------------------

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        return self.services.rows(statement, *values)

    def nothing(self, promise: str, statement: str, *values: Any) -> None:
        found = self.rows(statement, *values)
        assert found == [], f"seed {self.seed}, hour {self.hour}: {promise}: {found[:3]}"

    @property
    def hour(self) -> float:
        return (self.services.clock.now_ms() - START_MS) / HOUR

    def check(self) -> None:
        now = as_datetime(self.services.clock.now_ms())
        self.nothing(
            "nobody goes 96 hours without evidence, absence or an owned task",
            f"""{_WATCHED} SELECT w.household_id, w.evidence_at FROM watched w
            WHERE w.elapsed > interval '96 hours' AND w.absent_until IS NULL AND NOT EXISTS (
              SELECT 1 FROM cases c JOIN tasks t ON t.case_id = c.id WHERE c.household_id = w.household_id
              AND c.state <> 'closed' AND t.state IN ('open', 'claimed') AND t.role <> '')
            AND NOT EXISTS (SELECT 1 FROM verified_contacts v WHERE v.household_id = w.household_id
              AND v.at > %(now)s - interval '96 hours')""",
            {"now": now},
        )
        self.nothing(
            "no stage is announced of time that nobody saw",
            "SELECT id FROM stage_crossings WHERE inactive_ms < thresholds_ms[stage] OR inactive_ms > elapsed_ms"
            " OR at < evidence_at + thresholds_ms[stage] * interval '1 millisecond' OR at > announced_at",
        )
        self.nothing(
            "no case without evidence",
            """SELECT c.id FROM cases c WHERE c.cause = 'inactivity' AND (c.evidence_at IS NULL
            OR NOT EXISTS (SELECT 1 FROM stage_crossings s WHERE s.household_id = c.household_id)
            AND NOT EXISTS (SELECT 1 FROM checks_due d WHERE d.household_id = c.household_id))""",
        )
        self.nothing(
            "no inactive household without a case, unless a person answered for her",
            f"""{_WATCHED} SELECT w.household_id FROM watched w WHERE w.stage > 0
            AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.household_id = w.household_id AND c.cause = 'inactivity'
              AND (c.state <> 'closed' OR c.closed_by LIKE 'user:%%'))""",
            {"now": now},
        )
        self.nothing(
            "no announced stage is withdrawn without evidence, absence or a person's act",
            """SELECT w.crossing_id FROM crossing_withdrawals w JOIN stage_crossings c ON c.id = w.crossing_id
            WHERE w.evidence_at <= c.evidence_at AND w.evidence->>'kind' NOT IN ('absence', 'not_watched')""",
        )
        self.nothing(
            "no elapsed threshold without a stage, a check due, or a check that waits for devices to speak",
            f"""{_WATCHED} SELECT w.household_id, n FROM watched w, generate_series(1, 3) n
            WHERE w.elapsed_judged >= n * interval '24 hours' AND w.absent_until IS NULL
            AND NOT EXISTS (SELECT 1 FROM stage_crossings c WHERE c.household_id = w.household_id AND c.stage = n
              AND NOT EXISTS (SELECT 1 FROM crossing_withdrawals x WHERE x.crossing_id = c.id))
            AND NOT EXISTS (SELECT 1 FROM checks_due c WHERE c.household_id = w.household_id AND c.step = n
              AND NOT EXISTS (SELECT 1 FROM check_ends x WHERE x.check_id = c.id))
            AND NOT EXISTS (SELECT 1 FROM checks_held c WHERE c.household_id = w.household_id AND c.step = n
              AND c.ended_at IS NULL)""",
            {"now": now},
        )
        self.nothing(
            "every open case has a next action ahead of it",
            "SELECT id FROM cases WHERE state <> 'closed' AND (next_action_at IS NULL OR next_action_at <= %(now)s)",
            {"now": now},
        )


#: Households whose people consent, with how long they were not seen: now, and when they were judged last.
_WATCHED = """WITH watched AS (
  SELECT s.*, %(now)s - s.evidence_at AS elapsed, s.as_of - s.evidence_at AS elapsed_judged FROM household_states s
  WHERE EXISTS (SELECT 1 FROM consents k WHERE k.household_id = s.household_id AND k.purpose = 'watch'
                AND k.withdrawn_at IS NULL))"""


def begin(url: str, seed: int) -> Life:
    town = make_community(seed, households=24, watched=16, start_ms=START_MS, days=DAYS + 1)
    with connect(url, service="test") as connection:
        fill_registers(connection, town, now_ms=START_MS)
        connection.commit()
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "INSERT INTO users (name, display_name, password_hash, role, community_id, created_at)"
            " SELECT 'desk', 'Desk', '', 'property_clerk', id, now() FROM communities RETURNING id"
        ).fetchone()
    assert row is not None
    clock = ManualClock(START_MS)
    worker = Worker(pool=open_pool(url, service="alerts"), clock=clock, name="w")
    return Life(seed, town, Community(url, clock, worker, {}), random.Random(seed), row[0])


@pytest.fixture(params=["usual", "harsh"])
def faults(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


def test_nobody_falls_through_whatever_the_seed(database_url: str, faults: str) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}, faults {faults}")
    life = begin(database_url, seed)
    try:
        life.play(faults)
        (happened,) = life.rows(
            "SELECT (SELECT count(*) FROM stage_crossings) AS stages, (SELECT count(*) FROM checks_due) AS checks,"
            " (SELECT count(*) FROM checks_held) AS held, (SELECT count(*) FROM outages) AS outages,"
            " (SELECT count(*) FROM cases WHERE cause = 'technical') AS technical,"
            " (SELECT count(*) FROM tasks WHERE outcome IS NOT NULL) AS answers"
        )
        print(f"seed {seed}: {happened}")
    finally:
        life.services.stop_ingest()
        life.services.worker.pool.close()


def test_a_check_ended_by_a_counter_comes_due_again_when_what_was_counted_arrives_and_was_nobodys(
    database_url: str,
) -> None:
    """A seed that failed: the second check was taken for the first one, which had ended, and nobody was asked."""
    life = begin(database_url, 48124757)
    try:
        life.play("harsh", hours=50)
        checks = life.rows(
            "SELECT c.step, c.evidence_at, e.evidence->>'kind' AS ended_by FROM checks_due c"
            " LEFT JOIN check_ends e ON e.check_id = c.id WHERE c.household_id = 'baihe-h0002' ORDER BY c.id"
        )
        cases = life.rows(
            "SELECT check_step, state FROM cases WHERE household_id = 'baihe-h0002' AND cause = 'inactivity' ORDER BY id"
        )
    finally:
        life.services.stop_ingest()
        life.services.worker.pool.close()
    assert [check["ended_by"] for check in checks] == ["opening_by_counter", None]
    assert checks[0]["evidence_at"] == checks[1]["evidence_at"]
    assert [(case["check_step"], case["state"] == "closed") for case in cases] == [(1, True), (1, False)]


@pytest.mark.parametrize(
    ("hours", "stage", "promise"),
    [
        (97, 0, "nobody goes 96 hours"),
        (30, 0, "no elapsed threshold without"),
        (30, 1, "no inactive household without a case"),
    ],
)
def test_a_home_that_fell_through_is_found(database_url: str, hours: int, stage: int, promise: str) -> None:
    life = begin(database_url, 7)
    try:
        life.services.clock.advance_to(START_MS + 100 * HOUR)
        life.check()
        now = as_datetime(life.services.clock.now_ms())
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "INSERT INTO household_states (household_id, as_of, known, stage, check_step, evidence_at, evidence,"
                " base_ms, anchor_at, settled_ms) SELECT household_id, %(now)s, true, %(stage)s, 0,"
                " %(now)s - %(hours)s * interval '1 hour', '{}', 0, %(now)s, 0 FROM consents WHERE purpose = 'watch'"
                " ORDER BY household_id LIMIT 1",
                {"now": now, "hours": hours, "stage": stage},
            )
        with pytest.raises(AssertionError, match=promise):
            life.check()
    finally:
        life.services.worker.pool.close()
