"""Cases: ids, a tab or a task enter; the cases this reader may see leave, each with what decides about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from console.loaders import Reader
from console.loaders.households import LoadedHousehold, Row, load_households
from console.scope import (
    Act,
    CaseFacts,
    Sight,
    TaskFacts,
    Viewer,
    may_act,
    see_case,
    see_task,
)
from console.views import case as case_views
from console.views.case import Tab
from kaimen.database import Connection, queries
from kaimen.vocabulary import (
    CaseCause,
    CaseState,
    Outcome,
    Role,
    Stage,
    TaskKind,
    TaskState,
)

CASES_PAGE = 50


@dataclass(frozen=True, slots=True)
class LoadedCase:
    """A case with what decides about it, and its open and done tasks, newest first."""

    row: Row
    facts: CaseFacts
    sight: Sight
    tasks: tuple[Row, ...]
    household: LoadedHousehold | None

    @property
    def id(self) -> int:
        return int(self.row["id"])


def task_facts(task: Row) -> TaskFacts:
    return TaskFacts(task["role"], TaskKind(task["kind"]), TaskState(task["state"]), task["assignee_id"])


def case_facts(row: Row, tasks: Iterable[Row]) -> CaseFacts:
    return CaseFacts(
        community_id=row["community_id"],
        household_id=row["household_id"],
        cause=CaseCause(row["cause"]),
        stage=Stage(min(row["stage"], Stage.VISIT)),
        state=CaseState(row["state"]),
        handed_to_police=row["handed_to_police"],
        shares_with_police=row["shares_with_police"],
        told_police=row["told_police"],
        tasks=tuple(task_facts(task) for task in tasks),
    )


def load_cases(connection: Connection, reader: Reader, ids: Sequence[int]) -> list[LoadedCase]:
    """Return the cases among ``ids`` that the reader may see, in the order of ``ids``."""
    if not ids:
        return []
    sql = queries("console")
    rows = {
        row["id"]: row
        for row in connection.execute(sql["cases_by_id"], {"ids": list(ids), "now": reader.now}).fetchall()
    }
    tasks: dict[int, list[Row]] = {}
    for task in connection.execute(sql["case_tasks"], {"ids": list(ids)}).fetchall():
        tasks.setdefault(task["case_id"], []).append(task)
    seen = []
    for case_id in ids:
        row = rows.get(case_id)
        if row is None:
            continue
        facts = case_facts(row, tasks.get(case_id, ()))
        sight = see_case(reader.viewer, facts)
        if sight > Sight.COUNT:
            seen.append(LoadedCase(row, facts, sight, tuple(tasks.get(case_id, ())), None))
    sights = {case.row["household_id"]: case.sight for case in seen if case.row["household_id"]}
    households = load_households(connection, reader, list(sights), sights=sights)
    return [replace(case, household=households.get(case.row["household_id"])) for case in seen]


def load_case(connection: Connection, reader: Reader, case_id: int) -> LoadedCase | None:
    """Return one case, or None where it is not there or not this reader's: the two are the same."""
    found = load_cases(connection, reader, [case_id])
    return found[0] if found else None


def load_beside(connection: Connection, reader: Reader, case: LoadedCase) -> list[LoadedCase]:
    """Return the other open cases of the same household or door that this reader may see."""
    rows = connection.execute(queries("console")["cases_beside"], {"id": case.id}).fetchall()
    return [
        other
        for other in load_cases(connection, reader, [row["id"] for row in rows])
        if other.sight > Sight.PLACE
    ]


def may_record(viewer: Viewer, task: Row, case: LoadedCase) -> bool:
    """Say whether the viewer may begin the visit or record the outcome of this very task."""
    if not may_act(viewer, Act.OUTCOME, case.facts):
        return False
    if viewer.role is not Role.PROPERTY_CLERK:
        return see_task(viewer, case.facts, task_facts(task)) >= Sight.PLACE
    return True


def load_tabs(connection: Connection, reader: Reader) -> tuple[case_views.TabItem, ...]:
    counts = connection.execute(
        queries("console")["case_tabs"],
        {"community_id": reader.viewer.community_id, "now": reader.now, "day_begin": reader.day_begin},
    ).fetchone()
    assert counts is not None
    return tuple(case_views.TabItem(tab, f"/alarms?tab={tab.value}", counts[tab.value]) for tab in Tab)


def load_alarm_ids(
    connection: Connection, reader: Reader, tab: Tab, after: int | None, *, without: Sequence[int] = ()
) -> list[int]:
    """Return one page of case ids, none of ``without``, and, where there are more, one id beyond it."""
    return _load_ids(connection, reader, tab, after=after, without=without, limit=CASES_PAGE + 1)


def load_order(connection: Connection, reader: Reader, tab: Tab, among: Sequence[int]) -> list[int]:
    """Return those of ``among`` that a tab lists, on whichever page, in its order."""
    return _load_ids(connection, reader, tab, among=among, limit=len(among))


def _load_ids(
    connection: Connection,
    reader: Reader,
    tab: Tab,
    *,
    limit: int,
    after: int | None = None,
    among: Sequence[int] | None = None,
    without: Sequence[int] = (),
) -> list[int]:
    values = {
        "community_id": reader.viewer.community_id,
        "tab": tab.value,
        "now": reader.now,
        "day_begin": reader.day_begin,
        "after": after,
        "among": None if among is None else list(among),
        "without": list(without),
        "limit": limit,
    }
    return [row["id"] for row in connection.execute(queries("console")["alarm_ids"], values).fetchall()]


def load_task_case(connection: Connection, reader: Reader, task_id: int) -> tuple[Row, LoadedCase] | None:
    """Return a task with its case, or None where it is not there or not this reader's."""
    row = connection.execute(queries("console")["task_by_id"], {"id": task_id}).fetchone()
    # One way for all: how long an answer takes must not tell a task of another place from one that is not there.
    case = load_case(connection, reader, 0 if row is None else row["case_id"])
    if row is None or case is None:
        return None
    task = next((task for task in case.tasks if task["id"] == task_id), None)
    if task is None:
        return None
    if reader.viewer.role is not Role.PROPERTY_CLERK:
        sight = see_task(reader.viewer, case.facts, task_facts(task))
        if sight is Sight.NOTHING:
            return None
        household = (
            None
            if case.row["household_id"] is None
            else load_households(
                connection, reader, [case.row["household_id"]], sights={case.row["household_id"]: sight}
            ).get(case.row["household_id"])
        )
        case = replace(case, sight=sight, household=household)
    return task, case


def role_of(text: str | None) -> Role | None:
    return None if text is None else Role(text)


def outcome_in(text: str | None) -> Outcome | None:
    try:
        return None if text is None else Outcome(text)
    except ValueError:
        return None
