"""The acceptance language: what people and doors of one street do enters, what the programme promises is asked of it.

The detector, the alerts worker and PostgreSQL are the real ones; only the writing of ingest's rows is played here.
Time is the community's own and is moved by the story.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from alerts import acts
from ingest.detector import (
    CheckDue,
    CheckEnded,
    Crossing,
    Detector,
    OutageBegan,
    OutageEnded,
    Registry,
    Withdrawal,
)
from kaimen import wire
from kaimen.clock import as_datetime, as_ms
from kaimen.database import transaction
from kaimen.vocabulary import (
    Absence,
    Contacted,
    Credential,
    CredentialClass,
    Device,
    DoorBinding,
    Household,
    Outcome,
    Role,
    Verified,
)
from tests.unit.alerts.town import MORNING, Town

STEP = timedelta(hours=1)
SUPERVISION = timedelta(hours=3)
#: Monday, 09:00 by the clock of Shanghai: the day on which each story begins.
MONDAY = MORNING


class Street:
    """Homes with a door each behind one switch; ``until`` lets time pass, an hour at a time."""

    def __init__(
        self, town: Town, homes: Sequence[str], *, helpers: Sequence[str] = ("neighbour_watcher",)
    ) -> None:
        self.town = town
        self.now = MONDAY
        self.homes = tuple(homes)
        self.is_powered = True
        self._seq: dict[str, int] = {}
        self._crossings: dict[tuple[str, int], int] = {}
        self._checks: dict[tuple[str, int], int] = {}
        self._outages: dict[str, int] = {}
        for home in homes:
            town.household(home, helpers=helpers, family=["daughter"])
            self._seq[home] = 0
        self._devices = {
            f"door-{home}": Device(f"door-{home}", "s1", SUPERVISION // timedelta(milliseconds=1))
            for home in homes
        }
        self._cards = {
            f"card-{home}": Credential(f"card-{home}", CredentialClass.RESIDENT, home) for home in homes
        }
        self.detector = Detector(self._registry(), now_ms=as_ms(MONDAY))
        self.worker = town.worker()
        self._seen_changes = self._changes()
        self._beat()

    # --- time ----------------------------------------------------------------------------------------------------

    def until(self, *, day: int, hour: int = 9, minute: int = 0) -> Street:
        """Let time pass until a local hour; day 0 is the Monday."""
        end = MONDAY + timedelta(days=day, hours=hour - 9, minutes=minute)
        while self.now < end:
            self.now = min(self.now + STEP, end)
            self._beat()
            self._turn()
        return self

    def _turn(self) -> None:
        """One turn of ingest and of alerts at this instant."""
        self.town.at(self.now)
        changed = self._changes()
        if changed != self._seen_changes:
            self._seen_changes = changed
            self.detector.replace_registry(self._registry())
        for fact in self.detector.pulse(as_ms(self.now)):
            self._write(fact)
        for view in self.detector.take_changed_views():
            self._write_view(view)
        self.town.settle(self.worker)

    def _beat(self) -> None:
        for home in self.homes if self.is_powered else ():
            beat = wire.Heartbeat(
                v=1, boot=f"{1:016x}", ts=as_ms(self.now), up=self._up_ms(), clk="ntp", seq_last=self._seq[home],
                opens=None, unsent=0, first_seq=1, batt=None, rssi=None, fw=None,
            )  # fmt: skip
            self.detector.take_heartbeat(f"door-{home}", beat, received_ms=as_ms(self.now))

    def _up_ms(self) -> int:
        return as_ms(self.now) - as_ms(MONDAY) + 1_000

    def _changes(self) -> int:
        with transaction(self.town.pool) as connection:
            row = connection.execute("SELECT coalesce(max(id), 0) AS newest FROM registry_changes").fetchone()
            return int(row["newest"]) if row else 0

    def _registry(self) -> Registry:
        rows = self.town.rows
        absences: dict[str, list[Absence]] = {}
        for row in rows(
            "SELECT household_id, from_at, to_at FROM absences WHERE revoked_at IS NULL ORDER BY from_at"
        ):
            span = Absence(as_ms(row["from_at"]), as_ms(row["to_at"]))
            absences.setdefault(row["household_id"], []).append(span)
        words: dict[str, list[Verified]] = {}
        for row in rows(
            "SELECT id, household_id, at FROM verified_contacts WHERE doubted_at IS NULL ORDER BY at"
        ):
            words.setdefault(row["household_id"], []).append(
                Verified(as_ms(row["at"]), f"verified_contacts:{row['id']}")
            )
        homes = {
            home: Household(
                home, "s1", (DoorBinding(f"door-{home}"),), as_ms(MONDAY), absences=tuple(absences.get(home, ())),
                verified=tuple(words.get(home, ())),
            )
            for home in self.homes
        }  # fmt: skip
        return Registry(self._devices, homes, self._cards)

    # --- what ingest writes --------------------------------------------------------------------------------------

    def _write(self, fact: object) -> None:
        town = self.town
        match fact:
            case Crossing():
                key = (fact.household_id, fact.stage)
                self._crossings[key] = town._fact(
                    "crossing", fact.household_id, as_datetime(fact.announced_ms),
                    "INSERT INTO stage_crossings (household_id, stage, at, announced_at, evidence_at, evidence,"
                    " inactive_ms, elapsed_ms, thresholds_ms) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
                    fact.household_id, fact.stage, as_datetime(fact.at_ms), as_datetime(fact.announced_ms),
                    as_datetime(fact.evidence_ms), Jsonb(fact.evidence), fact.inactive_ms, fact.elapsed_ms,
                    list(fact.thresholds_ms),
                )  # fmt: skip
            case Withdrawal():
                town.withdraws(
                    self._crossings.pop((fact.household_id, fact.stage)),
                    evidence_at=as_datetime(fact.evidence_ms), late=fact.late, evidence=fact.evidence,
                )  # fmt: skip
            case CheckDue():
                self._checks[fact.household_id, fact.step] = town.check_due(fact.household_id, fact.step)
            case CheckEnded():
                town.check_ends(self._checks.pop((fact.household_id, fact.step)))
            case OutageBegan():
                self._outages[fact.device_id] = town.goes_out(
                    fact.device_id, cause="gateway", cause_id="switch-1"
                )
            case OutageEnded():
                town.is_heard(self._outages.pop(fact.device_id))

    def _write_view(self, view: Any) -> None:
        self._execute(
            "INSERT INTO household_states (household_id, as_of, known, stage, check_step, evidence_at, evidence, base_ms,"
            " anchor_at, settled_ms) VALUES (%s, %s, %s, %s, %s, %s, %s, 0, %s, 0)"
            " ON CONFLICT (household_id) DO UPDATE SET as_of = excluded.as_of, known = excluded.known,"
            " evidence_at = excluded.evidence_at, evidence = excluded.evidence",
            view.household_id, self.now, view.known, view.stage, view.check_step, as_datetime(view.evidence_ms),
            Jsonb(view.evidence), self.now,
        )  # fmt: skip

    def _execute(self, statement: LiteralString, *values: object) -> None:
        with transaction(self.town.pool) as connection:
            connection.execute(statement, values)

    # --- what people and doors do --------------------------------------------------------------------------------

    def opens(self, home: str, *, with_card: bool = False) -> None:
        """The door of a home is opened: with her own card, or by whoever has a key."""
        self._seq[home] += 1
        kind, state = ("AccessTaken", None) if with_card else ("DoorPhysicalState", "Open")
        event = wire.Event(
            v=1, boot=f"{1:016x}", seq=self._seq[home], ts=as_ms(self.now), up=self._up_ms(), clk="ntp",
            type=kind, state=state, cred=f"card-{home}" if with_card else None, method="card" if with_card else None,
        )  # fmt: skip
        self.detector.take_event(f"door-{home}", event, received_ms=as_ms(self.now))
        self._turn()

    def everybody_opens(self) -> None:
        for home in self.homes:
            self.opens(home)

    def daughter_declares_away(self, home: str, *, days: int) -> None:
        self.town.rows(
            "INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)"
            " VALUES (%s, %s, %s, 'relatives', 'Daughter', %s)",
            home, self.now, self.now + timedelta(days=days), self.now,
        )  # fmt: skip
        self._turn()

    def reports(self, who: str, home: str, kind: str, outcome: Outcome, **further: Any) -> None:
        """Somebody records what a task of a home found."""
        task = self.task(home, kind)
        with transaction(self.town.pool) as connection:
            acts.record_outcome(
                connection, task_id=task["id"], user_id=self.town.users[who], outcome=outcome, now=self.now,
                **{"lot": 1.0, **further},
            )  # fmt: skip
        self._turn()

    def goes_to_the_door(self, who: str, home: str) -> None:
        with transaction(self.town.pool) as connection:
            acts.begin_visit(
                connection, task_id=self.task(home, "visit")["id"], user_id=self.town.users[who], now=self.now
            )
        self._turn()

    def says_well(self, who: str, home: str, kind: str, *, how: Contacted, witness: str) -> None:
        self.reports(who, home, kind, Outcome.WELL, contacted=how, witness=witness)

    def hands_over(self, who: str, home: str, to_role: Role) -> None:
        with transaction(self.town.pool) as connection:
            acts.hand_over(
                connection,
                case_id=self.case(home)["id"],
                user_id=self.town.users[who],
                to_role=to_role,
                now=self.now,
            )
        self._turn()

    # --- what one asks about -------------------------------------------------------------------------------------

    def cases(self, *, still_open: bool = True) -> list[dict[str, Any]]:
        which = "WHERE state <> 'closed'" if still_open else ""
        return self.town.rows(f"SELECT * FROM cases {which} ORDER BY id")

    def case(self, home: str) -> dict[str, Any]:
        return self.town.row("SELECT * FROM cases WHERE household_id = %s AND state <> 'closed'", home)

    def last_case(self, home: str) -> dict[str, Any]:
        return self.town.rows("SELECT * FROM cases WHERE household_id = %s ORDER BY id", home)[-1]

    def task(self, home: str, kind: str) -> dict[str, Any]:
        return self.town.row(
            "SELECT * FROM tasks WHERE household_id = %s AND kind = %s AND state IN ('open', 'claimed')",
            home,
            kind,
        )

    def asked(self, home: str) -> list[tuple[str, str]]:
        """Which acts are asked of which roles now."""
        rows = self.town.rows(
            "SELECT kind, role FROM tasks WHERE household_id = %s AND state IN ('open', 'claimed') ORDER BY id",
            home,
        )
        return [(row["kind"], row["role"]) for row in rows]

    def told(self, home: str) -> set[str]:
        """Who has been told by now: roles, or the family."""
        rows = self.town.rows(
            "SELECT DISTINCT o.person FROM outbox o JOIN cases c ON c.id = o.case_id"
            " WHERE c.household_id = %s AND o.not_before <= %s AND o.state <> 'superseded'",
            home, self.now,
        )  # fmt: skip
        return {
            "family" if row["person"].startswith("user:") else row["person"].rpartition("/")[2]
            for row in rows
        }

    def steps_told(self, home: str) -> set[str]:
        """The steps of a home's cases that people have been told of by now."""
        rows = self.town.rows(
            "SELECT DISTINCT o.step FROM outbox o JOIN cases c ON c.id = o.case_id"
            " WHERE c.household_id = %s AND o.not_before <= %s AND o.state <> 'superseded'",
            home, self.now,
        )  # fmt: skip
        return {row["step"] for row in rows}

    def hour_of(self, at: datetime) -> tuple[int, int]:
        """Day of the story and local hour of an instant."""
        since = at - MONDAY + timedelta(hours=9)
        return since.days, since.seconds // 3600
