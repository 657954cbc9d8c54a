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
from zoneinfo import ZoneInfo

from alerts import acts
from alerts.duty.roster import EVERY, WORKDAYS, Rule
from alerts.duty.store import Change, save_rules
from console.duty.line import save_duty_line
from console.views.parts import DutyLine
from kaimen.database import Connection
from kaimen.logs import get_logger
from kaimen.vocabulary import CaseCause, Contacted, Outcome, Role

log = get_logger()

_TAKES_AFTER = timedelta(minutes=3)
_CALLS_AFTER = timedelta(minutes=80)
_RINGS_FROM, _RINGS_UNTIL = time(7), time(22)
_ZONE = ZoneInfo("Asia/Shanghai")
_GOES_AFTER = timedelta(minutes=25)
_AT_THE_DOOR = timedelta(minutes=6)
#: A turn ahead does nothing later than this, for the next may be an hour away.
_AHEAD_MAX = timedelta(minutes=40)
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
    CaseCause.BATTERY: (Outcome.RESTORED, None, "已换新电池"),
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


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the office. ``ahead``: the next one is hours away, so that what is done until then is done now."""

    connection: Connection
    people: People
    now: datetime
    ahead: bool

    def moment(self, asked_at: datetime, after: timedelta) -> datetime | None:
        """Return when something is done that was asked for at an instant and takes so long; None: not yet."""
        if self.ahead:
            return self.now + min(after, _AHEAD_MAX) if asked_at <= self.now else None
        return self.now if asked_at <= self.now - after else None


def work(connection: Connection, people: People, *, now: datetime, ahead: bool) -> None:
    """Do what the office would have done by ``now``, or ``ahead`` of the next turn: one act per case and turn."""
    turn = Turn(connection, people, now, ahead)
    for row in connection.execute(
        "SELECT c.id, c.cause, c.proposal_at, c.held_until FROM cases c WHERE c.state <> 'closed' ORDER BY c.id"
    ).fetchall():
        try:
            with connection.transaction():
                _work_on(turn, row)
        except acts.ActRefused as refusal:
            log.warning("an act of the past was refused", reason=str(refusal))


def _work_on(turn: Turn, case: dict[str, Any]) -> None:
    if case["proposal_at"] is not None:
        at = turn.moment(case["proposal_at"], _TAKES_AFTER)
        if at is not None:
            acts.confirm_closing(
                turn.connection, case_id=case["id"], user_id=turn.people.clerk_id, confirmed=True,
                note="已与本人通话确认", now=at,
            )  # fmt: skip
    elif case["cause"] == CaseCause.INACTIVITY:
        _follow(turn, case)
    elif case["cause"] in _SETTLED:
        _settle(turn, case)


def _settle(turn: Turn, case: dict[str, Any]) -> None:
    """Answer what is neither a silent elder nor a silent device, some time after it was asked."""
    outcome, contacted, note = _SETTLED[case["cause"]]
    is_review = case["cause"] == CaseCause.REVIEW
    after = _REVIEWS_AFTER if is_review else _RUNS_AFTER if case["cause"] in _URGENT else _SETTLES_AFTER
    task = turn.connection.execute(
        "SELECT id, start_at FROM tasks WHERE case_id = %s AND state IN ('open', 'claimed') ORDER BY id LIMIT 1",
        (case["id"],),
    ).fetchone()
    at = None if task is None else turn.moment(task["start_at"], after)
    if task is None or at is None:
        return
    acts.record_outcome(
        turn.connection, task_id=task["id"], user_id=turn.people.second_id if is_review else turn.people.clerk_id,
        outcome=outcome, contacted=contacted, witness=None if contacted is None else "己春兰", note=note, now=at,
    )  # fmt: skip


def _follow(turn: Turn, case: dict[str, Any]) -> None:
    """Make the call or the visit that is owed; a visit goes before a call."""
    task = turn.connection.execute(
        "SELECT t.id, t.kind, t.role, t.state, t.start_at, (SELECT count(*) FROM tasks d"
        " WHERE d.case_id = t.case_id AND d.kind = 'call' AND d.state = 'done')::int AS called FROM tasks t"
        " WHERE t.case_id = %s AND t.kind IN ('call', 'visit') AND t.state IN ('open', 'claimed')"
        " ORDER BY t.kind DESC, t.id DESC LIMIT 1",
        (case["id"],),
    ).fetchone()
    if task is None:
        return
    if task["kind"] == "visit":
        _go(turn, case, task)
        return
    at = turn.moment(task["start_at"], _CALLS_AFTER)
    if at is not None and _may_ring(case, at):
        _telephone(turn, case, task, at)


def _may_ring(case: dict[str, Any], at: datetime) -> bool:
    is_day = _RINGS_FROM <= at.astimezone(_ZONE).time() < _RINGS_UNTIL
    return is_day and (case["held_until"] is None or case["held_until"] <= at)


def _telephone(turn: Turn, case: dict[str, Any], task: dict[str, Any], at: datetime) -> None:
    """Ring without an answer; after the second time wait until the morning, and say why."""
    acts.record_outcome(
        turn.connection, task_id=task["id"], user_id=turn.people.clerk_id, outcome=Outcome.NO_ANSWER,
        note=_NO_ANSWER_NOTES[min(task["called"], 2)], now=at,
    )  # fmt: skip
    if task["called"] == 1:
        acts.hold(
            turn.connection, case_id=case["id"], user_id=turn.people.clerk_id, reason=_PARKED_REASON,
            until=at + _PARKED_FOR, now=at,
        )  # fmt: skip


def _go(turn: Turn, case: dict[str, Any], task: dict[str, Any]) -> None:
    """Take a visit minutes after it was asked for, and go when there was time to."""
    user_id = turn.people.user_by_role.get(task["role"], turn.people.clerk_id)
    taken_at = turn.moment(task["start_at"], _TAKES_AFTER)
    if task["state"] == "open" and taken_at is not None:
        acts.claim(turn.connection, case_id=case["id"], user_id=user_id, now=taken_at)
    at = turn.moment(task["start_at"], _GOES_AFTER)
    if at is None:
        return
    acts.begin_visit(turn.connection, task_id=task["id"], user_id=user_id, now=at - _AT_THE_DOOR)
    acts.record_outcome(
        turn.connection, task_id=task["id"], user_id=user_id, outcome=Outcome.WELL, contacted=Contacted.SAW,
        witness="己春兰", note="上门见到本人", now=at,
    )  # fmt: skip


def keep_rosters(connection: Connection, community_id: str, *, now: datetime) -> None:
    """Write who is on duty in the demo: the desk by day, the guard by night, the grid worker on workdays."""
    rows = connection.execute(
        "SELECT id, role FROM users WHERE community_id = %s AND role = ANY(%s) ORDER BY id",
        (community_id, ["guard", "property_clerk", "grid_worker"]),
    ).fetchall()
    people = {row["role"]: row["id"] for row in rows}
    change = Change(connection, community_id, "demo", now)
    # A number no line has: reserved for stories.
    line = DutyLine("0571-0000 0000", "24 小时，夜间转门岗", "day and night; at night the gate")
    save_duty_line(connection, community_id, line, by="demo", now=now)
    # The night first: the desk's own hours are refused as long as nobody has the others.
    for role, days, start, end in (
        (Role.GUARD, EVERY, time(19), time(7)),
        (Role.PROPERTY_CLERK, EVERY, time(7), time(19)),
        (Role.GRID_WORKER, WORKDAYS, time(8, 30), time(17, 30)),
    ):
        save_rules(change, role, [Rule(days, start, end, (people[role],))])
