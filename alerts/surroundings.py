"""What the rules and the recipients need beside the case: a key enters, circumstances, policy and roster leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from alerts.ahead import Question, Reads
from alerts.duty.store import load_duty, question_of_duty
from alerts.keys import Key
from alerts.rules.case import Circumstances
from alerts.rules.checks import Resident, Unseen, frailty_of, places
from alerts.rules.policies import parse_policy
from alerts.sending.outbox import load_roster, question_of_channels
from alerts.sending.recipients import HELPER_ORDER, Roster
from kaimen.database import Connection, queries
from kaimen.policy import LadderPolicy

_SQL = queries("alerts")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rules and the recipients need beside the case."""

    around: Circumstances
    policy: LadderPolicy
    roster: Roster


def load_surroundings(
    connection: Reads, key: Key, *, now: datetime, outside_channels: tuple[str, ...]
) -> Surroundings:
    """Return what holds around a household or a technical cause at ``now``."""
    if key.household_id is None:
        row = connection.execute(_SQL["community"], {"community_id": key.community_id, "now": now}).fetchone()
        if row is None:
            raise LookupError("a device without a community")
        duty = load_duty(connection, key.community_id)
        around = Circumstances(community_id=key.community_id, duty=duty)
        roster = load_roster(connection, key.community_id, None, (), outside_channels)
        return Surroundings(around, parse_policy(row), replace(roster, duty=duty))
    row = connection.execute(
        _SQL["household_circumstances"], {"household_id": key.household_id, "now": now}
    ).fetchone()
    if row is None:
        raise LookupError("a household that is not registered")
    policy = parse_policy(row)
    duty = load_duty(connection, row["community_id"])
    around = Circumstances(
        community_id=row["community_id"],
        household_id=key.household_id,
        helpers=tuple(role for role in HELPER_ORDER if role in row["helpers"]),
        answered_at=row["answered_at"],
        folded=row["folded"],
        remote_well_count=row["remote_well_count"],
        remote_well_max=policy.remote_well_max,
        real_evidence_at=row["real_evidence_at"],
        cannot_phone=row["cannot_phone"],
        helper_waits_ms={role: seconds * 1000 for role, seconds in (row["helper_waits"] or {}).items()},
        duty=duty,
    )
    family_user_ids = tuple(row["family_user_ids"])
    roster = load_roster(connection, row["community_id"], key.household_id, family_user_ids, outside_channels)
    return Surroundings(around, policy, replace(roster, duty=duty))


def questions_of_surroundings(key: Key, *, now: datetime) -> Iterator[Question]:
    """Yield what :func:`load_surroundings` asks wherever somebody lives, to be asked ahead."""
    if key.household_id is not None:
        yield _SQL["household_circumstances"], {"household_id": key.household_id, "now": now}
    yield question_of_duty(key.community_id)
    yield question_of_channels()


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """In which order the people of a community are asked after, and by how many."""

    places: Mapping[str, int]
    staff: int

    def paced(self, around: Circumstances) -> Circumstances:
        """Return the circumstances with her place in the order; only checks are paced by it."""
        place = self.places.get(around.household_id or "", len(self.places))
        return replace(around, queue=place, staff=self.staff)


def load_check_order(connection: Connection, community_id: str, *, now: datetime) -> CheckOrder:
    """Return whom a community asks after, longest unseen and frailest first."""
    args = {"community_id": community_id}
    rows = connection.execute(_SQL["unseen"], args).fetchall()
    staff = connection.execute(_SQL["count_staff"], args).fetchone()
    people = [
        Unseen(row["household_id"], row["step"], row["evidence_at"], _frailty_of(row, now)) for row in rows
    ]
    return CheckOrder(places(people), staff["staff"] if staff else 0)


def _frailty_of(row: Mapping[str, Any], now: datetime) -> int:
    residents = zip(row["categories"], row["birth_years"], row["hard_of_hearing"], strict=True)
    return frailty_of(
        (Resident(category, birth_year or None, deaf) for category, birth_year, deaf in residents),
        year=now.year,
    )
