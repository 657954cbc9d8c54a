"""The office of the days before the demo: open cases enter, what its people did about them leaves.

History without anybody acting would end in a pile of unanswered cases. So in the past the desk claims what is open,
confirms a closing that evidence proposes, and writes down what a visit found. It stops ``HANDS_OFF_MS`` before the
demo begins: what happened since is the visitor's. Every act goes through the same functions as the console's.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta

from alerts import acts
from alerts.roster import EVERY, WORKDAYS, Rule
from alerts.roster_store import Change, save_rules
from kaimen.database import Connection
from kaimen.vocabulary import Contacted, Outcome, Role

HANDS_OFF = timedelta(days=5, hours=12)
_TAKES_AFTER = timedelta(minutes=20)
_ANSWERS_AFTER = timedelta(hours=5)


def work(connection: Connection, *, clerk_id: int, now: datetime) -> None:
    """Do what the desk would have done by ``now``: one act per case and turn."""
    for row in connection.execute(
        "SELECT c.id, c.cause, c.stage, c.state, c.proposal_at, c.opened_at, c.stage_at FROM cases c"
        " WHERE c.state <> 'closed' AND c.opened_at <= %s ORDER BY c.id",
        (now - _TAKES_AFTER,),
    ).fetchall():
        if row["proposal_at"] is not None:
            acts.confirm_closing(
                connection,
                case_id=row["id"],
                user_id=clerk_id,
                confirmed=True,
                note="已与本人通话确认",
                now=now,
            )
        elif row["cause"] == "inactivity" and row["stage"] >= 2:
            _follow(connection, row["id"], clerk_id, now)


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
