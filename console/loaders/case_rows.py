"""A case in a list: a loaded case enters; its row with the one next step and what it stands for leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from alerts.rules.case import OWN_RULES
from console.loaders import Reader
from console.loaders.cases import LoadedCase, outcome_in, role_of
from console.loaders.households import Row, load_households
from console.loaders.timeline import instant_in
from console.scope import (
    Act,
    Viewer,
    may_act,
)
from console.views import parts as view_parts
from console.views.case import CaseRow, NextStep, Tab
from console.views.grounds import Incident, Technical
from console.views.parts import Mark
from kaimen.clock import as_datetime
from kaimen.database import Connection, queries
from kaimen.policy import CAUSE_LADDERS
from kaimen.vocabulary import (
    CaseCause,
    CaseState,
    EventType,
    Grade,
    Outcome,
    Stage,
    TaskKind,
)

MARKS = {0: Mark.UNKNOWN, 1: Mark.LOW, 2: Mark.MID, 3: Mark.HIGH}


#: Whoever has one of these may as well ring her as go there: her own number comes first.
RUNG_OR_SEEN = frozenset({CaseCause.SOS, CaseCause.EARLY_WATCH})
_EMPTY_HOME = (Outcome.AWAY, Outcome.HOSPITAL)
_TASK_ACTS = {
    TaskKind.CALL: ("call", "c"),
    TaskKind.VISIT: ("record_visit", ""),
    TaskKind.DEVICE_CHECK: ("record_device", ""),
    TaskKind.CONFIRM_BACK: ("answer_back", ""),
    TaskKind.REVIEW: ("review", ""),
}


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
    community = _place(places, "")
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
            place=_place(places, cause_id) or cause_id or community,
            since=case.row["stage_at"],
            household_count=count["household_count"] if count else 0,
            check_count=count["check_count"] if count else 0,
            never_heard=case.row["never_heard"],
            battery_low_since=places[cause_id]["battery_low_since"] if cause_id in places else None,
            longest=None if home is None or case.facts.state is CaseState.CLOSED else home.in_list(),
        )
    return found


def _place(places: Mapping[str, Row], cause_id: str) -> str:
    return places[cause_id]["place"] or "" if cause_id in places else ""


def _load_places(connection: Connection, cases: Sequence[LoadedCase]) -> dict[str, Row]:
    """Return where the causes are, with a device's battery: its place, a site's name; "" is the community."""
    ids = [(case.row["cause_key"] or "").partition(":")[2] for case in cases]
    community_id = cases[0].row["community_id"] if cases else None
    rows = connection.execute(
        queries("console")["places"], {"ids": ids, "community_id": community_id}
    ).fetchall()
    return {row["id"]: row for row in rows}


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
    # A case that is over is no reason to learn where somebody is now: her page asks for one, and writes it down.
    tells_now = of_inactivity and not closed
    rank = row["priority"]
    incident = incident_of(case)
    # Nobody learns from a list which home is declared empty: whose door it is stands on the case's own page.
    named = case.facts.cause is not CaseCause.ABSENCE or full
    return CaseRow(
        id=case.id,
        number=row["number"],
        mark=MARKS[min(row["stage"] if incident is None else rank, 3)],
        state=case.facts.state,
        url=f"/alarms?tab={tab.value}&case={case.id}",
        page_url=f"/cases/{case.id}",
        household=None if case.household is None or not named else case.household.name,
        technical=technical,
        incident=incident,
        grade=Grade(row["grade"]) if of_inactivity else None,
        line=None if case.household is None or not tells_now else _line_of(case),
        grounds=None if case.household is None or not tells_now else case.household.grounds,
        act=None if row["task_kind"] is None else TaskKind(row["task_kind"]),
        begun_at=row["task_begun_at"],
        next_action="" if row["task_kind"] is not None else row["next_action"] or "",
        due_at=row["task_due_at"] or row["next_action_at"],
        holder=row["holder_name"] or row["assignee_name"],
        holder_role=role_of(row["holder_role"] or row["assignee_role"]),
        holder_for=row["holder_for"] or "",
        held_until=held,
        held_reason=row["held_reason"] if held else None,
        proposal_at=_proposed_at(row),
        proposal_by=str((row["proposal"] or {}).get("kind", "")),
        closed_at=row["closed_at"],
        outcome=_told_outcome(row, full=full),
        unacknowledged=not closed and row["holder_id"] is None and held is None and rank >= Stage.CALL,
        next_act=None if closed else _primary(case, reader.viewer),
    )


def _told_outcome(row: Row, *, full: bool) -> Outcome | None:
    """Return what a closed case came to; that somebody is away is told on its own page, never in a list."""
    outcome = outcome_in(row["outcome"])
    return None if outcome in _EMPTY_HOME and not full else outcome


def incident_of(case: LoadedCase) -> Incident | None:
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
        tampered=cause is CaseCause.DEVICE_FAULT
        and (row["evidence"] or {}).get("type") == EventType.DOOR_TAMPER,
        at_home=case.household is not None,
        late=bool((row["evidence"] or {}).get("late")),
        quiet_since=_quiet_since(row) if cause is CaseCause.EARLY_WATCH else None,
        battery_percent=_battery_percent(row) if cause is CaseCause.BATTERY else None,
    )


def _battery_percent(row: Row) -> int | None:
    percent = (row["evidence"] or {}).get("percent")
    return round(percent) if isinstance(percent, int | float) else None


def _quiet_since(row: Row) -> datetime | None:
    last_ms = (row["evidence"] or {}).get("last_heard_ms")
    return as_datetime(last_ms) if isinstance(last_ms, int) else None


def _line_of(case: LoadedCase) -> view_parts.DayLine | None:
    """The household's line, in the colour of the case at least."""
    assert case.household is not None
    line = case.household.line
    if line is None:
        return None
    return replace(line, stage=max(line.stage, Stage(min(case.row["stage"], Stage.VISIT))))


def _proposed_at(row: Row) -> datetime | None:
    """The instant of the evidence itself, which is what a person is asked about."""
    found = instant_in(str((row["proposal"] or {}).get("evidence_at", "")))
    return found if isinstance(found, datetime) else row["proposal_at"]


def _act(case: LoadedCase, name: str, path: str, key: str = "") -> view_parts.Act:
    return view_parts.Act(name=name, url=f"/cases/{case.id}/{path}", post=True, key=key)


def _primary(case: LoadedCase, viewer: Viewer) -> view_parts.Act | None:
    """The one thing to do next: claim what nobody has, then call, go, or record what was found."""
    row = case.row
    task_id = row["task_id"]
    if case.facts.cause is CaseCause.REVIEW and row["evidence"].get("recorded_by") == viewer.user_id:
        return None
    if row["proposal"] is not None and may_act(viewer, Act.CONFIRM_CLOSING, case.facts):
        return view_parts.Act(name="confirm_closing", url=f"/cases/{case.id}#confirm")
    if row["holder_id"] is None and may_act(viewer, Act.CLAIM, case.facts):
        return _act(case, "claim", "claim", key="a")
    if task_id is None or not may_act(viewer, Act.OUTCOME, case.facts):
        return None
    name, key = _TASK_ACTS.get(row["task_kind"], ("record_outcome", ""))
    if case.facts.cause in RUNG_OR_SEEN:
        name, key = _TASK_ACTS[TaskKind.CALL]
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
        assignee_role=role_of(row["assignee_role"] or row["holder_role"]),
        accepted_at=row["task_claimed_at"],
        begun_at=row["task_begun_at"],
        starts_at=row["task_start_at"],
        primary=_primary(case, viewer),
        others=tuple(others),
    )
