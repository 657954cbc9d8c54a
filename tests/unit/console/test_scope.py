"""Who may see what, as a table of roles and cases: the refused beside the allowed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from console.scope import (
    HELPER_ROLES,
    Act,
    CaseFacts,
    LegalBasis,
    LookUp,
    LookUpRefusal,
    PurposeClass,
    Section,
    Sight,
    TaskFacts,
    Viewer,
    mask_name,
    mask_phone,
    may_act,
    may_enter,
    refuse_look_up,
    sections_of,
    see_case,
    see_household,
    see_place,
    see_task,
    show_name,
)
from kaimen.vocabulary import CaseCause, CaseState, Role, Stage, TaskKind, TaskState


def viewer(
    role: Role, community: str | None = "a", *, households: tuple[str, ...] = (), user_id: int = 1
) -> Viewer:
    return Viewer(user_id, "name", "Name", role, community, household_ids=frozenset(households))


VISIT = CaseFacts("a", "h", CaseCause.INACTIVITY, Stage.VISIT, CaseState.NOTIFIED)
CALL = replace(VISIT, stage=Stage.CALL)
TECHNICAL = CaseFacts("a", None, CaseCause.TECHNICAL, Stage.NORMAL, CaseState.OPEN)
TASK = TaskFacts("neighbour_watcher", TaskKind.VISIT, TaskState.OPEN)


@pytest.mark.parametrize(
    ("who", "facts", "sight"),
    [
        (viewer(Role.PROPERTY_CLERK), CALL, Sight.MASKED),
        (viewer(Role.PROPERTY_CLERK), TECHNICAL, Sight.MASKED),
        (viewer(Role.PROPERTY_CLERK, "b"), VISIT, Sight.NOTHING),
        (viewer(Role.PROPERTY_CLERK, None), VISIT, Sight.NOTHING),
        (viewer(Role.POLICE_OFFICER), CALL, Sight.COUNT),
        (viewer(Role.POLICE_OFFICER), VISIT, Sight.NAMED),
        (viewer(Role.POLICE_OFFICER), replace(CALL, handed_to_police=True), Sight.NAMED),
        (viewer(Role.POLICE_OFFICER), replace(CALL, shares_with_police=True), Sight.NAMED),
        (viewer(Role.POLICE_OFFICER), replace(VISIT, state=CaseState.CLOSED), Sight.NOTHING),
        (viewer(Role.POLICE_OFFICER), TECHNICAL, Sight.NOTHING),
        (viewer(Role.POLICE_OFFICER, "b"), VISIT, Sight.NOTHING),
        (viewer(Role.FAMILY, None, households=("h",)), CALL, Sight.MASKED),
        (viewer(Role.FAMILY, None, households=("other",)), VISIT, Sight.NOTHING),
        (viewer(Role.FAMILY, "a"), VISIT, Sight.NOTHING),
        (viewer(Role.ADMIN, None), VISIT, Sight.NOTHING),
        (viewer(Role.ADMIN, None), TECHNICAL, Sight.MASKED),
        (viewer(Role.ADMIN, "b"), TECHNICAL, Sight.NOTHING),
        (viewer(Role.NEIGHBOUR_WATCHER), VISIT, Sight.NOTHING),
    ],
)
def test_a_case_is_seen_as_far_as_the_role_needs_it(who: Viewer, facts: CaseFacts, sight: Sight) -> None:
    assert see_case(who, facts) is sight


@pytest.mark.parametrize("role", sorted(HELPER_ROLES))
def test_a_helper_sees_the_stairwell_before_the_visit_is_hers_and_the_name_after(role: Role) -> None:
    free = replace(TASK, role=role.value)
    hers = replace(free, state=TaskState.CLAIMED, assignee_id=1)
    others = replace(free, state=TaskState.CLAIMED, assignee_id=2)
    done = replace(hers, state=TaskState.DONE)
    for task, sight in (
        (free, Sight.PLACE),
        (hers, Sight.NAMED),
        (others, Sight.NOTHING),
        (done, Sight.NOTHING),
    ):
        facts = replace(VISIT, tasks=(task,))
        assert see_task(viewer(role), facts, task) is sight
        assert see_case(viewer(role), facts) is sight
        assert see_case(viewer(role, "b"), facts) is Sight.NOTHING
    assert see_task(viewer(role, households=("h",)), VISIT, free) is Sight.NAMED
    assert see_task(viewer(role), VISIT, replace(free, role="somebody_else")) is Sight.NOTHING


def test_nobody_acts_on_what_is_not_shown() -> None:
    for role in Role:
        for facts in (VISIT, CALL, TECHNICAL):
            for community in ("b", None):
                who = viewer(role, community)
                if see_case(who, facts) <= Sight.COUNT:
                    assert not any(may_act(who, act, facts) for act in Act), (role, facts)


def test_each_role_does_its_own_acts_and_no_others() -> None:
    with_task = replace(VISIT, tasks=(TASK,))
    assert all(may_act(viewer(Role.PROPERTY_CLERK), act, VISIT) for act in Act)
    helper = {act for act in Act if may_act(viewer(Role.NEIGHBOUR_WATCHER), act, with_task)}
    assert helper == {Act.CLAIM, Act.RELEASE, Act.NOTE, Act.BEGIN_VISIT, Act.OUTCOME}
    assert {act for act in Act if may_act(viewer(Role.POLICE_OFFICER), act, VISIT)} == {Act.NOTE}
    asked = replace(VISIT, tasks=(replace(TASK, role="police_officer"),))
    assert may_act(viewer(Role.POLICE_OFFICER), Act.OUTCOME, asked)
    assert not may_act(viewer(Role.POLICE_OFFICER), Act.HOLD, asked)
    assert not any(may_act(viewer(Role.FAMILY, None, households=("h",)), act, VISIT) for act in Act)
    assert not any(may_act(viewer(Role.ADMIN, None), act, VISIT) for act in Act)


def test_a_household_is_for_its_desk_and_its_family() -> None:
    def see(who: Viewer) -> Sight:
        return see_household(who, household_id="h", community_id="a")

    assert see(viewer(Role.PROPERTY_CLERK)) is Sight.MASKED
    assert see(viewer(Role.FAMILY, None, households=("h",))) is Sight.MASKED
    refused = [
        viewer(Role.PROPERTY_CLERK, "b"), viewer(Role.FAMILY, "a"), viewer(Role.POLICE_OFFICER), viewer(Role.ADMIN),
        viewer(Role.ADMIN, None), viewer(Role.GRID_WORKER),
    ]  # fmt: skip
    assert {see(who) for who in refused} == {Sight.NOTHING}


def test_every_role_has_a_place_to_arrive_and_the_administrator_none_with_people() -> None:
    for role in Role:
        assert sections_of(role)
    people = {
        Section.ALARMS,
        Section.MORNING,
        Section.HOUSEHOLDS,
        Section.ACCESS_LOG,
        Section.FAMILY,
        Section.POLICE,
    }
    assert not any(may_enter(viewer(Role.ADMIN), section) for section in people)
    assert see_place(viewer(Role.ADMIN, None), "a") and not see_place(viewer(Role.POLICE_OFFICER), "a")


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("王秀英", "王*英"), ("郑成", "郑*"), ("王", "王*"), ("欧阳秀英", "欧**英"), ("Mary Smith", "M*** S***"),
        ("Mary", "M***"), ("", "*"), ("  ", "*"), ("<script>alert(1)</script>", "<***"),
    ],
)  # fmt: skip
def test_a_name_is_masked(name: str, masked: str) -> None:
    assert mask_name(name) == masked


def test_a_name_is_shown_as_far_as_the_sight_goes() -> None:
    shown = [show_name("王秀英", sight) for sight in Sight]
    assert shown == ["*", "*", "*", "王*英", "王秀英"]


@pytest.mark.parametrize(
    ("phone", "masked"),
    [("13812341234", "138****1234"), ("+86 138-1234-1234", "861****1234"), ("110", "***"), ("", "")],
)
def test_a_telephone_number_is_masked(phone: str, masked: str) -> None:
    assert mask_phone(phone) == masked


NOW = datetime(2025, 11, 21, 8, tzinfo=UTC)
GOOD = LookUp(PurposeClass.LIFE_RISK, "2025-00123", LegalBasis.EMERGENCY, "d-1", NOW - timedelta(days=7), NOW)


def test_a_complete_look_up_is_made() -> None:
    assert refuse_look_up(GOOD, NOW) == ()


@pytest.mark.parametrize(
    ("look_up", "refusal"),
    [
        (replace(GOOD, purpose=None), LookUpRefusal.NO_PURPOSE),
        (replace(GOOD, case_number="urgent"), LookUpRefusal.NO_CASE_NUMBER),
        (replace(GOOD, case_number=" 12 "), LookUpRefusal.NO_CASE_NUMBER),
        (replace(GOOD, case_number="1" * 41), LookUpRefusal.NO_CASE_NUMBER),
        (replace(GOOD, basis=None), LookUpRefusal.NO_LEGAL_BASIS),
        (replace(GOOD, place=" "), LookUpRefusal.NO_PLACE),
        (replace(GOOD, from_at=None), LookUpRefusal.NO_TIME),
        (replace(GOOD, to_at=GOOD.from_at), LookUpRefusal.WINDOW_EMPTY),
        (replace(GOOD, to_at=NOW + timedelta(milliseconds=1)), LookUpRefusal.WINDOW_TOO_LONG),
        (replace(GOOD, from_at=NOW + timedelta(days=1), to_at=NOW + timedelta(days=2)), LookUpRefusal.WINDOW_IN_FUTURE),
    ],
)  # fmt: skip
def test_a_look_up_that_lacks_something_says_what(look_up: LookUp, refusal: LookUpRefusal) -> None:
    assert refuse_look_up(look_up, NOW) == (refusal,)


def test_an_empty_look_up_says_everything_at_once() -> None:
    refusals = refuse_look_up(LookUp(None, "", None, "", None, None), NOW)
    assert set(refusals) == {
        LookUpRefusal.NO_PURPOSE, LookUpRefusal.NO_CASE_NUMBER, LookUpRefusal.NO_LEGAL_BASIS, LookUpRefusal.NO_PLACE,
        LookUpRefusal.NO_TIME,
    }  # fmt: skip
