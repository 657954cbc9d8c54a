"""The office of the days before the demo: open cases enter, what its people did about them leaves.

History without anybody acting would end in a pile of unanswered cases. So in the past the desk claims what is open,
confirms a closing that evidence proposes, and writes down what a visit found. The elders' cases of the last
``HANDS_OFF`` are left to the visitor, and of everything else what came up in the last ``HANDS_OFF_OTHERS``. Every
act goes through the same functions as the console's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any

from alerts import acts
from alerts.roster import EVERY, WORKDAYS, Rule
from alerts.roster_store import Change, save_rules
from kaimen.database import Connection
from kaimen.logs import get_logger
from kaimen.vocabulary import CaseCause, Contacted, Outcome, Role

log = get_logger()

HANDS_OFF = timedelta(days=5, hours=12)
HANDS_OFF_OTHERS = timedelta(hours=14)
_TAKES_AFTER = timedelta(minutes=20)
_ANSWERS_AFTER = timedelta(hours=5)
_SETTLES_AFTER = timedelta(minutes=40)
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
}


def work(connection: Connection, *, clerk_id: int, now: datetime, with_ladder: bool) -> None:
    """Do what the desk would have done by ``now``: one act per case and turn.

    ``with_ladder``: the elders' cases too; without it only what else came up, so that the board shows them.
    """
    for row in connection.execute(
        "SELECT c.id, c.cause, c.stage, c.state, c.proposal_at, c.opened_at, c.stage_at FROM cases c"
        " WHERE c.state <> 'closed' AND c.opened_at <= %s ORDER BY c.id",
        (now - _TAKES_AFTER,),
    ).fetchall():
        if row["cause"] == CaseCause.INACTIVITY and not with_ladder:
            continue
        try:
            with connection.transaction():
                _work_on(connection, row, clerk_id, now)
        except acts.ActRefused as refusal:
            log.warning("an act of the past was refused", reason=str(refusal))


def _work_on(connection: Connection, case: dict[str, Any], clerk_id: int, now: datetime) -> None:
    if case["proposal_at"] is not None:
        acts.confirm_closing(
            connection, case_id=case["id"], user_id=clerk_id, confirmed=True, note="已与本人通话确认", now=now
        )
    elif case["cause"] == CaseCause.INACTIVITY:
        if case["stage"] >= 2:
            _follow(connection, case["id"], clerk_id, now)
    elif case["cause"] in _SETTLED:
        _settle(connection, case, clerk_id, now)


def _settle(connection: Connection, case: dict[str, Any], clerk_id: int, now: datetime) -> None:
    """Answer what is neither a silent elder nor a silent device, some hours after it was asked."""
    outcome, contacted, note = _SETTLED[case["cause"]]
    task = connection.execute(
        "SELECT id FROM tasks WHERE case_id = %s AND state IN ('open', 'claimed') AND start_at <= %s"
        " ORDER BY id LIMIT 1",
        (case["id"], now - _SETTLES_AFTER),
    ).fetchone()
    if task is None:
        return
    acts.record_outcome(
        connection, task_id=task["id"], user_id=clerk_id, outcome=outcome, contacted=contacted,
        witness=None if contacted is None else "己春兰", note=note, now=now,
    )  # fmt: skip


def _follow(connection: Connection, case_id: int, clerk_id: int, now: datetime) -> None:
    """Answer the call or the visit that has been owed for hours."""
    task = connection.execute(
        "SELECT id, kind FROM tasks WHERE case_id = %s AND kind IN ('call', 'visit') AND state IN ('open', 'claimed')"
        " AND start_at <= %s ORDER BY kind DESC, id LIMIT 1",
        (case_id, now - _ANSWERS_AFTER),
    ).fetchone()
    if task is None:
        return
    if task["kind"] == "call":
        acts.record_outcome(
            connection, task_id=task["id"], user_id=clerk_id, outcome=Outcome.NO_ANSWER, note="", now=now
        )
        return
    acts.begin_visit(connection, task_id=task["id"], user_id=clerk_id, now=now)
    acts.record_outcome(
        connection, task_id=task["id"], user_id=clerk_id, outcome=Outcome.WELL, contacted=Contacted.SAW,
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
