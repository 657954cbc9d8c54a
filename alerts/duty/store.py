"""Duty as rows: a connection and a community enter, its duty leaves; changes enter, and are refused or written.

What is read of a community is kept in memory under a number that the database changes with every row it was read
from, so that three hundred cases of one evening read it once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from alerts.ahead import Question, Reads
from alerts.duty.deputies import closes_circle, overlaps
from alerts.duty.holidays import HolidayTable, make_year, own_holidays
from alerts.duty.readiness import Gap, find_gaps, without_known
from alerts.duty.roster import CommunityDuty, Deputy, DutyRoster, Override, Person, Rule, Shift, Swap
from kaimen.database import Connection, queries

_SQL = queries("alerts.duty", "roster.sql")
#: Spans that ended longer ago decide nothing any more: a shift's end is looked for over two days.
_BACK = timedelta(days=3)
_KEPT_MAX = 64
_kept: dict[tuple[str, str, int], CommunityDuty] = {}


def question_of_duty(community_id: str) -> Question:
    """Return what :func:`load_duty` asks first, to be asked ahead."""
    return _SQL["duty_version"], {"community_id": community_id}


def load_duty(connection: Reads, community_id: str) -> CommunityDuty | None:
    """Return the duty of a community; None where there is no such community.

    Whether people can be reached is not part of it (see :func:`load_reach`).
    """
    row = connection.execute(*question_of_duty(community_id)).fetchone()
    if row is None:
        return None
    info = connection.info
    key = (f"{info.host}:{info.port}/{info.dbname}", community_id, int(row["version"]))
    duty = _kept.pop(key, None) or _read_duty(connection, community_id, row["zone"])
    _kept[key] = duty  # behind all others: what nobody asked for longest goes first
    while len(_kept) > _KEPT_MAX:
        _kept.pop(next(iter(_kept)), None)
    return duty


def _read_duty(connection: Reads, community_id: str, zone: str) -> CommunityDuty:
    # Nothing that is still ahead may be missing however long this is kept; what is over does no harm.
    args: dict[str, Any] = {"community_id": community_id, "since": datetime(2000, 1, 1, tzinfo=UTC)}
    args["states"] = ["accepted"]
    roles = [row["role"] for row in connection.execute(_SQL["duty_rosters"], args)]
    rules = connection.execute(_SQL["duty_rules"], args).fetchall()
    shifts = connection.execute(_SQL["duty_shifts"], args).fetchall()
    overrides = connection.execute(_SQL["duty_overrides"], args).fetchall()
    swaps = [swap for row in connection.execute(_SQL["duty_swaps"], args) for swap in _swaps(row)]
    return CommunityDuty(
        community_id=community_id,
        zone=zone,
        rosters={
            role: DutyRoster(
                tuple(_rule(row) for row in rules if row["role"] == role),
                tuple(
                    Shift(row["from_at"], row["to_at"], row["user_id"], row["position"])
                    for row in shifts
                    if row["role"] == role
                ),
                tuple(
                    Override(row["from_at"], row["to_at"], tuple(row["user_ids"]), row["adds"])
                    for row in overrides
                    if row["role"] == role
                ),
                tuple(swap for of_role, swap in swaps if of_role == role),
            )
            for role in roles
        },
        deputies=tuple(
            Deputy(row["from_at"], row["to_at"], row["user_id"], row["deputy_id"])
            for row in connection.execute(_SQL["duty_deputies"], args)
        ),
        people={
            row["id"]: Person(row["id"], row["display_name"], row["role"], others=tuple(row["others"]))
            for row in connection.execute(_SQL["duty_people"], args)
        },
        holidays=load_holidays(connection),
    )


def _rule(row: Mapping[str, Any]) -> Rule:
    return Rule(
        row["days"], row["from_time"], row["until_time"], tuple(row["user_ids"]), row["first_day"],
        row["last_day"],
    )  # fmt: skip


def _swaps(row: Mapping[str, Any]) -> list[tuple[str, Swap]]:
    there = Swap(row["from_at"], row["to_at"], row["giver_id"], row["taker_id"])
    if row["back_from_at"] is None:
        return [(row["role"], there)]
    back = Swap(row["back_from_at"], row["back_to_at"], row["taker_id"], row["giver_id"])
    return [(row["role"], there), (row["role"], back)]


def load_holidays(connection: Reads) -> HolidayTable:
    """Return the years of the program with those entered into this installation, which count before them."""
    table = own_holidays()
    for row in connection.execute(_SQL["holiday_years"]):
        holidays = {date.fromisoformat(day): name for day, name in row["holidays"].items()}
        workdays = [date.fromisoformat(day) for day in row["workdays"]]
        table = table.with_year(make_year(row["year"], holidays, workdays, row["source"]))
    return table


def save_holidays(connection: Connection, table: HolidayTable, *, by: str, now: datetime) -> None:
    """Write the years of ``table`` into the installation, in place of what it had of them."""
    for year in sorted(table.years):
        holidays = {day.isoformat(): name for day, name in sorted(table.holidays.items()) if day.year == year}
        workdays = [day.isoformat() for day in sorted(table.workdays) if day.year == year]
        connection.execute(
            _SQL["holiday_year_save"],
            {
                "year": year, "source": table.sources[year], "holidays": Jsonb(holidays),
                "workdays": Jsonb(workdays), "now": now, "by": by,
            },
        )  # fmt: skip


def load_reach(connection: Connection, duty: CommunityDuty) -> CommunityDuty:
    """Return the duty with who can be reached: by an address of her own; where no channel needs one, at the console."""
    row = connection.execute(_SQL["personal_channels_open"]).fetchone()
    needs_address = bool(row and row["any"])
    people = {}
    for found in connection.execute(_SQL["duty_people"], {"community_id": duty.community_id}):
        own = bool(found["personal"])
        people[found["id"]] = Person(
            found["id"],
            found["display_name"],
            found["role"],
            own or not needs_address,
            own,
            tuple(found["others"]),
        )
    return replace(duty, people=people)


# --- changes -----------------------------------------------------------------------------------------------------


class RosterRefusedError(Exception):
    """A change would leave minutes without a reachable person; ``gaps`` are those that were not there before."""

    def __init__(self, gaps: Sequence[Gap]) -> None:
        super().__init__(f"nobody is reachable from {gaps[0].from_at.isoformat()}")
        self.gaps = tuple(gaps)


class RosterWordsError(ValueError):
    """A change does not say what it has to; the message is a catalogue key below ``duty.error``."""


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes the duty of which community, at which instant."""

    connection: Connection
    community_id: str
    by: str
    now: datetime

    def begin(self) -> list[Gap]:
        """Wait for others' changes and return the gaps there are already."""
        self.connection.execute(_SQL["lock_duty"], {"community_id": self.community_id})
        return load_gaps(self.connection, self.community_id, now=self.now)

    def finish(self, known: Sequence[Gap]) -> None:
        """Judge what the rows are now.

        Raises
        ------
        RosterRefusedError
            If a minute of the next fourteen days has no reachable person that had one before: roll back.
        """
        worse = without_known(load_gaps(self.connection, self.community_id, now=self.now), known)
        if worse:
            raise RosterRefusedError(worse)

    @property
    def args(self) -> dict[str, Any]:
        return {"community_id": self.community_id, "by": self.by, "now": self.now}


def load_gaps(connection: Connection, community_id: str, *, now: datetime) -> list[Gap]:
    """Return the minutes of the next fourteen days without a reachable person."""
    duty = load_duty(connection, community_id)
    return [] if duty is None else find_gaps(load_reach(connection, duty), now=now)


def save_rules(change: Change, role: str, rules: Sequence[Rule]) -> None:
    """Write the rules of a role in place of those it had; no rules: the role is worked without a roster again.

    Raises
    ------
    RosterRefusedError, RosterWordsError
    """
    known = change.begin()
    _check_people(change, role, [person for rule in rules for person in rule.people])
    of_role = {**change.args, "role": role}
    change.connection.execute(_SQL["rules_end"], of_role)
    if not rules:
        change.connection.execute(_SQL["shifts_end"], of_role)
        change.connection.execute(_SQL["roster_end"], of_role)
    else:
        change.connection.execute(_SQL["roster_save"], of_role)
    for position, rule in enumerate(rules, 1):
        values = {
            "position": position, "days": rule.days, "start": rule.start, "end": rule.end,
            "first_day": rule.first_day, "last_day": rule.last_day, "people": list(rule.people),
        }  # fmt: skip
        change.connection.execute(_SQL["rule_insert"], {**of_role, **values})
    change.finish(known)


def save_shifts(change: Change, role: str, shifts: Sequence[tuple[Shift, str]]) -> None:
    """Write imported shifts (with their events' ids) in place of those of the role that have not begun.

    Raises
    ------
    RosterRefusedError, RosterWordsError
    """
    known = change.begin()
    _check_people(change, role, [shift.person for shift, _ in shifts])
    of_role = {**change.args, "role": role}
    change.connection.execute(_SQL["roster_save"], of_role)
    change.connection.execute(_SQL["shifts_end"], of_role)
    for shift, uid in shifts:
        if shift.from_at < change.now:
            continue
        change.connection.execute(
            _SQL["shift_insert"],
            {
                **of_role, "user_id": shift.person, "position": shift.position, "from_at": shift.from_at,
                "to_at": shift.to_at, "uid": uid[:200],
            },
        )  # fmt: skip
    change.finish(known)


def add_override(change: Change, role: str, override: Override, *, reason: str) -> int:
    """Put other people on duty for once; return the override's id.

    Raises
    ------
    RosterRefusedError, RosterWordsError
    """
    known = change.begin()
    _check_roster(change, role)
    _check_people(change, role, override.people)
    _check_span(change, override.from_at, override.to_at)
    row = change.connection.execute(
        _SQL["override_insert"],
        {
            **change.args, "role": role, "from_at": override.from_at, "to_at": override.to_at,
            "people": list(override.people), "adds": override.adds, "reason": reason,
        },
    ).fetchone()  # fmt: skip
    assert row is not None
    change.finish(known)
    return int(row["id"])


def ask_swap(
    change: Change, role: str, swap: Swap, back: tuple[datetime, datetime] | None, *, note: str
) -> int:
    """Ask the taker to work in the giver's place, perhaps against a shift of the taker's; nothing changes by it.

    Raises
    ------
    RosterWordsError
    """
    _check_roster(change, role)
    _check_people(change, role, (swap.giver, swap.taker))
    for from_at, to_at in ((swap.from_at, swap.to_at), back or (swap.from_at, swap.to_at)):
        _check_span(change, from_at, to_at)
    if swap.giver == swap.taker:
        raise RosterWordsError("same_person")
    row = change.connection.execute(
        _SQL["swap_insert"],
        {
            **change.args, "role": role, "giver": swap.giver, "taker": swap.taker, "from_at": swap.from_at,
            "to_at": swap.to_at, "back_from_at": back[0] if back else None,
            "back_to_at": back[1] if back else None, "note": note,
        },
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(row["id"])


def answer_swap(change: Change, swap_id: int, *, user_id: int, state: str) -> bool:
    """Accept or decline as the one who was asked, or withdraw as the one who asked; say whether that was possible.

    Raises
    ------
    RosterRefusedError
    """
    assert state in ("accepted", "declined", "withdrawn")
    known = change.begin()
    values = {**change.args, "id": swap_id, "user_id": user_id, "state": state}
    done = change.connection.execute(_SQL["swap_answer"], values).fetchone() is not None
    change.finish(known)
    return done


def add_deputy(change: Change, deputy: Deputy, *, reason: str) -> int:
    """Let somebody stand in for a person from and to an instant.

    Raises
    ------
    RosterRefusedError, RosterWordsError
    """
    known = change.begin()
    duty = load_duty(change.connection, change.community_id)
    people = {} if duty is None else duty.people
    if deputy.person not in people or deputy.deputy not in people:
        raise RosterWordsError("unknown_person")
    if deputy.person == deputy.deputy:
        raise RosterWordsError("same_person")
    if not people[deputy.person].works_with(people[deputy.deputy]):
        raise RosterWordsError("other_role")
    _check_span(change, deputy.from_at, deputy.to_at)
    if duty is not None and closes_circle(duty.deputies, deputy):
        raise RosterWordsError("deputy_circle")
    if duty is not None and overlaps(duty, deputy):
        raise RosterWordsError("deputy_overlaps")
    row = change.connection.execute(
        _SQL["deputy_insert"],
        {
            **change.args, "person": deputy.person, "deputy": deputy.deputy, "from_at": deputy.from_at,
            "to_at": deputy.to_at, "reason": reason,
        },
    ).fetchone()  # fmt: skip
    assert row is not None
    change.finish(known)
    return int(row["id"])


def end_own_deputy(change: Change, deputy_id: int, *, user_id: int) -> bool:
    """Let a person be back before her deputy's time is over; say whether there was one of hers.

    Raises
    ------
    RosterRefusedError
    """
    known = change.begin()
    values = {**change.args, "id": deputy_id, "user_id": user_id}
    done = change.connection.execute(_SQL["own_deputy_end"], values).fetchone()
    change.finish(known)
    return done is not None


def end_span(change: Change, kind: str, span_id: int) -> bool:
    """End an override or a deputy's time; say whether there was one.

    Raises
    ------
    RosterRefusedError
    """
    assert kind in ("override", "deputy")
    known = change.begin()
    done = change.connection.execute(_SQL[f"{kind}_end"], {**change.args, "id": span_id}).fetchone()
    change.finish(known)
    return done is not None


#: Nobody plans further; a mistyped year is noticed.
_AHEAD_MAX = timedelta(days=400)


def _check_span(change: Change, from_at: datetime, to_at: datetime) -> None:
    if from_at >= to_at:
        raise RosterWordsError("from_after_to")
    if to_at <= change.now:
        raise RosterWordsError("over_already")
    if to_at - change.now > _AHEAD_MAX:
        raise RosterWordsError("too_far")


def _check_roster(change: Change, role: str) -> None:
    duty = load_duty(change.connection, change.community_id)
    if duty is None or not duty.has_roster(role):
        raise RosterWordsError("no_roster")


def _check_people(change: Change, role: str, people: Sequence[int]) -> None:
    duty = load_duty(change.connection, change.community_id)
    known = {} if duty is None else duty.people
    if any(person not in known for person in people):
        raise RosterWordsError("unknown_person")
    if any(role not in known[person].roles for person in people):
        raise RosterWordsError("other_role")


__all__ = [
    "Change",
    "RosterRefusedError",
    "RosterWordsError",
    "add_deputy",
    "add_override",
    "answer_swap",
    "ask_swap",
    "end_own_deputy",
    "end_span",
    "load_duty",
    "load_gaps",
    "load_holidays",
    "load_reach",
    "save_holidays",
    "save_rules",
    "save_shifts",
]
