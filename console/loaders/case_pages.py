"""A case on its own page: a loaded case enters; the aside with tasks, grounds and forms leaves."""

from __future__ import annotations

from alerts.rules.grading import parse_grounds
from console.loaders import Reader
from console.loaders.case_rows import load_technical, next_step, row_of
from console.loaders.cases import LoadedCase, load_beside
from console.loaders.contacts import load_contacts
from console.loaders.household_books import load_still_there
from console.loaders.households import load_households
from console.loaders.tasks import load_word, task_view
from console.loaders.timeline import load_timeline
from console.scope import (
    Act,
    RevealPurpose,
    Sight,
    Viewer,
    may_act,
)
from console.views import grounds as grounds_views
from console.views import parts as view_parts
from console.views.case import CaseView, Tab
from console.views.parts import Form
from kaimen.database import Connection, queries
from kaimen.vocabulary import (
    CaseCause,
    CaseState,
    Role,
    TaskKind,
)

HAND_OVER_ROLES = (
    Role.NEIGHBOUR_WATCHER, Role.STAIRWELL_LIAISON, Role.SAFETY_GUARDIAN, Role.GRID_WORKER, Role.GUARD, Role.POLICE_OFFICER,
)  # fmt: skip


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
        word=load_word(connection, reader, case),
        beside=tuple(_beside(other) for other in load_beside(connection, reader, case)),
        note_form=form_for(Act.NOTE),
        hold_form=form_for(Act.HOLD),
        hand_over_form=form_for(Act.HAND_OVER),
        hand_over_roles=tuple(role.value for role in HAND_OVER_ROLES),
        confirm_form=form_for(Act.CONFIRM_CLOSING) if proposes else None,
        reveal_purposes=_reveal_purposes(viewer, case),
        still_there=load_still_there(connection, reader, case) if full else (),
    )


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


def _load_stood_for(
    connection: Connection, reader: Reader, case: LoadedCase
) -> tuple[grounds_views.HouseholdLine, ...]:
    if case.facts.cause is not CaseCause.TECHNICAL:
        return ()
    rows = connection.execute(queries("console")["case_households"], {"case_id": case.id}).fetchall()
    ids = [row["household_id"] for row in rows]
    found = load_households(connection, reader, ids)
    return tuple(found[key].in_list() for key in ids if key in found)
