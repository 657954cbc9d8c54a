"""The office of the days before the demo: open cases enter, what its people did about them leaves.

History without anybody acting would end in a pile of unanswered cases. So the desk telephones, parks what has to wait
for the morning, confirms a closing that evidence proposes and answers what else came up; helpers take visits and go.
Everybody needs the time people need: what has only just come up at the demo's beginning is left to the visitor. Every
act goes through the same functions as the console's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from alerts import acts
from alerts.roster import EVERY, WORKDAYS, Rule
from alerts.roster_store import Change, save_rules
from kaimen.database import Connection
from kaimen.logs import get_logger
from kaimen.vocabulary import CaseCause, Contacted, Outcome, Role

log = get_logger()

_TAKES_AFTER = timedelta(minutes=5)
_CALLS_AFTER = timedelta(minutes=80)
_GOES_AFTER = timedelta(minutes=45)
_PARKED_FOR = timedelta(hours=20)
#: How long the desk needs for everything else; what may not wait, and what a second person looks at once a day.
_SETTLES_AFTER = timedelta(hours=2, minutes=30)
_RUNS_AFTER = timedelta(minutes=10)
_REVIEWS_AFTER = timedelta(hours=6)
_URGENT = (CaseCause.SOS, CaseCause.DURESS, CaseCause.DOOR_FORCED)
_NO_ANSWER_NOTES = ("响铃两遍，无人接", "仍无人接；家属也没联系上", "第三次无人接，请人上门")
_PARKED_REASON = "已请楼道联络员留意门口，明早再打"
#: What the desk wrote down of everything else, by cause.
_SETTLED: Mapping[str, tuple[Outcome, Contacted | None, str]] = {
    CaseCause.SOS: (Outcome.HELPED, Contacted.SAW, "上门扶起，已通知家属"),
    CaseCause.DURESS: (Outcome.FALSE_ALARM, None, "误按，已当面核实"),
    CaseCause.DOOR_FORCED: (Outcome.HANDLED, None, "门锁损坏，已报修"),
    CaseCause.DOOR_HELD: (Outcome.HANDLED, None, "搬运后忘关，已关好"),
    CaseCause.STRANGER: (Outcome.HANDLED, None, "快递员找错门"),
    CaseCause.CREDENTIAL: (Outcome.HANDLED, None, "旧卡已收回"),
    CaseCause.DWELLING: (Outcome.HANDLED, None, "已与房东核对登记"),
    CaseCause.DEVICE_FAULT: (Outcome.RESTORED, None, "已修好"),
    CaseCause.EARLY_WATCH: (Outcome.WELL, Contacted.SPOKE, "电话里说在午睡"),
    CaseCause.ABSENCE: (Outcome.BACK, None, "本人已回家"),
    CaseCause.REVIEW: (Outcome.RIGHT, None, "已与本人通话，情况属实"),
}


@dataclass(frozen=True, slots=True)
class People:
    """Who does the office's work: the users by role, of each role the first."""

    user_by_role: Mapping[str, int]

    @property
    def clerk_id(self) -> int:
        return self.user_by_role[Role.PROPERTY_CLERK]

    @property
    def second_id(self) -> int:
        return self.user_by_role[Role.PROPERTY_DIRECTOR]


def people_of(connection: Connection) -> People:
    """Return who works in the office."""
    rows = connection.execute("SELECT role, min(id) AS id FROM users GROUP BY role").fetchall()
    return People({row["role"]: int(row["id"]) for row in rows})


def work(connection: Connection, people: People, *, now: datetime) -> None:
    """Do what the office would have done by ``now``: one act per case and turn."""
    for row in connection.execute(
        "SELECT c.id, c.cause, c.stage, c.state, c.proposal_at, c.held_until FROM cases c"
        " WHERE c.state <> 'closed' AND c.opened_at <= %s ORDER BY c.id",
        (now - _TAKES_AFTER,),
    ).fetchall():
        try:
            with connection.transaction():
                _work_on(connection, row, people, now)
        except acts.ActRefused as refusal:
            log.warning("an act of the past was refused", reason=str(refusal))


def _work_on(connection: Connection, case: dict[str, Any], people: People, now: datetime) -> None:
    if case["proposal_at"] is not None:
        acts.confirm_closing(
            connection,
            case_id=case["id"],
            user_id=people.clerk_id,
            confirmed=True,
            note="已与本人通话确认",
            now=now,
        )
    elif case["cause"] == CaseCause.INACTIVITY:
        _follow(connection, case, people, now)
    elif case["cause"] in _SETTLED:
        _settle(connection, case, people, now)


def _settle(connection: Connection, case: dict[str, Any], people: People, now: datetime) -> None:
    """Answer what is neither a silent elder nor a silent device, some time after it was asked."""
    outcome, contacted, note = _SETTLED[case["cause"]]
    is_review = case["cause"] == CaseCause.REVIEW
    after = _REVIEWS_AFTER if is_review else _RUNS_AFTER if case["cause"] in _URGENT else _SETTLES_AFTER
    task = connection.execute(
        "SELECT id FROM tasks WHERE case_id = %s AND state IN ('open', 'claimed') AND start_at <= %s"
        " ORDER BY id LIMIT 1",
        (case["id"], now - after),
    ).fetchone()
    if task is None:
        return
    acts.record_outcome(
        connection, task_id=task["id"], user_id=people.second_id if is_review else people.clerk_id,
        outcome=outcome, contacted=contacted, witness=None if contacted is None else "己春兰", note=note, now=now,
    )  # fmt: skip


def _follow(connection: Connection, case: dict[str, Any], people: People, now: datetime) -> None:
    """Make the call or the visit that is owed; a visit goes before a call."""
    task = connection.execute(
        "SELECT t.id, t.kind, t.role, t.state, t.start_at, (SELECT count(*) FROM tasks d"
        " WHERE d.case_id = t.case_id AND d.kind = 'call' AND d.state = 'done')::int AS called FROM tasks t"
        " WHERE t.case_id = %s AND t.kind IN ('call', 'visit') AND t.state IN ('open', 'claimed')"
        " ORDER BY t.kind DESC, t.id DESC LIMIT 1",
        (case["id"],),
    ).fetchone()
    if task is None:
        return
    if task["kind"] == "visit":
        _go(connection, case, task, people, now)
    elif task["start_at"] <= now - _CALLS_AFTER and (case["held_until"] is None or case["held_until"] <= now):
        _telephone(connection, case, task, people, now)


def _telephone(
    connection: Connection, case: dict[str, Any], task: dict[str, Any], people: People, now: datetime
) -> None:
    """Ring without an answer; after the second time wait until the morning, and say why."""
    acts.record_outcome(
        connection, task_id=task["id"], user_id=people.clerk_id, outcome=Outcome.NO_ANSWER,
        note=_NO_ANSWER_NOTES[min(task["called"], 2)], now=now,
    )  # fmt: skip
    if task["called"] == 1:
        acts.hold(
            connection, case_id=case["id"], user_id=people.clerk_id, reason=_PARKED_REASON,
            until=now + _PARKED_FOR, now=now,
        )  # fmt: skip


def _go(
    connection: Connection, case: dict[str, Any], task: dict[str, Any], people: People, now: datetime
) -> None:
    """Take a visit minutes after it was asked for, and go when there was time to."""
    user_id = people.user_by_role.get(task["role"], people.clerk_id)
    if task["state"] == "open" and task["start_at"] <= now - _TAKES_AFTER:
        acts.claim(connection, case_id=case["id"], user_id=user_id, now=now)
    if task["start_at"] > now - _GOES_AFTER:
        return
    acts.begin_visit(connection, task_id=task["id"], user_id=user_id, now=now)
    acts.record_outcome(
        connection, task_id=task["id"], user_id=user_id, outcome=Outcome.WELL, contacted=Contacted.SAW,
        witness="己春兰", note="上门见到本人", now=now,
    )  # fmt: skip


def keep_rosters(connection: Connection, community_id: str, *, now: datetime) -> None:
    """Write who is on duty in the demo: the desk by day, the guard by night, the grid worker on workdays."""
    rows = connection.execute(
        "SELECT id, role FROM users WHERE community_id = %s AND role = ANY(%s) ORDER BY id",
        (community_id, ["guard", "property_clerk", "grid_worker"]),
    ).fetchall()
    people = {row["role"]: row["id"] for row in rows}
    change = Change(connection, community_id, "demo", now)
    # The night first: the desk's own hours are refused as long as nobody has the others.
    for role, days, start, end in (
        (Role.GUARD, EVERY, time(19), time(7)),
        (Role.PROPERTY_CLERK, EVERY, time(7), time(19)),
        (Role.GRID_WORKER, WORKDAYS, time(8, 30), time(17, 30)),
    ):
        save_rules(change, role, [Rule(days, start, end, (people[role],))])
