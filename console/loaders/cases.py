"""Cases and their tasks: ids enter; rows, the aside with the next step, tasks and timelines leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from alerts.rules.case import OWN_RULES
from alerts.rules.grading import parse_grounds
from console.loaders import Reader
from console.loaders.households import LoadedHousehold, Row, load_households
from console.scope import (
    Act,
    CaseFacts,
    RevealPurpose,
    Sight,
    TaskFacts,
    Viewer,
    may_act,
    see_case,
    see_task,
    show_name,
)
from console.views import case as case_views
from console.views import grounds as grounds_views
from console.views import parts as view_parts
from console.views.case import CaseRow, CaseView, NextStep, Tab, TaskView, TimelineEntry
from console.views.grounds import Incident, Technical
from console.views.parts import Contact, Form, Mark, Phrase
from kaimen.database import Connection, queries
from kaimen.policy import CAUSE_LADDERS
from kaimen.vocabulary import (
    CaseCause,
    CaseState,
    Contacted,
    Grade,
    Outcome,
    Role,
    Stage,
    TaskKind,
    TaskState,
)

CASES_PAGE = 50
CONTACT_ROLES = ("family", "neighbour_watcher", "stairwell_liaison", "safety_guardian", "grid_worker")
HAND_OVER_ROLES = (
    Role.NEIGHBOUR_WATCHER, Role.STAIRWELL_LIAISON, Role.SAFETY_GUARDIAN, Role.GRID_WORKER, Role.GUARD, Role.POLICE_OFFICER,
)  # fmt: skip

_MARKS = {0: Mark.UNKNOWN, 1: Mark.LOW, 2: Mark.MID, 3: Mark.HIGH}
#: What may be recorded for each kind of task; what closes without a person is not in it.
OUTCOMES = {
    TaskKind.CALL: (
        Outcome.WELL, Outcome.HELPED, Outcome.NO_ANSWER, Outcome.AWAY, Outcome.HOSPITAL, Outcome.OTHER,
    ),
    TaskKind.VISIT: (
        Outcome.WELL, Outcome.HELPED, Outcome.NO_ANSWER, Outcome.AWAY, Outcome.HOSPITAL,
        Outcome.SENSOR_FAULT, Outcome.DECEASED, Outcome.OTHER,
    ),
    TaskKind.DEVICE_CHECK: (Outcome.RESTORED, Outcome.SENSOR_FAULT),
    TaskKind.CONFIRM_CLOSING: (),
}  # fmt: skip


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


def load_technical(
    connection: Connection, reader: Reader, cases: Sequence[LoadedCase]
) -> dict[int, Technical]:
    """Return what each technical case stands for."""
    ids = [case.id for case in cases if case.facts.cause is CaseCause.TECHNICAL]
    if not ids:
        return {}
    counts = {
        row["case_id"]: row
        for row in connection.execute(queries("console")["case_household_counts"], {"ids": ids}).fetchall()
    }
    places = _load_places(connection, cases)
    longest = [row["longest_unseen"] for row in counts.values() if row["longest_unseen"]]
    homes = load_households(connection, reader, longest)
    community = places.get("", "")
    found = {}
    for case in cases:
        if case.facts.cause is not CaseCause.TECHNICAL:
            continue
        cause, _, cause_id = (case.row["cause_key"] or "own").partition(":")
        count = counts.get(case.id)
        home = homes.get(count["longest_unseen"]) if count else None
        found[case.id] = Technical(
            cause=cause,
            cause_id=cause_id,
            place=places.get(cause_id) or cause_id or community,
            since=case.row["stage_at"],
            household_count=count["household_count"] if count else 0,
            check_count=count["check_count"] if count else 0,
            never_heard=case.row["never_heard"],
            longest=None if home is None or case.facts.state is CaseState.CLOSED else home.in_list(),
        )
    return found


def _load_places(connection: Connection, cases: Sequence[LoadedCase]) -> dict[str, str]:
    """Return where the causes are: a device's place, a site's name; "" is the community."""
    ids = [(case.row["cause_key"] or "").partition(":")[2] for case in cases]
    community_id = cases[0].row["community_id"] if cases else None
    rows = connection.execute(
        queries("console")["places"], {"ids": ids, "community_id": community_id}
    ).fetchall()
    return {row["id"]: row["place"] for row in rows}


def row_of(
    case: LoadedCase,
    reader: Reader,
    *,
    technical: Technical | None = None,
    tab: Tab = Tab.ALL,
    full: bool = False,
) -> CaseRow:
    """Make a console row of a case; ``full`` for the case's own page, whose reading is written down."""
    row = case.row
    now = reader.now
    held = row["held_until"] if row["held_until"] is not None and row["held_until"] > now else None
    closed = case.facts.state is CaseState.CLOSED
    of_inactivity = case.facts.cause is CaseCause.INACTIVITY
    rank = row["priority"]
    incident = _incident_of(case)
    # Nobody learns from a list which home is declared empty: whose door it is stands on the case's own page.
    named = case.facts.cause is not CaseCause.ABSENCE or full
    return CaseRow(
        id=case.id,
        number=row["number"],
        mark=_MARKS[min(row["stage"] if incident is None else rank, 3)],
        state=case.facts.state,
        url=f"/alarms?tab={tab.value}&case={case.id}",
        page_url=f"/cases/{case.id}",
        household=None if case.household is None or not named else case.household.name,
        technical=technical,
        incident=incident,
        grade=Grade(row["grade"]) if of_inactivity else None,
        line=None if case.household is None or not of_inactivity else _line_of(case, closed),
        grounds=None if case.household is None or not of_inactivity else case.household.grounds,
        act=None if row["task_kind"] is None else TaskKind(row["task_kind"]),
        begun_at=row["task_begun_at"],
        next_action="" if row["task_kind"] is not None else row["next_action"] or "",
        due_at=row["task_due_at"] or row["next_action_at"],
        holder=row["holder_name"] or row["assignee_name"],
        holder_role=_role(row["holder_role"] or row["assignee_role"]),
        holder_for=row["holder_for"] or "",
        held_until=held,
        held_reason=row["held_reason"] if held else None,
        proposal_at=_proposed_at(row),
        proposal_by=str((row["proposal"] or {}).get("kind", "")),
        closed_at=row["closed_at"],
        outcome=_outcome(row["outcome"]),
        unacknowledged=not closed and row["holder_id"] is None and held is None and rank >= Stage.CALL,
        next_act=None if closed else _primary(case, reader.viewer),
    )


def _incident_of(case: LoadedCase) -> Incident | None:
    """Say what a case of another cause is about; None for inactivity and technical ones."""
    row, cause = case.row, case.facts.cause
    if cause in OWN_RULES:
        return None
    ladder = CAUSE_LADDERS[cause.value]
    return Incident(
        cause=cause,
        at=row["opened_at"] if row["evidence_at"] is None else row["evidence_at"],
        place=row["door_place"] or "",
        count=max(1, row["signal_count"]),
        silent=ladder.hides_place,
    )


def _line_of(case: LoadedCase, closed: bool) -> view_parts.DayLine | None:
    """The household's line; a closed case no longer colours it."""
    assert case.household is not None
    line = case.household.line
    if line is None or closed:
        return line
    return replace(line, stage=max(line.stage, Stage(min(case.row["stage"], Stage.VISIT))))


def _proposed_at(row: Row) -> datetime | None:
    """The instant of the evidence itself, which is what a person is asked about."""
    found = _instant(str((row["proposal"] or {}).get("evidence_at", "")))
    return found if isinstance(found, datetime) else row["proposal_at"]


def _role(text: str | None) -> Role | None:
    return None if text is None else Role(text)


def _outcome(text: str | None) -> Outcome | None:
    try:
        return None if text is None else Outcome(text)
    except ValueError:
        return None


_TASK_ACTS = {
    TaskKind.CALL: ("call", "c"),
    TaskKind.VISIT: ("record_visit", ""),
    TaskKind.DEVICE_CHECK: ("record_device", ""),
    TaskKind.CONFIRM_BACK: ("answer_back", ""),
    TaskKind.REVIEW: ("review", ""),
}


def _act(case: LoadedCase, name: str, path: str, key: str = "") -> view_parts.Act:
    return view_parts.Act(name=name, url=f"/cases/{case.id}/{path}", post=True, key=key)


def _primary(case: LoadedCase, viewer: Viewer) -> view_parts.Act | None:
    """The one thing to do next: claim what nobody has, then call, go, or record what was found."""
    row = case.row
    task_id = row["task_id"]
    if row["proposal"] is not None and may_act(viewer, Act.CONFIRM_CLOSING, case.facts):
        return view_parts.Act(name="confirm_closing", url=f"/cases/{case.id}#confirm")
    if row["holder_id"] is None and may_act(viewer, Act.CLAIM, case.facts):
        return _act(case, "claim", "claim", key="a")
    if task_id is None or not may_act(viewer, Act.OUTCOME, case.facts):
        return None
    name, key = _TASK_ACTS.get(row["task_kind"], ("record_outcome", ""))
    return view_parts.Act(name=name, url=f"/tasks/{task_id}", key=key)


def next_step(case: LoadedCase, viewer: Viewer) -> NextStep | None:
    """The box with the one primary button and what else may be done."""
    row = case.row
    if case.facts.state is CaseState.CLOSED:
        return None
    others = []
    if row["holder_id"] == viewer.user_id and may_act(viewer, Act.RELEASE, case.facts):
        others.append(_act(case, "release", "release"))
    if may_act(viewer, Act.HAND_OVER, case.facts):
        others.append(view_parts.Act(name="hand_over", url=f"/cases/{case.id}#hand-over"))
    if may_act(viewer, Act.HOLD, case.facts):
        others.append(view_parts.Act(name="hold", url=f"/cases/{case.id}#hold"))
    return NextStep(
        act=None if row["task_kind"] is None else TaskKind(row["task_kind"]),
        due_at=row["task_due_at"] or row["next_action_at"],
        assignee=row["assignee_name"] or row["holder_name"],
        assignee_role=_role(row["assignee_role"] or row["holder_role"]),
        accepted_at=row["task_claimed_at"],
        begun_at=row["task_begun_at"],
        starts_at=row["task_start_at"],
        primary=_primary(case, viewer),
        others=tuple(others),
    )


def load_case_view(
    connection: Connection, reader: Reader, case: LoadedCase, *, tab: Tab = Tab.ALL, full: bool = False
) -> CaseView:
    """Make the aside and, ``full``, the case page of a case."""
    viewer = reader.viewer
    technical = load_technical(connection, reader, [case]).get(case.id)
    is_open = case.facts.state is not CaseState.CLOSED

    def form_for(act: Act) -> Form | None:
        return Form() if is_open and may_act(viewer, act, case.facts) else None

    proposes = case.row["proposal"] is not None
    return CaseView(
        row=row_of(case, reader, technical=technical, tab=tab, full=full),
        opened_at=case.row["opened_at"],
        policy_version=int(case.row["policy"].get("version", 1)),
        next_step=next_step(case, viewer),
        timeline=load_timeline(connection, case),
        contacts=load_contacts(connection, reader, case),
        tasks=tuple(
            task_view(task, case, reader) for task in case.tasks if task["kind"] != TaskKind.CONFIRM_CLOSING
        ),
        households=_load_stood_for(connection, reader, case),
        known=_known_of(case),
        beside=tuple(_beside(other) for other in load_beside(connection, reader, case)),
        note_form=form_for(Act.NOTE),
        hold_form=form_for(Act.HOLD),
        hand_over_form=form_for(Act.HAND_OVER),
        hand_over_roles=tuple(role.value for role in HAND_OVER_ROLES),
        confirm_form=form_for(Act.CONFIRM_CLOSING) if proposes else None,
        reveal_purposes=_reveal_purposes(viewer, case),
    )


def load_beside(connection: Connection, reader: Reader, case: LoadedCase) -> list[LoadedCase]:
    """Return the other open cases of the same household or door that this reader may see."""
    rows = connection.execute(queries("console")["cases_beside"], {"id": case.id}).fetchall()
    return [
        other
        for other in load_cases(connection, reader, [row["id"] for row in rows])
        if other.sight > Sight.PLACE
    ]


def _beside(case: LoadedCase) -> grounds_views.Beside:
    row = case.row
    return grounds_views.Beside(row["number"], case.facts.cause, f"/cases/{case.id}", row["holder_name"])


def _known_of(case: LoadedCase) -> grounds_views.CaseGrounds | None:
    """Return what the case carries of her beside the silence; None where nothing was read."""
    if case.facts.cause is not CaseCause.INACTIVITY or case.sight < Sight.MASKED:
        return None
    found = parse_grounds(case.row["grade"], case.row["grounds"])
    if found.as_of is None:
        return None
    gap = found.usual_gap
    return grounds_views.CaseGrounds(
        grade=found.grade,
        as_of=found.as_of,
        sign_count=found.sign_count,
        last_sign_at=found.last_sign_at,
        presumed=view_parts.Presumed(found.presumed),
        presumed_by=found.presumed_by,
        usual_median_ms=gap.median_ms if gap else None,
        usual_p95_ms=gap.p95_ms if gap else None,
        usual_days=gap.days if gap else 0,
        door_open_since=found.door_open_since,
        unlocked_since=found.unlocked_since,
    )


def _reveal_purposes(viewer: Viewer, case: LoadedCase) -> tuple[str, ...]:
    """For what the full name may be read, where it is kept back and there is one."""
    has_name = case.household is not None and bool(case.household.row["name"])
    if not has_name or case.sight is not Sight.MASKED or not may_act(viewer, Act.REVEAL, case.facts):
        return ()
    return tuple(purpose.value for purpose in RevealPurpose)


def load_timeline(connection: Connection, case: LoadedCase) -> tuple[TimelineEntry, ...]:
    rows = connection.execute(queries("console")["case_entries"], {"case_id": case.id}).fetchall()
    return fold_entries(
        TimelineEntry(
            row["at"],
            Phrase(row["words"], _args(row["args"])),
            row["who"],
            _role(row["who_role"]),
            row["note"],
        )
        for row in rows
    )


def fold_entries(entries: Iterable[TimelineEntry]) -> tuple[TimelineEntry, ...]:
    """Tell once what happened many times in a row (a reminder every half hour); newest first, as it came."""
    folded: list[TimelineEntry] = []
    for entry in entries:
        last = folded[-1] if folded else None
        if last is not None and _same(last, entry):
            folded[-1] = replace(last, count=last.count + 1, first_at=entry.at)
        else:
            folded.append(entry)
    return tuple(folded)


def _same(left: TimelineEntry, right: TimelineEntry) -> bool:
    # What a person did or wrote is told each time.
    by_nobody = not (left.who or right.who or left.note or right.note)
    return by_nobody and left.phrase == right.phrase


def _args(args: Mapping[str, Any]) -> dict[str, Any]:
    """Values of an entry for its words; an instant is one again, whatever its name ends in."""
    return {key: _instant(value) if isinstance(value, str) else value for key, value in args.items()}


def _instant(text: str) -> datetime | str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return at if at.tzinfo is not None else text


def load_contacts(connection: Connection, reader: Reader, case: LoadedCase) -> tuple[Contact, ...]:
    """Whom to ask, in order; telephone numbers stand on the task's page only, for whoever has the task."""
    if case.row["household_id"] is None:
        return ()
    values = {"ids": [case.row["household_id"]], "now": reader.now}
    rows = connection.execute(queries("console")["contacts"], values).fetchall()
    return tuple(contact_of(row, named=case.sight >= Sight.NAMED, with_phone=False) for row in rows)


def contact_of(row: Mapping[str, Any], *, named: bool, with_phone: bool) -> Contact:
    # A helper is asked by her name: it is on the roster in the stairwell. Families stay masked.
    known = named or row["role"] != "family"
    return Contact(
        name=show_name(row["name"] or "", Sight.NAMED if known else Sight.MASKED) if row["name"] else "",
        role=row["role"],
        relation=row["relation_words"],
        phone=row["phone"] if with_phone else None,
        phone_kept=bool(row["phone"]) and not with_phone,
        phone_changed=bool(row["phone"]) and row["number_changed"],
    )


def _load_stood_for(
    connection: Connection, reader: Reader, case: LoadedCase
) -> tuple[grounds_views.HouseholdLine, ...]:
    if case.facts.cause is not CaseCause.TECHNICAL:
        return ()
    rows = connection.execute(queries("console")["case_households"], {"case_id": case.id}).fetchall()
    ids = [row["household_id"] for row in rows]
    found = load_households(connection, reader, ids)
    return tuple(found[key].in_list() for key in ids if key in found)


def task_view(task: Row, case: LoadedCase, reader: Reader) -> TaskView:
    """Make the view of a task; the form is there where this reader may record an outcome now."""
    kind, state = TaskKind(task["kind"]), TaskState(task["state"])
    is_open = state in (TaskState.OPEN, TaskState.CLAIMED)
    may = is_open and may_record(reader.viewer, task, case)
    return TaskView(
        id=task["id"],
        kind=kind,
        state=state,
        role=task["role"],
        due_at=task["due_at"],
        start_at=task["start_at"],
        household=None
        if case.household is None or case.facts.cause is CaseCause.ABSENCE
        else case.household.name,
        case_number=case.row["number"],
        mark=_MARKS[min(case.row["stage"] if case.facts.cause in OWN_RULES else case.row["priority"], 3)],
        url=f"/tasks/{task['id']}",
        assignee=task["assignee_name"],
        begun_at=task["begun_at"],
        done_at=task["done_at"],
        done_by=task["done_by_name"],
        outcome=_outcome(task["outcome"]),
        contacted=None if task["contacted"] is None else Contacted(task["contacted"]),
        witness=task["witness"],
        note=task["note"],
        outcomes=outcomes_of(case, kind) if may else (),
        form=Form() if may else None,
    )


def outcomes_of(case: LoadedCase, kind: TaskKind) -> tuple[Outcome, ...]:
    """Return what may be recorded of a task: of a cause with a ladder what its snapshot says."""
    if case.facts.cause in OWN_RULES:
        return OUTCOMES[kind]
    stored = case.row["policy"].get("causes", {}).get(case.facts.cause.value, {})
    return tuple(Outcome(word) for word in stored.get("outcomes", ()))


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


def load_alarm_ids(connection: Connection, reader: Reader, tab: Tab, after: int | None) -> list[int]:
    """Return one page of case ids and, where there are more, one id beyond it."""
    rows = connection.execute(
        queries("console")["alarm_ids"],
        {
            "community_id": reader.viewer.community_id,
            "tab": tab.value,
            "now": reader.now,
            "day_begin": reader.day_begin,
            "after": after,
            "limit": CASES_PAGE + 1,
        },
    ).fetchall()
    return [row["id"] for row in rows]


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


def load_tasks(connection: Connection, reader: Reader, *, done: bool) -> tuple[TaskView, ...]:
    """Return the tasks the reader may be shown: what is most pressing first."""
    rows = connection.execute(
        queries("console")["task_ids"],
        {
            "community_id": reader.viewer.community_id,
            "user_id": reader.viewer.user_id,
            "role": reader.viewer.role.value,
            "all": not reader.viewer.is_helper,
            "done": done,
            "since": reader.day_begin,
        },
    ).fetchall()
    views_found: list[TaskView] = []
    cases = {
        case.id: case for case in load_cases(connection, reader, list({row["case_id"]: 0 for row in rows}))
    }
    for row in rows:
        case = cases.get(row["case_id"])
        task = next((task for task in case.tasks if task["id"] == row["id"]), None) if case else None
        if case is None or task is None:
            continue
        views_found.append(task_view(task, case, reader))
    return tuple(views_found)
